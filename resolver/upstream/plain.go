package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// DialFunc opens a connection; address is always an IP address and a port.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// exchanger is one way to one server. It must be safe for concurrent use, and
// return when ctx ends.
type exchanger interface {
	exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error)
	close()
}

const (
	// maxForged wrong replies on one port: from then on TCP asks, where
	// guessing does not help.
	maxForged = 64
	// refusedGrace is how long we go on listening after ICMP says the port is
	// closed: ICMP can be forged too, but a host that is really down must not
	// cost a whole timeout.
	refusedGrace = 150 * time.Millisecond
	// udpBuffer holds any reply to a query that announced udpSize.
	udpBuffer = 4096
)

// resend is how long each UDP query waits before the next one is sent from a
// new port; a lost packet costs a second and no more.
func resend() []time.Duration {
	return []time.Duration{time.Second, 1500 * time.Millisecond, 2500 * time.Millisecond}
}

// plain asks over UDP, and over TCP what does not fit.
type plain struct {
	addr string
	dial DialFunc
	tcp  *stream
}

func (p *plain) close() { p.tcp.close() }

func (p *plain) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	var r *dns.Msg
	var err error
	for _, wait := range resend() {
		r, err = p.once(ctx, m, wait)
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(err, errForged) || err == nil && r.Truncated {
		return p.tcp.exchange(ctx, m)
	}
	return r, err
}

// once sends one datagram from a port of its own and waits for the one right
// reply; whatever else arrives is ignored.
func (p *plain) once(ctx context.Context, m *dns.Msg, wait time.Duration) (*dns.Msg, error) {
	conn, err := p.dial(ctx, "udp", p.addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wait))
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	id := randomID()
	b, err := pack(m, id)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if _, err = conn.Write(b); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	return p.listen(ctx, conn, m, id)
}

func (p *plain) listen(ctx context.Context, conn net.Conn, m *dns.Msg, id uint16) (*dns.Msg, error) {
	buf := make([]byte, udpBuffer)
	var refused error
	for wrong := 0; wrong < maxForged; {
		n, err := conn.Read(buf)
		switch {
		case err == nil:
		case errors.Is(err, syscall.ECONNREFUSED) && refused == nil:
			refused = err
			_ = conn.SetReadDeadline(time.Now().Add(refusedGrace))
			if ctx.Err() != nil { // the deadline that ctx set must stand
				return nil, ctx.Err()
			}
			continue
		case refused != nil:
			return nil, fmt.Errorf("receive: %w", refused)
		default:
			return nil, fmt.Errorf("receive: %w", err)
		}
		if r, ok := accept(buf[:n], m, id); ok {
			return r, nil
		}
		wrong++
	}
	return nil, errForged
}
