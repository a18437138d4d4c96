package clienthello

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func ids(tb testing.TB, list string) (out []uint16) {
	tb.Helper()
	for s := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseUint(s, 16, 16)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, uint16(v))
	}
	return out
}

// The worked example of FoxIO's JA4 specification (technical_details/JA4.md):
// the lists in the client's order, with GREASE added where Chrome puts it.
const (
	specCiphers = "2a2a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
	specExts    = "3a3a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,baba"
	specSigs    = "0403,0804,0401,0503,0805,0501,0806,0601"
)

func spec(tb testing.TB) *Hello {
	return &Hello{Version: 0x0303, Versions: []uint16{0x6a6a, 0x0304, 0x0303}, Ciphers: ids(tb, specCiphers), Extensions: ids(tb, specExts),
		HasSNI: true, SNI: "example.com", ALPN: []string{"h2", "http/1.1"}, SigAlgs: ids(tb, specSigs)}
}

func TestJA4Specification(t *testing.T) {
	h := spec(t)
	if got, want := h.JA4(), "t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("JA4 %s, want %s", got, want)
	}
	want := "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_" +
		"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
	if got := h.JA4Raw(); got != want {
		t.Errorf("JA4_r %s", got)
	}
	h.SigAlgs = nil // the specification's example without signature algorithms
	if got := h.JA4(); !strings.HasSuffix(got, "_6d807ffa2a79") {
		t.Errorf("without signature algorithms: %s", got)
	}
	if got, want := (&Hello{Version: 0x0301}).JA4(), "t10i000000_000000000000_000000000000"; got != want {
		t.Errorf("empty: %s, want %s", got, want)
	}
}

// TestJA4Browsers: fingerprints that other tools published with their raw
// lists: Chrome of 2025 (browserleaks.com).
func TestJA4Browsers(t *testing.T) {
	h := spec(t)
	h.Extensions = ids(t, "002d,0033,0010,fe0d,0017,44cd,0000,000b,000a,002b,ff01,0023,0012,0005,000d,001b")
	if got, want := h.JA4(), "t13d1516h2_8daaf6152771_d8a2da3f94cd"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestJA4Details(t *testing.T) {
	for _, tt := range []struct {
		alpn []string
		want string
	}{
		{nil, "00"}, {[]string{""}, "00"}, {[]string{"h2"}, "h2"}, {[]string{"http/1.1"}, "h1"}, {[]string{"q"}, "qq"},
		{[]string{"\xab"}, "ab"}, {[]string{"\xab\xcd"}, "ad"}, {[]string{"\x30\xab"}, "3b"},
		{[]string{"\x30\x31\xab\xcd"}, "3d"}, {[]string{"\x30\xab\xcd\x31"}, "01"},
	} {
		if got := ja4ALPN(tt.alpn); got != tt.want {
			t.Errorf("ALPN %q: %s, want %s", tt.alpn, got, tt.want)
		}
	}
	for v, want := range map[uint16]string{0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 2: "s2", 0x7f1c: "00"} {
		if got := ja4Version(v); got != want {
			t.Errorf("version %x: %s, want %s", v, got, want)
		}
	}
	many := &Hello{Version: 0x0303, Ciphers: make([]uint16, 150), Extensions: make([]uint16, 120)}
	if got := many.JA4(); !strings.HasPrefix(got, "t12i999900_") {
		t.Errorf("counts: %s", got)
	}
}

// build writes a ClientHello handshake message.
func build(h *Hello, extra ...[]byte) []byte {
	v16 := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	v8 := func(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }
	list := func(l []uint16) (out []byte) {
		for _, v := range l {
			out = binary.BigEndian.AppendUint16(out, v)
		}
		return out
	}
	body := binary.BigEndian.AppendUint16(nil, h.Version)
	body = append(body, make([]byte, 32)...)
	body = append(body, v8(make([]byte, 32))...)
	body = append(body, v16(list(h.Ciphers))...)
	body = append(body, 1, 0)
	var exts []byte
	for i, id := range h.Extensions {
		data := []byte{}
		switch {
		case i < len(extra):
			data = extra[i]
		case id == extServerName:
			data = v16(append([]byte{0}, v16([]byte(h.SNI))...))
		case id == extALPN:
			for _, p := range h.ALPN {
				data = append(data, v8([]byte(p))...)
			}
			data = v16(data)
		case id == extSignatureAlgs:
			data = v16(list(h.SigAlgs))
		case id == extSupportedVersions:
			data = v8(list(h.Versions))
		}
		exts = append(exts, list([]uint16{id})...)
		exts = append(exts, v16(data)...)
	}
	if h.Extensions != nil {
		body = append(body, v16(exts)...)
	}
	return append([]byte{typeClientHello, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}

// records cuts a message into records of at most n bytes.
func records(msg []byte, n int) (out []byte) {
	for part := range slices.Chunk(msg, n) {
		out = append(out, typeHandshake, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestParse(t *testing.T) {
	want := spec(t)
	msg := build(want)
	for _, n := range []int{1, 2, 5, 100, len(msg)} {
		b := records(msg, n)
		for cut := range b {
			if _, _, err := Message(b[:cut]); err != ErrShort {
				t.Fatalf("records of %d, %d bytes: %v", n, cut, err)
			}
		}
		got, used, err := Message(append(b, "more"...))
		if err != nil || used != len(b) || !slices.Equal(got, msg) {
			t.Fatalf("records of %d: %v, used %d of %d", n, err, used, len(b))
		}
	}
	h, err := Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	if h.JA4() != want.JA4() || h.SNI != "example.com" || !slices.Equal(h.ALPN, want.ALPN) || h.Best() != 0x0304 || h.ECH {
		t.Errorf("%+v", h)
	}
	if h, err := Parse(build(&Hello{Version: 0x0301, Ciphers: []uint16{0x2f}})); err != nil || h.Best() != 0x0301 || h.HasSNI {
		t.Errorf("without extensions: %+v %v", h, err)
	}
	if h, err := Parse(build(&Hello{Version: 0x0303, Extensions: []uint16{extECH}})); err != nil || !h.ECH {
		t.Errorf("ECH: %+v %v", h, err)
	}
}

func TestMalformed(t *testing.T) {
	msg := build(spec(t))
	bad := map[string][]byte{
		"empty":            {},
		"other message":    append([]byte{2}, msg[1:]...),
		"length too long":  append([]byte{1, 0, 0xff, 0xff}, msg[4:]...),
		"trailing byte":    append([]byte{1, 0, byte((len(msg) - 3) >> 8), byte(len(msg) - 3)}, append(slices.Clone(msg[4:]), 0)...),
		"SNI list lies":    build(&Hello{Extensions: []uint16{extServerName}}, []byte{0, 9, 0}),
		"SNI empty":        build(&Hello{Extensions: []uint16{extServerName}}, []byte{}),
		"ALPN lies":        build(&Hello{Extensions: []uint16{extALPN}}, []byte{0, 2, 9, 9}),
		"versions lie":     build(&Hello{Extensions: []uint16{extSupportedVersions}}, []byte{9}),
		"signatures lie":   build(&Hello{Extensions: []uint16{extSignatureAlgs}}, []byte{9, 9}),
		"session id lies":  func() []byte { b := slices.Clone(msg); b[38] = 0xff; return b }(),
		"extension length": func() []byte { b := slices.Clone(msg); b[len(b)-1] = 7; return b }(),
	}
	for name, b := range bad {
		if h, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
	for _, b := range []string{"\x16\x03\x01\x00\x00", "\x16\x03\x01\x41\x00\x01", "GET / HTTP/1.1", "\x15\x03\x01\x00\x02", "\x16\x03\x01\x00\x10\x02", "\x16\x03\x09"} {
		if _, _, err := Message([]byte(b)); err != ErrNotTLS && err != ErrMalformed && !(err == ErrShort && len(b) < 6) {
			t.Errorf("%q: %v", b, err)
		}
	}
	long := records(append([]byte{1, 0xff, 0, 0}, make([]byte, 100)...), 50)
	if _, _, err := Message(long); err != ErrMalformed {
		t.Errorf("16 MiB announced: %v", err)
	}
	if _, _, err := Message(records(append([]byte{1, 0, 0x7f, 0}, make([]byte, 0x7000)...), 1)); err != ErrMalformed {
		t.Errorf("endless fragments: %v", err)
	}
}

// TestVector is a ClientHello that another tool wrote.
func TestVector(t *testing.T) {
	b, err := os.ReadFile("../../../shared/payloads/vectors/96-tls-clienthello.bin")
	if err != nil {
		t.Skip("the shared vectors are not here: ", err)
	}
	msg, used, err := Message(b)
	if err != nil || used != len(b) {
		t.Fatal(used, err)
	}
	h, err := Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	// JA4 of its six extensions 0,2b,0d,10,0a,33 and ciphers 1301,1302,c02b; hashes by sha256sum.
	if h.SNI != "tracking.intl.miui.com" || !strings.HasPrefix(h.JA4(), "t13d0306h2_") || h.JA4Raw() != "t13d0306h2_1301,1302,c02b_000a,000d,002b,0033_0403,0804,0401,0503" {
		t.Errorf("%+v %s", h, h.JA4Raw())
	}
}

func FuzzParse(f *testing.F) {
	msg := build(spec(f))
	f.Add(msg)
	f.Add(records(msg, 3))
	f.Add(records(msg, 1000))
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"))
	chrome, _ := hex.DecodeString("160301000401000000")
	f.Add(chrome)
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := Parse(b); err == nil {
			if n := len(h.JA4()); n != 36 {
				t.Errorf("JA4 of %d characters", n)
			}
		}
		msg, used, err := Message(b)
		if err != nil {
			return
		}
		if used > len(b) || len(msg) > used || len(msg) > MaxMessage || Sniff(b) != nil {
			t.Errorf("used %d of %d for %d", used, len(b), len(msg))
		}
		again, _, err := Message(records(msg, 1+len(b)%7))
		if len(msg)*6 < MaxRaw && (err != nil || !slices.Equal(again, msg)) {
			t.Errorf("fragmented otherwise: %v", err)
		}
	})
}
