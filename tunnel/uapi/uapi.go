// Package uapi writes and reads the text by which a WireGuard device is
// configured and asked (https://www.wireguard.com/xplatform/).
package uapi

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Key is a private, public or pre-shared key.
type Key = [32]byte

// Peer is what one wants of a peer, or what the device says of it.
type Peer struct {
	PublicKey    Key
	PresharedKey Key // zero: none
	Endpoint     string
	AllowedIPs   []netip.Prefix
	Keepalive    time.Duration // whole seconds; 0: none

	LastHandshake time.Time // zero: never; only read
	Rx, Tx        int64     // bytes from and to the peer, outer packets; only read
}

// Private is the line that sets the device's own key.
func Private(k Key) string { return "private_key=" + hex.EncodeToString(k[:]) + "\n" }

// Add is the text that adds the peer, or changes it without touching its session.
func (p Peer) Add() string {
	var b strings.Builder
	fmt.Fprintf(&b, "public_key=%x\npreshared_key=%x\n", p.PublicKey, p.PresharedKey)
	if p.Endpoint != "" {
		fmt.Fprintf(&b, "endpoint=%s\n", p.Endpoint)
	}
	fmt.Fprintf(&b, "persistent_keepalive_interval=%d\nreplace_allowed_ips=true\n", int(p.Keepalive/time.Second))
	for _, ip := range p.AllowedIPs {
		fmt.Fprintf(&b, "allowed_ip=%v\n", ip)
	}
	return b.String()
}

// Remove is the text that removes the peer with this public key.
func Remove(k Key) string { return fmt.Sprintf("public_key=%x\nremove=true\n", k) }

// Parse reads the device's answer to a get. It skips what it does not know,
// and the private key.
func Parse(text string) []Peer {
	var peers []Peer
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "public_key" {
			var p Peer
			hex.Decode(p.PublicKey[:], []byte(value[:min(len(value), 64)]))
			peers = append(peers, p)
			continue
		}
		if len(peers) > 0 {
			peers[len(peers)-1].set(key, value)
		}
	}
	return peers
}

func (p *Peer) set(key, value string) {
	n, _ := strconv.ParseInt(value, 10, 64)
	switch key {
	case "endpoint":
		p.Endpoint = value
	case "allowed_ip":
		if ip, err := netip.ParsePrefix(value); err == nil {
			p.AllowedIPs = append(p.AllowedIPs, ip)
		}
	case "persistent_keepalive_interval":
		p.Keepalive = time.Duration(n) * time.Second
	case "last_handshake_time_sec":
		if n > 0 {
			p.LastHandshake = time.Unix(n, 0)
		}
	case "last_handshake_time_nsec":
		if !p.LastHandshake.IsZero() {
			p.LastHandshake = p.LastHandshake.Add(time.Duration(n))
		}
	case "rx_bytes":
		p.Rx = n
	case "tx_bytes":
		p.Tx = n
	}
}
