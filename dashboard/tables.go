package dashboard

import (
	"context"
	"net/http"
	"slices"

	"nightlatch/dashboard/filter"
	"nightlatch/dashboard/row"
	"nightlatch/journal"
)

// tableView is a page of queries or flows with the filter that chose them.
type tableView struct {
	Filter   journal.Filter
	Devices  []string
	Rows     []row.Row
	Older    string // the address of the next page; empty on the last
	Newest   bool   // this is the first page
	Filtered bool   // something was asked for, so an empty page is no news
	Path     string // of this page: a form comes back to it
	Since    string // as the address has it
	Spans    []spanChoice
	Always   string // what no choice of a span means
	Types    []string
	Lists    []string
}

// spanChoice is one choice of how far back a table looks.
type spanChoice struct{ Value, Words string }

// choices fills in what the filter of a page offers. A moment that a link asks
// for is a choice of its own, so that the page does not lose it.
func (v *tableView) choices(d *Dashboard, r *http.Request) {
	v.Path, v.Since = backTo(r.URL.RequestURI()), r.URL.Query().Get("since")
	v.Devices = d.deviceNames(v.Filter.Device)
	v.Spans = []spanChoice{{"15m", "15 minutes ago"}, {"1h", "an hour ago"}, {"24h", "a day ago"}, {"7d", "a week ago"}, {"30d", "a month ago"}}
	v.Always = "ever"
	if v.Since != "" && !slices.ContainsFunc(v.Spans, func(c spanChoice) bool { return c.Value == v.Since }) {
		v.Spans = append(v.Spans, spanChoice{v.Since, v.Filter.Since.Local().Format("2 Jan 15:04")})
	}
	for _, l := range d.gateway().Lists {
		v.Lists = append(v.Lists, l.Name)
	}
	if f := v.Filter.List; f != "" && !slices.Contains(v.Lists, f) {
		v.Lists = append(v.Lists, f)
	}
}

func (d *Dashboard) queriesPage(w http.ResponseWriter, r *http.Request) {
	d.table(w, r, "queries", "Questions", []string{"A", "AAAA", "HTTPS", "TXT", "PTR"}, func(ctx context.Context, f journal.Filter) ([]row.Row, error) {
		return mapped(d.journal.Queries, row.OfQuery)(ctx, f)
	})
}

func (d *Dashboard) flowsPage(w http.ResponseWriter, r *http.Request) {
	d.table(w, r, "flows", "Connections", []string{"tcp", "udp", "icmp"}, func(ctx context.Context, f journal.Filter) ([]row.Row, error) {
		return mapped(d.journal.Flows, row.OfFlow)(ctx, f)
	})
}

// mapped turns a read of the journal into one of rows.
func mapped[T any](read func(context.Context, journal.Filter) ([]T, error), row1 func(T) row.Row) func(context.Context, journal.Filter) ([]row.Row, error) {
	return func(ctx context.Context, f journal.Filter) ([]row.Row, error) {
		all, err := read(ctx, f)
		out := make([]row.Row, 0, len(all))
		for _, v := range all {
			out = append(out, row1(v))
		}
		return out, err
	}
}

func (d *Dashboard) table(w http.ResponseWriter, r *http.Request, name, title string, types []string, read func(context.Context, journal.Filter) ([]row.Row, error)) {
	f, err := filter.Of(r.URL.Query(), filter.PageRows, d.now())
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	limit := f.Limit
	f.Limit++ // one more row tells whether there is a next page
	rows, err := read(r.Context(), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v := tableView{Filter: f, Rows: rows, Newest: f.Before == 0, Filtered: filtered(f)}
	v.choices(d, r)
	v.Types = types
	if len(rows) > limit {
		v.Rows = rows[:limit]
		v.Older = filter.Older(r.URL.Query(), v.Rows[limit-1].ID)
	}
	d.show(w, r, http.StatusOK, page{Name: name, Title: title, Body: v})
}

func filtered(f journal.Filter) bool {
	return f.Device != "" || f.NamePart != "" || f.Blocked || f.Type != "" || f.List != "" || f.Finding != "" ||
		!f.Since.IsZero() || !f.Until.IsZero() || f.Before != 0 || f.After != 0
}

// deviceNames are the choices of a filter, with the one chosen even when it is
// no longer configured.
func (d *Dashboard) deviceNames(chosen string) []string {
	var out []string
	for _, dev := range d.gateway().Devices {
		out = append(out, dev.Name)
	}
	if chosen != "" && !slices.Contains(out, chosen) {
		out = append(out, chosen)
	}
	slices.Sort(out)
	return out
}

// sentence makes a sentence of an error, for people.
func sentence(err error) string {
	s := err.Error()
	return string(upper(s[0])) + s[1:] + "."
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
