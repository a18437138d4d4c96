package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/journal"
	"nightlatch/resolver/local"
)

// reload takes what the files say now: lists, policy and devices. On an error
// everything stays as it was, and a notice says so. What needs a new start
// (addresses, networks, upstreams) is named in a notice.
func (g *gateway) reload() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	next, err := g.settings.Again()
	if err != nil {
		g.notice(journal.Error, "config", "%s; the running settings stay in force", err)
		return err
	}
	g.tellPending(next.Config)
	next.Config = inForce(g.settings.Config, next.Config)
	p, err := next.Policy()
	var names *local.Names
	if err == nil {
		names, err = next.Names()
	}
	if err == nil {
		err = g.lookFor(next)
	}
	if err == nil {
		err = g.sinkWith(next)
	}
	if err == nil {
		err = g.tunnel.SetPeers(peers(next))
	}
	if err != nil {
		g.notice(journal.Error, "config", "%s; the running settings stay in force", err)
		return err
	}
	g.policy.Store(p)
	g.tunnel.Rejudge()
	g.names.Store(names)
	g.homeDevices.Store(homeDevices(next))
	g.tellReload(next)
	g.settings = next
	return nil
}

// inForce joins a config that was read anew with the running one: of the new
// one only what a reload can put in force. The rooms were built with the rest,
// and must go on agreeing about it.
func inForce(running, read *config.Config) *config.Config {
	c := *running
	c.Lists, c.Policy, c.Groups, c.Devices = read.Lists, read.Policy, read.Groups, read.Devices
	c.DNS.Names, c.DNS.Home.Devices = read.DNS.Names, read.DNS.Home.Devices
	return &c
}

// tellPending names the sections that wait for a new start.
func (g *gateway) tellPending(read *config.Config) {
	running := g.settings.Config
	dns := read.DNS
	dns.Names, dns.Home.Devices = running.DNS.Names, running.DNS.Home.Devices // taken at once
	for _, s := range []struct {
		name          string
		running, read any
	}{
		{"tunnel", running.Tunnel, read.Tunnel},
		{"dns", running.DNS, dns},
		{"devices.*.upstreams", running.OwnUpstreams(), read.OwnUpstreams()},
		{"sinkhole", running.Sinkhole, read.Sinkhole},
		{"journal", running.Journal, read.Journal},
		{"dashboard", running.Dashboard, read.Dashboard},
	} {
		if !reflect.DeepEqual(s.running, s.read) {
			g.notice(journal.Warn, "config", "%s has changed in nightlatch.yaml; that takes effect at the next start", s.name)
		}
	}
}

// tellReload says what is in force now, and what is broken.
func (g *gateway) tellReload(next *home.Settings) {
	for _, b := range next.Lists.Broken {
		g.notice(journal.Error, "blocklists", "%s; the last good version stays in force", strings.TrimPrefix(b.Err.Error(), "blocklists: "))
	}
	g.notice(journal.Info, "config", "reloaded: %s, %s", count(next.Lists.Rules(), "rule"), count(len(next.Devices), "device"))
	if next.Lists.Unkept != nil {
		g.notice(journal.Warn, "blocklists", "%s", unkept(next))
	}
}

// unkept says why the lists were not taken from their compiled form.
func unkept(s *home.Settings) string {
	return fmt.Sprintf("%s: %s; the lists were read anew from their files", s.Home.CompiledFile(), s.Lists.Unkept)
}

// mend reads the lists anew when their compiled form turns out to be damaged: a
// rule may be missed until then.
func (g *gateway) mend(s *home.Settings) {
	if !g.verified {
		g.verified = true
		s.Lists.Set.Verify() // what it finds stands in Damaged
	}
	damage := s.Lists.Set.Damaged()
	if damage == nil || g.mended == s.Lists.Set {
		return
	}
	g.mended = s.Lists.Set
	g.notice(journal.Error, "blocklists", "%s: %s; it is made anew", s.Home.CompiledFile(), damage)
	os.Remove(s.Home.CompiledFile()) // nothing of it is trusted
	g.reload()
}

// count writes a number with its noun: 1 rule, 2 rules.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// watchEvery is how often the files are looked at: an edit takes effect within
// about two of these. Looking is a handful of stat calls.
const watchEvery = 500 * time.Millisecond

// watch reloads when a file of the home has changed and has come to rest.
func (g *gateway) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last, failed home.Stamps
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		g.mu.Lock()
		s := g.settings
		g.mu.Unlock()
		g.mend(s)
		now := s.Look()
		// Two looks alike: the editor is done. What failed once is not tried again.
		if maps.Equal(now, last) && !maps.Equal(now, s.Seen) && !maps.Equal(now, failed) {
			if g.reload() != nil { // an error is told as a notice
				failed = now
			}
		}
		last = now
	}
}
