package tunnel

import (
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nightlatch/policy"
	"nightlatch/tunnel/netstack"
)

// IANA protocol numbers, as [policy.Flow] has them.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

const (
	dnsPort  = 53
	httpPort = 80
)

// flowOf names the device and the ends of what a packet wants. The source is
// proven by WireGuard: it drops packets from addresses that are not the peer's.
func (t *Tunnel) flowOf(proto uint8, id stack.TransportEndpointID) (*peer, policy.Flow) {
	src, dst := netstack.NetIP(id.RemoteAddress), netstack.NetIP(id.LocalAddress)
	p := t.peers.Load().byAddr[src]
	if p == nil {
		return nil, policy.Flow{} // removed a moment ago
	}
	f := policy.Flow{Device: *p.device.Load(), Proto: proto}
	if proto == protoICMP || proto == protoICMPv6 { // the stack puts the identifier where ports are
		f.Src, f.Dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	} else {
		f.Src, f.Dst = netip.AddrPortFrom(src, id.RemotePort), netip.AddrPortFrom(dst, id.LocalPort)
	}
	return p, f
}

// name gives the flow the name by which its device reached the address.
func (t *Tunnel) name(f *policy.Flow) {
	if t.opts.Handlers.NameOf != nil {
		f.Name, f.Exact = t.opts.Handlers.NameOf(f.Device, f.Dst.Addr())
	}
}

// judge decides about a flow by its name: the sinkhole's addresses belong
// to the policy alone, everything else passes the guard first. Port 53 never
// comes here.
func (t *Tunnel) judge(f *policy.Flow, now time.Time) policy.Verdict {
	sunk := t.sunk(f.Dst.Addr())
	if !sunk {
		why, ok := t.guard.Check(f.Dst.Addr())
		if !ok && t.reaches(f) {
			why, ok = t.guard.CheckLAN(f.Dst.Addr())
		}
		if !ok {
			return policy.Verdict{Action: policy.Deny, Reason: why}
		}
	}
	v := t.decide(*f, now)
	if sunk && !v.Action.Stops() { // nothing is there to be dialled
		return policy.Verdict{Action: policy.Deny, Reason: "address of the sinkhole"}
	}
	return v
}

func (t *Tunnel) sunk(a netip.Addr) bool {
	return slices.ContainsFunc(t.opts.SinkPrefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// reaches tells whether the owner lets the device reach a part of the home
// network.
func (t *Tunnel) reaches(f *policy.Flow) bool {
	p := t.currentPolicy()
	return p != nil && p.Reaches(*f)
}

// policyVerdict asks the policy in force.
func (t *Tunnel) policyVerdict(f policy.Flow, now time.Time) policy.Verdict {
	if t.opts.Policy == nil {
		return policy.Verdict{Action: policy.Pass}
	}
	p := t.opts.Policy.Load()
	if p == nil {
		return policy.Verdict{Action: policy.Deny, Reason: "no policy in force"}
	}
	return p.Flow(f, now)
}
