package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"nightlatch/dashboard/card"
	"nightlatch/dashboard/chart"
	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/talk"
	"nightlatch/dashboard/thread"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// How much one device's page looks at and shows.
const (
	deviceFor    = 24 * time.Hour
	deviceRead   = 10_000 // events of each kind: what the journal gives at once
	deviceEvents = 300    // events put together as threads
	threadRows   = 25
	ownerRows    = 12
	leakRows     = 12
	reportTime   = time.Minute // a month of a busy phone
)

// deviceView is one device and its last day.
type deviceView struct {
	At      time.Time
	Row     []deviceRow // the device; none when it is no longer configured
	Name    string
	Threads []thread.Thread
	Owners  []talk.Owner
	Cut     bool // there was more in the day than was counted
	Wide    chart.Chart
	Narrow  chart.Chart
	Gave    []gaveRow
	Policy  desk.Sheet
	Problem string // why the policy cannot be shown
	Paused  []desk.Paused
	Rules   []desk.InForce
}

func (d *Dashboard) devicePage(w http.ResponseWriter, r *http.Request) {
	v, err := d.deviceView(r.Context(), r.PathValue("name"))
	switch {
	case err != nil:
		d.broken(w, r, err)
	case len(v.Row) == 0 && len(v.Threads) == 0:
		d.fail(w, r, http.StatusNotFound, "There is no device of this name, and the journal has nothing of it.")
	default:
		d.show(w, r, http.StatusOK, page{Name: "device", Title: visible.Cut(v.Name, 60), Body: v})
	}
}

func (d *Dashboard) deviceView(ctx context.Context, name string) (deviceView, error) {
	now := d.now()
	v := deviceView{At: now, Name: name}
	today, err := d.journal.Summary(ctx, midnight(now))
	if err != nil {
		return v, err
	}
	all, _ := deviceRows(d.gateway().Devices, today, now)
	if i := slices.IndexFunc(all, func(r deviceRow) bool { return r.Name == name }); i >= 0 {
		v.Row = all[i : i+1]
	}
	for _, l := range today.Leaks {
		if l.Device == name && l.Confidence != "possible" {
			v.Gave = gave(v.Gave, l)
		}
	}
	events, err := d.journal.Events(ctx, journal.Filter{Device: name, Limit: deviceEvents})
	if err != nil {
		return v, err
	}
	v.Threads = thread.Of(events, threadRows)
	if err := d.talks(ctx, &v); err != nil {
		return v, err
	}
	d.wishes(&v)
	return v, nil
}

// gaveRow is one kind of private value, and for whom it was.
type gaveRow struct {
	Device, Kind, Confidence, To string
	Count                        int64

	to []string
}

// gave adds a sum to the row of its kind.
func gave(rows []gaveRow, l journal.FindingSummary) []gaveRow {
	i := slices.IndexFunc(rows, func(r gaveRow) bool { return r.Kind == l.Kind })
	if i < 0 {
		if i = len(rows); i == leakRows {
			return rows
		}
		rows = append(rows, gaveRow{Device: l.Device, Kind: l.Kind, Confidence: l.Confidence})
	}
	r := &rows[i]
	r.Count += l.Count
	if card.Sureness(l.Confidence) > card.Sureness(r.Confidence) {
		r.Confidence = l.Confidence
	}
	who := visible.Cut(cmp.Or(l.Owner, l.Name), 80)
	if !slices.Contains(r.to, who) && len(r.to) < 4 {
		r.to = append(r.to, who)
		r.To = strings.Join(r.to, ", ")
	}
	return rows
}

// talks counts with whom the device talked in the last day, and when.
func (d *Dashboard) talks(ctx context.Context, v *deviceView) error {
	f := journal.Filter{Device: v.Name, Since: v.At.Add(-deviceFor), Limit: deviceRead}
	queries, err := d.journal.Queries(ctx, f)
	if err != nil {
		return err
	}
	flows, err := d.journal.Flows(ctx, f)
	if err != nil {
		return err
	}
	count := talk.Count{OwnerOf: d.desk.Owner}
	if count.OwnerOf == nil {
		count.OwnerOf = func(string) string { return "" }
	}
	for _, q := range queries {
		count.Query(q)
	}
	for _, c := range flows {
		count.Flow(c)
	}
	v.Cut = len(queries) == deviceRead || len(flows) == deviceRead
	v.Owners = count.Owners(ownerRows)
	v.Wide = chart.Draw("wide", count.Hours(), v.At, 760, 230, 3)
	v.Narrow = chart.Draw("narrow", count.Hours(), v.At, 340, 200, 6)
	return nil
}

// wishes asks what holds for the device, and what was changed for it by hand.
func (d *Dashboard) wishes(v *deviceView) {
	if d.desk.Policy != nil && len(v.Row) > 0 {
		sheet, err := d.desk.Policy(v.Name)
		if v.Policy = sheet; err != nil {
			v.Problem = sentence(err)
		}
	}
	if d.desk.Standing == nil {
		return
	}
	st, err := d.desk.Standing()
	if err != nil {
		v.Problem = sentence(err)
		return
	}
	for _, p := range st.Pauses {
		if p.Device == "" || p.Device == v.Name {
			v.Paused = append(v.Paused, p)
		}
	}
}

// reportPage gives the document to hand on. It is made whole before a byte is
// sent, so that a failure is told as one.
func (d *Dashboard) reportPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if d.desk.Report == nil {
		d.fail(w, r, http.StatusNotFound, "This gateway makes no reports from its pages; nightlatch report does.")
		return
	}
	setDeadlines(w, reportTime)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reportTime)
	defer cancel()
	var doc bytes.Buffer
	if err := d.desk.Report(ctx, name, &doc); err != nil {
		d.broken(w, r, err)
		return
	}
	file := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, visible.Cut(name, 40))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-report-%s.html"`, file, d.now().Format(time.DateOnly)))
	_, _ = w.Write(doc.Bytes())
}
