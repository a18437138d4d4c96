//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is for anything that should happen at once.
const patience = 20 * time.Second

// bench is one run: a scratch folder, and the namespaces and programs in it.
// Everything is undone when the test ends, also after an interrupt.
type bench struct {
	*testing.T
	ctx      context.Context
	dir      string // world-readable scratch folder
	internet string // the namespace with the servers
}

func newBench(t *testing.T, ctx context.Context) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "nl-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755) // the gateway runs as nobody
	b := &bench{T: t, ctx: ctx, dir: dir}
	b.internet = b.namespace("i")
	return b
}

// namespace makes a network namespace that ends with the run, and with it all
// that still runs inside.
func (b *bench) namespace(suffix string) string {
	b.Helper()
	ns := fmt.Sprintf("nlb%d%s", os.Getpid(), suffix)
	b.run("ip", "netns", "add", ns)
	b.Cleanup(func() {
		pids, _ := exec.Command("ip", "netns", "pids", ns).Output()
		for pid := range strings.FieldsSeq(string(pids)) {
			exec.Command("kill", "-9", pid).Run()
		}
		exec.Command("ip", "netns", "del", ns).Run()
	})
	b.run("ip", "-n", ns, "link", "set", "lo", "up")
	return ns
}

// cable joins two namespaces; an end is {namespace, interface, address/bits}.
func (b *bench) cable(one, other [3]string) {
	b.Helper()
	b.run("ip", "link", "add", one[1], "netns", one[0], "type", "veth", "peer", "name", other[1], "netns", other[0])
	for _, e := range [][3]string{one, other} {
		b.run("ip", "-n", e[0], "addr", "add", e[2], "dev", e[1])
		b.run("ip", "-n", e[0], "link", "set", e[1], "up")
	}
}

// run runs a command to its end and gives what it prints; failure ends the run.
func (b *bench) run(args ...string) string {
	b.Helper()
	out, err := exec.CommandContext(b.ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// inside is run in a namespace.
func (b *bench) inside(ns string, args ...string) string {
	b.Helper()
	return b.run(append([]string{"ip", "netns", "exec", ns}, args...)...)
}

func (b *bench) file(name, content string) string {
	b.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

// program is something that runs beside the test.
type program struct {
	*exec.Cmd
	b    *bench
	name string
	done chan struct{} // closed when it has ended
}

// start starts a program in a namespace; what it prints goes to name.log in
// the scratch folder.
func (b *bench) start(ns, name string, env []string, args ...string) *program {
	b.Helper()
	p := b.command(ns, name, env, args...)
	if err := p.launch(); err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bench) command(ns, name string, env []string, args ...string) *program {
	b.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	// ip becomes the program, so the process is the program's own.
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), env...)
	return &program{Cmd: cmd, b: b, name: name, done: make(chan struct{})}
}

func (p *program) launch() error {
	if err := p.Start(); err != nil {
		return err
	}
	go func() { p.Wait(); close(p.done) }()
	p.b.Cleanup(p.stop)
	return nil
}

// stop asks the program to end, and makes it when it does not.
func (p *program) stop() {
	p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.b.Logf("%s did not end when asked to", p.name)
		p.Process.Kill()
		<-p.done
	}
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// output is what the program has printed so far.
func (p *program) output() string {
	out, _ := os.ReadFile(filepath.Join(p.b.dir, p.name+".log"))
	return string(out)
}

// until waits for ok, looking every so often.
func (b *bench) until(what string, every time.Duration, ok func() bool) {
	b.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			b.Fatalf("%s: not within %s", what, patience)
		case <-b.ctx.Done():
			b.Fatalf("%s: %v", what, context.Cause(b.ctx))
		}
	}
}

// idle lets time pass in which nothing is asked of anybody: that is what is
// measured.
func (b *bench) idle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-b.ctx.Done():
		b.Fatal(context.Cause(b.ctx))
	}
}
