package blocklists

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"nightlatch/blocklists/compiled"
	"nightlatch/blocklists/syntax"
)

// ErrDamaged is in the chain of an error about a compiled file that is not what
// was written.
var ErrDamaged = compiled.ErrDamaged

// Builder makes a Set that is kept in a file, list by list. What it holds in
// memory does not grow with the number of rules: the rules of a list go to the
// disk when the list is added, and the list can be let go.
type Builder struct {
	path  string
	aside *os.File
	w     *compiled.Writer
	set   *Set
	kept  map[*Set]map[int]int // lists of older Sets: the place of each there, and here
	marks []string
	err   error

	have4, have6 [129]bool
}

// NewBuilder begins a Set that will be kept at path. Finish or Discard ends it.
func NewBuilder(path string) (*Builder, error) {
	aside, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	b := newBuilder(aside)
	b.path = path
	return b, nil
}

func newBuilder(aside *os.File) *Builder {
	b := &Builder{aside: aside, w: compiled.NewWriter(aside), set: &Set{}, kept: map[*Set]map[int]int{}}
	b.w.Same = b.set.same
	return b
}

// Add takes a list. mark says what the list was made from, in the caller's own
// words; [List.Mark] gives it back. A list of a Set that was opened is taken from
// there without being parsed.
func (b *Builder) Add(l *List, mark string) error {
	b.add(l)
	b.marks = append(b.marks, mark)
	return b.err
}

func (b *Builder) add(l *List) {
	n := len(b.set.lists)
	b.set.lists = append(b.set.lists, l.Bare())
	for len(b.w.Counts) <= n {
		b.w.Counts = append(b.w.Counts, compiled.Counts{})
	}
	if l.from == nil {
		var one record // of the heap only once
		for _, one = range l.each() {
			b.rule(&one, n)
		}
		return
	}
	if b.kept[l.from] == nil {
		b.kept[l.from] = map[int]int{}
	}
	b.kept[l.from][l.index] = n
	gone := 0
	for _, r := range slices.Concat(l.from.beside.Rare, l.from.beside.Gone) {
		if r.List == l.index {
			b.rule(&record{Record: r}, n)
		}
	}
	for _, r := range l.from.beside.Gone {
		if r.List == l.index {
			gone++
		}
	}
	b.cancelled(n, -gone)
}

// cancelled counts rules of a list that others take back.
func (b *Builder) cancelled(list, n int) {
	l := b.set.lists[list]
	l.count -= n
	l.Report.Cancelled += n
}

// takeBack leaves out what the lists take back of one another.
// It is kept apart, for the next time may be without the list that did it.
func (b *Builder) takeBack() {
	by := make([]map[string]struct{}, len(b.set.lists))
	b.w.Suspect = map[int]bool{}
	for i := range b.set.lists {
		if by[i] = cancelsOf(b.set.lists, i); len(by[i]) > 0 {
			b.w.Suspect[i] = true
		}
	}
	b.w.Gone = func(r *compiled.Record) bool {
		if _, ok := by[r.List][syntax.CancelKey(r.Text)]; !ok {
			return false
		}
		b.set.beside.Gone = append(b.set.beside.Gone, *r)
		b.cancelled(r.List, 1)
		return true
	}
	b.set.beside.Rare = slices.DeleteFunc(b.set.beside.Rare, func(r compiled.Record) bool {
		gone := b.w.Suspect[r.List] && b.w.Gone(&r)
		if gone {
			b.w.Counts[r.List].Rules--
		}
		return gone
	})
}

// Bare is a list without its rules: what is said about it, and its report.
func (l *List) Bare() *List {
	c := *l
	c.records, c.dead, c.from = nil, nil, nil
	return &c
}

// rule takes one rule of list n.
func (b *Builder) rule(r *record, n int) {
	r.List = n
	if d := b.set.lists[n].detail(r); d != nil && (d.pattern != nil || d.client.IsValid()) {
		b.set.beside.Rare = append(b.set.beside.Rare, r.Record)
		b.w.Counts[n].Rules++
		return
	}
	if r.Raw {
		if p := keyPrefix(r.Key); p.Addr().Is4() {
			b.have4[p.Bits()] = true
		} else if p.IsValid() {
			b.have6[p.Bits()] = true
		}
	}
	if err := b.w.Add(&r.Record); err != nil && b.err == nil {
		b.err = fmt.Errorf("blocklists: %w", err)
	}
}

// infos tells what became of the lists. It also notes the prefixes met.
func (b *Builder) infos() (out []ListInfo) {
	for i, l := range b.set.lists {
		c := b.w.Counts[i]
		out = append(out, ListInfo{Name: l.Name, Title: l.Title, Owner: l.Owner, About: l.About, Own: l.Own,
			Rules: c.Rules, Duplicates: c.Duplicates, Crowded: c.Crowded, Report: l.Report})
	}
	b.set.beside.Bits4, b.set.beside.Bits6 = lengths(&b.have4), lengths(&b.have6)
	return out
}

func lengths(have *[129]bool) []uint8 {
	var out []uint8
	for n := 128; n >= 0; n-- {
		if have[n] {
			out = append(out, uint8(n))
		}
	}
	return out
}

// Discard ends a Builder without a Set. After Finish it does nothing.
func (b *Builder) Discard() {
	if b.aside != nil {
		b.aside.Close()
		os.Remove(b.aside.Name())
		b.aside = nil
	}
}

// Finish writes the Set to its file, whole or not at all, and opens it. A Set that
// was open before goes on as it was.
func (b *Builder) Finish() (*Set, error) {
	defer b.Discard()
	b.drain()
	if b.err != nil {
		return nil, b.err
	}
	b.takeBack()
	if err := b.w.WriteFile(b.path, b.meta); err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	return Open(b.path)
}

// drain takes the rules of lists that were opened.
func (b *Builder) drain() {
	for old, places := range b.kept {
		err := old.table.Scan(func(r *compiled.Record) bool {
			if n, ok := places[r.List]; ok {
				b.rule(&record{Record: *r}, n)
			}
			return b.err == nil
		})
		if err != nil && b.err == nil {
			b.err = fmt.Errorf("blocklists: %w", err)
		}
	}
}

// kept is what a file holds besides the rules.
type kept struct {
	Lists  []keptList
	Beside beside
}

// keptList is a list with all it has besides its rules.
type keptList struct {
	Name, Title, Owner, About string
	Own, Overlay              bool
	Reply                     Reply
	Report                    Report
	details                   []detail
	count                     int
	holes                     map[string]struct{}
	Cancels                   []string

	info ListInfo // without what the list says itself
	mark string
}

func (b *Builder) meta() ([]byte, error) {
	infos := b.infos()
	k := kept{Beside: b.set.beside}
	for i, l := range b.set.lists {
		k.Lists = append(k.Lists, keptList{l.Name, l.Title, l.Owner, l.About, l.Own, l.Overlay, l.Reply, l.Report, l.details, l.count, l.holes, l.Cancels,
			ListInfo{Rules: infos[i].Rules, Duplicates: infos[i].Duplicates, Crowded: infos[i].Crowded}, b.marks[i]})
	}
	return compiled.AppendValue(nil, k)
}

// Open opens a Set that a Builder kept. Nothing is parsed; the rules are read when
// they are needed. An error that is ErrDamaged, or fs.ErrNotExist, or any other,
// means that the Set must be built anew.
func Open(path string) (*Set, error) {
	t, meta, err := compiled.Open(path)
	if err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	s, err := opened(t, meta)
	if err != nil {
		return nil, fmt.Errorf("blocklists: %s: %w: %w", path, ErrDamaged, err)
	}
	return s, nil
}

// opened makes a Set of a table and what was kept besides it.
func opened(t *compiled.Table, meta []byte) (*Set, error) {
	var k kept
	if err := compiled.DecodeValue(meta, &k); err != nil {
		return nil, err
	}
	s := &Set{beside: k.Beside}
	var infos []ListInfo
	for i, l := range k.Lists {
		s.lists = append(s.lists, &List{Name: l.Name, Title: l.Title, Owner: l.Owner, About: l.About, Own: l.Own, Overlay: l.Overlay,
			Reply: l.Reply, Report: l.Report, details: l.details, count: l.count, holes: l.holes, Cancels: l.Cancels, from: s, index: i})
		infos = append(infos, ListInfo{l.Name, l.Title, l.Owner, l.About, l.Own, l.info.Rules, l.info.Duplicates, l.info.Crowded, l.Report})
		s.marks = append(s.marks, l.mark)
	}
	if err := s.sound(t); err != nil {
		return nil, err
	}
	s.ready(t, infos)
	return s, nil
}

var errPieces = errors.New("its pieces do not fit together")

// sound checks what later is taken for granted, for a file that someone made up.
func (s *Set) sound(t *compiled.Table) error {
	if t.Lists() > len(s.lists) {
		return errPieces
	}
	for _, l := range s.lists {
		for i := range l.details {
			if d := &l.details[i]; d.kind != plain && d.rewrite == nil {
				return errPieces
			}
		}
	}
	for i := range s.beside.Rare {
		r := record{Record: s.beside.Rare[i]}
		if r.List < 0 || r.List >= len(s.lists) {
			return errPieces
		}
		if d := s.lists[r.List].detail(&r); d == nil || d.pattern == nil && !d.client.IsValid() {
			return errPieces
		}
	}
	return nil
}

// Opened gives the lists of a Set that was opened, in their order; nil for one
// that Compile made. Their rules are read from the Set's file when asked for.
func (s *Set) Opened() []*List {
	if len(s.lists) == 0 || s.lists[0].from == nil {
		return nil
	}
	return append([]*List(nil), s.lists...)
}

// Mark gives what was said of a list when it was added to the Set it was opened
// with; "" for a list that was parsed.
func (l *List) Mark() string {
	if l.from == nil {
		return ""
	}
	return l.from.marks[l.index]
}
