package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"nightlatch/dashboard/filter"
	"nightlatch/dashboard/layers"
	"nightlatch/dashboard/row"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// leaksFor is how far back the Leaks page looks when nothing else is asked.
const leaksFor = 7 * 24 * time.Hour

const captureRows = 50 // captures on one Leaks page

// leaksView is what would have leaked: by kind and host, and capture by capture.
type leaksView struct {
	tableView
	From     time.Time
	Kinds    []journal.FindingSummary
	Possible int64 // findings that only look like something
	HTTPS    bool
	Reached  bool // some of the captures below were observed on their way
}

func (d *Dashboard) leaksPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := filter.Of(q, captureRows, d.now())
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	now := d.now()
	v := leaksView{From: f.Since, HTTPS: d.gateway().SinkHTTPS}
	if v.From.IsZero() {
		v.From = now.Add(-leaksFor)
	}
	sum, err := d.journal.Summary(r.Context(), v.From)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v.Kinds, v.Possible = kindRows(sum.Leaks, f)
	limit := f.Limit
	f.Since, f.Limit = v.From, limit+1
	captures, err := d.journal.Captures(r.Context(), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v.Reached = slices.ContainsFunc(captures, row.Observed)
	v.tableView = leakTable(captures, f, limit, q)
	v.choices(d, r)
	v.Always = "a week ago, as usual"
	if v.tableView.Since == "7d" {
		v.tableView.Since = ""
	}
	v.Spans = slices.DeleteFunc(v.Spans, func(c spanChoice) bool { return c.Value == "7d" })
	d.show(w, r, http.StatusOK, page{Name: "leaks", Title: "Leaks", Body: v})
}

func leakTable(captures []journal.StoredCapture, f journal.Filter, limit int, q url.Values) tableView {
	t := tableView{Filter: f, Newest: f.Before == 0}
	for _, c := range captures[:min(len(captures), limit)] {
		t.Rows = append(t.Rows, row.OfCapture(c))
	}
	if len(captures) > limit {
		t.Older = filter.Older(q, captures[limit-1].ID)
	}
	f.Since = time.Time{}
	t.Filtered = filtered(f)
	return t
}

// kindRows are the sums that the filter leaves, without what is only possible.
func kindRows(all []journal.FindingSummary, f journal.Filter) (rows []journal.FindingSummary, possible int64) {
	for _, s := range all {
		switch {
		case f.Device != "" && s.Device != f.Device, f.Finding != "" && s.Kind != f.Finding,
			!strings.Contains(strings.ToLower(s.Name), strings.ToLower(f.NamePart)):
		case s.Confidence == "possible":
			possible += s.Count
		default:
			s.Name, s.Owner = visible.Cut(s.Name, row.LongName), visible.Cut(s.Owner, 60)
			rows = append(rows, s)
		}
	}
	return rows, possible
}

func (d *Dashboard) capturePage(w http.ResponseWriter, r *http.Request) {
	c, ok, err := d.capture(r)
	switch {
	case err != nil:
		d.broken(w, r, err)
	case !ok:
		d.fail(w, r, http.StatusNotFound, "This capture is not in the journal: it is filter.Older than the journal remembers, or it never was.")
	default:
		d.show(w, r, http.StatusOK, page{Name: "capture", Title: "One capture", Body: layers.Open(c)})
	}
}

// capture reads the capture of the path's id.
func (d *Dashboard) capture(r *http.Request) (c journal.StoredCapture, ok bool, err error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 || id >= 1<<62 {
		return c, false, nil
	}
	all, err := d.journal.Captures(r.Context(), journal.Filter{Before: id + 1, After: id - 1, Limit: 1})
	if err != nil || len(all) == 0 || all[0].ID != id {
		return c, false, err
	}
	return all[0], true, nil
}
