package httpdns

import (
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		target, service, names string
		hidden                 bool
	}{
		{"/gslb?tver=2&id=abc&dm=ots.io.mi.com,Resolver.msg.xiaomi.net", "Xiaomi", "ots.io.mi.com resolver.msg.xiaomi.net", false},
		{"/gslb/?ver=4.0&type=wifi&list=app.chat.xiaomi.net%2Capp.chat.global.xiaomi.net", "Xiaomi", "app.chat.xiaomi.net app.chat.global.xiaomi.net", false},
		{"/100000/d?host=www.aliyun.com&ip=192.0.2.1&query=4,6", "Alibaba", "www.aliyun.com", false},
		{"/100000/sign_resolve?host=a.example,b.example&t=1&s=ff", "Alibaba", "a.example b.example", false},
		{"/100000/ss", "Alibaba", "", false},
		{"/d?dn=www.qq.com.&ttl=1", "Tencent", "www.qq.com", false},
		{"/d?dn=7765636861742e636f6d&id=12&alg=des", "Tencent", "", true},
		{"/v3/resolve?account_id=1&dn=map.baidu.com&t=1&sign=x", "Baidu", "map.baidu.com", false},
		{"/resolve?name=dns.example&type=A", "", "dns.example", false},
		{"/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB", "", "", false},
		{"/httpdns?domain=a.example&domain=b.example", "", "a.example b.example", false},
		{"/d?dn=" + strings.Repeat("a.example,", 3) + manyNames(), "Tencent", "a.example " + strings.Join(strings.Split(manyNames(), ",")[:MaxNames-1], " "), false},
	} {
		q, ok := Read(c.target, true)
		if !ok || q.Service != c.service || strings.Join(q.Names, " ") != c.names || q.Hidden != c.hidden {
			t.Errorf("%s: %+v %v", c.target, q, ok)
		}
	}
	for _, target := range []string{"", "/", "/index.html", "/d", "/d?x=1", "/abc/d", "/gslb", "/resolve", "/a/b/c?host=x.example", "/ss",
		"/" + strings.Repeat("a/", 20) + "d?dn=a.example", "/d?dn=" + strings.Repeat("a", 9000), "%%%", "?dn=a.example"} {
		if q, ok := Read(target, true); ok {
			t.Errorf("%.40s: %+v", target, q)
		}
	}
}

// TestNamed: at a host with a name only what cannot be anything else counts.
func TestNamed(t *testing.T) {
	for target, want := range map[string]bool{
		"/gslb/?ver=4.0&list=a.example": true, "/dns-query?dns=AAAB": true, "/v3/resolve?account_id=1&dn=a.example": true,
		"/d?dn=a.example": false, "/1/d?host=a.example": false, "/dns?domain=a.example": false,
	} {
		if _, ok := Read(target, false); ok != want {
			t.Errorf("%s: %v", target, ok)
		}
	}
}

func manyNames() string {
	var out []string
	for i := range 40 {
		out = append(out, strings.Repeat("x", i+1)+".example")
	}
	return strings.Join(out, ",")
}

func FuzzRead(f *testing.F) {
	f.Add("/gslb?tver=2&dm=a.example,b.example", true)
	f.Add("/1/d?host=a.example", true)
	f.Add("/d?dn=%41%00&id=1", false)
	f.Fuzz(func(t *testing.T, target string, literal bool) {
		q, ok := Read(target, literal)
		if !ok && (q.Service != "" || len(q.Names) > 0) || len(q.Names) > MaxNames {
			t.Fatalf("%+v %v", q, ok)
		}
		for _, n := range q.Names {
			if n != strings.ToLower(n) || strings.ContainsFunc(n, func(c rune) bool { return c <= ' ' || c > '~' }) {
				t.Fatalf("%q", n)
			}
		}
		slices.Sort(q.Names)
		if len(slices.Compact(q.Names)) != len(q.Names) {
			t.Fatalf("twice: %q", q.Names)
		}
	})
}
