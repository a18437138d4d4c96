package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/special"
)

// deny answers a question about a name that is refused, in the form that was
// wished for.
func (r *Resolver) deny(q *query, how blocklists.Reply) reply {
	switch how.Kind {
	case blocklists.ReplyNull, blocklists.ReplyAddress:
		if a := denyAddr(how, q.Type); a.IsValid() {
			return r.addresses(q, []netip.Addr{a})
		}
		return r.nodata(q.fqdn)
	case blocklists.ReplyNoData:
		return r.nodata(q.fqdn)
	case blocklists.ReplyRefused:
		return reply{rcode: dns.RcodeRefused, ede: -1}
	}
	return r.nxdomain(q)
}

// denyAddr gives the address that a refused name has; not valid for none.
func denyAddr(how blocklists.Reply, qtype uint16) netip.Addr {
	null := how.Kind == blocklists.ReplyNull
	switch {
	case qtype == dns.TypeA && null:
		return netip.IPv4Unspecified()
	case qtype == dns.TypeAAAA && null:
		return netip.IPv6Unspecified()
	case qtype == dns.TypeA:
		return how.Addr4
	case qtype == dns.TypeAAAA:
		return how.Addr6
	}
	return netip.Addr{}
}

// rewrite answers with what a rule itself says. ok is false for a rule that
// wants the question asked over TCP, once it is: then no rule speaks.
func (r *Resolver) rewrite(ctx context.Context, p judge, q *query, v policy.Verdict) (rep reply, ok bool) {
	rules := p.Rewrites(q.flow.Device, q.name, q.Type, q.now)
	if len(rules) == 0 {
		return reply{}, false // not reached: the verdict says that there is one
	}
	switch w := rules[0].Rewrite; {
	case w.TCP && q.network != "udp":
		return reply{}, false
	case w.TCP:
		return reply{truncated: true, ede: -1, verdict: v}, true
	case w.CNAME != "":
		rep = r.lead(ctx, p, q, w)
	case w.Code != dns.RcodeSuccess:
		rep = reply{rcode: int(w.Code)}
	default:
		rep = r.data(q, rules)
	}
	rep.verdict = v
	rep.ede, rep.text = int(dns.ExtendedErrorCodeForgedAnswer), reason(v, "")
	return rep, true
}

// lead answers with another name and what the world says about that. The rule
// was written for this name, so lists have no say in where it leads; a private
// address is refused as everywhere.
func (r *Resolver) lead(ctx context.Context, p judge, q *query, w *blocklists.Rewrite) reply {
	target := w.CNAME
	if rest, ok := strings.CutPrefix(target, "*."); ok {
		target = q.name + "." + rest
	}
	next, err := newQuery(dns.Fqdn(strings.ToLower(target)), q.Type)
	if err != nil {
		return r.nodata(q.fqdn) // the name asked is too long to stand in front of the target
	}
	rep := reply{shown: []string{next.name}}
	rep.answer = []dns.RR{&dns.CNAME{Hdr: r.header(q, dns.TypeCNAME, w.TTL), Target: next.fqdn}}
	if _, kind := r.special(next.name); q.Type == dns.TypeCNAME || kind != special.Ordinary || r.isLocal(next.name) {
		return rep
	}
	next.flow, next.DO, next.CD, next.key.DO, next.key.CD = q.flow, q.DO, q.CD, q.DO, q.CD
	a, _ := r.lookup(ctx, next)
	if a == nil {
		return failed(dns.ExtendedErrorCodeOther, "the question was given up")
	}
	trusted := policy.Verdict{Rule: blocklists.Rule{Allow: true}}
	if v, _ := r.behind(p, q.flow.Device, next.name, q.Type, q.now, trusted, a); v.Reason == privateReason {
		return r.nodata(q.fqdn)
	}
	answer, authority := a.Sections(time.Now(), 0)
	rep.rcode, rep.upstream, rep.authority = a.RCode, a.Upstream, authority
	rep.answer = append(rep.answer, answer...)
	rep.shown = append(rep.shown, a.Shown...)
	r.names.learn(q.flow.Device.Key, q.name, a.Addrs, q.now)
	return rep
}

// data answers with the records that rules have of the type asked for.
func (r *Resolver) data(q *query, rules []blocklists.Rule) reply {
	rep := reply{}
	for _, rule := range rules {
		w := rule.Rewrite
		if w.Type != q.Type {
			continue
		}
		h := r.header(q, w.Type, w.TTL)
		var rr dns.RR = &dns.TXT{Hdr: h, Txt: chunks(w.Value)}
		if w.Type != dns.TypeTXT {
			var err error
			if rr, err = dns.NewRR(fmt.Sprintf("%s %d IN %s %s", q.fqdn, h.Ttl, dns.Type(w.Type), w.Value)); err != nil || rr == nil {
				r.log.Warn("resolver: a rule gives no record that can be sent", "list", rule.List, "line", rule.Line, "err", err)
				continue
			}
		}
		rep.answer = append(rep.answer, rr)
		rep.shown = append(rep.shown, w.Value)
	}
	if len(rep.answer) == 0 {
		return r.nodata(q.fqdn)
	}
	return rep
}

// chunks cuts a text into the strings of a TXT record (RFC 1035 §3.3.14).
func chunks(text string) []string {
	const most = 255
	out := []string{}
	for len(text) > most {
		out, text = append(out, text[:most]), text[most:]
	}
	return append(out, text)
}

func (r *Resolver) header(q *query, kind uint16, ttl uint32) dns.RR_Header {
	if ttl == 0 {
		ttl = r.blockTTL
	}
	return dns.RR_Header{Name: q.fqdn, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// newQuery is a question of our own: name in lower case with the final dot.
func newQuery(fqdn string, qtype uint16) (*query, error) {
	var buf [256]byte
	n, err := dns.PackDomainName(fqdn, buf[:], 0, nil, false)
	if err != nil {
		return nil, err
	}
	q := &query{now: time.Now(), name: cache.Canonical(fqdn), fqdn: fqdn}
	q.Type, q.Class = qtype, dns.ClassINET
	q.key = cache.Key{Name: string(buf[:n]), Type: qtype}
	return q, nil
}
