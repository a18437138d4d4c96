package blocklists

import (
	"fmt"

	"nightlatch/config/spell"
)

// Selection is a part of the lists of a Set: those a device has. The zero value
// selects every list. A Selection belongs to the Set that made it.
type Selection struct {
	bits []uint64 // nil: all
}

// Select gives the selection of the lists with these names; no names give all.
// A name that no list has is an error, which says the nearest one that exists.
func (s *Set) Select(names ...string) (Selection, error) {
	if len(names) == 0 {
		return Selection{}, nil
	}
	sel := s.SelectNone()
	for _, name := range names {
		found := false
		for i, l := range s.lists {
			if l.Name == name {
				sel.bits[i/64] |= 1 << (i % 64)
				found = true
			}
		}
		if !found {
			return Selection{}, fmt.Errorf("blocklists: no list is called %q%s", clip(name), spell.Meant(name, s.listNames()...))
		}
	}
	return sel, nil
}

// SelectNone gives the selection of no list at all.
func (s *Set) SelectNone() Selection {
	return Selection{bits: make([]uint64, len(s.lists)/64+1)}
}

func (s *Set) listNames() []string {
	var out []string
	for _, l := range s.lists {
		out = append(out, l.Name)
	}
	return out
}

func (s Selection) has(list int) bool {
	return s.bits == nil || list/64 < len(s.bits) && s.bits[list/64]>>(list%64)&1 != 0
}
