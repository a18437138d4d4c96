package watch

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"strings"

	"nightlatch/config/canaries"
	"nightlatch/journal"
)

// Host tells whether a name is one under which the pages of canaries are
// served. The resolver must answer it with the gateway's own addresses.
func (w *Watcher) Host(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	token, ok := strings.CutSuffix(name, "."+canaries.Zone)
	s := w.set.Load()
	if !ok || s == nil {
		return false
	}
	for _, c := range s.list {
		if c.Token == token && c.Alive(w.now()) {
			return true
		}
	}
	return false
}

// Page serves the pages of canaries and hands everything else to next. deviceOf
// names the device behind an address of the tunnel, and gives "" for others.
// Every page that is opened makes a notice.
func (w *Watcher) Page(next http.Handler, deviceOf func(netip.Addr) string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
		token, ours := strings.CutSuffix(host, "."+canaries.Zone)
		if !ours {
			next.ServeHTTP(rw, r)
			return
		}
		h := rw.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		s := w.set.Load()
		if s != nil && r.Method == http.MethodGet && w.Host(host) && strings.HasPrefix(r.URL.Path, "/news/") {
			for _, c := range s.list {
				if c.Token == token {
					w.opened(c.N, deviceOf, r.RemoteAddr)
					h.Set("Content-Type", "text/html; charset=utf-8")
					fmt.Fprintf(rw, page, html.EscapeString(c.Token), c.N)
					return
				}
			}
		}
		http.Error(rw, "There is no such page.", http.StatusNotFound)
	})
}

// opened tells that a page was opened, every time: the timing canary counts on it.
func (w *Watcher) opened(n int, deviceOf func(netip.Addr) string, remote string) {
	device := ""
	if from, err := netip.ParseAddrPort(remote); err == nil && deviceOf != nil {
		device = deviceOf(from.Addr().Unmap())
	}
	w.next.Record(journal.Notice{Time: w.now(), Level: journal.Info, Room: room, Device: device, Text: openedText(n)})
}

func openedText(n int) string { return fmt.Sprintf("%s%d was opened", journal.CanaryLabel, n) }

// page has the token in its title too: some telemetry sends titles alone.
const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>News %s</title>
<style>:root{color-scheme:light dark}body{font:1.05rem/1.6 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1.25rem}h1{font-size:1.4rem}</style></head>
<body><main><h1>This page is canary %d</h1>
<p>It exists for this phone alone, and its address was made a moment ago: nobody else can know it.</p>
<p>Read these lines to the end, scroll a little, then close the page. If its address is met anywhere else, whoever sent it there has told on you, and nightlatch will say so.</p>
</main></body></html>
`
