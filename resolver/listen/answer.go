package listen

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/policy"
)

// asked is who asks, and how.
type asked struct {
	client   *client
	device   policy.Device // that of the client, or the one it has named
	src, dst netip.AddrPort
	over     way
}

func (a *asked) flow() policy.Flow {
	f := policy.Flow{Device: a.device, Proto: 6, Src: a.src, Dst: a.dst}
	if a.over == overUDP || a.over == overQUIC {
		f.Proto = 17
	}
	return f
}

// refuse answers a query that shall not come to the resolver: one beyond the
// rate, or with a broken cookie. The answer may be silence.
func (s *Server) refuse(a *asked, b []byte, w *wants, now int64) (out []byte, done bool) {
	if w.badCookie && !a.over.secret() { // RFC 7873 §5.2.2
		s.counts.malformed.Add(1)
		return failure(b, dns.RcodeFormatError), true
	}
	if s.clients.within(a.client, now) {
		return nil, false
	}
	s.counts.limited.Add(1)
	if a.over != overUDP || w.cookie != nil && s.cookies.good(w.cookie, a.src.Addr()) {
		return failure(b, dns.RcodeRefused), true // it is where it says it is
	}
	// Every other one is told to come over TCP: somebody whose address another
	// one misuses is answered there.
	if a.client.limited.Load()&1 == 0 {
		return truncated(b), true
	}
	return nil, true
}

// answer answers one query of a connection; nil means silence.
func (s *Server) answer(ctx context.Context, a *asked, b []byte) []byte {
	s.counts.asked[a.over].Add(1)
	w := readWants(b)
	if out, done := s.refuse(a, b, &w, time.Now().UnixNano()); done {
		return s.finish(out, &w, a.over, a.src.Addr())
	}
	out := s.ownAnswer(a, b)
	if out == nil {
		out = s.opt.Resolver.ServeDNS(ctx, a.flow(), a.over.String(), b)
	}
	return s.finish(out, &w, a.over, a.src.Addr())
}
