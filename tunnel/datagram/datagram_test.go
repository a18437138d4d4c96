package datagram

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TestDatagram: what is written is valid for the stack and read back the same.
func TestDatagram(t *testing.T) {
	for _, ends := range [][2]string{{"8.8.8.8:53", "10.88.0.2:5000"}, {"[2001:4860:4860::8888]:53", "[fd88::2]:5000"}} {
		for _, payload := range [][]byte{nil, {1}, {1, 2}, bytes.Repeat([]byte{0xff}, 1231)} {
			d := Datagram{netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1]), payload}
			b := d.Packet()
			udp := header.UDP(b[len(b)-len(payload)-8:])
			valid := false
			if d.Dst.Addr().Is4() {
				ip := header.IPv4(b)
				valid = ip.IsValid(len(b)) && ip.IsChecksumValid() &&
					udp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(payload, 0))
			} else {
				ip := header.IPv6(b)
				valid = ip.IsValid(len(b)) &&
					udp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(payload, 0))
			}
			if !valid {
				t.Errorf("%v, %d bytes: not valid: % x", d.Dst, len(payload), b[:min(len(b), 60)])
			}
			back, ok := Parse(b)
			if !ok || back.Src != d.Src || back.Dst != d.Dst || !bytes.Equal(back.Payload, payload) {
				t.Errorf("read back %v %v %v", ok, back.Src, back.Dst)
			}
		}
	}
}

// TestNotPlain: what is not plain is left to the stack.
func TestNotPlain(t *testing.T) {
	good := Datagram{netip.MustParseAddrPort("10.88.0.2:5000"), netip.MustParseAddrPort("8.8.8.8:53"), []byte("a question")}.Packet()
	for name, change := range map[string]func([]byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"options":         func(b []byte) []byte { b[0] = 0x46; return b },
		"first fragment":  func(b []byte) []byte { b[6] = 0x20; return b },
		"later fragment":  func(b []byte) []byte { b[7] = 1; return b },
		"tcp":             func(b []byte) []byte { b[9] = 6; return b },
		"cut":             func(b []byte) []byte { return b[:len(b)-1] },
		"longer than udp": func(b []byte) []byte { b[25]--; return b },
		"short total":     func(b []byte) []byte { b[2], b[3] = 0, 10; return b },
		"no udp header":   func(b []byte) []byte { b[3] = 24; return b },
		"version 5":       func(b []byte) []byte { b[0] = 0x55; return b },
	} {
		if d, ok := Parse(change(bytes.Clone(good))); ok {
			t.Errorf("%s: %v", name, d.Dst)
		}
	}
}
