package tunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"nightlatch/tunnel/uapi"
)

// SetPeers makes peers the devices that may connect. Devices that stay as they
// are keep their sessions and flows; those removed, or given another key,
// pre-shared key or address, lose their flows at once. On error nothing changes.
func (t *Tunnel) SetPeers(peers []Peer) error {
	if err := t.checkPeers(peers); err != nil {
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

// checkPeers refuses what would let one device speak for another: WireGuard
// itself silently moves an address to the last peer that claims it.
func (t *Tunnel) checkPeers(peers []Peer) error {
	keys, addrs := map[[32]byte]string{}, map[netip.Addr]string{}
	for _, p := range peers {
		name := p.Device.Name
		if p.Device.Key == [32]byte{} {
			return fmt.Errorf("device %q has no public key", name)
		}
		if other, ok := keys[p.Device.Key]; ok {
			return fmt.Errorf("devices %q and %q have the same public key", other, name)
		}
		keys[p.Device.Key] = name
		if len(p.Device.Addrs) == 0 {
			return fmt.Errorf("device %q has no address", name)
		}
		for _, a := range p.Device.Addrs {
			if err := t.checkAddr(a); err != nil {
				return fmt.Errorf("device %q: address %v: %w", name, a, err)
			}
			if other, ok := addrs[a]; ok {
				return fmt.Errorf("devices %q and %q have the same address %v", other, name, a)
			}
			addrs[a] = name
		}
	}
	return nil
}

func (t *Tunnel) checkAddr(a netip.Addr) error {
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case !a.IsValid() || a.Zone() != "" || a.Is4In6():
		return errors.New("not a plain address")
	case t.self[a]:
		return errors.New("belongs to the gateway")
	case slices.ContainsFunc(t.opts.SinkPrefixes, in):
		return errors.New("belongs to the sinkhole")
	case len(t.opts.Prefixes) > 0 && !slices.ContainsFunc(t.opts.Prefixes, in):
		return errors.New("outside the tunnel's networks")
	}
	return nil
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
