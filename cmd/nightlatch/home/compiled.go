package home

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"nightlatch/blocklists"
)

// CompiledFile is where the lists are kept in compiled form, so that a start does
// not parse them again. It may be deleted at any time: it is made anew.
func (h Home) CompiledFile() string { return h.Path(compiledFile) }

const compiledFile = "lists.compiled"

// origin says what a list was made from. A list is taken from the compiled form
// only when all of this is as it was.
type origin struct {
	Maker  string // the program that parsed it
	Source string // what was known about the list before it was read
	Files  []fileMark
}

// fileMark is what one file was like when it was read.
type fileMark struct {
	Path string
	Size int64
	Time time.Time // of its last change
	Read time.Time // when it was read
	Sum  string    // SHA-256; "" when it may have changed while it was read
}

// fresh is how old a change has to be for its time to tell it from the next one:
// some file systems keep times in steps of two seconds.
const fresh = 2 * time.Second

// maker tells this program from an older or newer one, which may understand a
// line differently.
func maker() string {
	out := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		out = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
				out += " " + s.Value
			}
		}
	}
	if exe, err := os.Executable(); err == nil {
		if st, err := os.Stat(exe); err == nil {
			out += fmt.Sprintf(" %d %d", st.Size(), st.ModTime().UnixNano())
		}
	}
	return out
}

// sourceWords is a Source in words that can be compared.
func sourceWords(src blocklists.Source) string {
	match := "by format"
	if src.Match != nil {
		match = src.Match.String()
	}
	src.Match = nil
	return fmt.Sprintf("%+v %s", src, match)
}

// mark looks at a file: before it is read, so that a change that comes while it is
// being read is seen the next time.
func mark(path string) (fileMark, error) {
	m := fileMark{Path: path, Read: time.Now()}
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return m, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return m, err
	}
	m.Size, m.Time, m.Sum = st.Size(), st.ModTime(), hex.EncodeToString(h.Sum(nil))
	return m, nil
}

// same says whether a file is what it was. Its content is read only when its time
// does not tell.
func (m *fileMark) same() bool {
	st, err := os.Stat(m.Path)
	if err != nil || st.Size() != m.Size || m.Sum == "" {
		return false
	}
	if st.ModTime().Equal(m.Time) && m.Time.Add(fresh).Before(m.Read) {
		return true
	}
	now, err := mark(m.Path)
	return err == nil && now.Sum == m.Sum
}

// assembly puts the lists of a home together: those that are unchanged from the
// compiled form, the others from their files, one after the other, so that only
// one parsed list is in memory at a time.
type assembly struct {
	path  string // of the compiled form; "" to work in memory
	maker string
	prior *blocklists.Set // what was compiled before; nil when there is nothing
	lists []*blocklists.List
	build *blocklists.Builder // nil as long as everything is as in prior
	err   error
}

// prior opens what a home has compiled. Damage is told; a file that is absent or
// of another version is no trouble.
func prior(path string) (s *blocklists.Set, damage error) {
	s, err := blocklists.Open(path)
	if errors.Is(err, blocklists.ErrDamaged) {
		return nil, err
	}
	return s, nil
}

// last gives the list of that name and file as it was compiled before, and what it
// was made from; nil when there is none.
func (a *assembly) last(name, path string) (*blocklists.List, *origin) {
	if a.prior == nil {
		return nil, nil
	}
	for _, l := range a.prior.Opened() {
		var o origin
		if l.Name != name || json.Unmarshal([]byte(l.Mark()), &o) != nil {
			continue
		}
		if len(o.Files) == 0 && path == "" || len(o.Files) > 0 && o.Files[0].Path == path {
			return l, &o
		}
	}
	return nil, nil
}

// unchanged gives a list from the compiled form; nil when it was not made from
// just this.
func (a *assembly) unchanged(src blocklists.Source, path string) *blocklists.List {
	l, o := a.last(src.Name, path)
	if l == nil || o.Maker != a.maker || o.Source != sourceWords(src) {
		return nil
	}
	for i := range o.Files {
		if !o.Files[i].same() {
			return nil
		}
	}
	return l
}

// read takes a list from its file, "" for a built-in one, or from the compiled
// form when it is unchanged.
func (a *assembly) read(src blocklists.Source, path string) error {
	if l := a.unchanged(src, path); l != nil {
		a.take(l, l.Mark())
		return nil
	}
	o := origin{Maker: a.maker, Source: sourceWords(src)}
	if path == "" {
		l, err := blocklists.BuiltinSource(src)
		if err != nil {
			return err
		}
		a.take(l, o.text())
		return nil
	}
	begun := time.Now()
	if m, err := mark(path); err == nil { // otherwise the parser tells
		o.Files = append(o.Files, m)
	}
	l, err := blocklists.ParseFile(src, path)
	if err != nil {
		return err
	}
	for _, name := range l.Report.Included {
		m, err := mark(filepath.Join(filepath.Dir(path), name))
		if err != nil || m.Time.Add(fresh).After(begun) {
			m.Sum = "" // perhaps not what was read
		}
		o.Files = append(o.Files, m)
	}
	a.take(l, o.text())
	return nil
}

// standIn takes a list that has no rules, since nothing was fetched for it yet.
func (a *assembly) standIn(l *blocklists.List) {
	if was, _ := a.last(l.Name, ""); was != nil && was.Len() == 0 && was.Report.Format == l.Report.Format {
		l = was
	}
	a.take(l, "{}")
}

func (o *origin) text() string {
	b, _ := json.Marshal(o) // plain data
	return string(b)
}

// take adds a list that was made from what words says. As long as the lists come
// as they are in the compiled form, nothing is built.
func (a *assembly) take(l *blocklists.List, words string) {
	n := len(a.lists)
	a.lists = append(a.lists, l)
	switch {
	case a.path == "":
		return
	case a.build == nil && a.prior != nil && n < len(a.prior.Opened()) && a.prior.Opened()[n] == l:
		return
	case a.build == nil:
		a.begin(n)
	}
	if a.err == nil {
		a.err = a.build.Add(l, words)
		a.lists[n] = l.Bare() // its rules are on the disk
	}
}

// begin starts to build anew, with the lists so far, which are those of prior.
func (a *assembly) begin(n int) {
	if a.build, a.err = blocklists.NewBuilder(a.path); a.err != nil {
		return
	}
	for i := range n {
		if a.err == nil {
			a.err = a.build.Add(a.lists[i], a.lists[i].Mark())
		}
	}
}

// finish gives the Set and its lists. What cannot be kept on the disk is an error.
func (a *assembly) finish() (*blocklists.Set, []*blocklists.List, error) {
	if a.path == "" {
		return blocklists.Compile(a.lists...), a.lists, nil
	}
	if a.build == nil && a.prior != nil && len(a.lists) == len(a.prior.Opened()) {
		return a.prior, a.prior.Opened(), nil
	}
	if a.build == nil {
		a.begin(len(a.lists))
	}
	if a.err != nil {
		if a.build != nil {
			a.build.Discard()
		}
		return nil, nil, a.err
	}
	s, err := a.build.Finish()
	if err != nil {
		return nil, nil, err
	}
	return s, s.Opened(), nil
}
