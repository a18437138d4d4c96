package config

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key is a WireGuard key of 32 bytes, written in base64.
type Key [32]byte

// UnmarshalText reads the 44 characters of a key.
func (k *Key) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != len(k) {
		return errors.New("this is not a WireGuard key (44 characters of base64)")
	}
	copy(k[:], raw)
	return nil
}

// String writes the key in base64. Private keys must not be printed.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// NewKey makes a private key (or, as 32 random bytes, a pre-shared key).
func NewKey() Key {
	var k Key
	rand.Read(k[:]) // never fails
	k[0] &= 248     // the clamping of curve25519; harmless for a pre-shared key
	k[31] = k[31]&127 | 64
	return k
}

// Public gives the public key of a private one.
func (k Key) Public() (Key, error) {
	priv, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		return Key{}, fmt.Errorf("config: key: %w", err)
	}
	return Key(priv.PublicKey().Bytes()), nil
}

// Device is one phone: a file devices/NAME.yaml that the program writes.
// It holds a pre-shared key, so its mode is 0600.
type Device struct {
	Name         string       `yaml:"name"`
	PublicKey    Key          `yaml:"public_key"`
	PresharedKey Key          `yaml:"preshared_key"`
	Addresses    []netip.Addr `yaml:"addresses"`
	Created      time.Time    `yaml:"created"`

	Note      string    `yaml:"note"`      // the owner's words; one line
	Disabled  bool      `yaml:"disabled"`  // it may not connect
	Until     time.Time `yaml:"until"`     // it may not connect from then on; zero: it always may
	MTU       int       `yaml:"mtu"`       // in its .conf, in place of tunnel.mtu; 0: that
	Keepalive string    `yaml:"keepalive"` // in its .conf, in place of tunnel.keepalive: off or 25s; empty: that
}

// Ended says why a device may not connect at now; empty when it may.
func (d *Device) Ended(now time.Time) string {
	switch {
	case d.Disabled:
		return "disabled"
	case !d.Until.IsZero() && !now.Before(d.Until):
		return "expired"
	}
	return ""
}

// maxNote bounds a note; it is shown in one line.
const maxNote = 200

// CheckProfile holds what the keys of a device that its owner sets may be.
func (d *Device) CheckProfile() error {
	switch {
	case len(d.Note) > maxNote || !utf8.ValidString(d.Note) || strings.ContainsFunc(d.Note, unicode.IsControl):
		return fmt.Errorf("note: at most %d bytes in one line", maxNote)
	case d.MTU != 0 && (d.MTU < 1280 || d.MTU > 1440):
		return fmt.Errorf("mtu: %d is not between 1280 and 1440", d.MTU)
	}
	if d.Keepalive == "" || d.Keepalive == "off" {
		return nil
	}
	var every Duration
	if err := every.UnmarshalText([]byte(d.Keepalive)); err != nil || every < Duration(time.Second) || every > Duration(time.Hour) {
		return fmt.Errorf("keepalive: %q is neither off nor between 1s and 1h", d.Keepalive)
	}
	return nil
}

// KeepaliveOr is how often the device keeps its way open, given what tunnel says.
func (d *Device) KeepaliveOr(tunnel Duration) time.Duration {
	if d.Keepalive == "" {
		return time.Duration(tunnel)
	}
	var every Duration // stays 0 when off
	_ = every.UnmarshalText([]byte(d.Keepalive))
	return time.Duration(every)
}

// Marshal writes the device as its file.
func (d *Device) Marshal() []byte {
	var b strings.Builder
	b.WriteString("# Written by nightlatch; change it with: nightlatch device\n")
	fmt.Fprintf(&b, "name: %s\npublic_key: %s\npreshared_key: %s\n", d.Name, d.PublicKey, d.PresharedKey)
	addrs := make([]string, len(d.Addresses))
	for i, a := range d.Addresses {
		addrs[i] = `"` + a.String() + `"`
	}
	fmt.Fprintf(&b, "addresses: [%s]\ncreated: %s\n", strings.Join(addrs, ", "), d.Created.UTC().Format(time.RFC3339))
	if d.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", strconv.Quote(d.Note))
	}
	if d.Disabled {
		b.WriteString("disabled: true\n")
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(&b, "until: %s\n", d.Until.UTC().Format(time.RFC3339))
	}
	if d.MTU != 0 {
		fmt.Fprintf(&b, "mtu: %d\n", d.MTU)
	}
	if d.Keepalive != "" {
		fmt.Fprintf(&b, "keepalive: %s\n", strconv.Quote(d.Keepalive))
	}
	return []byte(b.String())
}

// maxDevices bounds a home: one file each, one peer each.
const maxDevices = 1000

// LoadDevices reads every devices/*.yaml in name order. An absent folder is an
// empty one.
func LoadDevices(dir string) ([]Device, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("config: devices: %w", err)
	}
	if len(paths) > maxDevices {
		return nil, fmt.Errorf("config: devices: %s holds %d devices; at most %d are read", dir, len(paths), maxDevices)
	}
	slices.Sort(paths)
	out := make([]Device, 0, len(paths))
	for _, p := range paths {
		d, err := loadDevice(p)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func loadDevice(path string) (Device, error) {
	var dev Device
	b, err := readBounded(path, maxFile)
	if err != nil {
		return dev, fmt.Errorf("config: device: %w", err)
	}
	d := decoder{path}
	root, err := d.document(b)
	if err != nil {
		return dev, err
	}
	if root == nil {
		return dev, &Error{File: path, Msg: "this device file is empty; remove it, or restore it from a backup"}
	}
	if err := d.value(root, reflect.ValueOf(&dev).Elem(), ""); err != nil {
		return dev, err
	}
	if want := strings.TrimSuffix(filepath.Base(path), ".yaml"); dev.Name != want {
		return dev, d.fail(find(root, "name"), "the device is called %q but its file %q", dev.Name, want)
	}
	if !ValidName(dev.Name) {
		return dev, d.fail(root, "%q is not a device name; %s", dev.Name, NameRule)
	}
	if dev.PublicKey == (Key{}) || len(dev.Addresses) == 0 {
		return dev, d.fail(root, "public_key or addresses are missing")
	}
	if err := dev.CheckProfile(); err != nil {
		return dev, d.fail(root, "%s", err)
	}
	return dev, nil
}

// CheckDevices holds that no two devices share a key or an address, and that
// every address lies in the tunnel's networks and is not the gateway's own:
// the inner source address is what identifies a device.
func CheckDevices(t *Tunnel, devices []Device) error {
	owner := map[string]string{}
	for _, d := range devices {
		if o, taken := owner[d.PublicKey.String()]; taken {
			return fmt.Errorf("config: devices %s and %s have the same key; run: nightlatch device rotate %s", o, d.Name, d.Name)
		}
		owner[d.PublicKey.String()] = d.Name
		for _, a := range d.Addresses {
			if o, taken := owner[a.String()]; taken {
				return fmt.Errorf("config: devices %s and %s have the same address %s; run: nightlatch device rotate %s", o, d.Name, a, d.Name)
			}
			owner[a.String()] = d.Name
			if !t.Network4.Contains(a) && !t.Network6.Contains(a) {
				return fmt.Errorf("config: device %s has the address %s, which is in neither %s nor %s (tunnel.network4, network6); run: nightlatch device rotate %s",
					d.Name, a, t.Network4, t.Network6, d.Name)
			}
			if slices.Contains(t.Gateway(), a) {
				return fmt.Errorf("config: device %s has the gateway's own address %s; run: nightlatch device rotate %s", d.Name, a, d.Name)
			}
		}
	}
	return nil
}

// Gateway gives the gateway's own addresses inside the tunnel: the first of
// each network.
func (t *Tunnel) Gateway() []netip.Addr {
	var out []netip.Addr
	for _, p := range []netip.Prefix{t.Network4, t.Network6} {
		if p.IsValid() {
			out = append(out, p.Masked().Addr().Next())
		}
	}
	return out
}

// FreeAddresses gives the lowest IPv4 and IPv6 addresses that no device has.
func FreeAddresses(t *Tunnel, devices []Device) ([]netip.Addr, error) {
	taken := map[netip.Addr]bool{}
	for _, a := range t.Gateway() {
		taken[a] = true
	}
	for _, d := range devices {
		for _, a := range d.Addresses {
			taken[a] = true
		}
	}
	var out []netip.Addr
	for _, p := range []netip.Prefix{t.Network4, t.Network6} {
		a, ok := firstFree(p, taken)
		if !ok {
			return nil, fmt.Errorf("config: every address of %s is taken; remove a device, or use a larger network", p)
		}
		out = append(out, a)
	}
	return out, nil
}

func firstFree(p netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, bool) {
	for a := p.Masked().Addr().Next(); p.Contains(a); a = a.Next() {
		broadcast := a.Is4() && !p.Contains(a.Next())
		if !taken[a] && !broadcast {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// WriteFile writes a file so that it is there whole or not at all: a
// temporary file in the same folder, synced, then renamed.
func WriteFile(path string, b []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("config: write: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("config: write %s: %w", path, err)
		}
	}()
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
