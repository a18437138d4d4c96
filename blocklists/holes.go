package blocklists

// findHoles notes the names of a zone that end the reach of a wildcard above
// them: in the DNS, and so in an RPZ zone, *.example says nothing about what is
// below a name that the zone has itself (RFC 4592 §3.3.1). Names that exist only
// because there is something below them are not looked for.
func (l *List) findHoles() {
	wild := map[string]struct{}{}
	for _, r := range l.each() {
		if r.match() == Below {
			wild[r.Key] = struct{}{}
		}
	}
	for _, r := range l.each() {
		if m := r.match(); m != Exact && m != Below {
			continue
		}
		// Where the name is a wildcard too, that one is found before those above
		// it, unless it is for certain types only.
		if _, own := wild[r.Key]; own && !l.limited(&r) {
			continue
		}
		for _, above := range parents(r.Key) {
			if _, ok := wild[above]; ok {
				if l.holes == nil {
					l.holes = map[string]struct{}{}
				}
				l.holes[r.Key] = struct{}{}
				break
			}
		}
	}
}

func (l *List) limited(r *record) bool {
	d := l.detail(r)
	return d != nil && d.limits != nil
}

// parents gives the names above a name, the nearest first.
func parents(name string) []string {
	var out []string
	for i := range len(name) {
		if name[i] == '.' {
			out = append(out, name[i+1:])
		}
	}
	return out
}

// shadowed says whether one of the list's own names is the name, or lies between
// it and a wildcard at the last size bytes of it.
func (l *List) shadowed(name []byte, size int) bool {
	if len(l.holes) == 0 {
		return false
	}
	if _, ok := l.holes[string(name)]; ok {
		return true
	}
	for i := 0; i < len(name)-size-1; i++ {
		if name[i] == '.' {
			if _, ok := l.holes[string(name[i+1:])]; ok {
				return true
			}
		}
	}
	return false
}
