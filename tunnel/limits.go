package tunnel

import (
	"bufio"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
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
	DNS           int           // DNS questions being answered, all devices; one may have half of them; default 256
	Pings         int           // echo requests on their way; default 32
	Dial          time.Duration // until a TCP dial is given up; default 20 s
	Batch         int           // packets handled at a time; each holds 64 KiB while in use; default 16 to 128
	Buffer        int           // bytes one TCP connection may buffer each way; default 512 KiB to 4 MiB
}

// Fixed bounds that nobody has a reason to change.
const (
	copyBuffer      = 64 << 10         // one read of a busy TCP connection
	flowsPerMapping = 256              // destinations remembered for one UDP port; the oldest gives way
	halfCloseIdle   = 5 * time.Minute  // a half-closed connection that moves nothing
	phoneKeepalive  = 2 * time.Hour    // long, as each probe wakes the phone's radio
	farKeepalive    = time.Minute      // towards the internet, to find dead servers
	userTimeout     = 15 * time.Minute // data that a phone does not acknowledge
	dnsTimeout      = 15 * time.Second // one DNS question; the resolver gives up sooner
	dnsStreamIdle   = 30 * time.Second // a DNS connection that asks nothing (RFC 7766 §6.2.3)
	dnsPipeline     = 16               // questions of one DNS connection answered at a time
	peerSilence     = 2 * time.Hour    // no handshake for this long: the phone is gone, its flows end
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
	set(&l.DNS, 256)
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

// sweep is how often idle things are looked for: often enough that they stay
// at most an eighth longer than they should.
func (l Limits) sweep() time.Duration {
	return max(10*time.Millisecond, min(l.UDPIdle/8, 15*time.Second))
}

// totalMemory is what the program may use: the machine's memory or the Go
// runtime's limit (GOMEMLIMIT), whichever is less. Where the system does not
// say, 1 GiB is assumed.
func totalMemory() uint64 {
	total := uint64(1 << 30)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		defer f.Close()
		total = memTotal(bufio.NewScanner(f), total)
	}
	if limit := debug.SetMemoryLimit(-1); limit > 0 && limit != math.MaxInt64 {
		total = min(total, 4*uint64(limit)) // the limit is for the heap of one program
	}
	return total
}

func memTotal(s *bufio.Scanner, otherwise uint64) uint64 {
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return otherwise
}
