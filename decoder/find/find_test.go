package find

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nightlatch/decoder/walk"
)

// TestAutomaton compares the machine with a plain search over random texts of
// a small alphabet, where needles overlap and end in one another.
func TestAutomaton(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abA-+/_x"[r.IntN(8)]
		}
		return string(b)
	}
	plain := func(s string) string {
		return strings.NewReplacer("-", "+", "_", "/").Replace(strings.ToLower(s))
	}
	for range 300 {
		needles := make([]string, 1+r.IntN(12))
		for i := range needles {
			needles[i] = text(1 + r.IntN(4))
		}
		hay, got := text(60), map[string]int{}
		newAutomaton(needles).scan([]byte(hay), func(n int32, end int) bool {
			got[fmt.Sprint(n, "@", end)]++
			return true
		})
		want := 0
		for n, needle := range needles {
			for at := range hay {
				if strings.HasPrefix(plain(hay[at:]), plain(needle)) {
					want++
					if got[fmt.Sprint(n, "@", at+len(needle))] != 1 {
						t.Fatalf("%q in %q at %d is missed or doubled", needle, hay, at)
					}
				}
			}
		}
		if len(got) != want {
			t.Fatalf("%d hits, want %d", len(got), want)
		}
	}
}

func TestSearch(t *testing.T) {
	x := NewIndex(Needles(map[string][]string{
		"android_id": {"b4e19f07c62d83a5"}, "imei": {"353918052100126"}, "email": {"noor@example.net"}, "gaid": {"5e1f0c9a-77b2-4d41-8c3e-b2a90f6d1e77"},
		"wifi_mac": {"5c:0e:8b:31:aa:42"}, "phone": {"+31620000042"}, "pin": {"1234"},
	}))
	for text, want := range map[string]string{
		"b4e19f07c62d83a5":                 "android_id ",
		"id=B4E19F07C62D83A5;":             "android_id upper",
		"b4e19f07c62d83a5b4e19f07c62d83a5": "", // part of something longer

		"13033873652325385125":                    "android_id uint64.dec",
		"0e8b31aa42":                              "",
		"5c0e8b31aa42":                            "wifi_mac nosep",
		"5C-0E-8B-31-AA-42":                       "wifi_mac dash",
		"31620000042":                             "phone noplus",
		"5e1f0c9a77b24d418c3eb2a90f6d1e77":        "gaid nosep",
		"x1234x 1234":                             "", // too short to be a needle
		"see bm9vckBleGFtcGxlLm5ldA for":          "email base64[0]",
		"6e6f6f72406578616d706c652e6e6574":        "email hex",
		"an ordinary text without any identifier": "",
	} {
		got := ""
		if hits := x.Search([]byte(text), false); len(hits) > 0 {
			got = hits[0].Needle.Kind + " " + hits[0].Form
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if NewIndex(nil).Search([]byte("anything"), false) != nil {
		t.Error("no needles find something")
	}
}

// scan judges one field by its name.
func scan(name, value string) map[string]Confidence {
	at := (&walk.Step{Codec: "body", Index: -1}).Begin("json").Child(name, -1)
	out := map[string]Confidence{}
	for _, f := range Scan([]walk.Leaf{{At: at, Value: []byte(value)}}, &Scene{Host: "api.shop.test"}) {
		out[f.Kind+" "+f.Value] = f.Confidence
	}
	return out
}

func TestDetectors(t *testing.T) {
	for _, c := range []struct {
		name, value, want string
		sure              Confidence
	}{
		{"android_id", "b4e19f07c62d83a5", "android_id b4e19f07c62d83a5", Likely},
		{"deviceAndroidId", "B4E19F07C62D83A5", "android_id b4e19f07c62d83a5", Likely},
		{"x", "b4e19f07c62d83a5", "android_id b4e19f07c62d83a5", Possible},
		{"imei1", "353918052100126", "imei 353918052100126", Likely},
		{"imei1", "353918052100125", "", 0},
		{"imsi", "262019876543210", "imsi 262019876543210", Likely},
		{"imsi", "999019876543210", "", 0},
		{"iccid", "8949020000004711814", "iccid 8949020000004711814", Likely},
		{"mac", "5C0E8B31AA42", "wifi_mac 5c:0e:8b:31:aa:42", Likely},
		{"bssid", "f4-f2-6d-81-22-b7", "bssid f4:f2:6d:81:22:b7", Likely},
		{"mac", "01:00:5e:00:00:fb", "", 0},
		{"user_email", "noor@example.net", "email noor@example.net", Likely},
		{"x", "write to noor@example.net soon", "email noor@example.net", Possible},
		{"x", "icon@2x.png", "", 0},
		{"phone", "+31 6 2000 0042", "phone +31620000042", Likely},
		{"phone", "1763000000123", "phone 1763000000123", Likely},
		{"location", "52.370216,4.895168", "location 52.370216,4.895168", Likely},
		{"range", "12.5,99.99", "", 0},
		{"local_ip", "192.168.7.20", "lan_ip 192.168.7.20", Likely},
		{"build", "10.1.2.3", "", 0},
		{"server_ip", "203.0.113.9", "", 0},
		{"fid", "cH2kQx9ZT0m3vN8bLr1cWd", "installation_id cH2kQx9ZT0m3vN8bLr1cWd", Likely},
		{"f", "brand/prod/dev:13/ID.1/22:user/release-keys", "build_fingerprint brand/prod/dev:13/ID.1/22:user/release-keys", Likely},
		{"page_url", "https://www.google.de/search?q=was+tun", "search_query was tun", Likely},
		{"page_url", "https://diary.example/x", "url https://diary.example/x", Likely},
		{"image_url", "https://diary.example/x", "url https://diary.example/x", Possible},
		{"url", "https://www.shop.test/cart", "url https://www.shop.test/cart", Possible},
		{"search_term", "lump", "search_query lump", Likely},
		{"q", "lump", "search_query lump", Possible},
		{"gaid", "00000000-0000-0000-0000-000000000000", "", 0},
	} {
		got := scan(c.name, c.value)
		if sure, ok := got[c.want]; c.want != "" && (!ok || sure != c.sure) {
			t.Errorf("%s=%q: %v, want %s %s", c.name, c.value, got, c.want, c.sure)
		}
		if c.want == "" && len(got) > 0 {
			t.Errorf("%s=%q: %v, want nothing", c.name, c.value, got)
		}
	}
}

// FuzzScan holds that detectors survive any name and value.
func FuzzScan(f *testing.F) {
	f.Add("android_id", "b4e19f07c62d83a5")
	f.Add("ll", "1.2345,-3.4567")
	f.Add("u", "https://www.google.com/search?q=%zz")
	x := NewIndex(Needles(map[string][]string{"email": {"noor@example.net"}}))
	f.Fuzz(func(t *testing.T, name, value string) {
		at := (&walk.Step{Codec: "body", Index: -1}).Begin("json").Child(name, -1)
		for _, raw := range []bool{false, true} {
			for _, n := range Scan([]walk.Leaf{{At: at, Value: []byte(value), Raw: raw}}, &Scene{Host: value, Index: x}) {
				if n.Kind == "" || n.Value == "" {
					t.Errorf("%+v", n)
				}
			}
		}
	})
}
