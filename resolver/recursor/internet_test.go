package recursor

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

// internet is authorities by address, in this process: zones from text, and
// ways to be broken. See testdata/scenarios/00-how-to-write-one.txt.
type internet struct {
	t       testing.TB
	mu      sync.Mutex
	servers map[netip.Addr]*authority
	log     []asked
}

// asked is one query that came in.
type asked struct {
	addr    netip.Addr
	network string
	name    string // as it came
	qtype   uint16
	edns    bool
	do, rd  bool
	options int
}

func (a asked) String() string {
	return fmt.Sprintf("%s/%s %s %s", a.addr, a.network, strings.ToLower(a.name), dns.Type(a.qtype))
}

// authority is one server.
type authority struct {
	zones  map[string]map[string]map[uint16][]dns.RR // zone, owner, type
	ways   map[string]bool
	delay  time.Duration
	inject [3][]dns.RR // records added to every reply, by section
	say    func(network string, q *dns.Msg) *dns.Msg
}

func newInternet(t testing.TB, text string) *internet {
	n := &internet{t: t, servers: map[netip.Addr]*authority{}}
	t.Cleanup(func() { <-time.After(time.Second) }) // what is under way comes to its end
	for _, b := range blocks(t, text) {
		n.apply(b)
	}
	return n
}

// block is a line and the indented lines below it.
type block struct {
	head []string
	body []string
	line int
}

func blocks(t testing.TB, text string) (out []block) {
	sc := bufio.NewScanner(strings.NewReader(text))
	for line := 1; sc.Scan(); line++ {
		s := sc.Text()
		switch {
		case strings.TrimSpace(s) == "" || strings.HasPrefix(s, "#"):
		case s[0] == ' ' || s[0] == '\t':
			if len(out) == 0 {
				t.Fatalf("line %d: nothing for it to belong to", line)
			}
			b := &out[len(out)-1]
			b.body = append(b.body, strings.TrimSpace(s))
		default:
			out = append(out, block{head: strings.Fields(s), line: line})
		}
	}
	return out
}

func (n *internet) at(addr string) *authority {
	a := netip.MustParseAddr(addr)
	if n.servers[a] == nil {
		n.servers[a] = &authority{zones: map[string]map[string]map[uint16][]dns.RR{}, ways: map[string]bool{}, delay: 10 * time.Millisecond}
	}
	return n.servers[a]
}

// apply adds a zone, or changes a server. It tells whether the block was for it.
func (n *internet) apply(b block) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch b.head[0] {
	case "zone": // zone NAME on ADDR...
		zone := map[string]map[uint16][]dns.RR{}
		zp := dns.NewZoneParser(strings.NewReader(strings.Join(b.body, "\n")+"\n"), b.head[1], "")
		zp.SetDefaultTTL(300)
		for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
			name := dns.CanonicalName(rr.Header().Name)
			if zone[name] == nil {
				zone[name] = map[uint16][]dns.RR{}
			}
			zone[name][rr.Header().Rrtype] = append(zone[name][rr.Header().Rrtype], rr)
		}
		if err := zp.Err(); err != nil {
			n.t.Fatalf("line %d: %v", b.line, err)
		}
		for _, a := range b.head[3:] {
			n.at(a).zones[b.head[1]] = zone
		}
	case "server": // server ADDR WAY...
		s := n.at(b.head[1])
		s.ways, s.delay = map[string]bool{}, 10*time.Millisecond
		for _, w := range b.head[2:] {
			s.ways[w] = true
			if d, ok := strings.CutPrefix(w, "slow="); ok {
				s.delay, _ = time.ParseDuration(d)
			}
		}
		s.inject = [3][]dns.RR{}
		for _, line := range b.body {
			section, record, _ := strings.Cut(line, " ")
			rr, err := dns.NewRR(record)
			i := slices.Index([]string{"answer", "authority", "additional"}, section)
			if err != nil || rr == nil || i < 0 {
				n.t.Fatalf("line %d: %q: %v", b.line, line, err)
			}
			s.inject[i] = append(s.inject[i], rr)
		}
	default:
		return false
	}
	return true
}

// hints names every server of the root.
func (n *internet) hints() string {
	var b strings.Builder
	for a, s := range n.servers {
		if s.zones["."] != nil {
			kind := "A"
			if a.Is6() {
				kind = "AAAA"
			}
			host := strings.NewReplacer(".", "-", ":", "-").Replace(a.String()) + ".root."
			fmt.Fprintf(&b, ". NS %s\n%s %s %s\n", host, host, kind, a)
		}
	}
	return b.String()
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ap := netip.MustParseAddrPort(address)
	n.mu.Lock()
	s := n.servers[ap.Addr()]
	n.mu.Unlock()
	if ap.Port() != 53 {
		n.t.Errorf("port %d was asked", ap.Port())
	}
	if s == nil {
		s = &authority{ways: map[string]bool{"silent": true}} // nobody is there
	}
	if s.ways["unreachable"] {
		return nil, syscall.ENETUNREACH
	}
	if s.ways["notcp"] && network == "tcp" {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := net.Pipe()
	go n.serve(s, ap.Addr(), network, theirs)
	return ours, nil
}

// serve answers on one connection. A pipe keeps the bounds of what is written
// at once, so that it stands for datagrams as well.
func (n *internet) serve(s *authority, addr netip.Addr, network string, c net.Conn) {
	defer c.Close()
	buf := make([]byte, 65536)
	for {
		var raw []byte
		if network == "tcp" {
			if _, err := io.ReadFull(c, buf[:2]); err != nil {
				return
			}
			raw = buf[:binary.BigEndian.Uint16(buf)]
			if _, err := io.ReadFull(c, raw); err != nil {
				return
			}
		} else {
			l, err := c.Read(buf)
			if err != nil {
				return
			}
			raw = buf[:l]
		}
		q := new(dns.Msg)
		if err := q.Unpack(raw); err != nil {
			n.t.Errorf("our query is malformed: %v", err)
			return
		}
		n.note(addr, network, q)
		for _, b := range n.reply(s, network, q) {
			<-time.After(s.delay)
			if network == "tcp" {
				b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
}

func (n *internet) note(addr netip.Addr, network string, q *dns.Msg) {
	a := asked{addr: addr, network: network, name: q.Question[0].Name, qtype: q.Question[0].Qtype, rd: q.RecursionDesired}
	if opt := q.IsEdns0(); opt != nil {
		a.edns, a.do, a.options = true, opt.Do(), len(opt.Option)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, a)
}

// reply gives the bytes that a server sends, in its way.
func (n *internet) reply(s *authority, network string, q *dns.Msg) [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.ways["silent"] || s.ways["silent-udp"] && network == "udp" {
		return nil
	}
	if s.ways["small"] && strings.ToLower(q.Question[0].Name) != q.Question[0].Name {
		return nil
	}
	var m *dns.Msg
	if s.say != nil {
		if m = s.say(network, q); m == nil {
			return nil
		}
	} else {
		m = s.answer(q)
	}
	opt := q.IsEdns0()
	switch {
	case s.ways["noedns"] && opt != nil:
		m = new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
	case s.ways["servfail"]:
		m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	case s.ways["refused"]:
		m = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	case s.ways["refuse-short"] && q.Question[0].Qtype == dns.TypeA && len(dns.SplitDomainName(q.Question[0].Name)) < 4:
		m = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	case s.ways["only-a"] && q.Question[0].Qtype != dns.TypeA:
		m = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	case s.ways["notimp"] && q.Question[0].Qtype != dns.TypeA:
		m = new(dns.Msg).SetRcode(q, dns.RcodeNotImplemented)
	case s.ways["resolver"]:
		m.Authoritative, m.RecursionAvailable = false, true
	case s.ways["upward"]:
		m = new(dns.Msg).SetReply(q)
		m.Ns = append(m.Ns, &dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: 1, Ttl: 3600}, Ns: "a.root-servers.net."})
	}
	m.Answer = append(m.Answer, s.inject[0]...)
	m.Ns = append(m.Ns, s.inject[1]...)
	m.Extra = append(m.Extra, s.inject[2]...)
	size := 65535
	if opt != nil && !s.ways["noedns"] {
		m.SetEdns0(1232, opt.Do())
	}
	if network == "udp" {
		if size = 512; opt != nil {
			size = int(opt.UDPSize())
		}
	}
	m.Compress = true
	m.Truncate(size)
	if s.ways["truncate"] && network == "udp" {
		m.Truncated, m.Answer, m.Ns, m.Extra = true, nil, nil, nil
	}
	if s.ways["lower"] {
		m.Question[0].Name = strings.ToLower(m.Question[0].Name)
	}
	b, err := m.Pack()
	if err != nil {
		n.t.Errorf("reply: %v", err)
		return nil
	}
	switch {
	case s.ways["garbage"]:
		return [][]byte{[]byte("garbage"), {}, b[:11]}
	case s.ways["noisy"]: // wrong IDs first, and then the right one
		wrong := slices.Clone(b)
		wrong[0] ^= 0xff
		return [][]byte{wrong, []byte("x"), b}
	case s.ways["wrong-question"]:
		m.Question[0].Name = "elsewhere.example."
		b, _ = m.Pack()
		return [][]byte{b}
	}
	return [][]byte{b}
}

// answer is what an authority says.
func (s *authority) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	apex := ""
	for z := range s.zones {
		if dns.IsSubDomain(z, name) && len(z) > len(apex) && !(qtype == dns.TypeDS && z == name && z != "." && s.above(z)) {
			apex = z
		}
	}
	if apex == "" {
		m.Rcode = dns.RcodeRefused
		return m
	}
	zone := s.zones[apex]
	for hops := 0; hops < 8; hops++ {
		for k := dns.CountLabel(apex) + 1; k <= dns.CountLabel(name); k++ {
			cut := suffix(name, k)
			if ns := zone[cut][dns.TypeNS]; ns != nil && !(qtype == dns.TypeDS && cut == name) {
				if hops == 0 {
					m.Ns = copies(ns)
					m.Extra = glue(zone, ns)
				}
				return m
			}
		}
		m.Authoritative = true
		owner, rrs := name, zone[name]
		if rrs == nil && !has(zone, name) {
			for k := dns.CountLabel(name) - 1; k >= dns.CountLabel(apex) && rrs == nil; k-- {
				rrs = zone["*."+strings.TrimPrefix(suffix(name, k), ".")]
				if has(zone, suffix(name, k)) {
					break
				}
			}
			if rrs == nil {
				m.Rcode, m.Ns = dns.RcodeNameError, copies(zone[apex][dns.TypeSOA])
				return m
			}
		}
		set := rrs[qtype]
		alias := set == nil && rrs[dns.TypeCNAME] != nil
		if alias {
			set = rrs[dns.TypeCNAME]
		}
		if set == nil {
			m.Ns = copies(zone[apex][dns.TypeSOA])
			return m
		}
		for _, rr := range copies(set) {
			rr.Header().Name = owner
			m.Answer = append(m.Answer, rr)
		}
		if !alias {
			if s.ways["full"] { // as BIND does without minimal-responses
				m.Ns, m.Extra = copies(zone[apex][dns.TypeNS]), glue(zone, zone[apex][dns.TypeNS])
			}
			return m
		}
		if name = dns.CanonicalName(set[0].(*dns.CNAME).Target); !dns.IsSubDomain(apex, name) {
			return m
		}
	}
	return m
}

func (s *authority) above(zone string) bool {
	for z := range s.zones {
		if z != zone && dns.IsSubDomain(z, zone) {
			return true
		}
	}
	return false
}

func has(zone map[string]map[uint16][]dns.RR, name string) bool {
	for n := range zone {
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

func glue(zone map[string]map[uint16][]dns.RR, ns []dns.RR) (out []dns.RR) {
	for _, rr := range ns {
		host := dns.CanonicalName(rr.(*dns.NS).Ns)
		out = append(out, copies(zone[host][dns.TypeA])...)
		out = append(out, copies(zone[host][dns.TypeAAAA])...)
	}
	return out
}

func copies(rrs []dns.RR) (out []dns.RR) {
	for _, rr := range rrs {
		out = append(out, dns.Copy(rr))
	}
	return out
}

// recursor walks the internet.
func (n *internet) recursor(edit func(*Options)) *Recursor {
	n.t.Helper()
	o := Options{Hints: n.hints(), Dial: n.dial}
	if edit != nil {
		edit(&o)
	}
	r, err := New(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(r.Close)
	return r
}

// ask asks as the resolver does: aliases that lead elsewhere are asked for in
// turn, with one budget for all.
func ask(ctx context.Context, r *Recursor, name string, qtype uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(Share(ctx), defaultDeadline)
	defer cancel()
	var out *dns.Msg
	for range 9 {
		rep, err := r.Exchange(ctx, upstream.Question{Name: dns.CanonicalName(name), Type: qtype, DO: true, CD: true})
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = rep.Msg
		} else {
			out.Answer, out.Ns, out.Rcode = append(out.Answer, rep.Msg.Answer...), rep.Msg.Ns, rep.Msg.Rcode
		}
		last := rep.Msg.Answer
		if len(last) == 0 || last[len(last)-1].Header().Rrtype != dns.TypeCNAME || qtype == dns.TypeCNAME || len(rep.Msg.Ns) > 0 {
			return out, nil
		}
		name = last[len(last)-1].(*dns.CNAME).Target
	}
	out.Rcode = dns.RcodeServerFailure
	return out, nil
}

// take gives what was asked since the last time.
func (n *internet) take() []asked {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.log
	n.log = nil
	return out
}
