package decoder

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"nightlatch/decoder/find"
)

// TestSiblings sends relatives of the shared vectors: other vendors of the
// reference, other ways to write the same private things.
func TestSiblings(t *testing.T) {
	list := []own{
		{name: "taobao", host: "h-adashx.ut.taobao.com", target: "/upload?ak=21646297&av=9.1.0&d=XkXpTq8v%2BfEDAO1YQ2s7Zz5g&t=1588512345", body: noise(500, "ut"), verdict: OpaqueLeak,
			flags: []string{"encrypted"}, finds: []want{{"device_id", "XkXpTq8v+fEDAO1YQ2s7Zz5g"}}},
		{name: "atta", host: "h.trace.qq.com", target: "/kv", body: form("attaid", "00400014144", "uin", "6512340987", "model", "XQ-54"), verdict: Leak, finds: []want{{"account_id", "6512340987"}, {"model", "XQ-54"}}},
		{name: "baidu", host: "hmma.baidu.com", target: "/app.gif", headers: "Content-Type: gzip\r\nkey: " + b64(noise(128, "k")) + "\r\n", body: gzHelper(noise(600, "bm")), verdict: Opaque, flags: []string{"encrypted"}},
		{name: "getui", host: "gtc.getui.net", headers: "GT_C_K: " + b64(noise(256, "k")) + "\r\n", body: noise(400, "gt"), verdict: Opaque, flags: []string{"encrypted", "rsa-wrapped-key"}},
		{name: "beacon", host: "otheve.beacon.qq.com", target: "/analytics/v2_upload", headers: "Content-Type: jce\r\nencr_type: rsapost\r\nbea_key: " + b64(noise(128, "k")) + "\r\n", body: noise(400, "bc"),
			verdict: Opaque, flags: []string{"encrypted", "rsa-wrapped-key"}},
		{name: "bugly", host: "android.bugly.qq.com", target: "/rqd/async", headers: "A37: WIFI\r\n", body: noise(400, "bg"), verdict: Opaque, flags: []string{"encrypted"}},
		{name: "jpush", host: "stats.jpush.cn", target: "/v3/report", body: noise(304, "jp"), verdict: Opaque, flags: []string{"encrypted"}},
		{name: "sensors 13", host: "sa.api.intl.miui.com", target: "/sa", verdict: Opaque, flags: []string{"encrypted", "rsa-wrapped-key"},
			body: form("gzip", "13", "data_list", `{"ekey":"`+b64(noise(256, "e"))+`","pkv":1,"payload":"`+b64(noise(480, "x"))+`"}`)},
		{name: "bugsnag", host: "notify.bugsnag.com", verdict: Leak, finds: []want{{"email", mail2}, {"model", "XQ-54"}},
			body: []byte(`{"events":[{"user":{"id":"77","email":"` + mail2 + `"},"device":{"manufacturer":"Sony","model":"XQ-54"}}]}`)},
		{name: "onesignal", host: "api.onesignal.com", body: []byte(`{"lat":52.370216,"long":4.895168,"external_id":"u-6512340987"}`), verdict: Leak,
			finds: []want{{"location", "52.370216"}, {"location", "4.895168"}, {"account_id", "u-6512340987"}}},
		{name: "unity", host: "httpkafka.unityads.unity3d.com", body: []byte(`{"common":{"advertisingId":"` + gaid2 + `","trackingEnabled":true}}` + "\n" + `{"type":"x","msg":{"ts":1}}`), verdict: Leak, finds: []want{{"gaid", gaid2}}},
		{name: "credentials", headers: "Authorization: Basic " + b64([]byte(mail2+":hunter22")) + "\r\n", body: []byte("{}"), verdict: Leak, finds: []want{{"email", mail2}}},
		{name: "address in base64 alone", body: []byte("u=" + b64([]byte(page2))), verdict: Leak, finds: []want{{"url", page2}}},
		{name: "history", body: []byte(`{"history":["` + page2 + `","https://www.google.com/search?q=how+to+leave+him"]}`), verdict: Leak, finds: []want{{"url", page2}, {"search_query", query2}}},
		{name: "scan of wi-fi", body: []byte(`{"wifi":[{"b":"64:70:02:11:22:33","s":"x"}],"scan":["64:70:02:11:22:34"]}`), verdict: Leak, finds: []want{{"bssid", "64:70:02:11:22:33"}, {"bssid", "64:70:02:11:22:34"}}},
		{name: "contacts", body: []byte(`{"contacts":[{"name":"Bo Li","phones":["+31620000043"]},{"displayName":"Cas","email":"cas@example.net"}]}`), verdict: Leak,
			finds: []want{{"contact", "Bo Li"}, {"contact", "Cas"}, {"phone", "+31620000043"}, {"email", "cas@example.net"}}},
		{name: "apps as objects", body: []byte(`{"installed":[{"pkg":"org.signal","v":1},{"pkg":"com.bank.nl","v":2},{"pkg":"de.clinic.app","v":3},{"pkg":"com.dating.hot"},{"pkg":"org.vpn.free"}]}`), verdict: Leak,
			finds: []want{{"package_list", "org.signal,com.bank.nl,de.clinic.app,com.dating.hot,org.vpn.free"}}},
		{name: "apps as names", body: []byte(`{"usage":{"org.signal":12,"com.bank.nl":3,"de.clinic.app":1,"com.dating.hot":44,"org.vpn.free":2}}`), verdict: Leak,
			finds: []want{{"package_list", "org.signal,com.bank.nl,de.clinic.app,com.dating.hot,org.vpn.free"}}},
		{name: "apps in protobuf", body: join(pb(1, "apps"), pb(5, "org.signal"), pb(5, "com.bank.nl"), pb(5, "de.clinic.app"), pb(5, "com.dating.hot"), pb(5, "org.vpn.free"), pb(5, "com.sixth.one")), verdict: Leak,
			finds: []want{{"package_list", "org.signal,com.bank.nl,de.clinic.app,com.dating.hot,org.vpn.free,com.sixth.one"}}},
		{name: "millionths of a degree", body: []byte(`{"lat":52370216,"lng":4895168}`), verdict: Leak, finds: []want{{"location", "52.370216"}, {"location", "4.895168"}}},
		{name: "geojson", body: []byte(`{"type":"Point","coordinates":[4.895168,52.370216]}`), verdict: Leak},
		{name: "host of a canary", known: true, body: []byte(`{"domain":"k7.canary.example"}`), verdict: Leak, finds: []want{{"canary_url", "https://k7.canary.example/otter"}}},
		{name: "name with a canary", known: true, body: []byte(`{"visits":{"https://k7.canary.example/otter":3}}`), verdict: Leak, finds: []want{{"canary_url", "https://k7.canary.example/otter"}}},
		{name: "base64 between binary", body: join(noise(21, "h"), []byte{0}, []byte(b64([]byte(device2))), []byte{0}, noise(13, "t")), verdict: Leak, finds: all2()},
		{name: "form between binary", body: join([]byte{0, 1, 2, 0xff, 0xfe, 0x80, 0x81}, form("gaid", gaid2, "imei", imei2), []byte{0, 0xff}), verdict: Leak, finds: []want{{"gaid", gaid2}, {"imei", imei2}}},
		{name: "lz4 between binary", body: join(noise(21, "h"), lz4ed(device2), noise(13, "t")), verdict: Leak, finds: all2()},
		{name: "photo with a place", headers: "Content-Type: image/jpeg\r\n", body: photo(), verdict: Leak, flags: []string{"image"}, finds: []want{{"location", "52.370217"}, {"location", "-4.895167"}, {"model", "XQ-54"}}},
		{name: "photo in json", body: []byte(`{"avatar":"` + b64(photo()) + `"}`), verdict: Leak, flags: []string{"image"}, finds: []want{{"location", "52.370217"}}},
		{name: "archive", headers: "Content-Type: application/zip\r\n", body: archive(t), verdict: Leak, finds: all2()},
		{name: "archive in base64", body: []byte("log=" + url.QueryEscape(b64(archive(t)))), verdict: Leak, finds: all2()},
		{name: "web page", body: []byte(`<html><body><a href="https://diary.example/a">x</a></body></html>`), verdict: Clean, never: []want{{"*", "*"}}},
	}
	known := known2()
	known["canary_url"] = append(known["canary_url"], "https://k7.canary.example/otter")
	d, err := New(Options{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	blank, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		t.Run(o.name, func(t *testing.T) {
			o.check(t, d)
			if !o.known {
				o.check(t, blank)
			}
		})
	}
}

// photo is the beginning of a JPEG file with notes: the model and the place.
func photo() []byte {
	be := binary.BigEndian
	field := func(tag, kind uint16, count, value uint32) []byte {
		return be.AppendUint32(be.AppendUint32(be.AppendUint16(be.AppendUint16(nil, tag), kind), count), value)
	}
	degrees := func(v ...uint32) (out []byte) {
		for i := range v {
			out = be.AppendUint32(out, v[i])
		}
		return out
	}
	const model, gps, lat, lng = 38, 44, 98, 122
	notes := join([]byte("MM\x00*\x00\x00\x00\x08\x00\x02"), field(0x0110, 2, 6, model), field(0x8825, 4, 1, gps), []byte("\x00\x00\x00\x00XQ-54\x00"),
		[]byte{0, 4}, field(1, 2, 2, 'N'<<24), field(2, 5, 3, lat), field(3, 2, 2, 'W'<<24), field(4, 5, 3, lng), []byte{0, 0, 0, 0},
		degrees(52, 1, 22, 1, 1278, 100), degrees(4, 1, 53, 1, 4260, 100))
	app1 := join([]byte("Exif\x00\x00"), notes)
	return join([]byte("\xff\xd8\xff\xe0\x00\x04ab\xff\xe1"), be.AppendUint16(nil, uint16(len(app1)+2)), app1, []byte("\xff\xda\x00\x02"), noise(900, "photo"))
}

// archive is a ZIP file as the standard library writes it.
func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range []struct {
		name, text string
		method     uint16
	}{{"readme.txt", "logs of today", zip.Deflate}, {"app/log.json", device2, zip.Deflate}, {"stored.txt", "nothing here", zip.Store}} {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: f.method})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = e.Write([]byte(f.text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFraming sends bodies whose length or coding is told wrongly.
func TestFraming(t *testing.T) {
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const head = "POST /x HTTP/1.1\r\nHost: t.vendor.test\r\n"
	body := func(s string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(s), s) }
	zipped := string(gzHelper([]byte(device2)))
	var bomb bytes.Buffer
	w := zlib.NewWriter(&bomb)
	for range 100 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	for name, c := range map[string]struct {
		raw, verdict, flag string
		finds              bool
	}{
		"length too small":      {head + "Content-Length: 20\r\n\r\n" + device2, Leak, "ambiguous-length", true},
		"length too large":      {head + "Content-Length: 2000\r\n\r\n" + device2, Malformed, "truncated", true},
		"two lengths":           {head + "Content-Length: 6\r\nContent-Length: 60\r\n\r\n" + device2, Leak, "ambiguous-length", true},
		"length and chunks":     {head + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(device2, 30), Leak, "ambiguous-length", true},
		"chunks of another":     {head + "Transfer-Encoding: xchunked\r\n\r\n" + chunks(device2, 30), Leak, "", true},
		"a bad chunk":           {head + "Transfer-Encoding: chunked\r\n\r\n" + chunks(device2, 30)[:90] + "zz\r\n", Malformed, "truncated", false},
		"absolute form":         {"POST http://t.vendor.test/x?d=" + b64([]byte(device2)) + " HTTP/1.1\r\nhost: t.vendor.test\r\ncontent-length: 2\r\n\r\n{}", Leak, "", true},
		"line feeds alone":      {"POST /x HTTP/1.1\nhost: t.vendor.test\ncontent-encoding: gzip\n\n" + zipped, Leak, "", true},
		"base64 cut":            {head + body("data="+b64([]byte(device2))[:101]), Malformed, "truncated", false},
		"text behind gzip":      {head + body(zipped+"garbage garbage"), Leak, "", true},
		"noise behind gzip":     {head + "Content-Encoding: gzip\r\n" + body(zipped+string(noise(40, "g"))), Leak, "", true},
		"zeros behind gzip":     {head + "Content-Encoding: gzip\r\n" + body(zipped+strings.Repeat("\x00", 40)), Leak, "", true},
		"deflate bomb":          {head + "Content-Encoding: deflate\r\n" + body(bomb.String()), Hostile, "bomb", false},
		"zstd bomb":             {head + "Content-Encoding: zstd\r\n" + body(string(zstded(strings.Repeat("\x00", 64<<20)))), Hostile, "bomb", false},
		"lz4 bomb":              {head + body(string(lz4ed(strings.Repeat("\x00", 64<<20)))), Hostile, "bomb", false},
		"snappy bomb":           {head + body(string(framed(strings.Repeat("\x00", 64<<20)))), Hostile, "budget", false},
		"msgpack of a billion":  {head + "Content-Type: application/msgpack\r\n" + body("\xdd\x05\xff\xff\xff"), Hostile, "bomb", false},
		"msgpack map":           {head + body("\xdf\x02\xff\xff\xff"), Hostile, "bomb", false},
		"cbor of a billion":     {head + "Content-Type: application/cbor\r\n" + body("\x9b\x00\x00\x00\x7f\xff\xff\xff\xff"), Hostile, "bomb", false},
		"xml too deep":          {head + body(strings.Repeat("<a>", 50000)), Hostile, "too-deep", false},
		"entities in entities":  {head + body(`<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>`), Clean, "", false},
		"binary list in itself": {head + body("bplist00\xa1\x00\x08"+strings.Repeat("\x00", 6)+"\x01\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a"), Hostile, "too-deep", false},
	} {
		r := d.Decode([]byte(c.raw))
		flagged := c.flag == "" || strings.Contains(" "+strings.Join(r.Flags, " ")+" ", " "+c.flag+" ")
		if r.Verdict != c.verdict || !flagged {
			t.Errorf("%s: %s %v, want %s %s", name, r.Verdict, r.Flags, c.verdict, c.flag)
		}
		if c.finds && (!has(r, item{Kind: "imei", Value: imei2}) || !has(r, item{Kind: "gaid", Value: gaid2})) {
			t.Errorf("%s: not all is found: %s", name, listed(r))
		}
	}
}

// TestCheckKnown holds what an owner may tell, and that no error shows it.
func TestCheckKnown(t *testing.T) {
	for kind, values := range known2() {
		for _, v := range values {
			if err := CheckKnown(kind, v); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range [][2]string{{"imei", "353918052100125"}, {"imei", "000000000000000"}, {"email", "nobody"}, {"android_id", "9774d56d682e549c"}, {"wifi_mac", "02:00:00:00:00:00"}, {"ssid", "abc"},
		{"location", "1,2"}, {"gaid", "00000000-0000-0000-0000-000000000000"}, {"phone", "call me"}, {"colour", "turquoise"}, {"serial", "a\x1b[2Jbcdef"}, {"serial", strings.Repeat("a1", 600)}} {
		err := CheckKnown(c[0], c[1])
		if err == nil || strings.Contains(err.Error(), c[1]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c[0], err)
		}
	}
	if len(KnownKinds()) != len(find.Kinds()) {
		t.Error("kinds differ")
	}
}
