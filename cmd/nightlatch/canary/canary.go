// Package canary is the commands that prove: an address that nobody else can
// know is opened on the phone, and whatever brings it back has told on the owner.
package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/qr"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/config"
	"nightlatch/config/canaries"
	"nightlatch/decoder"
)

// Reload tells a running gateway that the files of a home have changed, and
// returns when it has taken them; none running is fine.
type Reload func(ctx context.Context, h home.Home) error

// Command is nightlatch canary.
func Command(a *cli.App, reload Reload) *cobra.Command {
	o := issue{reload: reload}
	c := &cobra.Command{
		Use:   "canary",
		Short: "Plant an address to open on the phone, and see who brings it back",
		Long: `Make a web address with a token that nobody else can know, show it as text and
as a QR code, and wait. You open it on the phone, in a private window if you
like. From then on the gateway looks for the token in every payload the sinkhole
receives, in whatever encoding or hash, in every name that is asked for and in
every SNI of a stopped connection. What brings it back has told on you.

Without --url the page is served by the gateway itself, inside the tunnel, so
that it works without internet. Exit code 0 means that nothing came back while
this command waited, 1 that something did; the gateway goes on looking for two
weeks, and nightlatch canary show N tells what came later.`,
		Example: `  nightlatch canary --device phone --incognito --for 10m
  nightlatch canary --url 'https://example.org/{}'
  nightlatch canary show 1`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.UsageError{Err: fmt.Errorf("canary has no command %q%s", args[0], cli.DidYouMean(args[0], c)), Command: "canary"}
			}
			return o.run(c.Context(), a)
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.device, "device", "", "the device it is opened on, for your records; what any device sends is reported")
	fl.StringVar(&o.url, "url", "", "an address outside instead; {} in it stands for the token")
	fl.StringVar(&o.note, "note", "", "a few words for your records")
	fl.BoolVar(&o.incognito, "incognito", false, "you will open it in a private window alone; the report says so")
	fl.DurationVar(&o.wait, "for", 10*time.Minute, "how long to wait here; 0 makes the address and does not wait")
	fl.BoolVar(&o.json, "json", false, "print one JSON object at the end")
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(list(a), show(a), remove(a, reload), timingCommand(a, reload), diffCommand(a))
	return c
}

// issue is one planting of a canary.
type issue struct {
	device, url, note string
	incognito, json   bool
	wait              time.Duration
	reload            Reload
}

func (o *issue) run(ctx context.Context, a *cli.App) error {
	h, cfg, err := open(a, o.device)
	if err != nil {
		return err
	}
	if o.wait > 0 && !h.Running() {
		return fmt.Errorf("no gateway is running in %s, so nothing could come back; start it: nightlatch up (--for 0 makes the address alone)", h.Dir)
	}
	now := time.Now()
	c, err := h.AddCanary(now, func(n int) (canaries.Canary, error) {
		c, err := canaries.New(n, o.url, now)
		c.Device, c.Note, c.Incognito = o.device, o.note, o.incognito
		return c, err
	})
	if err != nil {
		return err
	}
	// The page must be there before the address is shown: a browser remembers
	// that a name does not exist.
	if err := o.reload(ctx, h); err != nil {
		return err
	}
	if err := o.greet(a, c); err != nil || o.wait <= 0 {
		if err == nil && o.json {
			err = json.NewEncoder(a.Stdout).Encode(infoOf(c))
		}
		return err
	}
	return o.await(ctx, a, h, cfg, c)
}

// greet shows the address and what to do with it.
func (o *issue) greet(a *cli.App, c canaries.Canary) error {
	out := a.Stdout
	if o.json {
		out = a.Stderr
	}
	fmt.Fprintf(out, "canary %d\n\n  %s\n\n", c.N, c.URL)
	if err := qr.Print(out, c.URL, terminal.Colours(out)); err != nil {
		return err
	}
	where := "open it on the phone"
	if c.Device != "" {
		where = "open it on " + c.Device
	}
	if c.Incognito {
		where += ", in a private window and nowhere else"
	}
	fmt.Fprintf(out, "\n%s, scroll to the end, close it.\nIt is looked for until %s: nightlatch canary show %d\n", where, c.Expires.Local().Format("2 January 15:04"), c.N)
	return nil
}

// open reads the home and checks that a device is there, when one is named.
func open(a *cli.App, device string) (home.Home, *config.Config, error) {
	h, err := a.NeedHome()
	if err != nil {
		return h, nil, err
	}
	cfg, err := h.LoadConfig()
	if err != nil || device == "" {
		return h, cfg, err
	}
	devices, err := config.LoadDevices(h.DevicesDir())
	if err != nil {
		return h, cfg, err
	}
	if !slices.ContainsFunc(devices, func(d config.Device) bool { return d.Name == device }) {
		return h, cfg, fmt.Errorf("there is no device %s; nightlatch device list names them", device)
	}
	return h, cfg, nil
}

// info is a canary as scripts see it.
type info struct {
	N         int       `json:"n"`
	URL       string    `json:"url"`
	Device    string    `json:"device,omitempty"`
	Note      string    `json:"note,omitempty"`
	Incognito bool      `json:"incognito,omitempty"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
}

func infoOf(c canaries.Canary) info {
	return info{c.N, c.URL, c.Device, c.Note, c.Incognito, c.Issued, c.Expires}
}

func list(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the canaries, and whether they came back",
		Example: "  nightlatch canary list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, cfg, err := open(a, "")
			if err != nil {
				return err
			}
			all, err := canaries.Load(h.CanariesFile())
			if err != nil {
				return err
			}
			if len(all) == 0 && !asJSON {
				a.Say("no canary was planted yet; nightlatch canary makes one")
				return nil
			}
			w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(w, "CANARY\tDEVICE\tPLANTED\tLOOKED FOR UNTIL\tOPENED\tCAME BACK\tNOTE")
			}
			for _, c := range all {
				r, err := lookBack(cmd.Context(), h, cfg, c)
				if err != nil {
					return err
				}
				if asJSON {
					if err := json.NewEncoder(a.Stdout).Encode(r); err != nil {
						return err
					}
					continue
				}
				device := c.Device
				if device == "" {
					device = "-"
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", c.N, device, stamp(c.Issued), stamp(c.Expires), times(len(r.Opened)), times(r.count()), decoder.Safe(c.Note))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

func show(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show N",
		Short:   "Say everything that came back of one canary",
		Example: "  nightlatch canary show 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, cfg, err := open(a, "")
			if err != nil {
				return err
			}
			one, err := find(c, h, args[0])
			if err != nil {
				return err
			}
			r, err := lookBack(c.Context(), h, cfg, one)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(r)
			}
			fmt.Fprintf(a.Stdout, "canary %d, planted %s\n  %s\n\n", one.N, stamp(one.Issued), one.URL)
			r.print(a.Stdout)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func remove(a *cli.App, reload Reload) *cobra.Command {
	return &cobra.Command{
		Use:     "remove N",
		Short:   "Look for a canary no longer; what the journal has of it stays",
		Example: "  nightlatch canary remove 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, _, err := open(a, "")
			if err != nil {
				return err
			}
			one, err := find(c, h, args[0])
			if err != nil {
				return err
			}
			if err := h.RemoveCanary(one.N); err != nil {
				return err
			}
			return reload(c.Context(), h)
		},
	}
}

// find gives the canary that an argument names.
func find(c *cobra.Command, h home.Home, arg string) (canaries.Canary, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 {
		return canaries.Canary{}, cli.Misused(c, "%q is not the number of a canary", arg)
	}
	all, err := canaries.Load(h.CanariesFile())
	if err != nil {
		return canaries.Canary{}, err
	}
	i := slices.IndexFunc(all, func(c canaries.Canary) bool { return c.N == n })
	if i < 0 {
		return canaries.Canary{}, errors.New("there is no canary " + arg + "; nightlatch canary list names them")
	}
	return all[i], nil
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

func times(n int) string {
	switch n {
	case 0:
		return "no"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
