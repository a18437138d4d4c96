//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver"
)

// tree is an internet on loopback: root, top level and zones, each at servers of
// its own (127.53.0.N, port 53), signed by ldns and served by nsd.
var tree = []struct {
	name    string
	servers []int
	sign    string // arguments of ldns-signzone after its defaults; "no" for unsigned, "island" without DS, "wrong" with a DS of no key
	records string
}{
	{"deep.example.com", []int{5}, "", "www A 203.0.113.5"},
	{"example.com", []int{4, 5}, "", `www A 203.0.113.1
www TXT "hello"
alias CNAME www
away CNAME www.host.net.
lost CNAME absent.host.net.
*.wild A 203.0.113.2
into CNAME x.wild
ent.below.here A 203.0.113.3
moved DNAME below.here
big TXT ` + strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 12) + `
deep NS ns.deep
ns.deep A 127.53.0.5
glueless NS ns.host.net.`},
	{"glueless.example.com", []int{5}, "no", "www A 203.0.113.6"},
	{"host.net", []int{5}, "-n -t 1 -s ab", "www A 203.0.113.7\n*.wild A 203.0.113.8\nfar CNAME www.plain.com."},
	{"plain.com", []int{4}, "no", "www A 203.0.113.9\n*.wild A 203.0.113.10\nent.below A 203.0.113.11"},
	{"half.com", []int{4}, "", "www A 203.0.113.12"},
	{"island.com", []int{4}, "island", "www A 203.0.113.13"},
	{"wrong.com", []int{4}, "wrong", "www A 203.0.113.14"},
	{"optout.net", []int{4}, "-n -p -t 1 -s ab", "www A 203.0.113.15\nsub NS ns.sub\nns.sub A 127.53.0.5"},
	{"sub.optout.net", []int{5}, "no", "www A 203.0.113.16"},
	{"com", []int{2}, "", `example NS ns.example
example NS ns2.example
ns.example A 127.53.0.4
ns2.example A 127.53.0.5
plain NS ns.host.net.
plain NS ns4.host.net.
half NS ns.half
half NS gone.half
ns.half A 127.53.0.4
gone.half A 127.53.0.99
island NS ns.island
ns.island A 127.53.0.4
wrong NS ns.wrong
ns.wrong A 127.53.0.4
lame NS ns.lame
ns.lame A 127.53.0.3
dead NS ns.dead
ns.dead A 127.53.0.98
loop NS ns.loop.net.`},
	{"net", []int{3}, "-n -p -t 1 -s ab", `host NS ns.host
ns.host A 127.53.0.5
ns4.host A 127.53.0.4
optout NS ns.optout
ns.optout A 127.53.0.4
loop NS ns.loop.com.`},
	{".", []int{1}, "", "com NS ns.com\nns.com A 127.53.0.2\nnet NS ns.net\nns.net A 127.53.0.3"},
}

// serveTree signs the zones, the leaves first, and starts a server for every
// address. It gives the root's hints and trust anchor.
func serveTree(t *testing.T) (dir, hints, anchor string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("port 53 of loopback addresses needs root")
	}
	need(t, "nsd", "unbound", "dig", "ldns-keygen", "ldns-signzone")
	dir = t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ds, served := map[string]string{}, map[int][]string{} // DS records by parent; zones by server
	for _, z := range tree {
		fqdn := dns.Fqdn(z.name)
		file := "zone." + z.name
		text := fmt.Sprintf("$ORIGIN %s\n$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\n", fqdn)
		for i, s := range z.servers {
			if i > 0 {
				text += fmt.Sprintf("@ NS ns%d\nns%[1]d A 127.53.0.%d\n", i+1, s)
			} else {
				text += fmt.Sprintf("ns A 127.53.0.%d\n", s)
			}
		}
		if z.name == "host.net" {
			text += "ns4 A 127.53.0.4\n"
		}
		write(file, text+z.records+"\n"+ds[fqdn])
		if z.sign != "no" {
			base := run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", fqdn)
			var args []string
			if z.sign != "island" && z.sign != "wrong" {
				args = strings.Fields(z.sign)
			}
			run("ldns-signzone", append(args, "-o", fqdn, "-f", file+".signed", file, base)...)
			file += ".signed"
			b, err := os.ReadFile(filepath.Join(dir, base+".ds"))
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			if z.sign == "wrong" {
				i := strings.LastIndexAny(text, " \t") + 1
				text = text[:i] + strings.Repeat("0", 8) + text[i+8:]
			}
			_, parent, _ := strings.Cut(fqdn, ".")
			switch {
			case z.name == ".":
				anchor = strings.TrimSpace(text)
			case z.sign != "island":
				ds[dns.Fqdn(parent)] += text
			}
		}
		for _, s := range z.servers {
			served[s] = append(served[s], fmt.Sprintf("zone:\n  name: %q\n  zonefile: %q\n", fqdn, file))
		}
	}
	for s, zones := range served {
		addr := fmt.Sprintf("127.53.0.%d", s)
		conf := fmt.Sprintf("server:\n  ip-address: %s\n  zonesdir: %q\n  database: \"\"\n  pidfile: %q\n  xfrdfile: %q\n  zonelistfile: %q\n  logfile: %q\n  username: \"\"\n  server-count: 1\n  hide-version: yes\nremote-control:\n  control-enable: no\n",
			addr, dir, dir+"/pid."+addr, dir+"/xfrd."+addr, dir+"/list."+addr, dir+"/log."+addr) + strings.Join(zones, "")
		write("nsd."+addr, conf)
		background(t, dir, addr, "nsd", "-d", "-c", filepath.Join(dir, "nsd."+addr))
	}
	return dir, ". NS ns.\nns. A 127.53.0.1\n", anchor
}

// background runs a server until the test ends, and waits until it answers.
func background(t *testing.T, dir, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr += ":53"
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if _, _, err := (&dns.Client{Timeout: time.Second}).Exchange(new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT), addr); err == nil {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s at %s does not answer", program, addr)
}

// serveResolver puts a resolver behind a loopback port, for dig.
func serveResolver(t *testing.T, r *resolver.Resolver) string {
	t.Helper()
	handler := dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		network := "tcp"
		if _, ok := rw.RemoteAddr().(*net.UDPAddr); ok {
			network = "udp"
		}
		if b, err := q.Pack(); err == nil {
			rw.Write(r.ServeDNS(context.WithoutCancel(t.Context()), policy.Flow{}, network, b))
		}
	})
	addr := "127.0.0.1:" + freePort(t)
	for _, network := range []string{"udp", "tcp"} {
		s, up := &dns.Server{Addr: addr, Net: network, Handler: handler}, make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go s.ListenAndServe()
		<-up
		t.Cleanup(func() { s.Shutdown() })
	}
	return addr
}

// dig gives what dig shows of an answer: RCODE, AD, and the records without
// their TTLs and signatures, sorted.
func dig(t *testing.T, addr, name, kind string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	out, err := exec.Command("dig", "@"+host, "-p", port, "+time=20", "+tries=1", "+dnssec", "+noall", "+comments", "+answer", name, kind).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %s %s: %v\n%s", name, kind, err, out)
	}
	var records []string
	status, ad := "", ""
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.Contains(line, "status: "):
			_, rest, _ := strings.Cut(line, "status: ")
			status, _, _ = strings.Cut(rest, ",")
		case strings.HasPrefix(line, ";; flags:"):
			flags, _, _ := strings.Cut(line, ";  QUERY")
			flags, _, _ = strings.Cut(flags, "; QUERY")
			if slices.Contains(strings.Fields(flags), "ad") {
				ad = "ad"
			}
		case !strings.HasPrefix(line, ";") && strings.TrimSpace(line) != "":
			f := strings.Fields(line)
			if f[3] != "RRSIG" {
				records = append(records, strings.Join(append([]string{strings.ToLower(f[0]), f[3]}, f[4:]...), " "))
			}
		}
	}
	slices.Sort(records)
	return strings.Join(append([]string{status, ad}, records...), " | ")
}

// TestRecursionBesideUnbound: from the same hints and the same anchor, over the
// same servers, dig is told the same by both, name by name.
func TestRecursionBesideUnbound(t *testing.T) {
	dir, hints, anchor := serveTree(t)
	other := "127.0.0.1:" + freePort(t)
	_, port, _ := net.SplitHostPort(other)
	conf := fmt.Sprintf(`server:
  interface: 127.0.0.1@%[1]s
  do-not-query-localhost: no
  do-ip6: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: "%[2]s"
  pidfile: ""
  num-threads: 1
  root-hints: "%[2]s/hints"
  module-config: "validator iterator"
  trust-anchor: "%[3]s"
  trust-anchor-signaling: no
  qname-minimisation: yes
  aggressive-nsec: no
remote-control:
  control-enable: no
`, port, dir, anchor)
	for name, text := range map[string]string{"unbound.conf": conf, "hints": hints} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	background(t, dir, other, "unbound", "-d", "-c", filepath.Join(dir, "unbound.conf"))

	p, err := policy.New(policy.Options{Set: blocklists.Compile()})
	if err != nil {
		t.Fatal(err)
	}
	var current policy.Current
	current.Store(p)
	r, err := resolver.New(resolver.Options{Policy: &current, Upstreams: []string{"recursive"}, RootHints: hints,
		Validation: resolver.ValidateAlways, Anchors: anchor})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	ours := serveResolver(t, r)

	same := map[string]int{}
	for _, q := range []string{
		"www.example.com A", "www.example.com TXT", "www.example.com MX", "WWW.EXAMPLE.COM A", "alias.example.com A", "away.example.com A", "lost.example.com A",
		"x.wild.example.com A", "a.b.wild.example.com A", "x.wild.example.com TXT", "into.example.com A", "below.here.example.com A", "ent.below.here.example.com A",
		"ent.moved.example.com A", "absent.moved.example.com A", "big.example.com TXT", "absent.example.com A", "a.b.c.absent.example.com A",
		"www.deep.example.com A", "absent.deep.example.com A", "deep.example.com DS", "deep.example.com DNSKEY", "www.glueless.example.com A", "absent.glueless.example.com A",
		"glueless.example.com DS", "www.host.net A", "absent.host.net A", "a.b.host.net A", "x.wild.host.net A", "far.host.net A", "www.host.net AAAA",
		"www.plain.com A", "x.wild.plain.com A", "below.plain.com A", "absent.plain.com A", "a.b.c.absent.plain.com A", "plain.com SOA", "plain.com NS", "plain.com DS",
		"www.island.com A", "absent.island.com A", "island.com DS", "www.wrong.com A", "wrong.com DS", "wrong.com DNSKEY",
		"www.optout.net A", "absent.optout.net A", "www.sub.optout.net A", "sub.optout.net DS", "www.lame.com A", "www.loop.com A", "www.loop.net A",
		"absent A", "com DS", "com NS", "com DNSKEY", ". NS", ". DNSKEY", ". SOA", "nothing.absent A", "example.com DS", "example.com NS", "net SOA",
	} {
		name, kind, _ := strings.Cut(q, " ")
		want, got := dig(t, other, name, kind), dig(t, ours, name, kind)
		if got != want {
			t.Errorf("%s\n  ours:    %.300s\n  unbound: %.300s", q, got, want)
		}
		words := strings.Split(want, " | ")
		same[strings.Join(words[:2], " ")]++
	}
	// Where nobody listens, unbound now and then thinks for longer than dig waits.
	for name, want := range map[string]string{"www.half.com": "NOERROR | ad | www.half.com. A 203.0.113.12", "www.dead.com": "SERVFAIL | "} {
		if got := dig(t, ours, name, "A"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	t.Logf("answers by what unbound says of them: %v", same)
}
