package tunnel

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

// acquireDNS takes a place for one question, one of the device's and one of
// all, and does not wait for it.
func (t *Tunnel) acquireDNS(p *peer) bool {
	select {
	case p.dns <- struct{}{}:
	default:
		t.overDNS(p)
		return false
	}
	select {
	case t.dns <- struct{}{}:
		return true
	default:
		<-p.dns
		t.overDNS(p)
		return false
	}
}

func (t *Tunnel) overDNS(p *peer) {
	t.stats.overLimit.Add(1)
	t.notice(journal.Warn, p.device.Load().Name, "dns", "more DNS questions at once than are answered; the rest is dropped and asked again by the device")
}

// awaitDNS takes a place as soon as there is one; false: ctx ended first.
func (t *Tunnel) awaitDNS(ctx context.Context, p *peer) bool {
	select {
	case p.dns <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	select {
	case t.dns <- struct{}{}:
		return true
	case <-ctx.Done():
		<-p.dns
		return false
	}
}

func (t *Tunnel) releaseDNS(p *peer) {
	<-t.dns
	<-p.dns
}

// answerDNS asks the resolver; it holds a place of the two functions above and
// frees it.
func (t *Tunnel) answerDNS(ctx context.Context, p *peer, f policy.Flow, network string, wire []byte) (answer []byte) {
	defer t.releaseDNS(p)
	defer t.recovered("dns question")
	t.stats.dns.Add(1)
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	return t.opts.Handlers.DNS(ctx, f, network, wire)
}

// udpDNS answers a datagram to port 53 of any address, on its own goroutine:
// the caller is WireGuard's and must not wait. It keeps wire. False: there is no resolver,
// and port 53 is closed rather than forwarded.
func (t *Tunnel) udpDNS(p *peer, f policy.Flow, wire []byte) bool {
	if t.opts.Handlers.DNS == nil {
		return false
	}
	if !t.acquireDNS(p) {
		return true // silence: stubs ask again
	}
	if !t.begin() {
		t.releaseDNS(p)
		return true
	}
	go func() {
		defer t.flows.Done()
		if answer := t.answerDNS(t.ctx, p, f, "udp", wire); answer != nil {
			t.writeUDP(f.Dst, f.Src, answer)
		}
	}()
	return true
}

// tcpDNS serves a DNS connection to any address.
func (t *Tunnel) tcpDNS(ctx context.Context, r *request, f *flow) {
	if t.opts.Handlers.DNS == nil {
		return // RST
	}
	c := r.accept(ctx)
	if c == nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Abort)()
	f.peer.addTCP(1)
	defer f.peer.addTCP(-1)
	var (
		writing sync.Mutex
		asked   sync.WaitGroup
		slots   = make(chan struct{}, dnsPipeline)
	)
	defer asked.Wait()
	for {
		c.SetReadDeadline(time.Now().Add(dnsStreamIdle))
		wire, err := readDNS(c)
		if err != nil {
			return
		}
		// Unread questions wait in the connection: nothing is lost over TCP.
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !t.awaitDNS(ctx, f.peer) {
			return
		}
		asked.Add(1)
		// RFC 7766 §6.2.1.1: a slow question does not hold up the next.
		go func() {
			defer func() { <-slots; asked.Done() }()
			answer := t.answerDNS(ctx, f.peer, f.Flow, "tcp", wire)
			if answer == nil || len(answer) > 1<<16-1 {
				return
			}
			writing.Lock()
			defer writing.Unlock()
			c.SetWriteDeadline(time.Now().Add(dnsStreamIdle))
			if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
				c.Abort() // half an answer may be out: what follows would be read as its rest
			}
		}()
	}
}

// readDNS reads one message with its length (RFC 1035 §4.2.2).
func readDNS(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, wire)
	return wire, err
}
