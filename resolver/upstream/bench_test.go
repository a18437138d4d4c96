package upstream

import (
	"testing"

	"github.com/miekg/dns"
)

// BenchmarkExchange is one question after another from several askers, over
// every transport, to servers in the same process on loopback.
func BenchmarkExchange(b *testing.B) {
	ca := newAuthority(b)
	plainServer := listen(b, true, nil, always)
	web, h3 := listenHTTP2(b, ca), listenHTTP3(b, ca)
	web.handler.Store(answerHTTP)
	h3.handler.Store(answerHTTP)
	for _, c := range []struct{ name, spec string }{
		{"udp", plainServer.addr()},
		{"tcp", "tcp://" + plainServer.addr()},
		{"tls", "tls://dns.test#" + listen(b, true, ca.config(b, "dns.test"), always).addr()},
		{"https", web.spec},
		{"quic", "quic://dns.test#" + listenQUIC(b, ca.config(b, "dns.test"), answerQUIC).addr},
		{"h3", h3.spec},
	} {
		b.Run(c.name, func(b *testing.B) {
			g, err := New(Options{Upstreams: []string{c.spec}, RootCAs: ca.roots})
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := g.Exchange(b.Context(), Question{Name: "example.com.", Type: dns.TypeA}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
