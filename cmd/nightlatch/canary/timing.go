package canary

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
	"nightlatch/journal"
	"nightlatch/journal/timing"
	"nightlatch/policy"
)

// rounds is how many schedules are drawn again: the smallest p-value is one in
// this many, which a correction for hundreds of destinations leaves below 1 %.
const rounds = 49_999

// gapAfter is the least pause between a window and the next opening.
const gapAfter = 15 * time.Second

// session is one experiment: when the owner was asked to open the page, and
// when that was done. It can be analysed again.
type session struct {
	Device    string      `json:"device"`
	Begin     time.Time   `json:"begin"`
	Length    float64     `json:"length_s"`
	Window    float64     `json:"window_s"`
	Gap       float64     `json:"gap_s"`
	Announced []time.Time `json:"announced"`
	Opened    []time.Time `json:"opened"` // as the page saw it; the announced moment where it did not
	Missed    int         `json:"missed"` // moments at which the page was not seen to be opened
}

func (s *session) design() timing.Design {
	seconds := func(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
	return timing.Design{Length: seconds(s.Length), Window: seconds(s.Window), Gap: seconds(s.Gap), Opens: len(s.Announced)}
}

type timingOptions struct {
	device, url, replay string
	opens               int
	length, window      time.Duration
	json                bool
	reload              Reload
}

func timingCommand(a *cli.App, reload Reload) *cobra.Command {
	o := timingOptions{reload: reload}
	c := &cobra.Command{
		Use:   "timing --device NAME",
		Short: "Test whether encrypted traffic follows what you open",
		Long: `Ask you to open a page at moments drawn at random, and test, for every
destination of the device, whether its traffic follows them: uploads and
attempts, stopped ones too, whatever they are encrypted with.

For each destination a p-value is printed: how often a schedule drawn at random
would have fitted its traffic as well as the real one did. It is corrected for
the number of destinations (Holm). A small one says that the destination reacts
to what you do at those moments. It does not say what was sent.

Keep the screen on and the browser open all the time, or you test whether
waking the phone makes it talk. Give it its time: eight opens in twenty minutes
find a destination that hears of every page.`,
		Example: "  nightlatch canary timing --device phone\n  nightlatch canary timing --replay session.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if o.replay == "" && o.device == "" {
				return cli.Misused(c, "name the device with --device")
			}
			return o.run(c.Context(), a)
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.device, "device", "", "the device you open the page on")
	fl.StringVar(&o.url, "url", "", "an address outside instead of the gateway's page; {} in it stands for a token")
	fl.IntVar(&o.opens, "opens", 8, "how often you will open the page")
	fl.DurationVar(&o.length, "for", 20*time.Minute, "how long the experiment takes")
	fl.DurationVar(&o.window, "window", 30*time.Second, "how long after each moment traffic counts")
	fl.StringVar(&o.replay, "replay", "", "analyse this session again, as --json printed it, with what the journal has")
	fl.BoolVar(&o.json, "json", false, "print one JSON object, with the session")
	return c
}

func (o *timingOptions) run(ctx context.Context, a *cli.App) error {
	h, cfg, err := open(a, o.device)
	if err != nil {
		return err
	}
	var s *session
	if o.replay != "" {
		s, err = loadSession(o.replay)
	} else {
		s, err = o.conduct(ctx, a, h, cfg)
	}
	if err != nil {
		return err
	}
	j, err := h.OpenJournal(ctx, cfg)
	if err != nil {
		return err
	}
	defer j.Close()
	traffic, err := trafficOf(ctx, j, s)
	if err != nil {
		return err
	}
	found, err := timing.Test(s.design(), s.offsets(s.Announced), s.offsets(s.Opened), traffic, rounds, rand.New(source{}))
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(a.Stdout).Encode(timingJSON(s, found))
	}
	return printTiming(a.Stdout, s, found)
}

// source draws from the machine's randomness: nobody can guess a schedule.
type source struct{}

// Uint64 gives 64 random bits.
func (source) Uint64() uint64 {
	var b [8]byte
	crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func (s *session) offsets(times []time.Time) []time.Duration {
	out := make([]time.Duration, len(times))
	for i, t := range times {
		out[i] = t.Sub(s.Begin)
	}
	return out
}

// maxSession bounds a session's file.
const maxSession = 1 << 20

// loadSession reads what --json printed: the session alone, or the whole object.
func loadSession(path string) (*session, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--replay: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSession))
	if err != nil {
		return nil, fmt.Errorf("--replay: %w", err)
	}
	var whole struct {
		Session *session `json:"session"`
	}
	s := &session{}
	if err := json.Unmarshal(text, &whole); err == nil && whole.Session != nil {
		s = whole.Session
	} else if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("--replay: %s is no session: %w", path, err)
	}
	switch {
	case s.Device == "" || s.Begin.IsZero() || len(s.Announced) == 0:
		return nil, fmt.Errorf("--replay: %s is no session: it needs device, begin and announced", path)
	case len(s.Opened) == 0:
		s.Opened = s.Announced
	case len(s.Opened) != len(s.Announced):
		return nil, fmt.Errorf("--replay: %s: %d moments announced, %d opened", path, len(s.Announced), len(s.Opened))
	}
	if s.Length > 24*3600 || s.Window > 24*3600 || s.Gap > 24*3600 {
		return nil, fmt.Errorf("--replay: %s: longer than a day", path)
	}
	return s, s.design().Check()
}

// conduct announces the moments and sees when the page was opened.
func (o *timingOptions) conduct(ctx context.Context, a *cli.App, h home.Home, cfg *config.Config) (*session, error) {
	d := timing.Design{Length: o.length, Opens: o.opens, Window: o.window, Gap: o.window + gapAfter}
	if err := d.Check(); err != nil {
		return nil, err
	}
	if !h.Running() {
		return nil, fmt.Errorf("no gateway is running in %s, so nothing can be seen; start it: nightlatch up", h.Dir)
	}
	now := time.Now()
	c, err := h.AddCanary(now, func(n int) (canaries.Canary, error) {
		c, err := canaries.New(n, o.url, now)
		c.Device, c.Note = o.device, "timing"
		return c, err
	})
	if err != nil {
		return nil, err
	}
	if err := o.reload(ctx, h); err != nil {
		return nil, err
	}
	out := a.Stdout
	if o.json {
		out = a.Stderr
	}
	fmt.Fprintf(out, "canary %d\n\n  %s\n\n", c.N, c.URL)
	if err := qr.Print(out, c.URL, terminal.Colours(out)); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "\nscan it now, so that the address is in the browser of %s; keep the screen on and the browser open.\n"+
		"You will be asked %d times within %s to load it. Do nothing else with the phone. ctrl-c gives up\n\n", o.device, d.Opens, d.Length)
	drawn := d.Draw(rand.New(source{}))
	s := &session{Device: o.device, Begin: time.Now(), Length: d.Length.Seconds(), Window: d.Window.Seconds(), Gap: d.Gap.Seconds()}
	for _, at := range drawn {
		s.Announced = append(s.Announced, s.Begin.Add(at))
	}
	err = announce(ctx, s, func(i int) {
		fmt.Fprintf(out, "\a%s  load it now (%d of %d)\n", time.Now().Format(time.TimeOnly), i+1, len(drawn))
	})
	if err != nil {
		return nil, err
	}
	r, err := lookBack(ctx, h, cfg, c)
	if err != nil {
		return nil, err
	}
	s.Opened, s.Missed = matchOpened(s.Announced, r.Opened, d.Gap)
	if s.Missed > len(drawn)/2 {
		return nil, fmt.Errorf("the page was seen to be opened at %d of %d moments; that is too little to test", len(drawn)-s.Missed, len(drawn))
	}
	return s, nil
}

// flushed is how long a gateway takes at most to write what ended.
const flushed = 3 * time.Second

// announce waits for every moment and for the end of the experiment.
func announce(ctx context.Context, s *session, tell func(i int)) error {
	end := s.Begin.Add(s.design().Length + s.design().Window + flushed)
	for i, at := range append(slices.Clone(s.Announced), end) {
		timer := time.NewTimer(time.Until(at))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if i < len(s.Announced) {
			tell(i)
		}
	}
	return nil
}

// matchOpened gives for every announced moment when the page was opened: the
// first time from then until the next could be announced. A moment without one
// counts as acted on as late as the others were on average.
func matchOpened(announced, seen []time.Time, gap time.Duration) (opened []time.Time, missed int) {
	opened = make([]time.Time, len(announced))
	var late time.Duration
	n := 0
	for i, at := range announced {
		for _, t := range seen {
			if d := t.Sub(at); d >= 0 && d < gap && (opened[i].IsZero() || t.Before(opened[i])) {
				opened[i] = t
			}
		}
		if !opened[i].IsZero() {
			late += opened[i].Sub(at)
			n++
		}
	}
	for i := range opened {
		if opened[i].IsZero() {
			missed++
			opened[i] = announced[i].Add(late / time.Duration(max(n, 1)))
		}
	}
	return opened, missed
}

// trafficOf reads what the device sent or tried to send in the experiment, by
// destination. What was stopped counts by its captures; the flow it came in is
// an attempt.
func trafficOf(ctx context.Context, j *journal.Journal, s *session) (map[string][]timing.Event, error) {
	d := s.design()
	f := journal.Filter{Device: s.Device, Since: s.Begin, Until: s.Begin.Add(d.Length + d.Window)}
	out := map[string][]timing.Event{}
	add := func(name string, at time.Time, bytes int64) {
		if !ownName(name) && !strings.Contains(name, journal.CanaryLabel) {
			out[name] = append(out[name], timing.Event{At: at.Sub(s.Begin), Bytes: bytes})
		}
	}
	err := readAll(ctx, f, j.Queries, func(q journal.StoredQuery) int64 { return q.ID }, func(q journal.StoredQuery) { add(q.Name, q.Time, 0) })
	if err != nil {
		return nil, err
	}
	err = readAll(ctx, f, j.Flows, func(e journal.StoredFlow) int64 { return e.ID }, func(e journal.StoredFlow) {
		name, up := e.Name, e.Up
		if name == "" {
			name = e.Dst.Addr().String()
		}
		if e.Verdict.Action == policy.Sink { // its payloads are captures
			up = 0
		}
		add(name, e.Time, up)
	})
	if err != nil {
		return nil, err
	}
	return out, readAll(ctx, f, j.Captures, func(c journal.StoredCapture) int64 { return c.ID }, func(c journal.StoredCapture) { add(c.Name, c.Time, c.Size) })
}

type findingJSON struct {
	Name     string  `json:"name"`
	Events   int     `json:"events"`
	Bytes    int64   `json:"bytes"`
	Hits     int     `json:"hits"`
	Chance   float64 `json:"hits_by_chance"`
	P        float64 `json:"p"`
	Adjusted float64 `json:"p_adjusted"`
	Meaning  string  `json:"meaning"`
}

func timingJSON(s *session, found []timing.Finding) any {
	out := struct {
		Session      *session      `json:"session"`
		Rounds       int           `json:"rounds"`
		Destinations []findingJSON `json:"destinations"`
	}{s, rounds, []findingJSON{}}
	for _, f := range found {
		out.Destinations = append(out.Destinations, findingJSON{f.Name, f.Events, f.Bytes, f.Hits, f.Chance, f.P, f.Adjusted, meaning(f)})
	}
	return out
}

// meaning puts a corrected p-value into words.
func meaning(f timing.Finding) string {
	switch {
	case f.Adjusted <= 0.001:
		return "follows what you open: strong evidence"
	case f.Adjusted <= 0.01:
		return "follows what you open: evidence"
	case f.Adjusted <= 0.05:
		return "may follow what you open: a hint; repeat it"
	}
	return "no sign that it follows what you open"
}

// shownRows is how many destinations without a sign are listed.
const shownRows = 10

func printTiming(w io.Writer, s *session, found []timing.Finding) error {
	n := len(s.Announced)
	fmt.Fprintf(w, "\n%s opened the page %d times in %s; what was sent within %s after counts\n\n", s.Device, n-s.Missed, s.design().Length, s.design().Window)
	if len(found) == 0 {
		return errors.New("the journal has no traffic of the device in that time")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DESTINATION\tFOLLOWED\tBY CHANCE\tP\tCORRECTED\tMEANING")
	signs, left := 0, 0
	for _, f := range found {
		if f.Adjusted <= 0.05 {
			signs++
		} else if left++; left > shownRows {
			continue
		}
		fmt.Fprintf(t, "%s\t%d of %d\t%.1f\t%s\t%s\t%s\n", decoder.Safe(f.Name), f.Hits, n, f.Chance, pWords(f.P), pWords(f.Adjusted), meaning(f))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if left > shownRows {
		fmt.Fprintf(w, "and %d more without a sign\n", left-shownRows)
	}
	if signs > 0 {
		f := found[0]
		fmt.Fprintf(w, "\n%s: if it knew nothing of what you open, %s would look like this.\n"+
			"That it reacts is shown; what it was told is not.\n", decoder.Safe(f.Name), oneIn(f.P))
	} else {
		fmt.Fprintf(w, "\nNo destination follows. That is no proof that none does: reports may be sent hours later, or within a connection that was open before.\n")
	}
	return nil
}

func pWords(p float64) string {
	if p < 0.0001 {
		return fmt.Sprintf("%.5f", p)
	}
	return fmt.Sprintf("%.4f", p)
}

// oneIn says how often chance alone does it.
func oneIn(p float64) string {
	return fmt.Sprintf("1 experiment in %.0f", 1/p)
}
