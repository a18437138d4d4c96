package sinkhole

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"nightlatch/policy"
)

// OutcomeObserved: TLS on an observed flow. It is never opened: what it shows
// is read, and it goes on as it came.
const OutcomeObserved = "forwarded as it is; not opened"

// flagObserved marks captures of what was forwarded: it did reach the server.
const flagObserved = "observed"

// maxTap bounds what waits to be read of one observed flow. A flow that is
// faster than its reader, for instance while a payload is decoded, is no longer
// looked at.
const maxTap = 256 << 10

// Observe begins to read along with a flow that is forwarded. What the device
// sends is to be written to the tap, in order, after it was forwarded; the
// owner of the flow closes the tap at its end. Writing never waits and never
// fails, whatever is written: a tap that cannot follow falls silent, and the
// flow does not notice. Requests of plain HTTP/1.x are decoded and recorded with
// the flag "observed", until a request asks to switch protocols; of TLS its
// ClientHello is; nothing else is kept. It ends with ctx. It fits
// tunnel.Handlers.Observe.
func (s *Sinkhole) Observe(ctx context.Context, f policy.Flow) io.WriteCloser {
	t := &tap{s: s}
	t.wake.L = &t.mu
	if s.taps.Add(1) > int64(s.limits.Conns) || !s.shares.take(f.Device.Key, max(1, s.limits.Conns/2)) {
		s.taps.Add(-1)
		s.counts.refused.Add(1)
		t.done = true
		return t
	}
	stop := context.AfterFunc(ctx, func() { t.Close() })
	go func() {
		defer s.taps.Add(-1)
		defer s.shares.give(f.Device.Key)
		defer stop()
		defer t.end()
		defer s.caught("observed flow", f.Name)
		x := &session{s: s, ctx: ctx, flow: f, scheme: "http", conn: s.newStream(observer{t}), observed: true}
		defer x.conn.release()
		x.serve()
	}()
	return t
}

// tap is a flow that is read along with: a connection to read from, with the
// writes of its owner as its other end. What the sinkhole would answer goes
// nowhere. It has no deadlines: it waits as long as the flow does.
type tap struct {
	s *Sinkhole

	mu   sync.Mutex
	wake sync.Cond
	buf  []byte // what was not read yet; its size is taken from the shared budget
	done bool   // nothing more is taken in
}

// Write takes in what there is room for; what is not is the end of the tap.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := int64(len(p))
	switch {
	case t.done || n == 0:
		return len(p), nil
	case len(t.buf)+len(p) > maxTap || t.s.memory.Add(n) > t.s.limits.Memory:
		if len(t.buf)+len(p) <= maxTap {
			t.s.memory.Add(-n)
		}
		t.done = true
		t.s.counts.cut.Add(1)
	default:
		t.buf = append(t.buf, p...)
	}
	t.wake.Signal()
	return len(p), nil
}

// Close says that the flow has ended. What came before is still read.
func (t *tap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
	t.wake.Signal()
	return nil
}

// end lets go of what was not read.
func (t *tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
	t.s.memory.Add(-int64(len(t.buf)))
	t.buf = nil
}

// Read waits for what the owner writes.
func (t *tap) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.buf) == 0 {
		if t.done {
			return 0, io.EOF
		}
		t.wake.Wait()
	}
	n := copy(p, t.buf)
	if t.buf = t.buf[n:]; len(t.buf) == 0 {
		t.buf = nil
	}
	t.s.memory.Add(-int64(n))
	return n, nil
}

// observer is the tap as the session's connection, apart from its owner's end.
type observer struct{ *tap }

// Write goes nowhere: the server itself answers.
func (o observer) Write(p []byte) (int, error) { return len(p), nil }

// LocalAddr and the others complete a net.Conn.
func (o observer) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (o observer) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (o observer) SetDeadline(time.Time) error      { return nil }
func (o observer) SetReadDeadline(time.Time) error  { return nil }
func (o observer) SetWriteDeadline(time.Time) error { return nil }
