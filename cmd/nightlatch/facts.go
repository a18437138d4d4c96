package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"nightlatch/cmd/nightlatch/doctor"
	"nightlatch/cmd/nightlatch/home"
)

// facts is what a running gateway tells the doctor.
func (g *gateway) facts() *doctor.Running {
	st, dns, kept := g.tunnel.Stats(), g.resolver.Stats(), g.journal.Stats()
	out := &doctor.Running{
		Started: g.started, Port: g.tunnel.Port(), Arrivals: doctor.Arrivals(st.Arrivals), Panics: st.Panics,
		Queries: dns.Queries, Bogus: dns.Bogus, Lost: kept.Lost, Trouble: kept.Trouble,
		Sessions: map[string]doctor.Session{}, Upstream: map[string]doctor.Upstream{},
	}
	for _, p := range g.tunnel.Peers() {
		out.Sessions[p.Name] = doctor.Session{Handshake: p.LastHandshake, Endpoint: p.Endpoint, Rx: p.Rx, Tx: p.Tx}
	}
	for _, u := range dns.Upstreams {
		out.Upstream[u.Name] = doctor.Upstream{Name: u.Name, Up: u.Up, Untried: u.RTT == 0, Err: u.Err}
	}
	return out
}

// askFacts asks the running gateway for them; nil when none is running.
func askFacts(ctx context.Context, h home.Home) (*doctor.Running, error) {
	resp, err := askGateway(ctx, h, "GET", "/facts", nil)
	if errors.Is(err, errNoGateway) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := new(doctor.Running)
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return out, nil
}
