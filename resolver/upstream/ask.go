package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// Ask puts m to one server, once, for a caller that chooses its servers itself.
// Over "udp" it is one datagram from a port of its own; mix gives the letters of
// the name a random case, which the reply must repeat. Over "tcp" it is a
// connection of its own. The reply has the ID and the question of m. Ask ends
// with ctx, and by itself after wait.
func Ask(ctx context.Context, dial DialFunc, network, addr string, m *dns.Msg, mix bool, wait time.Duration) (*dns.Msg, error) {
	if network == "udp" {
		return (&plain{addr: addr, dial: dial}).once(ctx, m, mix, wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	p := newPipe(conn)
	defer p.fail(errClosed)
	return p.exchange(ctx, m)
}

// Doubtful tells whether an error of [Ask] means that somebody may be forging
// replies: TCP is to be asked, where guessing does not help.
func Doubtful(err error) bool { return errors.Is(err, errForged) || errors.Is(err, errFolded) }

// RefusedEDNS tells whether a reply may mean that its server does not know EDNS
// (RFC 6891 §7).
func RefusedEDNS(r *dns.Msg) bool { return ednsRefused(r) }
