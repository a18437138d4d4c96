package sinkhole

import (
	"net"
	"testing"
)

// TestPlainAlert: the last record counts, however it was cut, and nothing but
// an unencrypted alert is taken for one.
func TestPlainAlert(t *testing.T) {
	hello := make([]byte, 300)
	alert := []byte{21, 3, 3, 0, 2, 2, 48}
	for _, c := range []struct {
		name   string
		writes [][]byte
		want   string
	}{
		{"alone", [][]byte{hello, alert}, "tls: unknown certificate authority"},
		{"together", [][]byte{append(append([]byte{}, hello...), alert...)}, "tls: unknown certificate authority"},
		{"octet by octet", [][]byte{hello, alert[:1], alert[1:2], alert[2:6], alert[6:]}, "tls: unknown certificate authority"},
		{"encrypted", [][]byte{hello, {23, 3, 3, 0, 2, 2, 48}}, ""},
		{"half", [][]byte{hello, alert[:6]}, ""},
		{"more behind it", [][]byte{hello, alert, {1}}, ""},
		{"nothing", nil, ""},
	} {
		ours, theirs := net.Pipe()
		go func() {
			for _, w := range c.writes {
				theirs.Write(w)
			}
			theirs.Close()
		}()
		seen := &tail{Conn: ours}
		buf := make([]byte, 512)
		for {
			if _, err := seen.Read(buf); err != nil {
				break
			}
		}
		got := ""
		if a, ok := seen.plainAlert(); ok {
			got = a.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
