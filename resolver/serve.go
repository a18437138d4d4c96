package resolver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"runtime/debug"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/wire"
)

const (
	// maxUDP is the longest datagram we send: it passes every path whole
	// (RFC 9715 §3.1).
	maxUDP = 1232
	// maxTCP is the longest message there is.
	maxTCP = 65535
	// maxText bounds the text of an Extended DNS Error.
	maxText = 120
)

// query is one question on its way through the resolver.
type query struct {
	wire.Query
	flow    policy.Flow
	network string
	now     time.Time // when it came in
	name    string    // canonical: lower case, no final dot
	fqdn    string    // the same with the final dot
	key     cache.Key
}

// reply is how a question will be answered, and why.
type reply struct {
	rcode             int
	answer, authority []dns.RR
	ede               int    // Extended DNS Error, -1 for none
	text              string // its text
	silent            bool   // no answer at all
	secure            bool   // validated
	truncated         bool   // to be asked again over TCP

	verdict  policy.Verdict
	through  string // the CNAME target the verdict is about
	upstream string // as in journal.Query
	shown    []string
}

// ServeDNS answers one query of a device; network is udp, or tcp, tls, https or quic, wire the
// message as it came in (without the length octets of TCP). nil means silence.
// It returns within the upstream deadline, sooner when ctx ends, and survives
// whatever the bytes are.
func (r *Resolver) ServeDNS(ctx context.Context, f policy.Flow, network string, wire []byte) (out []byte) {
	r.counts.queries.Add(1)
	defer r.survive(f, wire, &out)
	if network == "udp" {
		if out, ok := r.fast(f, wire); ok {
			r.counts.fast.Add(1)
			return out
		}
	}
	return r.serve(ctx, f, network, wire)
}

// ServeDeclined is ServeDNS for a query that ServeNow has just declined: it is
// not tried there again.
func (r *Resolver) ServeDeclined(ctx context.Context, f policy.Flow, network string, wire []byte) (out []byte) {
	r.counts.queries.Add(1)
	defer r.survive(f, wire, &out)
	return r.serve(ctx, f, network, wire)
}

// survive answers a query that caused a panic. It is to be deferred.
func (r *Resolver) survive(f policy.Flow, wire []byte, out *[]byte) {
	if p := recover(); p != nil {
		r.counts.panics.Add(1)
		r.log.Error("resolver: a query caused a panic", "panic", p, "device", f.Device.Name, "stack", string(debug.Stack()))
		*out = bare(wire, dns.RcodeServerFailure)
	}
}

// ServeNow answers a datagram's query where that takes no waiting: from memory,
// or by a list. ok is false for every other query, which is then for
// [Resolver.ServeDeclined]; nil with ok means silence. It keeps nothing of wire, so
// that the caller may use the bytes again, and survives whatever they are.
func (r *Resolver) ServeNow(f policy.Flow, wire []byte) (out []byte, ok bool) {
	defer func() {
		if p := recover(); p != nil { // the slow path tells of it, if it happens there too
			out, ok = nil, false
		}
	}()
	if out, ok = r.fast(f, wire); ok {
		r.counts.queries.Add(1)
		r.counts.fast.Add(1)
	}
	return out, ok
}

// serve is the full path: every kind of query, every kind of answer.
func (r *Resolver) serve(ctx context.Context, f policy.Flow, network string, b []byte) []byte {
	q := query{flow: f, network: network, now: time.Now()}
	var fault wire.Fault
	q.Query, fault = wire.Parse(b)
	if q.End == 0 { // no question to speak of
		r.counts.malformed.Add(1)
		switch fault {
		case wire.Silence:
			return nil
		case wire.NotImp:
			return bare(b, dns.RcodeNotImplemented)
		}
		return bare(b, dns.RcodeFormatError)
	}
	if fault == wire.FormErr {
		r.counts.malformed.Add(1)
		return bare(b, dns.RcodeFormatError)
	}
	q.name = string(wire.AppendText(make([]byte, 0, 64), q.Name))
	q.fqdn = dns.Fqdn(q.name)
	q.key = cache.Key{Name: string(wire.AppendLower(make([]byte, 0, len(q.Name)), q.Name)), Type: q.Type, DO: q.DO, CD: q.CD}
	var rep reply
	if fault == wire.OK {
		rep = r.resolve(ctx, &q)
		r.withoutECH(&q, &rep)
	} else {
		rep = refusal(fault)
	}
	r.record(&q, &rep)
	if rep.silent {
		return nil
	}
	return r.encode(&q, &rep)
}

// refusal answers what was understood and is not served.
func refusal(f wire.Fault) reply {
	if f == wire.BadVers {
		return reply{rcode: dns.RcodeBadVers, ede: -1}
	}
	return reply{rcode: dns.RcodeRefused, ede: int(dns.ExtendedErrorCodeNotSupported), text: "zone transfers, meta types and classes other than IN are not served"}
}

// encode packs the answer. The question is repeated octet by octet, so that
// the client finds its own spelling again (RFC 4343 §4.1, and 0x20).
func (r *Resolver) encode(q *query, rep *reply) []byte {
	m := &dns.Msg{Compress: true, Question: []dns.Question{{Name: q.fqdn, Qtype: q.Type, Qclass: q.Class}}}
	m.Id, m.Response, m.RecursionAvailable = q.ID, true, true
	m.RecursionDesired, m.CheckingDisabled = q.RD, q.CD
	m.AuthenticatedData = rep.secure && (q.DO || q.AD) // RFC 6840 §5.8
	m.Answer, m.Ns, m.Truncated = rep.answer, rep.authority, rep.truncated
	if m.Rcode = rep.rcode; q.EDNS {
		m.Extra = []dns.RR{options(q, rep)}
	}
	limit := maxTCP
	if q.network == "udp" {
		limit = min(q.Size, maxUDP)
	}
	b, err := m.Pack()
	if err == nil && len(b) > limit {
		// RFC 2181 §9: what is cut is of no use, the client asks again over TCP.
		m.Truncated, m.Answer, m.Ns = true, nil, nil
		b, err = m.Pack()
	}
	if err != nil || len(b) < q.End {
		r.log.Error("resolver: an answer cannot be packed", "name", q.name, "err", err)
		m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeServerFailure
		if b, err = m.Pack(); err != nil {
			return nil
		}
	}
	copy(b[wire.HeaderLen:], q.Name)
	return b
}

// options is our own OPT record: EDNS goes from hop to hop (RFC 6891 §6.2.6).
func options(q *query, rep *reply) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(maxUDP)
	if q.DO {
		opt.SetDo() // RFC 3225 §3: copied
	}
	if rep.ede >= 0 {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: uint16(rep.ede), ExtraText: rep.text[:min(len(rep.text), maxText)]})
	}
	if identifies(&q.flow.Device, &q.Query) {
		opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex.EncodeToString([]byte(serverID))})
	}
	return opt
}

// serverID is what the gateway calls itself (RFC 5001): that it is one, and no
// more of whose it is.
const serverID = "nightlatch"

// identifies tells whether a query asks who answers it. For what comes from
// outside the tunnel, whoever listens there has the word.
func identifies(d *policy.Device, q *wire.Query) bool {
	if len(q.Options) == 0 || d.Outside {
		return false
	}
	for code := range wire.Options(q.Options) {
		if code == dns.EDNS0NSID {
			return true
		}
	}
	return false
}

// bare is an answer to bytes whose question cannot be repeated: a header.
func bare(b []byte, rcode byte) []byte {
	if len(b) < 3 || b[2]&0x80 != 0 {
		return nil
	}
	out := make([]byte, wire.HeaderLen)
	binary.BigEndian.PutUint16(out, binary.BigEndian.Uint16(b))
	out[2] = 0x80 | b[2]&0x79 // QR, the opcode and RD as they came
	out[3] = 0x80 | rcode
	return out
}

// record tells the journal, and counts.
func (r *Resolver) record(q *query, rep *reply) {
	if rep.verdict.Action.Stops() {
		r.counts.blocked.Add(1)
	}
	if rep.rcode == dns.RcodeServerFailure {
		r.counts.failed.Add(1)
	}
	if r.opt.Recorder == nil {
		return
	}
	rcode := ""
	if !rep.silent {
		rcode = dns.RcodeToString[rep.rcode]
	}
	r.opt.Recorder.Record(journal.Query{
		Time: q.now, Device: q.flow.Device.Name, Name: q.name, Type: dns.Type(q.Type).String(),
		Server: q.flow.Dst, Network: q.network, Verdict: rep.verdict, Through: rep.through,
		RCode: rcode, Answers: rep.shown, Upstream: rep.upstream, Took: time.Since(q.now),
	})
}
