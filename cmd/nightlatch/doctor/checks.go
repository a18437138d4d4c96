package doctor

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Level says how bad a finding is.
type Level string

// Levels of a [Finding].
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, or may work, but somebody should look
	Problem Level = "problem" // something does not work
)

// Finding is what one check says.
type Finding struct {
	Check  string `json:"check"`            // what was looked at: port, arrivals, device phone
	Level  Level  `json:"level"`            //
	Text   string `json:"text"`             // what is so
	Remedy string `json:"remedy,omitempty"` // what to do; empty when nothing
}

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, Level: OK, Text: fmt.Sprintf(format, args...)}
}

func warn(check, remedy, format string, args ...any) Finding {
	return Finding{check, Warning, fmt.Sprintf(format, args...), remedy}
}

func bad(check, remedy, format string, args ...any) Finding {
	return Finding{check, Problem, fmt.Sprintf(format, args...), remedy}
}

// Examine judges facts. It is pure: the same facts give the same findings, in
// the order in which a phone's packets would meet the troubles.
func Examine(f *Facts) []Finding {
	out := []Finding{gateway(f), port(f), arrivals(f), carrier(f), endpoint(f), mtu(f), ipv6(f)}
	for i := range f.Devices {
		out = append(out, device(f, &f.Devices[i]))
	}
	if len(f.Devices) == 0 {
		out = append(out, warn("devices", "nightlatch device add phone", "there are none"))
	}
	out = append(out, captured(f)...)
	out = append(out, upstreams(f)...)
	out = append(out, dnssec(f), clock(f), disk(f), journalOf(f), lists(f), ca(f))
	for _, e := range f.Home {
		out = append(out, bad("config", "nightlatch check says more", "%s", e))
	}
	return out
}

func gateway(f *Facts) Finding {
	switch {
	case f.Gate == nil:
		return warn("gateway", "nightlatch up starts it", "none is running in this home; what only a running one knows is left out")
	case f.Gate.Panics > 0:
		return warn("gateway", "look into its log, and report what it says", "is running since %s, and met %d faults of its own", day(f.Gate.Started), f.Gate.Panics)
	}
	return ok("gateway", "is running since %s", day(f.Gate.Started))
}

func day(t time.Time) string { return t.Local().Format("2 January 15:04") }

func port(f *Facts) Finding {
	switch {
	case f.Gate != nil:
		return ok("port", "udp %d is open on this machine", f.Gate.Port)
	case f.Host.PortErr != "":
		return bad("port", "stop the program that has it, or choose another port in tunnel.listen", "%s", f.Host.PortErr)
	}
	return ok("port", "udp %d can be opened on this machine", f.Port)
}

const forward = "forward UDP (not TCP) port %d of the router to this machine, open it in this machine's firewall, and compare the Endpoint in the phone's app with tunnel.endpoint"

func arrivals(f *Facts) Finding {
	const check = "arrivals"
	if f.Gate == nil {
		return warn(check, "", "unknown without a running gateway")
	}
	a := f.Gate.Arrivals
	switch {
	case a.Packets == 0:
		remedy := fmt.Sprintf(forward, f.Gate.Port)
		if f.Mapping == "ask" && f.Net.OutsideBy != "" { // the router can be talked to
			remedy = "let this router open the port by itself (tunnel.port_mapping: keep, then restart), or " + remedy
		}
		return warn(check, remedy, "nothing has come to udp %d since the start", f.Gate.Port)
	case a.Answered > 0 || a.Data > 0 && a.Initiations == 0 && a.WrongKey == 0:
		return ok(check, "%d packets, the last %s ago; handshakes answered: %d", a.Packets, ago(f.Now, a.Last), a.Answered)
	case a.Initiations > 0:
		return bad(check, "the phone holds keys that were rotated or removed, or its clock was set back: set its clock, or nightlatch device rotate NAME and scan again",
			"%d handshakes came and none was answered: nobody here has the key they were made with", a.Initiations)
	case a.WrongKey > 0:
		return bad(check, "the phone's config is of another gateway, or server.key was changed: nightlatch device rotate NAME and scan again",
			"%d handshakes came that were made for the key of another gateway", a.WrongKey)
	}
	return warn(check, fmt.Sprintf(forward, f.Gate.Port), "%d packets came, and none of them began a handshake", a.Packets)
}

func ago(now, t time.Time) string { return now.Sub(t).Truncate(time.Second).String() }

// fresh is how old a handshake of a session that carries traffic may be
// (WireGuard paper §6.1, Reject-After-Time).
const fresh = 3 * time.Minute

func device(f *Facts, d *Device) Finding {
	check := "device " + d.Name
	if d.Ended != "" {
		return ok(check, "%s; it may not connect", d.Ended)
	}
	if f.Gate == nil {
		return warn(check, "", "unknown without a running gateway")
	}
	s, a := f.Gate.Sessions[d.Name], f.Gate.Arrivals
	switch {
	case !s.Handshake.IsZero() && f.Now.Sub(s.Handshake) <= fresh:
		return ok(check, "connected, last handshake %s ago from %s", ago(f.Now, s.Handshake), s.Endpoint)
	case !s.Handshake.IsZero():
		return ok(check, "asleep or away, last handshake %s ago from %s", ago(f.Now, s.Handshake), s.Endpoint)
	case a.Packets == 0:
		return warn(check, "see arrivals", "no handshake since the start: nothing arrived at all")
	case s.Rx > 0 || s.Endpoint != "":
		return bad(check, "nightlatch device rotate "+d.Name+" and scan again; if that does not help, the answers are lost on their way: another router or firewall stands between",
			"its handshakes arrive and are answered, but never completed: it has another pre-shared key, or our answers do not reach it")
	case a.WrongKey > 0 || a.Initiations > a.Answered:
		return warn(check, "if it is trying right now: set its clock, or nightlatch device rotate "+d.Name+" and scan again",
			"no handshake since the start, but some came that fit no device")
	}
	return warn(check, "switch the tunnel on in its app; see arrivals", "no handshake since the start")
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: between carriers and their customers

// notPublic: nobody outside can reach it.
func notPublic(a netip.Addr) bool {
	return a.IsPrivate() || shared.Contains(a.Unmap()) || a.IsLoopback() || a.IsLinkLocalUnicast()
}

func carrier(f *Facts) Finding {
	const check = "outside"
	n := &f.Net
	switch {
	case !n.Outward4.IsValid() && !n.Outward6.IsValid():
		return bad(check, "connect this machine", "this machine has no way to the internet")
	case n.Outward4.IsValid() && shared.Contains(n.Outward4):
		return bad(check, "ask the provider for an address of your own, or use IPv6 in tunnel.endpoint", "this machine itself has the address %s, which the provider shares among many (carrier NAT): nobody can reach it from outside", n.Outward4)
	case n.Outward4.IsValid() && !notPublic(n.Outward4):
		return ok(check, "this machine has the public address %s", n.Outward4)
	case n.Outside.IsValid() && shared.Contains(n.Outside):
		return bad(check, "ask the provider for an address of your own, or use IPv6 in tunnel.endpoint", "the router has the address %s, which the provider shares among many (carrier NAT): nobody can reach it from outside", n.Outside)
	case n.Outside.IsValid() && notPublic(n.Outside):
		return bad(check, "forward the port on both routers, or switch one of them to bridge mode", "the router has the private address %s outside: another router stands before it (double NAT)", n.Outside)
	case n.Outside.IsValid():
		return ok(check, "the router has the public address %s (%s)", n.Outside, n.OutsideBy)
	case f.Mapping == "off":
		return ok(check, "not asked: tunnel.port_mapping is off")
	}
	return warn(check, "compare the address in the router's own pages with what a web site sees: when they differ, the provider shares it", "unknown: %s", n.OutsideErr)
}

func endpoint(f *Facts) Finding {
	const check = "endpoint"
	n := &f.Net
	own := []netip.Addr{n.Outward4, n.Outward6, n.Outside}
	is := func(a netip.Addr) bool {
		for _, o := range own {
			if o.IsValid() && o == a {
				return true
			}
		}
		return false
	}
	switch {
	case n.ResolveErr != "":
		return bad(check, "correct tunnel.endpoint, or the name at its provider", "%s: %s", f.Endpoint, n.ResolveErr)
	case len(n.Resolved) == 0:
		return warn(check, "", "%s: unknown", f.Endpoint)
	}
	for _, a := range n.Resolved {
		if is(a) && !notPublic(a) {
			return ok(check, "%s leads here (%s)", f.Endpoint, a)
		}
		if a.IsLoopback() {
			return ok(check, "%s is this machine alone: for a gateway on the phone itself", f.Endpoint)
		}
		if notPublic(a) {
			return warn(check, "put your outside name into tunnel.endpoint, then: nightlatch device rotate NAME", "%s is an address of the home: phones find it at home alone", f.Endpoint)
		}
	}
	if n.Outside.IsValid() || n.Outward4.IsValid() && !notPublic(n.Outward4) {
		return bad(check, "update the name at its provider, or correct tunnel.endpoint", "%s leads to %s, which is not here", f.Endpoint, n.Resolved[0])
	}
	return warn(check, "", "%s leads to %s; whether that is here is unknown", f.Endpoint, n.Resolved[0])
}

// overhead of WireGuard over IPv6: 40 of IP, 8 of UDP, 32 of its own.
const overhead = 80

func mtu(f *Facts) Finding {
	switch need := f.MTU + overhead; {
	case f.Net.PathMTU == 0:
		return ok("mtu", "%d inside the tunnel", f.MTU)
	case need > f.Net.PathMTU:
		return bad("mtu", fmt.Sprintf("set tunnel.mtu to %d or less, then rotate the devices", max(1280, f.Net.PathMTU-overhead)), "%d inside the tunnel needs %d outside, and this machine's way out carries %d", f.MTU, need, f.Net.PathMTU)
	}
	return ok("mtu", "%d inside the tunnel fits into %d of this machine's way out", f.MTU, f.Net.PathMTU)
}

func ipv6(f *Facts) Finding {
	if f.Net.Outward6.IsValid() {
		return ok("ipv6", "this machine has it (%s)", f.Net.Outward6)
	}
	return ok("ipv6", "this machine has none; phones are refused it at once and use IPv4")
}

func captured(f *Facts) (out []Finding) {
	for _, d := range f.Devices {
		check := "dns of " + d.Name
		switch {
		case d.Strict != "":
			out = append(out, bad(check, "set Private DNS to Off or Automatic on it", "%s", d.Strict))
		case d.Queries > 0:
			text := fmt.Sprintf("%s in the last day", counted(d.Queries, "question"))
			if d.Elsewhere > 0 {
				text += fmt.Sprintf(", %d of them meant for other servers", d.Elsewhere)
			}
			if d.DoT > 0 {
				text += fmt.Sprintf("; %s of DNS over TLS, refused", counted(d.DoT, "try"))
			}
			out = append(out, ok(check, "%s", text))
		case f.Gate != nil && !f.Gate.Sessions[d.Name].Handshake.IsZero():
			out = append(out, warn(check, "set Private DNS to Off or Automatic on it, and import its config again: the DNS line may be missing", "it was connected, but asked nothing in the last day"))
		}
	}
	return out
}

// most is where counting in the journal ends.
const most = 1000

func counted(n int, noun string) string {
	plural := noun + "s"
	if strings.HasSuffix(noun, "y") {
		plural = strings.TrimSuffix(noun, "y") + "ies"
	}
	switch {
	case n == 1:
		return "1 " + noun
	case n >= most:
		return fmt.Sprintf("%d %s or more", n, plural)
	}
	return fmt.Sprintf("%d %s", n, plural)
}

func upstreams(f *Facts) (out []Finding) {
	well := 0
	for _, u := range f.Upstreams {
		if u.Up && !u.Untried {
			well++
		}
	}
	for _, u := range f.Upstreams {
		check := "upstream " + u.Name
		switch {
		case u.Untried:
			out = append(out, ok(check, "not asked yet"))
		case u.Up:
			out = append(out, ok(check, "answers"))
		case well > 0:
			out = append(out, warn(check, "others stand in; if it stays so, take it out of dns.upstreams", "%s", u.Err))
		default:
			out = append(out, bad(check, "check this machine's internet connection, its firewall and its clock", "%s", u.Err))
		}
	}
	return out
}

func dnssec(f *Facts) Finding {
	switch {
	case f.DNSSEC == "off":
		return warn("dnssec", "dns.dnssec: auto", "signatures are not checked")
	case f.Journal.Alarm != "":
		return warn("dnssec", "choose upstreams that hand signatures on", "%s", f.Journal.Alarm)
	case f.Gate != nil && f.Gate.Bogus > 0:
		return warn("dnssec", "nightlatch log shows which; the owner of a name may have broken its signatures (dns.unsigned)", "%d answers were not what their owners signed, and were refused", f.Gate.Bogus)
	}
	return ok("dnssec", "%s", f.DNSSEC)
}

// farOff is what WireGuard and certificates do not mind.
const farOff = 5 * time.Minute

func clock(f *Facts) Finding {
	const set = "set this machine's clock (timedatectl set-ntp true)"
	h := &f.Host
	switch {
	case h.ClockErr != "":
		return bad("clock", set, "%s", h.ClockErr)
	case h.Clock == "":
		return ok("clock", "%s; compared with nobody", f.Now.Format(time.RFC3339))
	case h.Skew.Abs() > farOff:
		return bad("clock", set, "this machine's is %s off that of %s", h.Skew.Round(time.Second), h.Clock)
	}
	return ok("clock", "agrees with that of %s", h.Clock)
}

const (
	little     = 200 << 20
	hardlyLeft = 20 << 20
)

func disk(f *Facts) Finding {
	const room = "make room, or lower journal.max_size"
	switch h := &f.Host; {
	case h.Unwritten != "":
		return bad("disk", "let the folder belong to who runs nightlatch, and mount it writable", "the home folder cannot be written: %s", h.Unwritten)
	case h.Free == 0:
		return ok("disk", "the home folder can be written")
	case h.Free < hardlyLeft:
		return bad("disk", room, "%d MiB free", h.Free>>20)
	case h.Free < little:
		return warn("disk", room, "%d MiB free", h.Free>>20)
	default:
		return ok("disk", "%d MiB free", h.Free>>20)
	}
}

func journalOf(f *Facts) Finding {
	switch {
	case f.Journal.Err != "":
		return bad("journal", "see docs/journal.md", "%s", f.Journal.Err)
	case f.Gate != nil && f.Gate.Trouble != "":
		return bad("journal", "see disk", "cannot be written: %s", f.Gate.Trouble)
	case f.Gate != nil && f.Gate.Lost > 0:
		return warn("journal", "the disk is slow or was full; what happened then is not in it", "%d events were lost since the start", f.Gate.Lost)
	}
	return ok("journal", "nothing lost")
}

func lists(f *Facts) Finding {
	switch n := len(f.Lists); n {
	case 0:
		return ok("lists", "all could be read")
	case 1:
		return warn("lists", "nightlatch check", "%s", f.Lists[0])
	default:
		return warn("lists", "nightlatch check", "%d are broken, first: %s", n, f.Lists[0])
	}
}

// caSoon is when to begin with a new one: it must be put on every phone.
const caSoon = 30 * 24 * time.Hour

func ca(f *Facts) Finding {
	switch left := f.CA.NotAfter.Sub(f.Now); {
	case f.CA.Err != "":
		return bad("ca", "nightlatch ca remove --yes, then nightlatch ca create", "%s", f.CA.Err)
	case !f.CA.There:
		return ok("ca", "none; HTTPS of blocked names is not read")
	case left < 0:
		return bad("ca", "nightlatch ca remove --yes, then nightlatch ca create, and install it on the phones", "ended on %s", day(f.CA.NotAfter))
	case left < caSoon:
		return warn("ca", "nightlatch ca remove --yes, then nightlatch ca create, and install it on the phones", "ends on %s", day(f.CA.NotAfter))
	default:
		return ok("ca", "good until %s", f.CA.NotAfter.Local().Format("2 January 2006"))
	}
}
