package decoder

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// digestForms are the ways a digest travels.
func digestForms(name string, sum []byte) map[string]string {
	h, b, u := hex.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum), base64.RawURLEncoding.EncodeToString(sum)
	return map[string]string{
		name + ".hex": h, name + ".HEX": strings.ToUpper(h), name + ".base64": b, name + ".b64url": u, name + ".hex[:16]": h[:16], name + ".hex[:24]": h[:24],
		name + ".b64url[:16]": u[:16], name + ".base64[:20]": b[:20], name + " colons": strings.ToUpper(colons(h)),
	}
}

// variantsOf gives the forms in which a value must be found.
func variantsOf(kind, v string) map[string]string {
	forms := map[string]string{"as it is": v, "upper": strings.ToUpper(v), "lower": strings.ToLower(v), "hex": hex.EncodeToString([]byte(v)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(v))), "base64": b64([]byte(v)), "base64 url bare": base64.RawURLEncoding.EncodeToString([]byte(v)),
		"base64 twice": b64([]byte(b64([]byte(v)))), "in words": "the value (" + v + "), found", "quoted": `"` + v + `"`}
	texts := map[string]string{"": v, "lower ": strings.ToLower(v), "upper ": strings.ToUpper(v)}
	plain := strings.NewReplacer(":", "", "-", "").Replace(v)
	switch kind {
	case "wifi_mac", "bssid":
		forms["dash"], forms["nosep"], forms["dots"] = strings.ReplaceAll(v, ":", "-"), plain, plain[:4]+"."+plain[4:8]+"."+plain[8:]
		forms["NOSEP"] = strings.ToUpper(plain)
		n, _ := strconv.ParseUint(plain, 16, 64)
		forms["decimal"] = fmt.Sprint(n)
		raw, _ := hex.DecodeString(plain)
		forms["bytes base64"] = b64(raw)
		texts["nosep "], texts["NOSEP "] = plain, strings.ToUpper(plain)
	case "gaid":
		raw, _ := hex.DecodeString(plain)
		forms["nosep"], forms["bytes base64"], forms["braces"] = plain, b64(raw), "{"+strings.ToUpper(v)+"}"
		texts["nosep "] = plain
	case "android_id", "oaid":
		n, _ := strconv.ParseUint(v, 16, 64)
		raw, _ := hex.DecodeString(v)
		forms["uint64"], forms["int64"], forms["bytes base64"] = fmt.Sprint(n), fmt.Sprint(int64(n)), b64(raw)
	case "phone":
		forms["noplus"], forms["zeros"], forms["blanks"], forms["dashes"] = v[1:], "00"+v[1:], v[:3]+" "+v[3:7]+" "+v[7:], v[:3]+"-"+v[3:7]+"-"+v[7:]
		texts["noplus "] = v[1:]
	case "imei":
		forms["14 digits"], forms["dashes"] = v[:14], v[:2]+"-"+v[2:8]+"-"+v[8:14]+"-"+v[14:]
	}
	for name, text := range texts {
		m, s1, s2 := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
		for sum, p := range map[string][]byte{"md5": m[:], "sha1": s1[:], "sha256": s2[:]} {
			for f, t := range digestForms(name+sum, p) {
				forms[f] = t
			}
		}
	}
	return forms
}

// TestVariants sends every known value in every form, under a name that says
// nothing: each must be proved, as its own kind.
func TestVariants(t *testing.T) {
	known := known2()
	known["oaid"], known["bssid"], known["canary"], known["account_id"] = []string{"0d1c2b3a4f5e6a7b"}, []string{"f4:f2:6d:91:32:b8"}, []string{"k7m2qx9v"}, []string{"6512340987"}
	d, err := New(Options{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	found, all := 0, 0
	for kind, values := range known {
		if kind == "location" {
			continue
		}
		for form, text := range variantsOf(kind, values[0]) {
			for place, raw := range map[string][]byte{
				"json":    post("/v1", "", jsonText(map[string]any{"x1": text})),
				"path":    []byte("GET /v1/" + strings.ReplaceAll(strings.ReplaceAll(form0(text), " ", "%20"), "/", "%2F") + "/x HTTP/1.1\r\nHost: t.vendor.example\r\n\r\n"),
				"name":    post("/v1", "", jsonText(map[string]any{text: 1})),
				"cookie":  post("/v1", "Cookie: a=b; s="+form0(text)+"\r\n", "{}"),
				"gzipped": post("/v1", "", string(gzHelper([]byte(jsonText([]any{1, text}))))),
			} {
				if place == "name" && form == "base64 twice" {
					continue // names are searched, not peeled
				}
				all++
				if has(d.Decode(raw), item{Kind: kind, Value: values[0]}) {
					found++
				} else {
					t.Errorf("%s: %s as %s in a %s is missed: %q", kind, values[0], form, place, text)
				}
			}
		}
	}
	t.Logf("found %d of %d variants", found, all)
}

// form0 encodes what would break a header or a path.
func form0(s string) string {
	return strings.NewReplacer("%", "%25", ";", "%3B", "?", "%3F", "#", "%23", `"`, "%22", "+", "%2B").Replace(s)
}
