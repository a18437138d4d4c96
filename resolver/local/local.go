// Package local knows the names of the home: its devices, what a hosts file
// says, and records the owner wrote. An address that a name was given answers
// for itself in reverse, too.
package local

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Names is a set of names with their records. It is immutable and safe for
// concurrent use; a change is a new Names.
type Names struct {
	sets  map[string]map[uint16][]dns.RR // by canonical name, without the final dot
	above map[string]bool                // names that have others below them, and nothing of their own
}

// Current is the names in force: replaced whole, never edited. Nothing loaded
// means none.
type Current = atomic.Pointer[Names]

// TTLs, in seconds: a phone moves about, and an owner who edits wants to see it.
const (
	hostTTL   = 60
	recordTTL = 300
)

// maxNames bounds the names of a home.
const maxNames = 100_000

// Builder makes Names. The zero value is empty and ready.
type Builder struct{ n Names }

// Host gives a name addresses, and each of them this name where it has none yet.
func (b *Builder) Host(name string, addrs ...netip.Addr) error {
	fqdn := dns.CanonicalName(name)
	if _, ok := dns.IsDomainName(fqdn); !ok || fqdn == "." {
		return fmt.Errorf("%q is not a name", name)
	}
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		h := dns.RR_Header{Name: fqdn, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: hostTTL}
		var rr dns.RR = &dns.AAAA{Hdr: h, AAAA: a.AsSlice()}
		if a.Is4() {
			h.Rrtype = dns.TypeA
			rr = &dns.A{Hdr: h, A: a.AsSlice()}
		}
		if err := b.add(rr); err != nil {
			return err
		}
		if err := b.reverse(a, fqdn); err != nil {
			return err
		}
	}
	return nil
}

// reverse makes the PTR record of an address (RFC 1035 §3.5, RFC 3596 §2.5).
func (b *Builder) reverse(a netip.Addr, fqdn string) error {
	back, err := dns.ReverseAddr(a.String())
	if err != nil || len(b.n.sets[key(back)][dns.TypePTR]) > 0 {
		return err
	}
	return b.add(&dns.PTR{Hdr: dns.RR_Header{Name: back, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: hostTTL}, Ptr: fqdn})
}

// Record takes one line of a zone file: "nas.home.arpa A 192.168.1.5". The final
// dot of names may be left out. An A or AAAA record is a Host as well.
func (b *Builder) Record(line string) error {
	zp := dns.NewZoneParser(strings.NewReader(line+"\n"), ".", "")
	zp.SetDefaultTTL(recordTTL)
	rr, ok := zp.Next()
	if err := zp.Err(); err != nil || !ok {
		return fmt.Errorf("%q is no record; write NAME TYPE DATA, as in \"nas.home.arpa A 192.168.1.5\"", line)
	}
	switch rr.Header().Rrtype {
	case dns.TypeSOA, dns.TypeNS, dns.TypeDNAME, dns.TypeOPT, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNSKEY, dns.TypeDS:
		return fmt.Errorf("%q: %s records make a zone, and these names are none", line, dns.Type(rr.Header().Rrtype))
	}
	if err := b.add(rr); err != nil {
		return err
	}
	switch v := rr.(type) {
	case *dns.A:
		a, _ := netip.AddrFromSlice(v.A)
		return b.reverse(a.Unmap(), dns.CanonicalName(v.Hdr.Name))
	case *dns.AAAA:
		a, _ := netip.AddrFromSlice(v.AAAA)
		return b.reverse(a, dns.CanonicalName(v.Hdr.Name))
	}
	return nil
}

// Hosts takes the text of a hosts file (hosts(5)). A name without a dot also
// gets the suffix, if there is one. What is not understood is left out and
// told with its line.
func (b *Builder) Hosts(text, suffix string) []error {
	var errs []error
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil || len(fields) < 2 {
			errs = append(errs, fmt.Errorf("line %d: want an address and names, as in \"192.168.1.5 nas\"", n))
			continue
		}
		for _, name := range fields[1:] {
			if suffix != "" && !strings.Contains(strings.TrimSuffix(name, "."), ".") {
				if err := b.Host(name+"."+suffix, a); err != nil {
					errs = append(errs, fmt.Errorf("line %d: %w", n, err))
				}
			}
			if err := b.Host(name, a); err != nil {
				errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			}
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (b *Builder) add(rr dns.RR) error {
	if b.n.sets == nil {
		b.n.sets, b.n.above = map[string]map[uint16][]dns.RR{}, map[string]bool{}
	}
	h := rr.Header()
	h.Name = dns.CanonicalName(h.Name)
	name := key(h.Name)
	set := b.n.sets[name]
	if set == nil {
		if len(b.n.sets) >= maxNames {
			return fmt.Errorf("more than %d names", maxNames)
		}
		set = map[uint16][]dns.RR{}
		b.n.sets[name] = set
	}
	if cname := set[dns.TypeCNAME]; len(cname) > 0 || h.Rrtype == dns.TypeCNAME && len(set) > 0 {
		return fmt.Errorf("%s is an alias and has other records too (RFC 1034 §3.6.2)", name)
	}
	for _, old := range set[h.Rrtype] {
		if dns.IsDuplicate(old, rr) {
			return nil
		}
	}
	set[h.Rrtype] = append(set[h.Rrtype], rr)
	for up := name; ; {
		_, rest, ok := strings.Cut(up, ".")
		if !ok || b.n.above[rest] {
			return nil
		}
		b.n.above[rest], up = true, rest
	}
}

// Names gives what was built. The builder must not be used again.
func (b *Builder) Names() *Names { return &b.n }

func key(fqdn string) string { return strings.TrimSuffix(fqdn, ".") }

// Has tells whether a name (canonical, without the final dot) is one of the
// home's, by itself or by a wildcard.
func (n *Names) Has(name string) bool {
	if n == nil || len(n.sets) == 0 {
		return false
	}
	_, ok := n.find(name)
	return ok
}

// Find gives the records of a type that a name has, and whether the name is one
// of the home's at all. An alias gives its CNAME whatever the type. The records
// are shared and must not be changed; those of a wildcard carry its name.
func (n *Names) Find(name string, qtype uint16) (rrs []dns.RR, ok bool) {
	if n == nil || len(n.sets) == 0 {
		return nil, false
	}
	set, ok := n.find(name)
	if rrs = set[qtype]; len(rrs) == 0 {
		rrs = set[dns.TypeCNAME]
	}
	return rrs, ok
}

// find follows RFC 4592 §2.2: a wildcard stands for what is below it, unless
// something nearer is there.
func (n *Names) find(name string) (map[uint16][]dns.RR, bool) {
	if set, ok := n.sets[name]; ok {
		return set, true
	}
	if n.above[name] {
		return nil, false // not a name of its own: the world may have it
	}
	for up := name; ; {
		_, rest, ok := strings.Cut(up, ".")
		if !ok {
			return nil, false
		}
		if set, ok := n.sets["*."+rest]; ok {
			return set, true
		}
		if _, ok := n.sets[rest]; ok || n.above[rest] {
			return nil, false
		}
		up = rest
	}
}
