// Package form is what the API answers: the JSON forms of events, devices and
// sums, version 1. It is pure.
package form

import (
	"time"

	"nightlatch/blocklists"
	"nightlatch/journal"
)

// The forms of the API, version 1. Times are RFC 3339 in UTC, durations are
// milliseconds, sizes are bytes, values are masked. Fields may be added; none
// is renamed or removed within a version.
type (
	List[T any] struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty"` // address of the next page; absent on the last
	}
	Verdict struct {
		Action string `json:"action"` // pass, sink, deny, drop, rewrite or observe
		List   string `json:"list,omitempty"`
		Line   int    `json:"line,omitempty"`
		Rule   string `json:"rule,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	Query struct {
		ID       int64     `json:"id"`
		Time     time.Time `json:"time"`
		Device   string    `json:"device"`
		Name     string    `json:"name"`
		Type     string    `json:"type"`
		Server   string    `json:"server,omitempty"` // whom the device meant to ask
		Network  string    `json:"network,omitempty"`
		Verdict  Verdict   `json:"verdict"`
		Through  string    `json:"through,omitempty"`
		RCode    string    `json:"rcode,omitempty"`
		Answers  []string  `json:"answers,omitempty"`
		Upstream string    `json:"upstream,omitempty"`
		TookMS   float64   `json:"took_ms"`
	}
	Flow struct {
		ID      int64     `json:"id"`
		Time    time.Time `json:"time"`
		Device  string    `json:"device"`
		Proto   string    `json:"proto"`
		To      string    `json:"to"`
		Name    string    `json:"name,omitempty"` // absent for a hard-coded address
		Exact   bool      `json:"exact"`
		Verdict Verdict   `json:"verdict"`
		Up      int64     `json:"up"`
		Down    int64     `json:"down"`
		TookMS  float64   `json:"took_ms"`
		Error   string    `json:"error,omitempty"`
	}
	Finding struct {
		Kind       string   `json:"kind"`
		Value      string   `json:"value"` // masked
		Path       string   `json:"path"`
		Chain      []string `json:"chain"`
		Confidence string   `json:"confidence"`
	}
	Layer struct {
		Codec string `json:"codec"`
		Path  string `json:"path"`
	}
	Capture struct {
		ID          int64     `json:"id"`
		Time        time.Time `json:"time"`
		Device      string    `json:"device"`
		Name        string    `json:"name"`
		Scheme      string    `json:"scheme"`
		Method      string    `json:"method,omitempty"`
		ContentType string    `json:"content_type,omitempty"`
		Size        int64     `json:"size"`
		TLSOutcome  string    `json:"tls_outcome,omitempty"`
		Verdict     string    `json:"verdict,omitempty"`
		Flags       []string  `json:"flags,omitempty"`
		Layers      []Layer   `json:"layers"`
		Findings    []Finding `json:"findings"`
	}
	Device struct {
		Name      string     `json:"name"`
		Addresses []string   `json:"addresses"`
		Connected bool       `json:"connected"`
		Handshake *time.Time `json:"handshake,omitempty"`
		Endpoint  string     `json:"endpoint,omitempty"`
		Rx        uint64     `json:"rx"`
		Tx        uint64     `json:"tx"`
		Flows     int        `json:"flows"`
		Today     Counts     `json:"today"`
	}
	Counts struct {
		Queries        int64 `json:"queries"`
		BlockedQueries int64 `json:"blocked_queries"`
		Flows          int64 `json:"flows"`
		BlockedFlows   int64 `json:"blocked_flows"`
		Captures       int64 `json:"captures"`
		Findings       int64 `json:"findings"`
	}
	Blocked struct {
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
	Leak struct {
		Kind       string    `json:"kind"`
		Name       string    `json:"name"`
		Owner      string    `json:"owner,omitempty"`
		Device     string    `json:"device"`
		Confidence string    `json:"confidence"`
		Count      int64     `json:"count"`
		Last       time.Time `json:"last"`
	}
	Hour struct {
		Start time.Time `json:"start"`
		Counts
	}
	Summary struct {
		Version string    `json:"version"`
		Since   time.Time `json:"since"`
		Total   Counts    `json:"total"`
		Blocked []Blocked `json:"blocked"`
		Leaks   []Leak    `json:"leaks"`
		Hours   []Hour    `json:"hours"`
		Journal Journal   `json:"journal"`
	}
	Journal struct {
		Recorded uint64 `json:"recorded"`
		Written  uint64 `json:"written"`
		Lost     uint64 `json:"lost"`
		Bytes    int64  `json:"bytes"`
		Trouble  string `json:"trouble,omitempty"`
	}
)

func SummaryOf(sum journal.Summary, since time.Time, version string, st journal.Stats) Summary {
	out := Summary{Version: version, Since: since.UTC(), Total: CountsOf(sum.Total), Blocked: []Blocked{}, Leaks: []Leak{}, Hours: []Hour{},
		Journal: Journal{Recorded: st.Recorded, Written: st.Written, Lost: st.Lost, Bytes: st.Bytes, Trouble: st.Trouble}}
	for _, b := range sum.Blocked {
		out.Blocked = append(out.Blocked, Blocked{Name: b.Name, Owner: b.Owner, Count: b.Count, Devices: b.Devices, Last: b.Last.UTC(),
			List: b.List, Line: b.Line, Rule: b.Rule, Reason: b.Reason})
	}
	for _, l := range sum.Leaks {
		out.Leaks = append(out.Leaks, Leak{Kind: l.Kind, Name: l.Name, Owner: l.Owner, Device: l.Device, Confidence: l.Confidence, Count: l.Count, Last: l.Last.UTC()})
	}
	for _, h := range sum.Hours {
		out.Hours = append(out.Hours, Hour{h.Start.UTC(), Counts{Queries: h.Queries, BlockedQueries: h.BlockedQueries, Flows: h.Flows, BlockedFlows: h.BlockedFlows, Captures: h.Captures}})
	}
	return out
}

func CountsOf(s journal.DeviceSummary) Counts {
	return Counts{Queries: s.Queries, BlockedQueries: s.BlockedQueries, Flows: s.Flows, BlockedFlows: s.BlockedFlows, Captures: s.Captures, Findings: s.Findings}
}

func verdictOf(action string, r blocklists.Rule, reason string) Verdict {
	return Verdict{Action: action, List: r.List, Line: r.Line, Rule: r.Text, Reason: reason}
}

func QueryOf(q journal.StoredQuery) Query {
	out := Query{ID: q.ID, Time: q.Time.UTC(), Device: q.Device, Name: q.Name, Type: q.Type, Network: q.Network,
		Verdict: verdictOf(q.Verdict.Action.String(), q.Verdict.Rule, q.Verdict.Reason),
		Through: q.Through, RCode: q.RCode, Answers: q.Answers, Upstream: q.Upstream, TookMS: millis(q.Took)}
	if q.Server.IsValid() {
		out.Server = q.Server.String()
	}
	return out
}

func FlowOf(f journal.StoredFlow) Flow {
	return Flow{ID: f.ID, Time: f.Time.UTC(), Device: f.Device, Proto: f.Proto, To: f.Dst.String(), Name: f.Name, Exact: f.Exact,
		Verdict: verdictOf(f.Verdict.Action.String(), f.Verdict.Rule, f.Verdict.Reason), Up: f.Up, Down: f.Down, TookMS: millis(f.Took), Error: f.Err}
}

// CaptureOf leaves out the path and the sample of a request: both are as the
// device sent them, and may hold what the findings mask.
func CaptureOf(c journal.StoredCapture) Capture {
	out := Capture{ID: c.ID, Time: c.Time.UTC(), Device: c.Device, Name: c.Name, Scheme: c.Scheme, Method: c.Method, ContentType: c.ContentType,
		Size: c.Size, Verdict: c.Result.Verdict, Flags: c.Result.Flags, Layers: []Layer{}, Findings: []Finding{}}
	if c.TLS != nil {
		out.TLSOutcome = c.TLS.Outcome
	}
	for _, l := range c.Result.Layers {
		out.Layers = append(out.Layers, Layer{l.Codec, l.Path})
	}
	for _, f := range c.Findings {
		out.Findings = append(out.Findings, Finding{f.Kind, f.Value, f.Path, append([]string{}, f.Chain...), f.Confidence})
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
