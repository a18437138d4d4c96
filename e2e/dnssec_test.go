//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/resolver/dnssec/signed"
)

// spoilers are the ways in which a zone is broken, by its first label.
var spoilers = map[string]func(m *dns.Msg){
	"nosig":     without(func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }),
	"nonsec":    without(covering(dns.TypeNSEC, dns.TypeNSEC3)),
	"noproof":   func(m *dns.Msg) { m.Ns = nil },
	"nokeys":    without(covering(dns.TypeDNSKEY)),
	"changed":   all(func(a *dns.A) { a.A = net.IPv4(203, 0, 113, 66) }),
	"cut":       all(func(s *dns.RRSIG) { s.Signature = s.Signature[:16] }),
	"tag":       all(func(s *dns.RRSIG) { s.KeyTag++ }),
	"labels":    all(func(s *dns.RRSIG) { s.Labels-- }),
	"stretched": all(func(s *dns.RRSIG) { s.Expiration += 86400 }),
	"ttl":       all(func(s *dns.RRSIG) { s.OrigTtl += 60 }),
	"signer":    all(func(s *dns.RRSIG) { s.SignerName = "tld." }),
	"alg":       all(func(s *dns.RRSIG) { s.Algorithm = dns.RSASHA256 }),
	"revoked":   all(func(k *dns.DNSKEY) { k.Flags |= 1 << 7 }),
	"notzone":   all(func(k *dns.DNSKEY) { k.Flags = 1 }),
	"protocol":  all(func(k *dns.DNSKEY) { k.Protocol = 2 }),
	"digest":    all(func(d *dns.DS) { d.Digest = "00" + d.Digest[2:] }),
	"cname":     all(func(c *dns.CNAME) { c.Target = "www.good.tld." }),
	"next":      all(func(n *dns.NSEC) { n.NextDomain = "zzz." + n.NextDomain }),
	"bits":      all(func(n *dns.NSEC) { n.TypeBitMap = []uint16{dns.TypeA} }),
	"bits3":     all(func(n *dns.NSEC3) { n.TypeBitMap = []uint16{dns.TypeTXT} }),
	"optout3":   all(func(n *dns.NSEC3) { n.Flags = 1 }),
	"salt3":     all(func(n *dns.NSEC3) { n.Salt = "cd" }),
	"rcode":     func(m *dns.Msg) { m.Rcode ^= dns.RcodeNameError },
	"added": func(m *dns.Msg) {
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				b := dns.Copy(a).(*dns.A)
				b.A = net.IPv4(203, 0, 113, 67)
				m.Answer = append(m.Answer, b)
				return
			}
		}
	},
}

func without(out func(dns.RR) bool) func(*dns.Msg) {
	return func(m *dns.Msg) {
		for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
			var kept []dns.RR
			for _, rr := range *section {
				if !out(rr) {
					kept = append(kept, rr)
				}
			}
			*section = kept
		}
	}
}

func covering(kinds ...uint16) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		for _, k := range kinds {
			sig, ok := rr.(*dns.RRSIG)
			if rr.Header().Rrtype == k || ok && sig.TypeCovered == k {
				return true
			}
		}
		return false
	}
}

func all[T dns.RR](change func(T)) func(*dns.Msg) {
	return func(m *dns.Msg) {
		for _, section := range [][]dns.RR{m.Answer, m.Ns} {
			for _, rr := range section {
				if x, ok := rr.(T); ok {
					change(x)
				}
			}
		}
	}
}

const zoneRecords = `
@ IN A 192.0.2.1
www IN A 192.0.2.2
www IN TXT "hello"
deep.empty IN A 192.0.2.3
*.wild IN A 192.0.2.4
alias IN CNAME www
into IN CNAME x.wild
out IN CNAME www.plain.tld.
moved IN DNAME empty
nowhere IN CNAME absent
`

// signedInternet is zones that are well, each kind of them, and one for every
// way to break them.
func signedInternet(t *testing.T) *signed.World {
	t.Helper()
	now := time.Now()
	zones := []signed.Zone{
		{Name: ".", Alg: dns.ECDSAP256SHA256}, {Name: "tld.", Alg: dns.ED25519},
		{Name: "good.tld.", Alg: dns.ECDSAP256SHA256}, {Name: "sub.good.tld.", Alg: dns.ED25519},
		{Name: "island.good.tld.", Alg: dns.ED25519, NoDS: true},
		{Name: "rsa.tld.", Alg: dns.RSASHA256}, {Name: "rsa512.tld.", Alg: dns.RSASHA512, Digest: dns.SHA384},
		{Name: "p384.tld.", Alg: dns.ECDSAP384SHA384, NSEC3: true, Iter: 10},
		{Name: "optout.tld.", Alg: dns.ECDSAP256SHA256, NSEC3: true, OptOut: true},
		{Name: "plain.optout.tld."}, {Name: "signed.optout.tld.", Alg: dns.ED25519},
		{Name: "iter.tld.", Alg: dns.ED25519, NSEC3: true, Iter: 151},
		{Name: "plain.tld."}, {Name: "below.plain.tld."},
		{Name: "old.tld.", Alg: dns.ED25519, From: now.Add(-48 * time.Hour), To: now.Add(-2 * time.Hour)},
		{Name: "early.tld.", Alg: dns.ED25519, From: now.Add(2 * time.Hour), To: now.Add(48 * time.Hour)},
		{Name: "oddalg.tld.", Alg: dns.ED25519}, {Name: "odddigest.tld.", Alg: dns.ED25519},
	}
	for label := range spoilers {
		zones = append(zones, signed.Zone{Name: label + ".tld.", Alg: dns.ED25519, NSEC3: strings.HasSuffix(label, "3")})
	}
	for i := range zones {
		zones[i].Records = zoneRecords
	}
	w, err := signed.New(now, zones...)
	if err != nil {
		t.Fatal(err)
	}
	w.DS("oddalg.tld.")[0].Algorithm = 200
	w.DS("odddigest.tld.")[0].DigestType = 200
	w.Spoil = func(name string, qtype uint16, m *dns.Msg) {
		labels := dns.SplitDomainName(name)
		if len(labels) < 2 {
			return
		}
		label := labels[len(labels)-2]
		// What breaks answers leaves the chain alone, and the other way round.
		chain := qtype == dns.TypeDNSKEY || qtype == dns.TypeDS
		keys := map[string]bool{"nokeys": true, "revoked": true, "notzone": true, "protocol": true, "digest": true}[label]
		if f := spoilers[label]; f != nil && chain == keys {
			f(m)
		}
	}
	return w
}

// serveWorld answers for a world on a loopback port, UDP and TCP.
func serveWorld(t *testing.T, w *signed.World) string {
	t.Helper()
	var mu sync.Mutex
	handler := dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		m := w.Answer(q.Question[0].Name, q.Question[0].Qtype)
		mu.Unlock()
		out := new(dns.Msg).SetRcode(q, m.Rcode)
		out.RecursionAvailable, out.Compress = true, true
		out.Answer, out.Ns = m.Answer, m.Ns
		out.SetEdns0(4096, true)
		if _, udp := rw.RemoteAddr().(*net.UDPAddr); udp {
			size := dns.MinMsgSize
			if opt := q.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			out.Truncate(size)
		}
		rw.WriteMsg(out)
	})
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
	return pc.LocalAddr().String()
}

// unbound runs a validating forwarder and gives its address.
func unbound(t *testing.T, upstream, anchor string) string {
	t.Helper()
	path, err := exec.LookPath("unbound")
	if err != nil {
		if os.Getenv("E2E_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("unbound is not installed")
	}
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0") // a port that is free
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
	pc.Close()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`server:
  interface: 127.0.0.1@%s
  do-not-query-localhost: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: "%s"
  pidfile: "%s/pid"
  num-threads: 1
  module-config: "validator iterator"
  trust-anchor: "%s"
  trust-anchor-signaling: no
  harden-algo-downgrade: no
  aggressive-nsec: no
  val-sig-skew-min: 0
  val-sig-skew-max: 0
  val-nsec3-keysize-iterations: "1024 150 2048 150 4096 150"
forward-zone:
  name: "."
  forward-addr: %s
remote-control:
  control-enable: no
`, port, dir, dir, anchor, strings.Replace(upstream, ":", "@", 1))
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-d", "-c", file)
	cmd.Stderr, cmd.Stdout = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	addr := "127.0.0.1:" + port
	for range 100 {
		if m, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("www.good.tld.", dns.TypeA), addr); err == nil && m.Rcode == 0 {
			return addr
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("unbound does not answer")
	return ""
}

// repaired names what is wrong in a part that is not signed, and that unbound
// mends by itself: the RCODE, and the CNAME that follows from a DNAME. Here the
// answer is refused.
func repaired(name, zone string) bool {
	return zone == "rcode.tld." || zone == "cname.tld." && name == "deep.moved."
}

// TestDNSSECBesideUnbound: name by name, what is secure, insecure and bogus for
// unbound is so for the resolver.
func TestDNSSECBesideUnbound(t *testing.T) {
	w := signedInternet(t)
	upstream := serveWorld(t, w)
	other := unbound(t, upstream, w.Anchor().String())

	p, err := policy.New(policy.Options{Set: blocklists.Compile()})
	if err != nil {
		t.Fatal(err)
	}
	var current policy.Current
	current.Store(p)
	r, err := resolver.New(resolver.Options{Policy: &current, Upstreams: []string{"udp://" + upstream},
		Validation: resolver.ValidateAlways, Anchors: w.Anchor().String(), AllowPrivate: []string{"tld"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go r.Run(ctx)

	labels := []string{"good.tld.", "sub.good.tld.", "island.good.tld.", "rsa.tld.", "rsa512.tld.", "p384.tld.", "optout.tld.", "plain.optout.tld.",
		"signed.optout.tld.", "iter.tld.", "plain.tld.", "below.plain.tld.", "old.tld.", "early.tld.", "oddalg.tld.", "odddigest.tld."}
	for label := range spoilers {
		labels = append(labels, label+".tld.")
	}
	count := map[string]int{}
	for _, zone := range labels {
		for _, q := range []string{"www. A", "www. TXT", "www. AAAA", "empty. A", "a.wild. A", "a.wild. TXT", "alias. A", "into. A", "out. A", "absent. A",
			"x.y.absent. A", "deep.moved. A", "nowhere. A", " SOA", " DNSKEY", " DS", "www. DS"} {
			name, kind, _ := strings.Cut(q, " ")
			m := new(dns.Msg).SetQuestion(name+zone, dns.StringToType[kind])
			m.SetEdns0(1232, true)
			want, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(m, other)
			if err == nil && want.Truncated {
				want, _, err = (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(m, other)
			}
			if err != nil {
				t.Fatalf("unbound: %s%s %s: %v", name, zone, kind, err)
			}
			b, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			got := new(dns.Msg)
			if err := got.Unpack(r.ServeDNS(ctx, policy.Flow{}, "tcp", b)); err != nil {
				t.Fatal(err)
			}
			judge := func(m *dns.Msg) string {
				return fmt.Sprintf("%s ad=%v", dns.RcodeToString[m.Rcode], m.AuthenticatedData)
			}
			count[judge(want)]++
			if got.Rcode == dns.RcodeServerFailure && repaired(name, zone) {
				count["repaired by unbound alone"]++
				continue
			}
			if judge(got) != judge(want) {
				why := ""
				if opt := got.IsEdns0(); opt != nil && len(opt.Option) > 0 {
					why = opt.Option[0].String()
				}
				t.Errorf("%s%s %s: %s %s, unbound says %s", name, zone, kind, judge(got), why, judge(want))
			}
		}
	}
	t.Logf("answers by what unbound says of them: %v", count)
}
