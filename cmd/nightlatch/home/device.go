package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"nightlatch/config"
)

// AddDevice makes a device with its own keys and addresses. With a public key
// of its own the private one never touches the gateway, and no .conf is whole.
func (h Home) AddDevice(cfg *config.Config, name string, public *config.Key) (config.Device, error) {
	devices, err := config.LoadDevices(h.DevicesDir())
	if err != nil {
		return config.Device{}, err
	}
	for _, d := range devices {
		if d.Name == name {
			return d, fmt.Errorf("there is a device %s already; choose another name, or: nightlatch device rotate %s", name, name)
		}
	}
	addrs, err := config.FreeAddresses(&cfg.Tunnel, devices)
	if err != nil {
		return config.Device{}, err
	}
	d := config.Device{Name: name, PresharedKey: config.NewKey(), Addresses: addrs, Created: time.Now().UTC().Truncate(time.Second)}
	return d, h.keyDevice(cfg, &d, public)
}

// keyDevice gives a device new keys and writes its two files.
func (h Home) keyDevice(cfg *config.Config, d *config.Device, public *config.Key) error {
	server, err := h.serverPublicKey(cfg)
	if err != nil {
		return err
	}
	if err := makeFolder(h.DevicesDir()); err != nil {
		return err
	}
	private := ""
	if public != nil {
		d.PublicKey = *public
	} else {
		key := config.NewKey()
		private = key.String()
		if d.PublicKey, err = key.Public(); err != nil {
			return err
		}
	}
	conf := clientConf(cfg, d, server, private)
	if err := config.WriteFile(h.ConfPath(d.Name), []byte(conf), 0o600); err != nil {
		return err
	}
	return config.WriteFile(h.DevicePath(d.Name), d.Marshal(), 0o600)
}

// SaveDevice writes a device whose profile has changed, and its .conf anew where
// there is one.
func (h Home) SaveDevice(cfg *config.Config, d *config.Device) error {
	if err := d.CheckProfile(); err != nil {
		return err
	}
	old, err := os.ReadFile(h.ConfPath(d.Name))
	if err == nil {
		server, err := h.serverPublicKey(cfg)
		if err != nil {
			return err
		}
		if fresh := clientConf(cfg, d, server, privateOf(old)); fresh != string(old) {
			if err := config.WriteFile(h.ConfPath(d.Name), []byte(fresh), 0o600); err != nil {
				return err
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("device %s: %w", d.Name, err)
	}
	return config.WriteFile(h.DevicePath(d.Name), d.Marshal(), 0o600)
}

// DevicePath is the file in which a device is kept.
func (h Home) DevicePath(name string) string { return filepath.Join(h.DevicesDir(), name+".yaml") }

// ConfPath is the file that the WireGuard app of a device imports.
func (h Home) ConfPath(name string) string { return filepath.Join(h.DevicesDir(), name+".conf") }

// ServerKey reads the gateway's private key.
func (h Home) ServerKey(cfg *config.Config) (config.Key, error) {
	var k config.Key
	where := cfg.Tunnel.PrivateKey.Path(h.Dir)
	if where == "" {
		where = "tunnel.private_key"
	}
	s, err := cfg.Tunnel.PrivateKey.Read(h.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fmt.Errorf("the server key %s is gone; restore it from a backup, or move %s away and let nightlatch up begin anew", where, h.DevicesDir())
	}
	if err != nil {
		return k, fmt.Errorf("the server key: %w", err)
	}
	if err := k.UnmarshalText([]byte(s)); err != nil {
		return k, fmt.Errorf("the server key %s: %w; restore it from a backup, or move it and %s away and let nightlatch up begin anew", where, err, h.DevicesDir())
	}
	return k, nil
}

func (h Home) serverPublicKey(cfg *config.Config) (config.Key, error) {
	k, err := h.ServerKey(cfg)
	if err != nil {
		return k, err
	}
	return k.Public()
}

// RotateDevice gives a device new keys, and new addresses where its old ones
// no longer fit.
func (h Home) RotateDevice(cfg *config.Config, d *config.Device, devices []config.Device, key *config.Key) error {
	others := make([]config.Device, 0, len(devices))
	for _, o := range devices {
		if o.Name != d.Name {
			others = append(others, o)
		}
	}
	fresh := *d
	fresh.PublicKey = config.NewKey() // only so that the check looks at the addresses
	if config.CheckDevices(&cfg.Tunnel, append(others, fresh)) != nil {
		addrs, err := config.FreeAddresses(&cfg.Tunnel, others)
		if err != nil {
			return err
		}
		d.Addresses = addrs
	}
	d.PresharedKey = config.NewKey()
	return h.keyDevice(cfg, d, key)
}
