package tunnel

import (
	"context"
	"net"
	"strings"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/fold"
	"nightlatch/tunnel/httpdns"
	"nightlatch/tunnel/opening"
)

// A connection says itself whom it is for, before the first byte of it reaches
// the other end: that names flows to hard-coded addresses, tells apart the names
// that share one, and stops those that came to a blocked name by another way.

// reasonUnreadable: no client that means well sends such a hello.
const reasonUnreadable = "TLS that hides its name"

// coverName stands in the clear where one of Cloudflare's customers is meant: the
// name that was resolved says more.
const coverName = "cloudflare-ech.com"

// refusal is why a connection ended that was let pass by its address.
type refusal struct{ verdict policy.Verdict }

func (r refusal) Error() string { return "refused: " + why(r.verdict) }

// watch gives the function that reads the first bytes of a TCP flow.
func (t *Tunnel) watch(ctx context.Context, f *flow) func(b []byte) (more bool, err error) {
	if f.Exact { // nothing that it says could be surer
		return nil
	}
	var r opening.Reader
	return func(b []byte) (bool, error) {
		w, done := r.Add(b)
		if !done {
			return true, nil
		}
		v := f.says(w, time.Now())
		if !v.Action.Stops() {
			return false, nil
		}
		f.refused() // first, so that the journal is never behind the phone
		f.pause(ctx)
		return false, refusal{v}
	}
}

// tcpHear refuses a connection to an address that a list names, but first hears
// what it asks for: it may be a name, of a resolver that apps carry inside.
// Nothing goes on; there is no other end.
func (t *Tunnel) tcpHear(ctx context.Context, r *request, f *flow) {
	c := r.accept(ctx)
	if c == nil {
		f.refused()
		return
	}
	f.peer.addTCP(1)
	defer f.peer.addTCP(-1)
	defer c.Abort()
	defer context.AfterFunc(ctx, c.Abort)()
	if w, ok := t.hear(c); ok {
		f.says(w, time.Now())
	}
	f.refused() // first, so that the journal is never behind the phone
	f.pause(ctx)
}

// hear reads the first bytes of a connection, for as long as they may take.
func (t *Tunnel) hear(c net.Conn) (opening.Words, bool) {
	c.SetReadDeadline(time.Now().Add(t.hold))
	buf := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buf)
	for reader := (opening.Reader{}); ; {
		n, err := c.Read(*buf)
		if n > 0 {
			if w, done := reader.Add((*buf)[:n]); done {
				return w, true
			}
		}
		if err != nil {
			return opening.Words{}, false
		}
	}
}

// says takes in what a flow says of itself, and decides about it by that.
func (f *flow) says(w opening.Words, now time.Time) policy.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.Flow
	var q httpdns.Question
	if w.Kind == opening.HTTP {
		var asks bool
		if q, asks = httpdns.Read(w.Target, w.Addr.IsValid() || f.resolved == ""); asks {
			next.Asked, next.HTTPDNS = q.Names, f.resolved == ""
		}
	}
	if w.Name != "" {
		next.Name = w.Name
		f.known = f.how(w)
	}
	v := f.t.judge(&next, now)
	if w.ECH && w.Name == coverName && f.resolved != "" && !v.Action.Stops() {
		next.Name = f.resolved
	}
	f.Flow = next
	if w.Kind == opening.Unreadable && !v.Wanted() {
		v = policy.Verdict{Action: policy.Deny, Reason: reasonUnreadable}
	}
	if v.Action != f.verdict.Action || v.Reason != "" || v.Rule.List != "" { // else the address has more to tell
		f.verdict = v
	}
	for _, name := range next.Asked {
		f.t.record(f.question(name, q.Service, now))
	}
	return v
}

// how tells how a name is known that a flow says itself; mu is held.
func (f *flow) how(w opening.Words) journal.Known {
	k := map[opening.Kind]journal.Known{opening.TLS: journal.KnownSNI, opening.HTTP: journal.KnownHost, opening.QUIC: journal.KnownQUIC}[w.Kind]
	if w.ECH && !strings.EqualFold(w.Name, f.resolved) { // else the hidden part means nothing (RFC 9849, GREASE)
		k = journal.KnownECH
	}
	if f.resolved == "" {
		k |= journal.Claimed
	}
	return k
}

// question is the journal's entry for a name that was asked for by HTTPDNS.
func (f *flow) question(name, service string, now time.Time) journal.Query {
	e := journal.Query{Time: now, Device: f.Device.Name, Name: name, Type: "A", Server: f.Dst, Network: "httpdns", Upstream: service, Verdict: f.verdict}
	if f.verdict.Action.Stops() {
		e.RCode = "REFUSED"
	}
	return e
}

// maxPauses bounds the refusals of one device that wait; what is over is
// answered at once.
const maxPauses = 64

// pause keeps a refusal back from an app that insists, so that it does not spin
// and drain the battery. It holds what the flow holds, a goroutine and no more.
func (f *flow) pause(ctx context.Context) {
	d := fold.Delay(f.repeats, f.t.pauseStep)
	if d == 0 {
		return
	}
	if f.peer.pausing.Add(1) > maxPauses {
		f.peer.pausing.Add(-1)
		return
	}
	defer f.peer.pausing.Add(-1)
	f.t.stats.slowed.Add(1)
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
