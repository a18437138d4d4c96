// Package home is the folder in which a gateway lives: what a first start puts
// there, and reading it back as the settings that a gateway is built from.
package home

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
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

// Path gives the file of that name in it.
func (h Home) Path(name string) string { return filepath.Join(h.Dir, name) }

// ConfigFile is nightlatch.yaml, which the owner edits.
func (h Home) ConfigFile() string { return h.Path("nightlatch.yaml") }

// DevicesDir holds two files a device.
func (h Home) DevicesDir() string { return h.Path("devices") }

// Socket is where a running gateway is reached.
func (h Home) Socket() string { return h.Path("control.sock") }

// CADir holds the owner's certificate authority, if there is one.
func (h Home) CADir() string { return h.Path("ca") }

// RepliesDir holds the owner's replies in place of blocked servers, if any.
func (h Home) RepliesDir() string { return h.Path("replies") }

// FirstDevice is the name of the device that the first start makes.
const FirstDevice = "phone"

// Prepare makes what is missing of a home: folders, config, a list to edit,
// keys, token, and a first device when there was no folder for devices yet.
// What is there is left as it is. It tells whether it made that device.
func (h Home) Prepare() (first bool, err error) {
	if err := h.PrepareFiles(); err != nil {
		return false, err
	}
	if !absent(h.DevicesDir()) {
		return false, makeFolder(h.DevicesDir()) // an error when it is none
	}
	return true, h.prepareDevice()
}

// PrepareFiles is Prepare without a first device.
func (h Home) PrepareFiles() error {
	if err := makeFolder(h.Dir); err != nil {
		return err
	}
	if absent(h.ConfigFile()) {
		if err := h.writeConfig(); err != nil {
			return err
		}
	}
	if err := h.prepareSecrets(); err != nil {
		return err
	}
	folder := h.Path("blocklists")
	if !absent(folder) {
		return nil
	}
	if err := makeFolder(folder); err != nil {
		return err
	}
	return writeNew(filepath.Join(folder, "mine.yaml"), mineList, 0o600)
}

// prepareDevice makes the folder of devices with the first one in it, or
// leaves neither.
func (h Home) prepareDevice() error {
	cfg, err := h.LoadConfig()
	if err != nil {
		return err
	}
	if _, err = h.AddDevice(cfg, FirstDevice, nil); err != nil {
		os.Remove(h.DevicesDir()) // does nothing when something is in it
	}
	return err
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("home folder: %w; choose another with --home", err)
	}
	return nil
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// prepareSecrets makes the keys that the config points to and that are absent.
// A server key that is gone while devices are there is not made anew: every
// phone was told the old one.
func (h Home) prepareSecrets() error {
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return err
	}
	devices, err := config.LoadDevices(h.DevicesDir())
	if err != nil {
		return err
	}
	if p := cfg.Tunnel.PrivateKey.Path(h.Dir); p != "" {
		if absent(p) && len(devices) > 0 {
			return fmt.Errorf("the server key %s is gone, and every device knows it; restore it from a backup, or move %s away to begin anew",
				p, h.DevicesDir())
		}
		if err := writeNew(p, []byte(config.NewKey().String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if p := cfg.Dashboard.Token.Path(h.Dir); p != "" {
		return writeNew(p, []byte(rand.Text()+"\n"), 0o600)
	}
	return nil
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
	fill(&c, config.NewKey())
	return h.WriteConfig(&c, "tunnel.endpoint", "tunnel.network4", "tunnel.network6", "sinkhole.network4", "sinkhole.network6")
}

// WriteConfig writes c as the commented config of a home that has none; the
// keys named in active stand in force, the others show their defaults.
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

// LoadConfig reads the config and fills in what the owner left open.
func (h Home) LoadConfig() (*config.Config, error) {
	c, err := config.Load(h.ConfigFile())
	if err != nil || c.Tunnel.Network6.IsValid() && c.Tunnel.Endpoint != "" {
		return c, err
	}
	key, err := h.ServerKey(c)
	if err != nil {
		return nil, err
	}
	fill(c, key)
	return c, nil
}

// fill gives a config without an IPv6 network the one that follows from key, so
// that it is random and yet the same at every start; and one without an
// endpoint the address that this machine has at home.
func fill(c *config.Config, key config.Key) {
	if !c.Tunnel.Network6.IsValid() {
		c.Tunnel.Network6 = ula(key)
	}
	if c.Tunnel.Endpoint == "" {
		port := c.Tunnel.Listen[0].Port
		if port == 0 {
			port = config.Default().Tunnel.Listen[0].Port
		}
		c.Tunnel.Endpoint = net.JoinHostPort(outwardAddr().String(), fmt.Sprint(port))
	}
}

// ula gives a /64 of the unique local /48 whose 40 random bits (RFC 4193
// §3.2.2) follow from a key.
func ula(key config.Key) netip.Prefix {
	sum := sha256.Sum256(append([]byte("nightlatch unique local network "), key[:]...))
	b := [16]byte{0: 0xfd}
	copy(b[1:6], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
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
