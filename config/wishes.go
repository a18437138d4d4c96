package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"nightlatch/config/spell"
	"nightlatch/config/zone"
)

// Wishes are what the owner wants for some devices. What is absent is not wished.
type Wishes struct {
	Lists       []string            `yaml:"lists" doc:"Lists that apply; [] means all that are read."`
	Action      string              `yaml:"action" doc:"What happens to a name that a list stops: sink (lead to the sinkhole and decode what arrives), deny (as answer says), drop (no answer) or observe (answer truthfully, and sample what is sent to it in plain HTTP)."`
	ListActions map[string]string   `yaml:"list_actions" doc:"Another action for all that a list stops, whatever the list says itself."`
	Answer      Answer              `yaml:"answer" doc:"How a denied name is answered when its list does not say: nxdomain, null (0.0.0.0 and ::), nodata, refused, or an address of each family with a comma between. Without an action beside it, names are denied."`
	Literal     string              `yaml:"literal_addresses" doc:"Flows to addresses the device never asked a name for: pass (and report), deny or drop."`
	QUIC        string              `yaml:"quic" doc:"QUIC, on UDP port 443: pass, or deny or drop so that apps fall back to TCP, where names are seen."`
	LAN         []Reach             `yaml:"lan" doc:"What the device may reach in the home network, which is closed otherwise: 192.168.1.10:631, 192.168.1.0/24, [fd00::10]:8000-8100/tcp. Never this machine, and never other devices."`
	ECH         string              `yaml:"ech" doc:"Keys for Encrypted ClientHello, which hide in TLS which server is meant: keep, or strip from the answers so that it is seen. Names are known by DNS without that."`
	Services    []string            `yaml:"block_services" doc:"Services to block, by name: nightlatch policy services names them."`
	SafeSearch  Safe                `yaml:"safe_search" doc:"Search engines and video sites leave out what is not for children: off, on, or strict, which differs on YouTube alone."`
	RefuseTypes []string            `yaml:"refuse_types" doc:"DNS types that are answered without data, whatever the name: ANY, HTTPS, TYPE65."`
	Tags        []string            `yaml:"tags" doc:"Client tags for rules of AdGuard's syntax with $ctag: device_phone, os_android, user_child."`
	Schedules   map[string]Schedule `yaml:"schedules" doc:"What holds at certain hours, on top of the rest."`
}

// Schedule is what holds at certain hours.
type Schedule struct {
	Days     []Days   `yaml:"days" doc:"Days on which it begins: mon, tue, ... or ranges such as mon-fri; every day when absent."`
	From     Hour     `yaml:"from" doc:"When it begins: 21:00."`
	To       Hour     `yaml:"to" doc:"When it ends; an hour that is not after from is on the next day."`
	TimeZone Zone     `yaml:"time_zone" doc:"Whose clocks: Europe/Berlin; absent means policy.time_zone."`
	Block    string   `yaml:"block" doc:"all: every name and address, but for those that your own lists allow."`
	Services []string `yaml:"services" doc:"Services to block."`
	Lists    []string `yaml:"lists" doc:"Lists that apply; where lists does not name them too, they apply at these hours alone."`
	Action   string   `yaml:"action" doc:"What happens to a name that a list stops, as action."`
}

// Policy is the section policy.
type Policy struct {
	TimeZone Zone `yaml:"time_zone" doc:"Time zone of schedules, by its name in the IANA database: Europe/Berlin; absent means the one of this machine."`
	Wishes
}

// Group is one entry of groups.
type Group struct {
	Devices   []string `yaml:"devices" doc:"Names of its devices."`
	Upstreams []string `yaml:"upstreams" doc:"Upstreams of its devices, in place of dns.upstreams; what they answer is remembered apart."`
	Wishes
}

// DevicePolicy is one entry of devices.
type DevicePolicy struct {
	Upstreams []string `yaml:"upstreams" doc:"Upstreams of the device, in place of dns.upstreams; what they answer is remembered apart."`
	Wishes
}

// OwnUpstreams gives the upstreams of the devices that have their own: those of
// the device, else of the first of its groups that names some.
func (c *Config) OwnUpstreams() map[string][]string {
	own := map[string][]string{}
	for _, device := range c.Wishing() {
		own[device] = c.Devices[device].Upstreams
		for _, g := range c.GroupsOf(device) {
			if len(own[device]) == 0 {
				own[device] = c.Groups[g].Upstreams
			}
		}
		if len(own[device]) == 0 {
			delete(own, device)
		}
	}
	return own
}

// WishesOf gives what holds for a device. Key by key its own entry counts, else
// the first of its groups, in the order of their names, that has the key, else
// the section policy. Only list_actions and schedules are joined: of two entries
// of one name the nearer counts.
func (c *Config) WishesOf(device string) Wishes {
	layers := []Wishes{c.Devices[device].Wishes}
	for _, g := range c.GroupsOf(device) {
		layers = append(layers, c.Groups[g].Wishes)
	}
	layers = append(layers, c.Policy.Wishes)
	var out Wishes
	to := reflect.ValueOf(&out).Elem()
	for _, l := range layers {
		if l.Answer != "" && l.Action == "" {
			l.Action = "deny" // whoever says how names are refused wants them refused
		}
		for i := range to.NumField() {
			join(to.Field(i), reflect.ValueOf(l).Field(i))
		}
	}
	return out
}

// join fills a key from a layer farther away.
func join(near, far reflect.Value) {
	switch {
	case near.IsZero() && far.Kind() == reflect.Map && !far.IsNil():
		near.Set(reflect.MakeMap(far.Type()))
		fallthrough
	case far.Kind() == reflect.Map:
		for _, k := range far.MapKeys() {
			if !near.MapIndex(k).IsValid() {
				near.SetMapIndex(k, far.MapIndex(k))
			}
		}
	case near.IsZero(): // [] is not zero: it was said
		near.Set(far)
	}
}

// GroupsOf gives the names of the groups of a device, in order.
func (c *Config) GroupsOf(device string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		if slices.Contains(c.Groups[name].Devices, device) {
			out = append(out, name)
		}
	}
	return out
}

// Wishing gives the names of the devices for which more is wished than for every
// device, in order.
func (c *Config) Wishing() []string {
	names := map[string]bool{}
	for name := range c.Devices {
		names[name] = true
	}
	for _, g := range c.Groups {
		for _, name := range g.Devices {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Layers gives every place where wishes stand, by its path: policy, groups.kids,
// devices.phone; in that order.
func (c *Config) Layers() (paths []string, wishes []Wishes) {
	paths, wishes = []string{"policy"}, []Wishes{c.Policy.Wishes}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		paths, wishes = append(paths, "groups."+name), append(wishes, c.Groups[name].Wishes)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Devices)) {
		paths, wishes = append(paths, "devices."+name), append(wishes, c.Devices[name].Wishes)
	}
	return paths, wishes
}

// Answer is how a denied name is answered: one of nxdomain, null, nodata and
// refused, or addresses with a comma between them; empty means not said.
type Answer string

// UnmarshalText reads it.
func (a *Answer) UnmarshalText(b []byte) error {
	words := strings.Split(string(b), ",")
	if len(b) == 0 || len(words) == 1 && slices.Contains(answers, words[0]) {
		*a = Answer(b)
		return nil
	}
	four, six := 0, 0
	for i, w := range words {
		addr, err := netip.ParseAddr(strings.TrimSpace(w))
		if err != nil || addr.Zone() != "" || addr.IsMulticast() {
			return fmt.Errorf("%q is no answer: it is %s, or an address of each family", w, strings.Join(answers, ", "))
		}
		if addr.Unmap().Is4() {
			four++
		} else {
			six++
		}
		words[i] = addr.Unmap().String()
	}
	if four > 1 || six > 1 {
		return fmt.Errorf("%q has two addresses of one family", b)
	}
	*a = Answer(strings.Join(words, ","))
	return nil
}

// Safe is off, on or strict; empty means not said.
type Safe string

// UnmarshalText reads it; true and false mean on and off.
func (s *Safe) UnmarshalText(b []byte) error {
	switch word := strings.ToLower(string(b)); word {
	case "", "off", "on", "strict":
		*s = Safe(word)
	case "false", "no":
		*s = "off"
	case "true", "yes":
		*s = "on"
	default:
		return fmt.Errorf("%q is not one of off, on, strict%s", b, spell.Meant(word, "strict"))
	}
	return nil
}

var answers = []string{"nxdomain", "null", "nodata", "refused"}

// Days are days of the week, one or a range of them.
type Days struct{ First, Last time.Weekday }

var dayWords = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// UnmarshalText reads mon or mon-fri; fri-mon goes over the weekend.
func (d *Days) UnmarshalText(b []byte) error {
	first, last, ranged := strings.Cut(strings.ToLower(string(b)), "-")
	if !ranged {
		last = first
	}
	f, l := slices.Index(dayWords, strings.TrimSpace(first)), slices.Index(dayWords, strings.TrimSpace(last))
	if f < 0 || l < 0 {
		return fmt.Errorf("%q is not a day; write mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri", b)
	}
	d.First, d.Last = time.Weekday(f), time.Weekday(l)
	return nil
}

// String writes them as they are read.
func (d Days) String() string {
	if d.First == d.Last {
		return dayWords[d.First]
	}
	return dayWords[d.First] + "-" + dayWords[d.Last]
}

// Bits gives them as a set: bit 0 is Sunday.
func (d Days) Bits() uint8 {
	var bits uint8
	for i := d.First; ; i = (i + 1) % 7 {
		bits |= 1 << i
		if i == d.Last {
			return bits
		}
	}
}

// Hour is a time of day in minutes since midnight, 0 to 1440.
type Hour int

// UnmarshalText reads 21:00, 6:30 or 24:00.
func (h *Hour) UnmarshalText(b []byte) error {
	hour, minute, ok := strings.Cut(string(b), ":")
	n, bad := number(hour, 1)
	m, worse := number(minute, 2)
	if !ok || bad || worse {
		return fmt.Errorf("%q is not an hour; write 21:00", b)
	}
	if m > 59 || n > 24 || n == 24 && m > 0 {
		return fmt.Errorf("%q is not an hour: 00:00 to 24:00", b)
	}
	*h = Hour(n*60 + m)
	return nil
}

// number reads one or two digits, at least least.
func number(s string, least int) (n int, bad bool) {
	for _, c := range []byte(s) {
		if bad = bad || c < '0' || c > '9'; !bad {
			n = n*10 + int(c-'0')
		}
		if n > 99 {
			return 0, true
		}
	}
	return n, bad || len(s) < least || len(s) > 2
}

// String writes it as it is read.
func (h Hour) String() string { return fmt.Sprintf("%02d:%02d", h/60, h%60) }

// Zone is a time zone by its name; the zero value is not said.
type Zone struct{ *time.Location }

// UnmarshalText reads a name of the IANA database.
func (z *Zone) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l, err := zone.Load(string(b))
	if err == nil {
		z.Location = l
	}
	return err
}

// String writes its name.
func (z Zone) String() string {
	if z.Location == nil {
		return ""
	}
	return z.Location.String()
}

// checkWishes holds what one field of the wishes alone cannot tell.
func checkWishes(c *Config, places Places) error {
	paths, wishes := c.Layers()
	for i, path := range paths {
		if name, ok := strings.CutPrefix(path, "groups."); ok && !ValidName(name) {
			return places.Fail("groups", "groups: %q is not the name of a group; %s", name, NameRule)
		}
		if err := checkLayer(path, &wishes[i], places); err != nil {
			return err
		}
	}
	return nil
}

// checkWord holds that a value that is there is one of the known words.
func checkWord(path, value string, known []string, places Places) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return places.Fail(path, "%s: %q is not one of %s%s", path, value, strings.Join(known, ", "), spell.Meant(value, known...))
}

func checkLayer(path string, w *Wishes, places Places) error {
	word := func(key, value string, known []string) error { return checkWord(path+"."+key, value, known, places) }
	for _, err := range []error{
		word("action", w.Action, actions), word("literal_addresses", w.Literal, literals), word("quic", w.QUIC, literals), word("ech", w.ECH, echWords),
	} {
		if err != nil {
			return err
		}
	}
	for _, list := range slices.Sorted(maps.Keys(w.ListActions)) {
		if err := word("list_actions."+list, w.ListActions[list], actions); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Schedules)) {
		at, s := path+".schedules."+name, w.Schedules[name]
		switch {
		case !ValidName(name):
			return places.Fail(path+".schedules", "%s.schedules: %q is not the name of a schedule; %s", path, name, NameRule)
		case s.From == s.To && s.From != 0, s.From == 24*60:
			return places.Fail(at, "%s never applies: it is from %s to %s", at, s.From, s.To)
		case s.Block == "" && len(s.Services)+len(s.Lists) == 0 && s.Action == "":
			return places.Fail(at, "%s does nothing; say block: all, services, lists or action", at)
		}
		if err := checkWord(at+".block", s.Block, []string{"all"}, places); err != nil {
			return err
		}
		if err := checkWord(at+".action", s.Action, actions, places); err != nil {
			return err
		}
	}
	return nil
}
