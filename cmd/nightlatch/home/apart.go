package home

import (
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

// apart is the lists that are followed only where a device has them.
type apart struct {
	lists          []*blocklists.List
	services, safe []string // their names
}

// apart reads those that a wish names.
func (s *Settings) apart() (apart, error) {
	var out apart
	wanted := map[string]bool{}
	_, wishes := s.Config.Layers()
	for _, w := range wishes {
		services := slices.Clone(w.Services)
		for _, c := range w.Schedules {
			services = append(services, c.Services...)
		}
		for _, name := range services {
			if !wanted[name] {
				wanted[name] = true
				if err := out.service(name); err != nil {
					return out, err
				}
			}
		}
		if name := safeLists[w.SafeSearch]; name != "" && !wanted[name] {
			wanted[name] = true
			l, err := blocklists.SafeSearch(name == safeStrict)
			if err != nil {
				return out, err
			}
			named := *l
			named.Name = name
			out.lists, out.safe = append(out.lists, &named), append(out.safe, name)
		}
	}
	slices.SortFunc(out.lists, func(a, b *blocklists.List) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// service adds one, on the level of the owner's own lists: it is his wish, and
// between a service and what a list of his allows the more specific counts.
func (a *apart) service(name string) error {
	l, err := blocklists.Service(name)
	if err != nil {
		return err
	}
	own := *l
	own.Own = true
	a.lists, a.services = append(a.lists, &own), append(a.services, own.Name)
	return nil
}

// listOf gives the list that a pause means: one of that name, or else a service.
func (s *Settings) listOf(name string) string {
	if s.Lists.Find(name) == nil && slices.Contains(blocklists.Services(), strings.TrimPrefix(name, servicePrefix)) {
		return servicePrefix + strings.TrimPrefix(name, servicePrefix)
	}
	return name
}
