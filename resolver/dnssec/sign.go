package dnssec

import (
	"fmt"
	"nightlatch/resolver/dnssec/tree"
	"time"

	"github.com/miekg/dns"
)

// set is the records of one name and type, with the signatures over them.
type set struct {
	name string // canonical
	kind uint16
	rrs  []dns.RR
	sigs []*dns.RRSIG
}

// group sorts the records of a section into sets, in the order they came.
func group(section []dns.RR) []*set {
	var out []*set
	at := func(name string, kind uint16) *set {
		name = dns.CanonicalName(name)
		if s := find(out, name, kind); s != nil {
			return s
		}
		out = append(out, &set{name: name, kind: kind})
		return out[len(out)-1]
	}
	for _, rr := range section {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		if sig, ok := rr.(*dns.RRSIG); ok {
			s := at(h.Name, sig.TypeCovered)
			s.sigs = append(s.sigs, sig)
			continue
		}
		s := at(h.Name, h.Rrtype)
		s.rrs = append(s.rrs, rr)
	}
	return out
}

// find gives the set of a name and type that has records; nil when there is none.
func find(sets []*set, name string, kind uint16) *set {
	for _, s := range sets {
		if s.name == name && s.kind == kind {
			return s
		}
	}
	return nil
}

// supported tells the algorithms of RFC 8624 §3.1 that are checked here. Those
// with SHA-1 still are: RFC 9905 §2 keeps their validation.
func supported(alg uint8) bool {
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519:
		return true
	}
	return false
}

// Bounds of one set.
const (
	maxSigners = 2 // zones that may claim to have signed it
	maxSigs    = 8 // signatures of one zone that are looked at
	maxSameTag = 4 // keys with the same tag that are tried (RFC 4034 §5.3.1: tags are hints)
)

// judge finds the zone that signed a set, and checks the signature. The zone and
// the signature are given when the result is Secure.
func (w *work) judge(s *set) (*zone, *dns.RRSIG, Result) {
	fault := bogus(dns.ExtendedErrorCodeRRSIGsMissing, "%s %s is not signed, and its zone is", s.name, dns.Type(s.kind))
	if len(s.rrs) == 0 {
		return nil, nil, fault
	}
	been := map[string]bool{}
	for _, sig := range s.sigs {
		signer := dns.CanonicalName(sig.SignerName)
		if been[signer] || !dns.IsSubDomain(signer, s.name) || s.kind == dns.TypeDS && signer == s.name {
			continue // DS is the parent's to sign (RFC 4035 §2.4)
		}
		if been[signer] = true; len(been) > maxSigners {
			break
		}
		z := w.zone(signer)
		if z.status != Secure {
			return nil, nil, z.result()
		}
		if z.name != signer {
			continue // no zone begins there
		}
		good, res := w.verify(s, z)
		if good != nil {
			return z, good, res
		}
		fault = res
	}
	if z := w.zone(owner(s.name, s.kind)); z.status != Secure {
		return nil, nil, z.result()
	}
	return nil, nil, fault
}

// verify looks for a signature of a zone over a set that holds.
func (w *work) verify(s *set, z *zone) (*dns.RRSIG, Result) {
	fault := bogus(dns.ExtendedErrorCodeRRSIGsMissing, "%s %s is not signed by %s", s.name, dns.Type(s.kind), z.name)
	seen := 0
	for _, sig := range s.sigs {
		if dns.CanonicalName(sig.SignerName) != z.name || !dns.IsSubDomain(z.name, s.name) {
			continue
		}
		if seen++; seen > maxSigs {
			break
		}
		if res := w.timely(sig); res.Status != Secure {
			fault = res
			continue
		}
		res := w.try(s, sig, z)
		if res.Status == Secure {
			return sig, res
		}
		fault = res
	}
	return nil, fault
}

// timely compares the dates of a signature with the clock, in serial arithmetic
// (RFC 4034 §3.1.5).
func (w *work) timely(sig *dns.RRSIG) Result {
	now := uint32(w.now.Unix())
	what := fmt.Sprintf("the signature of %s %s", dns.CanonicalName(sig.Hdr.Name), dns.Type(sig.TypeCovered))
	switch {
	case int32(sig.Expiration-now) < 0:
		return bogus(dns.ExtendedErrorCodeSignatureExpired, "%s ended %s", what, date(sig.Expiration))
	case int32(now-sig.Inception) < 0:
		return bogus(dns.ExtendedErrorCodeSignatureNotYetValid, "%s begins %s", what, date(sig.Inception))
	}
	return secure()
}

func date(t uint32) string { return time.Unix(int64(t), 0).UTC().Format("2006-01-02 15:04 UTC") }

// try checks one signature with every key it may be of.
func (w *work) try(s *set, sig *dns.RRSIG, z *zone) Result {
	tried := 0
	for _, key := range z.keys {
		if key.Algorithm != sig.Algorithm || key.KeyTag() != sig.KeyTag {
			continue
		}
		if tried++; tried > maxSameTag {
			break
		}
		if w.verifies--; w.verifies < 0 || w.failures <= 0 {
			return bogus(dns.ExtendedErrorCodeDNSBogus, "too many signatures to check")
		}
		if sig.Verify(key, s.rrs) == nil {
			return secure()
		}
		w.failures--
	}
	if tried == 0 {
		return bogus(dns.ExtendedErrorCodeDNSKEYMissing, "%s has no key %d that signed %s %s", z.name, sig.KeyTag, s.name, dns.Type(s.kind))
	}
	return bogus(dns.ExtendedErrorCodeDNSBogus, "the signature of %s %s is wrong", s.name, dns.Type(s.kind))
}

// expanded tells whether a wildcard stood for a name (RFC 4034 §3.1.3).
func expanded(name string, sig *dns.RRSIG) bool {
	return int(sig.Labels) < tree.Labels(name)
}
