package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/smallnet"
	"nightlatch/cmd/nightlatch/story"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/phone"

	"golang.org/x/net/dns/dnsmessage"
)

// house is a whole gateway in this process, with an internet of its own.
type house struct {
	*gateway
	t      *testing.T
	ctx    context.Context
	dir    string
	sink   netip.Prefix // where sunk names lead to
	net    *smallnet.Net
	end    func() error // ends the gateway and gives what run gave
	mu     sync.Mutex
	events []journal.Event
	hosts  []string // what the web servers outside were asked for
}

const (
	site       = "news.example.net"
	siteAddr   = "203.0.113.10"
	searchAddr = "203.0.113.11"
)

// newHouse builds and runs a gateway as up does. Each of prepare may change the
// files of the home before it is read.
func newHouse(t *testing.T, prepare ...func(dir string)) *house {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	h := &house{t: t, ctx: ctx, dir: t.TempDir()}
	outside, err := smallnet.New(map[string]netip.Addr{
		site: netip.MustParseAddr(siteAddr), story.SearchSite: netip.MustParseAddr(searchAddr),
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.hosts = append(h.hosts, r.Host)
		h.mu.Unlock()
		fmt.Fprintf(w, "the page of %s\n", r.Host)
	}))
	if err != nil {
		t.Fatal(err)
	}
	h.net = outside
	if _, _, err := tryHome(home.Home{Dir: h.dir}, outside.Upstream()); err != nil {
		t.Fatal(err)
	}
	for _, p := range prepare {
		p(h.dir)
	}
	s, err := home.Home{Dir: h.dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	h.sink = s.Config.Sinkhole.Network4
	log := (&app{&cli.App{Stderr: t.Output()}}).logger(false)
	if h.gateway, err = serve(ctx, s, world{dial: outside.Dial, guardAllow: smallnet.Networks()}, log); err != nil {
		t.Fatal(err)
	}
	h.start(cancel)
	return h
}

// start runs every room and collects what the journal is told.
func (h *house) start(cancel func()) {
	pages, err := h.listenDashboard()
	if err != nil {
		h.t.Fatal(err)
	}
	live, unsubscribe := h.journal.Subscribe(10_000)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for e := range live {
			h.mu.Lock()
			h.events = append(h.events, e)
			h.mu.Unlock()
		}
	}()
	ctx, stop := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	go func() {
		done <- h.run(ctx, room{"dashboard", servePages(h.canaries.Page(h.dashboard.Handler(), h.deviceAt), pages)}, room{"watch", h.watch})
	}()
	h.end = sync.OnceValue(func() error {
		stop()
		err := <-done
		unsubscribe()
		<-collected
		return err
	})
	h.t.Cleanup(func() {
		if err := h.end(); err != nil {
			h.t.Error("the gateway ended with:", err)
		}
		h.net.Close()
		cancel()
	})
}

// connect gives a phone that is connected as device.
func (h *house) connect(device string) *phone.Phone {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "devices", device+".conf"))
	if err != nil {
		h.t.Fatal(err)
	}
	conf, err := phone.Parse(string(text))
	if err != nil {
		h.t.Fatal(err)
	}
	conf.Endpoint = fmt.Sprintf("127.0.0.1:%d", h.tunnel.Port())
	p, err := phone.Connect(h.ctx, conf, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { p.Close() })
	return p
}

// seen gives the events so far that are of type E and wanted.
func seen[E journal.Event](h *house, wanted func(E) bool) (out []E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e, ok := e.(E); ok && wanted(e) {
			out = append(out, e)
		}
	}
	return out
}

// await waits for the first such event.
func await[E journal.Event](h *house, what string, wanted func(E) bool) E {
	h.t.Helper()
	var found []E
	err := eventually(what, func() error {
		if found = seen(h, wanted); len(found) == 0 {
			return errors.New("it is not in the journal")
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return found[0]
}

// notice waits for a notice that holds every one of parts.
func (h *house) noticed(parts ...string) journal.Notice {
	h.t.Helper()
	return await(h, "a notice of "+strings.Join(parts, ", "), func(n journal.Notice) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(n.Text, p) })
	})
}

// blocked asks for a name and tells whether the answer lies in the sinkhole.
func (h *house) blocked(p *phone.Phone, name string) bool {
	h.t.Helper()
	addrs, err := p.Resolver().LookupNetIP(h.ctx, "ip4", name)
	return err == nil && h.sink.Contains(addrs[0].Unmap())
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // as editors do
		h.t.Fatal(err)
	}
}

// TestStory is the main job: the phone of the news story behind the gateway.
func TestStory(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	var saw []string
	if err := story.Tell(h.ctx, p, h.sink, func(s story.Step) { saw = append(saw, s.Saw) }); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the page loads (HTTP 200", "the page loads (HTTP 200", "HTTP 200 from the sinkhole",
		"in the sinkhole", "in the sinkhole", "refused", "no such name", "refused", "connected, and reported",
	}
	for i, w := range want {
		if i >= len(saw) || !strings.Contains(saw[i], w) {
			t.Errorf("step %d: want %q, the phone saw %q", i+1, w, saw)
		}
	}
	got := await(h, "the capture", func(c journal.Capture) bool { return c.Name == "sa.api.intl.miui.com" })
	for kind, value := range map[string]string{"url": story.Visited, "search_query": story.Search, "android_id": story.AndroidID} {
		if !slices.ContainsFunc(got.Result.Findings, func(f foundIn) bool { return f.Kind == kind && f.Value == value }) {
			t.Errorf("the capture has no %s %s", kind, value)
		}
	}
	await(h, "the name asked of HTTPDNS", func(q journal.Query) bool { return q.Network == "httpdns" && q.Name == "ots.io.mi.com" })
	await(h, "the flow to the literal address", func(f journal.Flow) bool { return f.Dst.String() == story.Literal+":80" })
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	checkOutside(t, h)
	checkStored(t, h)
}

// checkOutside: only what the phone wanted was dialled, and the servers there
// were asked for nothing else.
func checkOutside(t *testing.T, h *house) {
	want := []string{siteAddr + ":80", searchAddr + ":80", story.Literal + ":80"}
	if got := h.net.Dialled(); !slices.Equal(got, want) {
		t.Errorf("dialled %v, want %v", got, want)
	}
	if want := []string{site, story.SearchSite}; !slices.Equal(h.hosts, want) {
		t.Errorf("the servers outside were asked for %v, want %v", h.hosts, want)
	}
}

// checkStored reads the file as `nightlatch log` does.
func checkStored(t *testing.T, h *house) {
	j, err := journal.OpenReadOnly(h.ctx, journal.Options{Path: filepath.Join(h.dir, "journal.db"), Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	queries, err := j.Queries(h.ctx, journal.Filter{Device: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]string{}
	for _, q := range queries {
		verdicts[q.Name] = fmt.Sprintf("%s %s", q.Verdict.Action, q.Verdict.Rule.List)
	}
	for name, want := range map[string]string{
		site: "pass ", "sa.api.intl.miui.com": "sink xiaomi", "tracking.intl.miui.com": "sink xiaomi", "dns.google": "deny encrypted-dns",
	} {
		if verdicts[name] != want {
			t.Errorf("stored query %s: %q, want %q", name, verdicts[name], want)
		}
	}
	flows, err := j.Flows(h.ctx, journal.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, f := range flows {
		reasons[f.Dst.String()] = fmt.Sprintf("%s %s%s", f.Verdict.Action, f.Verdict.Reason, f.Verdict.Rule.List)
	}
	for dst, want := range map[string]string{
		"8.8.8.8:853": "deny DNS over TLS", story.HTTPDNS + ":80": "deny httpdns", story.Literal + ":80": "pass hard-coded address", siteAddr + ":80": "pass ",
	} {
		if reasons[dst] != want {
			t.Errorf("stored flow %s: %q, want %q", dst, reasons[dst], want)
		}
	}
	found, err := j.Findings(h.ctx, journal.Filter{Finding: "android_id"})
	if err != nil || len(found) == 0 {
		t.Fatalf("no finding is stored: %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(h.dir, "journal.db"))
	if err != nil || strings.Contains(string(raw), story.AndroidID) {
		t.Errorf("the file holds the identifier itself (%v)", err)
	}
}

// TestLiveEdit: the owner edits a list while a phone is connected.
func TestLiveEdit(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	if h.blocked(p, site) {
		t.Fatal("blocked before the edit")
	}
	edited := time.Now()
	h.write("blocklists/mine.yaml", "name: mine\nrules:\n  - "+site+"\n")
	if err := eventually("the edit", func() error {
		if !h.blocked(p, site) {
			return errors.New("still answered")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(edited); took > 5*time.Second { // about 1 s on an idle machine
		t.Errorf("the edit took effect after %s", took)
	}

	h.write("blocklists/mine.yaml", "name: mine\nrules:\n  - domian: "+site+"\n")
	n := h.noticed("mine.yaml:3:5:", "domain", "last good version")
	if n.Level != journal.Error {
		t.Errorf("the notice is no error: %+v", n)
	}
	if strings.Contains(n.Text, "\n") {
		t.Errorf("more than one line: %q", n.Text)
	}
	if !h.blocked(p, site) {
		t.Error("the broken edit lost the last good version")
	}

	h.write("blocklists/mine.yaml", "name: mine\nallow:\n  - "+site+"\n")
	if err := eventually("the repaired edit", func() error {
		if h.blocked(p, site) {
			return errors.New("still blocked")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestEditsUnderLoad: lists are edited while queries come in at 5,000 a second;
// none is lost, and the last edit is in force.
func TestEditsUnderLoad(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	const rate, edits = 5000, 5
	device := policy.Device{Name: "phone"}
	query, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(site + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(h.ctx)
	var asked, answered atomic.Int64
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			for range rate / 100 {
				asked.Add(1)
				var m dnsmessage.Message
				if m.Unpack(h.resolver.ServeDNS(h.ctx, policy.Flow{Device: device}, "udp", query)) == nil && m.RCode == dnsmessage.RCodeSuccess && len(m.Answers) == 1 {
					answered.Add(1)
				}
			}
		}
	})
	for i := range edits {
		list := "name: mine\nrules:\n  - " + site + "\n"
		if i%2 == 1 {
			list = "name: mine\nallow:\n  - " + site + "\n"
		}
		h.write("blocklists/mine.yaml", list)
		if err := eventually("the edit", func() error {
			if v := h.policy.Load().Name(device, site, 1, time.Now()); v.Action.Stops() != (i%2 == 0) {
				return fmt.Errorf("edit %d: still %v", i+1, v.Action)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	stop()
	asking.Wait()
	if n := asked.Load(); n != answered.Load() || n < rate {
		t.Errorf("%d of %d queries were answered", answered.Load(), n)
	}
}

// TestEditOfIncluded: a file that a list includes is watched like the list.
func TestEditOfIncluded(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t, func(dir string) {
		if err := os.Mkdir(filepath.Join(dir, "blocklists", "parts"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"mine.yaml": "name: mine\ninclude: [parts/sites.yaml]\n", "parts/sites.yaml": "rules: []\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, "blocklists", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
	p := h.connect("phone")
	if h.blocked(p, site) {
		t.Fatal("blocked before the edit")
	}
	h.write("blocklists/parts/sites.yaml", "rules:\n  - "+site+"\n")
	if err := eventually("the edit", func() error {
		if !h.blocked(p, site) {
			return errors.New("still answered")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedLists: compiled lists that were damaged on the disk, in a part that
// is looked at when they are opened or in one that is not, are told and made
// anew, and what they stop stays stopped.
func TestDamagedLists(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late=%v", late), func(t *testing.T) {
			var path string
			h := newHouse(t, func(dir string) {
				path = home.Home{Dir: dir}.CompiledFile()
				if _, err := (home.Home{Dir: dir}).Load(); err != nil {
					t.Fatal(err)
				}
				damage(t, path, late)
			})
			p := h.connect("phone")
			h.noticed("lists.compiled", "anew")
			if err := eventually("the lists", func() error {
				if !h.blocked(p, "sa.api.intl.miui.com") {
					return errors.New("a name is not stopped any more")
				}
				if s, err := blocklists.Open(path); err != nil || s.Verify() != nil {
					return fmt.Errorf("the file is not whole again: %v", err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// damage changes one byte of compiled lists: one that opening them meets, or one
// that only shows later.
func damage(t *testing.T, path string, late bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 100; at < len(b); at += 256 {
		b[at] ^= 0x55
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := blocklists.Open(path + ".new")
		if err != nil && !late || err == nil && late && s.Verify() != nil {
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			return
		}
		b[at] ^= 0x55
	}
	t.Fatal("no such place is in the file")
}

// TestBrokenConfigKeepsRunning: an edit that breaks nightlatch.yaml changes
// nothing, and is told with its place.
func TestBrokenConfigKeepsRunning(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	good, err := os.ReadFile(filepath.Join(h.dir, "nightlatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("nightlatch.yaml", "policy:\n  acton: deny\n")
	h.noticed("nightlatch.yaml:2:3:", `did you mean "action"?`, "stay in force")
	if !h.blocked(p, "tracking.miui.com") {
		t.Error("the policy in force is lost")
	}
	if err := h.reload(); err == nil {
		t.Error("reload took a broken config")
	}
	h.write("nightlatch.yaml", string(good)+"\n# and a comment\n")
	h.noticed("reloaded:")

	// What needs a new start is said, not done.
	h.write("nightlatch.yaml", strings.Replace(string(good), "#block_ttl: 10s", "block_ttl: 60s", 1))
	h.noticed("dns has changed", "next start")
}

// TestRemoveDevice: a removed device loses its session and its connections.
// TestPendingSectionsWait: a section that takes effect at the next start leaves
// the running gateway alone until then.
func TestPendingSectionsWait(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	file, err := os.ReadFile(filepath.Join(h.dir, "nightlatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("nightlatch.yaml", strings.NewReplacer("#network4: 28.53.0.0/16", "network4: 28.77.0.0/16",
		`#network6: "3ffe:6e69:6768:746c::/64"`, `network6: "3ffe:77::/64"`).Replace(string(file)))
	h.noticed("sinkhole has changed", "next start")
	resp, err := p.HTTPClient(nil).Get("http://sa.api.intl.miui.com/still-here")
	if err != nil {
		t.Fatalf("a change that waits for the next start broke the sinkhole: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the sinkhole answers %d", resp.StatusCode)
	}
}

func TestRemoveDevice(t *testing.T) {
	h := newHouse(t)
	if _, err := (home.Home{Dir: h.dir}).AddDevice(h.settings.Config, "tablet", nil); err != nil {
		t.Fatal(err)
	}
	if err := h.reload(); err != nil {
		t.Fatal(err)
	}
	p, other := h.connect("tablet"), h.connect("phone")
	c, err := p.DialContext(h.ctx, "tcp", siteAddr+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := os.Remove(filepath.Join(h.dir, "devices", "tablet.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := h.reload(); err != nil {
		t.Fatal(err)
	}
	await(h, "the end of its flow", func(f journal.Flow) bool { return f.Device == "tablet" && f.Dst.String() == siteAddr+":80" })
	ctx, cancel := context.WithTimeout(h.ctx, 500*time.Millisecond)
	defer cancel()
	if m, err := askFor(ctx, p, "tracking.miui.com"); err == nil {
		t.Errorf("the removed device is answered: %v", m.RCode)
	}
	if !h.blocked(other, "tracking.miui.com") {
		t.Error("the other device is not answered any more")
	}
}

// TestPageInTheTunnel: a phone finds the dashboard by its name, and only the
// token opens it.
func TestPageInTheTunnel(t *testing.T) {
	h := newHouse(t)
	client := h.connect("phone").HTTPClient(nil)
	for path, want := range map[string]int{"/login": 200, "/": 200, "/login?token=wrong": 401} {
		resp, err := client.Get("http://" + localName + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if path == "/" && resp.Request.URL.Path == "/" {
			t.Errorf("%s: the page is open without a token", path)
		}
		if path != "/" && resp.StatusCode != want {
			t.Errorf("%s: HTTP %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestEndsSoon: with a phone connected, a flow open and another one waiting,
// the gateway ends within two seconds.
func TestEndsSoon(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	for _, dst := range []string{siteAddr + ":80", story.Literal + ":80"} {
		c, err := p.DialContext(h.ctx, "tcp", dst)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	begin := time.Now()
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// TestHomeNames: a device is found by its name, and an edit of the owner's names
// takes effect while the gateway runs.
func TestHomeNames(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	ask := func(name string) string {
		a, err := p.Resolver().LookupNetIP(h.ctx, "ip4", name)
		return fmt.Sprint(a, err)
	}
	if got := ask("phone.nightlatch.internal"); !strings.Contains(got, "10.88.0.2") {
		t.Errorf("the phone's own name: %s", got)
	}
	text, err := os.ReadFile(filepath.Join(h.dir, "nightlatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("nightlatch.yaml", strings.Replace(string(text), "  names:\n", "  names:\n    suffix: home.arpa\n    records: [nas.home.arpa A 192.168.1.5]\n", 1))
	for name, want := range map[string]string{"nas.home.arpa": "192.168.1.5", "phone.home.arpa": "10.88.0.2"} {
		if err := eventually(name, func() error {
			if got := ask(name); !strings.Contains(got, want) {
				return errors.New(got)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}
