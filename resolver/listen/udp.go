package listen

import (
	"context"
	"net/netip"
	"time"
)

// bufferSize is the octets of a datagram that are read; a query with every
// option there is has a few hundred.
const bufferSize = 2048

// reader takes the datagrams of one socket, one after another. It remembers the
// last client, as datagrams come in rows.
type reader struct {
	s     *Server
	last  *client
	addr  netip.Addr
	known *Known
	asks  asked
}

// take answers a datagram where that takes no waiting. wait means that the
// answer must be waited for; no answer without it is silence. What it gives of
// asked is good until the next call.
func (r *reader) take(src, dst netip.AddrPort, b []byte, now time.Time) (out []byte, wait bool) {
	if known := r.s.clients.known.Load(); src.Addr() != r.addr || known != r.known {
		r.addr, r.known, r.last = src.Addr(), known, r.s.clients.find(src.Addr())
	}
	if r.last == nil || src.Port() == 0 {
		r.s.counts.denied.Add(1)
		return nil, false
	}
	r.asks = asked{client: r.last, device: r.last.device, src: src, dst: dst, over: overUDP}
	w := readWants(b)
	if out, done := r.s.refuse(&r.asks, b, &w, now.UnixNano()); done {
		return r.s.finish(out, &w, overUDP, src.Addr()), false
	}
	if out = r.s.ownAnswer(&r.asks, b); out == nil {
		var ok bool
		if out, ok = r.s.opt.Resolver.ServeNow(r.asks.flow(), b); !ok {
			return nil, true
		}
	}
	return r.s.finish(out, &w, overUDP, src.Addr()), false
}

// later waits for the answer to a datagram and sends it. b is the caller's
// until later returns. Beyond the bounds it is dropped: a client asks again,
// and one device cannot take more than half of the places.
func (r *reader) later(ctx context.Context, b []byte, send func([]byte)) {
	s, c := r.s, r.last
	all, own := s.waiting.Add(1), c.waiting.Add(1)
	if all > maxWaiting || own > maxWaiting/2 {
		s.waiting.Add(-1)
		c.waiting.Add(-1)
		s.counts.crowded.Add(1)
		return
	}
	job := waiting{client: c, asks: r.asks, query: append([]byte(nil), b...), send: send}
	select {
	case s.idle <- job:
	default:
		s.running.Go(func() { s.work(ctx, job) })
	}
}

// waiting is a datagram whose answer must be waited for.
type waiting struct {
	client *client
	asks   asked
	query  []byte
	send   func([]byte)
}

// work waits for the answer to one datagram, and then for others: a goroutine
// that has grown its stack is worth keeping. A few stay for the next ones.
func (s *Server) work(ctx context.Context, job waiting) {
	for {
		s.wait(ctx, &job)
		if s.idlers.Add(1) > maxIdlers {
			s.idlers.Add(-1)
			return
		}
		select {
		case job = <-s.idle:
			s.idlers.Add(-1)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) wait(ctx context.Context, job *waiting) {
	defer s.waiting.Add(-1)
	defer job.client.waiting.Add(-1)
	w := readWants(job.query)
	out := s.opt.Resolver.ServeDeclined(ctx, job.asks.flow(), overUDP.String(), job.query)
	if out = s.finish(out, &w, overUDP, job.asks.src.Addr()); out != nil {
		job.send(out)
	}
}
