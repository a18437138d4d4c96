//go:build bench && linux

package dns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// server is one program that answers, on a port of its own.
type server struct {
	name, at string
	cmd      *exec.Cmd
	echo     bool // knows nothing: what it says is not looked at
	plain    bool // knows the cached names alone
}

// lab is the scratch folder of a run and what the servers have in common.
type lab struct {
	*testing.T
	dir, self, upstream string
	blocked             []string
	port                int
}

func (l *lab) file(name, text string) string {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
	return path
}

// next is another port of loopback.
func (l *lab) next() string {
	l.port++
	return fmt.Sprintf("127.0.0.1:%d", l.port)
}

func port(at string) string { return at[strings.LastIndexByte(at, ':')+1:] }

// start runs a program on one core, until the test ends.
func (l *lab) start(core, name, at string, env []string, args ...string) *server {
	l.Helper()
	log, err := os.Create(l.log(name))
	if err != nil {
		l.Fatal(err)
	}
	cmd := exec.Command("taskset", append([]string{"-c", core}, args...)...) // becomes the program
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = log, log, append(append(os.Environ(), "GOMAXPROCS=1"), env...), l.dir
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		log.Close()
	})
	return &server{name: name, at: at, cmd: cmd}
}

// helper runs this binary as one of its small programs.
func (l *lab) helper(core, name, what, at string) *server {
	l.Helper()
	return l.start(core, name, at, []string{helperEnv + "=" + what + " " + at}, l.self)
}

// nightlatch is the program itself, with its journal and its usual settings
// but for the rate; validation is off, as the other servers have it off.
func (l *lab) nightlatch() *server {
	l.Helper()
	bin := os.Getenv("BENCH_NIGHTLATCH")
	if bin == "" {
		bin = filepath.Join(l.dir, "nightlatch")
		if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/nightlatch").CombinedOutput(); err != nil {
			l.Fatalf("%v\n%s", err, out)
		}
	}
	at := l.next()
	list := l.file("blocked.txt", strings.Join(l.blocked, "\n")+"\n")
	l.file("home/nightlatch.yaml", fmt.Sprintf(`tunnel:
  listen: ["127.0.0.1:0"]
  network6: fd88:1:2:3::/64
dns:
  upstreams: ["udp://%s"]
  dnssec: "off"
  home:
    plain: ["%s"]
    rate_limit: 0
lists:
  builtin: []
  files:
    - {name: big, path: %s, format: domains, action: deny, answer: "null"}
dashboard:
  listen: ""
`, l.upstream, at, list))
	_ = os.Chmod(filepath.Join(l.dir, "home"), 0o700)
	return l.start("0", "nightlatch", at, nil, bin, "--home", filepath.Join(l.dir, "home"), "up", "--quiet")
}

// debians are the servers of the distribution, each with one thread, the list
// and the one upstream; what is not installed is left out, and that is told.
func (l *lab) debians() (out []*server) {
	l.Helper()
	for _, s := range []struct {
		name  string
		start func(at string) []string
	}{
		{"unbound", l.unbound}, {"dnsmasq", l.dnsmasq}, {"dnsdist", l.dnsdist}, {"kresd", l.kresd},
	} {
		if _, err := exec.LookPath(s.name); err != nil {
			l.Logf("%s is left out: not installed", s.name)
			continue
		}
		at := l.next()
		out = append(out, l.start("0", s.name, at, nil, s.start(at)...))
	}
	return out
}

func (l *lab) unbound(at string) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n interface: 127.0.0.1\n port: %s\n num-threads: 1\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: \"%s\"\n pidfile: \"\"\n"+
		" use-syslog: no\n verbosity: 0\n module-config: \"iterator\"\n do-not-query-localhost: no\n msg-cache-size: 64m\n rrset-cache-size: 128m\n so-rcvbuf: 4m\n outgoing-range: 4096\n num-queries-per-thread: 2048\n", port(at), l.dir)
	for _, n := range l.blocked {
		fmt.Fprintf(&b, " local-zone: \"%s\" always_null\n", n)
	}
	fmt.Fprintf(&b, "forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@%s\nremote-control:\n control-enable: no\n", port(l.upstream))
	return []string{"unbound", "-d", "-c", l.file("unbound.conf", b.String())}
}

func (l *lab) dnsmasq(at string) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "port=%s\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nserver=127.0.0.1#%s\ncache-size=20000\ndns-forward-max=2000\nuser=root\n", port(at), port(l.upstream))
	for _, n := range l.blocked {
		fmt.Fprintf(&b, "address=/%s/0.0.0.0\n", n)
	}
	return []string{"dnsmasq", "-k", "--pid-file", "-C", l.file("dnsmasq.conf", b.String())}
}

func (l *lab) dnsdist(at string) []string {
	l.file("blocked.lua", "return {\n\""+strings.Join(l.blocked, "\",\n\"")+"\"\n}\n")
	conf := l.file("dnsdist.lua", fmt.Sprintf(`setLocal("%s")
setSecurityPollSuffix("")
newServer({address="%s", sockets=1, checkInterval=60, maxCheckFailures=1000, checkName="a.root-servers.net."})
setMaxUDPOutstanding(65535)
getPool(""):setCache(newPacketCache(200000, {maxTTL=86400}))
local smn = newSuffixMatchNode()
for _, n in ipairs(dofile("%s/blocked.lua")) do smn:add(newDNSName(n .. ".")) end
addAction(SuffixMatchNodeRule(smn), SpoofAction({"0.0.0.0"}))
`, at, l.upstream, l.dir))
	return []string{"dnsdist", "--supervised", "--disable-syslog", "-C", conf}
}

func (l *lab) kresd(at string) []string {
	var b strings.Builder
	b.WriteString("$TTL 60\n@ SOA a. b. 1 2 3 4 60\n@ NS a.\n")
	for _, n := range l.blocked {
		b.WriteString(n + " CNAME .\n")
	}
	conf := l.file("kresd.conf", fmt.Sprintf(`net.listen('127.0.0.1', %s, { kind = 'dns' })
net.ipv6 = false
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
cache.size = 200 * MB
policy.add(policy.rpz(policy.DENY, '%s'))
policy.add(policy.all(policy.STUB('127.0.0.1@%s')))
`, port(at), l.file("rpz.zone", b.String()), port(l.upstream)))
	if err := os.MkdirAll(filepath.Join(l.dir, "kresd"), 0o755); err != nil {
		l.Fatal(err)
	}
	return []string{"kresd", "-n", "-q", "-c", conf, filepath.Join(l.dir, "kresd")}
}

// ready waits until a server answers; false when it ends before, or never does.
func (l *lab) ready(s *server) bool {
	l.Helper()
	c := &dns.Client{Timeout: 300 * time.Millisecond}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); <-tick.C {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid)); err != nil {
			break
		}
		if r, _, err := c.Exchange(new(dns.Msg).SetQuestion("ready.bench.net.", dns.TypeA), s.at); err == nil && (s.echo || r.Response) {
			return true
		}
	}
	text, _ := os.ReadFile(l.log(s.name))
	l.Logf("%s is left out, it does not answer: %s", s.name, text[:min(len(text), 2000)])
	return false
}

// log is the file of what a server says.
func (l *lab) log(name string) string {
	return filepath.Join(l.dir, strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(name)+".log")
}
