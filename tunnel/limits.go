package tunnel

import (
	"time"

	"nightlatch/journal"
	"nightlatch/tunnel/host"
)

// Limits bound what devices can take from the host. Zero fields get defaults,
// some of which follow the machine's memory. What is over a limit is refused
// (RST, unreachable) and counted, and the owner is told.
type Limits struct {
	HalfOpen      int           // TCP connections of one device that are being dialled; default 512
	HalfOpenTotal int           // of all devices; default 2048
	TCP           int           // open TCP connections of one device; default 4096
	UDP           int           // UDP ports of one device, each a host socket; the longest idle gives way; default 1024
	UDPIdle       time.Duration // until a silent UDP flow is forgotten; default 2 min (RFC 4787 §4.3)
	Sockets       int           // host sockets of all devices; one may have half of them; default three quarters of the files the process may open
	DNS           int           // DNS questions being answered, all devices; one may have half of them; default 1024
	Pings         int           // echo requests on their way, all devices; one may have half of them; default 32
	Dial          time.Duration // until a TCP dial is given up; default 20 s
	Batch         int           // packets handled at a time; each holds 64 KiB while in use; default 16 to 128
	Buffer        int           // bytes one TCP connection may buffer each way; default 512 KiB to 4 MiB
}

// Fixed bounds that nobody has a reason to change.
const (
	flowsPerMapping = 256              // destinations remembered for one UDP port; the oldest gives way
	phoneKeepalive  = 2 * time.Hour    // long, as each probe wakes the phone's radio
	farKeepalive    = time.Minute      // towards the internet, to find dead servers
	userTimeout     = 15 * time.Minute // data that a phone does not acknowledge
	dnsTimeout      = 15 * time.Second // one DNS question; the resolver gives up sooner
	dnsStreamIdle   = 30 * time.Second // a DNS connection that asks nothing (RFC 7766 §6.2.3)
	dnsPipeline     = 384              // questions of one DNS connection answered at a time, below what a device has
	insideConns     = 256              // connections of one device to the gateway's own listeners
	// hold is how long the beginning of a connection is kept back that does not say
	// yet whom it is for: longer than a lost segment takes to come again, and a
	// server can do nothing with half a ClientHello before.
	hold        = 3 * time.Second
	firstPause  = 250 * time.Millisecond // of a refusal that comes again and again; see fold.Delay
	peerSilence = 2 * time.Hour          // no handshake for this long: the phone is gone, its flows end
)

func (l Limits) withDefaults(memory uint64) Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	setTime := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.HalfOpen, 512)
	set(&l.HalfOpenTotal, 2048)
	set(&l.TCP, 4096)
	set(&l.UDP, 1024)
	setTime(&l.UDPIdle, 2*time.Minute)
	set(&l.Sockets, int(min(host.Files(), 1<<20)/4*3))
	set(&l.DNS, 1024) // a dead name holds its place for five seconds, and a page may lead to hundreds
	set(&l.Pings, 32)
	setTime(&l.Dial, 20*time.Second)
	batch, buffer := 128, 4<<20
	switch {
	case memory < 512<<20:
		batch, buffer = 16, 512<<10
	case memory < 1<<30:
		batch, buffer = 32, 1<<20
	case memory < 2<<30:
		batch, buffer = 64, 2<<20
	}
	set(&l.Batch, batch)
	set(&l.Buffer, buffer)
	return l
}

// half is the share that one device may have of what all share.
func half(n int) int { return max(1, n/2) }

// takeSocket takes a place for a host socket, which must be freed: the
// resolver and the journal need descriptors too, whatever a device opens.
func (t *Tunnel) takeSocket(p *peer) bool {
	p.mu.Lock()
	ok := p.sockets < half(t.limits.Sockets)
	if ok {
		p.sockets++
	}
	p.mu.Unlock()
	if ok && t.sockets.Add(1) <= int64(t.limits.Sockets) {
		return true
	}
	if ok {
		t.freeSocket(p)
	}
	t.stats.overLimit.Add(1)
	t.notice(journal.Warn, p.device.Load().Name, "sockets", "so many connections are open that the host's file descriptors would run out; new ones are refused until some end")
	return false
}

func (t *Tunnel) freeSocket(p *peer) {
	t.sockets.Add(-1)
	p.mu.Lock()
	p.sockets--
	p.mu.Unlock()
}

// sweep is how often idle things are looked for: often enough that they stay
// at most an eighth longer than they should.
func (l Limits) sweep() time.Duration {
	return max(10*time.Millisecond, min(l.UDPIdle/8, 15*time.Second))
}
