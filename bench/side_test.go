//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"nightlatch/journal"

	_ "modernc.org/sqlite"
)

// most is how long a run may take, when the programs are built.
const most = 345 * time.Second

// TestSideBySide prints a table; it asserts that everything works, and nothing
// about speed, which is the machine's as much as ours.
func TestSideBySide(t *testing.T) {
	need(t)
	ctx, release := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer release()
	round, rounds := time.Duration(setting(t, "BENCH_SECONDS", 5))*time.Second, setting(t, "BENCH_ROUNDS", 3)

	b := newBench(t, ctx)
	nightlatch, wireguard := b.build("nightlatch/cmd/nightlatch"), b.build("golang.zx2c4.com/wireguard")
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeoutCause(ctx, most, errors.New("the run took too long"))
	defer cancel()
	b.startInternet()
	sunk, stopped := b.blockedNames()
	var wanted []string
	for i := range names {
		wanted = append(wanted, wantedName(i))
	}
	gate := b.nightlatchSide(0, wireguard, nightlatch)
	kernel := b.kernelSide("kernel TUN", 1, wireguard, wireguard, append(stopped, sunk...))
	sides := []*side{gate.side, kernel}
	if debian, err := exec.LookPath("wireguard-go"); err == nil {
		sides = append(sides, b.kernelSide("kernel TUN, Debian's", 2, wireguard, debian, nil))
	}

	r := &report{sides: sides}
	asker := b.helper(gate.phone, "ask "+gatewayAddr+" "+sunk[0])
	asker.line()
	var starts []time.Duration
	for range rounds {
		starts = append(starts, gate.restart(asker))
	}
	slices.Sort(starts)
	b.Logf("starts: %v", starts)
	r.row("start to first answer, ms", ms(starts[len(starts)/2]))
	b.idle(2 * round)
	r.memory("resident idle, MB", "VmRSS", 2)
	b.withIdleFlows(r)

	gate.restart(asker) // so that each phase shows its own memory
	only := regexp.MustCompile(os.Getenv("BENCH_ONLY"))
	wantedFile, blockedFile := b.file("wanted.txt", strings.Join(wanted, "\n")), b.file("blocked.txt", strings.Join(evenly(sunk), "\n"))
	for _, l := range []load{
		{"DNS, cached names, dnsperf", true, questions(b.file("dnsperf.txt", strings.Join(wanted, " A\n")+" A\n"), round)},
		{"DNS, cached names, batched", true, batched(wantedFile, round)},
		{"DNS, blocked names, batched", true, batched(blockedFile, round)},
	} {
		if only.MatchString(l.name) {
			r.load(l, b.measure(l, sides[:2], rounds))
		}
	}
	r.memory("resident after DNS, MB", "VmRSS", 2)
	asked := gate.stored()
	r.row(fmt.Sprintf("start with %d questions in the journal, ms", asked), ms(gate.restart(asker)))
	for _, l := range []load{
		{"TCP down, 1 flow", false, tcp(true, 1, round)},
		{"TCP up, 1 flow", false, tcp(false, 1, round)},
		{"TCP down, 4 flows", false, tcp(true, 4, round)},
		{"TCP up, 4 flows", false, tcp(false, 4, round)},
	} {
		if only.MatchString(l.name) {
			r.load(l, b.measure(l, sides, rounds))
		}
	}
	r.memory("resident after TCP, MB", "VmRSS", 3)
	t.Logf("medians of %d rounds of %s, %s; %s\n\n%s", rounds, round, time.Now().Format(time.DateOnly), versions(b, wireguard), r)
}

// need skips where a part is missing, and says which.
func need(t *testing.T) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range []string{"ip", "wg", "nft", "iperf3", "dnsperf", "unbound", "setpriv", "sysctl", "go"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = append(missing, "/dev/net/tun")
	}
	if len(missing) > 0 {
		t.Skipf("missing: %s (Debian: iperf3 dnsperf unbound wireguard-tools nftables iproute2 util-linux procps)", strings.Join(missing, ", "))
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: not a number above 0", name, text)
	}
	return n
}

// build makes a program of this module or of one it requires: so both sides
// have the same wireguard-go.
func (b *bench) build(pkg string) string {
	b.Helper()
	path := filepath.Join(b.dir, filepath.Base(pkg))
	cmd := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// withIdleFlows holds a thousand connections open on the first two sides and
// reads their memory.
func (b *bench) withIdleFlows(r *report) {
	b.Helper()
	for _, s := range r.sides[:2] {
		h := b.helper(s.phone, "flows "+webAddr+":7")
		h.line()
		defer func() { h.in.Close(); <-h.done }()
	}
	b.idle(2 * time.Second)
	r.memory(fmt.Sprintf("resident with %d idle flows, MB", idleFlows), "VmRSS", 2)
}

// stored ends the gateway and counts the questions in its journal: it was on
// all the time.
func (s *ours) stored() int64 {
	s.Helper()
	s.stop()
	j, err := journal.OpenReadOnly(s.ctx, journal.Options{Path: filepath.Join(s.home, "journal.db"), Driver: "sqlite"})
	if err != nil {
		s.Fatal(err)
	}
	defer j.Close()
	sum, err := j.Summary(s.ctx, time.Time{})
	if err != nil {
		s.Fatal(err)
	}
	if sum.Total.Queries == 0 {
		s.Error("the journal holds no question")
	}
	return sum.Total.Queries
}

// report is the table.
type report struct {
	sides []*side
	rows  [][]string
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Microseconds())/1000) }

func (r *report) row(cells ...string) { r.rows = append(r.rows, cells) }

// memory adds a row about the first sides.
func (r *report) memory(what, field string, sides int) {
	cells := []string{what}
	for _, s := range r.sides[:min(sides, len(r.sides))] {
		cells = append(cells, fmt.Sprintf("%.0f", s.memory(field)))
	}
	r.row(cells...)
}

// load adds a row, with our share of each other side's rate.
func (r *report) load(l load, res result) {
	var cells, ratios []string
	first := res.median(r.sides[0])
	for _, s := range r.sides {
		if res[s] == nil {
			continue
		}
		m := res.median(s)
		cells = append(cells, l.show(m))
		if s != r.sides[0] {
			ratios = append(ratios, fmt.Sprintf("%.2f (CPU %.2f)", first.rate/m.rate, first.cpu/m.cpu))
		}
	}
	for len(cells) < len(r.sides) {
		cells = append(cells, "")
	}
	r.row(append(append([]string{l.name}, cells...), ratios...)...)
}

func (r *report) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	head := []string{"what"}
	for _, s := range r.sides {
		head = append(head, s.name)
	}
	for _, s := range r.sides[1:] {
		head = append(head, "ours / "+s.name)
	}
	for _, cells := range append([][]string{head}, r.rows...) {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush()
	return out.String()
}

// versions says what ran, and on what.
func versions(b *bench, wireguard string) string {
	load, _ := os.ReadFile("/proc/loadavg")
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(cpu), "model name")
	return strings.Join([]string{
		fmt.Sprintf("%d CPUs%s", runtime.NumCPU(), strings.Replace(first(model), "\t", "", 1)),
		strings.TrimSpace(b.run("uname", "-srm")), runtime.Version(),
		first(b.run("iperf3", "--version")), "unbound " + strings.ToLower(first(b.run("unbound", "-V"))),
		wireguardVersion(b.run("go", "version", "-m", wireguard)), "load " + strings.TrimSpace(string(load)),
	}, "; ")
}

func first(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func wireguardVersion(text string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[1], "golang.zx2c4.com/wireguard") {
			return f[1] + " " + f[2]
		}
	}
	return "wireguard-go of an unknown version"
}
