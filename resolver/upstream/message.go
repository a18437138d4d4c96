package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/miekg/dns"

	"nightlatch/resolver/wire"
)

// Question is what is asked of an upstream. The class is IN.
type Question struct {
	Name   string // presentation form, lower case, with the final dot
	Type   uint16
	DO, CD bool
}

// Errors a caller may want to tell apart.
var (
	// ErrUnreachable: every upstream is known to be down and none is due to be tried.
	ErrUnreachable = errors.New("no upstream is reachable")
	// errForged: so many wrong replies came in that somebody is guessing.
	errForged = errors.New("too many forged replies")
	// errReply: a transport that guarantees delivery gave bytes that are no reply.
	errReply = errors.New("not a reply to the question")
	// errCut: the answer was cut off where nothing limits its length.
	errCut = errors.New("the answer is cut off, over TCP too")
	// errLame: the server does not do what upstreams are for.
	errLame = errors.New("it names other servers instead of answering; it is no resolver")
)

// udpSize is the payload size we announce and keep: it fits every path
// unfragmented (RFC 9715, DNS flag day 2020).
const udpSize = 1232

// padBlock is the size queries on encrypted transports are padded to
// (RFC 8467 §4.1).
const padBlock = 128

// build makes the query. Everything the client said stays behind: its case,
// its ID, its options. edns false is for servers that answer FORMERR to OPT.
func build(q Question, edns, pad bool) *dns.Msg {
	m := &dns.Msg{Question: []dns.Question{{Name: q.Name, Qtype: q.Type, Qclass: dns.ClassINET}}}
	m.RecursionDesired, m.CheckingDisabled = true, q.CD
	if !edns {
		return m
	}
	m.SetEdns0(udpSize, q.DO)
	if pad {
		opt := m.IsEdns0()
		p := &dns.EDNS0_PADDING{}
		opt.Option = append(opt.Option, p)
		if n := m.Len() % padBlock; n > 0 {
			p.Padding = make([]byte, padBlock-n)
		}
	}
	return m
}

// pack gives the bytes of m under a given ID; m itself stays as it is, for it
// may be in use on another transport.
func pack(m *dns.Msg, id uint16) ([]byte, error) {
	b, err := m.Pack()
	if err == nil {
		binary.BigEndian.PutUint16(b, id)
	}
	return b, err
}

// framed puts the length before a message, as on streams (RFC 1035 §4.2.2).
func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, len(b)+2), uint16(len(b))), b...)
}

// randomID is unpredictable; a plain query has nothing but this, its port and
// its name to be told from a forgery (RFC 5452).
func randomID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails (Go 1.24)
	return binary.BigEndian.Uint16(b[:])
}

// accept reads a reply to m sent under id. It takes nothing on trust: the
// QR bit, the ID, the opcode, the question and the counts must all be right.
func accept(b []byte, m *dns.Msg, id uint16) (*dns.Msg, bool) {
	if len(b) < wire.HeaderLen || binary.BigEndian.Uint16(b) != id || b[2]&0xf8 != 0x80 {
		return nil, false
	}
	r := new(dns.Msg)
	if r.Unpack(b) != nil {
		// A reply that was cut off in the middle of a record is still good for its TC bit.
		if b[2]&0x02 == 0 || !sameQuestion(r, m) {
			return nil, false
		}
		return &dns.Msg{MsgHdr: r.MsgHdr, Question: r.Question}, true
	}
	counts := [4]int{len(r.Question), len(r.Answer), len(r.Ns), len(r.Extra)}
	for i, n := range counts {
		if int(binary.BigEndian.Uint16(b[4+2*i:])) != n {
			return nil, false
		}
	}
	if len(r.Question) == 0 && ednsRefused(r) {
		return r, true // some servers answer FORMERR with a bare header
	}
	return r, sameQuestion(r, m)
}

func sameQuestion(r, m *dns.Msg) bool {
	if len(r.Question) != 1 {
		return false
	}
	got, want := r.Question[0], m.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// ednsRefused tells whether r may mean that the server does not know EDNS
// (RFC 6891 §7).
func ednsRefused(r *dns.Msg) bool {
	return r.Rcode == dns.RcodeFormatError || r.Rcode == dns.RcodeNotImplemented || r.Rcode == dns.RcodeBadVers
}
