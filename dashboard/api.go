package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"nightlatch/blocklists"
	"nightlatch/journal"
)

// The forms of the API, version 1. Times are RFC 3339 in UTC, durations are
// milliseconds, sizes are bytes, values are masked. Fields may be added; none
// is renamed or removed within a version.
type (
	listOf[T any] struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty"` // address of the next page; absent on the last
	}
	apiVerdict struct {
		Action string `json:"action"` // pass, sink, deny, drop, rewrite or observe
		List   string `json:"list,omitempty"`
		Line   int    `json:"line,omitempty"`
		Rule   string `json:"rule,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	apiQuery struct {
		ID       int64      `json:"id"`
		Time     time.Time  `json:"time"`
		Device   string     `json:"device"`
		Name     string     `json:"name"`
		Type     string     `json:"type"`
		Server   string     `json:"server,omitempty"` // whom the device meant to ask
		Network  string     `json:"network,omitempty"`
		Verdict  apiVerdict `json:"verdict"`
		Through  string     `json:"through,omitempty"`
		RCode    string     `json:"rcode,omitempty"`
		Answers  []string   `json:"answers,omitempty"`
		Upstream string     `json:"upstream,omitempty"`
		TookMS   float64    `json:"took_ms"`
	}
	apiFlow struct {
		ID      int64      `json:"id"`
		Time    time.Time  `json:"time"`
		Device  string     `json:"device"`
		Proto   string     `json:"proto"`
		To      string     `json:"to"`
		Name    string     `json:"name,omitempty"` // absent for a hard-coded address
		Exact   bool       `json:"exact"`
		Verdict apiVerdict `json:"verdict"`
		Up      int64      `json:"up"`
		Down    int64      `json:"down"`
		TookMS  float64    `json:"took_ms"`
		Error   string     `json:"error,omitempty"`
	}
	apiFinding struct {
		Kind       string   `json:"kind"`
		Value      string   `json:"value"` // masked
		Path       string   `json:"path"`
		Chain      []string `json:"chain"`
		Confidence string   `json:"confidence"`
	}
	apiLayer struct {
		Codec string `json:"codec"`
		Path  string `json:"path"`
	}
	apiCapture struct {
		ID          int64        `json:"id"`
		Time        time.Time    `json:"time"`
		Device      string       `json:"device"`
		Name        string       `json:"name"`
		Scheme      string       `json:"scheme"`
		Method      string       `json:"method,omitempty"`
		ContentType string       `json:"content_type,omitempty"`
		Size        int64        `json:"size"`
		TLSOutcome  string       `json:"tls_outcome,omitempty"`
		Verdict     string       `json:"verdict,omitempty"`
		Flags       []string     `json:"flags,omitempty"`
		Layers      []apiLayer   `json:"layers"`
		Findings    []apiFinding `json:"findings"`
	}
	apiDevice struct {
		Name      string     `json:"name"`
		Addresses []string   `json:"addresses"`
		Connected bool       `json:"connected"`
		Handshake *time.Time `json:"handshake,omitempty"`
		Endpoint  string     `json:"endpoint,omitempty"`
		Rx        uint64     `json:"rx"`
		Tx        uint64     `json:"tx"`
		Flows     int        `json:"flows"`
		Today     apiCounts  `json:"today"`
	}
	apiCounts struct {
		Queries        int64 `json:"queries"`
		BlockedQueries int64 `json:"blocked_queries"`
		Flows          int64 `json:"flows"`
		BlockedFlows   int64 `json:"blocked_flows"`
		Captures       int64 `json:"captures"`
		Findings       int64 `json:"findings"`
	}
	apiBlocked struct {
		Name    string    `json:"name"`
		Owner   string    `json:"owner,omitempty"`
		List    string    `json:"list,omitempty"`
		Line    int       `json:"line,omitempty"`
		Rule    string    `json:"rule,omitempty"`
		Reason  string    `json:"reason,omitempty"`
		Count   int64     `json:"count"`
		Devices int64     `json:"devices"`
		Last    time.Time `json:"last"`
	}
	apiLeak struct {
		Kind       string    `json:"kind"`
		Name       string    `json:"name"`
		Owner      string    `json:"owner,omitempty"`
		Device     string    `json:"device"`
		Confidence string    `json:"confidence"`
		Count      int64     `json:"count"`
		Last       time.Time `json:"last"`
	}
	apiHour struct {
		Start time.Time `json:"start"`
		apiCounts
	}
	apiSum struct {
		Version string       `json:"version"`
		Since   time.Time    `json:"since"`
		Total   apiCounts    `json:"total"`
		Blocked []apiBlocked `json:"blocked"`
		Leaks   []apiLeak    `json:"leaks"`
		Hours   []apiHour    `json:"hours"`
		Journal apiJournal   `json:"journal"`
	}
	apiJournal struct {
		Recorded uint64 `json:"recorded"`
		Written  uint64 `json:"written"`
		Lost     uint64 `json:"lost"`
		Bytes    int64  `json:"bytes"`
		Trouble  string `json:"trouble,omitempty"`
	}
)

func (d *Dashboard) apiQueries(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Queries, func(q journal.StoredQuery) int64 { return q.ID }, queryJSON)
}

func (d *Dashboard) apiFlows(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Flows, func(f journal.StoredFlow) int64 { return f.ID }, flowJSON)
}

func (d *Dashboard) apiCaptures(w http.ResponseWriter, r *http.Request) {
	serveList(d, w, r, d.journal.Captures, func(c journal.StoredCapture) int64 { return c.ID }, captureJSON)
}

func (d *Dashboard) apiCapture(w http.ResponseWriter, r *http.Request) {
	c, ok, err := d.capture(r)
	switch {
	case err != nil:
		d.broken(w, r, err)
	case !ok:
		d.fail(w, r, http.StatusNotFound, "This capture is not in the journal.")
	default:
		d.writeJSON(w, r, http.StatusOK, captureJSON(c))
	}
}

// serveList answers one page of any kind of event.
func serveList[T, J any](d *Dashboard, w http.ResponseWriter, r *http.Request, read func(context.Context, journal.Filter) ([]T, error), id func(T) int64, form func(T) J) {
	f, err := filterOf(r.URL.Query(), apiRows)
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	if r.URL.Query().Get("limit") == "" {
		f.Limit = pageRows
	}
	limit := f.Limit
	f.Limit++
	all, err := read(r.Context(), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	out := listOf[J]{Items: []J{}}
	if len(all) > limit {
		all = all[:limit]
		out.Next = r.URL.Path + older(r.URL.Query(), id(all[limit-1]))
	}
	for _, v := range all {
		out.Items = append(out.Items, form(v))
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
	out := listOf[apiDevice]{Items: []apiDevice{}}
	for _, row := range rows {
		a := apiDevice{Name: row.Name, Addresses: []string{}, Connected: row.Connected(now), Rx: row.Rx, Tx: row.Tx, Flows: row.Flows, Today: countsJSON(row.Today)}
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
	f, err := filterOf(r.URL.Query(), 1)
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
	d.writeJSON(w, r, http.StatusOK, summaryJSON(sum, since, d.gateway().Version, d.journal.Stats()))
}

func summaryJSON(sum journal.Summary, since time.Time, version string, st journal.Stats) apiSum {
	out := apiSum{Version: version, Since: since.UTC(), Total: countsJSON(sum.Total), Blocked: []apiBlocked{}, Leaks: []apiLeak{}, Hours: []apiHour{},
		Journal: apiJournal{Recorded: st.Recorded, Written: st.Written, Lost: st.Lost, Bytes: st.Bytes, Trouble: st.Trouble}}
	for _, b := range sum.Blocked {
		out.Blocked = append(out.Blocked, apiBlocked{Name: b.Name, Owner: b.Owner, Count: b.Count, Devices: b.Devices, Last: b.Last.UTC(),
			List: b.List, Line: b.Line, Rule: b.Rule, Reason: b.Reason})
	}
	for _, l := range sum.Leaks {
		out.Leaks = append(out.Leaks, apiLeak{Kind: l.Kind, Name: l.Name, Owner: l.Owner, Device: l.Device, Confidence: l.Confidence, Count: l.Count, Last: l.Last.UTC()})
	}
	for _, h := range sum.Hours {
		out.Hours = append(out.Hours, apiHour{h.Start.UTC(), apiCounts{Queries: h.Queries, BlockedQueries: h.BlockedQueries, Flows: h.Flows, BlockedFlows: h.BlockedFlows, Captures: h.Captures}})
	}
	return out
}

func countsJSON(s journal.DeviceSummary) apiCounts {
	return apiCounts{Queries: s.Queries, BlockedQueries: s.BlockedQueries, Flows: s.Flows, BlockedFlows: s.BlockedFlows, Captures: s.Captures, Findings: s.Findings}
}

func verdictJSON(action string, r blocklists.Rule, reason string) apiVerdict {
	return apiVerdict{Action: action, List: r.List, Line: r.Line, Rule: r.Text, Reason: reason}
}

func queryJSON(q journal.StoredQuery) apiQuery {
	out := apiQuery{ID: q.ID, Time: q.Time.UTC(), Device: q.Device, Name: q.Name, Type: q.Type, Network: q.Network,
		Verdict: verdictJSON(q.Verdict.Action.String(), q.Verdict.Rule, q.Verdict.Reason),
		Through: q.Through, RCode: q.RCode, Answers: q.Answers, Upstream: q.Upstream, TookMS: millis(q.Took)}
	if q.Server.IsValid() {
		out.Server = q.Server.String()
	}
	return out
}

func flowJSON(f journal.StoredFlow) apiFlow {
	return apiFlow{ID: f.ID, Time: f.Time.UTC(), Device: f.Device, Proto: f.Proto, To: f.Dst.String(), Name: f.Name, Exact: f.Exact,
		Verdict: verdictJSON(f.Verdict.Action.String(), f.Verdict.Rule, f.Verdict.Reason), Up: f.Up, Down: f.Down, TookMS: millis(f.Took), Error: f.Err}
}

// captureJSON leaves out the path and the sample of a request: both are as the
// device sent them, and may hold what the findings mask.
func captureJSON(c journal.StoredCapture) apiCapture {
	out := apiCapture{ID: c.ID, Time: c.Time.UTC(), Device: c.Device, Name: c.Name, Scheme: c.Scheme, Method: c.Method, ContentType: c.ContentType,
		Size: c.Size, Verdict: c.Result.Verdict, Flags: c.Result.Flags, Layers: []apiLayer{}, Findings: []apiFinding{}}
	if c.TLS != nil {
		out.TLSOutcome = c.TLS.Outcome
	}
	for _, l := range c.Result.Layers {
		out.Layers = append(out.Layers, apiLayer{l.Codec, l.Path})
	}
	for _, f := range c.Findings {
		out.Findings = append(out.Findings, apiFinding{f.Kind, f.Value, f.Path, append([]string{}, f.Chain...), f.Confidence})
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
