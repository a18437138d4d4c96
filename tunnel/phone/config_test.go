package phone

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

const good = `
# a comment
[Interface]
PrivateKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
Address = 10.88.0.2/32, fd88::2/128   # two families
DNS = 10.88.0.1, fd88::1, home
MTU = 1280
ExcludedApplications = com.termux

[peer]
publickey=AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
PresharedKey = AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = gateway.example:51820
PersistentKeepalive = 25
`

func TestParse(t *testing.T) {
	c, err := Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if c.PrivateKey[0] != 1 || c.PublicKey[31] != 2 || c.PresharedKey[5] != 3 ||
		len(c.Addrs) != 2 || c.Addrs[1].String() != "fd88::2" || len(c.DNS) != 2 || c.MTU != 1280 ||
		len(c.AllowedIPs) != 2 || c.Endpoint != "gateway.example:51820" || c.Keepalive != 25*time.Second {
		t.Errorf("%+v", c)
	}
	if c, err = Parse(strings.Replace(strings.ReplaceAll(good, "\n", "\r\n"), "= 25", "= off", 1)); err != nil || c.Keepalive != 0 {
		t.Errorf("%v %v", c.Keepalive, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"PrivateKey = AQ", "PrivateKey = ", "line 4: privatekey: want 32 bytes"},
		{"10.88.0.2/32", "10.88.0.256", `line 5: address: "10.88.0.256" is no address`},
		{"MTU = 1280", "MTU = big", `line 7: mtu: "big" is not a number`},
		{"MTU = 1280", "MTU", `line 7: "MTU" is no "key = value"`},
		{"MTU = 1280", "Colour = blue", `line 7: unknown key "colour"`},
		{"[peer]", "[friend]", `line 10: unknown section`},
		{"0.0.0.0/0", "everything", `line 13: allowedips: "everything" is no prefix`},
		{"Endpoint = gateway.example:51820", "", "[Peer] has no Endpoint"},
		{"Address = 10.88.0.2/32, fd88::2/128", "", "[Interface] has no Address"},
		{"PersistentKeepalive = 25", "[Peer]", "2 [Peer] sections: want exactly one"},
	} {
		if _, err := Parse(strings.Replace(good, c.old, c.new, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Parse(""); err == nil || !strings.Contains(err.Error(), "0 [Peer] sections") {
		t.Error(err)
	}
	if _, err := Parse(strings.Replace(good, "AQEB", "!!!secret", 1)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a key in an error: %v", err)
	}
}

// TestNoAnswer: a gateway that is not there makes an error that says where.
func TestNoAnswer(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg, _ := Parse(good)
	cfg.Endpoint = c.LocalAddr().String()
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancel()
	_, err = Connect(ctx, cfg, nil)
	if err == nil || !strings.Contains(err.Error(), "phone: handshake: no answer from "+cfg.Endpoint+" within 100ms") &&
		!strings.Contains(err.Error(), "phone: handshake: no answer from "+cfg.Endpoint+" within 200ms") {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	if _, err = Connect(ctx, cfg, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err = Connect(context.Background(), Config{}, nil); err == nil || !strings.Contains(err.Error(), "config: [Interface] has no PrivateKey") {
		t.Error(err)
	}
}

// FuzzParse: nothing panics, and what is accepted can be used.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("[Interface]\nPrivateKey=\n[Peer]\n")
	f.Fuzz(func(t *testing.T, conf string) {
		c, err := Parse(conf)
		if err == nil && (len(c.Addrs) == 0 || c.Endpoint == "" || c.MTU < 0 || c.Keepalive < 0) {
			t.Errorf("accepted %+v", c)
		}
	})
}
