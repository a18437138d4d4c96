package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxPipes connections to one server, each with up to maxPending questions
	// on it: more than the resolver lets be in flight at all. Another
	// connection is opened when the emptiest one carries spread questions,
	// because some servers answer those of one connection one after another.
	maxPipes   = 4
	maxPending = 512
	spread     = 16
	// idleTime closes a connection nobody used; servers keep theirs about as long.
	idleTime = 20 * time.Second
	// dialTime bounds a dial with its TLS handshake; it outlives the question
	// that began it, so that the next one finds the connection ready.
	dialTime = 4 * time.Second
	// writeTime bounds the sending of one query into a connection that is stuck.
	writeTime = time.Second
	// suspectTime without a single octet while a question waits: the connection is dead,
	// though nobody said so.
	suspectTime = 1400 * time.Millisecond
	// maxStray replies to nothing we asked, then the connection is closed.
	maxStray = 64
)

var (
	errClosed = errors.New("closed")
	errBusy   = errors.New("too many questions in flight")
)

// stream asks over connections that keep order among octets only: TCP and TLS
// (RFC 7766, RFC 7858). Questions are pipelined, answers come in any order.
type stream struct {
	open func(ctx context.Context) (net.Conn, error)

	mu      sync.Mutex
	pipes   []*pipe
	dialing chan struct{} // non-nil while a dial is under way; closed when it ends
	dialErr error         // how the last dial ended
	closed  bool
	stop    context.CancelFunc // ends the dial under way
}

func (s *stream) close() {
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
func (s *stream) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	for range maxPipes {
		p, used, err := s.pipe(ctx)
		if err != nil {
			return nil, err
		}
		r, err := p.exchange(ctx, m)
		if err == nil || !used || ctx.Err() != nil {
			return r, err
		}
	}
	return nil, errBusy
}

// pipe finds the connection with the most room, or dials one; all who wait
// for a connection wait for the same dial. used tells that the connection was
// there before the question.
func (s *stream) pipe(ctx context.Context) (p *pipe, used bool, err error) {
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
func (s *stream) pick(ctx context.Context, first bool) (*pipe, chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed
	}
	s.pipes = slices.DeleteFunc(s.pipes, (*pipe).isDead)
	best, load := (*pipe)(nil), maxPending
	for _, p := range s.pipes {
		if n := p.load(); n < load {
			best, load = p, n
		}
	}
	if best != nil && (load < spread || s.dialing != nil || len(s.pipes) >= maxPipes) {
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
func (s *stream) startDial(ctx context.Context) {
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
			conn.Close()
		default:
			s.pipes = append(s.pipes, newPipe(conn))
		}
		close(done)
	}()
}

// pipe is one connection with the questions that wait on it.
type pipe struct {
	conn net.Conn

	mu      sync.Mutex
	waiting map[uint16]*call
	dead    error
	heard   time.Time // when the last reply came in

	writing sync.Mutex // one query after another, whole
}

type call struct {
	msg *dns.Msg
	got chan *dns.Msg // buffered: whoever delivers never waits
}

func newPipe(conn net.Conn) *pipe {
	p := &pipe{conn: conn, waiting: map[uint16]*call{}}
	_ = conn.SetReadDeadline(time.Now().Add(idleTime))
	go p.read()
	return p
}

func (p *pipe) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead != nil
}

func (p *pipe) load() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// fail ends the connection and everything that waits on it.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	first := p.dead == nil
	if first {
		p.dead = err
		for _, c := range p.waiting {
			close(c.got)
		}
		p.waiting = nil
	}
	p.mu.Unlock()
	if first {
		p.conn.Close() // outside the lock: TLS says goodbye first, and may have to wait
	}
}

// enter takes an ID nobody on this connection uses.
func (p *pipe) enter(m *dns.Msg) (uint16, *call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead != nil {
		return 0, nil, p.dead
	}
	id := randomID()
	for p.waiting[id] != nil {
		id++
	}
	c := &call{m, make(chan *dns.Msg, 1)}
	p.waiting[id] = c
	return id, c, nil
}

func (p *pipe) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	id, c, err := p.enter(m)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	if err := p.send(m, id); err != nil {
		p.fail(err)
		return nil, err
	}
	select {
	case r, ok := <-c.got:
		if !ok {
			return nil, p.dead // written before got was closed
		}
		return r, nil
	case <-ctx.Done():
		p.leave(id, sent)
		return nil, ctx.Err()
	}
}

// leave gives up waiting. A late reply is then a stray and does no harm; but a
// connection on which nothing at all came in is given up.
func (p *pipe) leave(id uint16, sent time.Time) {
	p.mu.Lock()
	delete(p.waiting, id)
	silent := p.heard.Before(sent) && time.Since(sent) >= suspectTime
	p.mu.Unlock()
	if silent {
		p.fail(fmt.Errorf("silent connection: %w", context.DeadlineExceeded))
	}
}

func (p *pipe) send(m *dns.Msg, id uint16) error {
	b, err := pack(m, id)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	// One write, so that length and message share a segment (RFC 7766 §8).
	b = append(binary.BigEndian.AppendUint16(make([]byte, 0, len(b)+2), uint16(len(b))), b...)
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = p.conn.SetReadDeadline(time.Now().Add(idleTime))
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := p.conn.Write(b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// read hands out replies until the connection ends.
func (p *pipe) read() {
	var head [2]byte
	for stray := 0; stray < maxStray; {
		if _, err := io.ReadFull(p.conn, head[:]); err != nil {
			p.fail(fmt.Errorf("receive: %w", err))
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(p.conn, b); err != nil {
			p.fail(fmt.Errorf("receive: %w", err))
			return
		}
		if !p.deliver(b) {
			stray++
		}
	}
	p.fail(errReply)
}

func (p *pipe) deliver(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	id := binary.BigEndian.Uint16(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.waiting[id]
	if c == nil {
		return false
	}
	r, ok := accept(b, c.msg, id)
	if !ok {
		return false
	}
	p.heard = time.Now()
	delete(p.waiting, id)
	c.got <- r
	return true
}
