package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// well gives facts of a gateway with one phone, where all is well.
func well() *Facts {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &Facts{
		Now: now, Endpoint: "home.example.net:51820", MTU: 1280, Mapping: "ask", DNSSEC: "auto", Port: 51820,
		Host: Host{Free: 1 << 30, Clock: "dns.example", Skew: time.Second},
		Net: Net{Outward4: netip.MustParseAddr("192.168.1.5"), PathMTU: 1500, Outside: netip.MustParseAddr("203.0.113.7"), OutsideBy: "pcp",
			Resolved: []netip.Addr{netip.MustParseAddr("203.0.113.7")}},
		Gate: &Running{Started: now.Add(-time.Hour), Port: 51820, Arrivals: Arrivals{Packets: 100, Data: 90, Initiations: 2, Answered: 2, Last: now.Add(-time.Second)},
			Sessions: map[string]Session{"phone": {Handshake: now.Add(-time.Minute), Endpoint: "198.51.100.9:40000", Rx: 1000, Tx: 1000}}},
		Devices:   []Device{{Name: "phone", Queries: 12}},
		Upstreams: []Upstream{{Name: "https://dns.example/dns-query", Up: true}},
	}
}

func TestWell(t *testing.T) {
	for _, f := range Examine(well()) {
		if f.Level != OK || f.Remedy != "" {
			t.Errorf("%+v", f)
		}
	}
}

// TestTroubles: each trouble is found by its own check, with a remedy, and no
// other check raises a problem because of it unless it is named.
func TestTroubles(t *testing.T) {
	addr := netip.MustParseAddr
	none := func(f *Facts) { f.Gate.Sessions, f.Gate.Arrivals = nil, Arrivals{} }
	for name, c := range map[string]struct {
		spoil func(*Facts)
		check string
		level Level
		says  string
	}{
		"no gateway":         {func(f *Facts) { f.Gate = nil }, "gateway", Warning, "none is running"},
		"faults":             {func(f *Facts) { f.Gate.Panics = 1 }, "gateway", Warning, "faults of its own"},
		"port taken":         {func(f *Facts) { f.Gate = nil; f.Host.PortErr = "udp 51820 cannot be opened: in use" }, "port", Problem, "in use"},
		"nothing arrives":    {none, "arrivals", Warning, "nothing has come"},
		"nor to the phone":   {none, "device phone", Warning, "nothing arrived at all"},
		"unknown key":        {func(f *Facts) { none(f); f.Gate.Arrivals = Arrivals{Packets: 5, Initiations: 5} }, "arrivals", Problem, "none was answered"},
		"another gateway":    {func(f *Facts) { none(f); f.Gate.Arrivals = Arrivals{Packets: 5, WrongKey: 5} }, "arrivals", Problem, "key of another gateway"},
		"garbage":            {func(f *Facts) { none(f); f.Gate.Arrivals = Arrivals{Packets: 5, Garbage: 5} }, "arrivals", Warning, "none of them began"},
		"answers lost":       {func(f *Facts) { f.Gate.Sessions["phone"] = Session{Endpoint: "198.51.100.9:1", Rx: 148} }, "device phone", Problem, "never completed"},
		"wrong key":          {func(f *Facts) { f.Gate.Sessions = nil; f.Gate.Arrivals.WrongKey = 1 }, "device phone", Warning, "fit no device"},
		"switched off":       {func(f *Facts) { f.Gate.Sessions = nil }, "device phone", Warning, "no handshake"},
		"no devices":         {func(f *Facts) { f.Devices = nil }, "devices", Warning, "none"},
		"carrier NAT":        {func(f *Facts) { f.Net.Outside = addr("100.70.1.2") }, "outside", Problem, "carrier NAT"},
		"carrier NAT here":   {func(f *Facts) { f.Net.Outward4 = addr("100.70.1.2") }, "outside", Problem, "carrier NAT"},
		"double NAT":         {func(f *Facts) { f.Net.Outside = addr("192.168.0.2") }, "outside", Problem, "double NAT"},
		"silent router":      {func(f *Facts) { f.Net.Outside = netip.Addr{}; f.Net.OutsideErr = "no router answers" }, "outside", Warning, "no router answers"},
		"no internet":        {func(f *Facts) { f.Net = Net{} }, "outside", Problem, "no way"},
		"another address":    {func(f *Facts) { f.Net.Resolved = []netip.Addr{addr("203.0.113.99")} }, "endpoint", Problem, "not here"},
		"address of home":    {func(f *Facts) { f.Net.Resolved = []netip.Addr{addr("192.168.1.5")} }, "endpoint", Warning, "at home alone"},
		"no such name":       {func(f *Facts) { f.Net.Resolved, f.Net.ResolveErr = nil, "the name leads nowhere" }, "endpoint", Problem, "nowhere"},
		"large mtu":          {func(f *Facts) { f.MTU = 1440 }, "mtu", Problem, "needs 1520"},
		"private dns":        {func(f *Facts) { f.Devices[0].Strict = "Private DNS is set to dns.example" }, "dns of phone", Problem, "dns.example"},
		"asks nothing":       {func(f *Facts) { f.Devices[0].Queries = 0 }, "dns of phone", Warning, "asked nothing"},
		"no upstream":        {func(f *Facts) { f.Upstreams[0].Up, f.Upstreams[0].Err = false, "refused" }, "upstream https://dns.example/dns-query", Problem, "refused"},
		"one upstream":       {func(f *Facts) { f.Upstreams = append(f.Upstreams, Upstream{Name: "b", Err: "away"}) }, "upstream b", Warning, "away"},
		"dnssec off":         {func(f *Facts) { f.DNSSEC = "off" }, "dnssec", Warning, "not checked"},
		"dnssec alarm":       {func(f *Facts) { f.Journal.Alarm = "DNSSEC: the upstreams hand on no signatures" }, "dnssec", Warning, "no signatures"},
		"clock":              {func(f *Facts) { f.Host.Skew = -time.Hour }, "clock", Problem, "off that of dns.example"},
		"clock, certificate": {func(f *Facts) { f.Host.ClockErr = "the certificate says otherwise" }, "clock", Problem, "otherwise"},
		"read-only":          {func(f *Facts) { f.Host.Unwritten = "read-only file system" }, "disk", Problem, "read-only"},
		"full disk":          {func(f *Facts) { f.Host.Free = 1 << 20 }, "disk", Problem, "1 MiB"},
		"nearly full":        {func(f *Facts) { f.Host.Free = 100 << 20 }, "disk", Warning, "100 MiB"},
		"journal lost":       {func(f *Facts) { f.Gate.Lost = 3 }, "journal", Warning, "3 events"},
		"journal unwritten":  {func(f *Facts) { f.Gate.Trouble = "disk full" }, "journal", Problem, "disk full"},
		"journal unread":     {func(f *Facts) { f.Journal.Err = "damaged" }, "journal", Problem, "damaged"},
		"broken list":        {func(f *Facts) { f.Lists = []string{"mine.yaml:1:1: broken"} }, "lists", Warning, "mine.yaml:1:1"},
		"broken lists":       {func(f *Facts) { f.Lists = []string{"a", "b"} }, "lists", Warning, "2 are broken, first: a"},
		"config":             {func(f *Facts) { f.Home = []string{"there is no device x"} }, "config", Problem, "no device x"},
		"ca ended":           {func(f *Facts) { f.CA = CA{There: true, NotAfter: f.Now.Add(-time.Hour)} }, "ca", Problem, "ended"},
		"ca ends":            {func(f *Facts) { f.CA = CA{There: true, NotAfter: f.Now.Add(time.Hour)} }, "ca", Warning, "ends"},
		"ca damaged":         {func(f *Facts) { f.CA.Err = "damaged" }, "ca", Problem, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			f := well()
			c.spoil(f)
			for _, found := range Examine(f) {
				if found.Check == c.check {
					if found.Level != c.level || !strings.Contains(found.Text, c.says) || found.Remedy == "" {
						t.Errorf("%+v, want %s and %q with a remedy", found, c.level, c.says)
					}
					return
				}
			}
			t.Errorf("nothing is said of %s", c.check)
		})
	}
}

// TestStates: what is no trouble is told as such.
func TestStates(t *testing.T) {
	f := well()
	f.Devices = []Device{
		{Name: "phone", Queries: most, Elsewhere: 3, DoT: 2}, {Name: "old", Ended: "expired"}, {Name: "asleep"},
	}
	f.Gate.Sessions["asleep"] = Session{Handshake: f.Now.Add(-time.Hour), Endpoint: "x"}
	f.Net.Outward4 = netip.MustParseAddr("203.0.113.7")
	f.Net.Outside = netip.Addr{}
	text := ""
	for _, found := range Examine(f) {
		text += found.Check + ": " + found.Text + "\n"
	}
	for _, want := range []string{
		"device old: expired; it may not connect", "device asleep: asleep or away, last handshake 1h0m0s ago",
		"dns of phone: 1000 questions or more in the last day, 3 of them meant for other servers; 2 tries of DNS over TLS, refused",
		"outside: this machine has the public address 203.0.113.7", "endpoint: home.example.net:51820 leads here",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
