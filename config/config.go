// Package config is the owner's YAML file as plain data: what may stand in it,
// what each key means, and what holds when it is absent. It opens no socket
// and starts nothing. The reference of every key is printed from the doc tags
// of this file ([Reference]), so that it cannot fall behind.
package config

import (
	"net/netip"
	"time"
)

// Config is nightlatch.yaml.
type Config struct {
	Tunnel    Tunnel                  `yaml:"tunnel" doc:"The WireGuard endpoint that phones connect to."`
	DNS       DNS                     `yaml:"dns" doc:"Answering the phones' DNS."`
	Lists     Lists                   `yaml:"lists" doc:"Which blocklists are read."`
	Policy    Policy                  `yaml:"policy" doc:"What happens to a name that a list stops, for every device."`
	Groups    map[string]Group        `yaml:"groups" doc:"Wishes for groups of devices, with the keys of devices. A device may be in several: for each key the first group in the order of names counts that has it."`
	Devices   map[string]DevicePolicy `yaml:"devices" doc:"Wishes for single devices, by name, with the keys of policy. What is absent follows the groups of the device, then policy; schedules and list_actions are joined with theirs, name by name."`
	Sinkhole  Sinkhole                `yaml:"sinkhole" doc:"Standing in for blocked servers."`
	Journal   Journal                 `yaml:"journal" doc:"What is remembered, and for how long."`
	Dashboard Dashboard               `yaml:"dashboard" doc:"The page where you look."`
}

// Tunnel is the section tunnel.
type Tunnel struct {
	Listen      []Listen       `yaml:"listen" doc:"UDP addresses to listen on; an empty host means every address."`
	Endpoint    string         `yaml:"endpoint" doc:"Where phones find this gateway: host:port, best a DNS name that follows your address. Goes into new device files."`
	Network4    netip.Prefix   `yaml:"network4" doc:"IPv4 network inside the tunnel; the gateway takes its first address."`
	Network6    netip.Prefix   `yaml:"network6" doc:"IPv6 network inside the tunnel (a random ULA, RFC 4193); the gateway takes its first address."`
	MTU         int            `yaml:"mtu" doc:"Bytes in a packet inside the tunnel; 1280 passes everywhere, up to 1440 is faster on a clean line." min:"1280" max:"1440"`
	Keepalive   Duration       `yaml:"keepalive" doc:"How often a phone keeps its way through routers open; 0 saves battery, 25s lets notifications arrive." max:"3600"`
	PrivateKey  Secret         `yaml:"private_key" doc:"The gateway's WireGuard key; file:NAME reads it from a file beside this one."`
	AllowLAN    []netip.Prefix `yaml:"allow_lan" doc:"Private networks or addresses that phones may reach; none by default."`
	PortMapping string         `yaml:"port_mapping" doc:"Whether the router at home is asked to hand the UDP port on to this machine (by PCP, NAT-PMP or UPnP): off (it is never spoken to), ask (nightlatch doctor asks for its outside address, and no more) or keep (a running gateway keeps the port open)."`
	ExcludeApps []string       `yaml:"exclude_apps" doc:"Android apps, by package, that new device files leave out of the tunnel; for a gateway on the phone itself the app it runs in: [com.termux]."`
}

// DNS is the section dns.
type DNS struct {
	Upstreams    []string `yaml:"upstreams" doc:"Servers that are asked: https://NAME/PATH#ADDRESS,... (DoH; h3:// for HTTP/3), tls://NAME#ADDRESS,... (DoT), quic://NAME#ADDRESS,... (DoQ), udp://ADDRESS, tcp://ADDRESS or a stamp (sdns://); or recursive alone, which asks no server but those of the names themselves, from the root down. The addresses after # are where NAME is; without them another upstream is asked. A pin-sha256=BASE64 among them pins a key of the server."`
	Strategy     string   `yaml:"strategy" doc:"Which upstream is asked: failover (the first that is well, in the order above), fastest (by what they took lately, and how often they failed), hedged (the same, and a second one when the first takes unusually long) or parallel (four at once; all of them see every question)."`
	Bootstrap    []string `yaml:"bootstrap" doc:"Upstreams, with their addresses, that are asked for nothing but the addresses of the upstreams that have none; empty means those of upstreams that have one."`
	CAFile       string   `yaml:"ca_file" doc:"Certificates that encrypted upstreams may be signed by (PEM); empty means the system's."`
	DNSSEC       string   `yaml:"dnssec" doc:"Checking that answers are what the owners of their names signed: auto (check, unless the upstreams do not hand on what that needs; then say so), on (an answer that cannot be checked is an error) or off."`
	TrustAnchors string   `yaml:"trust_anchors" doc:"File with the keys of the root that DNSSEC begins with (DS or DNSKEY records); empty means the ones IANA publishes."`
	RootHints    string   `yaml:"root_hints" doc:"File with the servers of the root that recursive begins with (NS, A and AAAA records, as in named.root); empty means the ones IANA publishes. Private addresses in it mean that the whole tree is at home: then private servers are asked, and otherwise never."`
	Unsigned     []string `yaml:"unsigned" doc:"Names, with all below them, that are taken as unsigned, such as one whose owner broke its signatures (RFC 7646)."`
	Cache        int      `yaml:"cache" doc:"Answers kept in memory." min:"0" max:"10000000"`
	KeepCache    bool     `yaml:"keep_cache" doc:"Keep the answers over a restart, in the file answers.cache beside this one; it holds names that were asked for, and no devices."`
	Names        Names    `yaml:"names" doc:"Names of your own home. Devices always have theirs: phone.nightlatch.internal."`
	Forward      Forward  `yaml:"forward" doc:"Parts of the tree of names that somebody at home knows, such as fritz.box: [udp://192.168.178.1]; for the names of its addresses add 178.168.192.in-addr.arpa. What lies there may have private addresses."`
	AllowPrivate []string `yaml:"allow_private" doc:"Names, with all below them, that may have private addresses, such as the NAS at home; anywhere else a private answer is refused (rebinding)."`
	BlockTTL     Duration `yaml:"block_ttl" doc:"How long a phone may keep a blocked answer; short, so that unblocking works at once." max:"86400"`
	Home         Home     `yaml:"home" doc:"Answering DNS for what is at home and not in the tunnel; off by default. It cannot be led to the sinkhole, so that sunk names are denied there."`
}

// Forward gives upstreams to parts of the tree of names.
type Forward map[string][]string

// Names is the section dns.names.
type Names struct {
	Suffix    string   `yaml:"suffix" doc:"A name of your own that devices are found below as well: home.arpa gives phone.home.arpa."`
	Records   []string `yaml:"records" doc:"Records as in a zone file: nas.home.arpa A 192.168.1.5. Addresses get their reverse as well; *.dev.home.arpa stands for everything below."`
	HostsFile string   `yaml:"hosts_file" doc:"File in the form of /etc/hosts with more names; relative to this one. A name without a dot is found below the suffix, too."`
}

// Lists is the section lists.
type Lists struct {
	Folder  string   `yaml:"folder" doc:"Folder of your own lists; every *.yaml, *.yml and *.txt in it is read, in name order. What they say stands above all other lists."`
	Builtin []string `yaml:"builtin" doc:"Built-in lists by name; all means every one, [] means none."`

	MayBreak []string `yaml:"may_break" doc:"Lists, by name, or all, of which the rules apply too that may stop something people want; your own always do. nightlatch lists show NAME tells what breaks."`

	Files []ListFile `yaml:"files" doc:"Lists in other files: hosts, domains, or AdGuard syntax, detected by content."`

	Subscriptions []Subscription `yaml:"subscriptions" doc:"Lists that others publish. Copies are kept in the folder lists beside this file and refreshed in the background; nightlatch lists catalogue names well-known ones."`
}

// ListFile is one entry of lists.files.
type ListFile struct {
	Name   string `yaml:"name" doc:"Short name, shown in every verdict."`
	Path   string `yaml:"path" doc:"The file; relative to this one."`
	Format string `yaml:"format" doc:"auto, native, hosts, domains or adblock."`
	Match  string `yaml:"match" doc:"What a bare name means: exact or subtree; empty means what is usual in the format."`
	Action string `yaml:"action" doc:"sink, deny, drop or observe; empty means as the policy says."`
	Answer Answer `yaml:"answer" doc:"How the names of the list are denied: nxdomain, null, nodata, refused, or addresses; empty means as the policy says."`
}

// Subscription is one entry of lists.subscriptions.
type Subscription struct {
	Name   string   `yaml:"name" doc:"Short name, shown in every verdict."`
	URL    string   `yaml:"url" doc:"Where it is published: http://, https://, or a path, relative to this file. May be compressed (.gz)."`
	Format string   `yaml:"format" doc:"auto, native, hosts, domains, wildcard, adblock, dnsmasq, rpz or ip; empty means auto."`
	Match  string   `yaml:"match" doc:"What a bare name means: exact or subtree; empty means what is usual in the format."`
	Action string   `yaml:"action" doc:"sink, deny, drop or observe; empty means as the policy says."`
	Answer Answer   `yaml:"answer" doc:"How the names of the list are denied: nxdomain, null, nodata, refused, or addresses; empty means as the policy says."`
	SHA256 string   `yaml:"sha256" doc:"Checksum that the published file must have; empty for none. For lists that never change."`
	Every  Duration `yaml:"every" doc:"How often it is refreshed, 1h to 30d; absent means once a day." min:"3600" max:"2592000"`
}

// Sinkhole is the section sinkhole.
type Sinkhole struct {
	Network4    netip.Prefix `yaml:"network4" doc:"IPv4 addresses given to sunk names. No reserved range, on purpose: browsers take those for your local network, and ask for permission whenever a page names a sunk host. This one has no public servers."`
	Network6    netip.Prefix `yaml:"network6" doc:"IPv6 addresses given to sunk names; from the network of the 6bone, which was given back in 2006 (RFC 3701) and is not routed."`
	HTTPS       bool         `yaml:"https" doc:"Read HTTPS of sunk names when you have made a CA (nightlatch ca create) and put it on the phone."`
	KeepSamples bool         `yaml:"keep_samples" doc:"Keep the raw bytes of what was received in the journal; they hold private life unmasked."`
	Known       Secret       `yaml:"known" doc:"Your own identifiers (IMEI, e-mail, ...) to look for in payloads, as kind: [values]; file:NAME reads them from a file beside this one. An absent file means none."`
}

// Journal is the section journal.
type Journal struct {
	File      string   `yaml:"file" doc:"The SQLite file; relative to this one."`
	Retention Duration `yaml:"retention" doc:"Older entries are deleted: 12h, 30d."`
	MaxSize   Size     `yaml:"max_size" doc:"The oldest entries are deleted when the file grows beyond this."`
	Mask      bool     `yaml:"mask" doc:"Mask identifiers in the terminal and the live page too. In the file they are always masked: only their first and last characters are kept."`
}

// Dashboard is the section dashboard.
type Dashboard struct {
	Listen string `yaml:"listen" doc:"Loopback address of the page for this machine; empty for none. Phones see it inside the tunnel at http://nightlatch.internal."`
	Token  Secret `yaml:"token" doc:"What is asked at login; file:NAME reads it from a file beside this one."`
}

// Default gives what holds when the file is empty. Networks and keys that
// must be random are made at first start and are zero here.
func Default() Config {
	return Config{
		Tunnel: Tunnel{
			Listen:     []Listen{{netip.IPv4Unspecified(), 51820, true}},
			Network4:   netip.MustParsePrefix("10.88.0.0/24"),
			MTU:        1280,
			Keepalive:  Duration(25 * time.Second),
			PrivateKey: Secret{File: "server.key"}, PortMapping: "ask",
		},
		DNS: DNS{
			Upstreams: []string{
				"https://dns.quad9.net/dns-query#9.9.9.9,149.112.112.112,2620:fe::fe",
				"tls://dns.quad9.net#9.9.9.9,149.112.112.112,2620:fe::fe",
				"https://dns.mullvad.net/dns-query#194.242.2.2,2a07:e340::2",
			},
			Strategy: "failover",
			DNSSEC:   "auto",
			Cache:    20000, KeepCache: true,
			BlockTTL: Duration(10 * time.Second),
			Home:     Home{Name: "dns.nightlatch.internal", RateLimit: 1000},
		},
		Lists:  Lists{Folder: "blocklists", Builtin: []string{"all"}},
		Policy: Policy{Wishes: Wishes{Action: "sink", Literal: "pass", QUIC: "pass", ECH: "keep"}},
		Sinkhole: Sinkhole{
			Network4: netip.MustParsePrefix("28.53.0.0/16"),
			Network6: netip.MustParsePrefix("3ffe:6e69:6768:746c::/64"),
			HTTPS:    true,
			Known:    Secret{File: "known.yaml"},
		},
		Journal: Journal{
			File:      "journal.db",
			Retention: Duration(30 * 24 * time.Hour),
			MaxSize:   512 << 20,
			Mask:      true,
		},
		Dashboard: Dashboard{Listen: "127.0.0.1:8088", Token: Secret{File: "dashboard.token"}},
	}
}
