package dashboard

import (
	"net/http"
	"time"

	"nightlatch/dashboard/row"
	"nightlatch/dashboard/words"
	"nightlatch/journal"
)

const healthNotices = 60 // what the gateway said of late

// healthView is how the gateway itself is doing. It holds what the part
// "gateway" of the first page shows.
type healthView struct {
	Status  Status
	Stats   journal.Stats
	Lost    int64
	Uptime  string
	Written int64
	Notices []row.Row
	Wrong   []string // what wants a look, in words
}

func (d *Dashboard) healthPage(w http.ResponseWriter, r *http.Request) {
	st, stats := d.gateway(), d.journal.Stats()
	v := healthView{Status: st, Stats: stats, Lost: int64(stats.Lost), Written: int64(stats.Written), Uptime: words.Span(d.now().Sub(st.Started))}
	notices, err := d.journal.Notices(r.Context(), journal.Filter{Limit: healthNotices})
	if err != nil {
		d.broken(w, r, err)
		return
	}
	for _, n := range notices {
		v.Notices = append(v.Notices, row.OfNotice(n))
	}
	v.Wrong = troubles(st, stats)
	d.show(w, r, http.StatusOK, page{Name: "health", Title: "Health", Body: v})
}

// troubles says what wants a look now.
func troubles(st Status, stats journal.Stats) (out []string) {
	well := false
	for _, u := range st.Upstreams {
		well = well || u.Healthy || u.Untried
		if !u.Healthy && !u.Untried {
			out = append(out, "upstream "+u.Name+" fails: "+u.Err)
		}
	}
	if len(st.Upstreams) > 0 && !well {
		out = append(out, "no upstream answers: names that are not remembered cannot be resolved")
	}
	for _, l := range st.Lists {
		if l.Note != "" {
			out = append(out, "list "+l.Name+": "+l.Note)
		}
	}
	if stats.Trouble != "" {
		out = append(out, "the journal cannot be written: "+stats.Trouble)
	}
	if stats.Lost > 0 {
		out = append(out, words.Many(int64(stats.Lost), "event was", "events were")+" not kept since the start")
	}
	return out
}

// readyz says whether the gateway can do its work: an upstream answers, and the
// journal is written. It tells no more to whoever asks.
func (d *Dashboard) readyz(w http.ResponseWriter, _ *http.Request) {
	st := d.gateway()
	ready := d.journal.Stats().Trouble == ""
	well := len(st.Upstreams) == 0
	for _, u := range st.Upstreams {
		well = well || u.Healthy || u.Untried
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ready || !well {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready\n"))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// devicesView is every device at a glance.
type devicesView struct {
	At      time.Time
	Devices []deviceRow
}

func (d *Dashboard) devicesPage(w http.ResponseWriter, r *http.Request) {
	now := d.now()
	today, err := d.journal.Summary(r.Context(), midnight(now))
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v := devicesView{At: now}
	v.Devices, _ = deviceRows(d.gateway().Devices, today, now)
	d.show(w, r, http.StatusOK, page{Name: "devices", Title: "Devices", Body: v})
}
