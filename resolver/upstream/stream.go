package upstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// streamSpread: some servers answer the questions of one connection one
	// after another, so that another is opened early.
	streamSpread = 16
	// writeTime bounds the sending of one query into a connection that is stuck.
	writeTime = time.Second
	// maxStray replies to nothing we asked, then the connection is closed.
	maxStray = 64
)

// newStream makes a way to ask over connections that keep order among octets
// only: TCP and TLS (RFC 7766, RFC 7858). Questions are pipelined, answers
// come in any order.
func newStream(open func(ctx context.Context) (net.Conn, error)) *pool {
	return &pool{spread: streamSpread, open: func(ctx context.Context) (carrier, error) {
		conn, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return newPipe(conn), nil
	}}
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
	b = framed(b)
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
