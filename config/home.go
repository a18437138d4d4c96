package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Home is the section dns.home.
type Home struct {
	Plain []Listen `yaml:"plain" doc:"Addresses for plain DNS, UDP and TCP: [:53]. A host that is left out means every address of this machine."`
	TLS   []Listen `yaml:"tls" doc:"Addresses for DNS over TLS, which Android calls Private DNS: [:853]."`
	HTTPS []Listen `yaml:"https" doc:"Addresses for DNS over HTTPS (HTTP/2 and HTTP/3, at /dns-query): [:443]."`
	QUIC  []Listen `yaml:"quic" doc:"Addresses for DNS over QUIC: [:853]."`

	Name        string      `yaml:"name" doc:"By which name the encrypted ones are asked; it leads to the address a question came to. A device is known by a name of its own below it (phone.dns.nightlatch.internal), or by /dns-query/phone."`
	Certificate string      `yaml:"certificate" doc:"Certificate for that name (PEM, with what it was signed by behind it), read again when it changes; empty means that your CA signs one (nightlatch ca create)."`
	Key         string      `yaml:"key" doc:"The certificate's key (PEM)."`
	Allow       []Network   `yaml:"allow" doc:"Networks that may ask, in place of the private ones. Whoever opens this to the world is misused for attacks on others."`
	Proxies     []Network   `yaml:"proxies" doc:"Addresses of proxies that say by the PROXY protocol, version 2, for whom they connect; over TCP, TLS and HTTPS."`
	Devices     HomeDevices `yaml:"devices" doc:"Names of devices by their addresses at home, such as tv: [192.168.1.20]; wishes for them stand under devices and groups. Others go by their address."`
	RateLimit   int         `yaml:"rate_limit" doc:"Questions a second that one address may ask, and as many at once; 0 means any number." min:"0" max:"1000000"`
}

// HomeDevices are addresses by the names of devices.
type HomeDevices map[string][]netip.Addr

// Network is a network, or an address alone.
type Network struct{ netip.Prefix }

// UnmarshalText reads 192.168.0.0/16 or 192.168.1.2.
func (n *Network) UnmarshalText(b []byte) error {
	if a, err := netip.ParseAddr(string(b)); err == nil && a.Zone() == "" {
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	return n.Prefix.UnmarshalText(b)
}

// Prefixes gives the networks as such.
func Prefixes(nets []Network) (out []netip.Prefix) {
	for _, n := range nets {
		out = append(out, n.Masked())
	}
	return out
}

// On tells whether anything is listened on.
func (h *Home) On() bool { return len(h.Plain) > 0 || h.Encrypted() }

// Encrypted tells whether a certificate is needed.
func (h *Home) Encrypted() bool { return len(h.TLS)+len(h.HTTPS)+len(h.QUIC) > 0 }

func checkHome(h *Home, at atFunc) error {
	if (h.Certificate == "") != (h.Key == "") {
		return at("dns.home", "certificate and key belong together; name both or none")
	}
	name := strings.TrimSuffix(h.Name, ".")
	if h.Encrypted() && (len(name) > 180 || !strings.Contains(name, ".") || strings.ContainsAny(name, "/*: ")) {
		return at("dns.home.name", "%q is not a name that a certificate can stand for; write one such as dns.example.net", h.Name)
	}
	taken := map[netip.Addr]string{}
	for _, device := range slices.Sorted(maps.Keys(h.Devices)) {
		if !ValidName(device) {
			return at("dns.home.devices", "%q is not a device name; %s", device, NameRule)
		}
		for _, a := range h.Devices[device] {
			if other := taken[a]; other != "" {
				return at("dns.home.devices."+device, "%s is the address of %s already", a, other)
			}
			taken[a] = device
		}
	}
	return nil
}
