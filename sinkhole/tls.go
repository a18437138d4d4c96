package sinkhole

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"nightlatch/hello/clienthello"
	"nightlatch/journal"
)

// Outcomes of a TLS connection, as journal.TLS.Outcome tells them.
const (
	OutcomeRead      = "read"                                   // the client trusts our authority
	OutcomeNoCA      = "no CA"                                  // the owner made none: not offered
	OutcomeRefused   = "refused our certificate"                // with an alert that says so
	OutcomeHungUp    = "hung up on our certificate"             // without a word, during the handshake
	OutcomeSilent    = "accepted our certificate, sent nothing" // pinning checked late, or a connection in advance
	OutcomeRemember  = "refused our certificate before"         // not offered again for a while
	OutcomeExempt    = "never intercepted"                      // the host's owner says that it breaks
	OutcomeOutside   = "outside the domains of our authority"   // the owner made it for certain domains only
	OutcomeOtherName = "asked for a name that is not sunk"      // SNI of another name: not offered
	OutcomeFailed    = "handshake failed"                       // no version or cipher in common, or a fault; see Alert
	OutcomeBroken    = "broke off during the ClientHello"       // half a ClientHello, then silence
	OutcomeMalformed = "malformed ClientHello"                  // bytes that only begin like TLS
)

// handshakeFailure is the alert record for connections that are not opened:
// fatal, handshake_failure (RFC 8446 §6.2).
const handshakeFailure = "\x15\x03\x03\x00\x02\x02\x28"

// alertDrain bounds what is read after our alert, so that closing with unread
// bytes does not reset the connection before the client has seen it.
const alertDrain = 64 << 10

// serveTLS reads the ClientHello, and goes on when this client may be read.
func (x *session) serveTLS() {
	at := x.capture()
	at.Scheme = "tls"
	raw, hello, err := x.readHello()
	at.Size, at.Sample = int64(len(raw)), raw
	if err != nil {
		at.TLS = &journal.TLS{Outcome: OutcomeMalformed}
		if errors.Is(err, clienthello.ErrShort) {
			at.TLS.Outcome = OutcomeBroken
		}
		x.turnAway()
		x.s.takeTLS(at)
		return
	}
	info := journal.TLS{SNI: hello.SNI, ALPN: hello.ALPN, Version: clienthello.VersionName(hello.Best()), JA4: hello.JA4()}
	at.TLS = &info
	if x.observed {
		info.Outcome = OutcomeObserved
		x.s.takeTLS(at)
		return
	}
	who, why := x.s.mayRead(x, &info)
	if why != "" {
		info.Outcome = why
		x.turnAway()
		x.s.takeTLS(at)
		return
	}
	if x.intercept(who, &info) {
		x.s.takeTLS(at)
	}
}

// readHello waits for the whole ClientHello without taking it from the stream.
func (x *session) readHello() ([]byte, *clienthello.Hello, error) {
	for {
		msg, used, err := clienthello.Message(x.conn.seen())
		if err == nil {
			hello, err := clienthello.Parse(msg)
			return append([]byte(nil), x.conn.seen()[:used]...), hello, err
		}
		if !errors.Is(err, clienthello.ErrShort) || x.conn.more() != nil {
			return append([]byte(nil), x.conn.seen()...), nil, err
		}
	}
}

// mayRead decides whether a client is offered our certificate, and for which
// host; why is the outcome when it is not. Only the flow's own sunk name
// counts, or a name below it that is sunk itself: a certificate for anything
// else could open what was meant for a wanted server.
func (s *Sinkhole) mayRead(x *session, info *journal.TLS) (who client, why string) {
	name, sni := x.flow.Name, info.SNI
	if sni = strings.ToLower(strings.TrimSuffix(sni, ".")); sni != "" && sni != name {
		if !strings.HasSuffix(sni, "."+name) || !s.pool.Has(sni) {
			return client{}, OutcomeOtherName
		}
		name = sni
	}
	who = client{x.flow.Device.Name, name, info.JA4}
	ca := s.CA()
	switch exempt := s.opt.Exempt; {
	case ca == nil:
		return client{}, OutcomeNoCA
	case exempt != nil && (exempt(name) || exempt(x.flow.Name)):
		return client{}, OutcomeExempt
	case !ca.May(name):
		return client{}, OutcomeOutside
	case s.refusals.active(who):
		return client{}, OutcomeRemember
	}
	return who, ""
}

// intercept opens the TLS connection with a leaf for the host and serves what
// is inside. It tells whether the connection itself is still to be recorded:
// once a payload was read, that was recorded instead.
func (x *session) intercept(who client, info *journal.TLS) (record bool) {
	leaf, err := x.s.leaf(who.name)
	if err != nil {
		info.Outcome, info.Alert = OutcomeFailed, err.Error()
		x.turnAway()
		return true
	}
	x.conn.SetDeadline(time.Now().Add(x.s.limits.Hello))
	seen := &tail{Conn: x.conn}
	tc := tls.Server(seen, x.s.tlsConfig(who.name, leaf))
	defer tc.Close()
	if err := tc.HandshakeContext(x.ctx); err != nil {
		if alert, ok := seen.plainAlert(); ok {
			err = &net.OpError{Op: "remote error", Err: alert}
		}
		x.untrusted(who, info, err)
		return true
	}
	x.conn.SetDeadline(time.Time{})
	state := tc.ConnectionState()
	info.Version = clienthello.VersionName(state.Version)
	info.Outcome = OutcomeRead
	inside := *info // captures keep it: never changed again
	y := &session{s: x.s, ctx: x.ctx, flow: x.flow, scheme: "https", tls: &inside, client: who}
	if state.NegotiatedProtocol == "h2" {
		y.conn = x.conn
		y.serveHTTP2(tc)
	} else {
		y.conn = x.s.newStream(tc)
		y.serve()
		y.conn.release()
	}
	if y.requests.Load() > 0 || x.conn.active.Load() > 1 {
		return false
	}
	if alert, ok := remoteAlert(y.err); ok {
		x.untrusted(who, info, alert)
		return true
	}
	info.Outcome = OutcomeSilent
	x.s.refusals.add(who, false)
	return true
}

// leaf signs for a name with the authority in force.
func (s *Sinkhole) leaf(name string) (*tls.Certificate, error) {
	m := s.mint.Load()
	if m == nil { // dropped a moment ago
		return nil, errors.New("the certificate authority was removed")
	}
	return m.Leaf(name)
}

// tlsConfig shows one leaf for one name. There are no session tickets: a
// resumed session would say nothing about whether the client still trusts us.
func (s *Sinkhole) tlsConfig(name string, leaf *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
		Time:                   s.now,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if sni := strings.ToLower(strings.TrimSuffix(h.ServerName, ".")); sni != "" && sni != name {
				return nil, errors.New("the name changed during the handshake") // a second ClientHello that lies
			}
			return leaf, nil
		},
	}
}

// untrusted tells how a handshake ended that did not lead inside.
func (x *session) untrusted(who client, info *journal.TLS, err error) {
	alert, remote := remoteAlert(err)
	switch {
	case remote && aboutCertificate(alert.Error()):
		info.Outcome, info.Alert = OutcomeRefused, words(alert)
		x.s.refusals.add(who, true)
	case remote:
		info.Outcome, info.Alert = OutcomeFailed, words(alert)
	case hungUp(err):
		info.Outcome = OutcomeHungUp
		x.s.refusals.add(who, false)
	default:
		info.Outcome, info.Alert = OutcomeFailed, words(err)
		return
	}
	x.s.counts.untrusted.Add(1)
}

// remoteAlert is the alert that the client sent, if one ended the connection.
func remoteAlert(err error) (alert error, ok bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // crypto/tls: every alert of the peer
		return op.Err, true
	}
	return nil, false
}

// aboutCertificate tells the alerts that speak of our certificate
// (RFC 8446 §6.2) from those that speak of versions and ciphers.
func aboutCertificate(text string) bool {
	for _, w := range []string{"certificate", "unknown CA", "access denied", "user canceled"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// words is an error of crypto/tls without its prefix.
func words(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// turnAway ends a connection that is not opened, in a way that TLS clients
// understand at once.
func (x *session) turnAway() {
	if x.write([]byte(handshakeFailure)) != nil {
		return
	}
	x.conn.closeWrite()
	x.within(time.Second)
	buf := x.s.chunk()
	defer x.s.buffers.Put(buf)
	for n := 0; n < alertDrain; {
		k, err := x.conn.Read(*buf)
		if n += k; err != nil {
			return
		}
	}
}

// hungUp tells a client that closed or reset the connection from our own
// faults and from the clock.
func hungUp(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.As(err, &op) && op.Op == "read" && !op.Timeout() && !errors.Is(err, net.ErrClosed)
}
