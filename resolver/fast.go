package resolver

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/special"
	"nightlatch/resolver/wire"
)

// The fast path answers what a home asks all day, names that are remembered
// or blocked, without unpacking or packing a message. It makes no decision of
// its own: it walks through the steps of resolve in their order, and leaves to
// serve whatever is not plain. TestFastIsSlow and FuzzFastIsSlow hold both
// to the same octets.

// fast answers a UDP query, or says that it is for serve to answer.
func (r *Resolver) fast(f policy.Flow, b []byte) ([]byte, bool) {
	now := time.Now()
	q, fault := wire.Parse(b)
	if fault != wire.OK || q.Type == dns.TypeANY || identifies(&f.Device, &q) {
		return nil, false
	}
	p := r.judge()
	if p == nil {
		return nil, false
	}
	var lower [wire.MaxName]byte
	key := wire.AppendLower(lower[:0], q.Name)
	if a, ok, ending := r.truth.GetWire(key, q.Type, q.DO, q.CD, now); ok {
		return r.fastKnown(p, f, b, &q, a, ending, now)
	}
	return r.fastBlocked(p, f, b, &q, now)
}

// fastKnown answers from memory. That the name is in memory tells that it is
// not special; whether it is the gateway's own is asked each time.
func (r *Resolver) fastKnown(p judge, f policy.Flow, b []byte, q *wire.Query, a *cache.Answer, ending bool, now time.Time) ([]byte, bool) {
	if r.isLocal(a.Name) {
		return nil, false
	}
	v := p.Name(f.Device, a.Name, q.Type, now)
	if v.Action == policy.Rewrite {
		return nil, false
	}
	if v.Action.Stops() {
		return r.fastStop(f, b, q, a.Name, v, now)
	}
	if ending { // asked for often, and not stopped
		r.ahead(cache.Key{Name: string(wire.AppendLower(nil, q.Name)), Type: q.Type, DO: q.DO, CD: q.CD}, a.Name)
	}
	if _, canary := isCanary(a.Name); canary || !a.Fresh(now) || a.EDE >= 0 || describes(q.Type) && p.StripsECH(f.Device) {
		return nil, false
	}
	out := fastHead(b, q, a.RCode, len(a.Tail))
	if a.Secure && (q.DO || q.AD) {
		out[3] |= 0x20 // AD
	}
	out = append(out, a.Tail...)
	if q.EDNS {
		out = fastOPT(out, q, -1, nil)
	}
	if len(out) > min(q.Size, maxUDP) {
		return nil, false
	}
	if hidden, _ := r.behind(p, f.Device, a.Name, q.Type, now, v, a); hidden.Action != policy.Pass {
		return nil, false
	}
	binary.BigEndian.PutUint16(out[6:], uint16(len(a.Answer)))
	binary.BigEndian.PutUint16(out[8:], uint16(len(a.Authority)))
	age := uint32(a.Age(now) / time.Second)
	for _, at := range a.Aged {
		ttl := out[q.End+int(at):]
		binary.BigEndian.PutUint32(ttl, cache.LowerTTL(binary.BigEndian.Uint32(ttl), age))
	}
	r.names.learn(f.Device.Key, a.Name, a.Addrs, now)
	r.counts.cached.Add(1)
	r.fastRecord(f, q, now, journal.Query{Name: a.Name, Verdict: v, RCode: dns.RcodeToString[a.RCode], Answers: a.Shown, Upstream: fromCache})
	return out, true
}

// fastBlocked answers a name that is not in memory, if a list stops it.
func (r *Resolver) fastBlocked(p judge, f policy.Flow, b []byte, q *wire.Query, now time.Time) ([]byte, bool) {
	var text [4 * wire.MaxName]byte // every octet may need an escape of four
	name := string(wire.AppendText(text[:0], q.Name))
	if _, kind := r.special(name); kind != special.Ordinary || r.isLocal(name) {
		return nil, false
	}
	v := p.Name(f.Device, name, q.Type, now)
	if !v.Action.Stops() {
		return nil, false
	}
	return r.fastStop(f, b, q, name, v, now)
}

// fastStop is stop and sink in octets.
func (r *Resolver) fastStop(f policy.Flow, b []byte, q *wire.Query, name string, v policy.Verdict, now time.Time) ([]byte, bool) {
	v.Action = reached(f.Device.Outside, v.Action)
	e := journal.Query{Name: name, Verdict: v, RCode: "NOERROR"}
	if v.Action == policy.Drop {
		e.RCode = ""
		r.counts.blocked.Add(1)
		r.fastRecord(f, q, now, e)
		return nil, true
	}
	if reports(q.Type, &v) {
		return nil, false
	}
	out := fastHead(b, q, dns.RcodeSuccess, 64)
	forged := false
	if v.Action == policy.Sink {
		var addr netip.Addr
		if addr, forged = r.fastSink(q, name); forged {
			e.Answers = []string{addr.String()}
			out = r.fastAddr(out, q, addr)
		} else {
			out = r.fastSOA(out, wire.HeaderLen)
		}
	} else {
		if len(q.Name) == 1 {
			return nil, false // the root has no name above it
		}
		out, forged = r.fastDeny(out, q, v.Reply, &e)
	}
	if q.EDNS {
		var text [maxText]byte
		out = fastOPT(out, q, int(blockCode(v, forged)), appendReason(text[:0], v, ""))
	}
	if len(out) > min(q.Size, maxUDP) {
		return nil, false
	}
	r.counts.blocked.Add(1)
	r.fastRecord(f, q, now, e)
	return out, true
}

// fastDeny is deny in octets; forged tells that an address was given.
func (r *Resolver) fastDeny(out []byte, q *wire.Query, how blocklists.Reply, e *journal.Query) (_ []byte, forged bool) {
	switch how.Kind {
	case blocklists.ReplyNull, blocklists.ReplyAddress:
		if a := denyAddr(how, q.Type); a.IsValid() {
			e.Answers = []string{a.String()}
			return r.fastAddr(out, q, a), true
		}
		return r.fastSOA(out, wire.HeaderLen), false
	case blocklists.ReplyNoData:
		return r.fastSOA(out, wire.HeaderLen), false
	case blocklists.ReplyRefused:
		e.RCode, out[3] = "REFUSED", out[3]|dns.RcodeRefused
		return out, false
	}
	e.RCode, out[3] = "NXDOMAIN", out[3]|dns.RcodeNameError
	return r.fastSOA(out, wire.HeaderLen+1+int(q.Name[0])), false
}

// fastSink finds the sinkhole's address; false means that there is none to give.
func (r *Resolver) fastSink(q *wire.Query, name string) (netip.Addr, bool) {
	if r.opt.SinkAddr == nil || q.Type != dns.TypeA && q.Type != dns.TypeAAAA {
		return netip.Addr{}, false
	}
	a, ok := r.opt.SinkAddr(name, q.Type == dns.TypeAAAA)
	a = a.Unmap()
	return a, ok && a.Is6() == (q.Type == dns.TypeAAAA)
}

// fastHead begins an answer with the header and the question as it came.
func fastHead(b []byte, q *wire.Query, rcode, more int) []byte {
	out := make([]byte, q.End, q.End+more+160) // 160: an OPT with its text
	copy(out, b[:q.End])
	out[2] = 0x80 | b[2]&0x01               // QR, RD
	out[3] = 0x80 | b[3]&0x10 | byte(rcode) // RA, CD
	clear(out[6:wire.HeaderLen])
	return out
}

// fastAddr appends the one record of a sunk name.
func (r *Resolver) fastAddr(out []byte, q *wire.Query, addr netip.Addr) []byte {
	out[7] = 1
	out = append(out, 0xc0, wire.HeaderLen, 0, byte(q.Type), 0, dns.ClassINET)
	out = binary.BigEndian.AppendUint32(out, r.blockTTL)
	if addr.Is4() {
		a := addr.As4()
		return append(append(out, 0, 4), a[:]...)
	}
	a := addr.As16()
	return append(append(out, 0, 16), a[:]...)
}

// fastSOA appends the SOA of a denial; its owner is the part of the question's
// name that begins at zone.
func (r *Resolver) fastSOA(out []byte, zone int) []byte {
	out[9] = 1
	if out[zone] == 0 {
		out = append(out, 0)
	} else {
		out = append(out, 0xc0, byte(zone)) // a label has at most 63 octets, so zone fits
	}
	out = append(out, 0, byte(dns.TypeSOA), 0, dns.ClassINET)
	out = binary.BigEndian.AppendUint32(out, r.blockTTL)
	length := len(out)
	out = append(out, 0, 0)
	ns := len(out)
	out = append(out, "\x0anightlatch\x08internal\x00\x0ahostmaster"...)
	out = binary.BigEndian.AppendUint16(out, 0xc000|uint16(ns))
	for _, n := range [...]uint32{1, 3600, 600, 86400, r.blockTTL} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	binary.BigEndian.PutUint16(out[length:], uint16(len(out)-length-2))
	return out
}

// fastOPT appends our OPT record with one Extended DNS Error or, below zero,
// none.
func fastOPT(out []byte, q *wire.Query, ede int, text []byte) []byte {
	out[11] = 1
	do := byte(0)
	if q.DO {
		do = 0x80
	}
	out = append(out, 0, 0, byte(dns.TypeOPT), maxUDP>>8, maxUDP&0xff, 0, 0, do, 0)
	if ede < 0 {
		return append(out, 0, 0)
	}
	text = text[:min(len(text), maxText)]
	out = append(out, 0, byte(6+len(text)), 0, dns.EDNS0EDE, 0, byte(2+len(text)), byte(ede>>8), byte(ede))
	return append(out, text...)
}

// fastRecord tells the journal what record would.
func (r *Resolver) fastRecord(f policy.Flow, q *wire.Query, now time.Time, e journal.Query) {
	if r.opt.Recorder == nil {
		return
	}
	e.Time, e.Device, e.Server, e.Network = now, f.Device.Name, f.Dst, "udp"
	e.Type = dns.Type(q.Type).String()
	e.Took = time.Since(now)
	r.opt.Recorder.Record(e)
}
