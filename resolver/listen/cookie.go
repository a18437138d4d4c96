package listen

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// Sizes of RFC 7873 §4 and RFC 9018 §4.
const (
	clientCookie = 8
	serverCookie = 16
	cookieLen    = clientCookie + serverCookie
)

// cookies makes and checks server cookies (RFC 9018). A cookie proves that
// its owner receives what is sent to its address.
type cookies struct {
	secret [16]byte
	now    func() time.Time
}

// wellFormed tells whether an option may be a cookie (RFC 7873 §5.2.2).
func wellFormed(opt []byte) bool {
	return len(opt) == clientCookie || len(opt) >= 16 && len(opt) <= 40
}

// append appends the client's cookie with a fresh server cookie for addr.
func (c *cookies) append(dst, client []byte, addr netip.Addr) []byte {
	at := len(dst)
	dst = append(dst, client[:clientCookie]...)
	dst = append(dst, 1, 0, 0, 0) // version and reserved, RFC 9018 §4.1-2
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.now().Unix()))
	return binary.LittleEndian.AppendUint64(dst, c.hash(dst[at:at+16], addr))
}

// good tells whether a well-formed option holds a server cookie that we gave to
// addr, not more than an hour ago and not five minutes ahead (RFC 9018 §4.3).
func (c *cookies) good(opt []byte, addr netip.Addr) bool {
	if len(opt) != cookieLen || opt[8] != 1 {
		return false
	}
	age := int32(uint32(c.now().Unix()) - binary.BigEndian.Uint32(opt[12:])) // serial arithmetic
	if age > 3600 || age < -300 {
		return false
	}
	var want [8]byte
	binary.LittleEndian.PutUint64(want[:], c.hash(opt[:16], addr))
	return subtle.ConstantTimeCompare(want[:], opt[16:]) == 1
}

// hash is that of RFC 9018 §4.4: over everything before it, and the address.
func (c *cookies) hash(head []byte, addr netip.Addr) uint64 {
	var b [32]byte
	n := copy(b[:], head)
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		n += copy(b[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(b[n:], a[:])
	}
	return sipHash(&c.secret, b[:n])
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012), of which RFC 9018 §4.4
// takes the octets in little-endian order.
func sipHash(key *[16]byte, msg []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(msg)) << 56
	for ; len(msg) >= 8; msg = msg[8:] {
		sipBlock(&v, binary.LittleEndian.Uint64(msg))
	}
	for i, b := range msg {
		last |= uint64(b) << (8 * i)
	}
	sipBlock(&v, last)
	v[2] ^= 0xff
	for range 4 {
		sipRound(&v)
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func sipBlock(v *[4]uint64, m uint64) {
	v[3] ^= m
	sipRound(v)
	sipRound(v)
	v[0] ^= m
}

func sipRound(v *[4]uint64) {
	v[0] += v[1]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[3]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[2] = bits.RotateLeft64(v[2], 32)
}
