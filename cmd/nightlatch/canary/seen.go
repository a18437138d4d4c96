package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"nightlatch/cmd/nightlatch/canary/watch"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/config/canaries"
	"nightlatch/decoder"
	"nightlatch/journal"
)

// Verdicts of a watch.
const (
	cameBack  = "came back"
	notSeen   = "did not come back"
	notOpened = "was not opened"
)

// result is what became of a canary.
type result struct {
	Canary   info        `json:"canary"`
	Verdict  string      `json:"verdict"` // came back, did not come back or was not opened
	Opened   []time.Time `json:"opened"`
	CameBack []back      `json:"came_back"`
}

// back is one way by which a canary came back: to one name, at one place of
// its payloads.
type back struct {
	watch.Sighting           // the first one
	Count          int       `json:"count"` // payloads or questions, those that were left out among them
	Last           time.Time `json:"last"`
}

func newResult(c canaries.Canary) *result {
	return &result{Canary: infoOf(c), Verdict: notOpened, Opened: []time.Time{}, CameBack: []back{}}
}

// maxBacks bounds the ways that are told apart.
const maxBacks = 1000

// index is a number of an array in a path: the same field of every event counts
// as one place.
var index = regexp.MustCompile(`/\d+(/|$)`)

func place(path string) string {
	return index.ReplaceAllString(index.ReplaceAllString(path, "/*$1"), "/*$1")
}

// add takes a sighting; fresh tells that it is a way not met before.
func (r *result) add(s watch.Sighting) (fresh bool) {
	if s.Time.Before(r.Canary.Issued) { // of another canary that had this number
		return false
	}
	if s.Way == watch.Opened {
		if n := len(r.Opened); n > 0 && s.Time.Sub(r.Opened[n-1]).Abs() < time.Second {
			return false // an address outside is asked for as A and as AAAA
		}
		r.Opened = append(r.Opened, s.Time)
		if r.Verdict == notOpened {
			r.Verdict = notSeen
		}
		return true
	}
	r.Verdict = cameBack
	for i := range r.CameBack {
		b := &r.CameBack[i]
		if b.Way == s.Way && b.To == s.To && b.Form == s.Form && b.Device == s.Device && place(b.Path) == place(s.Path) {
			b.Count += 1 + s.Repeats
			if s.Time.After(b.Last) {
				b.Last = s.Time
			}
			return false
		}
	}
	if len(r.CameBack) < maxBacks {
		r.CameBack = append(r.CameBack, back{s, 1 + s.Repeats, s.Time})
	}
	return true
}

func (r *result) count() (n int) {
	for _, b := range r.CameBack {
		n += b.Count
	}
	return n
}

// lookBack reads what the journal has of a canary.
func lookBack(ctx context.Context, h home.Home, cfg *config.Config, c canaries.Canary) (*result, error) {
	r := newResult(c)
	j, err := h.OpenJournal(ctx, cfg)
	if errors.Is(err, home.ErrNoJournal) {
		return r, nil // nothing was opened
	}
	if err != nil {
		return nil, err
	}
	defer j.Close()
	for _, f := range []journal.Filter{
		{Kind: journal.KindQuery, NamePart: fmt.Sprintf("(%s%d", journal.CanaryLabel, c.N)},
		{Kind: journal.KindCapture, Finding: journal.KindCanary},
		{Kind: journal.KindNotice, NamePart: fmt.Sprintf("%s%d was opened", journal.CanaryLabel, c.N)},
	} {
		f.Since, f.Limit = c.Issued, journal.MaxLimit
		events, err := j.Events(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(events) {
			r.take(e, c)
		}
	}
	return r, nil
}

// take adds what an event says of canary c, and gives the ways that are new.
func (r *result) take(e journal.StoredEvent, c canaries.Canary) (fresh []watch.Sighting) {
	for _, s := range watch.Sightings(e.Event, []canaries.Canary{c}) {
		if s.Canary == c.N && r.add(s) {
			fresh = append(fresh, s)
		}
	}
	return fresh
}

// followEvery is how often the journal is looked at: a gateway writes about
// once a second.
const followEvery = 250 * time.Millisecond

// await follows the journal until the time is over or ctx ends, and says what
// came back. That something came back is ErrSilent, whose exit code is 1.
func (o *issue) await(ctx context.Context, a *cli.App, h home.Home, cfg *config.Config, c canaries.Canary) error {
	j, err := h.OpenJournal(ctx, cfg)
	if err != nil {
		return err
	}
	defer j.Close()
	r := newResult(c)
	waiting, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	if !o.json {
		fmt.Fprintf(a.Stdout, "\nwaiting %s; ctrl-c ends it\n", o.wait)
	}
	err = j.Follow(waiting, journal.Filter{Since: c.Issued}, followEvery, func(e journal.StoredEvent) error {
		for _, s := range r.take(e, c) {
			if !o.json {
				printSighting(a.Stdout, s, 0)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Interrupted or not, what was seen until now is told, from the file anew:
	// the last second was written while nobody looked.
	if r, err = lookBack(context.WithoutCancel(ctx), h, cfg, c); err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(a.Stdout).Encode(r)
	} else {
		fmt.Fprintln(a.Stdout)
		r.conclude(a.Stdout)
	}
	if err == nil && r.Verdict == cameBack {
		err = cli.ErrSilent
	}
	return err
}

// print tells everything about a canary.
func (r *result) print(w io.Writer) {
	for _, t := range r.Opened {
		printSighting(w, watch.Sighting{Way: watch.Opened, Time: t}, 0)
	}
	for _, b := range r.CameBack {
		printSighting(w, b.Sighting, b.Count)
	}
	if len(r.Opened)+len(r.CameBack) > 0 {
		fmt.Fprintln(w)
	}
	r.conclude(w)
}

// printSighting prints one sighting; values come masked and are made harmless.
func printSighting(w io.Writer, s watch.Sighting, count int) {
	at := s.Time.Local().Format("2006-01-02 15:04:05")
	by := ""
	if s.Device != "" {
		by = " by " + decoder.Safe(s.Device)
	}
	if s.Way == watch.Opened {
		fmt.Fprintf(w, "%s  opened%s\n", at, by)
		return
	}
	fate := "stopped"
	if !s.Stopped {
		fate = "not stopped"
	}
	more := ""
	if count > 1 {
		more = fmt.Sprintf(", %d times", count)
	}
	verb := "came back in a payload for"
	if s.Way == watch.Name {
		verb = "came back in the name"
	}
	fmt.Fprintf(w, "%s  %s %s%s, %s%s\n", at, verb, decoder.Safe(s.To), strings.Replace(by, "by", "from", 1), fate, more)
	if s.Way == watch.Name {
		return
	}
	chain := strings.Join(s.Chain, " -> ")
	if chain == "" {
		chain = "as it is"
	}
	if s.Form != "" {
		chain += ", as " + s.Form
	}
	fmt.Fprintf(w, "                     %s\n                     at %s\n", decoder.Safe(chain), decoder.Safe(s.Path))
	if s.Excerpt != "" {
		fmt.Fprintf(w, "                     %s\n", decoder.Safe(s.Excerpt))
	}
}

// conclude says in words what it means.
func (r *result) conclude(w io.Writer) {
	c := r.Canary
	until := c.Expires.Local().Format("2 January 15:04")
	switch r.Verdict {
	case cameBack:
		names := map[string]bool{}
		for _, b := range r.CameBack {
			names[b.To] = true
		}
		private := ""
		if c.Incognito {
			private = "; you opened it in a private window alone, so that was told on too"
		}
		fmt.Fprintf(w, "proved: canary %d came back %s, at %s%s\n", c.N, times(r.count()), plural(len(names), "name"), private)
		if r.Verdict == cameBack && len(r.Opened) == 0 {
			fmt.Fprintln(w, "its opening was not seen, but nobody else can know the token")
		}
	case notSeen:
		fmt.Fprintf(w, "canary %d was opened %s and has not come back so far; it is looked for until %s\n", c.N, times(len(r.Opened)), until)
		fmt.Fprintln(w, "what is encrypted cannot be searched: nightlatch canary timing looks at that, and docs/canary.md says what this cannot see")
	default:
		fmt.Fprintf(w, "canary %d was not opened yet, so nothing is tested; it is looked for until %s\n", c.N, until)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
