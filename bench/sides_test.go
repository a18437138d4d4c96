//go:build bench

package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"nightlatch/blocklists"
)

// Addresses of the small internet. They live in namespaces made here; no
// packet for them leaves this machine.
const (
	webAddr     = "93.184.216.34"
	dnsAddr     = "93.184.216.53"
	gatewayLAN  = "192.168.77.1"
	gatewayAddr = "10.88.0.1" // of either gateway, inside its tunnel
	phoneAddr   = "10.88.0.2"
	port        = 51820
	mtu         = "1280"
	site        = "bench-site.org" // of the wanted names
	names       = 100              // of each kind that are asked for
)

// side is one way of being a gateway, with a phone of its own.
type side struct {
	*bench
	name           string
	phone, gateway string // namespaces
	wireguard      string // the phone's wireguard-go
	conf           string // path of the phone's, in the form of wg setconf
	running        []*program
}

// newSide makes the two namespaces of a side and the cables to each other and
// to the internet; n is its number.
func (b *bench) newSide(name string, n int, wireguard string) *side {
	b.Helper()
	id := string(rune('a' + n))
	s := &side{bench: b, name: name, wireguard: wireguard, phone: b.namespace(id + "p"), gateway: b.namespace(id + "g")}
	s.cable([3]string{s.phone, "lan0", "192.168.77.2/24"}, [3]string{s.gateway, "lan0", gatewayLAN + "/24"})
	wan := fmt.Sprintf("172.31.%d.", n)
	s.cable([3]string{s.gateway, "wan0", wan + "1/30"}, [3]string{b.internet, "wan" + id, wan + "2/30"})
	b.run("ip", "-n", s.gateway, "route", "add", "default", "via", wan+"2")
	return s
}

// connect brings up the phone's end: everything but its own network goes into
// the tunnel.
func (s *side) connect() {
	s.Helper()
	// Its router solicitations would begin a handshake when no gateway is there.
	s.inside(s.phone, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	s.tunnelInterface(s.phone, s.wireguard, phoneAddr+"/32", s.conf)
	s.run("ip", "-n", s.phone, "route", "add", "default", "dev", s.phone)
}

// forget makes the phone's end begin anew, as if it had never spoken to the
// gateway: the next packet starts a handshake.
func (s *side) forget() {
	s.Helper()
	s.inside(s.phone, "wg", "setconf", s.phone, s.conf)
}

// tunnelInterface starts a wireguard-go on an interface of the kernel. It is
// called like its namespace, as all namespaces share one folder of sockets.
func (s *side) tunnelInterface(ns, binary, addr, conf string) *program {
	s.Helper()
	socket := "/var/run/wireguard/" + ns + ".sock"
	s.Cleanup(func() { os.Remove(socket) })
	p := s.start(ns, "wireguard-"+ns, []string{"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1"}, binary, "-f", ns)
	s.until("the tunnel interface", 10*time.Millisecond, func() bool {
		if p.ended() {
			s.Fatalf("wireguard-go: %s", p.output())
		}
		_, err := os.Stat(socket)
		return err == nil
	})
	s.inside(ns, "wg", "setconf", ns, conf)
	s.run("ip", "-n", ns, "addr", "add", addr, "dev", ns)
	s.run("ip", "-n", ns, "link", "set", ns, "mtu", mtu, "up")
	return p
}

// startInternet starts what the gateways reach: a server for iperf3, one that
// echoes, and a DNS server that knows the wanted names.
func (b *bench) startInternet() {
	b.Helper()
	for _, a := range []string{webAddr, dnsAddr} {
		b.run("ip", "-n", b.internet, "addr", "add", a+"/32", "dev", "lo")
	}
	b.start(b.internet, "iperf3", nil, "iperf3", "-s", "-B", webAddr)
	b.helper(b.internet, "echo "+webAddr+":7")
	var zone strings.Builder
	for i := range names {
		fmt.Fprintf(&zone, "  local-data: \"%s 86400 IN A %s\"\n", wantedName(i), webAddr)
	}
	b.unbound(b.internet, dnsAddr, "  local-zone: "+site+" static\n"+zone.String())
}

func wantedName(i int) string { return fmt.Sprintf("n%02d.%s", i, site) }

// unbound starts one that answers on addr, with more lines of config.
func (b *bench) unbound(ns, addr, more string) *program {
	b.Helper()
	conf := b.file("unbound-"+ns+".conf", fmt.Sprintf(`server:
  interface: %s
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  so-rcvbuf: 0
%sremote-control:
  control-enable: no
`, addr, b.dir, more))
	return b.start(ns, "unbound-"+ns, nil, "unbound", "-d", "-c", conf)
}

// kernelSide is what an owner would set up instead: wireguard-go on an
// interface of the kernel, masquerade, and unbound with the same lists.
func (b *bench) kernelSide(name string, n int, phone, gateway string, blocked []string) *side {
	b.Helper()
	s := b.newSide(name, n, phone)
	ours, theirs, psk := newKey(b.T), newKey(b.T), newKey(b.T)
	s.conf = b.file(s.phone+".conf", fmt.Sprintf(
		"[Interface]\nPrivateKey = %s\n[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 0.0.0.0/0\nEndpoint = %s:%d\n",
		theirs.private, ours.public, psk.private, gatewayLAN, port))
	conf := b.file(s.gateway+".conf", fmt.Sprintf(
		"[Interface]\nPrivateKey = %s\nListenPort = %d\n[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = %s/32\n",
		ours.private, port, theirs.public, psk.private, phoneAddr))
	s.running = append(s.running, s.tunnelInterface(s.gateway, gateway, gatewayAddr+"/24", conf))
	b.inside(s.gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	b.inside(s.gateway, "nft", `add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; add rule ip nat out oifname "wan0" masquerade`)
	var lists strings.Builder
	for _, name := range blocked {
		fmt.Fprintf(&lists, "  local-zone: %q always_null\n", name)
	}
	s.running = append(s.running, b.unbound(s.gateway, gatewayAddr,
		lists.String()+"forward-zone:\n  name: \".\"\n  forward-addr: "+dnsAddr+"\n"))
	s.connect()
	return s
}

// blockedNames gives the names of the built-in lists: those that get a sinkhole
// address by default, and those that are stopped in another way.
func (b *bench) blockedNames() (sunk, others []string) {
	b.Helper()
	for _, name := range blocklists.BuiltinNames() {
		list, err := blocklists.Builtin(name)
		if err != nil {
			b.Fatal(err)
		}
		for r := range list.Rules() {
			switch {
			case r.Allow || r.Domain == "":
			case r.Action == blocklists.ActionDefault && r.Match != blocklists.Below:
				sunk = append(sunk, r.Domain)
			default:
				others = append(others, r.Domain)
			}
		}
	}
	return sunk, others
}
