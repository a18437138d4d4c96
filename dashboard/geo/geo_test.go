package geo

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The writer below makes the smallest databases that the format allows
// (MaxMind DB File Format Specification v2.0): a tree of 24-bit records for
// IPv4, and the data behind it.

type pair struct {
	key   string
	value any
}

// encode writes one value: string, uint32, uint16, uint64, []string or []pair (a map).
func encode(v any) []byte {
	control := func(kind, size int) []byte {
		var out []byte
		if kind > 7 {
			out = []byte{byte(size), byte(kind - 7)}
		} else {
			out = []byte{byte(kind<<5 | size)}
		}
		return out
	}
	switch v := v.(type) {
	case string:
		if len(v) > 28 {
			return append([]byte{2<<5 | 29, byte(len(v) - 29)}, v...)
		}
		return append(control(2, len(v)), v...)
	case uint16:
		return binary.BigEndian.AppendUint16(control(5, 2), v)
	case uint32:
		return binary.BigEndian.AppendUint32(control(6, 4), v)
	case uint64:
		return binary.BigEndian.AppendUint64(control(9, 8), v)
	case []string:
		out := control(11, len(v))
		for _, s := range v {
			out = append(out, encode(s)...)
		}
		return out
	case []pair:
		out := control(7, len(v))
		for _, p := range v {
			out = append(append(out, encode(p.key)...), encode(p.value)...)
		}
		return out
	}
	panic("no such type")
}

// database gives the bytes of a database in which every address of prefix has
// the record.
func database(kind string, prefix netip.Prefix, record any) []byte {
	a := prefix.Addr().As4()
	bits := prefix.Bits()
	put := func(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }
	var tree []byte
	for i := range bits {
		next, none := i+1, bits // the tree has one node a bit; "bits" means no record
		if i == bits-1 {
			next = bits + 16
		}
		if a[i/8]>>(7-i%8)&1 == 0 {
			tree = put(put(tree, next), none)
		} else {
			tree = put(put(tree, none), next)
		}
	}
	out := append(tree, make([]byte, 16)...)
	out = append(out, encode(record)...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return append(out, encode([]pair{
		{"binary_format_major_version", uint16(2)}, {"binary_format_minor_version", uint16(0)}, {"build_epoch", uint64(1_790_000_000)},
		{"database_type", kind}, {"description", []pair{{"en", "a test"}}}, {"ip_version", uint16(4)}, {"languages", []string{"en"}},
		{"node_count", uint32(bits)}, {"record_size", uint16(24)},
	})...)
}

func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.mmdb")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayouts(t *testing.T) {
	in := netip.MustParsePrefix("203.0.113.0/24")
	country := write(t, database("GeoLite2-Country", in, []pair{{"country", []pair{{"iso_code", "SG"}, {"names", []pair{{"de", "Singapur"}, {"en", "Singapore"}}}}}}))
	asn := write(t, database("GeoLite2-ASN", in, []pair{{"autonomous_system_number", uint32(45102)}, {"autonomous_system_organization", "Alibaba US Technology Co., Ltd."}}))
	flat := write(t, database("ipinfo lite", in, []pair{{"country", "Singapore"}, {"country_code", "SG"}, {"asn", "AS45102"}, {"as_name", "Alibaba"}}))
	codes := write(t, database("codes", in, []pair{{"country", "sg"}}))
	for _, c := range []struct {
		files []string
		want  Place
	}{
		{[]string{country, asn}, Place{"Singapore", "SG", 45102, "Alibaba US Technology Co., Ltd."}},
		{[]string{flat}, Place{"Singapore", "SG", 45102, "Alibaba"}},
		{[]string{codes}, Place{"SG", "SG", 0, ""}},
		{nil, Place{}},
	} {
		b, err := Open(c.files...)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Find(netip.MustParseAddr("203.0.113.7")); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.files, got, c.want)
		}
		if got := b.Find(netip.MustParseAddr("::ffff:203.0.113.7")); got != c.want {
			t.Errorf("%v: mapped: %+v", c.files, got)
		}
		for _, other := range []string{"192.0.2.1", "2001:db8::1"} {
			if got := b.Find(netip.MustParseAddr(other)); got != (Place{}) {
				t.Errorf("%s: %+v", other, got)
			}
		}
		if len(b.Sources()) != len(c.files) {
			t.Errorf("sources %+v", b.Sources())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	b, err := Open(country)
	if err != nil || b.Sources()[0].Type != "GeoLite2-Country" || !b.Sources()[0].Built.Equal(time.Unix(1_790_000_000, 0)) {
		t.Errorf("%+v, %v", b.Sources(), err)
	}
}

func TestNoDatabase(t *testing.T) {
	for _, path := range []string{write(t, []byte("hello")), write(t, nil), filepath.Join(t.TempDir(), "absent"), t.TempDir()} {
		if _, err := Open(path); err == nil || strings.Contains(err.Error(), "\n\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// FuzzFind: a damaged database finds nothing or something, and ends.
func FuzzFind(f *testing.F) {
	good := database("GeoLite2-Country", netip.MustParsePrefix("203.0.113.0/24"), []pair{{"country", []pair{{"iso_code", "SG"}, {"names", []pair{{"en", "Singapore"}}}}}})
	f.Add(good, 40, byte(1))
	f.Add(good, len(good)/2, byte(0xff))
	f.Fuzz(func(t *testing.T, b []byte, at int, x byte) {
		b = append([]byte{}, b...)
		if len(b) > 0 {
			b[uint(at)%uint(len(b))] ^= x
		}
		base, err := Open(write(t, b))
		if err != nil {
			return
		}
		for _, a := range []string{"203.0.113.7", "0.0.0.0", "255.255.255.255", "2001:db8::1"} {
			base.Find(netip.MustParseAddr(a))
		}
		if err := base.Close(); err != nil {
			t.Error(err)
		}
	})
}
