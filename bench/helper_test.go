//go:build bench

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// helperEnv makes this binary, run again inside a namespace, one of the small
// programs below.
const helperEnv = "NL_BENCH_HELPER"

func TestMain(m *testing.M) {
	var err error
	switch what, arg, _ := strings.Cut(os.Getenv(helperEnv), " "); what {
	case "":
		os.Exit(m.Run())
	case "echo":
		err = echo(arg)
	case "flows":
		err = openFlows(arg)
	case "ask":
		err = ask(arg)
	case "flood":
		err = flood(arg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flood asks as fast as answers come, with a batch of questions a system call;
// it prints how many were sent and answered. arg is "server seconds file".
func flood(arg string) error {
	f := strings.Fields(arg)
	if len(f) != 3 {
		return errors.New("flood: server seconds file")
	}
	text, err := os.ReadFile(f[2])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(f[1])
	if err != nil {
		return err
	}
	g, err := newGenerator(net.JoinHostPort(f[0], "53"), strings.Fields(string(text)))
	if err != nil {
		return err
	}
	sent, answered, err := g.run(d)
	fmt.Println(sent, answered)
	return err
}

// echo sends back what comes, on every connection.
func echo(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

// idleFlows is how many connections are held open and silent.
const idleFlows = 1000

// openFlows opens connections, moves a little on each, as an app would, says
// so, and holds them until its input ends. They end with a RST, so that the
// phone is silent at once.
func openFlows(addr string) error {
	message, got := make([]byte, 500), make([]byte, 500)
	var open []net.Conn
	for range idleFlows {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return fmt.Errorf("after %d: %w", len(open), err)
		}
		open = append(open, c)
		c.(*net.TCPConn).SetLinger(0)
		if _, err := c.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	return nil // the system closes them
}

// ask asks for a name whenever a line comes in, again each second as stubs
// do, and prints the answer; arg is "server name".
func ask(arg string) error {
	server, name, _ := strings.Cut(arg, " ")
	client := dns.Client{Timeout: time.Second}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
		r, _, err := client.Exchange(q, net.JoinHostPort(server, "53"))
		for tries := 1; err != nil && tries < 15; tries++ {
			r, _, err = client.Exchange(q, net.JoinHostPort(server, "53"))
		}
		if err != nil {
			return err
		}
		if len(r.Answer) == 0 {
			return fmt.Errorf("%s: %s and no answer", name, dns.RcodeToString[r.Rcode])
		}
		fmt.Println(r.Answer[0])
	}
	return nil
}

// helper is this binary as a small program, spoken to in lines.
type helper struct {
	*program
	in  io.WriteCloser
	out chan string // what it prints, line by line
}

func (b *bench) helper(ns, what string) *helper {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	name, _, _ := strings.Cut(what, " ")
	h := &helper{program: b.command(ns, name, []string{helperEnv + "=" + what}, self), out: make(chan string, 16)}
	h.Stdout = nil
	out, err := h.StdoutPipe()
	if err == nil {
		h.in, err = h.StdinPipe()
	}
	if err = errors.Join(err, h.Start()); err != nil {
		b.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.out <- lines.Text()
		}
		h.Wait() // only now: it closes the pipe
		close(h.out)
		close(h.done)
	}()
	b.Cleanup(h.stop)
	return h
}

// line waits for the next line that the helper prints.
func (h *helper) line() string {
	h.b.Helper()
	select {
	case s, ok := <-h.out:
		if !ok {
			h.b.Fatalf("%s ended: %s", h.name, h.output())
		}
		return s
	case <-time.After(patience):
		h.b.Fatalf("%s said nothing within %s: %s", h.name, patience, h.output())
	}
	return ""
}
