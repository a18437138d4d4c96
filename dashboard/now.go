package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"nightlatch/dashboard/card"
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
	leakSearch  = 200 // captures looked through for the cards
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
	Leaks     []card.Card
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
	v.Values, v.Hosts = card.Count(today.Leaks)
	captures, err := d.journal.Captures(ctx, journal.Filter{Since: midnight(now), Limit: leakSearch})
	if err != nil {
		return v, err
	}
	v.Leaks, v.MoreLeaks = card.Of(captures, today.Leaks)
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
