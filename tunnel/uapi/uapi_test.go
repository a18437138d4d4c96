package uapi

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	p := Peer{
		PublicKey: Key{1}, PresharedKey: Key{2}, Endpoint: "192.0.2.1:51820", Keepalive: 25 * time.Second,
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/32"), netip.MustParsePrefix("fd88::2/128")},
	}
	want := "public_key=01" + strings.Repeat("0", 62) + "\npreshared_key=02" + strings.Repeat("0", 62) +
		"\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\n" +
		"allowed_ip=10.88.0.2/32\nallowed_ip=fd88::2/128\n"
	if got := p.Add(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	back := Parse(p.Add() + "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=500\nrx_bytes=7\ntx_bytes=8\n")
	if len(back) != 1 || back[0].PublicKey != p.PublicKey || back[0].Endpoint != p.Endpoint || back[0].Keepalive != p.Keepalive ||
		len(back[0].AllowedIPs) != 2 || back[0].LastHandshake.UnixNano() != 1700000000_000000500 || back[0].Rx != 7 || back[0].Tx != 8 {
		t.Errorf("%+v", back)
	}
}

func TestParseNever(t *testing.T) {
	got := Parse("private_key=00\nlisten_port=1\npublic_key=" + strings.Repeat("ab", 32) + "\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n")
	if len(got) != 1 || !got[0].LastHandshake.IsZero() || got[0].PublicKey[31] != 0xab {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("public_key=zz\nallowed_ip=x\nrx_bytes=-\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(Parse(text)); n > strings.Count(text, "public_key") {
			t.Errorf("%d peers", n)
		}
	})
}
