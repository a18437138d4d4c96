package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"nightlatch/dashboard/chart"
	"nightlatch/dashboard/row"
	"nightlatch/dashboard/visible"
	"nightlatch/dashboard/words"
	"nightlatch/journal"
)

// How much the first page shows: what a person reads in ten seconds.
const (
	streamRows  = 24
	stoppedRows = 8
	leakCards   = 6
	leakSearch  = 200 // captures looked through for the cards
	cardValues  = 5   // findings on one card
	noticeRows  = 5
	alertFor    = 24 * time.Hour // how long a warning stays on top
	alertRows   = 3
)

// nowView is the first page.
type nowView struct {
	At        time.Time
	Status    Status
	Connected int64
	Waiting   bool // no device ever connected
	Today     journal.DeviceSummary
	Reached   bool  // some of them were observed on the way to a host that got them
	Values    int64 // private values caught today, without those that are only possible
	Hosts     int64 // hosts they were meant for
	Devices   []deviceRow
	Leaks     []leakCard
	MoreLeaks bool
	Stopped   []stoppedRow
	Stream    []row.Row
	Notices   []row.Row
	Alerts    []row.Row
	Wide      chart.Chart
	Narrow    chart.Chart
	Uptime    string
	Stats     journal.Stats
	Lost      int64 // events the journal could not keep
}

// deviceRow is a device and its day.
type deviceRow struct {
	Device
	State string // connected, away or new
	Seen  string // how long ago the last handshake was
	Today journal.DeviceSummary
	Found int64 // private values caught today, without those that are only possible
	Bytes int64
}

// stoppedRow is a name that was stopped today.
type stoppedRow struct {
	Name, Owner string
	By          row.By
	Count       int64
	Devices     int64
}

// leakCard is what one device would have told one host.
type leakCard struct {
	Device, Name, Owner string
	Last                time.Time
	ID                  int64 // the latest capture with a finding
	Captures            int
	Values              []leakValue
	More                int64 // kinds that did not fit
	Reached             bool  // observed on the way: the host got them

	host string // Name, uncut
}

type leakValue struct {
	Kind, Value, Confidence string
	Chain                   []string
	Count                   int64
}

func (d *Dashboard) nowPage(w http.ResponseWriter, r *http.Request) {
	v, err := d.nowView(r.Context())
	if err != nil {
		d.broken(w, r, err)
		return
	}
	d.show(w, r, http.StatusOK, page{Name: "now", Title: "Now", Live: true, Body: v})
}

// midnight is when today began, where the gateway stands.
func midnight(now time.Time) time.Time {
	n := now.Local()
	return time.Date(n.Year(), n.Month(), n.Day(), 0, 0, 0, 0, n.Location())
}

func (d *Dashboard) nowView(ctx context.Context) (nowView, error) {
	now := d.now()
	st := d.gateway()
	v := nowView{At: now, Status: st, Uptime: words.Span(now.Sub(st.Started)), Stats: d.journal.Stats()}
	v.Lost = int64(v.Stats.Lost)
	today, err := d.journal.Summary(ctx, midnight(now))
	if err != nil {
		return v, err
	}
	day, err := d.journal.Summary(ctx, now.Add(-chart.Hours*time.Hour))
	if err != nil {
		return v, err
	}
	v.Today = today.Total
	v.Devices, v.Connected = deviceRows(st.Devices, today, now)
	v.Waiting = today.Total.Queries == 0 && !slices.ContainsFunc(st.Devices, func(d Device) bool { return !d.Handshake.IsZero() })
	v.Stopped = stoppedNames(today.Blocked)
	v.Wide = chart.Draw("wide", day.Hours, now, 760, 230, 3)
	v.Narrow = chart.Draw("narrow", day.Hours, now, 340, 200, 6)
	v.Values, v.Hosts = countLeaks(today.Leaks)
	captures, err := d.journal.Captures(ctx, journal.Filter{Since: midnight(now), Limit: leakSearch})
	if err != nil {
		return v, err
	}
	v.Leaks, v.MoreLeaks = cards(captures, today.Leaks)
	v.Reached = slices.ContainsFunc(captures, func(c journal.StoredCapture) bool { return row.Observed(c) && len(row.Shown(c.Findings)) > 0 })
	return v, d.lines(ctx, &v)
}

// lines reads the stream and the notices.
func (d *Dashboard) lines(ctx context.Context, v *nowView) error {
	events, err := d.journal.Events(ctx, journal.Filter{Limit: streamRows})
	if err != nil {
		return err
	}
	for _, e := range events {
		if line, ok := row.Of(e); ok {
			v.Stream = append(v.Stream, line)
		}
	}
	notices, err := d.journal.Notices(ctx, journal.Filter{Limit: 50})
	if err != nil {
		return err
	}
	broken := slices.ContainsFunc(v.Status.Lists, func(l List) bool { return l.Note != "" })
	reloaded := false // a later reload worked
	for _, n := range notices {
		line := row.OfNotice(n)
		reloaded = reloaded || n.Room == "config" && n.Level == journal.Info
		repaired := n.Level == journal.Error && (n.Room == "blocklists" && !broken || n.Room == "config" && reloaded)
		if n.Level >= journal.Warn && !repaired && v.At.Sub(n.Time) < alertFor && len(v.Alerts) < alertRows {
			v.Alerts = append(v.Alerts, line)
		} else if len(v.Notices) < noticeRows {
			v.Notices = append(v.Notices, line)
		}
	}
	return nil
}

// deviceRows joins the gateway's devices with their day: connected ones first.
// Devices that are gone from the config but spoke today are left to the log.
func deviceRows(devices []Device, today journal.Summary, now time.Time) (rows []deviceRow, connected int64) {
	for _, dev := range devices {
		r := deviceRow{Device: dev, State: "new", Bytes: int64(dev.Rx + dev.Tx)}
		if i := slices.IndexFunc(today.Devices, func(s journal.DeviceSummary) bool { return s.Device == dev.Name }); i >= 0 {
			r.Today = today.Devices[i]
		}
		for _, l := range today.Leaks {
			if l.Device == dev.Name && l.Confidence != "possible" {
				r.Found += l.Count
			}
		}
		switch {
		case dev.Connected(now):
			r.State = "connected"
			connected++
		case !dev.Handshake.IsZero(), r.Today.Queries+r.Today.Flows > 0: // the gateway may have been started anew since
			r.State = "away"
		}
		if !dev.Handshake.IsZero() {
			r.Seen = words.Ago(now, dev.Handshake)
		}
		rows = append(rows, r)
	}
	order := map[string]int{"connected": 0, "away": 1, "new": 2}
	slices.SortStableFunc(rows, func(a, b deviceRow) int {
		return cmp.Or(cmp.Compare(order[a.State], order[b.State]), cmp.Compare(a.Name, b.Name))
	})
	return rows, connected
}

func stoppedNames(all []journal.BlockedName) []stoppedRow {
	var out []stoppedRow
	for _, b := range all[:min(len(all), stoppedRows)] {
		out = append(out, stoppedRow{Name: visible.Cut(b.Name, row.LongName), Owner: visible.Cut(b.Owner, 60), Count: b.Count, Devices: b.Devices,
			By: row.By{List: visible.Cut(b.List, row.LongName), Line: b.Line, Text: visible.Cut(b.Rule, row.LongText), Reason: visible.Cut(b.Reason, row.LongText)}})
	}
	return out
}

// countLeaks counts the values that were caught and the hosts behind them.
func countLeaks(all []journal.FindingSummary) (values, names int64) {
	seen := map[string]bool{}
	for _, l := range all {
		if l.Confidence == "possible" {
			continue
		}
		values += l.Count
		if !seen[l.Name] {
			seen[l.Name] = true
			names++
		}
	}
	return values, names
}

// cardKey tells cards apart: what was kept from a host, and what reached it, are
// never on one.
type cardKey struct {
	device, name string
	reached      bool
}

// cards folds captures, newest first, into one card for each device and host,
// with each kind of value once.
func cards(captures []journal.StoredCapture, sums []journal.FindingSummary) (out []leakCard, more bool) {
	at := map[cardKey]int{}
	for _, c := range captures {
		found := row.Shown(c.Findings)
		if len(found) == 0 {
			continue
		}
		key := cardKey{c.Device, c.Name, row.Observed(c)}
		i, ok := at[key]
		if !ok {
			if len(out) == leakCards {
				more = true
				continue
			}
			i = len(out)
			at[key] = i
			out = append(out, leakCard{Device: c.Device, Name: visible.Cut(c.Name, row.LongName), host: c.Name, Last: c.Time, ID: c.ID, Reached: row.Observed(c)})
		}
		out[i].Captures++
		for _, f := range found {
			out[i].add(f)
		}
	}
	for i := range out {
		out[i].finish(sums)
	}
	return out, more
}

// add takes a finding, one for each kind, and keeps the surest.
func (c *leakCard) add(f journal.StoredFinding) {
	i := slices.IndexFunc(c.Values, func(v leakValue) bool { return v.Kind == f.Kind })
	v := leakValue{Kind: f.Kind, Value: visible.Cut(f.Value, 60), Confidence: f.Confidence, Chain: f.Chain, Count: 1}
	switch {
	case i < 0:
		c.Values = append(c.Values, v)
	case f.Confidence == "proved" && c.Values[i].Confidence != "proved":
		v.Count = c.Values[i].Count + 1
		c.Values[i] = v
	default:
		c.Values[i].Count++
	}
}

// finish puts proved values first, takes the day's true counts, and cuts.
func (c *leakCard) finish(sums []journal.FindingSummary) {
	slices.SortStableFunc(c.Values, func(a, b leakValue) int { return sureness(b.Confidence) - sureness(a.Confidence) })
	for i := range c.Values {
		total := int64(0)
		for _, s := range sums {
			if s.Name == c.host && s.Device == c.Device {
				c.Owner = visible.Cut(s.Owner, 60)
				if s.Kind == c.Values[i].Kind {
					total += s.Count
				}
			}
		}
		c.Values[i].Count = max(c.Values[i].Count, total)
	}
	if over := len(c.Values) - cardValues; over > 0 {
		c.More, c.Values = int64(over), c.Values[:cardValues]
	}
}

func sureness(confidence string) int {
	switch confidence {
	case "proved":
		return 2
	case "likely":
		return 1
	}
	return 0
}
