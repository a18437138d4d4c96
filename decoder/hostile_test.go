package decoder

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/decoder/codec"
)

// Bounds of a hostile payload, as the issue sets them. Allocation is all that
// was ever allocated, which is more than what was held at once.
const (
	hostileTime  = 250 * time.Millisecond
	hostileBytes = 32 << 20
)

func zeros(n int) string { return strings.Repeat("\x00", n) }

func gzBig(n int) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, 9)
	chunk := make([]byte, 1<<20)
	for range n >> 20 {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	return b.Bytes()
}

// hostile gives payloads made to exhaust a decoder.
func hostile() map[string][]byte {
	bomb := gzBig(6 << 20)
	layered := []byte(device2)
	for range 20 {
		layered = []byte(base64.StdEncoding.EncodeToString(layered))
	}
	deepProto := pb(1, "x")
	for range 900 {
		deepProto = pb(1, deepProto)
	}
	text := strings.Repeat(`{"k":"value number one","n":1234567890},`, 90_000)
	return map[string][]byte{
		"gzip bomb": bomb, "gzip bomb in base64": []byte(b64(bomb[:min(len(bomb), 60_000)])), "gzip of gzip bomb": gzHelper(bomb),
		"zlib bomb": zl(zeros(4 << 20)), "brotli bomb": brotlied(zeros(4 << 20)), "zstd bomb": zstded(zeros(4 << 20)),
		"lz4 bomb": lz4ed(zeros(4 << 20)), "snappy bomb": framed(zeros(4 << 20)), "deflate bomb": deflated(zeros(4 << 20)),
		"many small bombs":  []byte("[" + strings.Repeat(`"`+b64(gzHelper([]byte(zeros(900_000))))+`",`, 300) + "1]"),
		"many gzip leaves":  []byte("[" + strings.Repeat(`"`+b64(gzHelper([]byte("hello hello hello")))+`",`, 30_000) + "1]"),
		"nested arrays":     []byte(strings.Repeat("[", 5<<20)),
		"nested objects":    []byte(strings.Repeat(`{"a":`, 700_000)),
		"large json":        []byte("[" + text[:len(text)-1] + "]"),
		"base64 layers":     layered,
		"protobuf layers":   deepProto,
		"form of pairs":     []byte(strings.Repeat("a=b&", 1<<20)),
		"query of percents": []byte("q=" + strings.Repeat("%25", 1<<20)),
		"message pack lies": {0xdd, 0x05, 0xff, 0xff, 0xff}, "message pack map lies": {0xdf, 0x02, 0xff, 0xff, 0xff}, "message pack bin lies": {0xc6, 0x7f, 0xff, 0xff, 0xff},
		"cbor lies": {0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x61}, "snappy lies": {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 2, 3, 4, 5, 6},
		"cbor layers": append(bytes.Repeat([]byte{0x81}, 1<<20), 1), "message pack layers": append(bytes.Repeat([]byte{0x91}, 1<<20), 1),
		"xml layers":         []byte(strings.Repeat("<a>", 1<<20)),
		"xml entities":       []byte(`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>`),
		"gzip magics":        bytes.Repeat([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), 200_000),
		"zlib magics":        bytes.Repeat([]byte("\x78\x9c"), 1<<20),
		"zstd large window":  {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0, 0, 0, 0, 0, 0},
		"json islands":       []byte("\x01" + strings.Repeat(`{"a":"`, 500_000)),
		"multipart parts":    []byte("--bb\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat("x\r\n--bb\r\n\r\n\r\n", 200_000)),
		"lines":              []byte(strings.Repeat("{}\n", 1<<20)),
		"addresses":          []byte(strings.Repeat("a@b.co ", 500_000)),
		"one long word":      []byte(strings.Repeat("A", 4<<20)),
		"one long hex":       []byte(strings.Repeat("ab", 2<<20)),
		"lz-string":          []byte("N4Ig" + strings.Repeat("pgbm", 500_000)),
		"backslashes":        []byte(`{"a":"` + strings.Repeat(`\\u`, 1<<20)),
		"escapes in escapes": []byte(strings.Repeat(`{"a":"{\"a\":\"`, 200_000)),
		"random":             noise(4<<20, "random"),
		"one letter":         bytes.Repeat([]byte("a"), maxXOR),
		"bait for xor":       xorBait(),
		"frames in frames":   framesInFrames(),
		"jce layers":         bytes.Repeat([]byte{0x0a}, 1<<20),
		"jce lies":           []byte("\x09\x02\x7f\xff\xff\xff\x06\x04abcd"),
		"binary list":        []byte("bplist00" + strings.Repeat("\xa2\x00\x00", 60) + strings.Repeat("\x08", 90) + "\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xbc"),
		"zip of empty files": bytes.Repeat([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"+strings.Repeat("\x00", 20)+"\x03\x00"), 100_000),
		"zip bomb":           append([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"+strings.Repeat("\x00", 20)), deflated(zeros(64<<20))...),
		"zip lies":           []byte("PK\x03\x04\x14\x00\x00\x00\x00\x00" + strings.Repeat("\xff", 16) + "\x01\x00\x00\x00abcdef"),
		"many names":         manyNames(),
		"protobuf strings":   bytes.Repeat([]byte("\x0a\x04abcd"), 600_000),
		"protobuf messages":  bytes.Repeat([]byte("\x0a\x06\x0a\x04abcd"), 500_000),
		"xml attributes":     []byte("<a " + strings.Repeat(`b="c" `, 600_000) + "/>"),
		"apps":               []byte(`["` + strings.Repeat(`com.a.b","`, 300_000) + `x"]`),
	}
}

// xorBait are many byte strings of which every key makes a text, nearly.
func xorBait() []byte {
	one := append(bytes.Repeat([]byte{0x81}, maxXOR-200), noise(100, "bait")...)
	return []byte("[" + strings.Repeat(`"`+b64(one)+`",`, 90) + "1]")
}

// framesInFrames are frames with a length in front, as deep as they go.
func framesInFrames() []byte {
	body := bytes.Repeat([]byte("\x00\x00\x00\x02ab"), 100_000)
	for range 40 {
		body = append([]byte{byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	}
	return body
}

// manyNames are as many names as a payload may have, each another one.
func manyNames() []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 120_000 {
		fmt.Fprintf(&b, `"some_name_%d":"a value %d",`, i, i)
	}
	return []byte(b.String() + `"x":1}`)
}

func gzHelper(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

// TestHostile bounds what hostile payloads cost. Time is measured leniently,
// since machines differ and the race detector is slow; work and bytes are exact.
func TestHostile(t *testing.T) {
	d, err := New(Options{Known: known2()})
	if err != nil {
		t.Fatal(err)
	}
	payloads := hostile()
	for name, body := range payloads {
		payloads[name] = post("/c", "Content-Type: application/octet-stream\r\n", string(body[:min(len(body), maxRaw)]))
	}
	m, _ := sharedHostile(t)
	for name, raw := range m {
		payloads[name] = raw
	}
	var worst time.Duration
	for name, raw := range payloads {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m := parseHTTP(raw)
			p := newPeel(d, &m.Request)
			p.request()
			r := p.result()
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			alloc := after.TotalAlloc - before.TotalAlloc
			t.Logf("%s %v in %v, %d KiB", r.Verdict, r.Flags, took, alloc>>10)
			worst = max(worst, took)
			if took > 20*hostileTime {
				t.Errorf("took %v, want less than %v", took, hostileTime)
			}
			if alloc > hostileBytes {
				t.Errorf("allocated %d bytes, want less than %d", alloc, hostileBytes)
			}
			if p.budget.Work < 0 || p.budget.Inflate < 0 || len(p.leaves) > 20_000+2*maxLayers+maxRuns {
				t.Errorf("work left %d of %d, inflate left %d, %d leaves", p.budget.Work, codec.MaxWork, p.budget.Inflate, len(p.leaves))
			}
			if strings.Contains(name, "bomb") && !strings.Contains(name, "small") && !slices.Contains(r.Flags, "bomb") && r.Verdict != Hostile && r.Verdict != Malformed {
				t.Errorf("a bomb gives %s %v", r.Verdict, r.Flags)
			}
		})
	}
	t.Logf("worst %v", worst)
}

// sharedHostile gives the robustness vectors, if they are here.
func sharedHostile(t *testing.T) (map[string][]byte, error) {
	t.Helper()
	out := map[string][]byte{}
	m, err := readManifest()
	if err != nil {
		return out, err
	}
	for _, v := range m.Vectors {
		if v.Group == "robustness" {
			out[v.ID] = readVector(t, v)
		}
	}
	return out, nil
}

// TestOdd sends requests that no honest client sends; none may panic or leak
// less for its oddity.
func TestOdd(t *testing.T) {
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := `{"android_id":"` + aid2 + `"}`
	for name, c := range map[string]struct {
		raw     string
		verdict string
		flag    string
	}{
		"empty":              {"", Clean, ""},
		"one byte":           {"\x00", Clean, ""},
		"head only":          {"GET / HTTP/1.1\r\n", Clean, ""},
		"bare line ends":     {"POST /x HTTP/1.1\nHost: a.test\n\n" + id, Leak, ""},
		"both lengths":       {"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(id, 9), Leak, "ambiguous-length"},
		"second request":     {"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: " + fmt.Sprint(len(id)) + "\r\n\r\n" + id, Leak, ""},
		"smuggled behind":    {"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" + "POST /b HTTP/1.1\r\n\r\n" + id, Leak, ""},
		"length too large":   {"POST /a HTTP/1.1\r\nContent-Length: 900\r\n\r\n" + id, Malformed, "truncated"},
		"negative length":    {"POST /a HTTP/1.1\r\nContent-Length: -5\r\n\r\n" + id, Leak, ""},
		"broken chunk":       {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + id, Leak, ""},
		"lying gzip":         {"POST /a HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n" + id, Leak, "header-mismatch"},
		"lying br":           {"POST /a HTTP/1.1\r\nContent-Encoding: br\r\n\r\n" + id, Leak, "header-mismatch"},
		"cut json":           {"POST /a HTTP/1.1\r\n\r\n" + `{"a":[1,2],"android_id":"` + aid2 + `","b":"unfin`, Malformed, "truncated"},
		"invalid utf-8":      {"POST /a HTTP/1.1\r\n\r\n" + `{"x":"` + "\xff\xfe\x80" + `","android_id":"` + aid2 + `"}`, Leak, ""},
		"escape sequences":   {"POST /a HTTP/1.1\r\n\r\n" + `{"x":"\u001b]0;boo\u0007","android_id":"` + aid2 + `"}`, Leak, "sanitise"},
		"script":             {"POST /a HTTP/1.1\r\n\r\n" + `{"x":"<script>1</script>","android_id":"` + aid2 + `"}`, Leak, "sanitise"},
		"turned text":        {"POST /a HTTP/1.1\r\n\r\n" + "{\"x\":\"a\u202eb\",\"android_id\":\"" + aid2 + "\"}", Leak, "sanitise"},
		"header without end": {"POST /a HTTP/1.1\r\nX: " + strings.Repeat("y", 100_000), Clean, ""},
	} {
		r := d.Decode([]byte(c.raw))
		if r.Verdict != c.verdict || c.flag != "" && !slices.Contains(r.Flags, c.flag) {
			t.Errorf("%s: %s %v, want %s %s", name, r.Verdict, r.Flags, c.verdict, c.flag)
		}
	}
}

// TestDamaged cuts and spoils compressed payloads: what came before the damage
// is found, and the damage is said.
func TestDamaged(t *testing.T) {
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	long := `{"android_id":"` + aid2 + `","fill":"` + b64(noise(600, "fill")) + `","more":[` + strings.Repeat(`{"k":"v"},`, 50) + `1]}`
	for name, whole := range map[string][]byte{"gzip": gz(t, long), "zlib": zl(long), "zstd": zstded(long), "lz4": lz4ed(long), "snappy": framed(long)} {
		r := d.DecodeRequest(Request{Method: "POST", Host: "v.test", Target: "/", Body: whole[:len(whole)*7/10]})
		if !slices.Contains(r.Flags, "truncated") || r.Verdict != Malformed {
			t.Errorf("%s cut: %s %v", name, r.Verdict, r.Flags)
		}
		if name != "zstd" && name != "lz4" && name != "snappy" && !has(r, item{Kind: "android_id", Value: aid2}) {
			t.Errorf("%s cut: lost what came before the cut: %s", name, listed(r))
		}
	}
	spoiled := gz(t, device2)
	spoiled[len(spoiled)-6] ^= 0xff
	r := d.DecodeRequest(Request{Body: spoiled})
	if r.Verdict != Malformed || !slices.Contains(r.Flags, "bad-checksum") || !has(r, item{Kind: "gaid", Value: gaid2}) {
		t.Errorf("bad checksum: %s %v", r.Verdict, r.Flags)
	}
}
