package dnssec

import (
	"context"
	"errors"
	"fmt"
	"nightlatch/resolver/dnssec/signed"
	"nightlatch/resolver/dnssec/tree"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// noon is the time in which the test world lives.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a signed internet, and what is done to its answers.
type world struct {
	*signed.World
	spoil   func(m *dns.Msg)
	spoilAt string // "name. TYPE"; empty is every answer
}

func newWorld(t testing.TB, zones ...signed.Zone) *world {
	t.Helper()
	s, err := signed.New(noon, zones...)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{World: s}
	s.Spoil = func(name string, qtype uint16, m *dns.Msg) {
		if w.spoil != nil && (w.spoilAt == "" || w.spoilAt == name+" "+dns.Type(qtype).String()) {
			w.spoil(m)
		}
	}
	return w
}

func (w *world) ask(_ context.Context, name string, qtype uint16) (*dns.Msg, error) {
	return w.Answer(name, qtype), nil
}

// validator trusts the root of the world.
func (w *world) validator(negative ...string) *Validator {
	return New(Options{Ask: w.ask, Anchors: []*dns.DS{w.Anchor()}, Negative: negative, Now: func() time.Time { return noon }})
}

// check asks a question and validates the answer.
func (w *world) check(v *Validator, name string, qtype uint16) Result {
	m := w.Answer(name, qtype)
	return v.Validate(context.Background(), name, qtype, m.Rcode, m.Answer, m.Ns)
}

const hosts = `
@ IN A 192.0.2.1
www IN A 192.0.2.2
www IN TXT "hello"
deep.empty IN A 192.0.2.3
*.wild IN A 192.0.2.4
alias IN CNAME www
out IN CNAME www.nsec3.test.
away IN CNAME www.plain.test.
into IN CNAME x.wild
moved IN DNAME www
nowhere IN CNAME absent
`

// home is the world of most tests: zones with NSEC, with NSEC3, with opt-out,
// unsigned ones, and one with what is not supported.
func home(t testing.TB, more ...signed.Zone) *world {
	return newWorld(t, append(more,
		signed.Zone{Name: ".", Alg: dns.ECDSAP256SHA256},
		signed.Zone{Name: "test.", Alg: dns.ECDSAP256SHA256, Records: "*.star IN TXT \"t\"\n"},
		signed.Zone{Name: "nsec.test.", Alg: dns.ECDSAP256SHA256, Records: hosts},
		signed.Zone{Name: "sub.nsec.test.", Alg: dns.ED25519, Records: hosts},
		signed.Zone{Name: "island.nsec.test.", Alg: dns.ED25519, NoDS: true, Records: hosts},
		signed.Zone{Name: "nsec3.test.", Alg: dns.ECDSAP256SHA256, NSEC3: true, Iter: 3, Records: hosts},
		signed.Zone{Name: "optout.test.", Alg: dns.ECDSAP384SHA384, NSEC3: true, OptOut: true, Records: hosts},
		signed.Zone{Name: "plain.optout.test.", Records: hosts},
		signed.Zone{Name: "signed.optout.test.", Alg: dns.ED25519, Records: hosts},
		signed.Zone{Name: "many.test.", Alg: dns.ED25519, NSEC3: true, Iter: 151, Records: hosts},
		signed.Zone{Name: "plain.test.", Records: hosts},
		signed.Zone{Name: "below.plain.test.", Records: hosts},
		signed.Zone{Name: "expired.test.", Alg: dns.ED25519, From: noon.Add(-48 * time.Hour), To: noon.Add(-time.Hour), Records: hosts},
		signed.Zone{Name: "early.test.", Alg: dns.ED25519, From: noon.Add(time.Hour), To: noon.Add(48 * time.Hour), Records: hosts},
	)...)
}

// TestHonest: what an honest world answers, by name and type.
func TestHonest(t *testing.T) {
	w := home(t,
		signed.Zone{Name: "sha256.test.", Alg: dns.RSASHA256, Records: hosts},
		signed.Zone{Name: "sha512.test.", Alg: dns.RSASHA512, Digest: dns.SHA384, Records: hosts},
		signed.Zone{Name: "sha1.test.", Alg: dns.RSASHA1, Digest: dns.SHA1, Records: hosts},
	)
	v := w.validator()
	for _, zone := range []struct {
		name string
		want Status
	}{
		{"nsec.test.", Secure}, {"sub.nsec.test.", Secure}, {"nsec3.test.", Secure}, {"sha256.test.", Secure}, {"sha512.test.", Secure}, {"sha1.test.", Secure},
		{"signed.optout.test.", Secure}, {"plain.test.", Insecure}, {"below.plain.test.", Insecure}, {"plain.optout.test.", Insecure},
		{"island.nsec.test.", Insecure},
	} {
		for _, q := range []struct {
			name  string
			qtype uint16
		}{
			{"", dns.TypeA}, {"", dns.TypeSOA}, {"", dns.TypeNS}, {"www.", dns.TypeA}, {"www.", dns.TypeTXT}, {"www.", dns.TypeAAAA},
			{"empty.", dns.TypeA}, {"deep.empty.", dns.TypeA}, {"a.wild.", dns.TypeA}, {"a.b.wild.", dns.TypeA}, {"a.wild.", dns.TypeAAAA},
			{"wild.", dns.TypeA}, {"*.wild.", dns.TypeA}, {"alias.", dns.TypeA}, {"alias.", dns.TypeCNAME}, {"into.", dns.TypeA},
			{"absent.", dns.TypeA}, {"a.b.c.absent.", dns.TypeA}, {"x.www.", dns.TypeA}, {"nowhere.", dns.TypeA}, {"nowhere.", dns.TypeTXT},
			{"WwW.", dns.TypeA},
		} {
			name := q.name + zone.name
			if got := w.check(v, name, q.qtype); got.Status != zone.want {
				t.Errorf("%s %s: %v (%d %s), want %v", name, dns.Type(q.qtype), got.Status, got.EDE, got.Reason, zone.want)
			}
		}
	}
	for name, want := range map[string]Status{
		"out.nsec.test. A":          Secure, // into another signed zone
		"away.nsec.test. A":         Insecure,
		"absent.optout.test. A":     Insecure, // RFC 5155 §9.2
		"www.optout.test. A":        Secure,
		"www.optout.test. AAAA":     Secure,
		"www.many.test. A":          Secure, // no hash is needed
		"www.many.test. AAAA":       Insecure,
		"absent.many.test. A":       Insecure,
		"a.moved.nsec.test. A":      Secure, // DNAME to a.www, which is not there
		"a.moved.nsec3.test. A":     Secure,
		"www.expired.test. A":       Bogus,
		"www.early.test. A":         Bogus,
		"nsec.test. DS":             Secure,
		"plain.test. DS":            Secure, // the proof that there is none
		"plain.optout.test. DS":     Insecure,
		"www.nsec.test. DS":         Secure,
		". DNSKEY":                  Secure,
		". DS":                      Secure,
		"test. DNSKEY":              Secure,
		"nothing. A":                Secure,
		"x.star.test. TXT":          Secure,
		"y.x.star.test. A":          Secure,
		"www.island.nsec.test. TXT": Insecure,
	} {
		name, kind, _ := strings.Cut(name, " ")
		if got := w.check(v, name, dns.StringToType[kind]); got.Status != want {
			t.Errorf("%s %s: %v (%d %s), want %v", name, kind, got.Status, got.EDE, got.Reason, want)
		}
	}
}

// drop leaves records out of a message.
func drop(out func(rr dns.RR) bool) func(*dns.Msg) {
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

func ofType(kinds ...uint16) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		for _, k := range kinds {
			sig, isSig := rr.(*dns.RRSIG)
			if rr.Header().Rrtype == k || isSig && sig.TypeCovered == k {
				return true
			}
		}
		return false
	}
}

func each[T dns.RR](change func(rr T)) func(*dns.Msg) {
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

// TestBroken: what is done to an answer, or to one of its chain, is found, and
// told by the right code.
func TestBroken(t *testing.T) {
	all := func(changes ...func(*dns.Msg)) func(*dns.Msg) {
		return func(m *dns.Msg) {
			for _, c := range changes {
				c(m)
			}
		}
	}
	world := home(t)
	rr, err := dns.NewRR("www.nsec.test. 300 IN A 203.0.113.9")
	if err != nil {
		t.Fatal(err)
	}
	sigs := drop(func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
	for _, c := range []struct {
		what  string
		ask   string // what is asked
		at    string // what is spoilt; empty is the answer itself
		spoil func(*dns.Msg)
		ede   int
	}{
		{"a signature is gone", "www.nsec.test. A", "", sigs, 10},
		{"all signatures and proofs are gone", "absent.nsec.test. A", "", drop(ofType(dns.TypeNSEC, dns.TypeRRSIG)), 12},
		{"an address is changed", "www.nsec.test. A", "", each(func(a *dns.A) { a.A[3]++ }), 6},
		{"an address is added", "www.nsec.test. A", "", func(m *dns.Msg) {
			m.Answer = append(m.Answer, rr)
		}, 6},
		{"a signature is of another name", "www.nsec.test. A", "", each(func(s *dns.RRSIG) { s.Labels = 1 }), 6},
		{"a signature is stretched", "www.expired.test. A", "www.expired.test. A", each(func(s *dns.RRSIG) { s.Expiration = uint32(noon.Unix() + 9999) }), 7},
		{"a signature is cut short", "www.nsec.test. A", "", each(func(s *dns.RRSIG) { s.Signature = s.Signature[:40] }), 6},
		{"a signature is empty", "www.sub.nsec.test. A", "", each(func(s *dns.RRSIG) { s.Signature = "" }), 6},
		{"a signature names a key that is not there", "www.nsec.test. A", "", each(func(s *dns.RRSIG) { s.KeyTag++ }), 9},
		{"a signature names a zone below", "www.nsec.test. A", "", each(func(s *dns.RRSIG) { s.SignerName = "www.nsec.test." }), 10},
		{"a signature names a stranger", "www.nsec.test. A", "", each(func(s *dns.RRSIG) { s.SignerName = "sub.nsec.test." }), 10},
		{"the parent signs for the child", "www.sub.nsec.test. A", "", each(func(s *dns.RRSIG) { s.SignerName = "nsec.test." }), 9},
		{"the keys are gone", "www.nsec.test. A", "nsec.test. DNSKEY", drop(ofType(dns.TypeDNSKEY)), 9},
		{"the keys are not signed", "www.nsec.test. A", "nsec.test. DNSKEY", sigs, 10},
		{"another key is there", "www.nsec.test. A", "nsec.test. DNSKEY", each(func(k *dns.DNSKEY) { k.PublicKey = k.PublicKey[:20] + "AAAA" + k.PublicKey[24:] }), 9},
		{"the key may not sign", "www.nsec.test. A", "nsec.test. DNSKEY", each(func(k *dns.DNSKEY) { k.Flags = 1 }), 9},
		{"the key is revoked", "www.nsec.test. A", "nsec.test. DNSKEY", each(func(k *dns.DNSKEY) { k.Flags |= revoked }), 9},
		{"DS is changed", "www.nsec.test. A", "nsec.test. DS", each(func(d *dns.DS) { d.Digest = "00" + d.Digest[2:] }), 6},
		{"DS is not signed", "www.nsec.test. A", "nsec.test. DS", sigs, 10},
		{"DS is gone without a proof", "www.nsec.test. A", "nsec.test. DS", func(m *dns.Msg) { m.Answer = nil }, 12},
		{"DS is denied by the proof of another name", "www.nsec.test. A", "nsec.test. DS", func(m *dns.Msg) {
			world.spoil = nil
			*m = *world.Answer("plain.test.", dns.TypeDS)
		}, 12},
		{"the proof of a missing name is of another", "absent.nsec.test. A", "", drop(func(rr dns.RR) bool {
			return rr.Header().Name == "alias.nsec.test." || rr.Header().Name == "nsec.test." && ofType(dns.TypeNSEC)(rr)
		}), 12},
		{"the wildcard is not denied", "a.b.sub.nsec.test. A", "", drop(func(rr dns.RR) bool { return rr.Header().Name == "sub.nsec.test." && ofType(dns.TypeNSEC)(rr) }), 12},
		{"a missing name becomes a missing type", "absent.nsec.test. A", "", func(m *dns.Msg) { m.Rcode = 0 }, 12},
		{"a missing type becomes a missing name", "www.nsec.test. AAAA", "", func(m *dns.Msg) { m.Rcode = 3 }, 12},
		{"a name that is there, with an answer, is called missing", "www.nsec.test. A", "", func(m *dns.Msg) { m.Rcode = 3 }, 6},
		{"an empty name is called missing", "empty.nsec.test. A", "", func(m *dns.Msg) { m.Rcode = 3 }, 12},
		{"NSEC3: an empty name is called missing", "empty.nsec3.test. A", "", func(m *dns.Msg) { m.Rcode = 3 }, 12},
		{"a type is denied that is there", "www.nsec.test. TXT", "", func(m *dns.Msg) {
			*m = dns.Msg{Ns: world.NSEC("nsec.test.", "www.nsec.test.")}
		}, 12},
		{"NSEC3: the proofs are gone", "absent.nsec3.test. A", "", drop(ofType(dns.TypeNSEC3)), 12},
		{"NSEC3: a bit is changed", "www.nsec3.test. AAAA", "", each(func(n *dns.NSEC3) { n.TypeBitMap = []uint16{1} }), 6},
		{"NSEC3: opt-out is forged", "absent.nsec3.test. A", "", each(func(n *dns.NSEC3) { n.Flags = 1 }), 6},
		{"a wildcard's proof is gone", "a.wild.nsec.test. A", "", func(m *dns.Msg) { m.Ns = nil }, 12},
		{"NSEC3: a wildcard's proof is gone", "a.wild.nsec3.test. A", "", func(m *dns.Msg) { m.Ns = nil }, 12},
		{"a wildcard's answer is moved", "a.wild.nsec.test. A", "", each(func(a *dns.A) { a.A[3]++ }), 6},
		{"a CNAME is changed", "alias.nsec.test. A", "", each(func(c *dns.CNAME) { c.Target = "evil.test." }), 6},
		{"the end of a CNAME is not signed", "alias.nsec.test. A", "", drop(func(rr dns.RR) bool {
			s, ok := rr.(*dns.RRSIG)
			return ok && s.TypeCovered == dns.TypeA
		}), 10},
		{"a DNAME's CNAME leads elsewhere", "a.moved.nsec.test. A", "", each(func(c *dns.CNAME) { c.Target = "evil.test." }), 10},
		{"everything is stripped", "www.nsec.test. A", "", all(sigs, drop(ofType(dns.TypeNSEC))), 10},
		{"the root's keys are another's", "www.nsec.test. A", ". DNSKEY", each(func(k *dns.DNSKEY) { k.PublicKey = "AAAA" + k.PublicKey[4:] }), 9},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := world
			w.spoil = nil
			name, kind, _ := strings.Cut(c.ask, " ")
			if got := w.check(w.validator(), name, dns.StringToType[kind]); got.Status == Bogus && !strings.Contains(name, "expired") {
				t.Fatalf("bogus before it is spoilt: %s", got.Reason)
			}
			w.spoil, w.spoilAt = c.spoil, c.at
			if c.at == "" {
				w.spoilAt = c.ask
			}
			got := w.check(w.validator(), name, dns.StringToType[kind])
			if got.Status != Bogus || got.Reason == "" {
				t.Fatalf("%v (%d %q), want bogus", got.Status, got.EDE, got.Reason)
			}
			if got.EDE != c.ede && !(c.ede == 7 && got.EDE == 9) {
				t.Errorf("told as %d %q, want %d", got.EDE, got.Reason, c.ede)
			}
		})
	}
}

// TestDates: the code of a signature out of its time.
func TestDates(t *testing.T) {
	w := home(t)
	for name, want := range map[string]int{"www.expired.test.": 7, "www.early.test.": 8} {
		if got := w.check(w.validator(), name, dns.TypeA); got.Status != Bogus || got.EDE != want {
			t.Errorf("%s: %v %d %s, want bogus %d", name, got.Status, got.EDE, got.Reason, want)
		}
	}
}

// TestNegativeAnchor: a name the owner gave up on counts as unsigned (RFC 7646).
func TestNegativeAnchor(t *testing.T) {
	w := home(t)
	v := w.validator("expired.test")
	if got := w.check(v, "www.expired.test.", dns.TypeA); got.Status != Insecure {
		t.Errorf("%v %s, want insecure", got.Status, got.Reason)
	}
	if got := w.check(v, "www.early.test.", dns.TypeA); got.Status != Bogus {
		t.Errorf("another zone: %v, want bogus", got.Status)
	}
}

// TestUnsupported: what cannot be checked counts as unsigned (RFC 4035 §5.2).
func TestUnsupported(t *testing.T) {
	for what, change := range map[string]func(*dns.DS){
		"algorithm": func(d *dns.DS) { d.Algorithm = 200 },
		"digest":    func(d *dns.DS) { d.DigestType = 200 },
	} {
		w := newWorld(t, signed.Zone{Name: ".", Alg: dns.ED25519}, signed.Zone{Name: "odd.", Alg: dns.ED25519, Records: hosts})
		change(w.DS("odd.")[0])
		if got := w.check(w.validator(), "www.odd.", dns.TypeA); got.Status != Insecure || got.EDE <= 0 {
			t.Errorf("%s: %v %d %s, want insecure with a code", what, got.Status, got.EDE, got.Reason)
		}
	}
}

// TestWeakDigest: where a zone is named by a better digest, one of SHA-1 does not
// count (RFC 4509 §3).
func TestWeakDigest(t *testing.T) {
	ds := func(kind uint8) *dns.DS { return &dns.DS{Algorithm: dns.ED25519, DigestType: kind} }
	for want, all := range map[string][]*dns.DS{
		"[1]":   {ds(dns.SHA1)},
		"[2]":   {ds(dns.SHA1), ds(dns.SHA256)},
		"[4]":   {ds(dns.SHA384), ds(dns.SHA1), ds(200)},
		"[2 4]": {ds(dns.SHA256), ds(dns.SHA384)},
		"[]":    {ds(200)},
	} {
		got := []uint8{}
		out, _ := usable(all)
		for _, d := range out {
			got = append(got, d.DigestType)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// TestUnreachable: a chain that cannot be fetched is neither good nor bad, and
// is tried again.
func TestUnreachable(t *testing.T) {
	w := home(t)
	fail := true
	v := w.validator()
	v.opt.Ask = func(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
		if fail {
			return nil, errors.New("no upstream answers")
		}
		return w.ask(ctx, name, qtype)
	}
	if got := w.check(v, "www.nsec.test.", dns.TypeA); got.Status != Indeterminate {
		t.Errorf("%v, want indeterminate", got.Status)
	}
	fail = false
	if got := w.check(v, "www.nsec.test.", dns.TypeA); got.Status != Secure {
		t.Errorf("%v (%s) when the network is back, want secure", got.Status, got.Reason)
	}
}

// TestRemembered: a chain is fetched once.
func TestRemembered(t *testing.T) {
	w := home(t)
	v := w.validator()
	w.check(v, "www.nsec.test.", dns.TypeA)
	clear(w.Asked)
	w.check(v, "deep.empty.nsec.test.", dns.TypeA)
	w.check(v, "absent.nsec.test.", dns.TypeA)
	delete(w.Asked, "deep.empty.nsec.test. A")
	delete(w.Asked, "absent.nsec.test. A")
	if len(w.Asked) != 0 {
		t.Errorf("asked again: %v", w.Asked)
	}
}

// TestKeyTrap: many keys with one tag and many signatures that do not hold cost
// a bounded number of checks (CVE-2023-50387).
func TestKeyTrap(t *testing.T) {
	w := home(t)
	w.spoilAt = "www.nsec.test. A"
	w.spoil = func(m *dns.Msg) {
		var sig *dns.RRSIG
		for _, rr := range m.Answer {
			if s, ok := rr.(*dns.RRSIG); ok {
				sig = s
			}
		}
		for i := range 500 {
			s := dns.Copy(sig).(*dns.RRSIG)
			s.Signature = "AAAA" + s.Signature[4:]
			s.OrigTtl += uint32(i)
			m.Answer = append([]dns.RR{s}, m.Answer...)
		}
	}
	m, _ := w.ask(context.Background(), "www.nsec.test.", dns.TypeA)
	k := w.validator().work(context.Background())
	if res := k.positive(find(group(m.Answer), "www.nsec.test.", dns.TypeA), m.Ns); res.Status != Bogus {
		t.Errorf("%v, want bogus", res.Status)
	}
	if k.failures < 0 || maxFailures-k.failures > maxSigs {
		t.Errorf("%d signatures were checked in vain", maxFailures-k.failures)
	}
}

// TestHashWork: a name of many labels asks for a bounded number of hashes
// (CVE-2023-50868).
func TestHashWork(t *testing.T) {
	w := newWorld(t, signed.Zone{Name: ".", Alg: dns.ED25519}, signed.Zone{Name: "z.", Alg: dns.ED25519, NSEC3: true, Iter: maxIterations, Records: hosts})
	name := strings.Repeat("a.", 100) + "z."
	m, _ := w.ask(context.Background(), name, dns.TypeA)
	k := w.validator().work(context.Background())
	if res := k.denied(name, dns.TypeA, m.Rcode, m.Ns); res.Status == Secure || k.rounds < 0 || k.rounds > maxIterations {
		t.Errorf("%v with %d rounds left; want the bound to be met", res.Status, k.rounds)
	}
}

// TestBounded: what is remembered does not grow.
func TestBounded(t *testing.T) {
	w := newWorld(t, signed.Zone{Name: ".", Alg: dns.ED25519, Records: "* IN A 192.0.2.1\n"})
	v := w.validator()
	k := &work{v: v, ctx: context.Background(), now: noon}
	for i := range maxKnown * 2 {
		k.at(fmt.Sprintf("n%d.", i), func() *cut { return &cut{expires: noon.Add(time.Hour)} })
	}
	if len(v.known) > maxKnown {
		t.Errorf("%d names are remembered", len(v.known))
	}
}

func TestParseAnchors(t *testing.T) {
	ds, err := ParseAnchors("; the root\n. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n\n")
	if err != nil || len(ds) != 1 || ds[0].KeyTag != 20326 || !equalHex(ds[0].Digest, RootAnchors()[0].Digest) {
		t.Errorf("%v, %v", ds, err)
	}
	for text, want := range map[string]string{
		"":                        "no trust anchor",
		". IN DS x":               "line 1",
		"\nexample. IN A 1.2.3.4": "line 2",
		"com. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D": "of the root",
	} {
		if _, err := ParseAnchors(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestCompare(t *testing.T) { // RFC 4034 §6.1
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", "\\001.z.example.", "*.z.example.", "\\200.z.example."}
	for i := range order {
		for j := range order {
			got := tree.Compare(order[i], order[j])
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("tree.Compare(%s, %s) = %d", order[i], order[j], got)
			}
		}
	}
}

// FuzzValidate: whatever is done to the octets of an answer, nothing but what
// was signed is called secure.
func FuzzValidate(f *testing.F) {
	w := home(f)
	v := w.validator()
	const name = "www.nsec.test."
	honest := w.Answer(name, dns.TypeA)
	want := honest.Answer[0].String()
	for _, m := range []*dns.Msg{honest, w.Answer("absent.nsec.test.", dns.TypeA), w.Answer("absent.nsec3.test.", dns.TypeA), w.Answer("a.wild.nsec.test.", dns.TypeA)} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		res := v.Validate(context.Background(), name, dns.TypeA, m.Rcode, m.Answer, m.Ns)
		if place := places[len(b)%len(places)] + "nsec.test."; res.Status == Secure { // what was learnt of it is true
			if known, ok := v.Known(place, dns.TypeA); ok {
				if truth := w.Answer(place, dns.TypeA); known.Rcode != truth.Rcode || records(known.Answer) != records(truth.Answer) {
					t.Errorf("%s: made up\n%v\nthe truth is\n%v", place, known, truth)
				}
			}
		}
		if res.Status != Secure {
			return
		}
		for _, rr := range m.Answer {
			h := rr.Header()
			h.Ttl = 300 // not signed as such
			if h.Rrtype == dns.TypeA && dns.CanonicalName(h.Name) == name && rr.String() != want {
				t.Errorf("secure: %s", rr)
			}
		}
		if m.Rcode == dns.RcodeNameError && len(m.Answer) == 0 {
			t.Error("a name that is there is securely absent")
		}
	})
}
