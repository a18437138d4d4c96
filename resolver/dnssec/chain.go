package dnssec

import (
	"nightlatch/resolver/dnssec/tree"
	"time"

	"github.com/miekg/dns"
)

// zone is what the chain of trust found out about a zone.
type zone struct {
	name   string // its apex, canonical
	status Status
	keys   []*dns.DNSKEY // that may sign; only when secure
	fault  Result        // why it is not secure
}

func (z *zone) result() Result {
	if z.status == Secure {
		return secure()
	}
	return z.fault
}

// cut is what is known about one name: whether a zone begins there.
type cut struct {
	zone    *zone // nil: no zone begins there
	end     bool  // nothing exists below the name, or not in the zones above it
	expires time.Time
}

// Bounds of what is remembered.
const (
	maxKnown  = 4096             // names; about 2 KB each when a zone begins there
	maxLife   = time.Hour        // of what the chain found: as fresh as its shortest TTL, and no longer
	minLife   = 5 * time.Second  // a TTL of 0 would have the chain fetched for every question
	badLife   = 30 * time.Second // of a bogus zone: long enough to spare its servers, short enough for a repair
	maxDS     = 8                // DS records of one delegation that are looked at
	maxDNSKEY = 64               // keys of one zone
)

// zone gives the zone that a name lies in, as far down as the chain is secure.
func (w *work) zone(name string) *zone {
	z := w.at(".", func() *cut { return w.root() }).zone
	for n := 1; n <= dns.CountLabel(name) && z.status == Secure; n++ {
		sub := tree.Suffix(name, n)
		if w.v.negative[sub] {
			return &zone{name: sub, status: Insecure, fault: insecure(-1, "")}
		}
		c := w.at(sub, func() *cut { return w.cut(z, sub) })
		if c.zone != nil {
			z = c.zone
		}
		if c.end {
			break
		}
	}
	return z
}

// at remembers what is found out about a name.
func (w *work) at(name string, find func() *cut) *cut {
	v := w.v
	v.mu.Lock()
	c := v.known[name]
	v.mu.Unlock()
	if c != nil && w.now.Before(c.expires) {
		return c
	}
	c = find()
	if c.expires.IsZero() {
		return c // of this question alone
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		v.shrink(w.now)
	}
	v.known[name] = c
	return c
}

// shrink makes room: what has ended goes first, and then whatever comes.
func (v *Validator) shrink(now time.Time) {
	for name, c := range v.known {
		if !now.Before(c.expires) {
			delete(v.known, name)
		}
	}
	for name := range v.known {
		if len(v.known) < maxKnown*3/4 {
			return
		}
		delete(v.known, name)
	}
}

// until bounds how long something found may be remembered.
func (w *work) until(sections ...[]dns.RR) time.Time {
	life := maxLife
	for _, rrs := range sections {
		for _, rr := range rrs {
			life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
			if sig, ok := rr.(*dns.RRSIG); ok {
				left := time.Duration(int32(sig.Expiration-uint32(w.now.Unix()))) * time.Second
				life = min(life, max(left, 0))
			}
		}
	}
	return w.now.Add(max(life, minLife))
}

// root checks the keys of the root with the anchors.
func (w *work) root() *cut {
	return w.delegated(".", w.v.opt.Anchors, time.Time{})
}

// cut finds out whether a zone begins at sub, a name in the secure zone z: by
// its DS records, or by the proof that there are none (RFC 4035 §5.2).
func (w *work) cut(z *zone, sub string) *cut {
	msg, err := w.ask(sub, dns.TypeDS)
	if err != nil {
		return unreachable(sub, err)
	}
	sets := group(msg.Answer)
	if s := find(sets, sub, dns.TypeDS); s != nil {
		if sig, res := w.verify(s, z); sig == nil {
			return w.broken(sub, res)
		}
		var ds []*dns.DS
		for _, rr := range s.rrs {
			if d, ok := rr.(*dns.DS); ok {
				ds = append(ds, d)
			}
		}
		return w.delegated(sub, ds, w.until(msg.Answer))
	}
	if c := w.aliased(z, sub, sets); c != nil {
		return c
	}
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		return unreachable(sub, rcodeError(msg.Rcode))
	}
	p := w.proof(z, msg.Ns)
	out := &cut{expires: w.until(msg.Ns)}
	switch p.delegation(sub) {
	case unsigned:
		out.zone = &zone{name: sub, status: Insecure, fault: insecure(p.ede, "")}
	case noZone:
	case noName:
		out.end = true
	default:
		if p.fault.Status == Bogus {
			return w.broken(sub, p.fault)
		}
		return w.broken(sub, bogus(dns.ExtendedErrorCodeNSECMissing, "nothing proves that %s is not signed", sub))
	}
	return out
}

// rcodeError is a code that an answer of the chain may not have.
type rcodeError int

func (e rcodeError) Error() string { return "the answer is " + dns.RcodeToString[int(e)] }

// aliased knows a name that is an alias, where no zone begins (RFC 1034
// §3.6.2); nil when it is none.
func (w *work) aliased(z *zone, sub string, sets []*set) *cut {
	for _, s := range sets {
		below := s.kind == dns.TypeDNAME && s.name != sub && dns.IsSubDomain(s.name, sub)
		if !below && !(s.kind == dns.TypeCNAME && s.name == sub && len(s.sigs) > 0) {
			continue
		}
		if sig, _ := w.verify(s, z); sig != nil {
			return &cut{end: below, expires: w.until(s.rrs)} // RFC 6672 §2.4: nothing is below a DNAME
		}
	}
	return nil
}

// delegated checks the keys of a zone with the DS records its parent has.
func (w *work) delegated(name string, all []*dns.DS, until time.Time) *cut {
	ds, ede := usable(all)
	if len(ds) == 0 {
		return &cut{zone: &zone{name: name, status: Insecure, fault: insecure(ede, name+" is signed in a way that is not supported")}, expires: until}
	}
	msg, err := w.ask(name, dns.TypeDNSKEY)
	if err != nil {
		return unreachable(name, err)
	}
	s := find(group(msg.Answer), name, dns.TypeDNSKEY)
	if s == nil || len(s.rrs) > maxDNSKEY {
		return w.broken(name, bogus(dns.ExtendedErrorCodeDNSKEYMissing, "%s has no keys, and its parent says it is signed", name))
	}
	if name == "." && len(s.sigs) > 0 {
		w.v.offered.Store(true)
	}
	keys := signing(s.rrs)
	entry := w.entry(keys, ds)
	if len(entry) == 0 {
		return w.broken(name, bogus(dns.ExtendedErrorCodeDNSKEYMissing, "no key of %s is the one that its parent names", name))
	}
	if sig, res := w.verify(s, &zone{name: name, keys: entry}); sig == nil {
		return w.broken(name, res)
	}
	expires := w.until(msg.Answer)
	if !until.IsZero() && until.Before(expires) {
		expires = until
	}
	return &cut{zone: &zone{name: name, keys: keys}, expires: expires}
}

// usable gives the DS records that can be used. Where a better digest is there,
// SHA-1 is not (RFC 4509 §3). ede tells why none is left.
func usable(all []*dns.DS) (out []*dns.DS, ede int) {
	ede = int(dns.ExtendedErrorCodeUnsupportedDSDigestType)
	strong := false
	for _, ds := range all[:min(len(all), maxDS)] {
		switch {
		case !supported(ds.Algorithm):
			ede = int(dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm)
		case ds.DigestType == dns.SHA256, ds.DigestType == dns.SHA384:
			strong = true
			out = append(out, ds)
		case ds.DigestType == dns.SHA1:
			out = append(out, ds)
		}
	}
	if !strong {
		return out, ede
	}
	kept := out[:0]
	for _, ds := range out {
		if ds.DigestType != dns.SHA1 {
			kept = append(kept, ds)
		}
	}
	return kept, -1
}

// revoked is the REVOKE bit of a key (RFC 5011 §7).
const revoked = 1 << 7

// signing gives the keys that may sign the data of a zone (RFC 4034 §2.1).
func signing(rrs []dns.RR) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, rr := range rrs {
		k, ok := rr.(*dns.DNSKEY)
		if ok && k.Flags&dns.ZONE != 0 && k.Flags&revoked == 0 && k.Protocol == 3 && supported(k.Algorithm) {
			out = append(out, k)
		}
	}
	return out
}

// entry gives the keys that DS records name.
func (w *work) entry(keys []*dns.DNSKEY, ds []*dns.DS) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, d := range ds {
		tried := 0
		for _, k := range keys {
			if k.Algorithm != d.Algorithm || k.KeyTag() != d.KeyTag {
				continue
			}
			if tried++; tried > maxSameTag {
				break
			}
			if made := k.ToDS(d.DigestType); made != nil && equalHex(made.Digest, d.Digest) {
				out = append(out, k)
			}
		}
	}
	return out
}

// unreachable is a zone of which nothing could be learnt. It is not remembered.
func unreachable(name string, err error) *cut {
	return &cut{zone: &zone{name: name, status: Indeterminate, fault: Result{
		Indeterminate, int(dns.ExtendedErrorCodeDNSSECIndeterminate), "the chain of trust of " + name + " cannot be fetched: " + err.Error()}}}
}

// broken is a zone whose chain is wrong.
func (w *work) broken(name string, res Result) *cut {
	return &cut{zone: &zone{name: name, status: Bogus, fault: res}, expires: w.now.Add(badLife)}
}
