package sinkhole

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"nightlatch/decoder"
)

// TestSetCA: an authority comes and goes while the gateway runs, and whoever
// refused the one is asked about the other.
func TestSetCA(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits.Fold = time.Nanosecond })
	try := func(ca *CA) string {
		t.Helper()
		n := len(b.tape.captures())
		if err := b.SetCA(ca); err != nil {
			t.Fatal(err)
		}
		c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{ServerName: sunk})
		defer c.Close()
		if c.HandshakeContext(context.Background()) == nil {
			t.Fatal("a client without our authority went on")
		}
		return b.tape.wait(t, n+1)[n].TLS.Outcome
	}
	one, _ := newCA(t)
	two, _ := newCA(t)
	for _, tt := range []struct {
		ca   *CA
		want string
	}{{nil, OutcomeNoCA}, {one, OutcomeRefused}, {one, OutcomeRemember}, {two, OutcomeRefused}, {nil, OutcomeNoCA}} {
		if got := try(tt.ca); got != tt.want || b.CA() != tt.ca {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestSetDecoder(t *testing.T) {
	b := build(t, nil)
	post := func(body string) {
		t.Helper()
		resp, err := b.client(t, sunk, &http.Transport{}).Post("http://"+sunk+"/", "text/x", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	other := &fakeDecoder{}
	for i, d := range []Decoder{b.dec, nil, other} {
		b.SetDecoder(d)
		post(strings.Repeat("x", i+1))
		b.tape.wait(t, i+1)
	}
	var none decoder.Result
	if c := b.tape.captures(); b.dec.requests.Load() != 1 || other.requests.Load() != 1 || c[1].Result.Verdict != none.Verdict {
		t.Errorf("%d %d %+v", b.dec.requests.Load(), other.requests.Load(), c[1].Result)
	}
}
