package find

// automaton is an Aho-Corasick machine over bytes. Upper case is folded into
// lower and the two characters of the URL alphabet of base64 into those of the
// standard one; who needs the difference looks again at what was hit. It is built once and only read afterwards. Its table is dense in
// states but narrow: bytes that occur in no needle share one column.
type automaton struct {
	column  [256]uint8
	columns int
	next    []int32 // state*columns + column
	ends    [][]int32
	link    []int32 // nearest proper suffix state that ends a needle, or 0
}

// newAutomaton builds the machine for the texts; their numbers are what
// [automaton.scan] gives back.
func newAutomaton(texts []string) *automaton {
	a := &automaton{columns: 1}
	for _, t := range texts {
		for i := range len(t) {
			c := fold(t[i])
			if a.column[c] == 0 {
				a.column[c] = uint8(a.columns)
				a.columns++
			}
		}
	}
	for c := range a.column {
		a.column[c] = a.column[fold(byte(c))]
	}
	a.add()
	for n, t := range texts {
		a.insert(t, int32(n))
	}
	a.connect()
	return a
}

func fold(c byte) byte {
	switch c {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return lower(c)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (a *automaton) add() int32 {
	a.next = append(a.next, make([]int32, a.columns)...)
	a.ends = append(a.ends, nil)
	a.link = append(a.link, 0)
	return int32(len(a.ends) - 1)
}

func (a *automaton) insert(text string, n int32) {
	state := int32(0)
	for i := range len(text) {
		slot := int(state)*a.columns + int(a.column[fold(text[i])])
		if a.next[slot] == 0 {
			fresh := a.add()
			a.next[slot] = fresh
		}
		state = a.next[slot]
	}
	a.ends[state] = append(a.ends[state], n)
}

// connect turns the trie into a machine that never steps back: missing edges
// become those of the longest suffix (Aho and Corasick, 1975).
func (a *automaton) connect() {
	fail := make([]int32, len(a.ends))
	queue := make([]int32, 0, len(a.ends))
	for c := range a.columns {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if a.link[s] = fail[s]; len(a.ends[fail[s]]) == 0 {
			a.link[s] = a.link[fail[s]]
		}
		for c := range a.columns {
			slot := int(s)*a.columns + c
			back := a.next[int(fail[s])*a.columns+c]
			if t := a.next[slot]; t != 0 {
				fail[t] = back
				queue = append(queue, t)
			} else {
				a.next[slot] = back
			}
		}
	}
}

// scan calls hit with the number of every needle that occurs in p and the
// offset behind it, until hit returns false.
func (a *automaton) scan(p []byte, hit func(needle int32, end int) bool) {
	state := int32(0)
	for i, c := range p {
		state = a.next[int(state)*a.columns+int(a.column[c])]
		for s := state; s != 0; s = a.link[s] {
			for _, n := range a.ends[s] {
				if !hit(n, i+1) {
					return
				}
			}
		}
	}
}
