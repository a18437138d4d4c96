package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"nightlatch/dashboard/filter"
	"nightlatch/dashboard/form"
	"nightlatch/journal"
)

func (d *Dashboard) apiQueries(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Queries, func(q journal.StoredQuery) int64 { return q.ID }, form.QueryOf)
}

func (d *Dashboard) apiFlows(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Flows, func(f journal.StoredFlow) int64 { return f.ID }, form.FlowOf)
}

func (d *Dashboard) apiCaptures(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Captures, func(c journal.StoredCapture) int64 { return c.ID }, form.CaptureOf)
}

func (d *Dashboard) apiCapture(w http.ResponseWriter, r *http.Request) {
	c, ok, err := d.capture(r)
	switch {
	case err != nil:
		d.broken(w, r, err)
	case !ok:
		d.fail(w, r, http.StatusNotFound, "This capture is not in the journal.")
	default:
		d.writeJSON(w, r, http.StatusOK, form.CaptureOf(c))
	}
}

// serveList answers one page of any kind of event.
func serveList[T, J any](d *Dashboard, w http.ResponseWriter, r *http.Request, read func(context.Context, journal.Filter) ([]T, error), id func(T) int64, as func(T) J) {
	f, err := filter.Of(r.URL.Query(), filter.APIRows, d.now())
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	if r.URL.Query().Get("limit") == "" {
		f.Limit = filter.PageRows
	}
	limit := f.Limit
	f.Limit++
	all, err := read(r.Context(), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	out := form.List[J]{Items: []J{}}
	if len(all) > limit {
		all = all[:limit]
		out.Next = r.URL.Path + filter.Older(r.URL.Query(), id(all[limit-1]))
	}
	for _, v := range all {
		out.Items = append(out.Items, as(v))
	}
	d.writeJSON(w, r, http.StatusOK, out)
}

func (d *Dashboard) apiDevices(w http.ResponseWriter, r *http.Request) {
	now := d.now()
	sum, err := d.journal.Summary(r.Context(), midnight(now))
	if err != nil {
		d.broken(w, r, err)
		return
	}
	rows, _ := deviceRows(d.gateway().Devices, sum, now)
	out := form.List[form.Device]{Items: []form.Device{}}
	for _, row := range rows {
		a := form.Device{Name: row.Name, Addresses: []string{}, Connected: row.Connected(now), Rx: row.Rx, Tx: row.Tx, Flows: row.Flows, Today: form.CountsOf(row.Today)}
		for _, addr := range row.Addrs {
			a.Addresses = append(a.Addresses, addr.String())
		}
		if !row.Handshake.IsZero() {
			at := row.Handshake.UTC()
			a.Handshake = &at
		}
		if row.Endpoint.IsValid() {
			a.Endpoint = row.Endpoint.String()
		}
		out.Items = append(out.Items, a)
	}
	d.writeJSON(w, r, http.StatusOK, out)
}

// apiSummary counts since midnight, or since the moment asked for.
func (d *Dashboard) apiSummary(w http.ResponseWriter, r *http.Request) {
	f, err := filter.Of(r.URL.Query(), 1, d.now())
	since := f.Since
	if f.Since = (time.Time{}); err == nil && filtered(f) {
		err = errors.New("a summary can be asked for since a moment, and by nothing else")
	}
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	if since.IsZero() {
		since = midnight(d.now())
	}
	sum, err := d.journal.Summary(r.Context(), since)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	d.writeJSON(w, r, http.StatusOK, form.SummaryOf(sum, since, d.gateway().Version, d.journal.Stats()))
}
