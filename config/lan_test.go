package config

import "testing"

func TestReach(t *testing.T) {
	for in, want := range map[string]string{
		"192.168.1.10": "", "192.168.1.10:631": "", "192.168.1.0/24": "", "192.168.1.0/24:8000-8100/tcp": "", "10.0.0.5/UDP": "10.0.0.5/udp",
		"fd00::10": "", "[fd00::10]:631/udp": "", "[fd00::/64]:443": "", "fd00::/64/tcp": "", "[fd00::10]": "fd00::10", "0.0.0.0/8": "x",
		"192.168.1.10:1-65535": "", "192.168.1.10:631-631": "192.168.1.10:631",
	} {
		var r Reach
		err := r.UnmarshalText([]byte(in))
		if want == "x" {
			if err == nil {
				t.Errorf("%s is accepted", in)
			}
			continue
		}
		if want == "" {
			want = in
		}
		if err != nil || r.String() != want {
			t.Errorf("%s: %s %v", in, r, err)
		}
		var again Reach
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%s: read again as %v, %v", r, again, err)
		}
	}
	for _, in := range []string{"", "printer", "192.168.1.10:", "192.168.1.10:0", "192.168.1.10:70000", "192.168.1.10:9-8", "192.168.1.10/33",
		"192.168.1.10/24", "[fd00::10", "[fd00::10]x", "[fd00::10]:", "127.0.0.1", "::1", "224.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "192.168.1.10/icmp", "/tcp"} {
		var r Reach
		if err := r.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is accepted as %v", in, r)
		}
	}
}

func FuzzReach(f *testing.F) {
	f.Add("192.168.1.0/24:8000-8100/tcp")
	f.Add("[fd00::10]:631/udp")
	f.Fuzz(func(t *testing.T, s string) {
		var r, again Reach
		if r.UnmarshalText([]byte(s)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Fatalf("%q is %s, which is %v, %v", s, r, again, err)
		}
	})
}
