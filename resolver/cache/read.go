package cache

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/wire"
)

// Limits bound how long an answer is kept.
type Limits struct {
	Min, Max time.Duration // clamps of positive TTLs; Max also stands over everything else
	Negative time.Duration // longest life of a negative answer (RFC 2308 §5)
	Fail     time.Duration // life of a failure an upstream told us (RFC 9520)
}

// maxChain bounds a chain of CNAMEs; real ones have up to about ten links.
const maxChain = 16

// Why an answer may be no answer.
var (
	// ErrChain: its CNAMEs lead in a circle or too far.
	ErrChain = errors.New("cache: endless CNAME chain")
	// ErrRecords: its records are not what their types say.
	ErrRecords = errors.New("cache: malformed records")
)

// Read makes an Answer of an upstream's reply to (name, qtype): name in
// presentation form, lower case, with the final dot. It keeps the chain that
// begins at name and the records asked for at its end, in the authority
// section the SOA that bounds a denial and, with do, its proofs; everything
// else, the whole additional section included, is none of this question's
// business and is dropped (RFC 2181 §5.4.1). It takes the records over.
func Read(name string, qtype uint16, do bool, msg *dns.Msg, upstream string, lim Limits, now time.Time) (*Answer, error) {
	a := &Answer{Name: Canonical(name), RCode: msg.Rcode, Stored: now, EDE: extended(msg), Upstream: upstream}
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		return Failure(a.EDE, upstream, lim.Fail, now), nil
	}
	last, err := a.chain(name, qtype, do, msg.Answer)
	if err != nil {
		return nil, err
	}
	positive := msg.Rcode == dns.RcodeSuccess && a.has(qtype)
	a.authority(last, do, positive, msg.Ns)
	level(a.Answer, now)
	level(a.Authority, now)
	a.TTL = a.life(positive, lim)
	a.collect()
	if err := a.pack(name, qtype); err != nil {
		return nil, err
	}
	return a, nil
}

// chain follows CNAMEs from name and keeps what lies on the way. It gives the
// name at the end.
func (a *Answer) chain(name string, qtype uint16, do bool, rrs []dns.RR) (string, error) {
	at, used, been := name, make([]bool, len(rrs)), map[string]bool{}
	for range maxChain {
		next := ""
		for i, rr := range rrs {
			h := rr.Header()
			if used[i] || h.Class != dns.ClassINET || !wanted(rr, at, qtype, do) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				if next != "" {
					continue // RFC 2181 §10.1: one CNAME a name
				}
				next = strings.ToLower(c.Target)
			}
			if strings.EqualFold(h.Name, name) {
				h.Name = name
			}
			used[i] = true
			a.Answer = append(a.Answer, rr)
		}
		if next == "" {
			return at, nil
		}
		if been[at] = true; been[next] {
			return "", ErrChain
		}
		at = next
	}
	return "", ErrChain
}

// Dangling gives the name at the end of a chain of CNAMEs about which the
// answer says nothing more, neither records nor a denial; "" when there is
// none. name is in presentation form with the final dot, and so is what it gives.
func Dangling(name string, qtype uint16, msg *dns.Msg) string {
	if msg.Rcode != dns.RcodeSuccess || qtype == dns.TypeCNAME {
		return ""
	}
	at := name
	for range maxChain {
		next := ""
		for _, rr := range msg.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, at) {
				continue
			}
			if h.Rrtype == qtype {
				return ""
			}
			if c, ok := rr.(*dns.CNAME); ok && next == "" {
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" {
			break
		}
		at = next
	}
	denied := slices.ContainsFunc(msg.Ns, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(rr.Header().Name, at)
	})
	if at == name || denied {
		return ""
	}
	return at
}

// wanted tells whether a record speaks about the name at, for the type asked.
func wanted(rr dns.RR, at string, qtype uint16, do bool) bool {
	h := rr.Header()
	kind := h.Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok && qtype != dns.TypeRRSIG {
		if !do {
			return false
		}
		kind = sig.TypeCovered
	}
	if kind == dns.TypeDNAME && qtype != dns.TypeDNAME { // RFC 6672 §3.1: stands above, explains the CNAME
		return dns.IsSubDomain(h.Name, at) && !strings.EqualFold(h.Name, at)
	}
	return strings.EqualFold(h.Name, at) && (kind == qtype || kind == dns.TypeCNAME)
}

func (a *Answer) has(qtype uint16) bool {
	return slices.ContainsFunc(a.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == qtype })
}

// authority keeps the SOA of a denial, from a zone that last lies in, and the
// DNSSEC proofs when they were asked for.
func (a *Answer) authority(last string, do, positive bool, rrs []dns.RR) {
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		kind := h.Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			kind = sig.TypeCovered
		}
		proof := kind == dns.TypeNSEC || kind == dns.TypeNSEC3
		soa := kind == dns.TypeSOA && !positive && dns.IsSubDomain(h.Name, last)
		signed := h.Rrtype == dns.TypeRRSIG || proof
		if (proof || soa) && (do || !signed) {
			a.Authority = append(a.Authority, rr)
		}
	}
}

// level gives the records of one set the lowest TTL among them (RFC 2181
// §5.2), reads a TTL with the top bit as zero (§8), and cuts what is signed to
// its original TTL and to the life of its signature (RFC 4035 §5.3.3).
func level(rrs []dns.RR, now time.Time) {
	type set struct {
		name string
		kind uint16
	}
	low := map[set]uint32{}
	key := func(rr dns.RR) (set, uint32) {
		h := rr.Header()
		s, ttl := set{strings.ToLower(h.Name), h.Rrtype}, h.Ttl
		if ttl > 1<<31-1 {
			ttl = 0
		}
		if sig, ok := rr.(*dns.RRSIG); ok {
			s.kind = sig.TypeCovered
			left := int32(sig.Expiration - uint32(now.Unix())) // serial arithmetic, RFC 4034 §3.1.5
			ttl = min(ttl, sig.OrigTtl, uint32(max(0, left)))
		}
		return s, ttl
	}
	for _, rr := range rrs {
		s, ttl := key(rr)
		if old, ok := low[s]; !ok || ttl < old {
			low[s] = ttl
		}
	}
	for _, rr := range rrs {
		s, _ := key(rr)
		rr.Header().Ttl = low[s]
	}
}

// life is how long the answer as a whole is true: as long as its
// shortest-lived record. It clamps the records along with it.
func (a *Answer) life(positive bool, lim Limits) time.Duration {
	ttl, soa := lim.Max, false
	for _, rr := range a.Authority {
		if s, ok := rr.(*dns.SOA); ok && !positive {
			soa = true
			s.Hdr.Ttl = min(s.Hdr.Ttl, s.Minttl) // RFC 2308 §5
			ttl = min(ttl, lim.Negative)
		}
	}
	if !positive && !soa {
		return 0 // RFC 2308 §5: a denial without SOA is not kept
	}
	for _, rr := range slices.Concat(a.Answer, a.Authority) {
		h := rr.Header()
		if positive {
			h.Ttl = max(h.Ttl, uint32(lim.Min/time.Second))
		}
		h.Ttl = min(h.Ttl, uint32(lim.Max/time.Second))
		ttl = min(ttl, time.Duration(h.Ttl)*time.Second)
	}
	return ttl
}

// collect lists the names and addresses that policy must hear of.
func (a *Answer) collect() {
	for _, rr := range a.Answer {
		switch v := rr.(type) {
		case *dns.CNAME:
			a.target(v.Target)
		case *dns.DNAME:
			a.target(v.Target)
		case *dns.A:
			a.addr(v.A)
		case *dns.AAAA:
			a.addr(v.AAAA)
		case *dns.HTTPS:
			a.service(&v.SVCB)
		case *dns.SVCB:
			a.service(v)
		}
	}
}

func (a *Answer) service(s *dns.SVCB) {
	if s.Target != "." { // RFC 9460 §2.5: "." is the owner itself
		a.target(s.Target)
	}
	for _, kv := range s.Value {
		switch v := kv.(type) {
		case *dns.SVCBIPv4Hint:
			for _, ip := range v.Hint {
				a.addr(ip)
			}
		case *dns.SVCBIPv6Hint:
			for _, ip := range v.Hint {
				a.addr(ip)
			}
		}
	}
}

func (a *Answer) target(name string) {
	name = Canonical(name)
	if !slices.Contains(a.Targets, name) {
		a.Targets = append(a.Targets, name)
		a.show(name)
	}
}

func (a *Answer) addr(ip []byte) {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return
	}
	addr = addr.Unmap() // A records of the library have sixteen octets
	a.Addrs = append(a.Addrs, addr)
	a.show(addr.String())
}

func (a *Answer) show(s string) {
	if len(a.Shown) < maxShown {
		a.Shown = append(a.Shown, s)
	}
}

// Canonical is the form in which policy and journal know a name: lower case,
// no final dot, "." for the root.
func Canonical(name string) string {
	if name == "." || name == "" {
		return "."
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// pack makes the bytes that answer this question for anyone: the compression
// pointers in them lead into a question of the same length. What a client
// could not read is found here, before it is kept: the library takes records
// without data from the wire, because UPDATE has them (RFC 2136 §2.4).
func (a *Answer) pack(name string, qtype uint16) error {
	m := &dns.Msg{Compress: true, Question: []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}}}
	m.Answer, m.Ns = a.Answer, a.Authority
	b, err := m.Pack()
	var again dns.Msg
	if err != nil || again.Unpack(b) != nil || len(again.Answer) != len(m.Answer) || len(again.Ns) != len(m.Ns) {
		return ErrRecords
	}
	for _, rr := range slices.Concat(again.Answer, again.Ns) {
		if h := rr.Header(); h.Rdlength == 0 && h.Rrtype != dns.TypeNULL && h.Rrtype != dns.TypeAPL && known(rr) {
			return ErrRecords
		}
	}
	q, err := (&dns.Msg{Question: m.Question}).Pack()
	offs, ok := wire.TTLs(b)
	if err != nil || !ok || len(q) > len(b) {
		return ErrRecords
	}
	for i := range offs {
		offs[i] -= uint16(len(q))
	}
	a.Tail, a.Aged = slices.Clone(b[len(q):]), offs
	return nil
}

// known tells records whose type the library knows from opaque ones (RFC 3597).
func known(rr dns.RR) bool {
	_, opaque := rr.(*dns.RFC3597)
	return !opaque
}

// extended gives the code of the first Extended DNS Error of a message
// (RFC 8914 §3 lets a forwarder hand it on); -1 when there is none.
func extended(msg *dns.Msg) int {
	if opt := msg.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}
