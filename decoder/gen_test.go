package decoder

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"github.com/klauspost/compress/snappy"
)

// The generator of this file makes payloads nobody wrote by hand: a person with
// invented identifiers, a structure SDKs use, and encodings around it in any
// order. It is seeded, so that a payload it found wanting comes back.

// planted is a value that must be found, and the name it stood under.
type planted struct{ kind, name, value string }

type maker struct{ *rand.Rand }

func newMaker(seed uint64) *maker { return &maker{rand.New(rand.NewPCG(seed, 0x6e6c))} }

func (m *maker) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[m.IntN(len(alphabet))]
	}
	return string(b)
}

func (m *maker) hex(n int) string {
	return m.from("0123456789abcdef", n-2) + m.from("abcdef", 1) + m.from("0123456789", 1)
}
func (m *maker) digits(n int) string { return m.from("0123456789", n) }

func pickOne[T any](m *maker, list ...T) T { return list[m.IntN(len(list))] }

// check appends the digit of Luhn.
func check(s string) string {
	for d := range 10 {
		sum := 0
		full := s + fmt.Sprint(d)
		for i := range len(full) {
			n := int(full[len(full)-1-i] - '0')
			if i%2 == 1 {
				if n *= 2; n > 9 {
					n -= 9
				}
			}
			sum += n
		}
		if sum%10 == 0 {
			return full
		}
	}
	return s
}

func (m *maker) uuid() string {
	h := m.hex(32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-" + pickOne(m, "8", "9", "a", "b") + h[17:20] + "-" + h[20:]
}

func (m *maker) mac() string {
	out := pickOne(m, "64", "f4", "5c", "a0", "d8", "9e", "3c")
	for range 5 {
		out += ":" + m.hex(2)
	}
	return out
}

func (m *maker) word() string {
	return pickOne(m, "harbour", "violet", "kettle", "orchard", "lantern", "meadow", "copper", "willow", "thistle", "granite", "ember", "saffron")
}

// names are those under which single SDKs send each kind.
var names = map[string][]string{
	"android_id":        {"android_id", "androidId", "openudid", "$device_id", "hardware_id", "ANDROID_ID", "deviceAndroidId", "#device_id", "device_id", "x-android-id"},
	"gaid":              {"gaid", "google_aid", "gps_adid", "advertisingId", "adid", "aaid", "androidIdfa", "ifa", "advertiser_id", "google_advertising_id", "adv_id", "rdid", "GAID"},
	"idfa":              {"idfa", "ios_idfa", "IDFA"},
	"oaid":              {"oaid", "OAID", "device_oaid"},
	"imei":              {"imei", "IMEI", "imei1", "device_imei", "secondaryimei", "phone_imei", "imei2"},
	"imsi":              {"imsi", "subscriber_id", "IMSI", "subscriberId"},
	"iccid":             {"iccid", "sim_serial_number", "ICCID", "simSerial"},
	"wifi_mac":          {"mac", "mc", "wifi_mac", "macAddress", "mac_address", "deviceMac"},
	"bssid":             {"bssid", "BSSID", "wifi_bssid", "ap_mac"},
	"serial":            {"serial", "serial_number", "ro.serialno", "deviceSerial"},
	"email":             {"email", "user_email", "$email", "mail", "emailAddress", "account"},
	"phone":             {"phone", "phone_number", "msisdn", "mobile", "phoneNumber"},
	"url":               {"url", "$url", "page_url", "dl", "$current_url", "$referrer", "referrer", "visited_url", "page"},
	"search_query":      {"search_word", "keyword", "search_term", "ep.search_term", "fb_search_string", "kw", "searchQuery"},
	"lan_ip":            {"local_ip", "lan_ip", "localIp"},
	"wan_ip":            {"ip", "$ip", "client_ip", "user_ip"},
	"build_fingerprint": {"fingerprint", "build_fingerprint", "$build"},
	"ssid":              {"ssid", "wifi_ssid", "SSID"},
}

func (m *maker) value(kind string) string {
	switch kind {
	case "android_id", "gsf_id":
		return m.hex(16)
	case "oaid":
		return pickOne(m, m.hex(16), m.uuid(), m.hex(64))
	case "gaid", "idfa":
		return m.uuid()
	case "imei":
		return check(pickOne(m, "35", "86", "01", "49") + m.digits(12))
	case "imsi":
		return pickOne(m, "26201", "23415", "46000", "22201", "310410") + m.digits(9)
	case "iccid":
		return check(pickOne(m, "8949", "8944", "8986", "8939") + m.digits(14))
	case "wifi_mac", "bssid":
		return m.mac()
	case "serial":
		return pickOne(m, m.hex(8), "R58M"+m.from("ABCDEFGHJKLMNPQRSTVWXYZ0123456789", 6)+"7", strings.ToUpper(m.hex(10)))
	case "email":
		return m.word() + "." + m.word() + pickOne(m, "", fmt.Sprint(m.IntN(90))) + "@" + m.word() + pickOne(m, ".org", ".example", ".co.uk", ".de")
	case "phone":
		return pickOne(m, "+44770090", "+3162000", "+4915510", "+393330") + m.digits(5)
	case "url":
		return pickOne(m, "https://", "http://") + m.word() + "-" + m.word() + ".example/" + m.word() + "/" + m.hex(6) + pickOne(m, "", "?"+m.word()+"="+m.word())
	case "search_query":
		return m.word() + " " + m.word() + " " + m.word()
	case "lan_ip":
		return pickOne(m, "192.168.1.", "10.66.0.", "172.16.4.") + fmt.Sprint(2+m.IntN(250))
	case "wan_ip":
		return pickOne(m, "203.0.113.", "198.51.100.") + fmt.Sprint(2+m.IntN(250))
	case "build_fingerprint":
		return "brand/" + m.word() + "/" + m.word() + ":1" + m.digits(1) + "/QKQ1." + m.digits(6) + ".002/V12." + m.digits(2) + ":user/release-keys"
	case "ssid":
		return m.word() + " at No " + fmt.Sprint(10+m.IntN(80))
	}
	panic(kind)
}

// person gives a few identifiers.
func (m *maker) person() []planted {
	kinds := make([]string, 0, len(names))
	for k := range names {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	m.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	var out []planted
	for _, k := range kinds[:3+m.IntN(4)] {
		out = append(out, planted{k, pickOne(m, names[k]...), m.value(k)})
	}
	return out
}

// filler is what stands beside identifiers in every payload.
func (m *maker) filler() []planted {
	all := []planted{{"", "app_version", "12." + m.digits(1) + ".4"}, {"", "event", "app_" + m.word()}, {"", "ts", "17630" + m.digits(8)}, {"", "lang", "it_IT"},
		{"", "sdk", "2.1.1"}, {"", "session", m.uuid()}, {"", "trace", m.hex(32)}, {"", "n", m.digits(3)}}
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:2+m.IntN(4)]
}

func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return strings.TrimSpace(b.String())
}

func flat(fields []planted) map[string]any {
	out := map[string]any{}
	for _, f := range fields {
		out[f.name] = f.value
	}
	return out
}

// structures write fields as SDKs do; the bool says that the result is text.
var structures = []struct {
	name  string
	text  bool
	write func(*maker, []planted) []byte
}{
	{"json", true, func(m *maker, f []planted) []byte { return []byte(jsonText(flat(f))) }},
	{"json nested", true, func(m *maker, f []planted) []byte {
		return []byte(jsonText(map[string]any{"v": 1, "data": []any{map[string]any{"props": flat(f), "time": 1763000000000}, map[string]any{"e": "x"}}}))
	}},
	{"json slashes", true, func(m *maker, f []planted) []byte { return []byte(strings.ReplaceAll(jsonText(flat(f)), "/", `\/`)) }},
	{"json escapes", true, func(m *maker, f []planted) []byte {
		c := pickOne(m, "0", "e", "a", ":", "1")
		return []byte("{" + strings.Join(func() (out []string) {
			for _, x := range f {
				out = append(out, `"`+x.name+`":"`+strings.ReplaceAll(x.value, c, fmt.Sprintf(`\u%04x`, c[0]))+`"`)
			}
			return out
		}(), " , ") + "}")
	}},
	{"json in json", true, func(m *maker, f []planted) []byte {
		return []byte(jsonText(map[string]any{"id": 3, "msg": jsonText([]any{map[string]any{"body": jsonText(flat(f))}})}))
	}},
	{"json lines", true, func(m *maker, f []planted) []byte {
		var out []string
		for _, x := range f {
			out = append(out, jsonText(map[string]any{x.name: x.value, "type": "attr"}))
		}
		return []byte(strings.Join(out, pickOne(m, "\n", "\r\n")))
	}},
	{"json row", true, func(m *maker, f []planted) []byte {
		return []byte(jsonText(map[string]any{"h": 1}) + jsonText(flat(f)) + jsonText(map[string]any{"t": 2}))
	}},
	{"name and value", true, func(m *maker, f []planted) []byte {
		var out []any
		k, v := pickOne(m, "key", "name", "k"), pickOne(m, "value", "v", "val")
		for _, x := range f {
			out = append(out, map[string]any{k: x.name, v: x.value})
		}
		return []byte(jsonText(map[string]any{"params": out}))
	}},
	{"form", true, func(m *maker, f []planted) []byte {
		var out []string
		for _, x := range f {
			out = append(out, url.QueryEscape(x.name)+"="+url.QueryEscape(x.value))
		}
		return []byte(strings.Join(out, "&"))
	}},
	{"form brackets", true, func(m *maker, f []planted) []byte {
		ctx := pickOne(m, "ctx", "data", "events[0]")
		var out []string
		for _, x := range f {
			out = append(out, url.QueryEscape(ctx+"["+x.name+"]")+"="+url.QueryEscape(x.value))
		}
		return []byte(strings.Join(out, "&"))
	}},
	{"form of json", true, func(m *maker, f []planted) []byte {
		return []byte("v=2&" + pickOne(m, "data", "d", "payload", "events", "ue_pr") + "=" + url.QueryEscape(jsonText(flat(f))))
	}},
	{"form in form", true, func(m *maker, f []planted) []byte {
		var out []string
		for _, x := range f {
			out = append(out, x.name+"="+url.QueryEscape(x.value))
		}
		return []byte("a=1&data=" + url.QueryEscape(strings.Join(out, "&")))
	}},
	{"xml", true, func(m *maker, f []planted) []byte {
		out := `<?xml version="1.0" encoding="utf-8"?><r>`
		for _, x := range f {
			n := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(x.name, "$", ""), "#", ""), ".")
			out += "<" + n + ">" + strings.ReplaceAll(x.value, "&", "&amp;") + "</" + n + ">"
		}
		return []byte(out + "</r>")
	}},
	{"xml attributes", true, func(m *maker, f []planted) []byte {
		out := `<log v="1"><item `
		for _, x := range f {
			out += strings.Trim(strings.ReplaceAll(strings.ReplaceAll(x.name, "$", ""), "#", ""), ".") + `="` + strings.ReplaceAll(x.value, "&", "&amp;") + `" `
		}
		return []byte(out + "/></log>")
	}},
	{"plist", true, func(m *maker, f []planted) []byte {
		out := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\"><dict>"
		for _, x := range f {
			out += "<key>" + x.name + "</key>\n<string>" + strings.ReplaceAll(x.value, "&", "&amp;") + "</string>\n"
		}
		return []byte(out + "</dict></plist>")
	}},
	{"multipart", true, func(m *maker, f []planted) []byte {
		mark := "--" + m.from("abcdefghijKLMNOP0123456789", 24)
		out := ""
		for _, x := range f {
			out += mark + "\r\nContent-Disposition: form-data; name=\"" + x.name + "\"\r\n\r\n" + x.value + "\r\n"
		}
		return []byte(out + mark + "--\r\n")
	}},
	{"lines of pairs", true, func(m *maker, f []planted) []byte {
		var out []string
		for _, x := range f {
			out = append(out, x.name+pickOne(m, "=")+x.value)
		}
		return []byte(strings.Join(out, "\n"))
	}},
	{"log line", true, func(m *maker, f []planted) []byte {
		return []byte("2026-11-22 10:00:01 INFO upload " + jsonText(flat(f)) + " done in 31 ms")
	}},
	{"jwt", true, func(m *maker, f []planted) []byte {
		e := base64.RawURLEncoding
		return []byte(e.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + e.EncodeToString([]byte(jsonText(flat(f)))) + "." + e.EncodeToString(noise(32, m.hex(4))))
	}},
	{"protobuf map", false, func(m *maker, f []planted) []byte {
		var out []byte
		for _, x := range f {
			out = append(out, pb(3, join(pb(1, x.name), pb(2, x.value)))...)
		}
		return join(pb(1, uint64(7)), pb(2, "com.shop.app"), out)
	}},
	{"protobuf of json", false, func(m *maker, f []planted) []byte {
		return join(pb(1, uint64(m.IntN(1<<20))), pb(4, pb(2, pb(1, jsonText(flat(f))))), pb(9, 1.5))
	}},
	{"msgpack", false, func(m *maker, f []planted) []byte { return m.msgpack(f) }},
	{"cbor", false, func(m *maker, f []planted) []byte { return m.cbor(f) }},
	{"thrift map", false, func(m *maker, f []planted) []byte {
		out := []byte{0x15, 4} // field 1, i32
		out = append(out, 0x1b, byte(len(f)), 0x88)
		for _, x := range f {
			out = append(binary.AppendUvarint(out, uint64(len(x.name))), x.name...)
			out = append(binary.AppendUvarint(out, uint64(len(x.value))), x.value...)
		}
		return append(out, 0)
	}},
	{"jce", false, func(m *maker, f []planted) []byte {
		out := join([]byte{0x10, 3}, jceField(2, "com.shop.app"))
		return join(out, []byte{0x68, 0x00, byte(len(f))}, func() (out []byte) {
			for _, x := range f {
				out = append(append(out, jceField(0, x.name)...), jceField(1, x.value)...)
			}
			return out
		}())
	}},
	{"bplist", false, func(m *maker, f []planted) []byte { return bplistOf(f) }},
	{"avro", false, func(m *maker, f []planted) []byte { return m.avro(f) }},
}

func (m *maker) msgpack(f []planted) []byte {
	out := []byte{0x82, 0xa1, 'v', 2, 0xa4, 'd', 'a', 't', 'a', 0xde, 0, byte(len(f))}
	for _, x := range f {
		out = append(append(out, mp(x.name)...), mp(x.value)...)
	}
	return out
}

func (m *maker) cbor(f []planted) []byte {
	out := []byte{0xa2, 0x61, 'v', 0x1a, 0, 1, 2, 3, 0x64, 'd', 'a', 't', 'a', 0xb8, byte(len(f))}
	for _, x := range f {
		out = append(append(out, cb(x.name)...), cb(x.value)...)
	}
	return out
}

// jceField writes a text field.
func jceField(tag int, v string) []byte {
	if len(v) < 256 {
		return append([]byte{byte(tag)<<4 | 6, byte(len(v))}, v...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{byte(tag)<<4 | 7}, uint32(len(v))), v...)
}

// bplistOf writes a binary property list: a dictionary of texts.
func bplistOf(f []planted) []byte {
	text := func(s string) []byte {
		if len(s) < 15 {
			return append([]byte{0x50 | byte(len(s))}, s...)
		}
		return append([]byte{0x5f, 0x11, byte(len(s) >> 8), byte(len(s))}, s...)
	}
	top := []byte{0xdf, 0x10, byte(len(f))}
	for i := range f {
		top = append(top, byte(1+i))
	}
	for i := range f {
		top = append(top, byte(1+len(f)+i))
	}
	objects := [][]byte{top}
	for _, x := range f {
		objects = append(objects, text(x.name))
	}
	for _, x := range f {
		objects = append(objects, text(x.value))
	}
	out, table := []byte("bplist00"), []byte(nil)
	for _, o := range objects {
		table = binary.BigEndian.AppendUint16(table, uint16(len(out)))
		out = append(out, o...)
	}
	at := len(out)
	out = append(append(out, table...), 0, 0, 0, 0, 0, 0, 2, 1)
	for _, n := range []int{len(objects), 0, at} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	return out
}

func avroBytes(s string) []byte { return append(binary.AppendVarint(nil, int64(len(s))), s...) }

func (m *maker) avro(f []planted) []byte {
	var fields []any
	var row []byte
	for i, x := range f {
		fields = append(fields, map[string]any{"name": fmt.Sprintf("%s_%d", strings.Map(func(r rune) rune {
			if r == '$' || r == '#' || r == '.' || r == '-' {
				return '_'
			}
			return r
		}, x.name), i), "type": "string"})
		row = append(row, avroBytes(x.value)...)
	}
	schema := jsonText(map[string]any{"type": "record", "name": "E", "fields": fields})
	head := join([]byte("Obj\x01"), binary.AppendVarint(nil, 1), avroBytes("avro.schema"), avroBytes(schema), []byte{0}, noise(16, "sync"))
	return join(head, binary.AppendVarint(nil, 1), binary.AppendVarint(nil, int64(len(row))), row, noise(16, "sync"))
}

// wrappers put one encoding around data. in and out say whether text goes in
// ("t"), bytes ("b") or either ("*"), and what comes out.
var wrappers = []struct {
	name string
	in   byte
	out  byte
	wrap func(*maker, []byte) []byte
}{
	{"gzip", '*', 'b', func(m *maker, p []byte) []byte { return gzHelper(p) }},
	{"gzip members", '*', 'b', func(m *maker, p []byte) []byte {
		n := len(p) / 2
		return join(gzHelper(p[:n]), gzHelper(p[n:]))
	}},
	{"zlib", '*', 'b', func(m *maker, p []byte) []byte { return zl(string(p)) }},
	{"base64 of deflate", '*', 't', func(m *maker, p []byte) []byte { return []byte(b64(deflated(string(p)))) }},
	{"base64 of brotli", '*', 't', func(m *maker, p []byte) []byte { return []byte(b64(brotlied(string(p)))) }},
	{"base64 of xor", 't', 't', func(m *maker, p []byte) []byte { return []byte(b64(xored(p, byte(1+m.IntN(255))))) }},
	{"hex of snappy", '*', 't', func(m *maker, p []byte) []byte { return []byte(hex.EncodeToString(snappy.Encode(nil, p))) }},
	{"zstd", '*', 'b', func(m *maker, p []byte) []byte { return zstded(string(p)) }},
	{"lz4", '*', 'b', func(m *maker, p []byte) []byte { return lz4ed(string(p)) }},
	{"snappy framed", '*', 'b', func(m *maker, p []byte) []byte { return framed(string(p)) }},
	{"base64", '*', 't', func(m *maker, p []byte) []byte { return []byte(b64(p)) }},
	{"base64 url", '*', 't', func(m *maker, p []byte) []byte { return []byte(base64.URLEncoding.EncodeToString(p)) }},
	{"base64 bare", '*', 't', func(m *maker, p []byte) []byte { return []byte(base64.RawStdEncoding.EncodeToString(p)) }},
	{"base64 url bare", '*', 't', func(m *maker, p []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(p)) }},
	{"base64 lines", '*', 't', func(m *maker, p []byte) []byte {
		s, width, out := b64(p), pickOne(m, 64, 76), ""
		for len(s) > width {
			out += s[:width] + pickOne(m, "\n", "\r\n")
			s = s[width:]
		}
		return []byte(out + s + "\n")
	}},
	{"hex", '*', 't', func(m *maker, p []byte) []byte { return []byte(hex.EncodeToString(p)) }},
	{"HEX", '*', 't', func(m *maker, p []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(p))) }},
	{"json string", 't', 't', func(m *maker, p []byte) []byte {
		return []byte(jsonText(map[string]any{"type": "log", pickOne(m, "data", "content", "d", "body"): string(p)}))
	}},
	{"form value", 't', 't', func(m *maker, p []byte) []byte {
		return []byte("ver=3&" + pickOne(m, "data", "p", "value", "data_list", "ae") + "=" + url.QueryEscape(string(p)) + "&sig=" + m.hex(32))
	}},
	{"percent", 't', 't', func(m *maker, p []byte) []byte { return []byte(url.PathEscape(url.QueryEscape(string(p)))) }},
	{"utf16le", 't', 'b', func(m *maker, p []byte) []byte { return utf16of(string(p), binary.LittleEndian) }},
	{"utf16be", 't', 'b', func(m *maker, p []byte) []byte { return utf16of(string(p), binary.BigEndian) }},
	{"protobuf field", '*', 'b', func(m *maker, p []byte) []byte {
		return join(pb(1, uint64(m.IntN(9999))), pb(2, "sdk-"+m.word()), pb(1+m.IntN(30), string(p)), pb(7, "com."+m.word()+".app"))
	}},
	{"u32 frame", '*', 'b', func(m *maker, p []byte) []byte { return join(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p) }},
	{"jce packet", '*', 'b', func(m *maker, p []byte) []byte {
		body := join([]byte{0x10, 3, 0x2c, 0x3c, 0x40, 9}, jceField(5, "stat."+m.word()), jceField(6, "report"), []byte{0x7d, 0x00, 0x02}, binary.BigEndian.AppendUint32(nil, uint32(len(p))), p, []byte{0x8c})
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
	}},
	{"msgpack bin", '*', 'b', func(m *maker, p []byte) []byte {
		return join([]byte{0x82, 0xa4, 't', 'y', 'p', 'e', 0xa5, 'b', 'a', 't', 'c', 'h', 0xa4, 'd', 'a', 't', 'a', 0xc6}, binary.BigEndian.AppendUint32(nil, uint32(len(p))), p)
	}},
	{"data url", '*', 't', func(m *maker, p []byte) []byte {
		return []byte(jsonText(map[string]any{"blob": "data:application/octet-stream;base64," + b64(p)}))
	}},
}

// whole are encodings of a whole body, some only said in a header.
var whole = []struct {
	name, header string
	wrap         func([]byte) []byte
}{
	{"plain", "", func(p []byte) []byte { return p }},
	{"ce gzip", "Content-Encoding: gzip\r\n", gzHelper},
	{"ce GZIP", "content-encoding: GZIP\r\n", gzHelper},
	{"ce deflate", "Content-Encoding: deflate\r\n", func(p []byte) []byte { return deflated(string(p)) }},
	{"ce deflate zlib", "Content-Encoding: deflate\r\n", func(p []byte) []byte { return zl(string(p)) }},
	{"ce br", "Content-Encoding: br\r\n", func(p []byte) []byte { return brotlied(string(p)) }},
	{"ce zstd", "Content-Encoding: zstd\r\n", func(p []byte) []byte { return zstded(string(p)) }},
	{"no ce gzip", "Content-Type: text/plain\r\n", gzHelper},
	{"no ce deflate", "", func(p []byte) []byte { return deflated(string(p)) }},
	{"no ce br", "", func(p []byte) []byte { return brotlied(string(p)) }},
	{"wrong ce", "Content-Encoding: gzip\r\n", func(p []byte) []byte { return zl(string(p)) }},
	{"lying ce", "Content-Encoding: gzip\r\n", func(p []byte) []byte { return p }},
	{"ce none but lz4", "Content-Encoding: identity\r\n", func(p []byte) []byte { return lz4ed(string(p)) }},
	{"snappy", "Content-Encoding: snappy\r\n", func(p []byte) []byte { return snappy.Encode(nil, p) }},
	{"snappy bare", "", func(p []byte) []byte { return snappy.Encode(nil, p) }},
	{"xor", "", func(p []byte) []byte { return xored(p, 0x5a) }},
}

type score struct{ found, all int }

func (s *score) add(found bool) {
	if s.all++; found {
		s.found++
	}
}

// got reports a planted value among the findings that are shown.
func (f planted) got(r Result) bool {
	return slices.ContainsFunc(r.Findings, func(x Finding) bool {
		same := strings.EqualFold(x.Value, f.value) || strings.EqualFold(x.Observed, f.value)
		kind := x.Kind == f.kind || f.kind == "android_id" && f.name == "device_id" && x.Kind == "device_id"
		return x.Confidence >= Likely && same && kind
	})
}

func ownerOf(f []planted) map[string][]string {
	out := map[string][]string{}
	for _, x := range f {
		out[x.kind] = append(out[x.kind], x.value)
	}
	return out
}
