// Package cache holds the truth: what the world answered, before any policy.
// [Read] makes an immutable [Answer] of an upstream's message, keeping only
// what belongs to the question; [Cache] keeps Answers for as long as they are
// true, and a while longer for the day when no upstream answers.
package cache

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Key names one question. The class is not in it: only IN is ever asked.
type Key struct {
	Name   string // QNAME in lower-cased wire form
	Type   uint16
	DO, CD bool // DNSSEC OK and checking disabled change what an upstream says
}

// Answer is what is known about one question. It is immutable once made, so
// that it may be shared by all who ask.
type Answer struct {
	Name      string // the name asked for, canonical
	RCode     int
	Answer    []dns.RR // the CNAME chain in order, then the records asked for
	Authority []dns.RR // SOA of a negative answer; its proofs when DO was asked

	Stored time.Time
	TTL    time.Duration // true for so long after Stored; 0 means: for this query only
	Fail   bool          // a remembered failure (RFC 9520), never served stale
	EDE    int           // extended error the upstream gave or we found; -1 for none
	Why    string        // EDE in words, where there is more to tell than the code does
	Secure bool          // every part of it was validated (RFC 4035 §4.3)
	Bogus  bool          // a failure that nothing older may stand in for: the answer was forged, or its zone is broken

	Targets  []string     // every name the answer leads to, canonical: CNAME, DNAME, SVCB and HTTPS targets
	Addrs    []netip.Addr // every address in it, hints of SVCB and HTTPS included
	Shown    []string     // at most maxShown addresses and names, for the journal
	Upstream string       // who said so

	Tail []byte   // packed message after the question, without OPT
	Aged []uint16 // offsets of the TTL fields in Tail
}

// maxShown bounds what the journal keeps of one answer.
const maxShown = 8

// Age is how long ago the answer was stored, never below zero.
func (a *Answer) Age(now time.Time) time.Duration { return max(0, now.Sub(a.Stored)) }

// Fresh tells whether the answer is still true.
func (a *Answer) Fresh(now time.Time) bool { return a.Age(now) < a.TTL }

// Failure makes a remembered failure: SERVFAIL for ttl (RFC 9520 §3.2 asks for
// one second at least and five minutes at most).
func Failure(ede int, upstream string, ttl time.Duration, now time.Time) *Answer {
	return &Answer{RCode: dns.RcodeServerFailure, Fail: true, EDE: ede, Upstream: upstream, TTL: ttl, Stored: now}
}

// Sections gives copies of both sections with every TTL lowered by the
// answer's age; cap, when above zero, bounds the TTLs from above (stale
// answers, RFC 8767 §4).
func (a *Answer) Sections(now time.Time, cap time.Duration) (answer, authority []dns.RR) {
	age := uint32(a.Age(now) / time.Second)
	return aged(a.Answer, age, cap), aged(a.Authority, age, cap)
}

func aged(rrs []dns.RR, age uint32, cap time.Duration) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		h := out[i].Header()
		h.Ttl = LowerTTL(h.Ttl, age)
		if cap > 0 {
			h.Ttl = uint32(cap / time.Second)
		}
	}
	return out
}

// LowerTTL is the TTL that is left of ttl after age seconds. An answer that is
// given away is worth a second at least.
func LowerTTL(ttl, age uint32) uint32 {
	switch {
	case ttl > age:
		return ttl - age
	case ttl == 0:
		return 0
	}
	return 1
}

// Plain gives the answer as it is for a client that did not ask for DNSSEC
// (RFC 4035 §3.2.1): without signatures and proofs, but for those that qtype
// itself asks for.
func (a *Answer) Plain(qtype uint16) (*Answer, error) {
	b := *a
	b.Answer, b.Authority = unsigned(a.Answer, qtype), unsigned(a.Authority, 0)
	if err := b.pack(dns.Fqdn(a.Name), qtype); err != nil {
		return nil, err
	}
	return &b, nil
}

func unsigned(rrs []dns.RR, qtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		switch kind := rr.Header().Rrtype; {
		case kind == qtype:
		case kind == dns.TypeRRSIG, kind == dns.TypeNSEC, kind == dns.TypeNSEC3:
			continue
		}
		out = append(out, rr)
	}
	return out
}

// Unjudged gives the answer as it is for a client that judges by itself (CD).
func (a *Answer) Unjudged() *Answer {
	b := *a
	b.Secure = false
	return &b
}
