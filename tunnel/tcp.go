package tunnel

import (
	"context"
	"errors"
	"io"
	"net"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"nightlatch/policy"
	"nightlatch/tunnel/host"
	"nightlatch/tunnel/splice"
)

// request is a SYN that waits for its answer, which it must get exactly once
// or it counts as half-open for ever.
type request struct {
	*tcp.ForwarderRequest
	id       stack.TransportEndpointID
	t        *Tunnel
	answered bool
	settled  bool
}

// answer ends the request: with a RST, or with silence.
func (r *request) answer(reset bool) {
	if !r.answered {
		r.answered = true
		r.Complete(reset)
	}
	if !r.settled {
		r.settled = true
		r.t.opened(r.id)
	}
}

// serveTCP takes a new connection of a device; it runs on its own goroutine.
func (t *Tunnel) serveTCP(fr *tcp.ForwarderRequest) {
	r := &request{ForwarderRequest: fr, id: fr.ID(), t: t}
	defer r.answer(true)
	if !t.begin() {
		return
	}
	defer t.flows.Done()
	defer t.recovered("tcp flow")
	p, pf := t.flowOf(protoTCP, r.id)
	if p == nil {
		r.answer(false)
		return
	}
	f := newFlow(t, p, pf)
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	leave := p.joinFlow(f, cancel)
	if leave == nil {
		return
	}
	defer leave()
	if f.Dst.Port() == dnsPort {
		t.tcpDNS(ctx, r, f)
		return
	}
	v := f.judged(f.began)
	if f.Dst.Port() == dotPort && v.Action.Stops() {
		t.strictDNS(f)
	}
	switch v.Action {
	case policy.Pass, policy.Observe:
		t.tcpPass(ctx, r, f)
	case policy.Sink:
		t.tcpSink(ctx, r, f)
	default:
		if v.Action == policy.Deny && v.Rule.List != "" && f.resolved == "" && f.Dst.Port() == httpPort {
			t.tcpHear(ctx, r, f)
			return
		}
		f.refused() // first, so that the journal is never behind the phone
		f.pause(ctx)
		r.answer(v.Action == policy.Deny)
	}
}

// tcpPass dials first and completes the phone's handshake after, so that the
// phone sees the real server's refusal or silence.
func (t *Tunnel) tcpPass(ctx context.Context, r *request, f *flow) {
	if !t.takeSocket(f.peer) {
		f.failed(errSockets)
		return // RST
	}
	defer t.freeSocket(f.peer)
	dctx, done := context.WithTimeout(ctx, t.limits.Dial)
	far, err := t.dial(dctx, f)
	done()
	if err != nil {
		f.failed(cause(ctx, err))
		r.answer(!host.TimedOut(err))
		return
	}
	defer far.Close()
	c := r.accept(ctx)
	if c == nil {
		f.failed(cause(ctx, errNoHandshake))
		return
	}
	defer c.Close()
	f.peer.addTCP(1)
	defer f.peer.addTCP(-1)
	var tap io.WriteCloser
	err = splice.Copy(ctx, c, far, splice.Options{
		Buffers: &t.buffers, Up: &f.up, Down: &f.down, First: t.watch(ctx, f), Hold: t.hold, Recovered: t.recovered,
		Tap: func() io.Writer {
			if tap = t.observer(ctx, f); tap == nil {
				return nil
			}
			return tap
		},
	})
	if tap != nil {
		tap.Close()
	}
	if !errors.As(err, new(refusal)) { // which is recorded
		f.ended(err)
	}
}

// observer gives the one who reads along; nil when nobody does.
func (t *Tunnel) observer(ctx context.Context, f *flow) io.WriteCloser {
	f.mu.Lock()
	pf, observed := f.Flow, f.verdict.Action == policy.Observe
	f.mu.Unlock()
	if t.opts.Handlers.Observe == nil || !observed {
		return nil
	}
	return t.opts.Handlers.Observe(ctx, pf)
}

// errSockets: the host has no more to give.
var errSockets = errors.New("too many open connections")

// errNoHandshake: the phone gave up while we dialled.
var errNoHandshake = errors.New("device gave up")

// cause is why a flow failed with err: because it was ended, if it was.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p *peer) addTCP(n int) {
	p.mu.Lock()
	p.tcp += n
	p.mu.Unlock()
}

func (t *Tunnel) dial(ctx context.Context, f *flow) (net.Conn, error) {
	if t.opts.Handlers.Dial != nil {
		return t.opts.Handlers.Dial(ctx, "tcp", f.Dst.String())
	}
	d := net.Dialer{Control: t.guard.Control, KeepAlive: farKeepalive}
	if t.reaches(&f.Flow) {
		d.Control = t.guard.ControlLAN
	}
	return d.DialContext(ctx, "tcp", f.Dst.String())
}

// tcpSink gives the connection to the sinkhole.
func (t *Tunnel) tcpSink(ctx context.Context, r *request, f *flow) {
	if t.opts.Handlers.Sink == nil {
		f.refused()
		return
	}
	c := r.accept(ctx)
	if c == nil {
		f.failed(cause(ctx, errNoHandshake))
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Abort)()
	f.peer.addTCP(1)
	defer f.peer.addTCP(-1)
	t.opts.Handlers.Sink(ctx, f.Flow, &splice.Counted{Conn: c, Up: &f.up, Down: &f.down})
	f.ended(context.Cause(ctx))
}

// accept completes the handshake towards the phone; nil when the phone has
// gone or ctx has ended. The connection is no longer half-open.
func (r *request) accept(ctx context.Context) *splice.Phone {
	ctx, cancel := context.WithTimeout(ctx, r.t.limits.Dial)
	defer cancel()
	wq, done := new(waiter.Queue), make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() { splice.GiveUp(wq, done) })()
	ep, err := r.CreateEndpoint(wq)
	if err != nil {
		return nil
	}
	r.answer(false)
	idle, user := tcpip.KeepaliveIdleOption(phoneKeepalive), tcpip.TCPUserTimeoutOption(userTimeout)
	ep.SetSockOpt(&idle)
	ep.SetSockOpt(&user)
	ep.SocketOptions().SetKeepAlive(true)
	ep.SocketOptions().SetDelayOption(false)
	return splice.NewPhone(wq, ep)
}
