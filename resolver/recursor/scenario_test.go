package recursor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// TestScenarios plays the text files of testdata/scenarios.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scenarios: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, string(text)) })
		})
	}
}

func play(t *testing.T, text string) {
	all := blocks(t, text)
	n, edit := newInternet(t, ""), func(o *Options) {}
	var r *Recursor
	for _, b := range all {
		if n.apply(b) {
			continue
		}
		switch b.head[0] {
		case "refuse": // refuse PREFIX...
			edit = func(o *Options) {
				o.Refuse = func(a netip.Addr) bool {
					return slices.ContainsFunc(b.head[1:], func(p string) bool { return netip.MustParsePrefix(p).Contains(a) })
				}
			}
		case "wait":
			d, err := time.ParseDuration(b.head[1])
			if err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
			<-time.After(d)
		case "ask":
			if r == nil {
				r = n.recursor(edit)
			}
			n.take()
			begin := time.Now()
			m, err := ask(t.Context(), r, b.head[1], dns.StringToType[b.head[2]])
			took := time.Since(begin)
			synctest.Wait()
			check(t, b, m, err, took, n.take())
		default:
			t.Fatalf("line %d: what is %q?", b.line, b.head[0])
		}
	}
}

// check compares what came with the lines below "ask".
func check(t *testing.T, b block, m *dns.Msg, err error, took time.Duration, log []asked) {
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("line %d: ask %s: %s\nanswer: %v %v\nasked: %v", b.line, strings.Join(b.head[1:], " "), fmt.Sprintf(format, args...), m, err, log)
	}
	var answers []string
	if m != nil {
		for _, rr := range m.Answer {
			answers = append(answers, rr.String())
		}
	}
	for _, line := range b.body {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "rcode":
			if m == nil || dns.RcodeToString[m.Rcode] != rest {
				wrong("want %s", rest)
			}
		case "fails":
			if err == nil {
				wrong("want an error")
			}
		case "answer":
			rr, e := dns.NewRR(rest)
			if e != nil || !slices.Contains(answers, rr.String()) {
				wrong("want %s", rest)
			}
		case "records":
			if strconv.Itoa(len(answers)) != rest {
				wrong("want %s records", rest)
			}
		case "denied":
			if m == nil || len(m.Answer) > 0 || len(m.Ns) == 0 || m.Ns[0].Header().Rrtype != dns.TypeSOA || m.Ns[0].Header().Name != rest {
				wrong("want a denial by %s", rest)
			}
		case "asked": // asked ADDR/NETWORK NAME TYPE
			if !slices.ContainsFunc(log, func(a asked) bool { return a.String() == rest }) {
				wrong("%s was not asked", rest)
			}
		case "never":
			for _, a := range log {
				if strings.Contains(a.String(), rest) {
					wrong("%s was asked", a)
				}
			}
		case "queries": // queries N at the most
			if most, _ := strconv.Atoi(rest); len(log) > most {
				wrong("%d queries, at most %d are good", len(log), most)
			}
		case "within":
			if d, _ := time.ParseDuration(rest); took > d {
				wrong("it took %v", took)
			}
		default:
			t.Fatalf("line %d: what is %q?", b.line, line)
		}
	}
}
