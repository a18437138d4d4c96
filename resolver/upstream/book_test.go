package upstream

import (
	"strings"
	"testing"
)

func TestNobodyKnowsWhere(t *testing.T) {
	for _, o := range []Options{
		{Upstreams: []string{"tls://dns.example"}},
		{Upstreams: []string{"tls://dns.example", "https://dns.example"}},
		{Upstreams: []string{"tls://dns.example"}, Bootstrap: []string{"tls://other.example"}},
		{Upstreams: []string{"192.0.2.1"}, Strategy: "fast"},
	} {
		if g, err := New(o); err == nil {
			g.Close()
			t.Errorf("%v: no error", o.Upstreams)
		} else if strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	}
}
