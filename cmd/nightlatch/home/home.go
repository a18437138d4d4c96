// Package home is the folder in which a gateway lives: what a first start puts
// there, and reading it back as the settings that a gateway is built from.
package home

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"nightlatch/config"
)

// Home is the folder in which a gateway lives; Dir is its absolute path.
type Home struct{ Dir string }

func (h Home) Path(name string) string { return filepath.Join(h.Dir, name) }
func (h Home) ConfigFile() string      { return h.Path("nightlatch.yaml") }
func (h Home) DevicesDir() string      { return h.Path("devices") }
func (h Home) Socket() string          { return h.Path("control.sock") }
func (h Home) lock() string            { return h.Path("lock") }
func (h Home) CADir() string           { return h.Path("ca") }
func (h Home) exists() bool            { _, err := os.Stat(h.ConfigFile()); return err == nil }

// FirstDevice is the name of the device that the first start makes.
const FirstDevice = "phone"

// prepare makes what is missing of a home: folders, config, lists to edit,
// keys, token, and a first device when there was no config. What is there is
// left as it is.
func (h Home) Prepare() (firstStart bool, err error) {
	firstStart = !h.exists()
	for _, dir := range []string{h.Dir, h.DevicesDir(), h.Path("blocklists")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, fmt.Errorf("home folder: %w; choose another with --home", err)
		}
	}
	if firstStart {
		if err := h.writeConfig(); err != nil {
			return false, err
		}
		if err := writeNew(h.Path("blocklists/mine.yaml"), mineList, 0o600); err != nil {
			return false, err
		}
	}
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return false, err
	}
	return firstStart, h.prepareSecrets(cfg, firstStart)
}

// prepareSecrets makes the keys that the config points to and that are absent.
// A server key that is gone while devices are there is not made anew: every
// phone was told the old one.
func (h Home) prepareSecrets(cfg *config.Config, firstStart bool) error {
	devices, err := config.LoadDevices(h.DevicesDir())
	if err != nil {
		return err
	}
	if p := cfg.Tunnel.PrivateKey.Path(h.Dir); p != "" {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) && len(devices) > 0 {
			return fmt.Errorf("the server key %s is gone, and %d devices know it; restore it from a backup, or move %s away to begin anew",
				p, len(devices), h.DevicesDir())
		}
		if err := writeNew(p, []byte(config.NewKey().String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if p := cfg.Dashboard.Token.Path(h.Dir); p != "" {
		if err := writeNew(p, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if !firstStart || len(devices) > 0 {
		return nil
	}
	_, err = h.AddDevice(cfg, FirstDevice, nil)
	return err
}

// writeNew writes a file unless it is there already.
func writeNew(path string, b []byte, mode os.FileMode) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("home folder: %w", err)
	}
	return config.WriteFile(path, b, mode)
}

// configHead begins the config file that the first start writes.
const configHead = `# nightlatch.yaml: how this gateway works. Written once by the first start; it is yours now,
# and nightlatch never writes to it again. Lines that begin with # and a key show the defaults.
# After an edit: nightlatch check. A running gateway takes changes of lists and policy by itself.

`

// writeConfig makes the commented config of a new home, with the random
// networks and the endpoint that were found put in force.
func (h Home) writeConfig() error {
	c := config.Default()
	ula := randomULA()
	c.Tunnel.Network6 = netip.PrefixFrom(ula, 64)
	sink := ula.As16()
	sink[7] = 0x53 // a second /64 of the same random /48
	c.Sinkhole.Network6 = netip.PrefixFrom(netip.AddrFrom16(sink), 64)
	c.Tunnel.Endpoint = net.JoinHostPort(outwardAddr().String(), fmt.Sprint(c.Tunnel.Listen[0].Port))
	return h.WriteConfig(&c, "tunnel.endpoint", "tunnel.network4", "tunnel.network6", "sinkhole.network4", "sinkhole.network6")
}

func (h Home) WriteConfig(c *config.Config, active ...string) error {
	var b bytes.Buffer
	b.WriteString(configHead)
	force := map[string]bool{}
	for _, key := range active {
		force[key] = true
	}
	if err := config.Write(&b, c, func(path string) bool { return force[path] }); err != nil {
		return err
	}
	return writeNew(h.ConfigFile(), b.Bytes(), 0o600)
}

// randomULA gives a random unique local /64 (RFC 4193 §3.2.2).
func randomULA() netip.Addr {
	var b [16]byte
	rand.Read(b[:6])
	b[0] = 0xfd
	return netip.AddrFrom16(b)
}

// outwardAddr gives the address this host would use towards the internet. A
// UDP socket is connected to find it; nothing is sent.
func outwardAddr() netip.Addr {
	c, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// mineList is the list a new home starts with.
var mineList = []byte(`# Your own list: what you write here stands above every other list.
# Save the file; a running gateway takes the change within a second or two.
# A broken edit is told with its line, and the last good version stays in force.
name: My list
about: Names I want stopped, and names I want to keep.
rules: []
#  - tracker.example.com                # the name and everything below it
#  - =exactly.this.example.com          # exactly this name
#  - domain: metrics.example.com        # the long form
#    category: analytics
#    why: usage events of an app I do not trust
#    breaks: nothing known
allow: []
#  - wanted.example.com                 # never stopped, whatever other lists say
`)
