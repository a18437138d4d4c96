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
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
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
// so, and holds them until its input ends.
func openFlows(addr string) error {
	message, got := make([]byte, 500), make([]byte, 500)
	var open []net.Conn
	for range idleFlows {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return fmt.Errorf("after %d: %w", len(open), err)
		}
		open = append(open, c)
		if _, err := c.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	for _, c := range open {
		c.Close()
	}
	return nil
}

// ask asks for a name whenever a line comes in, once, and prints the first
// address it gets; arg is "server name".
func ask(arg string) error {
	server, name, _ := strings.Cut(arg, " ")
	client := dns.Client{Timeout: patience}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
		r, _, err := client.Exchange(q, net.JoinHostPort(server, "53"))
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
