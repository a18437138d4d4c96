// Package dnssec tells whether an answer is what the owner of its names signed.
// It follows the chain of trust from the root's key to the zone of every record
// (RFC 4035 §5), believes a denial only with its proof (NSEC, RFC 4035 §5.4;
// NSEC3, RFC 5155 §8), and takes an unsigned answer only where the chain proves
// that nothing is signed there.
//
// The work one question can cause is bounded on every side: signatures checked,
// hashes made and questions asked. The attacks known as KeyTrap
// (CVE-2023-50387) and NSEC3 exhaustion (CVE-2023-50868) end at these bounds.
//
// The package asks through a function it is given, and reads the time from
// another, so that every decision can be replayed.
package dnssec

import (
	"context"
	"errors"
	"fmt"
	"nightlatch/resolver/dnssec/tree"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Status is what validation finds (RFC 4035 §4.3).
type Status uint8

const (
	Secure        Status = iota // signed, all the way from an anchor
	Insecure                    // proved to be unsigned, or signed in a way that is not supported
	Indeterminate               // the chain could not be fetched
	Bogus                       // it should be signed and is not, or wrongly
)

// String gives the word of RFC 4035 §4.3.
func (s Status) String() string {
	return [...]string{"secure", "insecure", "indeterminate", "bogus"}[s&3]
}

// Result is a status with its reason.
type Result struct {
	Status Status
	EDE    int    // Extended DNS Error (RFC 8914) that tells why; -1 for none
	Reason string // the same in words, for a person; empty when there is nothing to tell
}

// Asker fetches the records of a name with DO and CD set: name in lower case
// with the final dot. What it gives is read as untrusted, and not changed.
type Asker func(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)

// Options are what a Validator is made of; Ask and Anchors are needed.
type Options struct {
	Ask      Asker
	Anchors  []*dns.DS        // of the root; see [RootAnchors]
	Negative []string         // negative trust anchors (RFC 7646): these names and all below count as unsigned
	Now      func() time.Time // nil means time.Now
}

// Validator judges answers. It remembers the zones it has met, a bounded number
// of them, and is safe for concurrent use.
type Validator struct {
	opt      Options
	negative map[string]bool

	offered atomic.Bool
	held    *held

	mu    sync.Mutex
	known map[string]*cut
}

// New makes a Validator. It asks nothing yet.
func New(o Options) *Validator {
	v := &Validator{opt: o, negative: map[string]bool{}, known: map[string]*cut{}, held: newHeld()}
	if v.opt.Now == nil {
		v.opt.Now = time.Now
	}
	for _, name := range o.Negative {
		v.negative[dns.CanonicalName(name)] = true
	}
	return v
}

// Prime fetches the keys of the root and checks them with the anchors. The
// error tells why no answer can be validated.
func (v *Validator) Prime(ctx context.Context) error {
	if z := v.work(ctx).zone("."); z.status != Secure {
		return errors.New(z.fault.Reason)
	}
	return nil
}

// Forget forgets what was proved of names, as after a change of network. The
// zones and their keys stay known for as long as they said.
func (v *Validator) Forget() { v.held.clear() }

// Offered tells whether signed keys of the root were ever seen, good or bad:
// whoever is asked hands on what validation needs.
func (v *Validator) Offered() bool { return v.offered.Load() }

func (v *Validator) work(ctx context.Context) *work {
	return &work{v: v, ctx: ctx, now: v.opt.Now(), verifies: maxVerifies, failures: maxFailures, rounds: maxRounds, asks: maxAsks}
}

// Bounds of the work that one question may cause.
const (
	maxVerifies = 64   // signatures checked; an honest chain of ten zones needs about 30
	maxFailures = 8    // of these, how many may be wrong
	maxRounds   = 9000 // rounds of NSEC3 hashing: 60 names at the most iterations that are taken
	maxAsks     = 64   // questions asked for the chain
	maxAliases  = 16   // CNAMEs and DNAMEs followed
)

// work is the judging of one question: what it may still spend.
type work struct {
	v   *Validator
	ctx context.Context
	now time.Time

	verifies, failures, rounds, asks int
}

// Validate judges the answer to a question: qname in presentation form, the
// sections as they came. An answer that leads over aliases is as good as its
// weakest part.
func (v *Validator) Validate(ctx context.Context, qname string, qtype uint16, rcode int, answer, authority []dns.RR) Result {
	if qtype == dns.TypeRRSIG {
		return insecure(-1, "") // nothing is signed by which signatures could be judged
	}
	w := v.work(ctx)
	at, sets := dns.CanonicalName(qname), group(answer)
	out := Result{EDE: -1}
	for range maxAliases {
		if s := find(sets, at, qtype); s != nil {
			if rcode != dns.RcodeSuccess { // the RCODE is not signed
				return bogus(dns.ExtendedErrorCodeDNSBogus, "%s %s is there, and the answer says that it is not", at, dns.Type(qtype))
			}
			return worse(out, w.positive(s, authority))
		}
		alias := find(sets, at, dns.TypeCNAME)
		if alias == nil {
			return worse(out, w.denied(at, qtype, rcode, authority))
		}
		out = worse(out, w.alias(alias, sets, authority))
		if out.Status == Bogus {
			return out
		}
		at = dns.CanonicalName(alias.rrs[0].(*dns.CNAME).Target)
	}
	return bogus(dns.ExtendedErrorCodeDNSBogus, "too many aliases")
}

// alias judges a CNAME: by its own signature, or by the DNAME it follows from
// (RFC 6672 §5.3.1).
func (w *work) alias(s *set, sets []*set, authority []dns.RR) Result {
	if len(s.sigs) > 0 {
		return w.positive(s, authority)
	}
	target := dns.CanonicalName(s.rrs[0].(*dns.CNAME).Target)
	for _, d := range sets {
		if d.kind != dns.TypeDNAME || d.name == s.name || !dns.IsSubDomain(d.name, s.name) {
			continue
		}
		to := dns.CanonicalName(d.rrs[0].(*dns.DNAME).Target)
		if strings.TrimSuffix(s.name, d.name)+strings.TrimPrefix(to, ".") == target {
			return w.positive(d, authority)
		}
	}
	return w.positive(s, authority)
}

// positive judges a set of records. One that a wildcard stands for must come
// with the proof that nothing nearer exists (RFC 4035 §5.3.4).
func (w *work) positive(s *set, authority []dns.RR) Result {
	z, sig, res := w.judge(s)
	if res.Status != Secure || !expanded(s.name, sig) {
		return res
	}
	p := w.proof(z, authority)
	if res = p.expansion(tree.Suffix(s.name, int(sig.Labels)+1)); res.Status == Secure {
		w.keepWild(p, s, sig)
	}
	return res
}

// denied judges an answer that says that a name or its type does not exist. The
// zone that signed the denial is tried first: where its proof holds, the chain
// need not be followed to the name itself.
func (w *work) denied(name string, qtype uint16, rcode int, authority []dns.RR) Result {
	for _, signer := range signers(authority, owner(name, qtype)) {
		z := w.zone(signer)
		if z.status != Secure {
			return z.result()
		}
		if z.name != signer {
			continue
		}
		if res := w.denial(z, name, qtype, rcode, authority); res.Status != Bogus {
			return res
		}
	}
	z := w.zone(owner(name, qtype))
	if z.status != Secure {
		return z.result()
	}
	return w.denial(z, name, qtype, rcode, authority)
}

// denial judges a denial by the proofs of one zone, and keeps those that hold.
func (w *work) denial(z *zone, name string, qtype uint16, rcode int, authority []dns.RR) Result {
	p := w.proof(z, authority)
	res := p.denial(name, qtype, rcode)
	if res.Status == Secure {
		w.keep(p, authority)
	}
	return res
}

// signers gives the zones above a name that signed a denial, as they say
// themselves.
func signers(authority []dns.RR, name string) []string {
	var out []string
	for _, rr := range authority {
		sig, ok := rr.(*dns.RRSIG)
		if !ok || sig.TypeCovered != dns.TypeNSEC && sig.TypeCovered != dns.TypeNSEC3 {
			continue
		}
		signer := dns.CanonicalName(sig.SignerName)
		if dns.IsSubDomain(signer, name) && !slices.Contains(out, signer) && len(out) < maxSigners {
			out = append(out, signer)
		}
	}
	return out
}

// owner gives the name whose zone answers for a question: that of DS lies
// above (RFC 4035 §3.1.4.1).
func owner(name string, qtype uint16) string {
	if qtype == dns.TypeDS && name != "." {
		return tree.Suffix(name, dns.CountLabel(name)-1)
	}
	return name
}

// ask fetches records for the chain.
func (w *work) ask(name string, qtype uint16) (*dns.Msg, error) {
	if w.asks--; w.asks < 0 {
		return nil, fmt.Errorf("more than %d questions for one chain of trust", maxAsks)
	}
	return w.v.opt.Ask(w.ctx, name, qtype)
}

func secure() Result { return Result{EDE: -1} }

func bogus(ede uint16, format string, args ...any) Result {
	return Result{Bogus, int(ede), fmt.Sprintf(format, args...)}
}

func insecure(ede int, reason string) Result { return Result{Insecure, ede, reason} }

// worse gives the one of two results that counts for both.
func worse(a, b Result) Result {
	if b.Status > a.Status {
		return b
	}
	return a
}
