package quicinitial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

const (
	tagSize    = 16 // of AEAD_AES_128_GCM, which every Initial packet uses
	sampleSize = 16 // RFC 9001 §5.4.2
	maxNumber  = 4  // bytes of a packet number
)

// keys protect the Initial packets of one side (RFC 9001 §5).
type keys struct {
	aead cipher.AEAD
	iv   []byte
	hp   cipher.Block
}

// salt is where the secrets of a version begin (RFC 9001 §5.2, RFC 9369 §3.3.1).
func salt(version uint32) []byte {
	if version == Version2 {
		return []byte{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}
	}
	return []byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}
}

// derive gives the keys with which a client, or the server, protects its
// Initial packets when the client's first one was sent to dcid.
func derive(version uint32, dcid []byte, server bool) keys {
	initial, err := hkdf.Extract(sha256.New, dcid, salt(version))
	must(err)
	side, prefix := "client in", "quic "
	if server {
		side = "server in"
	}
	if version == Version2 {
		prefix = "quicv2 "
	}
	secret := expand(initial, side, sha256.Size)
	block, err := aes.NewCipher(expand(secret, prefix+"key", 16))
	must(err)
	aead, err := cipher.NewGCM(block)
	must(err)
	hp, err := aes.NewCipher(expand(secret, prefix+"hp", 16))
	must(err)
	return keys{aead, expand(secret, prefix+"iv", 12), hp}
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{0, byte(size), byte(len(label))}, label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
	must(err)
	return out
}

// must holds for lengths that are constants of this file.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// nonce is the IV with the packet number (RFC 9001 §5.3).
func (k keys) nonce(number uint32) []byte {
	n := append([]byte(nil), k.iv...)
	tail := n[len(n)-maxNumber:]
	binary.BigEndian.PutUint32(tail, binary.BigEndian.Uint32(tail)^number)
	return n
}

// mask hides the first byte and the packet number (RFC 9001 §5.4.3).
func (k keys) mask(sample []byte) []byte {
	out := make([]byte, aes.BlockSize)
	k.hp.Encrypt(out, sample)
	return out
}

// open takes off header protection and decrypts a whole packet whose packet
// number begins at at.
func (k keys) open(packet []byte, at int) (number uint32, frames []byte, err error) {
	if len(packet) < at+maxNumber+sampleSize { // RFC 9001 §5.4.2
		return 0, nil, ErrMalformed
	}
	mask := k.mask(packet[at+maxNumber : at+maxNumber+sampleSize])
	head := append([]byte(nil), packet[:at+maxNumber]...)
	head[0] ^= mask[0] & 0x0f
	size := int(head[0]&3) + 1
	head = head[:at+size]
	for i := range size {
		head[at+i] ^= mask[1+i]
		number = number<<8 | uint32(head[at+i]) // a client's first: nothing was left out of it
	}
	frames, err = k.aead.Open(nil, k.nonce(number), packet[at+size:], head)
	if err != nil {
		return 0, nil, ErrMalformed
	}
	return number, frames, nil
}

// seal encrypts frames behind a head that ends with the packet number, in size
// bytes, and protects the head. The length in the head must count the tag.
func (k keys) seal(head []byte, size int, number uint32, frames []byte) []byte {
	out := k.aead.Seal(head, k.nonce(number), frames, head)
	at := len(head) - size
	mask := k.mask(out[at+maxNumber : at+maxNumber+sampleSize])
	out[0] ^= mask[0] & 0x0f
	for i := range size {
		out[at+i] ^= mask[1+i]
	}
	return out
}
