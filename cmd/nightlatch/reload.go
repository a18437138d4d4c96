package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/journal"
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
	p, err := next.Policy()
	if err == nil {
		err = g.tunnel.SetPeers(peers(next))
	}
	if err != nil {
		g.notice(journal.Error, "config", "%s; the running settings stay in force", err)
		return err
	}
	g.policy.Store(p)
	g.tellReload(next)
	g.settings = next
	return nil
}

// tellReload says in one notice what the reload changed, and in others what
// is broken or waits for a new start.
func (g *gateway) tellReload(next *home.Settings) {
	for _, b := range next.Lists.Broken {
		g.notice(journal.Error, "blocklists", "%s; the last good version stays in force", strings.TrimPrefix(b.Err.Error(), "blocklists: "))
	}
	old := g.settings
	for name, pair := range map[string][2]any{
		"tunnel":    {old.Config.Tunnel, next.Config.Tunnel},
		"dns":       {old.Config.DNS, next.Config.DNS},
		"sinkhole":  {old.Config.Sinkhole, next.Config.Sinkhole},
		"journal":   {old.Config.Journal, next.Config.Journal},
		"dashboard": {old.Config.Dashboard, next.Config.Dashboard},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			g.notice(journal.Warn, "config", "%s has changed in nightlatch.yaml; that takes effect at the next start", name)
		}
	}
	g.notice(journal.Info, "config", "reloaded: %s, %s", count(next.Lists.Rules(), "rule"), count(len(next.Devices), "device"))
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
	inForce := g.fingerprint()
	last := inForce
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := g.fingerprint()
		if now != inForce && now == last { // two looks alike: the editor is done
			g.reload() // an error is told as a notice
			inForce = now
		}
		last = now
	}
}

// fingerprint describes the files that a reload reads: names, sizes, times.
func (g *gateway) fingerprint() string {
	g.mu.Lock()
	s := g.settings
	g.mu.Unlock()
	var b strings.Builder
	add := func(path string) {
		if st, err := os.Stat(path); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", path, st.Size(), st.ModTime().UnixNano())
		} else if !errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(&b, "%s ?\n", path)
		}
	}
	add(s.Home.ConfigFile())
	for _, dir := range []string{config.Resolve(s.Home.Dir, s.Config.Lists.Folder), s.Home.DevicesDir()} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				add(filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, f := range s.Config.Lists.Files {
		add(config.Resolve(s.Home.Dir, f.Path))
	}
	return b.String()
}
