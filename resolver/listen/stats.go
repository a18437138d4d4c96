package listen

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"nightlatch/journal"
)

// way is how a question came.
type way uint8

const (
	overUDP way = iota
	overTCP
	overTLS
	overHTTPS
	overQUIC
	ways
)

// String is the name by which the journal and the resolver know a way.
func (w way) String() string { return [ways]string{"udp", "tcp", "tls", "https", "quic"}[w] }

// secret tells whether nobody between can read it.
func (w way) secret() bool { return w >= overTLS }

// stream tells whether it has a connection to be kept alive (RFC 7828), and so
// a client that is where it says it is.
func (w way) stream() bool { return w == overTCP || w == overTLS }

type counters struct {
	asked                                       [ways]atomic.Uint64
	denied, limited, crowded, malformed, noConn atomic.Uint64
}

// Stats counts since the start; Conns and Clients are as of now.
type Stats struct {
	Asked     map[string]uint64 // questions by way: udp, tcp, tls, https, quic
	Denied    uint64            // datagrams and connections of addresses that may not ask
	Limited   uint64            // questions beyond an address's rate
	Crowded   uint64            // datagrams dropped because too many waited for an answer
	Malformed uint64            // PROXY headers, HTTP requests, QUIC streams and cookies that are none
	Refused   uint64            // connections beyond the bounds
	Conns     int
	Clients   int // addresses remembered
}

// Stats gives the counts.
func (s *Server) Stats() Stats {
	c := &s.counts
	st := Stats{
		Asked: map[string]uint64{}, Denied: c.denied.Load(), Limited: c.limited.Load(), Crowded: c.crowded.Load(),
		Malformed: c.malformed.Load(), Refused: c.noConn.Load(), Conns: int(s.conns.Load()), Clients: s.clients.size(),
	}
	for w := range ways {
		st.Asked[w.String()] = c.asked[w].Load()
	}
	return st
}

// tell puts into the journal what was not answered, once a minute at the most
// and together, until ctx ends.
func (s *Server) tell(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var before Stats
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			before = s.tellSince(before)
		}
	}
}

func (s *Server) tellSince(before Stats) Stats {
	now := s.Stats()
	if n := now.Limited - before.Limited; n > 0 {
		s.notice("%d questions of %s were not answered: more than %d a second from one address; dns.home.rate_limit sets how many may come",
			n, s.clients.worst(), s.opt.Rate)
	}
	if n := now.Crowded - before.Crowded; n > 0 {
		s.notice("%d questions were dropped: %d were waiting for the upstreams already", n, maxWaiting)
	}
	if n := now.Refused - before.Refused; n > 0 {
		s.notice("%d connections were refused: at most %d from one address, %d together", n, maxPerSource, maxConns)
	}
	if n := now.Denied - before.Denied; n > 0 {
		s.notice("%d questions or connections came from addresses that may not ask; dns.home.allow names those that may", n)
	}
	return now
}

func (s *Server) notice(format string, args ...any) {
	if s.opt.Recorder != nil {
		s.opt.Recorder.Record(journal.Notice{Time: time.Now(), Level: journal.Warn, Room: "resolver", Text: "home: " + fmt.Sprintf(format, args...)})
	}
}
