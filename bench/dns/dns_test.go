//go:build bench && linux

package dns

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sample is one round of one load on one server.
type sample struct{ rate, cpu, lost float64 } // answers a second, seconds of CPU for each, share of questions

type load struct{ name, file, how string }

const listSize = 200_000

// TestDNS prints the table. BENCH_SECONDS is the length of one round of one
// load (1), BENCH_ROUNDS how many there are (3), BENCH_ONLY the servers, by
// parts of their names, BENCH_LOAD another load beside cached, by a part of its
// name.
func TestDNS(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seconds, rounds := number("BENCH_SECONDS", 1), number("BENCH_ROUNDS", 3)
	l := &lab{T: t, dir: t.TempDir(), self: self, port: 23000}
	if err := os.Chmod(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range listSize {
		l.blocked = append(l.blocked, fmt.Sprintf("n%09d.tracker%03d.net", i*7919%listSize, i%1000))
	}
	loads := slices.DeleteFunc(l.loads(), func(ld load) bool {
		return !strings.Contains("cached", ld.name) && !strings.Contains(ld.name, os.Getenv("BENCH_LOAD"))
	})
	l.upstream = l.helper("1", "upstream", "upstream", l.next()).at
	sides := l.sides()
	for _, s := range sides { // what is to be remembered, and a little more than once
		l.ask(s, loads[0], time.Second)
	}
	got := map[string]map[string][]sample{}
	order := slices.Clone(sides)
	for range int(rounds) {
		for _, ld := range loads {
			for _, s := range order {
				if s.plain && ld.name != "cached" {
					continue
				}
				if got[s.name] == nil {
					got[s.name] = map[string][]sample{}
				}
				got[s.name][ld.name] = append(got[s.name][ld.name], l.ask(s, ld, time.Duration(seconds*float64(time.Second))))
			}
		}
		slices.Reverse(order)
	}
	fmt.Print(table(sides, loads, got))
}

// loads writes the names of each load: of one length, as those of the list.
func (l *lab) loads() []load {
	var cached, mix, miss []string
	for i := range 1000 {
		cached = append(cached, fmt.Sprintf("n%09d.site%06d.net", i, i%100))
		mix = append(mix, cached[i])
		if i%10 == 0 {
			mix[i] = l.blocked[i*97]
		}
		miss = append(miss, fmt.Sprintf("0000000000.new%07d.net", i))
	}
	var blocked []string
	for i := range 1000 {
		blocked = append(blocked, l.blocked[i*199])
	}
	text := func(names []string) string { return strings.Join(names, "\n") }
	return []load{
		{"cached", l.file("cached", text(cached)), "known"},
		{"blocked", l.file("blocked", text(blocked)), "known"},
		{"mix 90/10", l.file("mix", text(mix)), "known"},
		{"miss", l.file("miss", text(miss)), "unique"},
	}
}

// sides are the servers that answer.
func (l *lab) sides() (out []*server) {
	echo := l.helper("0", "UDP echo, batched", "echo", l.next())
	echo.echo, echo.plain = true, true
	library := l.helper("0", "plain miekg/dns", "library", l.next())
	library.plain = true
	ours := l.nightlatch()
	bare := l.helper("0", "nightlatch without journal", "bare "+l.upstream+" "+filepath.Join(l.dir, "blocked.txt"), l.next())
	only := strings.Split(os.Getenv("BENCH_ONLY"), ",")
	for _, s := range append([]*server{echo, ours, bare, library}, l.debians()...) {
		if s != echo && !slices.ContainsFunc(only, func(part string) bool { return strings.Contains(s.name, part) }) {
			continue
		}
		if l.ready(s) {
			out = append(out, s)
		}
	}
	return out
}

// ask runs the generator against a server.
func (l *lab) ask(s *server, ld load, d time.Duration) sample {
	l.Helper()
	how := ld.how
	if s.echo {
		how = "echo"
	}
	cmd := exec.Command("taskset", "-c", "1", l.self)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("%s=generate %s %s %s %s", helperEnv, s.at, d, ld.file, how))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	before := cpu(s)
	text, err := cmd.Output()
	used := cpu(s) - before
	var sent, answered float64
	if _, scan := fmt.Sscan(string(text), &sent, &answered); err != nil || scan != nil || answered == 0 {
		l.Logf("%s, %s: %v of %v answered: %v %s", s.name, ld.name, answered, sent, err, errs.String())
		return sample{lost: 1}
	}
	return sample{answered / d.Seconds(), used / answered, max(0, sent-answered-window) / sent}
}

// cpu is what a server has used, all threads, in seconds (proc(5), USER_HZ).
func cpu(s *server) (total float64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+2:])
	for _, v := range f[11:13] {
		n, _ := strconv.ParseFloat(string(v), 64)
		total += n / 100
	}
	return total
}

// rss is the memory of a server, in MB.
func rss(s *server) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kb float64
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1024
}

func median(all []sample, f func(sample) float64) float64 {
	var v []float64
	for _, s := range all {
		v = append(v, f(s))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// table shows medians: thousand answers a second, the share of the echo, and
// microseconds of CPU an answer.
func table(sides []*server, loads []load, got map[string]map[string][]sample) string {
	var b strings.Builder
	b.WriteString("\nthousand answers a second (share of the echo; us of CPU each; lost)\n\n| server |")
	for _, ld := range loads {
		b.WriteString(" " + ld.name + " |")
	}
	b.WriteString(" RSS MB |\n|---|" + strings.Repeat("---|", len(loads)+1) + "\n")
	limit := median(got[sides[0].name]["cached"], func(s sample) float64 { return s.rate })
	for _, s := range sides {
		fmt.Fprintf(&b, "| %s |", s.name)
		for _, ld := range loads {
			all := got[s.name][ld.name]
			if len(all) == 0 {
				b.WriteString(" |")
				continue
			}
			rate := median(all, func(s sample) float64 { return s.rate })
			fmt.Fprintf(&b, " %.0f (%.2f; %.1f", rate/1000, rate/limit, 1e6*median(all, func(s sample) float64 { return s.cpu }))
			if lost := median(all, func(s sample) float64 { return s.lost }); lost >= 0.001 {
				fmt.Fprintf(&b, "; %.1f %%", 100*lost)
			}
			b.WriteString(") |")
		}
		fmt.Fprintf(&b, " %.0f |\n", rss(s))
	}
	return b.String()
}

func number(env string, otherwise float64) float64 {
	if v, err := strconv.ParseFloat(os.Getenv(env), 64); err == nil {
		return v
	}
	return otherwise
}
