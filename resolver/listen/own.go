package listen

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/resolver/wire"
)

// ownTTL is how long a client may keep what the server says of itself, in
// seconds.
const ownTTL = 300

// own are the names that a server answers about itself: where its encrypted
// listeners are (DDR, RFC 9462), and at which address the name is that its
// certificate stands for. In wire form and lower case.
type own struct {
	name     []byte // dns.example; nil when there is no encrypted listener
	ddr      [][]byte
	services []*dns.SVCB // without hints, which depend on where the client asks
}

func (s *Server) makeOwn() (o own) {
	target := canonical(s.opt.Name)
	if target == "" {
		return o
	}
	add := func(key dns.SVCBKeyValue, port uint16, protocols ...string) {
		rr := &dns.SVCB{Priority: uint16(len(o.services) + 1), Target: dns.Fqdn(target)}
		rr.Value = append(rr.Value, &dns.SVCBAlpn{Alpn: protocols}, &dns.SVCBPort{Port: port})
		if key != nil {
			rr.Value = append(rr.Value, key)
		}
		o.services = append(o.services, rr)
	}
	// One of each kind: those of other addresses have the same port but in
	// contrived set-ups. DoH last, as it costs most.
	for _, w := range []struct {
		network   string
		protocols []string
	}{{"quic", []string{"doq"}}, {"tls", []string{"dot"}}, {"https", []string{"h2", "h3"}}} {
		at := s.Addrs(w.network)
		if len(at) == 0 {
			continue
		}
		var key dns.SVCBKeyValue
		if w.network == "https" {
			key = &dns.SVCBDoHPath{Template: dohPath + "{?dns}"} // RFC 9461 §5
		}
		add(key, at[0].Port(), w.protocols...)
	}
	if len(o.services) == 0 {
		return own{}
	}
	o.name = packed(target)
	o.ddr = [][]byte{packed("_dns.resolver.arpa"), packed("_dns." + target)} // RFC 9462 §4 and §5
	return o
}

// ownAnswer answers a query about the server itself; nil for any other. It is
// asked for every query, so that it looks at nothing twice.
func (s *Server) ownAnswer(a *asked, b []byte) []byte {
	if s.own.name == nil || len(b) <= wire.HeaderLen {
		return nil
	}
	ddr := begins(b, s.own.ddr[0]) || begins(b, s.own.ddr[1])
	if !ddr && !s.isOwnName(b) {
		return nil
	}
	q, fault := wire.Parse(b)
	if fault != wire.OK || ddr && q.Type != dns.TypeSVCB {
		return nil
	}
	m := &dns.Msg{}
	if m.Unpack(b) != nil || len(m.Question) != 1 {
		return nil
	}
	name := m.Question[0].Name
	m = new(dns.Msg).SetReply(m)
	m.RecursionAvailable, m.Authoritative = true, false
	var shown []string
	if ddr {
		m.Answer = s.designated(name, a.dst.Addr())
	} else {
		m.Answer, shown = here(name, q.Type, a.dst.Addr())
	}
	if q.EDNS {
		m.SetEdns0(maxDatagram, q.DO)
	}
	out, err := m.Pack()
	if err != nil || a.over == overUDP && len(out) > min(q.Size, maxDatagram) {
		return nil
	}
	s.journal(a, &q, shown)
	return out
}

// begins tells whether a message asks for a name, given in lower case.
func begins(b, name []byte) bool {
	return len(b) >= wire.HeaderLen+len(name) && b[wire.HeaderLen] == name[0] && bytes.EqualFold(b[wire.HeaderLen:wire.HeaderLen+len(name)], name)
}

// isOwnName tells whether a message asks for the server's name, or for one with
// a label before it, by which a device says who it is.
func (s *Server) isOwnName(b []byte) bool {
	if begins(b, s.own.name) {
		return true
	}
	at := 1 + int(b[wire.HeaderLen])
	return at < 64 && len(b) > at+wire.HeaderLen && begins(b[at:], s.own.name)
}

// designated are the encrypted listeners as a client finds them that asks at
// an address.
func (s *Server) designated(name string, at netip.Addr) (out []dns.RR) {
	for _, svc := range s.own.services {
		rr := dns.Copy(svc).(*dns.SVCB)
		rr.Hdr = dns.RR_Header{Name: name, Rrtype: dns.TypeSVCB, Class: dns.ClassINET, Ttl: ownTTL}
		switch {
		case !at.IsValid() || at.IsUnspecified():
		case at.Is4():
			rr.Value = append(rr.Value, &dns.SVCBIPv4Hint{Hint: []net.IP{at.AsSlice()}})
		default:
			rr.Value = append(rr.Value, &dns.SVCBIPv6Hint{Hint: []net.IP{at.AsSlice()}})
		}
		out = append(out, rr)
	}
	return out
}

// here is the address a client asks at: where it asks is where we are.
func here(name string, qtype uint16, at netip.Addr) (out []dns.RR, shown []string) {
	h := dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ownTTL}
	switch {
	case !at.IsValid() || at.IsUnspecified():
		return nil, nil
	case qtype == dns.TypeA && at.Is4():
		out = append(out, &dns.A{Hdr: h, A: at.AsSlice()})
	case qtype == dns.TypeAAAA && at.Is6():
		out = append(out, &dns.AAAA{Hdr: h, AAAA: at.AsSlice()})
	default:
		return nil, nil
	}
	return out, []string{at.String()}
}

// journal tells of an answer of our own, as the resolver does of its.
func (s *Server) journal(a *asked, q *wire.Query, shown []string) {
	if s.opt.Recorder != nil {
		s.opt.Recorder.Record(journal.Query{
			Time: time.Now(), Device: a.device.Name, Name: string(wire.AppendText(nil, q.Name)), Type: dns.Type(q.Type).String(),
			Server: a.dst, Network: a.over.String(), RCode: "NOERROR", Answers: shown,
		})
	}
}
