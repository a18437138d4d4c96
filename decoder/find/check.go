package find

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// kinds says what an owner may tell, and how each is written.
func kinds() map[string]string {
	const text = "a text of six characters or more"
	return map[string]string{
		"imei": "15 digits, the last a check digit; *#06# shows it", "imsi": "14 or 15 digits", "iccid": "19 or 20 digits, beginning with 89",
		"meid": "14 hexadecimal or 18 decimal digits", "android_id": "16 hexadecimal digits", "gsf_id": "16 hexadecimal digits",
		"gaid": "a UUID, as 38400000-8cf0-11bd-b23e-10b96e40000d", "idfa": "a UUID", "idfv": "a UUID", "oaid": "a UUID, or 16, 32 or 64 hexadecimal digits", "vaid": "a UUID, or 16, 32 or 64 hexadecimal digits",
		"wifi_mac": "six pairs of hexadecimal digits, as 64:b4:73:1c:5d:9e", "bssid": "six pairs of hexadecimal digits", "bt_mac": "six pairs of hexadecimal digits",
		"email": "an address, as ada@example.org", "phone": "a number with its country, as +447700900123", "location": "latitude and longitude with four decimals or more, as 45.4642,9.1914",
		"lan_ip": "an IP address", "wan_ip": "an IP address", "url": "an address that begins with https:// or http://", "canary_url": "an address that begins with https:// or http://",
		"packages": "the name of an app, as org.example.app", "serial": text, "ssid": text, "account_id": text, "build_fingerprint": text,
		"installation_id": text, "search_query": text, "typed_text": text, "canary": text, "canary_token": text, "contact": text, "name": text,
	}
}

// Kinds gives the kinds an owner may tell, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds())) }

// Check reports a value that cannot be of its kind, or that is too short to be
// looked for without false alarms. The error never shows the value.
func Check(kind, v string) error {
	form, ok := kinds()[kind]
	switch {
	case !ok:
		return fmt.Errorf("there is no kind %q; there are %s", kind, strings.Join(Kinds(), ", "))
	case len(v) > 1000 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%s: longer than a thousand characters, or with control characters", kind)
	case !shaped(kind, v):
		return fmt.Errorf("%s: it should be %s", kind, form)
	case placeholder(v) || dull(strings.ToLower(v)) && kind != "packages":
		return fmt.Errorf("%s: this stands for no value at all; many phones send it", kind)
	case len(v) < minKnown:
		return fmt.Errorf("%s: shorter than %d characters, it would be found everywhere", kind, minKnown)
	}
	return nil
}

// shaped compares a value with the writing of its kind.
func shaped(kind, v string) bool {
	plain := strings.NewReplacer("-", "", ":", "", ".", "", " ", "").Replace(v)
	n := len(plain)
	switch kind {
	case "imei":
		return isDigits(plain) && (n == 15 && luhn(plain) || n == 14)
	case "imsi":
		return isDigits(v) && (n == 14 || n == 15)
	case "iccid":
		return isDigits(v) && (n == 19 || n == 20) && strings.HasPrefix(v, "89")
	case "meid":
		return isHex(v) && n == 14 || isDigits(v) && n == 18
	case "android_id", "gsf_id":
		return isHex(v) && n == 16
	case "gaid", "idfa", "idfv":
		return isUUID(v)
	case "oaid", "vaid":
		return isUUID(v) || isHex(v) && (n == 16 || n == 32 || n == 64)
	case "wifi_mac", "bssid", "bt_mac":
		return isMAC(v) || isHex(v) && n == 12
	case "email":
		local, domain, ok := strings.Cut(v, "@")
		return ok && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(v, " <>,")
	case "phone":
		digits := strings.TrimPrefix(strings.NewReplacer("(", "", ")", "", "/", "").Replace(plain), "+")
		return isDigits(digits) && len(digits) >= 8 && len(digits) <= 15
	case "location":
		lat, lng, ok := cutPair(v)
		return ok && exact(lat) && exact(lng) && within(lat, 90) && within(lng, 180)
	case "lan_ip", "wan_ip":
		_, err := netip.ParseAddr(v)
		return err == nil
	case "url", "canary_url":
		return isURL(v)
	case "packages":
		return packageName(v)
	}
	return true
}
