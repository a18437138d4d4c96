package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// gate accepts connections: it reads what a proxy says of them, closes those
// that may not ask and those that are too many, and hands on the rest as
// *caller. It is a net.Listener, for net/http.
type gate struct {
	net.Listener
	s    *Server
	over way

	once  sync.Once
	ready chan *caller
	done  chan struct{}
}

func newGate(s *Server, l net.Listener, over way) *gate {
	return &gate{Listener: l, s: s, over: over, ready: make(chan *caller), done: make(chan struct{})}
}

// caller is a connection that may ask.
type caller struct {
	net.Conn
	s        *Server
	client   *client
	src, dst netip.AddrPort
	closed   sync.Once
}

// RemoteAddr is the client's, whatever proxy is between.
func (c *caller) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.src) }

// Close gives the connection's place back.
func (c *caller) Close() error {
	c.closed.Do(func() { c.s.leave(c.client) })
	return c.Conn.Close()
}

// enter takes a place for a connection of a client; false when there is none.
func (s *Server) enter(c *client) bool {
	all, own := s.conns.Add(1), c.conns.Add(1)
	if all > maxConns || own > maxPerSource {
		s.leave(c)
		s.counts.noConn.Add(1)
		return false
	}
	return true
}

func (s *Server) leave(c *client) {
	s.conns.Add(-1)
	c.conns.Add(-1)
}

// Accept gives the next *caller.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.ready:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.done) })
	return g.Listener.Close()
}

// run accepts until the gate is closed. Only connections of named proxies are
// read from here, each by itself, and these are few.
func (g *gate) run(ctx context.Context) error {
	slots := make(chan struct{}, maxPerSource)
	for {
		c, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // no file descriptors left, or a client that is gone already
			wait(ctx, pause)
			continue
		}
		src := addrPort(c.RemoteAddr())
		if !within(g.s.opt.Proxies, src.Addr()) {
			g.admit(c, src, addrPort(c.LocalAddr()))
			continue
		}
		select {
		case slots <- struct{}{}:
			g.s.running.Go(func() {
				defer func() { <-slots }()
				g.proxied(c, src)
			})
		default:
			g.s.counts.noConn.Add(1)
			c.Close()
		}
	}
}

// proxied admits a connection that a proxy has made for somebody.
func (g *gate) proxied(c net.Conn, src netip.AddrPort) {
	_ = c.SetReadDeadline(time.Now().Add(readPatience))
	p, err := readProxy(c)
	if err != nil {
		g.s.counts.malformed.Add(1)
		c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	dst := addrPort(c.LocalAddr())
	if p.src.IsValid() {
		src, dst = p.src, p.dst
	}
	g.admit(c, src, dst)
}

// admit hands on a connection that may ask.
func (g *gate) admit(c net.Conn, src, dst netip.AddrPort) {
	cl := g.s.clients.find(src.Addr())
	if cl == nil {
		g.s.counts.denied.Add(1)
		c.Close()
		return
	}
	if !g.s.enter(cl) {
		c.Close()
		return
	}
	in := &caller{Conn: c, s: g.s, client: cl, src: src, dst: dst}
	select {
	case g.ready <- in:
	case <-g.done:
		in.Close()
	}
}

// wait passes some time, less when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// addrPort reads a TCP or UDP address.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
