package decoder

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// TestSafe holds what may reach a terminal.
func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain 漢字 é": "plain 漢字 é", "\x1b[2J": `\x1b[2J`, "a\nb": `a\x0ab`, "\u202eabc": `\u202eabc`, "\xff\x00": `\xff\x00`, "\u0085": `\x85`, "\ufeff": `\ufeff`, "": "",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Excerpt([]byte(strings.Repeat("x", 300)+"needle"+strings.Repeat("y", 300)), "needle", 30); !strings.Contains(got, "needle") || len(got) > 40 {
		t.Errorf("excerpt %q", got)
	}
}

// TestMask holds that a mask never gives the value away.
func TestMask(t *testing.T) {
	for _, c := range []struct{ kind, value, want string }{
		{"imei", imei2, "35***********26"},
		{"email", mail2, "n***********@e******.net"},
		{"url", page2, "https://diary.example/" + "****"},
		{"search_query", "abc", "a**"},
		{"search_query", "é", "*"},
		{"android_id", "\x1b[2Jaaaaaaaa", ""},
	} {
		got := Mask(Finding{Kind: c.kind, Value: c.value})
		if strings.Contains(got, c.value) || strings.ContainsRune(got, 0x1b) {
			t.Errorf("%s: %q shows the value", c.kind, got)
		}
		if (c.kind == "imei" || c.kind == "email" || len(c.value) < 4) && got != c.want {
			t.Errorf("%s: %q, want %q", c.kind, got, c.want)
		}
	}
}

func TestParseKnown(t *testing.T) {
	known, err := ParseKnown([]byte("# mine\nimei:\n  - 353918052100126\nemail: noor@example.net\nphone: +31620000042\nempty: []\n"))
	if err != nil || len(known["imei"]) != 1 || known["imei"][0] != "353918052100126" || known["email"][0] != "noor@example.net" || known["phone"][0] != "+31620000042" {
		t.Errorf("%v %v", known, err)
	}
	for text, want := range map[string]string{
		"imei: {a: b}": "line 1", "imei:\n- [1]": "line 2", "- a": "known values", "{": "known values", strings.Repeat("a", maxKnownFile+1): "larger",
	} {
		if _, err := ParseKnown([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	many := map[string][]string{}
	for range maxKnownValues + 1 {
		many["x"] = append(many["x"], "abcdefg")
	}
	if _, err := New(Options{Known: many}); err == nil {
		t.Error("any number of known values is taken")
	}
	if _, err := New(Options{Vendors: map[string][]byte{"mine.yaml": []byte("- nme: x")}}); err == nil || !strings.Contains(err.Error(), "mine.yaml") {
		t.Errorf("a broken description: %v", err)
	}
}

// TestTrail holds that the layers on the way to a finding can be shown.
func TestTrail(t *testing.T) {
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := d.Decode(post("/sa", "", string(form("x", b64(zl(`{"d":"`+b64(gz(t, device2))+`"}`))))))
	for _, f := range r.Findings {
		if f.Kind != "gaid" {
			continue
		}
		var steps []string
		for _, l := range r.Trail(f) {
			steps = append(steps, l.Codec)
		}
		if got := strings.Join(steps, " "); got != "form base64 zlib json base64 gzip json" || got != strings.Join(f.Chain, " ") {
			t.Errorf("trail %q, chain %v", got, f.Chain)
		}
		out, err := json.Marshal(f)
		if err != nil || !strings.Contains(string(out), `"confidence":"likely"`) || !strings.Contains(string(out), `"kind":"gaid"`) {
			t.Errorf("%s %v", out, err)
		}
		return
	}
	t.Error("no finding")
}

// TestConcurrent uses one decoder from many goroutines; the race detector
// watches.
func TestConcurrent(t *testing.T) {
	d, err := New(Options{Known: known2()})
	if err != nil {
		t.Fatal(err)
	}
	raw := post("/c", "", device2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if r := d.Decode(raw); r.Verdict != Leak || !has(r, item{Kind: "imei", Value: imei2}) {
					t.Error("not found")
				}
			}
		})
	}
	wg.Wait()
}
