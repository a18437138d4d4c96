package phone

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config is a WireGuard configuration as the stock apps read it: one
// interface, one peer.
type Config struct {
	PrivateKey [32]byte
	Addrs      []netip.Addr // the phone's addresses inside the tunnel
	DNS        []netip.Addr // servers it asks; search domains are left out
	MTU        int          // 0: the app's default, 1280

	PublicKey    [32]byte // the gateway's
	PresharedKey [32]byte // zero: none
	AllowedIPs   []netip.Prefix
	Endpoint     string        // host:port
	Keepalive    time.Duration // 0: off
}

// Parse reads the text of a .conf file. Errors name the line.
func Parse(conf string) (Config, error) {
	var (
		c       Config
		section string
		peers   int
	)
	n := 0
	for line := range strings.Lines(conf) {
		n++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(line)
			switch section {
			case "[interface]":
			case "[peer]":
				peers++
			default:
				return Config{}, fmt.Errorf("line %d: unknown section %s", n, quote(line))
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return Config{}, fmt.Errorf("line %d: %s is no \"key = value\"", n, quote(line))
		}
		if err := c.set(section, strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)); err != nil {
			return Config{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if peers != 1 {
		return Config{}, fmt.Errorf("%d [Peer] sections: want exactly one", peers)
	}
	return c, c.check()
}

// quote shortens what a stranger wrote, for an error.
func quote(s string) string { return strconv.Quote(s[:min(len(s), 40)]) }

func (c *Config) set(section, key, value string) (err error) {
	switch section + key {
	case "[interface]privatekey":
		c.PrivateKey, err = parseKey(key, value)
	case "[interface]address":
		return c.addAddrs(value)
	case "[interface]dns":
		for f := range fields(value) {
			if a, err := netip.ParseAddr(f); err == nil {
				c.DNS = append(c.DNS, a)
			}
		}
	case "[interface]mtu":
		c.MTU, err = number(key, value, 576, 65535)
	case "[interface]listenport":
		_, err = number(key, value, 0, 65535)
	case "[interface]excludedapplications", "[interface]includedapplications", "[interface]table":
	case "[peer]publickey":
		c.PublicKey, err = parseKey(key, value)
	case "[peer]presharedkey":
		c.PresharedKey, err = parseKey(key, value)
	case "[peer]allowedips":
		return c.addAllowed(value)
	case "[peer]endpoint":
		c.Endpoint = value
	case "[peer]persistentkeepalive":
		if value != "off" {
			var s int
			s, err = number(key, value, 0, 65535)
			c.Keepalive = time.Duration(s) * time.Second
		}
	default:
		return fmt.Errorf("unknown key %s in section %q", quote(key), section)
	}
	return err
}

func (c *Config) addAddrs(value string) error {
	for f := range fields(value) {
		a, _, _ := strings.Cut(f, "/")
		addr, err := netip.ParseAddr(a)
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("address: %s is no address", quote(f))
		}
		c.Addrs = append(c.Addrs, addr.Unmap())
	}
	return nil
}

func (c *Config) addAllowed(value string) error {
	for f := range fields(value) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			return fmt.Errorf("allowedips: %s is no prefix", quote(f))
		}
		c.AllowedIPs = append(c.AllowedIPs, p)
	}
	return nil
}

func (c *Config) check() error {
	switch {
	case c.PrivateKey == [32]byte{}:
		return fmt.Errorf("[Interface] has no PrivateKey")
	case len(c.Addrs) == 0:
		return fmt.Errorf("[Interface] has no Address")
	case c.PublicKey == [32]byte{}:
		return fmt.Errorf("[Peer] has no PublicKey")
	case c.Endpoint == "":
		return fmt.Errorf("[Peer] has no Endpoint")
	case len(c.AllowedIPs) == 0:
		return fmt.Errorf("[Peer] has no AllowedIPs")
	}
	return nil
}

// fields yields the parts of a comma-separated value.
func fields(value string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for f := range strings.SplitSeq(value, ",") {
			if f = strings.TrimSpace(f); f != "" && !yield(f) {
				return
			}
		}
	}
}

func parseKey(name, value string) (k [32]byte, err error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(raw) != len(k) {
		return k, fmt.Errorf("%s: want 32 bytes in base64", name) // the value may be secret
	}
	return [32]byte(raw), nil
}

func number(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s: %s is not a number from %d to %d", name, quote(value), low, high)
	}
	return n, nil
}
