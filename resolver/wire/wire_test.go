package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func pack(t testing.TB, edit func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("WwW.example.com.", dns.TypeA)
	m.Id = 0x1234
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func withOPT(m *dns.Msg) { m.SetEdns0(4096, true) }

func TestParseFaults(t *testing.T) {
	plain, edns := pack(t, nil), pack(t, withOPT)
	set := func(b []byte, at int, v ...byte) []byte {
		c := bytes.Clone(b)
		copy(c[at:], v)
		return c
	}
	optAt := len(plain)
	for _, c := range []struct {
		name string
		in   []byte
		want Fault
	}{
		{"plain", plain, OK},
		{"edns", edns, OK},
		{"empty", nil, Silence},
		{"two octets", plain[:2], Silence},
		{"three octets", plain[:3], FormErr},
		{"eleven octets", plain[:11], FormErr},
		{"a response", set(plain, 2, 0x80), Silence},
		{"header alone", plain[:12], FormErr},
		{"no question", set(plain, 5, 0), FormErr},
		{"two questions", set(plain, 5, 2), FormErr},
		{"an answer", set(plain, 7, 1), FormErr},
		{"an authority record", set(plain, 9, 1), FormErr},
		{"an additional record that is not there", set(plain, 11, 1), FormErr},
		{"a trailing octet", append(bytes.Clone(plain), 0), FormErr},
		{"cut in the name", plain[:15], FormErr},
		{"cut in the type", plain[:len(plain)-3], FormErr},
		{"pointer as qname", set(plain, 12, 0xc0, 12), FormErr},
		{"reserved label type", set(plain, 12, 0x43), FormErr},
		{"two opt", pack(t, func(m *dns.Msg) { withOPT(m); m.Extra = append(m.Extra, m.Extra[0]) }), FormErr},
		{"opt not at the root", append(set(plain, 11, 1), 1, 'a', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0), FormErr},
		{"option longer than the record", append(set(plain, 11, 1), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 9), FormErr},
		{"edns version 1", set(edns, optAt+6, 1), BadVers},
		{"edns version 255", set(edns, optAt+6, 255), BadVers},
		{"status", set(plain, 2, 2<<3), NotImp},
		{"opcode 15", set(plain, 2, 15<<3), NotImp},
		{"update without a body", set(plain[:12], 2, 5<<3), NotImp},
		{"chaos", set(plain, optAt-1, 3), Refused},
		{"class any", set(plain, optAt-1, 255), Refused},
		{"axfr", set(plain, optAt-4, 0, 252), Refused},
		{"ixfr", set(plain, optAt-4, 0, 251), Refused},
		{"any", set(plain, optAt-4, 0, 255), OK},
		{"type opt", set(plain, optAt-4, 0, 41), FormErr},
		{"type 0", set(plain, optAt-4, 0, 0), FormErr},
		{"unknown type", set(plain, optAt-4, 0xff, 0x01), OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, got := Parse(c.in)
			if got != c.want {
				t.Errorf("fault %d, want %d", got, c.want)
			}
			if got != Silence && q.ID != 0x1234 {
				t.Errorf("ID %#x", q.ID)
			}
		})
	}
}

func TestParseFields(t *testing.T) {
	q, f := Parse(pack(t, func(m *dns.Msg) { withOPT(m); m.CheckingDisabled = true }))
	if f != OK || !q.EDNS || !q.DO || !q.CD || !q.RD || q.Size != 4096 || q.Type != dns.TypeA || q.Class != dns.ClassINET {
		t.Errorf("%+v, fault %d", q, f)
	}
	if got := string(AppendText(nil, q.Name)); got != "www.example.com" {
		t.Errorf("text %q", got)
	}
	if q, _ = Parse(pack(t, func(m *dns.Msg) { m.SetEdns0(17, false) })); q.Size != 512 {
		t.Errorf("size %d, want 512", q.Size)
	}
}

func TestLongestName(t *testing.T) {
	label := strings.Repeat("a", 63)
	name := label + "." + label + "." + label + "." + strings.Repeat("b", 61) + "."
	b := pack(t, func(m *dns.Msg) { m.Question[0].Name = name })
	if q, f := Parse(b); f != OK || len(q.Name) != MaxName {
		t.Errorf("255 octets: fault %d, %d octets", f, len(q.Name))
	}
	b[12+192] = 62 // one octet more; the octet after the label is its new end
	b = append(b[:12+193], append([]byte("x"), b[12+193:]...)...)
	if _, f := Parse(b); f != FormErr {
		t.Errorf("256 octets: fault %d", f)
	}
}

func TestTTLs(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.", dns.TypeA)
	m.Response, m.Compress = true, true
	for _, s := range []string{"a.example. 300 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1"} {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	m.SetEdns0(1232, false)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	offs, ok := TTLs(b)
	if !ok || len(offs) != 2 || count(b, int(offs[0])+2) != 300 || count(b, int(offs[1])+2) != 60 {
		t.Errorf("offsets %v, %v", offs, ok)
	}
	for i := range b {
		TTLs(b[:i]) // must not panic
	}
}

// FuzzParse: what we accept, miekg/dns accepts too and reads the same way.
func FuzzParse(f *testing.F) {
	f.Add(pack(f, nil))
	f.Add(pack(f, withOPT))
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04a.\\ \x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		TTLs(b)
		q, fault := Parse(b)
		if fault != OK {
			return
		}
		var m dns.Msg
		if err := m.Unpack(b); err != nil {
			t.Skip("the library reads the content of options too:", err)
		}
		want := strings.TrimSuffix(strings.ToLower(m.Question[0].Name), ".")
		if want == "" {
			want = "."
		}
		if got := string(AppendText(nil, q.Name)); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
		if opt := m.IsEdns0(); (opt != nil) != q.EDNS {
			t.Errorf("EDNS %v, library %v", q.EDNS, opt)
		} else if opt != nil && (opt.Do() != q.DO || max(512, int(opt.UDPSize())) != q.Size) {
			t.Errorf("%+v, library %v", q, opt)
		}
	})
}
