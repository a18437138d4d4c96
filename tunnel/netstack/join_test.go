package netstack

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// tcpPacket is a segment of one stream; v6 says of which family.
func tcpPacket(v6 bool, seq uint32, flags byte, payload []byte, options ...byte) []byte {
	ip := make([]byte, 20)
	size := 20 + len(options) + len(payload)
	if v6 {
		ip = make([]byte, 40)
		ip[0], ip[6], ip[7], ip[23], ip[39] = 0x60, 6, 64, 2, 3
		binary.BigEndian.PutUint16(ip[4:], uint16(size))
	} else {
		copy(ip, []byte{0x45, 0, 0, 0, byte(seq), 1, 0x40, 0, 64, 6, 9, 9, 10, 88, 0, 2, 203, 0, 113, 10})
		binary.BigEndian.PutUint16(ip[2:], uint16(size+20))
	}
	t := make([]byte, 20)
	t[1], t[3], t[11], t[14] = 80, 90, 7, 8
	binary.BigEndian.PutUint32(t[4:], seq)
	t[12], t[13] = byte(20+len(options))/4<<4, flags
	binary.BigEndian.PutUint16(t[16:], uint16(seq)*3) // a checksum
	return append(append(append(ip, t...), options...), payload...)
}

const ack, psh = byte(header.TCPFlagAck), byte(header.TCPFlagPsh)

// TestJoin: segments that follow one another become one packet with all their
// data; the stream is the same.
func TestJoin(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		var bufs [][]byte
		var sent []byte
		seq := uint32(0xfffff000) // it wraps
		for i := range 10 {
			payload := bytes.Repeat([]byte{byte(i + 1)}, 1200-i)
			flags := ack
			if i == 9 {
				flags |= psh
			}
			bufs = append(bufs, append(make([]byte, 16), tcpPacket(v6, seq, flags, payload, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2)...))
			sent, seq = append(sent, payload...), seq+uint32(len(payload))
		}
		n, size := run(bufs, 16)
		if n != 10 {
			t.Fatalf("v6 %v: %d joined", v6, n)
		}
		b := join(bufs, 16, size)
		got := b.Flatten()
		s, ok := plain(got)
		if !ok || !bytes.Equal(got[s.data:], sent) || binary.BigEndian.Uint32(got[s.tcp+4:]) != 0xfffff000 || got[s.tcp+13] != ack|psh {
			t.Errorf("v6 %v: %v %d bytes, want %d; % x", v6, ok, len(got)-s.data, len(sent), got[:s.data])
		}
		b.Release()
	}
}

// TestNotJoined: what differs in any way that matters stays apart.
func TestNotJoined(t *testing.T) {
	data := []byte("data")
	good := func() []byte { return tcpPacket(false, 104, ack, data) }
	for name, second := range map[string][]byte{
		"a gap":           tcpPacket(false, 105, ack, data),
		"again":           tcpPacket(false, 100, ack, data),
		"FIN":             tcpPacket(false, 104, ack|byte(header.TCPFlagFin), data),
		"RST":             tcpPacket(false, 104, byte(header.TCPFlagRst), data),
		"no data":         tcpPacket(false, 104, ack, nil),
		"options":         tcpPacket(false, 104, ack, data, 1, 1, 1, 1),
		"another family":  tcpPacket(true, 104, ack, data),
		"another port":    change(good(), 21, 81),
		"another address": change(good(), 15, 9),
		"another ack":     change(good(), 31, 9),
		"another window":  change(good(), 34, 9),
		"congestion":      change(good(), 1, 3),
		"a fragment":      change(good(), 6, 0x20),
		"UDP":             change(good(), 9, 17),
		"IP options":      change(good(), 0, 0x46),
		"cut":             good()[:30],
		"a long header":   change(good(), 32, 0xf0),
		"a short header":  change(good(), 32, 0x10),
		"nothing":         {},
	} {
		if n, size := run([][]byte{tcpPacket(false, 100, ack, data), second}, 0); n != 1 || size != 44 {
			t.Errorf("%s: %d joined, %d bytes", name, n, size)
		}
	}
	if n, _ := run([][]byte{tcpPacket(false, 100, ack, data), good()}, 0); n != 2 {
		t.Error("and the good one is not")
	}
	if n, _ := run([][]byte{tcpPacket(false, 100, ack|psh, data), good()}, 0); n != 1 {
		t.Error("joined after PSH")
	}
}

func change(b []byte, at int, to byte) []byte {
	b[at] = to
	return b
}

// TestJoinBound: never more than an IP packet holds.
func TestJoinBound(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		var bufs [][]byte
		for i := range 128 {
			bufs = append(bufs, tcpPacket(v6, uint32(i)*1220, ack, make([]byte, 1220)))
		}
		for at := 0; at < len(bufs); {
			n, size := run(bufs[at:], 0)
			if size > maxJoined || n < 2 && at < 127 {
				t.Fatalf("%d packets, %d bytes", n, size)
			}
			b := join(bufs[at:at+n], 0, size)
			if s, ok := plain(b.Flatten()); !ok || int(b.Size()) != size || size-s.data != n*1220 {
				t.Fatalf("%d packets, %d bytes", n, size)
			}
			b.Release()
			at += n
		}
	}
}

// FuzzJoin: whatever the packets, all bytes of data come out in order.
func FuzzJoin(f *testing.F) {
	f.Add(tcpPacket(false, 1, ack, []byte("abc")), tcpPacket(false, 4, ack, []byte("def")), uint64(1))
	f.Add(tcpPacket(true, 1, ack, []byte("abc")), tcpPacket(true, 4, ack|psh, []byte("def")), uint64(2))
	f.Fuzz(func(t *testing.T, a, b []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var bufs [][]byte
		for range 1 + rnd.IntN(4) {
			bufs = append(bufs, [][]byte{a, b}[rnd.IntN(2)])
		}
		if len(a) == 0 || len(b) == 0 || len(a) > 1500 || len(b) > 1500 {
			return
		}
		for at := 0; at < len(bufs); {
			n, size := run(bufs[at:], 0)
			out := join(bufs[at:at+n], 0, size)
			got := out.Flatten()
			if n == 1 && !bytes.Equal(got, bufs[at]) {
				t.Fatal("a single packet has changed")
			}
			want := len(bufs[at])
			for _, p := range bufs[at+1 : at+n] {
				s, ok := plain(p)
				if !ok || !bytes.HasSuffix(got[:want+len(p)-s.data], p[s.data:]) {
					t.Fatal("data is lost")
				}
				want += len(p) - s.data
			}
			if want != size || len(got) != size {
				t.Fatalf("%d bytes, want %d", len(got), want)
			}
			out.Release()
			at += n
		}
	})
}
