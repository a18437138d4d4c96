package reply

import (
	"bytes"
	"compress/gzip"
	"image/gif"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"

func builtins(tb testing.TB) *Set {
	tb.Helper()
	s, err := Builtin()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestBuiltin(t *testing.T) {
	s := builtins(t)
	const gifType = "image/gif"
	for _, tt := range []struct {
		Request
		status     int
		kind, body string
	}{
		{Request{Host: "tracking.miui.com", Method: "POST", Path: "/track/v4"}, 200, jsonType, `{"code":0}`},
		{Request{Host: "tracking.intl.miui.com", Method: "POST", Path: "/track/key_get"}, 200, jsonType, `{"code":0}`},
		{Request{Host: "notmiui.com", Method: "POST", Path: "/track/v4"}, 200, jsonType, `{}`},
		{Request{Host: "sa.api.intl.miui.com", Method: "POST", Path: "/sa", Query: "project=x"}, 200, "text/plain; charset=utf-8", `ok`},
		{Request{Host: "sa.api.intl.miui.com", Method: "GET", Path: "/sa.gif", Query: "data=x"}, 200, gifType, pixel},
		{Request{Host: "pixel.example", Method: "GET", Path: "/p", Accept: "image/avif,image/webp,*/*"}, 200, gifType, pixel},
		{Request{Host: "api.mixpanel.com", Method: "POST", Path: "/track/", Query: "ip=1"}, 200, "text/plain; charset=utf-8", "1"},
		{Request{Host: "firebaselogging-pa.googleapis.com", Method: "POST", Path: "/v1/firelog/legacy/batchlog"}, 200, jsonType, `{"nextRequestWaitMillis":900000}`},
		{Request{Host: "www.google-analytics.com", Method: "POST", Path: "/g/collect", Query: "v=2"}, 204, "", ""},
		{Request{Host: "countly.example", Method: "GET", Path: "/i", Query: "app_key=1&device_id=2"}, 200, jsonType, `{"result":"Success"}`},
		{Request{Host: "snowplow.example", Method: "GET", Path: "/i", Query: "e=pv&x_app_key=1"}, 200, jsonType, `{}`},
		{Request{Host: "any.example", Method: "GET", Path: "/generate_204"}, 204, "", ""},
		{Request{Host: "app-measurement.com", Method: "POST", Path: "/a", Type: "application/x-protobuf"}, 204, "", ""},
		{Request{Host: "x.example", Method: "POST", Path: "/a", Type: "application/X-Protobuf"}, 200, "application/x-protobuf", ""},
		{Request{Host: "ulogs.umeng.com", Method: "POST", Path: "/unify_logs"}, 200, "application/thrift", "\x15\x02\x00"},
		{Request{Host: "log.snssdk.com", Method: "POST", Path: "/service/2/app_log/"}, 200, jsonType, `{"magic_tag":"ss_app_log","message":"success"}`},
		{Request{Host: "browser-intake-us5-datadoghq.com", Method: "POST", Path: "/api/v2/rum"}, 202, jsonType, `{}`},
		{Request{Host: "report.appmetrica.yandex.net", Method: "POST", Path: "/report"}, 200, jsonType, `{"status":"accepted"}`},
		{Request{Host: "graph.facebook.com", Method: "POST", Path: "/v19.0/123/activities"}, 200, jsonType, `{"success":true}`},
		{Request{Host: "x.example", Method: "POST"}, 200, jsonType, `{}`},
	} {
		r := s.Answer(tt.Request)
		if r.Status != tt.status || r.Header.Get("Content-Type") != tt.kind || string(r.Body) != tt.body {
			t.Errorf("%+v: %d %v %q", tt.Request, r.Status, r.Header, r.Body)
		}
	}
	if img, err := gif.Decode(strings.NewReader(pixel)); err != nil || img.Bounds().Dx() != 1 || img.Bounds().Dy() != 1 {
		t.Errorf("the pixel is no 1x1 GIF: %v", err)
	}
	for _, r := range s.rules {
		if r.Source == "" {
			t.Errorf("%s: no source", r.Name)
		}
	}
}

func TestPacked(t *testing.T) {
	s := builtins(t)
	q := Request{Host: "log.snssdk.com", Method: "POST", Path: "/service/2/app_log/", Gzip: true}
	r := s.Answer(q)
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v", r.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	q.Gzip = false
	if got, _ := io.ReadAll(z); !bytes.Equal(got, s.Answer(q).Body) {
		t.Errorf("%q", got)
	}
}

func TestOwnersFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rep[l]ies")
	if s, err := Load(dir); err != nil || s.Len() != builtins(t).Len() {
		t.Fatalf("no folder: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("b.yaml", "replies:\n  - {name: later, hosts: [Mine.example.], status: 500}\n")
	put("a.yaml", "replies:\n  - name: mine\n    hosts: [mine.example]\n    status: 201\n    headers: {x-seen: 'yes'}\n    text: hello\n")
	put("notes.txt", "not a reply")
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Answer(Request{Host: "a.mine.example", Method: "GET"})
	if r.Status != 201 || r.Header.Get("X-Seen") != "yes" || string(r.Body) != "hello" {
		t.Errorf("%+v", r)
	}
	put("c.yaml", "replies:\n  - name: x\n    staus: 200\n")
	if _, err := Load(dir); err == nil || !strings.HasSuffix(err.Error(), `c.yaml:3:5: unknown key "staus"; did you mean "status"?`) {
		t.Errorf("%v", err)
	}
}

func TestBroken(t *testing.T) {
	for text, want := range map[string]string{
		"replies: [{name: x, status: 99}]":                                   "f:1:29: replies[0].status is 99; at least 200",
		"replies: [{name: x}]":                                               "f:1:11: a reply needs a status, such as 200",
		"replies: [{status: 200}]":                                           "f:1:11: a reply needs a name: whose SDK it is for",
		"replies: [{name: x, status: 200, json: '{', text: a}]":              "f:1:29: a reply has one body: json, text or base64",
		"replies:\n- name: x\n  status: 200\n  json: '{'":                    "f:4:9: this is not JSON",
		"replies:\n- name: x\n  status: 200\n  base64: '&'":                  "f:4:11: this is not base64",
		"replies:\n- name: x\n  status: 204\n  text: a":                      "f:4:9: 204 has no body (RFC 9110 §6.4.1)",
		"replies:\n- name: x\n  status: 200\n  gzip: true":                   "f:4:9: there is no body to pack",
		"replies:\n- name: x\n  status: 200\n  hosts: [a, 'http://b']":       `f:4:14: "http://b" is not a host name`,
		"replies:\n- name: x\n  status: 200\n  paths: [track]":               `f:4:11: "track" begins with neither / nor *`,
		"replies:\n- name: x\n  status: 200\n  headers: {content-length: 4}": "f:4:29: content-length is set by the sinkhole itself",
		"replies:\n- name: x\n  status: 200\n  headers: {a b: c}":            `f:4:18: "a b" is not the name of a header field`,
		"replies:\n- name: x\n  status: 200\n  headers: {a: \"c\\r\\nd\"}":   `f:4:16: "c\r\nd" holds a control character`,
		"replies: x": "f:1:10: replies wants a list: [a, b] or lines that begin with -",
		"replies:\n- name: x\n  status: 200\n  text: " + strings.Repeat("x", maxBody+1): "f:4:9: a body has at most 16384 bytes",
		"replies: [" + strings.Repeat("{name: x, status: 200},", maxEntries+1) + "]":    "f:1:10: 501 replies; at most 500 are read",
	} {
		_, err := builtins(t).With("f", []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%.80q: %v, want %s", text, err, want)
		}
	}
	if _, err := builtins(t).With("f", make([]byte, maxFile+1)); err == nil {
		t.Error("a huge file is read")
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"/a", "/a", true}, {"/a", "/ab", false}, {"/a*", "/ab", true}, {"/a*", "/b", false}, {"*", "", true},
		{"*.gif", "/x.gif", true}, {"*.gif", "/x.gif2", false}, {"/a*b*c", "/axxbyyc", true}, {"/a*b*c", "/axxcyyb", false},
		{"a*a", "a", false}, {"**", "x", true}, {"*b*", "abc", true}, {"*b*", "ac", false},
	} {
		if got := glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%s %s: %v", tt.pattern, tt.text, got)
		}
	}
}

// FuzzWith: whatever a file says, it is refused with one line or answers a
// request with something that HTTP can carry.
func FuzzWith(f *testing.F) {
	for _, name := range []string{"data/10-vendors.yaml", "data/90-any.yaml"} {
		b, err := builtin.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "tracking.miui.com", "/track/v4")
	}
	f.Add([]byte("replies: [{name: x, status: 200, headers: {a: b}, base64: FQIA, gzip: true}]"), "a", "/")
	base := builtins(f)
	f.Fuzz(func(t *testing.T, b []byte, host, path string) {
		s, err := base.With("f", b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		for _, gz := range []bool{false, true} {
			r := s.Answer(Request{Host: host, Method: "POST", Path: path, Gzip: gz})
			if r.Status < 200 || r.Status > 599 {
				t.Errorf("status %d", r.Status)
			}
			var wire bytes.Buffer
			r.Header.Write(&wire)
			if strings.Count(wire.String(), "\n") != fields(r.Header) {
				t.Errorf("header %q", wire.String())
			}
		}
	})
}

func fields(h http.Header) (n int) {
	for _, v := range h {
		n += len(v)
	}
	return n
}
