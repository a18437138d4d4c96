// Package words writes numbers, sizes, spans of time and kinds of values for
// people. It is pure.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Count writes n with a comma between thousands.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

// Size writes bytes in powers of a thousand: 999 B, 2.1 kB, 45 MB.
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// Span writes a duration by its largest unit.
func Span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", max(d.Microseconds(), 0))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Ago writes how long before now t was.
func Ago(now, t time.Time) string {
	if d := now.Sub(t); d >= time.Second {
		return Span(d) + " ago"
	}
	return "just now"
}

// Many chooses between one and several, with the number.
func Many(n int64, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + several
}

// Kind says what a kind of finding is, in words for people. A kind that
// is not named here is shown as it is, without underscores.
func Kind(kind string) string {
	switch kind {
	case "android_id":
		return "Android ID"
	case "gaid", "idfa":
		return "advertising ID"
	case "oaid", "vaid", "aaid":
		return strings.ToUpper(kind) + " (advertising ID)"
	case "imei", "meid", "imsi", "iccid":
		return strings.ToUpper(kind)
	case "gsf_id":
		return "Google services ID"
	case "canary":
		return "planted address"
	case "folder":
		return "opened folder"
	case "url", "canary_url":
		return "visited address"
	case "search_query":
		return "search"
	case "typed_text":
		return "typed text"
	case "email":
		return "e-mail address"
	case "phone":
		return "phone number"
	case "wifi_mac", "mac", "bt_mac":
		return "MAC address"
	case "bssid":
		return "Wi-Fi router (BSSID)"
	case "ssid":
		return "Wi-Fi name"
	case "lan_ip":
		return "home network address"
	case "wan_ip":
		return "internet address"
	case "package_list", "packages":
		return "installed apps"
	case "build_fingerprint":
		return "system build"
	case "model":
		return "phone model"
	case "serial":
		return "serial number"
	case "installation_id":
		return "installation ID"
	}
	return strings.ReplaceAll(kind, "_", " ")
}
