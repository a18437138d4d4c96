package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

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
	// grace is how long we go on listening after ICMP says the port is closed:
	// ICMP can be forged too, but a host that is really down must not cost a
	// whole timeout.
	grace = 150 * time.Millisecond
	// udpBuffer holds any reply to a query that announced udpSize.
	udpBuffer = 4096
)

// resend is how long each UDP query waits before the next one is sent from a
// new port; a lost packet costs a second and no more.
func resend() []time.Duration {
	return []time.Duration{time.Second, 1500 * time.Millisecond, 2500 * time.Millisecond}
}

// errFolded: the name came back in letters we did not send, from somebody who
// knew everything else.
var errFolded = errors.New("the name came back in other letters")

// plain asks over UDP, and over TCP what does not fit.
type plain struct {
	addr    string
	dial    DialFunc
	tcp     *pool
	letters letters
}

func (p *plain) close() { p.tcp.close() }

func (p *plain) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	var r *dns.Msg
	var err error
	switch p.letters.mode(time.Now()) {
	case small:
		r, err = p.udp(ctx, m, false)
	case trying:
		r, err = p.try(ctx, m)
	default:
		if r, err = p.udp(ctx, m, true); errors.Is(err, errFolded) {
			p.letters.folded(time.Now())
			if r, err = p.tcp.exchange(ctx, m); err != nil && ctx.Err() == nil { // where nobody can forge
				r, err = p.udp(ctx, m, false)
			}
		}
	}
	if errors.Is(err, errForged) || err == nil && r.Truncated {
		return p.tcp.exchange(ctx, m)
	}
	return r, err
}

// try asks with mixed letters a server of which nobody knows how it takes them.
// Only an answer with records is taken as it is; anything else may be the
// letters' fault, and small ones tell.
func (p *plain) try(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	r, err := p.once(ctx, m, true, resend()[0])
	switch {
	case err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0, ctx.Err() != nil, errors.Is(err, errForged):
		return r, err
	case err == nil && (r.Truncated || ednsRefused(r)):
		return r, nil
	case err != nil && !errors.Is(err, errFolded) && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, err // it cannot be reached
	}
	again, e := p.udp(ctx, m, false)
	if e == nil && (err != nil || r.Rcode != again.Rcode || len(r.Answer) != len(again.Answer)) {
		p.letters.minds(time.Now())
	}
	return again, e
}

func (p *plain) udp(ctx context.Context, m *dns.Msg, mix bool) (r *dns.Msg, err error) {
	for _, wait := range resend() {
		r, err = p.once(ctx, m, mix, wait)
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

// once sends one datagram from a port of its own and waits for the one right
// reply; whatever else arrives is ignored.
func (p *plain) once(ctx context.Context, m *dns.Msg, mix bool, wait time.Duration) (*dns.Msg, error) {
	conn, err := p.dial(ctx, "udp", p.addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(wait))
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	a := attempt{m: m, id: randomID()}
	if a.was, err = pack(m, a.id); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	a.sent = a.was
	if mix {
		a.sent = bytes.Clone(a.was)
		mixCase(a.sent)
	}
	if _, err = conn.Write(a.sent); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	r, err := a.listen(ctx, conn)
	if err == nil && mix && len(r.Answer) > 0 {
		p.letters.kept()
	}
	return r, err
}

// attempt is one datagram under way: the message, and its bytes before and
// after their letters were mixed.
type attempt struct {
	m         *dns.Msg
	id        uint16
	was, sent []byte
}

// listen waits for the reply. What says that there will be none (a closed
// port, a name in other letters) may be forged, so that the right one has a
// little more time to come.
func (a *attempt) listen(ctx context.Context, conn net.Conn) (*dns.Msg, error) {
	buf := make([]byte, udpBuffer)
	var doubt error
	for wrong := 0; wrong < maxForged; {
		n, err := conn.Read(buf)
		var r *dns.Msg
		switch {
		case err == nil:
			if r, err = a.read(buf[:n]); err == nil {
				return r, nil
			}
		case errors.Is(err, syscall.ECONNREFUSED):
		case doubt != nil:
			return nil, fmt.Errorf("receive: %w", doubt)
		default:
			return nil, fmt.Errorf("receive: %w", err)
		}
		if wrong++; doubt == nil && !errors.Is(err, errReply) {
			doubt = err
			_ = conn.SetReadDeadline(time.Now().Add(grace))
			if ctx.Err() != nil { // the deadline that ctx set must stand
				return nil, ctx.Err()
			}
		}
	}
	return nil, errForged
}

// read gives errReply for what is no reply to the datagram, errFolded for what
// is one but for its letters.
func (a *attempt) read(b []byte) (*dns.Msg, error) {
	kept := unmix(b, a.sent, a.was)
	r, ok := accept(b, a.m, a.id)
	switch {
	case !ok:
		return nil, errReply
	case !kept && len(r.Question) > 0 && !bytes.Equal(a.sent, a.was):
		return nil, errFolded
	}
	return r, nil
}
