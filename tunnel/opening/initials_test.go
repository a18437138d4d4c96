package opening

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// chromium are the two Initial packets with which Chromium 156 opened a
// connection to quic0.test.
func chromium(tb testing.TB) (out [][]byte) {
	tb.Helper()
	text, err := os.ReadFile("../../sinkhole/testdata/chromium-quic.hex")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestInitials(t *testing.T) {
	packets := chromium(t)
	for _, order := range [][]int{{0, 1}, {1, 0}, {0, 0, 1}} {
		var q Initials
		for i, k := range order {
			w, done := q.Add(packets[k])
			last := i == len(order)-1
			if done != last || last && (w.Kind != QUIC || w.Name != "quic0.test") {
				t.Errorf("%v, datagram %d: %+v %v", order, i, w, done)
			}
			if again := i > 0 && order[i-1] == k; q.Waiting() != again {
				t.Errorf("%v, datagram %d: waiting %v", order, i, q.Waiting())
			}
		}
		if len(q.Refuse()) == 0 {
			t.Error("no refusal")
		}
	}
	var q Initials
	if w, done := q.Add([]byte("not quic")); !done || w.Kind != Unknown {
		t.Errorf("%+v %v", w, done)
	}
	q = Initials{}
	for i := range maxInitials + 1 {
		if w, done := q.Add(packets[0]); done != (i == maxInitials) || done && w.Kind != Unreadable {
			t.Errorf("%d: %+v %v", i, w, done)
		}
	}
}

func FuzzInitials(f *testing.F) {
	packets := chromium(f)
	f.Add(packets[0], packets[1])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var q Initials
		if _, done := q.Add(a); !done {
			if w, _ := q.Add(b); w.Name != Name(w.Name) {
				t.Fatalf("%q", w.Name)
			}
		}
		q.Refuse()
	})
}
