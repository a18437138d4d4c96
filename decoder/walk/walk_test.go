package walk

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"nightlatch/decoder/codec"
)

func root() *Step { return &Step{Codec: "body", Index: -1} }

// read gives "path=value" of all leaves.
func read(run func([]byte, *Step, Visitor) End, codecName, text string) (out []string, end End) {
	end = run([]byte(text), root().Begin(codecName), func(l Leaf) bool {
		out = append(out, strings.TrimPrefix(l.At.String(), "body/"+codecName)+"="+string(l.Value))
		return true
	})
	return out, end
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,"x",{"b/c":"y"}],"d":null}`: ":/a/0=1 :/a/1=x :/a/2/b~1c=y ok",
		` "hello" `:                          "=hello ok",
		`{"a":"\u00e9\ud83d\ude00\n\/"}`:     ":/a=é😀\n/ ok",
		`{"a":"\ud83d","b":1}`:               ":/a=\ufffd :/b=1 ok",
		`{}`:                                 " ok", `[]`: " ok", `[[],{}]`: " ok",
		`{"a":1`: ":/a=1 cut", `{"a":"b`: ":/a=b cut", `{"a"`: " cut", `{"a":`: " cut", ``: " cut", `{"a":"b\`: ":/a=b cut",
		`{"a":1,}`: ":/a=1 bad", `{"a" 1}`: " bad", `[1 2]`: ":/0=1 bad", `{a:1}`: " bad", `}`: " bad", `[1}`: ":/0=1 bad",
		`{"a":1}{"b":2}`: ":/a=1 ok", "{\"a\":\"b\x00\xff\"}": ":/a=b\x00\xff ok",
	} {
		got, end := read(JSON, "json", text)
		state := map[bool]string{true: "cut", false: "bad"}[end.Truncated]
		if end.OK {
			state = "ok"
		}
		if s := strings.Join(got, " ") + " " + state; s != want {
			t.Errorf("%q: %q, want %q", text, s, want)
		}
	}
	if _, end := read(JSON, "json", strings.Repeat("[", 100)); !end.TooDeep {
		t.Error("a hundred arrays are not too deep")
	}
}

func TestForm(t *testing.T) {
	got, _ := read(Form, "form", "a=1&b+c=%20x&&d=&e=2%")
	if s := strings.Join(got, "|"); s != ":a=1|:b c= x|:e=2%" {
		t.Error(s)
	}
	for text, want := range map[string]bool{
		"a=1": true, "a=1&b=2": true, "data_list=H4s%2B": true, "aGVsbG8=": false, "aGVsbG8==": false, "hello": false, "=x": false,
		"a sentence = with words": false, "https://a.test/?b=c": false, `{"a":"b=c"}`: false,
	} {
		if LooksForm([]byte(text)) != want {
			t.Errorf("%q is not %v", text, want)
		}
	}
	if end := Form([]byte(strings.Repeat("a=b&", 5000)), root(), func(Leaf) bool { return true }); !end.Stopped || end.Leaves != MaxPairs {
		t.Errorf("%+v", end)
	}
}

func TestXMLAndMultipart(t *testing.T) {
	got, _ := read(XML, "xml", `<a k="v"><string name="imei">1</string><dict><key>mac</key><string>2</string></dict><i name="n" value="3"/></a>`)
	if s := strings.Join(got, " "); s != ":/a/k=v :/a/imei=1 :/a/dict/mac=2 :/a/n=3" {
		t.Error(s)
	}
	got, end := read(Multipart, "multipart", "--bd\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n2\r\n--bd\r\nContent-Type: a/b\r\n\r\n3\r\n--bd--\r\n")
	if s := strings.Join(got, " "); s != ":x=1\r\n2 :1=3" || !end.OK {
		t.Errorf("%q %+v", s, end)
	}
}

// TestNoise holds the error rates that speculation relies on: random bytes must
// hardly ever look like a structure.
func TestNoise(t *testing.T) {
	looks := map[string]func([]byte) bool{"protobuf": LooksProtobuf, "message pack": LooksMsgPack, "cbor": LooksCBOR, "thrift": LooksThrift}
	state := uint64(42)
	buf := make([]byte, 64)
	hits := map[string]int{}
	const rounds = 60_000
	for round := range rounds {
		for i := range buf {
			state = state*6364136223846793005 + 1442695040888963407
			buf[i] = byte(state >> 56)
		}
		p := buf[:8+round%57]
		for name, f := range looks {
			if f(p) {
				hits[name]++
			}
		}
	}
	for name, n := range hits {
		if n*5000 > rounds {
			t.Errorf("%s accepts %d of %d random texts", name, n, rounds)
		}
	}
	t.Log(hits)
}

// FuzzWalk runs every walker over anything: no panic, no endless walk, and JSON
// that the standard library accepts gives the same leaves.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",{"b":"y"}]}`, "a=1&b=%20", "\x0a\x03abc\x12\x02\x08\x01", "\x81\xa1a\xa1b", "\xa1aaab", "\x18\x03abc\x15\x02\x00",
		"--bd\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--bd--", "<a b='c'>d</a>", "Obj\x01\x02\x16avro.schema\x10\"string\"\x000123456789abcdef\x02\x04\x02x0123456789abcdef"} {
		f.Add([]byte(s))
	}
	f.Add([]byte("\x00\x05\x26\x05hello\x38\x00\x01\x06\x04imei\x16\x01x\x49\x00\x02\x06\x01a\x00\x07\x5a\x06\x02in\x0b\x6d\x00\x00\x03abc\x7c"))
	f.Add(append([]byte("bplist00\xd1\x01\x02\x51a\x51b\x08\x0b\x0d\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 15))
	f.Fuzz(func(t *testing.T, p []byte) {
		for name, run := range map[string]func([]byte, *Step, Visitor) End{"json": JSON, "form": Form, "protobuf": Protobuf, "msgpack": MsgPack, "cbor": CBOR,
			"thrift_compact": Thrift, "multipart": Multipart, "xml": XML, "jce": JCE, "bplist": BPlist, "exif": Exif,
			"avro": func(p []byte, at *Step, v Visitor) End {
				return Avro(p, at, &codec.Budget{Inflate: 1 << 16, Work: 1 << 20}, v)
			}} {
			n := 0
			end := run(p, root().Begin(name), func(l Leaf) bool {
				if n++; n < 50 {
					_, _ = l.At.String(), l.At.Chain()
				}
				return n < 4*len(p)+64
			})
			if end.Leaves > 4*len(p)+64 {
				t.Errorf("%s: %d leaves of %d bytes", name, end.Leaves, len(p))
			}
		}
		LooksForm(p)
		compare(t, p)
	})
}

func compare(t *testing.T, p []byte) {
	var v any
	if len(p) > 2000 || json.Unmarshal(p, &v) != nil {
		return
	}
	var got []string
	end := JSON(p, root(), func(l Leaf) bool {
		if !l.Number {
			got = append(got, strings.ToValidUTF8(string(l.Value), "\ufffd"))
		}
		return true
	})
	if end.TooDeep {
		return
	}
	want := texts(v, nil)
	sort.Strings(got)
	sort.Strings(want)
	if !end.OK || len(got) < len(want) {
		t.Errorf("%q: %q, want %q", p, fmt.Sprint(got), fmt.Sprint(want))
	}
}

func texts(v any, out []string) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			out = append(out, v)
		}
	case []any:
		for _, e := range v {
			out = texts(e, out)
		}
	case map[string]any:
		for _, e := range v {
			out = texts(e, out)
		}
	}
	return out
}
