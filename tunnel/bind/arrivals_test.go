package bind

import (
	"encoding/binary"
	"testing"
)

func message(kind uint32, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b, kind)
	return b
}

// TestArrivals: every message counts as what it is, and a handshake that was
// not made for our key as that. (One that was is seen by the tunnel's own test.)
func TestArrivals(t *testing.T) {
	b := New(nil, 8)
	in := [][]byte{
		message(transport, 32), message(transport, 1400), message(transport, 31), message(initiation, 148),
		message(initiation, 147), message(response, 92), message(cookie, 64), nil, {1}, []byte("GET / HTTP/1.1\r\n"), message(9, 64),
	}
	sizes := make([]int, len(in))
	for i := range in {
		sizes[i] = len(in[i])
	}
	if a := b.Arrivals(); a != (Arrivals{}) {
		t.Errorf("before anything: %+v", a)
	}
	b.seen.count(in, sizes) // no key yet: it counts as ours
	b.Know([32]byte{1})
	b.seen.count(in[3:4], sizes[3:4])
	b.seen.sent([][]byte{message(response, 92)})
	b.seen.sent([][]byte{message(transport, 92)})
	b.seen.sent(nil)
	a := b.Arrivals()
	if a.Last.IsZero() {
		t.Error("no time of the last packet")
	}
	a.Last = Arrivals{}.Last
	if want := (Arrivals{Packets: 12, Data: 2, Initiations: 1, WrongKey: 1, Garbage: 6, Answered: 1}); a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}
