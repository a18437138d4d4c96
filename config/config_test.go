package config

import (
	"bytes"
	"encoding"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestInvalid: every testdata/invalid-*.yaml begins with "# want: " and the
// exact message it must give, without the file name.
func TestInvalid(t *testing.T) {
	files, _ := filepath.Glob("testdata/invalid-*.yaml")
	if len(files) < 15 {
		t.Fatalf("only %d files in testdata", len(files))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		want, ok := strings.CutPrefix(first, "# want: ")
		if !ok {
			t.Errorf("%s does not begin with # want:", f)
			continue
		}
		_, err = Parse("f", b)
		if err == nil {
			t.Errorf("%s: no error, want %s", f, want)
			continue
		}
		if got := strings.TrimPrefix(err.Error(), "f:"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", f, got, want)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: the error is a %T", f, err)
		}
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "tunnel:\n", "dns: {}\n"} {
		c, err := Parse("f", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if d := Default(); !reflect.DeepEqual(*c, d) {
			t.Errorf("%q gives %+v", text, c)
		}
	}
}

// TestWrittenIsRead: what the program prints with every key in force is read
// back as the same config.
func TestWrittenIsRead(t *testing.T) {
	c := Default()
	c.Tunnel.Endpoint = "home.example.net:51820"
	c.Tunnel.Network6 = netip.MustParsePrefix("fd12:3456:789a::/64")
	c.Sinkhole.Network6 = netip.MustParsePrefix("fd12:3456:789a:53::/64")
	c.Tunnel.AllowLAN = []netip.Prefix{netip.MustParsePrefix("192.168.1.10/32")}
	c.Tunnel.ExcludeApps = []string{"com.termux"}
	c.Devices = map[string]DevicePolicy{}
	c.Lists.Files, c.Lists.Subscriptions = []ListFile{}, []Subscription{}
	w := &c.Policy.Wishes
	w.Lists, w.ListActions, w.Services, w.RefuseTypes, w.Tags, w.Schedules = []string{}, map[string]string{}, []string{}, []string{}, []string{}, map[string]Schedule{}
	c.Groups, c.Lists.MayBreak, w.LAN = map[string]Group{}, []string{}, []Reach{}
	c.DNS.AllowPrivate, c.DNS.Unsigned, c.DNS.Names.Records, c.DNS.Forward, c.DNS.Bootstrap = []string{}, []string{}, []string{}, Forward{}, []string{}
	h := &c.DNS.Home
	h.Plain, h.TLS, h.HTTPS, h.QUIC = []Listen{{netip.IPv4Unspecified(), 53, true}}, []Listen{}, []Listen{}, []Listen{}
	h.Allow, h.Proxies, h.Devices = []Network{{netip.MustParsePrefix("192.168.0.0/16")}}, []Network{}, HomeDevices{}
	var b bytes.Buffer
	if err := Write(&b, &c, func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	got, err := Parse("f", b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if !reflect.DeepEqual(*got, c) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v\n%s", *got, c, b.String())
	}
}

// TestCommentedIsDefault: with every key commented out, the file still says
// nothing but the defaults; uncommented line by line it stays valid.
func TestCommentedIsDefault(t *testing.T) {
	c := Default()
	var b bytes.Buffer
	Write(&b, &c, func(string) bool { return false })
	got, err := Parse("f", b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if !reflect.DeepEqual(*got, c) {
		t.Errorf("got %+v", got)
	}
	for name, example := range examples {
		text := example
		if section, _, nested := strings.Cut(name, "."); nested {
			text = section + ":\n" + reindent(example, "  ")
		}
		if _, err := Parse("f", []byte(text)); err != nil {
			t.Errorf("the example of %s: %v", name, err)
		}
	}
}

func TestEveryKeyIsExplained(t *testing.T) {
	var b bytes.Buffer
	if err := Reference(&b); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"tunnel.listen", "dns.upstreams", "lists.files.*.path", "policy.answer", "policy.schedules.*.time_zone", "groups.*.devices", "journal.max_size"} {
		if !strings.Contains(b.String(), "`"+key+"`") {
			t.Errorf("the reference does not have %s", key)
		}
	}
	var walk func(reflect.Type)
	walk = func(rt reflect.Type) {
		for _, f := range keysOf(rt) {
			if f.Tag.Get("doc") == "" || f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no doc or yaml tag", rt, f.Name)
			}
			_, text := reflect.New(f.Type).Interface().(encoding.TextUnmarshaler)
			if elem := elemStruct(f.Type); elem != nil {
				walk(elem)
			} else if f.Type.Kind() == reflect.Struct && !text {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestValues(t *testing.T) {
	var d Duration
	for in, want := range map[string]time.Duration{"25s": 25 * time.Second, "30d": 720 * time.Hour, "0": 0, "1h30m": 90 * time.Minute} {
		if err := d.UnmarshalText([]byte(in)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v %v", in, d, err)
		}
		if in != d.String() && in != "0" {
			t.Errorf("%s is written as %s", in, d)
		}
	}
	var s Size
	for in, want := range map[string]Size{"512MB": 512 << 20, "2 gb": 2 << 30, "800KB": 800 << 10} {
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%s: %v %v", in, s, err)
		}
	}
	for _, bad := range []string{"", "-1MB", "12", "99999999999GB", "MB"} {
		if s.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("size %q is read", bad)
		}
	}
	if (Secret{Value: "hunter2"}).String() != "(hidden)" {
		t.Error("a secret prints itself")
	}
}

func TestDevices(t *testing.T) {
	dir := t.TempDir()
	tun := Default().Tunnel
	tun.Network6 = netip.MustParsePrefix("fd00:88::/64")
	var devs []Device
	for _, name := range []string{"phone", "tablet"} {
		addrs, err := FreeAddresses(&tun, devs)
		if err != nil {
			t.Fatal(err)
		}
		pub, _ := NewKey().Public()
		d := Device{Name: name, PublicKey: pub, PresharedKey: NewKey(), Addresses: addrs, Created: time.Unix(1700000000, 0).UTC()}
		if name == "tablet" {
			d.Note, d.Disabled, d.Until, d.MTU, d.Keepalive = `Anna's: "#1", old`, true, time.Unix(1800000000, 0).UTC(), 1400, "off"
		}
		devs = append(devs, d)
		if err := WriteFile(filepath.Join(dir, name+".yaml"), d.Marshal(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LoadDevices(dir)
	if err != nil || !reflect.DeepEqual(got, devs) {
		t.Fatalf("%v\n%+v\n%+v", err, got, devs)
	}
	if want := netip.MustParseAddr("10.88.0.3"); devs[1].Addresses[0] != want {
		t.Errorf("second device has %s", devs[1].Addresses[0])
	}
	if err := CheckDevices(&tun, devs); err != nil {
		t.Error(err)
	}
	bad := map[string]func(*Device){
		"the same address": func(d *Device) { d.Addresses = devs[0].Addresses },
		"the same key":     func(d *Device) { d.PublicKey = devs[0].PublicKey },
		"in neither":       func(d *Device) { d.Addresses = []netip.Addr{netip.MustParseAddr("10.99.0.1")} },
		"gateway's own":    func(d *Device) { d.Addresses = tun.Gateway() },
	}
	for want, change := range bad {
		d := devs[1]
		change(&d)
		if err := CheckDevices(&tun, []Device{devs[0], d}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestBrokenDeviceFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "is empty",
		"name: [a]":                       "name wants one value",
		"name: phone\npublic_key: abc":    "not a WireGuard key",
		"name: other":                     `called "other" but its file "phone"`,
		"name: phone\n":                   "missing",
		"name: phone\naddresses: [1.2.3]": "addresses[0]",
		"name: phone\npubic_key: x":       `did you mean "public_key"?`,
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "phone.yaml"), []byte(text), 0o600)
		if _, err := LoadDevices(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}

func TestNetworkFull(t *testing.T) {
	tun := Default().Tunnel
	tun.Network4, tun.Network6 = netip.MustParsePrefix("10.88.0.0/30"), netip.MustParsePrefix("fd00::/64")
	var devs []Device
	a, err := FreeAddresses(&tun, devs)
	if err != nil || a[0].String() != "10.88.0.2" {
		t.Fatal(a, err)
	}
	if a, err = FreeAddresses(&tun, []Device{{Addresses: a}}); err == nil {
		t.Errorf("a /30 has room for %v", a)
	}
}

func TestPublicKey(t *testing.T) {
	// RFC 7748 §6.1: Alice's key pair.
	var priv Key
	copy(priv[:], "\x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2\x66\x45\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5\x1d\xb9\x2c\x2a")
	pub, err := priv.Public()
	if err != nil || pub.String() != "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=" {
		t.Error(pub, err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, p := range files {
		b, _ := os.ReadFile(p)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("f", b)
		if err == nil && c == nil {
			t.Fatal("neither config nor error")
		}
		if err != nil && (strings.Contains(err.Error(), "goroutine") || len(err.Error()) > 4096+len(b)*4) {
			t.Fatalf("not one calm line: %.200s", err)
		}
	})
}
