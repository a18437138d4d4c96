// Package find names what the leaves of a payload give away. Two things do
// so: needles, made from the values an owner has told us, in every variant a
// telemetry SDK is known to send (that proves a leak); and detectors, which
// judge by shape, checksum and the name a value stands under.
package find

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// minKnown is the shortest value that may become a needle: a PIN or a year
// would be found everywhere.
const minKnown = 6

// Needle is one variant of one known value.
type Needle struct {
	Kind  string // android_id, imei, ...
	Value string // the value as the owner wrote it
	Form  string // how Text was made from it: "md5.hex", "nosep", ...; empty for the value itself
	Text  string // what is searched
	Full  string // for digests, the whole digest, of which Text is the beginning
	Exact bool   // the case of Text counts (base64)
}

// Needles gives every variant of the known values: text forms (case,
// separators, without the plus of a phone number), MD5, SHA-1 and SHA-256 in
// hex and base64 with their 16-character prefixes, the bytes behind a hex id
// in base64, and its decimal. Values shorter than six characters give none.
func Needles(known map[string][]string) []Needle {
	var out []Needle
	seen := map[string]bool{}
	add := func(n Needle) {
		key := n.Kind + "\x00" + n.Text
		if !n.Exact {
			key = n.Kind + "\x00" + strings.ToLower(n.Text)
		}
		if len(n.Text) >= minKnown && !seen[key] {
			seen[key] = true
			out = append(out, n)
		}
	}
	for kind, values := range known {
		if kind == "packages" || kind == "location" {
			continue // a list and a pair: their detectors compare them as such
		}
		for _, v := range values {
			if v = strings.TrimSpace(v); len(v) >= minKnown {
				variants(kind, v, add)
			}
		}
	}
	return out
}

// textForms gives the value as given and as the SDKs rewrite it. Only ids have
// separators that may be left out; a URL or a sentence keeps its own.
func textForms(kind, v string) map[string]string {
	forms := map[string]string{"": v}
	if up := strings.ToUpper(v); up != v {
		forms["upper"] = up
	}
	if low := strings.ToLower(v); low != v {
		forms["lower"] = low
	}
	if plain := strings.NewReplacer(":", "", "-", "", ".", "").Replace(v); separable(kind) && plain != v {
		forms["nosep"] = plain
		forms["upper.nosep"] = strings.ToUpper(plain)
	}
	if isMAC(v) {
		forms["dash"] = strings.NewReplacer(":", "-").Replace(v)
		forms["colon"] = strings.NewReplacer("-", ":").Replace(v)
	}
	if strings.HasPrefix(v, "+") {
		forms["noplus"] = v[1:]
		forms["zeros"] = "00" + v[1:]
	}
	return forms
}

func separable(kind string) bool {
	switch kind {
	case "gaid", "oaid", "vaid", "idfa", "wifi_mac", "bssid", "bt_mac", "mac", "installation_id":
		return true
	}
	return false
}

func variants(kind, v string, add func(Needle)) {
	forms := textForms(kind, v)
	for _, form := range []string{"", "lower", "upper", "nosep", "upper.nosep", "dash", "colon", "noplus", "zeros"} {
		text, ok := forms[form]
		if !ok {
			continue
		}
		add(Needle{Kind: kind, Value: v, Form: form, Text: text})
		if form == "dash" || form == "colon" || form == "zeros" {
			continue
		}
		digests(kind, v, form, text, add)
	}
	add(Needle{Kind: kind, Value: v, Form: "hex", Text: hex.EncodeToString([]byte(v))})
	plain := forms["nosep"]
	if plain == "" {
		plain = v
	}
	if raw, err := hex.DecodeString(plain); err == nil && len(raw) >= 6 {
		add(Needle{Kind: kind, Value: v, Form: "unhex.base64", Text: base64.RawStdEncoding.EncodeToString(raw), Exact: true})
	}
	if n, err := strconv.ParseUint(v, 16, 64); err == nil && len(v) == 16 {
		add(Needle{Kind: kind, Value: v, Form: "uint64.dec", Text: strconv.FormatUint(n, 10)})
		add(Needle{Kind: kind, Value: v, Form: "int64.dec", Text: strconv.FormatInt(int64(n), 10)})
	}
	if n, err := strconv.ParseUint(plain, 16, 64); err == nil && isMAC(v) {
		add(Needle{Kind: kind, Value: v, Form: "uint48.dec", Text: strconv.FormatUint(n, 10)})
	}
	if kind == "imei" && len(v) == 15 {
		add(Needle{Kind: kind, Value: v, Form: "without check digit", Text: v[:14]})
	}
	if len(v) < shortBase64 {
		add(Needle{Kind: kind, Value: v, Form: "base64", Text: base64.RawStdEncoding.EncodeToString([]byte(v)), Exact: true})
	}
	aligned(kind, v, add)
	if kind == "canary_url" || kind == "canary" {
		partsOf(kind, v, add)
	}
}

// partsOf adds what is left of a planted address when only a part of it is
// told: without its scheme or its query, its host, and the digests of those.
func partsOf(kind, v string, add func(Needle)) {
	_, rest, ok := strings.Cut(v, "://")
	if !ok {
		return
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	bare, _, _ := strings.Cut(v, "?")
	digests(kind, v, "without scheme", rest, add)
	if bare != v {
		digests(kind, v, "without query", bare, add)
	}
	if strings.Count(host, ".") >= 2 { // a name of its own, not that of a whole site
		add(Needle{Kind: kind, Value: v, Form: "host", Text: host})
		digests(kind, v, "host", host, add)
	}
}

// shortBase64 is the length below which base64 of a value is too short to be
// peeled by itself, as chance makes such texts too.
const shortBase64 = 12

// digests adds the hashes of text. What is searched is their beginning of 16
// characters: MIUI sends just that as _di_, and it keeps the automaton small.
func digests(kind, v, form, text string, add func(Needle)) {
	if form != "" {
		form += "."
	}
	m, s1, s2 := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
	for _, d := range []struct {
		name string
		sum  []byte
	}{{"md5", m[:]}, {"sha1", s1[:]}, {"sha256", s2[:]}} {
		h, b := hex.EncodeToString(d.sum), base64.RawStdEncoding.EncodeToString(d.sum)
		add(Needle{Kind: kind, Value: v, Form: form + d.name + ".hex", Text: h[:prefix], Full: h})
		add(Needle{Kind: kind, Value: v, Form: form + d.name + ".base64", Text: b[:prefix], Full: b, Exact: true})
	}
	add(Needle{Kind: kind, Value: v, Form: form + "md5.hex[8:24]", Text: hex.EncodeToString(m[4:12])})
}

// prefix is how much of a digest is enough to be sure: 16 characters.
const prefix = 16

// alignedMax bounds the base64 needles of a long value.
const alignedMax = 32

// aligned adds what base64 makes of the value at each of the three offsets it
// may have in a longer text, for texts that cannot be decoded as a whole.
func aligned(kind, v string, add func(Needle)) {
	if len(v) < 10 {
		return
	}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + v))
		text = text[[...]int{0, 2, 3}[shift]:]
		if (len(v)+shift)%3 != 0 {
			text = text[:len(text)-1]
		}
		text = text[:min(len(text), alignedMax)]
		add(Needle{Kind: kind, Value: v, Form: "base64[" + strconv.Itoa(shift) + "]", Text: text, Exact: true})
	}
}
