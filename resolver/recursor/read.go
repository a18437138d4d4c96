package recursor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// step is one question to the servers of one zone.
type step struct {
	zone  string // whose servers are asked; all they say about other names is dropped
	name  string // below the zone
	qtype uint16
	part  bool // the name is the beginning of one that was asked for
	round int  // which set of the zone's servers is asked
}

// kind is what a reply comes to.
type kind uint8

const (
	positive kind = iota // records, or an alias
	nodata               // the name is there (or something below it), the type is not
	nxdomain             // the name is not there, and nothing is below it
	referral             // other servers know
)

// finding is a reply that was read.
type finding struct {
	kind   kind
	msg    *dns.Msg    // of an answer: what belongs to the zone, and no more
	signed bool        // a denial that comes with its proof
	child  *delegation // of a referral
	own    []host      // servers that the zone itself names
	life   time.Duration
}

// aliased tells whether the answer is an alias.
func (f finding) aliased(k step) bool {
	return f.kind == positive && slices.ContainsFunc(f.msg.Answer, func(rr dns.RR) bool {
		return speaks(rr, k) && rr.Header().Rrtype != k.qtype
	})
}

// fault is a reply that helps nobody; another server may do better.
type fault struct {
	why     string
	lame    bool // the server does not serve the zone
	refused bool // it says so, of this question; of another type it may not
}

func (f *fault) Error() string { return f.why }

// read makes sense of a reply to a step. It is pure: what a hostile server can
// bring about is decided here.
func read(k step, msg *dns.Msg, refuse func(netip.Addr) bool) (finding, error) {
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		refused := msg.Rcode == dns.RcodeRefused || msg.Rcode == dns.RcodeNotAuth
		return finding{}, &fault{why: "a server answers " + rcode(msg.Rcode), refused: refused}
	}
	answers := below(k.zone, msg.Answer)
	told := slices.ContainsFunc(answers, func(rr dns.RR) bool { return speaks(rr, k) })
	if !told && msg.Rcode == dns.RcodeSuccess && !hasSOA(k, msg.Ns) {
		if f, ok := refer(k, msg, refuse); ok {
			return f, nil
		}
		if !msg.Authoritative || len(msg.Ns) > 0 && slices.ContainsFunc(msg.Ns, isNS) {
			return finding{}, &fault{why: "a server does not know the zone it was named for", lame: true}
		}
	}
	// A server that forgets AA may be believed; one that offers recursion is a
	// resolver, and tells what others say.
	if !msg.Authoritative && (msg.RecursionAvailable || !told) {
		return finding{}, &fault{why: "a server answers for a zone that is not its own", lame: true}
	}
	f := finding{msg: scrub(k, msg, answers)}
	switch {
	case told:
		f.kind = positive
	case f.msg.Rcode == dns.RcodeNameError:
		f.kind, f.signed = nxdomain, proves(f.msg.Ns)
	default:
		f.kind, f.signed = nodata, proves(f.msg.Ns)
	}
	if msg.Authoritative {
		f.own, f.life = ownServers(k, msg, refuse)
	}
	return f, nil
}

func rcode(n int) string {
	if s, ok := dns.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", n)
}

// below keeps the records whose names lie within a zone.
func below(zone string, rrs []dns.RR) (out []dns.RR) {
	for _, rr := range rrs {
		if rr.Header().Class == dns.ClassINET && dns.IsSubDomain(zone, rr.Header().Name) {
			out = append(out, rr)
		}
	}
	return out
}

// speaks tells whether a record answers the step: its own, an alias, or an alias
// of a name above.
func speaks(rr dns.RR, k step) bool {
	h := rr.Header()
	if strings.EqualFold(h.Name, k.name) {
		return h.Rrtype == k.qtype || h.Rrtype == dns.TypeCNAME
	}
	return h.Rrtype == dns.TypeDNAME && dns.IsSubDomain(h.Name, k.name)
}

func isNS(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS }

// hasSOA tells whether a zone at or above the name, and not above the zone that
// was asked, denies something.
func hasSOA(k step, rrs []dns.RR) bool {
	return slices.ContainsFunc(below(k.zone, rrs), func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(rr.Header().Name, k.name)
	})
}

func proves(rrs []dns.RR) bool {
	proof := func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeNSEC || rr.Header().Rrtype == dns.TypeNSEC3
	}
	sig := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
	return slices.ContainsFunc(rrs, proof) && slices.ContainsFunc(rrs, sig)
}

// refer reads a referral: it leads strictly down, to a zone at or above the
// name, so that no chain of them can turn round. The DS records of a zone are
// not known to its own servers (RFC 4035 §3.1.4.1).
func refer(k step, msg *dns.Msg, refuse func(netip.Addr) bool) (finding, bool) {
	var ns []dns.RR
	child, ttl := "", uint32(1<<31-1)
	for _, rr := range msg.Ns {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		if !isNS(rr) || h.Class != dns.ClassINET || name == k.zone || !dns.IsSubDomain(k.zone, name) || !dns.IsSubDomain(name, k.name) ||
			child != "" && name != child || k.qtype == dns.TypeDS && name == k.name {
			continue
		}
		child, ttl = name, min(ttl, h.Ttl)
		ns = append(ns, rr)
	}
	if len(ns) == 0 {
		return finding{}, false
	}
	now := time.Now()
	d := &delegation{name: child, stored: now, expires: now.Add(life(ttl))}
	d.hosts = hosts(k.zone, ns, msg.Extra, refuse)
	return finding{kind: referral, child: d}, true
}

// scrub keeps what a zone's server may say: records of the zone, in the
// authority section only a denial with its proofs, and nothing additional
// (RFC 2181 §5.4.1). A denial of a name in another zone, where an alias led, is
// that zone's to make.
func scrub(k step, msg *dns.Msg, answers []dns.RR) *dns.Msg {
	out := &dns.Msg{MsgHdr: msg.MsgHdr, Answer: answers}
	end := k.name
	for range answers {
		i := slices.IndexFunc(answers, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeCNAME && strings.EqualFold(rr.Header().Name, end)
		})
		if i < 0 || k.qtype == dns.TypeCNAME {
			break
		}
		end = dns.CanonicalName(answers[i].(*dns.CNAME).Target)
	}
	if !dns.IsSubDomain(k.zone, end) {
		out.Rcode = dns.RcodeSuccess
	}
	for _, rr := range below(k.zone, msg.Ns) {
		kind := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			kind = sig.TypeCovered
		}
		if kind == dns.TypeSOA && dns.IsSubDomain(rr.Header().Name, end) || kind == dns.TypeNSEC || kind == dns.TypeNSEC3 {
			out.Ns = append(out.Ns, rr)
		}
	}
	return out
}

// ownServers reads the servers that a zone names in its own answers.
func ownServers(k step, msg *dns.Msg, refuse func(netip.Addr) bool) ([]host, time.Duration) {
	var ns []dns.RR
	ttl := uint32(1<<31 - 1)
	for _, rr := range slices.Concat(msg.Answer, msg.Ns) {
		if isNS(rr) && strings.EqualFold(rr.Header().Name, k.zone) {
			ns = append(ns, rr)
			ttl = min(ttl, rr.Header().Ttl)
		}
	}
	return hosts(k.zone, ns, msg.Extra, refuse), life(ttl)
}
