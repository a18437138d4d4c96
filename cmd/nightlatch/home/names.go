package home

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
	"nightlatch/config"
	"nightlatch/config/spell"
)

// checkNames holds that what the wishes name exists: lists, services, DNS types.
// The error tells file, line and column of the first that does not.
func (s *Settings) checkNames() error {
	risky := slices.DeleteFunc(slices.Clone(s.Config.Lists.MayBreak), func(name string) bool { return name == "all" })
	if err := s.known("lists.may_break", risky); err != nil {
		return err
	}
	paths, wishes := s.Config.Layers()
	for i, path := range paths {
		w := &wishes[i]
		for _, err := range []error{
			s.known(path+".lists", w.Lists), s.known(path+".list_actions", slices.Sorted(maps.Keys(w.ListActions))),
			s.knownServices(path+".block_services", w.Services), s.knownTypes(path+".refuse_types", w.RefuseTypes),
		} {
			if err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(w.Schedules)) {
			at := path + ".schedules." + name
			if err := s.known(at+".lists", w.Schedules[name].Lists); err != nil {
				return err
			}
			if err := s.knownServices(at+".services", w.Schedules[name].Services); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Settings) known(path string, lists []string) error {
	names := slices.DeleteFunc(s.Lists.names(), Apart)
	for i, name := range lists {
		if !slices.Contains(names, name) {
			return s.fail(item(path, i, name), "%s: no list is called %q%s", path, name, spell.Meant(name, names...))
		}
	}
	return nil
}

func (s *Settings) knownServices(path string, services []string) error {
	names := blocklists.Services()
	for i, name := range services {
		if !slices.Contains(names, name) {
			near := spell.Meant(name, names...)
			if near == "" {
				near = "; nightlatch policy services names them"
			}
			return s.fail(item(path, i, name), "%s: no service is called %q%s", path, name, near)
		}
	}
	return nil
}

func (s *Settings) knownTypes(path string, types []string) error {
	for i, word := range types {
		if _, ok := syntax.AnyType(word); !ok {
			return s.fail(item(path, i, word), "%s: %q is not a DNS type; write A, AAAA, HTTPS, ANY or TYPE65", path, word)
		}
	}
	return nil
}

// item is the path of an item of a list, or of a key.
func item(path string, i int, key string) string {
	if strings.HasSuffix(path, ".list_actions") {
		return path + "." + key
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

// fail makes an error about a value of the config, with its place in the file as
// it is now.
func (s *Settings) fail(path, format string, args ...any) error {
	file := s.Home.ConfigFile()
	b, err := os.ReadFile(file)
	var places config.Places
	if err == nil {
		places, err = config.Read(file, b, new(config.Config))
	}
	if err != nil { // it was changed since it was read
		return &config.Error{File: file, Msg: fmt.Sprintf(format, args...)}
	}
	return places.Fail(path, format, args...)
}

// Troubles gives what is no reason to refuse a start, and yet is surely not
// meant: wishes for devices that do not exist, schedules that add nothing, pauses
// of what is not there.
func (s *Settings) Troubles() []error {
	var out []error
	var names []string
	for _, d := range s.Devices {
		names = append(names, d.Name)
	}
	absent := func(device string) bool { return !slices.Contains(names, device) }
	for _, name := range slices.Sorted(maps.Keys(s.Config.Devices)) {
		if absent(name) {
			out = append(out, s.fail("devices."+name, "devices: there is no device %q%s", name, spell.Meant(name, names...)))
		}
	}
	for _, group := range slices.Sorted(maps.Keys(s.Config.Groups)) {
		members := s.Config.Groups[group].Devices
		for i, name := range members {
			if absent(name) {
				path := fmt.Sprintf("groups.%s.devices[%d]", group, i)
				out = append(out, s.fail(path, "groups.%s: there is no device %q%s", group, name, spell.Meant(name, names...)))
			}
		}
		if len(members) == 0 {
			out = append(out, s.fail("groups."+group, "groups.%s has no devices; name them: devices: [%s]", group, strings.Join(names, ", ")))
		}
	}
	out = append(out, s.idleSchedules()...)
	return append(out, s.idlePauses(names)...)
}

// idlePauses finds pauses for devices or of lists that do not exist.
func (s *Settings) idlePauses(devices []string) []error {
	pauses, places, err := config.LoadPauses(s.Home.Path(pausesFile))
	if err != nil {
		return nil // told among what is broken
	}
	var out []error
	for i, p := range pauses {
		at := fmt.Sprintf("pauses[%d].", i)
		if p.Device != "" && !slices.Contains(devices, p.Device) {
			out = append(out, places.Fail(at+"device", "%sdevice: there is no device %q%s", at, p.Device, spell.Meant(p.Device, devices...)))
		}
		if p.List != "" && s.Lists.Find(p.List) == nil && !strings.HasPrefix(s.listOf(p.List), servicePrefix) {
			out = append(out, places.Fail(at+"list", "%slist: there is no list %q%s", at, p.List, spell.Meant(p.List, s.Lists.names()...)))
		}
	}
	return out
}

// idleSchedules finds schedules that add nothing to what always holds where they
// stand.
func (s *Settings) idleSchedules() []error {
	var out []error
	paths, wishes := s.Config.Layers()
	for i, path := range paths {
		w := &wishes[i]
		for _, name := range slices.Sorted(maps.Keys(w.Schedules)) {
			c := w.Schedules[name]
			lists := len(c.Lists) == 0 || len(w.Lists) > 0 && all(c.Lists, w.Lists)
			if c.Block == "" && c.Action == "" && lists && all(c.Services, w.Services) {
				at := path + ".schedules." + name
				out = append(out, s.fail(at, "%s adds nothing: all that it names applies at every hour", at))
			}
		}
	}
	return out
}

// all says whether every one of some is among others.
func all(some, others []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(others, s) })
}
