package portmap

import (
	"context"
	"time"
)

const (
	lease      = time.Hour // asked for: short, so that a mapping ends soon after a gateway that crashed
	leastRenew = time.Minute
	mostRenew  = 30 * time.Minute // also of permanent ones: a router that was restarted has forgotten them
	firstRetry = time.Minute
	lastRetry  = time.Hour
	goodbye    = 2 * time.Second
)

// Mapper makes mappings; a [Router] is one.
type Mapper interface {
	Map(ctx context.Context, internal uint16, lifetime time.Duration, last Mapping) (Mapping, error)
	Unmap(ctx context.Context, m Mapping) error
}

// Keep keeps a port of the router open until ctx ends, and then gives it back.
// tell is called when there is a mapping, when it changes, and when it can no
// longer be had (with the error, once).
func Keep(ctx context.Context, r Mapper, port uint16, tell func(Mapping, error)) error {
	var last Mapping
	failing, retry := false, firstRetry
	for {
		m, err := r.Map(ctx, port, lease, last)
		if ctx.Err() != nil {
			break
		}
		wait := retry
		switch {
		case err != nil:
			if !failing {
				tell(Mapping{}, err)
			}
			failing, retry = true, min(2*retry, lastRetry)
		default:
			if failing || m.External != last.External || m.Protocol != last.Protocol {
				tell(m, nil)
			}
			last, failing, retry = m, false, firstRetry
			wait = renewAfter(m)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
			continue
		}
		break
	}
	if last.Protocol == "" {
		return nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = r.Unmap(end, last) // it ends by itself otherwise
	return nil
}

// renewAfter is half of a mapping's life (RFC 6887 §11.2.1), within bounds: a
// router that says one second is not asked every second.
func renewAfter(m Mapping) time.Duration {
	if m.Lifetime == 0 {
		return mostRenew
	}
	return min(max(m.Lifetime/2, leastRenew), mostRenew)
}
