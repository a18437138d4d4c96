package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/dns/dnsmessage"

	"nightlatch/dashboard"
	"nightlatch/tunnel/phone"
)

// TestMain lets the scripts run this very test binary as nightlatch.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nightlatch": main})
}

// vectors holds the shared payloads; a clone without them skips what needs them.
const vectors = "../../../shared/payloads/vectors"

// TestScript runs testdata/script: each file is one behaviour of the command
// line. Beside testscript's own commands there are:
//
//	code N COMMAND...    COMMAND ends with exit code N
//	ready                waits until the gateway of $NIGHTLATCH_HOME answers
//	term                 sends SIGTERM to every command in the background
//	ask DEVICE NAME...   a simulated phone connects as DEVICE and asks 8.8.8.8 for each NAME
//	files DIR FILE       writes every file below DIR with its content to FILE, the journal and the socket apart
//	glob PATTERN         there is a file of that pattern
//	long VAR N           sets VAR to N letters
//	publish DIR          serves the files of DIR by HTTP at $LISTS
//	rules LIST N         waits until the running gateway has N rules of LIST in force
//	eventually RE COMMAND...    runs COMMAND until what it prints matches RE
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NIGHTLATCH_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // under -race every command would wait a second at its end
			abs, err := filepath.Abs(vectors)
			e.Setenv("VECTORS", abs)
			return err
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "vectors":
				_, err := os.Stat(vectors)
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": scriptCode, "ready": scriptReady, "ask": scriptAsk, "files": scriptFiles,
			"publish": scriptPublish, "rules": scriptRules, "eventually": scriptEventually,
			"term": func(ts *testscript.TestScript, _ bool, _ []string) {
				for _, c := range ts.BackgroundCmds() {
					ts.Check(c.Process.Signal(syscall.SIGTERM))
				}
			},
			"glob": func(ts *testscript.TestScript, _ bool, args []string) {
				if found, _ := filepath.Glob(ts.MkAbs(args[0])); len(found) == 0 {
					ts.Fatalf("no file is called %s", args[0])
				}
			},
			"long": func(ts *testscript.TestScript, _ bool, args []string) {
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				ts.Setenv(args[0], strings.Repeat("x", n))
			},
		},
	})
}

func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// patience bounds every wait of a test; far more than any takes.
const patience = 20 * time.Second

// eventually asks until ask is content.
func eventually(what string, ask func() error) error {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-deadline:
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		case <-tick.C:
		}
	}
}

func scriptReady(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(eventually("ready", func() error {
		_, err := statusOf(ts.Getenv("NIGHTLATCH_HOME"))
		return err
	}))
}

// statusOf asks the gateway of a home what it says of itself.
func statusOf(dir string) (st dashboard.Status, err error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "control.sock"))
		},
	}}
	resp, err := client.Get("http://control/status")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// connectTo connects a simulated phone to the gateway of a home.
func connectTo(ctx context.Context, dir, device string) (*phone.Phone, error) {
	st, err := statusOf(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "devices", device+".conf"))
	if err != nil {
		return nil, err
	}
	conf, err := phone.Parse(string(text))
	if err != nil {
		return nil, err
	}
	conf.Endpoint = strings.TrimPrefix(st.Listen[0], "udp ")
	return phone.Connect(ctx, conf, nil)
}

func scriptAsk(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := connectTo(ctx, ts.Getenv("NIGHTLATCH_HOME"), args[0])
	ts.Check(err)
	defer p.Close()
	for _, name := range args[1:] {
		m, err := askFor(ctx, p, name)
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), m.RCode)
		for _, a := range m.Answers {
			if a, ok := a.Body.(*dnsmessage.AResource); ok {
				fmt.Fprintln(ts.Stdout(), netip.AddrFrom4(a.A))
			}
		}
	}
}

// askFor lets a phone ask 8.8.8.8 for the IPv4 address of a name.
func askFor(ctx context.Context, p *phone.Phone, name string) (m dnsmessage.Message, err error) {
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	wire, err := q.Pack()
	if err != nil {
		return m, err
	}
	answer, err := p.Exchange(ctx, "udp", netip.MustParseAddrPort("8.8.8.8:53"), wire)
	if err != nil {
		return m, err
	}
	return m, m.Unpack(answer)
}

func scriptFiles(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(filesBelow(ts, ts.MkAbs(args[0]))), 0o600))
}

type checker interface{ Check(error) }

// filesBelow lists every file of a home that is the owner's, with mode and content.
func filesBelow(c checker, dir string) string {
	var b strings.Builder
	c.Check(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "journal.db") || slices.Contains([]string{"control.sock", "lists.compiled", "answers.cache"}, d.Name()) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		fmt.Fprintf(&b, "%s %s\n%s\n", strings.TrimPrefix(path, dir), info.Mode(), text)
		return err
	}))
	return b.String()
}
