package codec

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// samples are texts of several sizes, compressible and not.
func samples() [][]byte {
	r := rand.New(rand.NewPCG(7, 11))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return [][]byte{
		[]byte("x"), []byte(strings.Repeat("hello, telemetry; ", 9)), []byte(strings.Repeat("abcdefgh0123", 8_000)), noise,
		append(bytes.Repeat([]byte("ab"), 9_000), noise[:5000]...),
	}
}

func written(t testing.TB, p []byte, open func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestInflate compares every inflater with somebody else's deflater.
func TestInflate(t *testing.T) {
	z, _ := zstd.NewWriter(nil)
	for _, c := range []struct {
		name string
		make func([]byte) []byte
		run  func([]byte, *Budget) (Output, bool)
	}{
		{"gzip", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
		}, Gzip},
		{"zlib", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
		}, Zlib},
		{"deflate", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f })
		}, Deflate},
		{"brotli", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
		}, Brotli},
		{"zstd", func(p []byte) []byte { return z.EncodeAll(p, nil) }, Zstd},
		{"lz4", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) })
		}, LZ4},
		{"snappy framed", func(p []byte) []byte {
			return written(t, p, func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) })
		}, SnappyFramed},
		{"snappy", func(p []byte) []byte { return snappy.Encode(nil, p) }, func(p []byte, b *Budget) (Output, bool) {
			out, ok := SnappyBlock(p, b.Inflate)
			return Output{Data: out}, ok
		}},
	} {
		b := NewBudget()
		for i, p := range samples() {
			packed := c.make(p)
			out, ok := c.run(packed, b)
			if !ok || !bytes.Equal(out.Data, p) || !out.Clean() || out.BadChecksum {
				t.Errorf("%s %d: %v, %d bytes of %d, %+v", c.name, i, ok, len(out.Data), len(p), out.Clean())
			}
			cut, _ := c.run(packed[:len(packed)*2/3], NewBudget())
			if !bytes.HasPrefix(p, cut.Data) {
				t.Errorf("%s %d: a cut stream gives something else", c.name, i)
			}
		}
	}
}

// TestBudgetEnds holds that inflaters stop where the budget does.
func TestBudgetEnds(t *testing.T) {
	big := make([]byte, 2<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(r.Uint32() % 7)
	}
	packed := written(t, big, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	b := &Budget{Inflate: 1 << 20, Work: 1 << 20}
	out, _ := Gzip(packed, b)
	if len(out.Data) != 1<<20 || !b.Spent || b.Inflate != 0 {
		t.Errorf("%d bytes, budget %+v", len(out.Data), b)
	}
	packed = written(t, make([]byte, 8<<20), func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	if out, _ := Gzip(packed, NewBudget()); !out.Bomb || len(out.Data) > bombKeep {
		t.Errorf("no bomb: %d bytes", len(out.Data))
	}
}

// TestLZString holds what lz-string 1.5.0 makes of a text, and what it refuses.
func TestLZString(t *testing.T) {
	if out, ok := LZString([]byte("BYUwNmD2Q==="), 1<<16); !ok || string(out) != "hello" {
		t.Errorf("%q %v, want hello", out, ok)
	}
	for _, bad := range []string{"", "B", "!!!!", "BYUw", "////////"} {
		if out, ok := LZString([]byte(bad), 1<<16); ok && len(out) > 0 {
			t.Errorf("%q gives %q", bad, out)
		}
	}
}

func TestBase64(t *testing.T) {
	for text, want := range map[string]string{
		"aGVsbG8": "hello", "aGVsbG8=": "hello", "aGVs\r\nbG8=\r\n": "hello", "_-8": "\xff\xef", "/+8=": "\xff\xef", "/ 8=": "\xff\xef",
	} {
		if out, ok := Base64([]byte(text)); !ok || string(out) != want {
			t.Errorf("%q: %q %v", text, out, ok)
		}
	}
	for _, text := range []string{"", "a", "aGVsb", "aG=Vs", "aGVs!", "====", "aGVsbG8=="} {
		if out, ok := Base64([]byte(text)); ok {
			t.Errorf("%q gives %q", text, out)
		}
	}
	const abc = "ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba9876543210-_"
	own := base64.NewEncoding(abc).EncodeToString([]byte("an alphabet of its own"))
	if out, ok := Base64With([]byte(own), abc); !ok || string(out) != "an alphabet of its own" {
		t.Errorf("own alphabet: %q %v", out, ok)
	}
}

// TestCiphers checks against published answers: RFC 3602 §4 case 1, FIPS 81
// with PKCS #7 padding made here, RFC 6229.
func TestCiphers(t *testing.T) {
	unhex := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	key, iv := unhex("06a9214036b8a15b512e03d534120006"), unhex("3dafba429d9eb430b422da802c9fac41")
	if out, ok := AESCBC(unhex("e353779c1079aeb82708942dbe77181a"), key, iv); ok {
		t.Errorf("a block without padding gives %q", out)
	}
	if _, ok := AESCBC(unhex("e353"), key, iv); ok {
		t.Error("half a block is decrypted")
	}
	if out, _ := RC4(make([]byte, 8), unhex("0102030405")); hex.EncodeToString(out) != "b2396305f03dc027" {
		t.Errorf("rc4: %x", out)
	}
	if _, ok := DESECB(make([]byte, 8), []byte("short")); ok {
		t.Error("a short key works")
	}
	if out, _ := XOR([]byte("abc"), []byte{1, 2}); string(out) != "``b" {
		t.Errorf("xor: %q", out)
	}
}

func TestMeasures(t *testing.T) {
	noise := samples()[3]
	for p, want := range map[string]bool{string(noise[:64]): true, string(noise[:4096]): true, strings.Repeat("some plain text ", 40): false, string(noise[:20]): false} {
		if HighEntropy([]byte(p)) != want {
			t.Errorf("%d bytes: high entropy is not %v", len(p), want)
		}
	}
	if n := RepeatedBlocks(bytes.Repeat(noise[:16], 10)); n != 90 {
		t.Errorf("repeated blocks: %d", n)
	}
	if Printable([]byte("a\x00b")) || !Printable([]byte("naïve 漢\n")) {
		t.Error("printable")
	}
}

// FuzzCodecs runs every codec over anything: no panic, no more than allowed,
// and the text codecs agree with the standard library where both accept.
func FuzzCodecs(f *testing.F) {
	for _, p := range samples()[:2] {
		f.Add(p)
		f.Add(snappy.Encode(nil, p))
		f.Add([]byte(base64.StdEncoding.EncodeToString(p)))
		f.Add(written(f, p, func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) }))
		f.Add(written(f, p, func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) }))
		f.Add(written(f, p, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }))
		f.Add(written(f, p, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }))
	}
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, run := range []func([]byte, *Budget) (Output, bool){Gzip, Zlib, Deflate, Brotli, Zstd, LZ4, SnappyFramed} {
			b := &Budget{Inflate: 1 << 18, Work: 32 << 20}
			if out, _ := run(p, b); len(out.Data) > 1<<18 || b.Inflate < 0 {
				t.Errorf("%d bytes came out, %d left", len(out.Data), b.Inflate)
			}
		}
		if out, _ := SnappyBlock(p, 1<<16); len(out) > 1<<16 {
			t.Errorf("snappy gives %d bytes", len(out))
		}
		// The library allocates what the block declares: ask it first.
		if n, err := snappy.DecodedLen(p); err == nil && n > 0 && n < 1<<16 && n <= 64*len(p) {
			want, err := snappy.Decode(nil, p)
			if out, ok := SnappyBlock(p, 1<<16); err == nil && (!ok || !bytes.Equal(out, want)) {
				t.Errorf("snappy differs: %q, want %q", out, want)
			}
		}
		if want, err := base64.StdEncoding.Strict().DecodeString(string(p)); err == nil && len(want) > 0 {
			if out, ok := Base64(p); !ok || !bytes.Equal(out, want) {
				t.Errorf("base64 of %q differs", p)
			}
		}
		if want, err := url.PathUnescape(string(p)); err == nil {
			if out, _ := Percent(p); string(out) != want {
				t.Errorf("percent of %q: %q, want %q", p, out, want)
			}
		}
		if out, ok := LZString(p, 1<<16); ok && len(out) > 3<<16 {
			t.Errorf("lz-string gives %d bytes", len(out))
		}
		Hex(p)
		UTF16(p)
		GB18030(p)
		Chunked(p)
		HighEntropy(p)
		RepeatedBlocks(p)
	})
}
