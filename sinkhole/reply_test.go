package sinkhole

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestCORS: a page of another origin gets to see what it sent for.
func TestCORS(t *testing.T) {
	b := build(t, nil)
	c := b.client(t, sunk, &http.Transport{})
	req, _ := http.NewRequest("OPTIONS", "http://"+sunk+"/track/v4", nil)
	req.Header = http.Header{"Origin": {"https://page.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"x-a"}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://page.example" || h.Get("Access-Control-Allow-Methods") != "POST" ||
		h.Get("Access-Control-Allow-Headers") != "x-a" || h.Get("Vary") != "Origin" {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
}

// TestSetReplies: an owner's replies take effect while the gateway runs, on
// HTTP/1.1 and HTTP/2 alike, and one reply's header fields never reach another.
func TestSetReplies(t *testing.T) {
	b := build(t, nil)
	own, err := b.replies.Load().With("own", []byte("replies: [{name: x, hosts: ["+sunk+"], status: 200, headers: {x-own: a}, text: 'own', gzip: true}]"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(origin string) (string, http.Header) {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+sunk+"/track", nil)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := b.client(t, sunk, &http.Transport{}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		return string(got), resp.Header
	}
	if got, _ := ask(""); got != `{"code":0}` {
		t.Errorf("built-in: %q", got)
	}
	b.SetReplies(own)
	b.SetReplies(nil)
	if got, h := ask("https://page.example"); got != "own" || h.Get("X-Own") != "a" || h.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(strings.Join(h["Vary"], ","), "Accept-Encoding") {
		t.Errorf("own: %q %v", got, h)
	}
	if _, h := ask(""); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Connection") != "" {
		t.Errorf("shared header: %v", h)
	}
}
