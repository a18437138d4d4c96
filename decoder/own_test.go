package decoder

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// The second persona of the tests: invented, or values made for documentation.
const (
	gaid2  = "5e1f0c9a-77b2-4d41-8c3e-b2a90f6d1e77"
	imei2  = "353918052100126"
	aid2   = "b4e19f07c62d83a5"
	mac2   = "5c:0e:8b:31:aa:42"
	mail2  = "noor.vandijk@example.net"
	page2  = "https://diary.example/2026/november?entry=41"
	query2 = "how to leave him"
	imsi2  = "262019876543210"
	iccid2 = "8949020000004711814"
	phone2 = "+31620000042"
)

func known2() map[string][]string {
	return map[string][]string{
		"gaid": {gaid2}, "imei": {imei2}, "android_id": {aid2}, "wifi_mac": {mac2}, "email": {mail2}, "canary_url": {page2},
		"search_query": {query2}, "imsi": {imsi2}, "iccid": {iccid2}, "phone": {phone2}, "location": {"52.370216,4.895168"},
		"ssid": {"Boot aan de Gracht"}, "serial": {"ZY2239K7QD"},
	}
}

// device2 is the JSON text most encodings are wrapped around.
const device2 = `{"dev":{"android_id":"` + aid2 + `","gaid":"` + gaid2 + `","imei":"` + imei2 + `"},"nav":[{"url":"https:\/\/diary.example\/2026\/november?entry=41"}]}`

func all2() []want {
	return []want{{"android_id", aid2}, {"gaid", gaid2}, {"imei", imei2}, {"url", page2}}
}

type want struct{ kind, value string }

// own is a vector of this package.
type own struct {
	name    string
	host    string
	target  string
	headers string
	body    []byte
	raw     []byte // instead of a request
	verdict string
	finds   []want
	never   []want
	flags   []string
	known   bool // the values must be known for it
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func zl(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func brotlied(s string) []byte {
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func zstded(s string) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll([]byte(s), nil)
}

func lz4ed(s string) []byte {
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func framed(s string) []byte {
	var b bytes.Buffer
	w := snappy.NewBufferedWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func utf16of(s string, order binary.ByteOrder) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, 0, 0)
		order.PutUint16(out[len(out)-2:], u)
	}
	return out
}

func xored(p []byte, key byte) []byte {
	out := bytes.Clone(p)
	for i := range out {
		out[i] ^= key
	}
	return out
}

// pb writes a protobuf field.
func pb(n int, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3|2), uint64(len(v))), v...)
	case []byte:
		return pb(n, string(v))
	case uint64:
		return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3), v)
	case float64:
		return binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(n)<<3|1), math.Float64bits(v))
	}
	panic("pb")
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// mp writes a MessagePack string; mpMap a map of pairs.
func mp(s string) []byte {
	if len(s) < 32 {
		return append([]byte{0xa0 | byte(len(s))}, s...)
	}
	return append([]byte{0xd9, byte(len(s))}, s...)
}

func mpMap(pairs ...any) []byte {
	out := []byte{0x80 | byte(len(pairs)/2)}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			out = append(out, mp(p)...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// cb writes a CBOR text.
func cb(s string) []byte {
	if len(s) < 24 {
		return append([]byte{0x60 | byte(len(s))}, s...)
	}
	return append([]byte{0x78, byte(len(s))}, s...)
}

// thriftField writes a binary field of the compact protocol.
func thriftField(delta int, v []byte) []byte {
	return append(binary.AppendUvarint([]byte{byte(delta)<<4 | 8}, uint64(len(v))), v...)
}

// le keeps the tables short.
var le = binary.LittleEndian

func pad(p []byte, size int) []byte {
	n := size - len(p)%size
	return append(bytes.Clone(p), bytes.Repeat([]byte{byte(n)}, n)...)
}

func aesCBC(p, key, iv []byte) []byte {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := pad(p, 16)
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(out, out)
	return out
}

// noise is bytes without a pattern, the same every time.
func noise(n int, seed string) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s%d", seed, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func form(pairs ...string) []byte {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	return []byte(strings.Join(out, "&"))
}

func (o *own) bytes() []byte {
	if o.raw != nil {
		return o.raw
	}
	host, target := o.host, o.target
	if host == "" {
		host = "collector.vendor.test"
	}
	if target == "" {
		target = "/c"
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s", target, host, o.headers, len(o.body), o.body)
}

func (o *own) check(t *testing.T, d *Decoder) {
	t.Helper()
	r := d.Decode(o.bytes())
	if r.Verdict != o.verdict {
		t.Errorf("verdict %s, want %s (flags %v)", r.Verdict, o.verdict, r.Flags)
	}
	for _, w := range o.finds {
		if !has(r, item{Kind: w.kind, Value: w.value}) {
			t.Errorf("missed %s %q in %s", w.kind, w.value, listed(r))
		}
	}
	for _, w := range o.never {
		if has(r, item{Kind: w.kind, Value: w.value}) {
			t.Errorf("found %s %q in %s", w.kind, w.value, listed(r))
		}
	}
	for _, f := range o.flags {
		if !slices.Contains(r.Flags, f) {
			t.Errorf("no flag %s in %v", f, r.Flags)
		}
	}
}

func listed(r Result) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n\t%s %s %q at %s", f.Confidence, f.Kind, Safe(f.Value), Safe(f.Path))
	}
	return b.String()
}

func runOwn(t *testing.T, list []own) {
	knowing, err := New(Options{Known: known2()})
	if err != nil {
		t.Fatal(err)
	}
	blank, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		t.Run(o.name, func(t *testing.T) {
			o.check(t, knowing)
			if !o.known {
				o.check(t, blank)
			}
		})
	}
}

// TestEncodings wraps the same text in every encoding, alone and nested.
func TestEncodings(t *testing.T) {
	gb, _ := simplifiedchinese.GB18030.NewEncoder().String(`{"android_id":"` + aid2 + `","search_word":"离婚律师 阿姆斯特丹"}`)
	bin := "Content-Type: application/octet-stream\r\n"
	leak := func(name string, body []byte) own {
		return own{name: name, headers: bin, body: body, verdict: Leak, finds: all2()}
	}
	coded := func(name, coding string, body []byte) own {
		return own{name: name, headers: "Content-Encoding: " + coding + "\r\n", body: body, verdict: Leak, finds: all2()}
	}
	custom := base64.StdEncoding.EncodeToString([]byte(device2))
	list := []own{
		leak("json", []byte(device2)), leak("gzip", gz(t, device2)), leak("zlib", zl(device2)), leak("zstd", zstded(device2)),
		leak("lz4", lz4ed(device2)), leak("snappy framed", framed(device2)), leak("snappy block", snappy.Encode(nil, []byte(device2))),
		leak("raw deflate", deflated(device2)), leak("brotli without header", brotlied(device2)),
		coded("content gzip", "gzip", gz(t, device2)), coded("content deflate raw", "deflate", deflated(device2)),
		coded("content deflate zlib", "deflate", zl(device2)), coded("content br", "br", brotlied(device2)),
		coded("content zstd", "zstd", zstded(device2)), coded("two codings", "gzip, br", brotlied(string(gz(t, device2)))),
		coded("gzip twice", "gzip", gz(t, string(gz(t, device2)))),
		leak("base64", []byte(custom)), leak("base64 without padding", []byte(strings.TrimRight(custom, "="))),
		leak("base64 url", []byte(base64.RawURLEncoding.EncodeToString([]byte(device2)))),
		leak("base64 in lines", []byte(custom[:76]+"\r\n"+custom[76:152]+"\r\n"+custom[152:])),
		leak("base64 with blanks for plus", append([]byte("a=1&d="), strings.ReplaceAll(b64(gz(t, device2)), "/", "%2F")...)),
		leak("hex", []byte(hex.EncodeToString([]byte(device2)))), leak("hex of gzip", []byte(strings.ToUpper(hex.EncodeToString(gz(t, device2))))),
		leak("percent twice", []byte("q="+url.QueryEscape(url.QueryEscape(device2)))),
		leak("percent thrice", []byte("q="+url.QueryEscape(url.QueryEscape(url.QueryEscape(device2))))),
		leak("json in json in json", fmt.Appendf(nil, `{"a":%q}`, fmt.Sprintf(`{"b":%q}`, device2))),
		leak("utf-16 le", utf16of(device2, binary.LittleEndian)), leak("utf-16 be with mark", append([]byte{0xfe, 0xff}, utf16of(device2, binary.BigEndian)...)),
		leak("base64 of utf-16 be", []byte(b64(utf16of(device2, binary.BigEndian)))),
		leak("xor", xored([]byte(device2), 0x21)), leak("xor of gzip", xored(gz(t, device2), 0xa7)),
		leak("xor of snappy of json", xored(snappy.Encode(nil, []byte(device2)), 0x33)),
		leak("protobuf with gzip", join(pb(1, uint64(7)), pb(3, gz(t, device2)))),
		leak("protobuf with json", join(pb(1, uint64(7)), pb(2, pb(4, device2)))),
		leak("delimited protobuf", join(binary.AppendUvarint(nil, uint64(len(pb(2, device2)))), pb(2, device2))),
		leak("grpc", join([]byte{0, 0, 0, 0, byte(len(pb(2, device2)))}, pb(2, device2))),
		leak("length-prefixed json", join(binary.BigEndian.AppendUint32(nil, uint32(len(device2))), []byte(device2))),
		leak("carved gzip", join(noise(37, "head"), gz(t, device2), noise(21, "tail"))),
		leak("carved json", join(noise(19, "h"), []byte(device2), noise(11, "t"))),
		leak("data address", []byte(`{"x":"data:application/json;base64,`+custom+`"}`)),
		leak("newline json", []byte("{\"a\":1}\n"+device2+"\n{\"b\":2}\n")), leak("json values in a row", []byte(`{"a":1}`+device2)),
		leak("mark before json", append([]byte("\xef\xbb\xbf"), device2...)), leak("log line", []byte("12:01 I/track: sent payload="+custom+" ok")),
		{name: "chunked", raw: []byte("POST /c HTTP/1.1\r\nHost: v.test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(device2, 17)), verdict: Leak, finds: all2()},
		{name: "gb18030", headers: bin, body: []byte(gb), verdict: Leak, finds: []want{{"android_id", aid2}, {"search_query", "离婚律师 阿姆斯特丹"}}},
		{name: "message pack", headers: bin, body: mpMap("dev", mpMap("gaid", gaid2, "imei", imei2), "url", page2), verdict: Leak,
			finds: []want{{"gaid", gaid2}, {"imei", imei2}, {"url", page2}}},
		{name: "cbor in base64", headers: bin, body: []byte(b64(join([]byte{0xa2}, cb("gaid"), cb(gaid2), cb("email"), cb(mail2)))), verdict: Leak,
			finds: []want{{"gaid", gaid2}, {"email", mail2}}},
		{name: "cbor of open length", headers: bin, body: join([]byte{0xbf}, cb("gaid"), cb(gaid2), []byte{0xff}), verdict: Leak, finds: []want{{"gaid", gaid2}}},
		{name: "preferences xml", headers: bin, body: []byte(`<?xml version='1.0'?><map><string name="android_id">` + aid2 + `</string><string name="email">` + mail2 + `</string></map>`),
			verdict: Leak, finds: []want{{"android_id", aid2}, {"email", mail2}}},
		{name: "property list", headers: bin, body: []byte(`<plist version="1.0"><dict><key>idfa</key><string>` + gaid2 + `</string><key>n</key><integer>3</integer></dict></plist>`),
			verdict: Leak, finds: []want{{"idfa", gaid2}}},
		{name: "surrogate escapes", headers: bin, body: []byte(`{"search_word":"\ud83d\ude00 \u0068elp"}`), verdict: Leak, finds: []want{{"search_query", "😀 help"}}},
		{name: "path segment", target: "/t/" + base64.RawURLEncoding.EncodeToString([]byte(device2)) + "/x", body: []byte("1"), verdict: Leak, finds: all2()},
		{name: "cookie", headers: "Cookie: a=b; state=" + url.QueryEscape(device2) + "\r\n", verdict: Leak, finds: all2()},
		{name: "header", headers: "X-Client-Data: " + b64(gz(t, device2)) + "\r\n", verdict: Leak, finds: all2()},
		{name: "multipart with gzip", headers: "Content-Type: multipart/form-data; boundary=xx1\r\n", verdict: Leak, finds: all2(),
			body: []byte("--xx1\r\nContent-Disposition: form-data; name=\"log\"; filename=\"a.gz\"\r\nContent-Type: application/gzip\r\n\r\n" + string(gz(t, device2)) + "\r\n--xx1--\r\n")},
		{name: "token", headers: "X-Auth: Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(`{"email":"`+mail2+`","phone_number":"`+phone2+`"}`)) + ".c2lnbmF0dXJl\r\n",
			verdict: Leak, finds: []want{{"email", mail2}, {"phone", phone2}}},
	}
	runOwn(t, list)
}

func chunks(s string, n int) string {
	var b strings.Builder
	for len(s) > 0 {
		k := min(n, len(s))
		fmt.Fprintf(&b, "%x;ext=1\r\n%s\r\n", k, s[:k])
		s = s[k:]
	}
	return b.String() + "0\r\nTrailer: x\r\n\r\n"
}

// TestVendors sends what the reference says single SDKs send.
func TestVendors(t *testing.T) {
	sum := func(s string) string { m := md5.Sum([]byte(s)); return hex.EncodeToString(m[:]) }
	wrap, _ := hex.DecodeString("4ef8b4ac42dbc3f95320b73ae0edbd43")
	iv := []byte("cfbsdfgsdfxccvd1")
	key := noise(16, "mistat")
	sid := hex.EncodeToString(aesCBC([]byte(hex.EncodeToString(key)+"_1763000000000"), wrap, iv))
	mistat := `{"ai":"` + aid2 + `","aa":"` + gaid2 + `","es":[{"ps":{"kw":"` + query2 + `"}}]}`
	stream, _ := rc4.NewCipher([]byte("03a976511e2cbe3a7f26808fb7af3c05"))
	mta := []byte(`[{"ui":"` + imei2 + `","mc":"` + mac2 + `","ev":{"im":"` + imsi2 + `"}}]`)
	stream.XORKeyStream(mta, mta)
	gzipped := gz(t, `[{"ui":"`+imei2+`"}]`)
	long := append(binary.BigEndian.AppendUint32(nil, uint32(len(gzipped))), gzipped...)
	stream, _ = rc4.NewCipher([]byte("03a976511e2cbe3a7f26808fb7af3c05"))
	stream.XORKeyStream(long, long)
	block, _ := des.NewCipher([]byte(fmt.Sprint((1763000000 % 100000000) ^ 0x1001111)))
	keys := pad(join(pb(1, "com.im"), pb(4, "meet me at nine")), 8)
	for i := 0; i < len(keys); i += 8 {
		block.Encrypt(keys[i:], keys[i:i+8])
	}
	signature := noise(32, "umeng")
	uiv := []byte{10, 1, 11, 5, 4, 15, 7, 9, 23, 3, 1, 6, 8, 12, 13, 91}
	umeng := func(entity []byte, codex byte) []byte {
		return join(thriftField(1, []byte("1.0")), thriftField(1, []byte("57bfa27c67e58e7d920028d3")), thriftField(1, []byte(hex.EncodeToString(signature))),
			[]byte{0x15, 2, 0x15, 0xb2, 0x99, 0xf6, 0xea, 0x0b, 0x15, 0xb2, 7}, thriftField(1, entity), thriftField(1, []byte(sum("guid"))), thriftField(1, []byte(sum("sum"))),
			[]byte{0x15, codex << 1, 0})
	}
	ujson := string(zl(`{"header":{"device_id":"` + imei2 + `","idmd5":"` + sum(imei2) + `","mc":"` + mac2 + `"}}`))
	js := `[{"distinct_id":"18c0","properties":{"$url":"` + page2 + `"}}]`
	stm := "1763000000123"
	grow := join(pb(1, join(pb(46, imei2), pb(47, aid2), pb(49, gaid2), pb(3, "com.shop.example"))))
	xorKey := byte(1763000000123 & 255)
	list := []own{
		{name: "sensors js", host: "sa.api.intl.miui.com", target: "/sa?project=x", body: form("data_list", b64([]byte(js)), "crc", "12"), verdict: Leak, finds: []want{{"url", page2}}},
		{name: "sensors gzip 13", host: "sa.api.intl.miui.com", target: "/sa", verdict: Opaque, flags: []string{"encrypted"},
			body: form("gzip", "13", "data_list", b64(noise(480, "s13")))},
		{name: "mistat own key", host: "data.mistat.xiaomi.com", target: "/mistats/v3", verdict: Leak, flags: []string{"encrypted", "known-key-available"},
			body: form("ai", "1", "fc", "1", "sid", sid, "p", b64(aesCBC(gz(t, mistat), key, iv))), finds: []want{{"android_id", aid2}, {"gaid", gaid2}, {"search_query", query2}}},
		{name: "mistat server key", host: "data.mistat.india.xiaomi.com", target: "/mistats/v3", verdict: Opaque, flags: []string{"encrypted"},
			body: form("ai", "1", "fc", "0", "sid", "s-991", "p", b64(noise(320, "p")))},
		{name: "mta", host: "pingma.qq.com:80", target: "/mstat/report/?index=1", headers: "Content-Encoding: rc4\r\n", body: mta, verdict: Leak,
			flags: []string{"encrypted", "known-key-available"}, finds: []want{{"imei", imei2}, {"wifi_mac", mac2}, {"imsi", imsi2}}},
		{name: "mta gzip", host: "pingma.qq.com", target: "/mstat/report/?index=1", headers: "Content-Encoding: rc4,gzip\r\n", body: long, verdict: Leak,
			flags: []string{"known-key-available"}, finds: []want{{"imei", imei2}}},
		{name: "iflytek", host: "pinyin.voicecloud.cn", target: "/?time=1763000000", body: keys, verdict: Leak, flags: []string{"encrypted", "self-keyed"},
			finds: []want{{"typed_text", "meet me at nine"}}},
		{name: "umeng plain", host: "ulogs.umeng.com", target: "/unify_logs", body: umeng([]byte(ujson), 0), verdict: Leak, finds: []want{{"imei", imei2}, {"wifi_mac", mac2}}},
		{name: "umeng codex 1", host: "ulogs.umengcloud.com", target: "/unify_logs", body: umeng(aesCBC([]byte(ujson), signature[1:17], uiv), 1), verdict: Leak,
			flags: []string{"encrypted", "self-keyed"}, finds: []want{{"imei", imei2}, {"wifi_mac", mac2}}},
		{name: "growingio", host: "napi.growingio.com", target: "/v3/projects/ab/collect?stm=" + stm, headers: "X-Crypt-Codec: 1\r\nX-Compress-Codec: 2\r\n",
			body: xored(snappy.Encode(nil, grow), xorKey), verdict: Leak, finds: []want{{"imei", imei2}, {"android_id", aid2}, {"gaid", gaid2}}},
		{name: "amplitude", host: "api2.amplitude.com", target: "/2/httpapi", headers: "Content-Encoding: gzip\r\n", verdict: Leak,
			body:  gz(t, `{"api_key":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","events":[{"adid":"`+gaid2+`","android_id":"`+aid2+`","location_lat":52.370216,"location_lng":4.895168,"ip":"198.51.100.9","event_type":"open"}]}`),
			finds: []want{{"gaid", gaid2}, {"android_id", aid2}, {"location", "52.370216"}, {"location", "4.895168"}, {"wan_ip", "198.51.100.9"}}, never: []want{{"android_id", "0f1e2d3c4b5a6978"}}},
		{name: "posthog gzip-js", host: "eu.i.posthog.com", target: "/e/?compression=gzip-js", headers: "Content-Type: text/plain\r\n", verdict: Leak,
			body: gz(t, `{"event":"$pageview","properties":{"$current_url":"`+page2+`","distinct_id":"`+mail2+`"}}`), finds: []want{{"url", page2}, {"email", mail2}}},
		{name: "firebase cct", host: "firebaselogging.googleapis.com", target: "/v0cc/log/batch?format=json_proto3", headers: "Content-Encoding: gzip\r\n", verdict: Leak,
			body:  gz(t, `{"logRequest":[{"clientInfo":{"androidClientInfo":{"model":"XQ-54","fingerprint":"sony/xq/pdx:13/64.1/1:user/release-keys"}},"logEvent":[{"sourceExtension":"`+b64(join(pb(1, "ev"), pb(2, mail2)))+`"}]}]}`),
			finds: []want{{"build_fingerprint", "sony/xq/pdx:13/64.1/1:user/release-keys"}, {"email", mail2}, {"model", "XQ-54"}}},
		{name: "adjust", host: "app.adjust.com", target: "/event", verdict: Leak, finds: []want{{"gaid", gaid2}, {"android_id", aid2}, {"email", mail2}},
			body: form("gps_adid", gaid2, "android_id", aid2, "callback_params", `{"email":"`+mail2+`"}`, "app_token", "abc123def456")},
		{name: "thinkingdata", host: "receiver.ta.thinkingdata.cn", target: "/sync", headers: "Content-Type: text/plain\r\n", body: []byte(b64(gz(t, `{"#app_id":"x","data":[{"#device_id":"`+aid2+`","#distinct_id":"d"}]}`))),
			verdict: Leak, finds: []want{{"android_id", aid2}}},
		{name: "datadog lines", host: "browser-intake-datadoghq.com", target: "/api/v2/rum", verdict: Leak, finds: []want{{"url", page2}, {"email", mail2}},
			body: []byte(`{"view":{"url":"` + page2 + `"}}` + "\n" + `{"usr":{"email":"` + mail2 + `"}}`)},
		{name: "mparticle", host: "nativesdks.mparticle.com", target: "/v2/x/events", headers: "Content-Encoding: gzip\r\n", verdict: Leak,
			body:  gz(t, `{"di":{"imei":"`+imei2+`","gaid":"`+gaid2+`","lat":false,"duid":"`+aid2+`"}}`),
			finds: []want{{"imei", imei2}, {"gaid", gaid2}}, never: []want{{"location", "*"}}},
		{name: "matomo bulk", host: "stats.vendor.test", target: "/matomo.php", verdict: Leak, finds: []want{{"url", page2}, {"search_query", query2}}, never: []want{{"android_id", "1f2e3d4c5b6a7988"}},
			body: []byte(`{"requests":["?idsite=1&_id=1f2e3d4c5b6a7988&url=` + url.QueryEscape(page2) + `","?idsite=1&search=how%20to%20leave%20him&url=https%3A%2F%2Fduckduckgo.com%2F%3Fq%3Dhow%2Bto%2Bleave%2Bhim"]}`)},
		{name: "hianalytics", host: "metrics-dra.dt.hicloud.com", target: "/common/hmshimaintqrt", headers: "Device-Type: VOG-L29\r\n", verdict: OpaqueLeak,
			flags: []string{"encrypted", "rsa-wrapped-key"}, finds: []want{{"model", "VOG-L29"}},
			body: []byte(`{"header":{"chifer":"` + hex.EncodeToString(noise(256, "c")) + `"},"event":"` + hex.EncodeToString(noise(176, "e")) + `"}`)},
		{name: "onetrack", host: "tracking.rus.miui.com", target: "/track/v4", headers: "OT_SID: 1\r\n", body: noise(512, "ot"), verdict: Opaque, flags: []string{"encrypted"}},
		{name: "declared encryption", host: "x.vendor.test", headers: "Content-Encoding: aes\r\n", body: noise(304, "aes"), verdict: Opaque, flags: []string{"encrypted"}},
		{name: "digest of known values", known: true, verdict: Leak, finds: []want{{"imei", imei2}, {"email", mail2}, {"wifi_mac", mac2}, {"android_id", aid2}},
			body: []byte(`{"a":"` + sum(imei2) + `","b":"` + strings.ToUpper(sum(mail2)) + `","c":"` + sum("5C0E8B31AA42") + `","d":"` + b64([]byte{0xb4, 0xe1, 0x9f, 0x07, 0xc6, 0x2d, 0x83, 0xa5}) + `"}`)},
		{name: "addresses in binary", known: true, verdict: Leak, finds: []want{{"wifi_mac", mac2}, {"android_id", aid2}},
			body: join(pb(1, "probe-report"), pb(2, []byte{0x5c, 0x0e, 0x8b, 0x31, 0xaa, 0x42}), pb(3, uint64(0xb4e19f07c62d83a5)))},
		{name: "pairs of names and values", verdict: Leak, finds: []want{{"gaid", gaid2}, {"email", mail2}},
			body: []byte(`{"params":[{"key":"gaid","value":"` + gaid2 + `"},{"name":"user_email","value":"` + mail2 + `"}]}`)},
		{name: "google search address", host: "t.vendor.test", verdict: Leak, finds: []want{{"search_query", query2}},
			body: []byte(`{"page_url":"https://www.google.nl/search?client=ms&q=how+to+leave+him"}`)},
		{name: "installed apps", verdict: Leak, finds: []want{{"package_list", "org.signal,com.bank.nl,de.clinic.app,com.dating.hot,org.vpn.free"}},
			body: []byte(`{"apps":["org.signal","com.bank.nl","de.clinic.app","com.dating.hot","org.vpn.free"]}`)},
	}
	runOwn(t, list)
}

// TestNoFalseAlarm holds payloads of ordinary apps in which nothing may be found.
func TestNoFalseAlarm(t *testing.T) {
	nothing := []want{{"*", "*"}}
	clean := func(name, body string) own {
		return own{name: name, host: "api.shop.test", headers: "Content-Type: application/json\r\n", body: []byte(body), verdict: Clean, never: nothing}
	}
	list := []own{
		clean("cart", `{"items":[{"sku":"8806092","qty":1,"price":19.99}],"currency":"EUR","locale":"nl_NL","os_version":"14","screen":"cart"}`),
		clean("hashes", `{"sha1":"da39a3ee5e6b4b0d3255bfef95601890afd80709","commit":"9fceb02d0ae598e95dc970b74767f19372d61af8","etag":"33a64df551425fcc","sha256":"`+hex.EncodeToString(noise(32, "h"))+`"}`),
		clean("trace ids", `{"trace_id":"4bf92f3577b34da6","span_id":"00f067aa0ba902b7","parent_id":"53995c3f42cd8ad8","request_id":"6ba7b811-9dad-41d1-80b4-00c04fd430c8"}`),
		clean("timestamps", `{"ts":1763000000,"ms":1763000000123,"us":1763000000123456,"order_id":"490154203237518","created":"2026-11-22T17:00:00Z"}`),
		clean("placeholders", `{"imei":"000000000000000","mac":"02:00:00:00:00:00","gaid":"00000000-0000-0000-0000-000000000000","android_id":"unknown","serial":"unknown","ssid":"<unknown ssid>","email":"null","phone":"","ip":"127.0.0.1"}`),
		clean("versions", `{"version":"10.0.0.1","build":"4.17.21.0","chrome":"120.0.6099.43","libs":["lodash@4.17.21","react@18.2.0"],"img":"logo@2x.webp"}`),
		clean("words", `{"slug":"the-quick-brown-fox-jumps","text":"internationalization of applications","id":"CustomerRelationshipManagement","t":"abcdefghijklmnopqrstuvwxyzABCDEF"}`),
		clean("assets", `{"image_url":"https://images.shop.test/a/b.png","avatar":"https://cdn.other.test/u/1.jpg","privacy_url":"https://www.other.test/privacy?x=1","schema":"https://schema.org/Product"}`),
		clean("own pages", `{"url":"https://www.shop.test/product/12?ref=home"}`),
		clean("offices", `{"from":"noreply@shop.test","help":"support@shop.test","git":"git@github.com","id":"<a8f@mail.shop.test>"}`),
		clean("coarse place", `{"lat":52.4,"lng":4.9,"box":"12.5,99.99","ratio":45.464211,"lat_enabled":true}`),
		clean("product model", `{"model":"Tricycle 3000","color":"red"}`),
		clean("few packages", `{"pkgs":["com.example.app","com.example.lib"],"main":"com.shop.test.android"}`),
		clean("graphql", `{"operationName":"Q","query":"query Q($id: ID!) { item(id: $id) { name } }","variables":{"id":"12"}}`),
		clean("certificate", `{"fingerprint":"AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01","serial":"unknown"}`),
		clean("card and code", `{"ean":"4006381333931","iban":"NL91ABNA0417164300","code":"8949020000004711999"}`),
		clean("font", `{"src":"data:font/woff2;base64,`+b64(append([]byte("wOF2"), noise(90, "f")...))+`"}`),
		{name: "noise", host: "api.shop.test", body: noise(3000, "n"), verdict: Clean, never: nothing, flags: []string{"high-entropy"}},
		{name: "short noise", host: "api.shop.test", body: noise(90, "s"), verdict: Clean, never: nothing},
		{name: "random token", host: "api.shop.test", body: []byte(`{"token":"` + b64(noise(180, "t")) + `"}`), verdict: Clean, never: nothing},
		{name: "webp", host: "api.shop.test", body: join([]byte("RIFF\x10\x20\x00\x00WEBPVP8 "), noise(900, "w")), verdict: Clean, never: nothing, flags: []string{"image"}},
		{name: "ecb", host: "api.shop.test", body: bytes.Repeat(noise(16, "b"), 30), verdict: Clean, never: nothing, flags: []string{"encrypted", "ecb-pattern"}},
		{name: "user agent alone", host: "api.shop.test", headers: "User-Agent: Dalvik/2.1.0 (Linux; U; Android 14; SM-S911B Build/UP1A)\r\n", body: []byte("{}"), verdict: Clean, never: nothing},
		{name: "headers of tracing", host: "api.shop.test", headers: "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nETag: \"a1b2c3d4e5f60718\"\r\nX-Request-Id: 8c2b8f2e-3e1c-4d7d-9d63-0a4c2d0f9e12\r\nX-Session: " + hex.EncodeToString(noise(8, "x")) + "\r\n", verdict: Clean, never: nothing},
	}
	for i := range list {
		if list[i].body == nil {
			list[i].body = []byte("{}")
		}
	}
	runOwn(t, list)
}
