package recursor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// rootHints are the addresses of the root's servers as IANA publishes them in
// https://www.internic.net/domain/named.root, file of April 18, 2024 (root zone
// 2024041801), which names the addresses that B has had since November 2023.
// They are used to ask the root for its own list, and for nothing else.
const rootHints = `
a 198.41.0.4     2001:503:ba3e::2:30
b 170.247.170.2  2801:1b8:10::b
c 192.33.4.12    2001:500:2::c
d 199.7.91.13    2001:500:2d::d
e 192.203.230.10 2001:500:a8::e
f 192.5.5.241    2001:500:2f::f
g 192.112.36.4   2001:500:12::d0d
h 198.97.190.53  2001:500:1::53
i 192.36.148.17  2001:7fe::53
j 192.58.128.30  2001:503:c27::2:30
k 193.0.14.129   2001:7fd::1
l 199.7.83.42    2001:500:9f::42
m 202.12.27.33   2001:dc3::35
`

// maxHints bounds the text of hints; IANA's file has 3 KB.
const maxHints = 64 << 10

// parseHints reads the root's servers: NS records of the root and addresses of
// the names in them, in zone file form. Empty text means IANA's.
func parseHints(text string) (*delegation, error) {
	root := &delegation{name: "."}
	if text == "" {
		for line := range strings.Lines(rootHints) {
			if f := strings.Fields(line); len(f) == 3 {
				root.hosts = append(root.hosts, host{name: f[0] + ".root-servers.net.",
					addrs: []netip.Addr{netip.MustParseAddr(f[1]), netip.MustParseAddr(f[2])}})
			}
		}
		return root, nil
	}
	if len(text) > maxHints {
		return nil, fmt.Errorf("%d bytes; at most %d make sense", len(text), maxHints)
	}
	var ns, rest []dns.RR
	zp := dns.NewZoneParser(strings.NewReader(text), ".", "")
	zp.SetDefaultTTL(3600000)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		switch {
		case rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == ".":
			ns = append(ns, rr)
		case rr.Header().Rrtype == dns.TypeA, rr.Header().Rrtype == dns.TypeAAAA:
			rest = append(rest, rr)
		}
	}
	if err := zp.Err(); err != nil {
		return nil, fmt.Errorf("%w; want NS records of the root and the addresses of its servers", err)
	}
	root.hosts = hosts(".", ns, rest, nil)
	if len(root.addrs()) == 0 {
		return nil, errors.New("no address of a root server in them; want NS records of the root and A or AAAA records of the names they give")
	}
	return root, nil
}

// Lives of what is known about the tree.
const (
	minLife = 5 * time.Second  // a TTL of 0 would have the tree walked for every question
	maxLife = 24 * time.Hour   // a zone that moved is found within a day
	badLife = 30 * time.Second // hints in place of the root's own list; servers without addresses
)

// root gives the root's servers, by their own word (RFC 8109). While they do
// not give it, the hints are used.
func (w *work) root() *delegation {
	now := time.Now()
	if z := w.r.zones.get(".", now); z != nil {
		return z
	}
	f, err := w.run(step{zone: ".", name: ".", qtype: dns.TypeNS}, w.r.hints.addrs())
	if w.ctx.Err() != nil {
		return w.r.hints
	}
	z := &delegation{name: ".", stored: now, expires: now.Add(badLife), hosts: w.r.hints.hosts, own: true}
	if err == nil && len(f.own) > 0 {
		z.hosts, z.expires = slices.Clone(f.own), now.Add(f.life)
		for i, h := range z.hosts { // RFC 8109 §3.3: addresses may not all fit
			if len(h.addrs) == 0 {
				z.hosts[i].addrs = w.r.hints.glue(h.name)
			}
		}
		if len(z.addrs()) == 0 {
			z.hosts = w.r.hints.hosts
		}
	}
	w.r.zones.put(z, now)
	return z
}
