package tunnel

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"nightlatch/tunnel/phone"
)

// TestArrivals: what came to the port tells the usual troubles of a phone apart.
func TestArrivals(t *testing.T) {
	r := newRig(t, 2, nil)
	r.connect(t, 0)
	a := r.Stats().Arrivals
	if a.Initiations == 0 || a.Answered == 0 || a.WrongKey != 0 || a.Garbage != 0 || a.Last.IsZero() {
		t.Errorf("a phone that connects: %+v", a)
	}
	try := func(conf string) {
		t.Helper()
		cfg, err := phone.Parse(conf)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := phone.Connect(within(t, 200*time.Millisecond), cfg, nil); err == nil {
			p.Close()
			t.Error("it connects")
		}
	}
	b64 := func(k [32]byte) string { return base64.StdEncoding.EncodeToString(k[:]) }
	other := newKeys(t)

	try(strings.Replace(r.confOf(1), b64(r.gw.public), b64(other.public), 1))
	if b := r.Stats().Arrivals; b.WrongKey == 0 || b.Initiations != a.Initiations {
		t.Errorf("the key of another gateway: %+v, before %+v", b, a)
	}
	a = r.Stats().Arrivals
	try(strings.Replace(r.confOf(1), b64(r.phones[1].private), b64(other.private), 1))
	if b := r.Stats().Arrivals; b.Initiations == a.Initiations || b.Answered != a.Answered {
		t.Errorf("a device that nobody knows: %+v, before %+v", b, a)
	}
	a = r.Stats().Arrivals
	try(strings.Replace(r.confOf(1), b64(r.phones[1].psk), b64(other.psk), 1))
	if b := r.Stats().Arrivals; b.Answered == a.Answered || !r.status(t, "phone1").LastHandshake.IsZero() {
		t.Errorf("another pre-shared key: %+v, before %+v", b, a)
	}
}
