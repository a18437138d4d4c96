package tunnel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"nightlatch/policy"
	"nightlatch/tunnel/addressing"
	"nightlatch/tunnel/uapi"
)

// SetPeers makes peers the devices that may connect. Devices that stay as they
// are keep their sessions and flows; those removed, or given another key,
// pre-shared key or address, lose their flows at once. On error nothing changes.
func (t *Tunnel) SetPeers(peers []Peer) error {
	var devices []policy.Device
	for _, p := range peers {
		devices = append(devices, p.Device)
	}
	if err := t.plan().Check(devices); err != nil {
		return fmt.Errorf("tunnel: peers: %w", err)
	}
	t.setting.Lock()
	defer t.setting.Unlock()
	old := t.peers.Load()
	next := &peerTable{byAddr: map[netip.Addr]*peer{}, byKey: map[[32]byte]*peer{}}
	var text strings.Builder
	var ended []*peer
	for key, p := range old.byKey {
		i := slices.IndexFunc(peers, func(n Peer) bool { return n.Device.Key == key })
		if i < 0 || peers[i].PresharedKey != p.spec.PresharedKey {
			text.WriteString(uapi.Remove(key)) // ends the session, so that the new key is needed at once
			ended = append(ended, p)
		} else if !slices.Equal(peers[i].Device.Addrs, p.spec.Device.Addrs) {
			ended = append(ended, p)
		}
	}
	for _, spec := range peers {
		p := old.byKey[spec.Device.Key]
		same := p != nil && !slices.Contains(ended, p)
		if !same {
			p = newPeer(spec, t.limits)
		}
		if !same || p.spec.Keepalive != spec.Keepalive {
			text.WriteString(wireguardPeer(spec).Add())
		}
		next.byKey[spec.Device.Key] = p
		for _, a := range spec.Device.Addrs {
			next.byAddr[a] = p
		}
	}
	if err := t.dev.IpcSet(text.String()); err != nil {
		return fmt.Errorf("tunnel: peers: %w", err)
	}
	for _, spec := range peers {
		next.byKey[spec.Device.Key].adopt(spec)
	}
	t.peers.Store(next)
	for _, p := range ended {
		p.kill()
	}
	return nil
}

// plan is what addresses of devices must fit.
func (t *Tunnel) plan() addressing.Plan {
	return addressing.Plan{Self: t.opts.Self, Prefixes: t.opts.Prefixes, Sink: t.opts.SinkPrefixes}
}

// adopt takes over what may change in a living peer.
func (p *peer) adopt(spec Peer) {
	p.mu.Lock()
	p.spec = spec
	p.mu.Unlock()
	p.device.Store(&spec.Device)
}

func wireguardPeer(p Peer) uapi.Peer {
	out := uapi.Peer{PublicKey: p.Device.Key, PresharedKey: p.PresharedKey, Keepalive: p.Keepalive}
	for _, a := range p.Device.Addrs {
		out.AllowedIPs = append(out.AllowedIPs, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

// Peers tells about every device, in no order.
func (t *Tunnel) Peers() []PeerStatus {
	text, err := t.dev.IpcGet()
	if err != nil {
		t.log.Debug("wireguard status", "err", err)
	}
	seen := map[[32]byte]uapi.Peer{}
	for _, w := range uapi.Parse(text) {
		seen[w.PublicKey] = w
	}
	var out []PeerStatus
	for key, p := range t.peers.Load().byKey {
		w := seen[key]
		out = append(out, PeerStatus{
			Name: p.device.Load().Name, Key: key, Endpoint: w.Endpoint,
			LastHandshake: w.LastHandshake, Rx: w.Rx, Tx: w.Tx, Flows: p.countFlows(),
		})
	}
	return out
}
