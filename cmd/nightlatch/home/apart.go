package home

import (
	"fmt"
	"slices"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/config"
)

// Lists that come with the program and are followed only where a device has them.
const (
	servicePrefix = "service:"
	safeList      = "safe-search"
	safeStrict    = "safe-search-strict"
)

// safeLists is the list by the word of the config.
var safeLists = map[config.Safe]string{"on": safeList, "strict": safeStrict}

func serviceLists(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, servicePrefix+name)
	}
	return out
}

// apart gives the names of the services that a config names, and of the lists of
// safe search, each once. Services that do not exist are left out: checkNames
// tells of them.
func apart(cfg *config.Config) (services, safe []string) {
	known := blocklists.Services()
	_, wishes := cfg.Layers()
	for _, w := range wishes {
		names := slices.Clone(w.Services)
		for _, c := range w.Schedules {
			names = append(names, c.Services...)
		}
		for _, name := range names {
			if slices.Contains(known, name) {
				services = append(services, servicePrefix+name)
			}
		}
		if name := safeLists[w.SafeSearch]; name != "" {
			safe = append(safe, name)
		}
	}
	return sortedOnce(services), sortedOnce(safe)
}

func sortedOnce(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// addApart adds the lists that come with the program for those who have them.
func (s *Lists) addApart(cfg *config.Config) error {
	services, safe := apart(cfg)
	for _, name := range append(services, safe...) {
		if s.has(name) {
			return fmt.Errorf("a list of yours is called %s, and so is one that comes with nightlatch; rename yours", name)
		}
		if err := s.parts.embedded(name); err != nil {
			return err
		}
	}
	return nil
}

// embedded takes a service or safe search, from the compiled form when this very
// program put it there.
func (a *assembly) embedded(name string) error {
	o := origin{Maker: a.maker, Source: "comes with the program"}
	if l, was := a.last(name, ""); l != nil && was.Maker == o.Maker && was.Source == o.Source {
		a.take(l, l.Mark())
		return nil
	}
	l, err := embedded(name)
	if err != nil {
		return err
	}
	a.take(l, o.text())
	return nil
}

// embedded reads a list that comes with the program. A service stands on the
// level of the owner's own lists: it is his wish, and between a service and what a
// list of his allows the more specific counts.
func embedded(name string) (*blocklists.List, error) {
	service, ok := strings.CutPrefix(name, servicePrefix)
	if ok {
		l, err := blocklists.Service(service)
		if err != nil {
			return nil, err
		}
		own := *l
		own.Own = true
		return &own, nil
	}
	l, err := blocklists.SafeSearch(name == safeStrict)
	if err != nil {
		return nil, err
	}
	named := *l
	named.Name = name
	return &named, nil
}

// Apart says whether a list is followed only where a device has it.
func Apart(name string) bool {
	return strings.HasPrefix(name, servicePrefix) || name == safeList || name == safeStrict
}

// listOf gives the list that a pause means: one of that name, or else a service.
func (s *Settings) listOf(name string) string {
	if s.Lists.Find(name) == nil && slices.Contains(blocklists.Services(), name) {
		return servicePrefix + name
	}
	return name
}
