package blocklists

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nightlatch/blocklists/compiled"
	"nightlatch/blocklists/syntax"
)

// build keeps lists in a file and opens it.
func build(t testing.TB, lists ...*List) *Set {
	t.Helper()
	b, err := NewBuilder(filepath.Join(t.TempDir(), "lists"))
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range lists {
		if err := b.Add(l, fmt.Sprint("mark ", i)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plainRule is a Rule with nothing behind pointers, to be compared.
func plainRule(r Rule) string {
	w, d := r.Rewrite, r.Decode
	r.Rewrite, r.Decode = nil, nil
	return fmt.Sprintf("%+v %+v %+v", r, w, d)
}

// agree asks two Sets the same and holds the answers against each other.
func agree(t *testing.T, a, b *Set, q Query, addr netip.Addr, lists []string) (hit bool) {
	t.Helper()
	ina, err := a.Select(lists...)
	if err != nil {
		t.Fatal(err)
	}
	inb, err := b.Select(lists...)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, x, y Rule, okx, oky bool) {
		if okx != oky || plainRule(x) != plainRule(y) {
			t.Fatalf("%s of %+v %v in %v:\n%v %s\n%v %s", what, q, addr, lists, okx, plainRule(x), oky, plainRule(y))
		}
		hit = hit || okx
	}
	x, okx := a.Match(q.Name, ina)
	y, oky := b.Match(q.Name, inb)
	check("Match", x, y, okx, oky)
	x, okx = a.Ask(q, ina)
	y, oky = b.Ask(q, inb)
	check("Ask", x, y, okx, oky)
	if addr.IsValid() {
		x, okx = a.AskAddr(addr, q.Now, ina)
		y, oky = b.AskAddr(addr, q.Now, inb)
		check("AskAddr", x, y, okx, oky)
	}
	rx, ry := a.Rewrites(q, ina), b.Rewrites(q, inb)
	if !slices.EqualFunc(rx, ry, func(x, y Rule) bool { return plainRule(x) == plainRule(y) }) {
		t.Fatalf("Rewrites of %+v: %v and %v", q, rx, ry)
	}
	return hit
}

// TestOpenedAgrees: what was kept and opened answers as what was compiled, in
// thousands of small worlds, also when it was kept a second time from the first.
func TestOpenedAgrees(t *testing.T) {
	seed := rand.Uint64()
	d := dice{rand.New(rand.NewPCG(seed, 2))}
	t.Logf("seed %d", seed)
	hits := 0
	for range 150 {
		var lists []*List
		var names []string
		for i := range 1 + d.IntN(5) {
			lists = append(lists, d.list(t, i))
			names = append(names, lists[i].Name)
		}
		fresh, opened := Compile(lists...), build(t, lists...)
		again := build(t, opened.Opened()...)
		for i, l := range opened.Opened() {
			if got, want := slices.Collect(l.Rules()), slices.Collect(lists[i].Rules()); !slices.EqualFunc(got, want, func(x, y Rule) bool { return plainRule(x) == plainRule(y) }) && opened.infos[i].Duplicates == 0 {
				t.Fatalf("rules of %s:\n%v\n%v", l.Name, got, want)
			}
			if l.Mark() != fmt.Sprint("mark ", i) || l.Len() != lists[i].Len() || !reflect.DeepEqual(l.Report, lists[i].Report) {
				t.Fatalf("list %d: %q, %d rules, %+v", i, l.Mark(), l.Len(), l.Report)
			}
		}
		if !reflect.DeepEqual(fresh.Lists(), opened.Lists()) {
			t.Fatalf("%+v\n%+v", fresh.Lists(), opened.Lists())
		}
		for range 30 {
			q := Query{Name: d.name(), Type: []uint16{0, 1, 16}[d.IntN(3)]}
			if agree(t, fresh, opened, q, netip.Addr{}, names[:d.IntN(len(names)+1)]) {
				hits++
			}
			agree(t, fresh, again, q, netip.Addr{}, nil)
			agree(t, fresh, Compile(opened.Opened()...), q, netip.Addr{}, nil)
		}
	}
	if hits < 1500 {
		t.Errorf("only %d questions met a rule", hits)
	}
}

// TestOpenedAgreesReal is the same over lists as they are published, and the
// built-in ones.
func TestOpenedAgreesReal(t *testing.T) {
	var lists []*List
	var names []string
	for _, f := range []string{"adblock/dandelion-agh-compilation.txt.gz", "adblock/easyprivacy.txt.gz", "rules/actions.rpz", "rules/modifiers.txt",
		"adblock/agh-safesearch-google.txt", "doh/dibdot-doh-ipv6.txt", "hosts/stevenblack-unified.txt.gz"} {
		dataFile(t, f)
		l, err := ParseFile(Source{Name: f}, filepath.Join(dataDir, f))
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	for _, n := range BuiltinNames() {
		l, err := Builtin(n)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	fresh, opened := Compile(lists...), build(t, lists...)
	for _, l := range lists {
		n := 0
		for r := range l.Rules() {
			if n++; r.Domain != "" && n%37 == 0 {
				names = append(names, r.Domain, "x."+r.Domain, strings.ToUpper(r.Domain)+".")
			}
			if r.Match == Address && n%101 == 0 {
				agree(t, fresh, opened, Query{Name: "x", Now: time.Unix(1, 0)}, r.Prefix.Addr(), nil)
			}
		}
	}
	hits := 0
	for i, n := range names {
		q := Query{Name: n, Type: []uint16{1, 28, 65, 16}[i%4], Client: "Mom", Addr: netip.MustParseAddr("192.0.2.7"), Tags: []string{"device_tv"}}
		if agree(t, fresh, opened, q, netip.Addr{}, nil) {
			hits++
		}
	}
	if hits < len(names)/2 {
		t.Errorf("%d of %d names met a rule", hits, len(names))
	}
	if err := opened.Verify(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLeftOut fails when something is added to what a list keeps that its
// compiled form does not carry.
func TestNothingIsLeftOut(t *testing.T) {
	apart := map[string]bool{"records": true, "dead": true, "from": true, "index": true} // the rules themselves, and where they are
	kept := reflect.TypeFor[keptList]()
	for f := range reflect.TypeFor[List]().Fields() {
		k, ok := kept.FieldByName(f.Name)
		if !apart[f.Name] && (!ok || k.Type != f.Type) {
			t.Errorf("List.%s is not kept", f.Name)
		}
	}
	for _, v := range []any{new(detail), new(syntax.Pattern), new(syntax.Limits), new(Rewrite), new(Report), new(Reply), new(syntax.DecodeHint)} {
		fillAll(t, reflect.ValueOf(v).Elem(), 1)
		b, err := compiled.AppendValue(nil, reflect.ValueOf(v).Elem().Interface())
		if err != nil {
			t.Errorf("%T: %v", v, err)
			continue
		}
		got := reflect.New(reflect.TypeOf(v).Elem())
		if err := compiled.DecodeValue(b, got.Interface()); err != nil || fmt.Sprintf("%#v", shown(got.Elem())) != fmt.Sprintf("%#v", shown(reflect.ValueOf(v).Elem())) {
			t.Errorf("%T: %v\n%v\n%v", v, err, shown(got.Elem()), shown(reflect.ValueOf(v).Elem()))
		}
		for n := range len(b) {
			if compiled.DecodeValue(b[:n], reflect.New(reflect.TypeOf(v).Elem()).Interface()) == nil {
				t.Errorf("%T: the first %d of %d bytes pass for all", v, n, len(b))
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	b := build(f, parseText(f, Source{Name: "a", Format: Adblock}, "||a.example^\n@@|b.a.example^$denyallow=c.b.a.example\n/x[0-9]+y/\n||1.2.3.0^\n||r.example^$dnsrewrite=1.2.3.4\n"),
		parseText(f, Source{Name: "z", Format: RPZ}, "$TTL 60\n*.w.example CNAME .\nk.w.example CNAME rpz-passthru.\n8.1.2.0.192.rpz-client-ip CNAME .\n"))
	path := filepath.Join(f.TempDir(), "lists")
	keep, err := NewBuilder(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range b.Opened() {
		if err := keep.Add(l, ""); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := keep.Finish(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		table, meta, err := compiled.Parse(reseal(data))
		if err != nil {
			return
		}
		s, err := opened(table, meta)
		if err != nil {
			return
		}
		for _, n := range []string{"a.example", "x.b.a.example", "k.w.example", "x5y", "r.example", "\x00.\x00", strings.Repeat("a.", 126) + "a"} {
			s.Match(n, Selection{})
			q := Query{Name: n, Type: 1, Addr: netip.MustParseAddr("192.0.2.1")}
			s.Ask(q, Selection{})
			s.Rewrites(q, Selection{})
		}
		s.MatchAddr(netip.MustParseAddr("1.2.3.0"), Selection{})
		s.MatchAddr(netip.MustParseAddr("2001:db8::1"), Selection{})
		for _, l := range s.Opened() {
			for range l.Rules() {
			}
		}
		_ = s.Verify()
	})
}

// reseal makes the checksums of a file fit again, so that what lies behind them is
// reached. It knows the form of the file: see compiled.head.
func reseal(data []byte) []byte {
	const parts, at, each, blocks = 5, 56, 24, 24
	table := crc32.MakeTable(crc32.Castagnoli)
	end := at + parts*each
	if len(data) < 4096 {
		return data
	}
	data = slices.Clone(data)
	le := binary.LittleEndian
	part := func(i int) []byte {
		from, size := le.Uint64(data[at+i*each:]), le.Uint64(data[at+i*each+8:])
		if from > uint64(len(data)) || size > uint64(len(data))-from {
			return nil
		}
		return data[from : from+size]
	}
	sums := part(2)
	for i := 0; i < int(le.Uint32(data[blocks:])) && 4096+(i+1)*1024 <= len(data) && (i+1)*4 <= len(sums); i++ {
		le.PutUint32(sums[i*4:], crc32.Checksum(data[4096+i*1024:][:1024], table))
	}
	for i := range parts {
		le.PutUint32(data[at+i*each+16:], crc32.Checksum(part(i), table))
	}
	le.PutUint32(data[end:], crc32.Checksum(data[:end], table))
	return data
}

// TestDamaged: whatever byte of a file is wrong, it is told: when it is opened, or
// when the rule is needed and by Verify; and no question gets a wrong rule.
func TestDamaged(t *testing.T) {
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "||n%d.example^\n", i)
	}
	path := filepath.Join(t.TempDir(), "lists")
	b, err := NewBuilder(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(parseText(t, Source{Name: "a", Format: Adblock}, text.String()), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := rand.New(rand.NewPCG(1, 1))
	opened, refused := 0, 0
	for i := range 3000 {
		at := d.IntN(len(good))
		if i < 300 {
			at = i // the head
		}
		bad := slices.Clone(good)
		bad[at] ^= byte(1 + d.IntN(255))
		bad = bad[:len(bad)-d.IntN(2)*(i%7)]
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, compiled.ErrVersion) {
				t.Fatalf("byte %d: %v", at, err)
			}
			refused++
			continue
		}
		opened++
		for n := range 300 {
			name := fmt.Sprintf("n%d.example", n)
			r, ok := s.Match(name, Selection{})
			if ok && (r.Domain != name || r.Line != n+1 || r.Text != "||"+name+"^") || !ok && s.Damaged() == nil {
				t.Fatalf("byte %d: %s: %v %+v", at, name, ok, r)
			}
		}
		// Padding between the head and the blocks says nothing and is not summed.
		if inHead := at >= 180 && at < 4096; s.Verify() == nil != inHead || s.Verify() != nil && !errors.Is(s.Verify(), ErrDamaged) {
			t.Fatalf("byte %d: %v", at, s.Verify())
		}
	}
	if opened < 100 || refused < 100 {
		t.Errorf("%d opened, %d refused", opened, refused)
	}
	if _, err := Open(path + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestRulesOutliveTheSet: a rule stays good when its Set and its file are gone.
func TestRulesOutliveTheSet(t *testing.T) {
	var rules []Rule
	for i := range 50 {
		s := build(t, parseText(t, Source{Name: "a", Format: Hosts}, fmt.Sprintf("0.0.0.0 name%d.example\n", i)))
		r, ok := s.Match(fmt.Sprintf("name%d.example", i), Selection{})
		if !ok {
			t.Fatal(i)
		}
		rules = append(rules, r)
		collect()
	}
	for i, r := range rules {
		if want := fmt.Sprintf("name%d.example", i); r.Domain != want || r.Text != "0.0.0.0 "+want {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// TestTakenBackIsKept: what a list takes back of another is out of the compiled
// form, and comes again when that list goes.
func TestTakenBackIsKept(t *testing.T) {
	long := "||long.example^$denyallow=" + strings.Repeat("aa.long.example|", 5) + "b.long.example"
	a := parseText(t, Source{Name: "a", Format: Adblock}, "||x.example^\n||y.example^\n"+long+"\n/^re[0-9]+x/\n")
	b := parseText(t, Source{Name: "b", Format: Adblock}, "||x.example^$badfilter\n"+long+",badfilter\n/^re[0-9]+x/$badfilter\n||z.example^\n")
	check := func(what string, s *Set, rules, cancelled int, want map[string]bool) {
		t.Helper()
		for name, blocked := range want {
			if _, ok := s.Match(name, Selection{}); ok != blocked {
				t.Errorf("%s: %s: %v", what, name, ok)
			}
		}
		if i := s.Lists()[0]; i.Rules != rules || i.Report.Cancelled != cancelled {
			t.Errorf("%s: %+v", what, i)
		}
	}
	less := map[string]bool{"x.example": false, "long.example": false, "re1x.example": false, "y.example": true, "z.example": true}
	all := map[string]bool{"x.example": true, "long.example": true, "re1x.example": true, "y.example": true, "z.example": false}
	both := build(t, a, b)
	check("both", both, 1, 3, less)
	check("both again", build(t, both.Opened()...), 1, 3, less)
	check("both in memory", Compile(both.Opened()...), 1, 3, less)
	check("one", build(t, both.Opened()[0]), 4, 0, all)
	check("one in memory", Compile(both.Opened()[0]), 4, 0, all)
}

// TestTouchedByMany: many who need the same rule for the first time get the same.
func TestTouchedByMany(t *testing.T) {
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "n%d.example\n", i)
	}
	s := build(t, parseText(t, Source{Name: "a", Format: Domains}, text.String()))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				if r, ok := s.Match(fmt.Sprintf("n%d.example", i), Selection{}); !ok || r.Line != i+1 {
					t.Errorf("%d: %+v", i, r)
				}
			}
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
