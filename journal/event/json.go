package event

import (
	"encoding/json"
	"fmt"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal/terminal"
	"nightlatch/policy"
)

// The JSON forms. Their keys are a promise to scripts: add, never rename.

type eventJSON struct {
	Kind   string `json:"kind"`
	ID     int64  `json:"id,omitempty"` // stored events only
	Time   string `json:"time"`         // RFC 3339, UTC, milliseconds
	Device string `json:"device"`
}

type verdictJSON struct {
	Action   string `json:"action"`
	List     string `json:"list,omitempty"`
	Line     int    `json:"line,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Allow    bool   `json:"allow,omitempty"`
	Category string `json:"category,omitempty"`
	Why      string `json:"why,omitempty"`
	Breaks   string `json:"breaks,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

type queryJSON struct {
	eventJSON
	Name     string      `json:"name"`
	Type     string      `json:"type"`
	Server   string      `json:"server,omitempty"`
	Network  string      `json:"network,omitempty"`
	Verdict  verdictJSON `json:"verdict"`
	Through  string      `json:"through,omitempty"`
	RCode    string      `json:"rcode"`
	Answers  []string    `json:"answers"`
	Upstream string      `json:"upstream,omitempty"`
	TookUS   int64       `json:"took_us"`
	Repeats  int         `json:"repeats,omitempty"` // the same again within a second
}

type flowJSON struct {
	eventJSON
	Proto   string      `json:"proto"`
	Src     string      `json:"src"`
	Dst     string      `json:"dst"`
	Name    string      `json:"name,omitempty"`
	Exact   bool        `json:"exact,omitempty"`
	Known   string      `json:"known,omitempty"` // how the name is known
	Sure    string      `json:"sure,omitempty"`
	Verdict verdictJSON `json:"verdict"`
	Up      int64       `json:"up_bytes"`
	Down    int64       `json:"down_bytes"`
	TookUS  int64       `json:"took_us"`
	Error   string      `json:"error,omitempty"`
}

type captureJSON struct {
	eventJSON
	Name        string        `json:"name"`
	Dst         string        `json:"dst,omitempty"`
	Scheme      string        `json:"scheme"`
	Method      string        `json:"method,omitempty"`
	Path        string        `json:"path,omitempty"`
	ContentType string        `json:"content_type,omitempty"`
	UserAgent   string        `json:"user_agent,omitempty"`
	TLS         *tlsJSON      `json:"tls,omitempty"`
	Size        int64         `json:"size_bytes"`
	Repeats     int           `json:"repeats,omitempty"` // identical ones left out before it
	Verdict     string        `json:"verdict"`
	Flags       []string      `json:"flags,omitempty"`
	Layers      []layerJSON   `json:"layers"`
	Findings    []findingJSON `json:"findings"`
}

type tlsJSON struct {
	SNI     string   `json:"sni,omitempty"`
	ALPN    []string `json:"alpn,omitempty"`
	Version string   `json:"version,omitempty"`
	JA4     string   `json:"ja4,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
	Alert   string   `json:"alert,omitempty"`
}

type layerJSON struct {
	Codec string `json:"codec"`
	Path  string `json:"path"`
}

type findingJSON struct {
	Kind       string   `json:"kind"`
	Value      string   `json:"value"`
	Path       string   `json:"path"`
	Chain      []string `json:"chain"`
	Confidence string   `json:"confidence"`
	Mark       string   `json:"mark,omitempty"` // equal for equal values
}

type noticeJSON struct {
	eventJSON
	Level string `json:"level"`
	Room  string `json:"room"`
	Text  string `json:"text"`
}

// JSON gives one event as one line of JSON, live and stored alike; a stored
// one has its id. Values of findings are as the event has them: masked when it
// comes out of the file, and from [Journal.Subscribe] when Options.Mask is set.
// The payload itself is never in it. Characters that could move a terminal are
// written as \uNNNN.
func JSON(e Event) ([]byte, error) {
	form := jsonForm(e, 0)
	if form == nil {
		return nil, fmt.Errorf("journal: json: %T is no event", e)
	}
	text, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("journal: json: %w", err)
	}
	return terminal.JSON(text), nil
}

func jsonForm(e Event, id int64) any {
	switch e := e.(type) {
	case Query:
		answers := append([]string{}, e.Answers...)
		return queryJSON{head(KindQuery, id, e.Time, e.Device), e.Name, e.Type, address(e.Server), e.Network,
			verdictForm(e.Verdict), e.Through, e.RCode, answers, e.Upstream, e.Took.Microseconds(), e.Repeats}
	case Flow:
		out := flowJSON{head(KindFlow, id, e.Time, e.Device), e.Proto, address(e.Src), address(e.Dst), e.Name, e.Exact, "", "",
			verdictForm(e.Verdict), e.Up, e.Down, e.Took.Microseconds(), e.Err}
		if e.Name != "" {
			out.Known, out.Sure = e.known().String(), e.known().Sure()
		}
		return out
	case Capture:
		return captureForm(e, id)
	case Notice:
		return noticeJSON{head(KindNotice, id, e.Time, e.Device), e.Level.String(), e.Room, e.Text}
	case StoredQuery:
		return jsonForm(e.Query, e.ID)
	case StoredFlow:
		return jsonForm(e.Flow, e.ID)
	case StoredCapture:
		return jsonForm(e.Capture, e.ID)
	case StoredNotice:
		return jsonForm(e.Notice, e.ID)
	}
	return nil
}

func head(kind string, id int64, at time.Time, device string) eventJSON {
	return eventJSON{kind, id, at.UTC().Format("2006-01-02T15:04:05.000Z07:00"), device}
}

func verdictForm(v policy.Verdict) verdictJSON {
	r := v.Rule
	return verdictJSON{v.Action.String(), r.List, r.Line, r.Text, r.Allow, r.Category, r.Why, r.Breaks, v.Reason}
}

func captureForm(c Capture, id int64) captureJSON {
	out := captureJSON{
		eventJSON: head(KindCapture, id, c.Time, c.Device),
		Name:      c.Name, Dst: address(c.Dst), Scheme: c.Scheme, Method: c.Method, Path: c.Path,
		ContentType: c.ContentType, UserAgent: c.UserAgent, Size: c.Size, Repeats: c.Repeats,
		Verdict: c.Result.Verdict, Flags: c.Result.Flags,
		Layers: []layerJSON{}, Findings: []findingJSON{},
	}
	if t := c.TLS; t != nil {
		out.TLS = &tlsJSON{t.SNI, t.ALPN, t.Version, t.JA4, t.Outcome, t.Alert}
	}
	for _, l := range c.Result.Layers {
		out.Layers = append(out.Layers, layerJSON{l.Codec, l.Path})
	}
	for i, f := range c.Result.Findings {
		form := findingForm(f)
		if i < len(c.Marks) {
			form.Mark = c.Marks[i].String()
		}
		out.Findings = append(out.Findings, form)
	}
	return out
}

func findingForm(f decoder.Finding) findingJSON {
	return findingJSON{f.Kind, f.Value, f.Path, append([]string{}, f.Chain...), f.Confidence.String(), ""}
}
