package main

import (
	"context"
	"io"
	"time"

	"golang.org/x/net/publicsuffix"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/edits"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/lists"
	"nightlatch/cmd/nightlatch/report"
	"nightlatch/cmd/nightlatch/why"
	"nightlatch/cmd/nightlatch/wishes"
	"nightlatch/dashboard/desk"
)

// desk is what pages may ask and change: the same as the commands, in the same
// files.
func (g *gateway) desk() desk.Desk {
	var d desk.Desk
	edits.Desk(&d, g.now().Home, func(context.Context, home.Home) (bool, error) { return true, g.reload() })
	lists.Desk(&d, g.now, g.reload)
	d.Why = func(q desk.Question) (desk.Sheet, error) { return why.Sheet(g.now(), q, time.Now()) }
	d.Owner = g.companyOf
	d.Policy = func(device string) (desk.Sheet, error) { return wishes.Sheet(g.now(), device, time.Now()) }
	d.Report = func(ctx context.Context, device string, out io.Writer) error {
		return report.Page(ctx, g.now(), g.journal, version, device, out)
	}
	return d
}

// now gives the settings in force.
func (g *gateway) now() *home.Settings {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.settings
}

// companyOf gives the company whose list knows a name, stopped or not; else the
// site that a name belongs to (the Public Suffix List).
func (g *gateway) companyOf(name string) string {
	s := g.now()
	if rule, ok := s.Lists.Set.Match(name, blocklists.Selection{}); ok {
		if owner := s.Lists.OwnerOf(rule.List); owner != "" {
			return owner
		}
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return site
}
