package main

import (
	"context"
	"encoding/json"
	"net/netip"

	"nightlatch/cmd/nightlatch/device"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard"
)

// status gathers what every room says of itself, for the page and the CLI.
func (g *gateway) status() dashboard.Status {
	g.mu.Lock()
	s := g.settings
	g.mu.Unlock()
	st := dashboard.Status{Version: version, Started: g.started, SinkHTTPS: g.sinkhole.CA() != nil}
	if ca := g.sinkhole.CA(); ca != nil {
		st.SinkCA = ca.Fingerprint()
	}
	live := map[string]int{}
	peers := g.tunnel.Peers()
	for i, p := range peers {
		live[p.Name] = i
	}
	for _, d := range s.Devices {
		dev := dashboard.Device{Name: d.Name, Addrs: d.Addresses}
		if i, ok := live[d.Name]; ok {
			p := peers[i]
			dev.Handshake, dev.Rx, dev.Tx, dev.Flows = p.LastHandshake, uint64(p.Rx), uint64(p.Tx), p.Flows
			dev.Endpoint, _ = netip.ParseAddrPort(p.Endpoint) // empty: it never came
		}
		st.Devices = append(st.Devices, dev)
	}
	for _, u := range g.resolver.Stats().Upstreams {
		st.Upstreams = append(st.Upstreams, dashboard.Upstream{Name: u.Name, Healthy: u.Up, Untried: u.Queries == 0, Latency: u.RTT, Err: u.Err})
	}
	for _, l := range s.Lists.All {
		list := dashboard.List{Name: l.Name, Title: l.Title, Owner: l.Owner, Rules: l.Len(), Own: l.Own}
		for _, b := range s.Lists.Broken {
			if b.List == l.Name {
				list.Note = b.Err.Error()
			}
		}
		st.Lists = append(st.Lists, list)
	}
	for _, b := range s.Lists.Broken { // those of which no version is in force
		if s.Lists.Find(b.List) == nil {
			st.Lists = append(st.Lists, dashboard.List{Name: b.List, Own: true, Note: b.Err.Error()})
		}
	}
	for _, l := range s.Config.Tunnel.Listen {
		if l.Port == 0 { // any free one
			l.Port = g.tunnel.Port()
		}
		st.Listen = append(st.Listen, "udp "+l.String())
	}
	if g.home != nil {
		for _, network := range []string{"udp", "tcp", "tls", "https", "quic"} {
			for _, at := range g.home.Addrs(network) {
				st.Listen = append(st.Listen, "dns over "+network+" "+at.String())
			}
		}
	}
	if s.Config.Dashboard.Listen != "" {
		st.Listen = append(st.Listen, "http "+s.Config.Dashboard.Listen)
	}
	st.Listen = append(st.Listen, "http "+localName+" (inside the tunnel)")
	return st
}

// fillLive adds what a running gateway knows of the devices; false when none
// is running.
func fillLive(ctx context.Context, h home.Home, infos []device.Info) bool {
	resp, err := askGateway(ctx, h, "GET", "/status", nil)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var st dashboard.Status
	if json.NewDecoder(resp.Body).Decode(&st) != nil {
		return false
	}
	for i := range infos {
		for _, d := range st.Devices {
			if d.Name != infos[i].Name || d.Handshake.IsZero() {
				continue
			}
			infos[i].LastHandshake = &d.Handshake
			infos[i].Endpoint, infos[i].RxBytes, infos[i].TxBytes = d.Endpoint.String(), d.Rx, d.Tx
		}
	}
	return true
}
