package portmap

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"
)

// NAT-PMP, RFC 6886 §3.

const (
	pmpOutsideOp = 0
	pmpUDPOp     = 1
	answerBit    = 128
)

func pmpWhy(code uint16) string {
	switch code {
	case 1:
		return "it does not speak this version"
	case 2:
		return "it is not allowed; switch automatic port sharing on for this machine"
	case 3:
		return "it has no internet itself"
	case 4:
		return "it has no room for another mapping"
	}
	return "it does not support this"
}

// parsePMP reads an answer to op; ok is false when it is none.
func parsePMP(b []byte, op byte) (body []byte, code uint16, ok bool) {
	if len(b) < 8 || b[0] != 0 || b[1] != op|answerBit {
		return nil, 0, false
	}
	code = binary.BigEndian.Uint16(b[2:])
	want := map[byte]int{pmpOutsideOp: 12, pmpUDPOp: 16}[op]
	if code == 0 && len(b) < want {
		return nil, 0, false
	}
	return b[8:], code, true
}

func pmpAsk(ctx context.Context, gw netip.AddrPort, request []byte) ([]byte, error) {
	op := request[1]
	b, err := ask(ctx, gw, request, func(b []byte) bool { _, _, ok := parsePMP(b, op); return ok })
	if err != nil {
		return nil, err
	}
	body, code, _ := parsePMP(b, op)
	if code != 0 {
		return nil, &refused{NATPMP, pmpWhy(code)}
	}
	return body, nil
}

// pmpOutside asks for the outside address (§3.2).
func pmpOutside(ctx context.Context, gw netip.AddrPort) (netip.Addr, error) {
	body, err := pmpAsk(ctx, gw, []byte{0, pmpOutsideOp})
	if err != nil {
		return netip.Addr{}, err
	}
	a := netip.AddrFrom4([4]byte(body))
	if a.IsUnspecified() {
		return a, &refused{NATPMP, pmpWhy(3)}
	}
	return a, nil
}

// pmpMap asks for a mapping (§3.3); a lifetime of 0 ends it.
func pmpMap(ctx context.Context, gw netip.AddrPort, internal, wish uint16, lifetime time.Duration) (Mapping, error) {
	b := []byte{0, pmpUDPOp, 0, 0}
	b = binary.BigEndian.AppendUint16(b, internal)
	b = binary.BigEndian.AppendUint16(b, wish)
	b = binary.BigEndian.AppendUint32(b, uint32(lifetime/time.Second))
	body, err := pmpAsk(ctx, gw, b)
	if err != nil {
		return Mapping{}, err
	}
	m := Mapping{Protocol: NATPMP, Internal: internal, Lifetime: time.Duration(binary.BigEndian.Uint32(body[4:])) * time.Second}
	if binary.BigEndian.Uint16(body) != internal || lifetime > 0 && (m.Lifetime == 0 || binary.BigEndian.Uint16(body[2:]) == 0) {
		return Mapping{}, &refused{NATPMP, "it answers with another mapping than was asked for"}
	}
	outside, _ := pmpOutside(ctx, gw) // the mapping holds without
	m.External = netip.AddrPortFrom(outside, binary.BigEndian.Uint16(body[2:]))
	return m, nil
}

// PCP, RFC 6887 §7 and §11.

const (
	pcpVersion = 2
	pcpMapOp   = 1
	pcpSize    = 60 // header and MAP
	protoUDP   = 17
)

func pcpWhy(code byte) string {
	switch code {
	case 2:
		return "it is not allowed; switch automatic port sharing on for this machine"
	case 7:
		return "it has no internet itself"
	case 8:
		return "it has no room for another mapping"
	case 11:
		return "it gives no such port"
	case 12:
		return "another router stands between it and this machine"
	case 13:
		return "this machine has too many mappings"
	}
	return "it does not support this"
}

// pcpAnswer is what a MAP answer says.
type pcpAnswer struct {
	code     byte
	lifetime uint32
	internal uint16
	external netip.AddrPort
}

// parsePCP reads an answer to the MAP request of that nonce; ok is false when it
// is none. An answer without the nonce counts only as a refusal of the version,
// which routers of NAT-PMP alone send (Appendix A).
func parsePCP(b []byte, nonce [12]byte) (a pcpAnswer, ok bool) {
	if len(b) >= 4 && b[0] == 0 && b[1]&answerBit != 0 {
		return pcpAnswer{code: 1}, true
	}
	if len(b) < pcpSize || len(b)%4 != 0 || b[0] != pcpVersion || b[1] != pcpMapOp|answerBit {
		return a, false
	}
	if [12]byte(b[24:36]) != nonce || b[36] != protoUDP {
		return a, false
	}
	a = pcpAnswer{code: b[3], lifetime: binary.BigEndian.Uint32(b[4:]), internal: binary.BigEndian.Uint16(b[40:])}
	a.external = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[44:60])).Unmap(), binary.BigEndian.Uint16(b[42:]))
	return a, true
}

// pcpMap asks for a mapping; a lifetime of 0 ends it. last gives the nonce.
func pcpMap(ctx context.Context, gw netip.AddrPort, internal, wish uint16, lifetime time.Duration, last Mapping) (Mapping, error) {
	local, err := localTowards(gw)
	if err != nil {
		return Mapping{}, err
	}
	m := Mapping{Protocol: PCP, Internal: internal, nonce: last.nonce}
	if m.nonce == ([12]byte{}) {
		rand.Read(m.nonce[:]) // never fails
	}
	b := []byte{pcpVersion, pcpMapOp, 0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(lifetime/time.Second))
	client := local.As16()
	b = append(b, client[:]...)
	b = append(b, m.nonce[:]...)
	b = append(b, protoUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, internal)
	b = binary.BigEndian.AppendUint16(b, wish)
	none := netip.IPv6Unspecified()
	if local.Is4() {
		none = netip.AddrFrom16(netip.IPv4Unspecified().As16()) // "any IPv4 address" (§11.1)
	}
	any16 := none.As16()
	b = append(b, any16[:]...)
	answer, err := ask(ctx, gw, b, func(b []byte) bool { _, ok := parsePCP(b, m.nonce); return ok })
	if err != nil {
		return Mapping{}, err
	}
	a, _ := parsePCP(answer, m.nonce)
	switch {
	case a.code == 1:
		return Mapping{}, errors.New("the router does not speak PCP")
	case a.code != 0:
		return Mapping{}, &refused{PCP, pcpWhy(a.code)}
	case a.internal != internal, lifetime > 0 && (a.lifetime == 0 || a.external.Port() == 0):
		return Mapping{}, &refused{PCP, "it answers with another mapping than was asked for"}
	}
	m.External, m.Lifetime = a.external, time.Duration(a.lifetime)*time.Second
	return m, nil
}

// localTowards gives the address of this machine that the router sees.
func localTowards(gw netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(gw)) // nothing is sent
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
