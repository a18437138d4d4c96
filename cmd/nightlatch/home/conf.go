package home

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"nightlatch/config"
)

// ownKey stands in a .conf whose private key was made on the phone.
const ownKey = "PUT-THE-PHONE'S-OWN-PRIVATE-KEY-HERE"

// Whole tells whether a .conf holds the device's private key, so that it can be
// shown as a QR code.
func Whole(conf []byte) bool { return !bytes.Contains(conf, []byte(ownKey)) }

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
	fmt.Fprintf(&b, "DNS = %s\nMTU = %d\n\n", strings.Join(dns, ", "), cfg.Tunnel.MTU)
	fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %s\n",
		server, d.PresharedKey, cfg.Tunnel.Endpoint)
	if k := time.Duration(cfg.Tunnel.Keepalive); k > 0 {
		fmt.Fprintf(&b, "PersistentKeepalive = %d\n", int(k.Seconds()))
	}
	return b.String()
}
