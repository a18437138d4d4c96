package decoder

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"nightlatch/decoder/codec"
)

// FuzzDecode holds what must be true of every payload whatever: no panic, the
// bounds kept, the same answer twice, and words from the vocabulary.
func FuzzDecode(f *testing.F) {
	f.Add(post("/sa?project=b", "", "data_list=H4sIAAAAAAAA"))
	f.Add(post("/c", "Content-Encoding: br\r\n", string(brotlied(device2))))
	f.Add(post("/c", "Transfer-Encoding: chunked\r\n", chunks(device2, 11)))
	for _, body := range []string{device2, string(gzHelper([]byte(device2))), string(pb(2, pb(4, device2))), b64(zl(device2)),
		string(mpMap("gaid", gaid2)), string(xored([]byte(device2), 9)), "--bd\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--bd--\r\n",
		"<a b=\"c\"><d>e</d></a>", "{\"a\":1}\n{\"b\":[1,2", "Obj\x01\x04\x16avro.schema\x06\"1\"\x00", string(utf16of(device2, le))} {
		f.Add([]byte(body))
	}
	d, err := New(Options{Known: known2()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := d.Decode(raw)
		switch r.Verdict {
		case Leak, Clean, Opaque, OpaqueLeak, Malformed, Hostile:
		default:
			t.Errorf("verdict %q", r.Verdict)
		}
		if slices.Contains(r.Flags, "decoder-error") {
			t.Error("a panic was caught")
		}
		for _, x := range r.Findings {
			if x.Kind == "" || x.Value == "" || x.Path == "" {
				t.Errorf("an empty finding: %+v", x)
			}
			if m := Mask(x); !utf8.ValidString(m) || strings.ContainsAny(m, "\x00\x1b\r\n") {
				t.Errorf("mask %q", m)
			}
			r.Trail(x)
		}
		if again := d.Decode(raw); len(again.Findings) != len(r.Findings) || again.Verdict != r.Verdict {
			t.Errorf("%s and %d findings, then %s and %d", r.Verdict, len(r.Findings), again.Verdict, len(again.Findings))
		}
		p := newPeel(d, &Request{Body: raw})
		p.request()
		if p.budget.Inflate < 0 || p.budget.Work < 0 || p.budget.Work > codec.MaxWork {
			t.Errorf("budget %+v", p.budget)
		}
	})
}

// FuzzSafe holds that nothing dangerous passes.
func FuzzSafe(f *testing.F) {
	f.Add("a\x1b[2Jb\u202ec\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Safe(s) {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e {
				t.Errorf("%q lets %U pass", s, r)
			}
		}
		Excerpt([]byte(s), "b", 20)
	})
}

// FuzzKnown holds that no file of known values breaks the decoder.
func FuzzKnown(f *testing.F) {
	f.Add([]byte(`{"imei":["490154203237518"],"email":"a@b.example"}`))
	f.Add([]byte("imei:\n- 490154203237518\nphone: +31620000042\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		known, err := ParseKnown(data)
		if err != nil || len(data) > 4096 {
			return
		}
		if d, err := New(Options{Known: known}); err == nil {
			d.Decode([]byte(device2))
		}
	})
}
