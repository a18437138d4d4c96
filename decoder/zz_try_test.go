package decoder

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"
	"encoding/base64"
	"net/url"
)

func TestTry(t *testing.T) {
	known := known2()
	known["account_id"] = []string{"6512345678"}
	d, _ := New(Options{Known: known})
	blank, _ := New(Options{})
	req := func(host, target, headers string, body []byte) []byte {
		return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s", target, host, headers, len(body), body)
	}
	zbomb := func() []byte { var b bytes.Buffer; w := zlib.NewWriter(&b); w.Write(make([]byte, 100<<20)); w.Close(); return b.Bytes() }()
	list := []struct {
		name string
		raw  []byte
	}{
		{"taobao", req("h-adashx.ut.taobao.com", "/upload?ak=21646297&av=9.1.0&c=700145&v=3.0&s=8af3&d=XkXpTq8v%2BfEDAO1YQ2s7Zz5g&t=1588512345&p=a", "", noise(500, "ut"))},
		{"atta", req("h.trace.qq.com", "/kv", "", form("attaid", "00400014144", "token", "6478159937", "uin", "6512345678", "model", "Redmi Note 8"))},
		{"baidu", req("hmma.baidu.com", "/app.gif", "Content-Type: gzip\r\nkey: "+b64(noise(128, "k"))+"\r\niv: "+b64(noise(16, "iv"))+"\r\n", gzHelper(noise(600, "bm")))},
		{"getui", req("gtc.getui.net", "/api.php", "GT_C_T: 1\r\nGT_C_K: "+b64(noise(256, "k"))+"\r\n", noise(400, "gt"))},
		{"beacon", req("otheve.beacon.qq.com", "/analytics/v2_upload?appkey=0AND", "Content-Type: jce\r\nencr_type: rsapost\r\nbea_key: "+b64(noise(128, "k"))+"\r\n", noise(400, "bc"))},
		{"bugly", req("android.bugly.qq.com", "/rqd/async", "A37: WIFI\r\nA38: WIFI\r\n", noise(400, "bg"))},
		{"jpush", req("stats.jpush.cn", "/v3/report", "X-App-Key: abc\r\nAuthorization: Basic "+b64([]byte("12345678:abcd"))+"\r\n", noise(304, "jp"))},
		{"sensors13", req("sa.api.intl.miui.com", "/sa?project=x", "", form("gzip", "13", "data_list", `{"ekey":"`+b64(noise(256, "e"))+`","pkv":1,"payload":"`+b64(noise(480, "x"))+`"}`))},
		{"basic auth", req("t.vendor.example", "/x", "Authorization: Basic "+b64([]byte(mail2+":hunter22"))+"\r\n", []byte("{}"))},
		{"base64 cut", req("t.vendor.example", "/x", "", []byte("data="+b64([]byte(device2))[:101]))},
		{"base64 gzip cut", req("t.vendor.example", "/x", "", []byte("data="+b64(gzHelper([]byte(device2)))[:121]))},
		{"gzip trailing", req("t.vendor.example", "/x", "", append(gzHelper([]byte(device2)), []byte("garbage garbage")...))},
		{"gzip trailing bin", req("t.vendor.example", "/x", "Content-Encoding: gzip\r\n", append(gzHelper([]byte(device2)), noise(40, "g")...))},
		{"gzip trailing zeros", req("t.vendor.example", "/x", "Content-Encoding: gzip\r\n", append(gzHelper([]byte(device2)), make([]byte, 40)...))},
		{"msgpack alloc", req("t.vendor.example", "/x", "Content-Type: application/msgpack\r\n", []byte("\xdd\x05\xff\xff\xff"))},
		{"msgpack alloc 2", req("t.vendor.example", "/x", "Content-Type: application/x-msgpack\r\n", []byte("\xdf\x02\xff\xff\xff"))},
		{"cbor alloc", req("t.vendor.example", "/x", "Content-Type: application/cbor\r\n", []byte("\x9b\x00\x00\x00\x7f\xff\xff\xff\xff"))},
		{"thrift alloc", req("t.vendor.example", "/x", "", []byte("\x18\xff\xff\xff\xff\x07abc"))},
		{"invalid utf8", req("t.vendor.example", "/x", "", []byte("{\"x\":\"\xff\xfe\xc0\x80\",\"android_id\":\""+aid2+"\"}"))},
		{"deflate bomb", req("t.vendor.example", "/x", "Content-Encoding: deflate\r\n", zbomb)},
		{"zstd bomb", req("t.vendor.example", "/x", "Content-Encoding: zstd\r\n", zstded(strings.Repeat("\x00", 64<<20)))},
		{"lz4 bomb", req("t.vendor.example", "/x", "", lz4ed(strings.Repeat("\x00", 64<<20)))},
		{"snappy bomb", req("t.vendor.example", "/x", "", framed(strings.Repeat("\x00", 64<<20)))},
		{"xml deep", req("t.vendor.example", "/x", "", []byte(strings.Repeat("<a>", 50000)))},
		{"xml billion", req("t.vendor.example", "/x", "", []byte(`<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><lolz>&lol2;</lolz>`))},
		{"cl too short", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nContent-Length: 20\r\n\r\n" + device2)},
		{"cl too long", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nContent-Length: 2000\r\n\r\n" + device2)},
		{"te cl", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(device2, 30))},
		{"two cl", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nContent-Length: 6\r\nContent-Length: 60\r\n\r\n" + device2)},
		{"te te", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nTransfer-Encoding: xchunked\r\n\r\n" + chunks(device2, 30))},
		{"bad chunk", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(device2, 30)[:90] + "zz\r\n")},
		{"chunk cut", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(device2, 30)[:120])},
		{"absolute form", []byte("POST http://t.vendor.example/x?gaid=" + gaid2 + " HTTP/1.1\r\nhost: t.vendor.example\r\ncontent-length: 2\r\n\r\n{}")},
		{"lf only", []byte("POST /x HTTP/1.1\nHost: t.vendor.example\ncontent-encoding: gzip\n\n" + string(gzHelper([]byte(device2))))},
		{"folded header", []byte("POST /x HTTP/1.1\r\nHost: t.vendor.example\r\nX-Ids: a,\r\n " + aid2 + "\r\nContent-Length: 2\r\n\r\n{}")},
		{"http2 preface", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00")},
		{"zip", req("t.vendor.example", "/x", "", []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"+strings.Repeat("\x00", 16)+"\x05\x00\x00\x00a.txt"+string(deflated(device2))))},
		{"html", req("t.vendor.example", "/x", "", []byte("<html><body><a href=\"https://x.test/a\">x</a></body></html>"))},
		{"url b64", req("t.vendor.example", "/x", "", []byte("u="+base64.StdEncoding.EncodeToString([]byte(page2))))},
		{"bookmark list", req("t.vendor.example", "/x", "", []byte(`{"history":["`+page2+`","https://www.google.com/search?q=how+to+leave+him","https://forum.example/t/1"]}`))},
		{"host only url", req("t.vendor.example", "/x", "", []byte(`{"domain":"diary.example","visited_host":"diary.example","title":"My diary"}`))},
		{"wifi list", req("t.vendor.example", "/x", "", []byte(`{"wifi":[{"bssid":"5c:0e:8b:31:aa:42","ssid":"Boot aan de Gracht","rssi":-40},{"b":"64:70:02:11:22:33","s":"Other"}],"scan":["64:70:02:11:22:33","5c:0e:8b:31:aa:44"]}`))},
		{"wifi pairs", req("t.vendor.example", "/x", "", []byte(`wf=5c0e8b31aa42|-40;647002112233|-60&cell=262%7C01%7C1234%7C5678`))},
		{"contacts", req("t.vendor.example", "/x", "", []byte(`{"contacts":[{"name":"Bo Li","phones":["+31620000042"]},{"name":"Cas","tel":"0620000043","email":"cas@example.net"}]}`))},
		{"apps objects", req("t.vendor.example", "/x", "", []byte(`{"installed":[{"pkg":"org.signal","v":1},{"pkg":"com.bank.nl","v":2},{"pkg":"de.clinic.app","v":3},{"pkg":"com.dating.hot","v":3},{"pkg":"org.vpn.free","v":5}]}`))},
		{"loc e6", req("t.vendor.example", "/x", "", []byte(`{"lat":52370216,"lng":4895168}`))},
		{"loc str", req("t.vendor.example", "/x", "", []byte(`{"gps":"4.895168,52.370216","latitude":"52.370216","longitude":"4.895168"}`))},
		{"loc obj", req("t.vendor.example", "/x", "", []byte(`{"location":{"latitude":52.370216,"longitude":4.895168,"accuracy":12}}`))},
		{"geojson", req("t.vendor.example", "/x", "", []byte(`{"type":"Point","coordinates":[4.895168,52.370216]}`))},
		{"imei arr", req("t.vendor.example", "/x", "", []byte(`{"imei":["353918052100126","353918052100134"],"imsi":["262019876543210"]}`))},
		{"imei num", req("t.vendor.example", "/x", "", []byte(`{"imei":353918052100126,"phone":31620000042}`))},
		{"gzip form in json", req("t.vendor.example", "/x", "Content-Type: application/json; charset=utf-8\r\n", gzHelper([]byte(url.Values{"d": {device2}}.Encode())))},
	}
	for _, c := range list {
		for i, dd := range []*Decoder{d, blank} {
			r := dd.Decode(c.raw)
			s := ""
			for _, f := range r.Findings {
				if f.Confidence >= Likely {
					s += fmt.Sprintf(" %s=%s(%s)", f.Kind, f.Value, f.Confidence.String()[:1])
				}
			}
			fmt.Printf("%-18s %d %-10s %v %s\n", c.name, i, r.Verdict, r.Flags, s)
		}
	}
}
