package home

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"nightlatch/config"
)

// ownKey stands in a .conf whose private key was made on the phone.
const ownKey = "PUT-THE-PHONE'S-OWN-PRIVATE-KEY-HERE"

// Whole tells whether a .conf holds the device's private key, so that it can be
// shown as a QR code.
func Whole(conf []byte) bool { return !bytes.Contains(conf, []byte(ownKey)) }

// WithPrivate puts a private key into a .conf that waits for one.
func WithPrivate(conf []byte, private config.Key) []byte {
	return bytes.Replace(conf, []byte(ownKey), []byte(private.String()), 1)
}

// privateOf gives the private key in a .conf that was made here; "" when the phone
// made its own.
func privateOf(conf []byte) string {
	for line := range strings.Lines(string(conf)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "PrivateKey" {
			if value = strings.TrimSpace(value); value != ownKey {
				return value
			}
		}
	}
	return ""
}

// clientConf writes what the WireGuard app imports. There is exactly one peer
// and it takes 0.0.0.0/0 and ::/0: only then the Android app closes every other
// way out, IPv6 included, while the tunnel is on.
func clientConf(cfg *config.Config, d *config.Device, server config.Key, private string) string {
	if private == "" {
		private = ownKey
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\n", private)
	addrs := make([]string, len(d.Addresses))
	for i, a := range d.Addresses {
		addrs[i] = fmt.Sprintf("%s/%d", a, a.BitLen())
	}
	fmt.Fprintf(&b, "Address = %s\n", strings.Join(addrs, ", "))
	var dns []string
	for _, a := range cfg.Tunnel.Gateway() {
		dns = append(dns, a.String())
	}
	fmt.Fprintf(&b, "DNS = %s\nMTU = %d\n", strings.Join(dns, ", "), cmp.Or(d.MTU, cfg.Tunnel.MTU))
	if apps := cfg.Tunnel.ExcludeApps; len(apps) > 0 {
		// A gateway on the phone itself would otherwise send into its own tunnel.
		fmt.Fprintf(&b, "ExcludedApplications = %s\n", strings.Join(apps, ", "))
	}
	b.WriteByte('\n')
	fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %s\n",
		server, d.PresharedKey, cfg.Tunnel.Endpoint)
	if k := d.KeepaliveOr(cfg.Tunnel.Keepalive); k > 0 {
		fmt.Fprintf(&b, "PersistentKeepalive = %d\n", int(k.Seconds()))
	}
	return b.String()
}
