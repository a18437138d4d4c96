package sinkhole

import (
	"bytes"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    speaks
		certain bool
	}{
		{"", speaksNothing, false},
		{"G", speaksRaw, false},
		{"GET / HTTP/1.1\r", speaksRaw, false},
		{"GET / HTTP/1.1\r\n", speaksHTTP1, true},
		{"get /x HTTP/1.0\n", speaksHTTP1, true},
		{"\r\n\r\nPOST * HTTP/1.1\r\n", speaksHTTP1, true},
		{"\r\n\r\n\r\n", speaksRaw, true},
		{"GET / HTTP/2.0\r\n", speaksRaw, true},
		{"GET /\r\n", speaksRaw, true},
		{"GET  HTTP/1.1\r\n", speaksRaw, true},
		{"GET /\x00", speaksRaw, true},
		{" / HTTP/1.1\r\n", speaksRaw, true},
		{strings.Repeat("A", maxMethod+1), speaksRaw, true},
		{"G\x00", speaksRaw, true},
		{"PRI", speaksHTTP2, false},
		{preface, speaksHTTP2, true},
		{preface + "\x00\x00", speaksHTTP2, true},
		{"PRI * HTTP/2.0\r\n\r\nXX", speaksRaw, true},
		{"PRI * HTTP/1.1\r\n", speaksHTTP1, true},
		{"\x16", speaksRaw, false},
		{"\x16\x03\x01\x00\x10", speaksRaw, false},
		{"\x16\x03\x01\x00\x10\x01", speaksTLS, true},
		{"\x16\x03\x01\x00\x10\x02", speaksRaw, true},
		{"\x80\x2e\x01\x03\x01", speaksRaw, true}, // SSL 2.0
	} {
		if k, certain := classify([]byte(tt.in)); certain != tt.certain || certain && k != tt.want {
			t.Errorf("%q: %d %v", tt.in, k, certain)
		}
	}
}

func TestHeadEnd(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a\r\n": 0, "a\r\n\r": 0, "a\r\n\r\nb": 5, "a\n\nb": 3, "a\r\n\nb": 4, "\n\n": 2, "a\nb\n\r\n": 6} {
		if got := headEnd([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

// FuzzClassify: an answer that is certain does not change with more bytes.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", preface, "\x16\x03\x01\x00\x10\x01", "\r\nPOST x HTTP/1.0\n\n", "raw"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, decided := speaksNothing, false
		for i := range min(len(b), 200) + 1 {
			k, certain := classify(b[:i])
			if decided && (!certain || k != first) {
				t.Fatalf("%q: %d after %d bytes, then %d (%v)", b, first, i-1, k, certain)
			}
			first, decided = k, certain
		}
		if n := headEnd(b); n > len(b) || n > 0 && !bytes.HasSuffix(b[:n], []byte("\n")) {
			t.Fatalf("%q: head of %d", b, n)
		}
	})
}
