// The rules of the house, as a test: who may import whom, which outside library
// enters by which door, and how large a room may grow. To move a wall, edit a
// table below and say why in the commit.
package nightlatch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors: a package imports only packages of lower floors. A sub-package
// stands just below its parent: its parent and everything above may use it.
var floors = map[string]int{
	"config":         1,
	"hello":          1, // first messages of TLS and QUIC: tunnel and sinkhole, which are siblings, both read them
	"blocklists":     2,
	"policy":         3,
	"decoder":        3,
	"journal":        4,
	"resolver":       5,
	"sinkhole":       5,
	"tunnel":         5,
	"dashboard":      6,
	"cmd/nightlatch": 7,
	"bench":          8,
	"e2e":            8,
}

// doors: the rooms (with their sub-packages) by which a library enters.
// A library that is not named here enters nowhere.
var doors = map[string][]string{
	"github.com/miekg/dns":                 {"resolver"},
	"github.com/quic-go/quic-go":           {"resolver"}, // DNS over QUIC and HTTP/3
	"golang.zx2c4.com/wireguard":           {"tunnel"},
	"gvisor.dev/gvisor":                    {"tunnel"},
	"gopkg.in/yaml.v3":                     {"config", "blocklists", "decoder", "cmd/nightlatch"}, // decoder: codec keys as data; cmd: what lists say of payloads, for it
	"modernc.org/sqlite":                   {"cmd/nightlatch"},
	"github.com/andybalholm/brotli":        {"decoder"},
	"github.com/klauspost/compress":        {"decoder"},
	"github.com/pierrec/lz4/v4":            {"decoder"},
	"golang.org/x/text":                    {"decoder", "blocklists"},
	"golang.org/x/net/idna":                {"blocklists"},
	"golang.org/x/net/icmp":                {"tunnel"},
	"golang.org/x/net/ipv4":                {"tunnel", "resolver"},
	"golang.org/x/net/ipv6":                {"tunnel"},
	"golang.org/x/net/http2":               {"resolver"},
	"golang.org/x/net/publicsuffix":        {"cmd/nightlatch"}, // names as wide as co.uk
	"golang.org/x/sys":                     {"tunnel", "resolver", "bench"},
	"github.com/spf13/cobra":               {"cmd/nightlatch"},
	"github.com/spf13/pflag":               {"cmd/nightlatch"},
	"github.com/oschwald/maxminddb-golang": {"dashboard"}, // countries and networks of a report
	"github.com/boombuler/barcode":         {"cmd/nightlatch"},
	"golang.org/x/net/dns/dnsmessage":      {"cmd/nightlatch", "tunnel"}, // the simulated phone and internet
	"golang.org/x/term":                    {"cmd/nightlatch"},
}

// testDoors: libraries that tests may use anywhere.
var testDoors = []string{"github.com/rogpeppe/go-internal", "modernc.org/sqlite", "gopkg.in/yaml.v3", "github.com/miekg/dns"}

const (
	maxFile    = 500  // lines, tests apart
	maxPackage = 2500 // lines, tests apart
	maxFunc    = 80   // lines
)

type file struct {
	path, dir string
	test      bool
	lines     int
	ast       *ast.File
	fset      *token.FileSet
}

func goFiles(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != ".") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && d.IsDir() && p != "." {
			return filepath.SkipDir // a module of its own never enters the program
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		out = append(out, file{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), bytes.Count(src, []byte("\n")), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// room gives the room a folder belongs to: resolver/upstream is in resolver.
func room(dir string) string {
	for r := range floors {
		if dir == r || strings.HasPrefix(dir, r+"/") {
			return r
		}
	}
	return ""
}

func TestFloors(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.dir == "." {
			continue
		}
		from := room(f.dir)
		if from == "" {
			t.Errorf("%s: no floor is named for this folder in house_test.go", f.path)
			continue
		}
		for _, imp := range f.ast.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			if to, ours := strings.CutPrefix(name, "nightlatch/"); ours {
				checkFloor(t, f, from, to)
			}
		}
	}
}

func checkFloor(t *testing.T, f file, from, to string) {
	target := room(to)
	switch {
	case target == from:
		if !strings.HasPrefix(to, f.dir+"/") && path.Dir(to) != path.Dir(f.dir) {
			t.Errorf("%s: a sub-package imports its parent %s", f.path, to)
		}
	case floors[target] >= floors[from]:
		t.Errorf("%s: %s (floor %d) imports %s (floor %d); only serve.go hands them to one another",
			f.path, from, floors[from], to, floors[target])
	}
}

func TestDoors(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, imp := range f.ast.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			first, _, _ := strings.Cut(name, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library and our own rooms
			}
			under := func(lib string) bool { return name == lib || strings.HasPrefix(name, lib+"/") }
			if f.test && slices.ContainsFunc(testDoors, under) {
				continue
			}
			allowed := false
			for lib, rooms := range doors {
				allowed = allowed || under(lib) && slices.Contains(rooms, room(f.dir))
			}
			if !allowed {
				t.Errorf("%s: %s does not enter by %s; see the doors in house_test.go", f.path, name, f.dir)
			}
		}
	}
}

func TestPackageDocs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.ast.Doc.Text() != ""
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

func TestSizes(t *testing.T) {
	total := map[string]int{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		if f.lines > maxFile {
			t.Errorf("%s: %d lines, the house stops at %d", f.path, f.lines, maxFile)
		}
		if total[f.dir] += f.lines; total[f.dir] > maxPackage && total[f.dir]-f.lines <= maxPackage {
			t.Errorf("%s: more than %d lines in one package", f.dir, maxPackage)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if n > maxFunc {
				t.Errorf("%s: func %s has %d lines, the house stops at %d", f.path, fn.Name.Name, n, maxFunc)
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: func init; serve.go builds things, in the open", f.path)
			}
		}
	}
}

// TestNoSleep: tests wait for a condition or use testing/synctest; a sleep is
// a guess about the machine.
func TestNoSleep(t *testing.T) {
	for _, f := range goFiles(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				t.Errorf("%s: time.Sleep", f.fset.Position(sel.Pos()))
			}
			return true
		})
	}
}
