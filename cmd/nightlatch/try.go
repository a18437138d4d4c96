package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/findings"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/smallnet"
	"nightlatch/cmd/nightlatch/story"
	"nightlatch/config"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/phone"
)

func (a *app) tryCommand() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "try",
		Short: "Show the point in ten seconds, with no phone and no internet",
		Long: `Start a gateway in a temporary home, connect a simulated phone to it through a
real WireGuard session on this machine, and let it behave like the phone of the
news story: it browses and searches, reports all of it to its vendor, and tries
the ways around. The internet is simulated on the loopback interface; what the
gateway does is not. Nothing is kept.`,
		Example: "  nightlatch try",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return a.try(c.Context(), a.logger(verbose))
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "also print what the rooms say about their work")
	return c
}

// tryLimit bounds the whole show.
const tryLimit = 60 * time.Second

func (a *app) try(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	begin := time.Now()
	net, err := smallnet.New(map[string]netip.Addr{
		story.Site: netip.MustParseAddr("203.0.113.10"), story.SearchSite: netip.MustParseAddr("203.0.113.11"),
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>%s</title><p>the page of %s</p>\n", r.Host, r.Host)
	}))
	if err != nil {
		return err
	}
	defer net.Close()
	dir, err := os.MkdirTemp("", "nightlatch-try-")
	if err != nil {
		return fmt.Errorf("try: %w", err)
	}
	defer os.RemoveAll(dir)
	s, conf, err := tryHome(home.Home{Dir: dir}, net.Upstream())
	if err != nil {
		return err
	}
	g, err := serve(ctx, s, world{dial: net.Dial, guardAllow: smallnet.Networks()}, log)
	if err != nil {
		return err
	}
	fmt.Fprint(a.Stdout, "a gateway and a simulated phone on this machine; no packet leaves it\n\n")
	events, unsubscribe := g.journal.Subscribe(followBuffer)
	defer unsubscribe()
	told := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	err = g.run(running, room{"try", func(ctx context.Context) error {
		defer stop()
		told <- a.tellStory(ctx, g, conf)
		return nil
	}})
	if err = errors.Join(<-told, err); err != nil {
		return fmt.Errorf("try: %w", err)
	}
	unsubscribe()
	a.summary(events, net.Dialled())
	fmt.Fprintf(a.Stdout, "\n%s in all; nothing of this is kept. nightlatch up does it with your phone\n", time.Since(begin).Round(time.Millisecond))
	return nil
}

// tryHome makes a home as a first start would, but on the loopback interface,
// and gives what the phone imports.
func tryHome(h home.Home, upstream string) (*home.Settings, string, error) {
	cfg := config.Default()
	cfg.Tunnel.Listen = []config.Listen{{Addr: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	cfg.Tunnel.Endpoint = "127.0.0.1:51820"
	cfg.Tunnel.Network6 = netip.MustParsePrefix("fd00:88::/64")
	cfg.DNS.Upstreams = []string{upstream}
	cfg.Dashboard.Listen = ""
	cfg.Journal.Mask = false // the phone is simulated, and so is its private life
	err := h.WriteConfig(&cfg, "tunnel.listen", "tunnel.endpoint", "tunnel.network6", "dns.upstreams", "dashboard.listen", "journal.mask")
	if err != nil {
		return nil, "", err
	}
	if _, err := h.Prepare(); err != nil {
		return nil, "", err
	}
	conf, err := os.ReadFile(h.ConfPath(home.FirstDevice))
	if err != nil {
		return nil, "", err
	}
	s, err := h.Load()
	return s, string(conf), err
}

// tellStory connects the phone and prints what it does and sees.
func (a *app) tellStory(ctx context.Context, g *gateway, conf string) error {
	pc, err := phone.Parse(conf)
	if err != nil {
		return err
	}
	pc.Endpoint = fmt.Sprintf("127.0.0.1:%d", g.tunnel.Port())
	begin := time.Now()
	p, err := phone.Connect(ctx, pc, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	tell := func(s story.Step) { fmt.Fprintf(a.Stdout, "  %-58s %s\n", s.Did, s.Saw) }
	fmt.Fprintln(a.Stdout, "the phone")
	tell(story.Step{Did: "connects over WireGuard to " + pc.Endpoint, Saw: fmt.Sprintf("handshake in %s", time.Since(begin).Round(time.Millisecond))})
	return story.Tell(ctx, p, g.settings.Config.Sinkhole.Network4, tell)
}

// summary prints what the journal was told: what was stopped by which line,
// and what the vendor would have received.
func (a *app) summary(events <-chan journal.Event, dialled []string) {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nwhat was stopped, and by which line of which list\n")
	seen := map[string]bool{}
	var captures []journal.Capture
	for e := range events {
		switch e := e.(type) {
		case journal.Query:
			stopped(w, seen, e.Name, e.Verdict)
		case journal.Flow:
			name := e.Name
			if name == "" {
				name = e.Dst.String()
			}
			stopped(w, seen, name, e.Verdict)
		case journal.Capture:
			captures = append(captures, e)
		}
	}
	w.Flush()
	for _, c := range captures {
		printCapture(a.Stdout, c)
	}
	fmt.Fprintf(a.Stdout, "\nconnections that left the gateway: %s\n", strings.Join(dialled, ", "))
}

func stopped(w io.Writer, seen map[string]bool, name string, v policy.Verdict) {
	if !v.Action.Stops() || seen[name] {
		return
	}
	seen[name] = true
	by, text := v.Reason, ""
	if v.Rule.List != "" {
		by, text = fmt.Sprintf("%s:%d", v.Rule.List, v.Rule.Line), v.Rule.Text
	}
	fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", name, v.Action, by, text)
}

// printCapture prints what the sinkhole received in place of the vendor.
func printCapture(w io.Writer, c journal.Capture) {
	fmt.Fprintf(w, "\nwhat would have reached %s (%s %s, %d bytes)\n", c.Name, c.Method, decoder.Safe(c.Path), c.Size)
	fmt.Fprintln(w, "  peeled")
	findings.Peel(w, longestTrail(c.Result), "    ")
	fmt.Fprintln(w, "  found")
	sure := slices.DeleteFunc(slices.Clone(c.Result.Findings), func(f decoder.Finding) bool { return f.Confidence == decoder.Possible })
	findings.Print(w, sure, findings.Style{Indent: "    ", Width: 100})
}

// longestTrail gives the layers on the way to the finding that lay deepest.
func longestTrail(r decoder.Result) []decoder.Layer {
	var longest []decoder.Layer
	for _, f := range r.Findings {
		if t := r.Trail(f); len(t) > len(longest) && !slices.Contains(f.Chain, "urlparam") {
			longest = t
		}
	}
	return longest
}
