package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream/spec"
)

const (
	// Addresses that were found are asked for again when their TTL is over,
	// within these bounds; until there is news the old ones go on being used.
	minFound = time.Minute
	maxFound = 24 * time.Hour
	// findAgain after a failure, or when nothing answers at the old addresses.
	findAgain = 10 * time.Second
	// findTime bounds the search; a question may be waiting for it.
	findTime = 3500 * time.Millisecond
)

// book knows where one server is: at the addresses the owner pinned, or at
// those that another upstream tells. It never asks the resolver it serves, nor
// the system's. Whether the addresses are true is for the certificate to prove.
type book struct {
	spec spec.Spec
	ask  func(ctx context.Context, q Question) (Reply, error) // nil when the addresses are pinned

	mu     sync.Mutex
	found  []netip.AddrPort
	asked  time.Time     // when the last search began
	until  time.Time     // when the next one is due
	asking chan struct{} // non-nil during a search, closed at its end
	err    error         // how the last search ended
	stop   context.CancelFunc
	closed bool
}

// through opens a connection at the addresses of a book; when none of them
// answers, they may have changed.
func through[C any](ctx context.Context, b *book, open func([]netip.AddrPort) (C, error)) (C, error) {
	addrs, err := b.find(ctx)
	if err != nil {
		var none C
		return none, err
	}
	c, err := open(addrs)
	if err != nil && ctx.Err() == nil {
		b.failed()
	}
	return c, err
}

// find gives the addresses, and waits for them when none are known yet.
func (b *book) find(ctx context.Context) ([]netip.AddrPort, error) {
	if b.ask == nil {
		return b.spec.Addrs, nil
	}
	for first := true; ; first = false {
		b.mu.Lock()
		due := !time.Now().Before(b.until)
		switch {
		case b.closed:
			b.mu.Unlock()
			return nil, errClosed
		case b.asking == nil && due && (first || len(b.found) > 0):
			b.search(ctx)
		}
		found, wait, err := b.found, b.asking, b.err
		b.mu.Unlock()
		switch {
		case len(found) > 0:
			return found, nil // old ones, maybe: better than waiting
		case wait == nil:
			return nil, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("finding %s: %w", b.spec.Host, ctx.Err())
		}
	}
}

// search is called with the lock held.
func (b *book) search(ctx context.Context) {
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTime)
	b.asking, b.stop, b.asked = done, cancel, time.Now()
	go func() {
		defer cancel()
		found, ttl, err := b.lookup(ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asking, b.err = nil, err
		switch {
		case err == nil:
			b.found, b.until = found, time.Now().Add(ttl)
		case len(b.found) > 0:
			b.until = time.Now().Add(findAgain)
		}
		close(done)
	}()
}

// lookup asks for both kinds of address at once. IPv4 stands first: where IPv6
// is broken nothing says so, and the next address is tried soon.
func (b *book) lookup(ctx context.Context) (found []netip.AddrPort, ttl time.Duration, err error) {
	var replies [2]Reply
	var errs [2]error
	var wg sync.WaitGroup
	for i, qtype := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
		wg.Go(func() {
			replies[i], errs[i] = b.ask(ctx, Question{Name: dns.CanonicalName(b.spec.Host), Type: qtype})
		})
	}
	wg.Wait()
	ttl = maxFound
	for _, r := range replies {
		if r.Msg == nil {
			continue
		}
		for _, rr := range r.Msg.Answer {
			var ip netip.Addr
			switch rr := rr.(type) {
			case *dns.A:
				ip, _ = netip.AddrFromSlice(rr.A)
			case *dns.AAAA:
				ip, _ = netip.AddrFromSlice(rr.AAAA)
			}
			if ip = ip.Unmap(); usable(ip) && len(found) < spec.MaxAddrs {
				found = append(found, netip.AddrPortFrom(ip, b.spec.Port))
			}
			ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second) // that of a CNAME counts too
		}
	}
	if len(found) == 0 {
		if err = errors.Join(errs[0], errs[1]); err == nil {
			err = errors.New("it has no addresses")
		}
		return nil, 0, fmt.Errorf("finding %s: %w", b.spec.Host, err)
	}
	return found, max(ttl, minFound), nil
}

// usable leaves out what no server can have.
func usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast()
}

// failed hears that nothing answers at the addresses.
func (b *book) failed() {
	if b.ask == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if soon := b.asked.Add(findAgain); soon.Before(b.until) {
		b.until = soon
	}
}

func (b *book) close() {
	b.mu.Lock()
	b.closed = true
	stop := b.stop
	b.mu.Unlock()
	if stop != nil {
		stop()
	}
}
