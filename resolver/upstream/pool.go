package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxPipes connections to one server, each with up to maxPending questions
	// on it: more than the resolver lets be in flight at all.
	maxPipes   = 4
	maxPending = 512
	// dialTime bounds a dial with its TLS handshake; it outlives the question
	// that began it, so that the next one finds the connection ready.
	dialTime = 4 * time.Second
	// idleTime closes a connection nobody used; servers keep theirs about as long.
	idleTime = 20 * time.Second
	// suspectTime without a single octet while a question waits: the connection is dead,
	// though nobody said so.
	suspectTime = 1400 * time.Millisecond
)

var (
	errClosed = errors.New("closed")
	errBusy   = errors.New("too many questions in flight")
)

// carrier is one connection that questions travel on, many at a time.
type carrier interface {
	exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error)
	load() int      // questions that wait on it
	isDead() bool   // it takes no more
	fail(err error) // ends it, and with it everything that waits
}

// pool keeps the connections to one server: as few as will do, opened when
// they are needed, shared by all questions.
type pool struct {
	open   func(ctx context.Context) (carrier, error)
	spread int // questions on the emptiest connection when another is opened

	mu      sync.Mutex
	pipes   []carrier
	dialing chan struct{} // non-nil while a dial is under way; closed when it ends
	dialErr error         // how the last dial ended
	closed  bool
	stop    context.CancelFunc // ends the dial under way
}

func (s *pool) close() {
	s.mu.Lock()
	s.closed = true
	pipes, stop := s.pipes, s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	for _, p := range pipes {
		p.fail(errClosed)
	}
}

// exchange asks on a connection at hand or on a new one. A connection that
// the server closed while it was idle is no failure: the question is asked
// again on another.
func (s *pool) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	for range maxPipes {
		p, used, err := s.pipe(ctx)
		if err != nil {
			return nil, err
		}
		r, err := p.exchange(ctx, m)
		if err == nil || !used || ctx.Err() != nil || !p.isDead() {
			return r, err
		}
	}
	return nil, errBusy
}

// pipe finds the connection with the most room, or dials one; all who wait
// for a connection wait for the same dial. used tells that the connection was
// there before the question.
func (s *pool) pipe(ctx context.Context) (p carrier, used bool, err error) {
	for first := true; ; first = false {
		p, done, err := s.pick(ctx, first)
		if p != nil || err != nil {
			return p, first, err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, false, fmt.Errorf("dial: %w", ctx.Err())
		}
	}
}

// pick gives a connection, or a dial to wait for, or an error: that of the
// dial the caller waited for, when it is not his first try.
func (s *pool) pick(ctx context.Context, first bool) (carrier, chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed
	}
	s.pipes = slices.DeleteFunc(s.pipes, carrier.isDead)
	best, load := carrier(nil), maxPending
	for _, p := range s.pipes {
		if n := p.load(); n < load {
			best, load = p, n
		}
	}
	if best != nil && (load < s.spread || s.dialing != nil || len(s.pipes) >= maxPipes) {
		return best, nil, nil
	}
	switch {
	case s.dialing != nil:
	case !first && best == nil && s.dialErr != nil:
		return nil, nil, s.dialErr
	case len(s.pipes) >= maxPipes:
		return nil, nil, errBusy
	default:
		s.startDial(ctx)
	}
	return best, s.dialing, nil
}

// startDial is called with the lock held.
func (s *pool) startDial(ctx context.Context) {
	done := make(chan struct{})
	dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTime)
	s.dialing, s.stop = done, cancel
	go func() {
		defer cancel()
		conn, err := s.open(dctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dialing, s.dialErr = nil, nil
		switch {
		case err != nil:
			s.dialErr = fmt.Errorf("dial: %w", err)
		case s.closed:
			conn.fail(errClosed)
		default:
			s.pipes = append(s.pipes, conn)
		}
		close(done)
	}()
}
