package decoder

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// benign gives a value as ordinary apps send them, by the name it stands under.
var benign = map[string]func(*maker) any{
	"order_id":      func(m *maker) any { return check(m.from("123456789", 1) + m.digits(13)) },
	"orderNo":       func(m *maker) any { return check(m.from("123456789", 1) + m.digits(17)) },
	"tracking_no":   func(m *maker) any { return m.digits(12) },
	"card":          func(m *maker) any { return check("4" + m.digits(14)) },
	"ean":           func(m *maker) any { return m.digits(13) },
	"ts":            func(m *maker) any { return 1763000000000 + m.IntN(1e9) },
	"time_us":       func(m *maker) any { return 1763000000000000 + m.IntN(1e9) },
	"nanos":         func(m *maker) any { return 1763000000000000000 + m.IntN(1e9) },
	"request_id":    func(m *maker) any { return m.uuid() },
	"correlationId": func(m *maker) any { return m.uuid() },
	"uuid":          func(m *maker) any { return m.uuid() },
	"id":            func(m *maker) any { return pickOne(m, m.uuid(), m.hex(24), m.hex(16), m.digits(15), m.digits(10)) },
	"item_id":       func(m *maker) any { return pickOne(m, m.hex(16), m.digits(15)) },
	"spanId":        func(m *maker) any { return m.hex(16) },
	"trace_id":      func(m *maker) any { return m.hex(32) },
	"etag":          func(m *maker) any { return m.hex(40) },
	"sha256":        func(m *maker) any { return m.hex(64) },
	"md5":           func(m *maker) any { return m.hex(32) },
	"hash":          func(m *maker) any { return m.hex(16) },
	"token":         func(m *maker) any { return b64(noise(33, m.hex(6))) },
	"access_token":  func(m *maker) any { return hex.EncodeToString(noise(24, m.hex(6))) },
	"signature":     func(m *maker) any { return b64(noise(64, m.hex(6))) },
	"cursor":        func(m *maker) any { return b64([]byte(`{"offset":` + m.digits(3) + `,"sort":"price"}`)) },
	"state":         func(m *maker) any { return b64([]byte("page=" + m.digits(1) + "&sort=asc&view=grid")) },
	"version":       func(m *maker) any { return m.digits(1) + "." + m.digits(1) + "." + m.digits(2) + "." + m.digits(3) },
	"app_build":     func(m *maker) any { return "10." + m.digits(2) + ".0." + m.digits(1) },
	"price":         func(m *maker) any { return float64(m.IntN(100000)) / 100 },
	"range": func(m *maker) any {
		return fmt.Sprintf("%d.%04d,%d.%04d", m.IntN(60), m.IntN(9999), m.IntN(90), m.IntN(9999))
	},
	"score":       func(m *maker) any { return m.Float64() },
	"ratio":       func(m *maker) any { return 45 + m.Float64() },
	"lat":         func(m *maker) any { return pickOne[any](m, true, false, 1, "0") },
	"sku":         func(m *maker) any { return m.from("ABCDEFGH0123456789", 10) },
	"title":       func(m *maker) any { return m.word() + " " + m.word() },
	"description": func(m *maker) any { return strings.Repeat(m.word()+" and "+m.word()+", ", 3) },
	"image":       func(m *maker) any { return "https://img." + m.word() + ".example/" + m.hex(8) + ".webp" },
	"image_url":   func(m *maker) any { return "https://" + m.word() + ".example/" + m.hex(8) + "?w=200" },
	"deeplink":    func(m *maker) any { return "shopapp://product/" + m.digits(7) },
	"api":         func(m *maker) any { return "https://api." + m.word() + ".example/v1/cart" },
	"terms_url":   func(m *maker) any { return "https://" + m.word() + ".example/terms" },
	"next":        func(m *maker) any { return "https://api.shop.example/v1/items?page=2&cursor=" + m.hex(12) },
	"locale":      func(m *maker) any { return "en_GB" },
	"tz":          func(m *maker) any { return "Europe/Rome" },
	"os":          func(m *maker) any { return "android" },
	"os_version":  func(m *maker) any { return "14" },
	"screen":      func(m *maker) any { return "cart" },
	"device_type": func(m *maker) any { return "phone" },
	"type":        func(m *maker) any { return m.word() },
	"name":        func(m *maker) any { return m.word() },
	"model":       func(m *maker) any { return m.word() + "-" + m.digits(2) },
	"color":       func(m *maker) any { return "#" + m.hex(6) },
	"ids":         func(m *maker) any { return []any{m.hex(24), m.hex(24), m.uuid()} },
	"deps":        func(m *maker) any { return []any{"lodash@4.17." + m.digits(2), "@babel/core@7.1.0", "left-pad@1.3.0"} },
	"classes":     func(m *maker) any { return []any{"com.shop.app.Main", "com.shop.app.Cart", "com.shop.app.R"} },
	"fingerprint": func(m *maker) any { return strings.ToUpper(colons(m.hex(40))) },
	"mobile":      func(m *maker) any { return true },
	"phone":       func(m *maker) any { return "" },
	"serial":      func(m *maker) any { return "unknown" },
	"gaid":        func(m *maker) any { return "00000000-0000-0000-0000-000000000000" },
	"imei":        func(m *maker) any { return "" },
	"mac":         func(m *maker) any { return "02:00:00:00:00:00" },
	"ip":          func(m *maker) any { return pickOne(m, "0.0.0.0", "127.0.0.1", "::1") },
	"support":     func(m *maker) any { return "support@" + m.word() + ".example" },
	"currency":    func(m *maker) any { return "EUR" },
	"iban":        func(m *maker) any { return "NL91ABNA0" + m.digits(9) },
	"isbn":        func(m *maker) any { return "978" + m.digits(10) },
	"query":       func(m *maker) any { return "query Items($id: ID!) { item(id: $id) { name price } }" },
	"sort":        func(m *maker) any { return "price_asc" },
	"flags":       func(m *maker) any { return map[string]any{"new_ui": true, "exp_" + m.digits(3): "B"} },
	"svg": func(m *maker) any {
		return `<svg xmlns="http://www.w3.org/2000/svg" width="24"><path d="M12.4567 3.2345,9.8765"/></svg>`
	},
	"session_id":     func(m *maker) any { return m.hex(32) },
	"build_id":       func(m *maker) any { return m.hex(16) },
	"checksum":       func(m *maker) any { return m.hex(8) },
	"message_id":     func(m *maker) any { return m.digits(19) },
	"snowflake":      func(m *maker) any { return "1" + m.digits(17) },
	"postcode":       func(m *maker) any { return "20121" },
	"ciphertext_len": func(m *maker) any { return m.IntN(999) },
}

func colons(h string) string {
	var out []string
	for i := 0; i < len(h); i += 2 {
		out = append(out, h[i:i+2])
	}
	return strings.Join(out, ":")
}

// TestPrecision makes payloads of ordinary apps, in the structures and
// encodings of the others. Nothing in them may be more than possible.
func TestPrecision(t *testing.T) {
	d, err := New(Options{Known: known2()})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Sorted(maps.Keys(benign))
	alarms := map[string]int{}
	payloads := 0
	for seed := range uint64(2000) {
		m := newMaker(1<<32 + seed)
		var fields []planted
		values := map[string]any{}
		for range 3 + m.IntN(8) {
			name := all[m.IntN(len(all))]
			v := benign[name](m)
			values[name] = v
			if s, ok := v.(string); ok && s != "" && values[name] != nil {
				fields = append(fields, planted{"", name, s})
			}
		}
		body := []byte(jsonText(values))
		if s := structures[m.IntN(len(structures))]; m.IntN(2) == 0 && len(fields) > 1 && s.name != "avro" {
			body = s.write(m, fields)
		}
		if w := wrappers[m.IntN(len(wrappers))]; w.in != 't' {
			body = w.wrap(m, body)
		}
		payloads++
		r := d.Decode(fmt.Appendf(nil, "POST /v1/cart HTTP/1.1\r\nHost: api.shop.example\r\nX-Request-Id: %s\r\nIf-None-Match: \"%s\"\r\nContent-Length: %d\r\n\r\n%s", m.uuid(), m.hex(32), len(body), body))
		for _, f := range r.Findings {
			if f.Confidence >= Likely {
				if alarms[f.Kind]++; alarms[f.Kind] < 6 {
					t.Errorf("seed %d: %s %q at %s", seed, f.Kind, f.Value, f.Path)
				}
			}
		}
		if r.Verdict == Opaque || r.Verdict == Hostile {
			t.Errorf("seed %d: %s %v", seed, r.Verdict, r.Flags)
		}
	}
	t.Logf("%d benign payloads, false alarms by kind: %v", payloads, alarms)
}
