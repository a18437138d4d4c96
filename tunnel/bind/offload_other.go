//go:build !linux

package bind

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// offload: other systems send and receive packet by packet.
type offload struct {
	joins    bool
	segments atomic.Bool
}

const oobSize = 0

func (*offload) detect(*net.UDPConn, bool, bool) {}

func parseOOB([]byte) (int, netip.Addr) { return 0, netip.Addr{} }

func appendOOB(oob []byte, _ int, _ netip.Addr) []byte { return oob }
