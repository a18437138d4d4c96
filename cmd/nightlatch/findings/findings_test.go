package findings

import (
	"bytes"
	"strings"
	"testing"

	"nightlatch/decoder"
)

func finding(kind, value, path string, c decoder.Confidence) decoder.Finding {
	return decoder.Finding{Kind: kind, Value: value, Path: path, Chain: strings.Split(path, "/"), Confidence: c}
}

func TestFold(t *testing.T) {
	all := []decoder.Finding{
		finding("imei", "1", "form/json", decoder.Likely),
		finding("url", "u", "form/json", decoder.Likely),
		finding("imei", "1", "json", decoder.Proved),
		finding("email", "e", "json", decoder.Likely),
		finding("imei", "2", "form/json", decoder.Likely),
		finding("url", "u", "form/json", decoder.Likely),
	}
	groups := Fold(all)
	if len(groups) != 2 || groups[0].Chain != "form -> json" || groups[1].Chain != "json" {
		t.Fatalf("%+v", groups)
	}
	first := groups[0].Found
	if len(first) != 3 || len(groups[1].Found) != 1 {
		t.Fatalf("%+v", groups)
	}
	if f := first[0]; f.Value != "1" || len(f.Paths) != 2 || f.Confidence != decoder.Proved {
		t.Errorf("%+v", f)
	}
	if f := first[1]; f.Value != "u" || len(f.Paths) != 2 {
		t.Errorf("%+v", f)
	}
	n := 0
	for _, g := range groups {
		for _, f := range g.Found {
			n += len(f.Paths)
		}
	}
	if n != len(all) {
		t.Errorf("%d findings became %d", len(all), n)
	}
}

func TestFormsStayApart(t *testing.T) {
	plain, hashed := finding("email", "e", "json", decoder.Proved), finding("email", "e", "json", decoder.Proved)
	hashed.Form = "md5.hex"
	var b bytes.Buffer
	Print(&b, []decoder.Finding{plain, hashed}, Style{Width: 80})
	if strings.Count(b.String(), "email") != 2 || !strings.Contains(b.String(), "e  (as md5.hex)") {
		t.Error(b.String())
	}
}

// TestHarmless: nothing of a payload moves the terminal.
func TestHarmless(t *testing.T) {
	f := finding("k\x1b[2J", "v\x1b]0;owned\x07\r\n\u202e", "json/\x1b[31m", decoder.Likely)
	f.Form = "\x1b"
	var b bytes.Buffer
	Print(&b, []decoder.Finding{f}, Style{Sure: true, Paths: true, Width: 80})
	for _, bad := range []string{"\x1b", "\x07", "\r", "\u202e"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q is printed as it is: %q", bad, b.String())
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines != 3 {
		t.Errorf("%d lines: %q", lines, b.String())
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "abcdef": "abcd…", "abcé": "abc…", "": ""} {
		if got := Clip(in, 4); got != want {
			t.Errorf("Clip(%q) = %q, want %q", in, got, want)
		}
	}
}
