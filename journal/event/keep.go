package event

import (
	"slices"
	"strings"
	"time"

	"nightlatch/decoder"
)

// Bounds of what one event may hold on to while it waits and when it is kept:
// its strings come from strangers. What is longer is cut, with a "…" for text.
const (
	maxText     = 1024     // bytes of any one text: a name has 253, a URL path rarely more
	maxAnswers  = 8        // answers of a query
	maxFindings = 256      // findings of a capture
	maxLayers   = 256      // layers of a capture
	maxSample   = 64 << 10 // bytes of a payload
)

// Keep gives e in the form that may be written: bounded, findings masked,
// no decoded layers, no payload unless samples are kept. It copies what it
// changes: the caller and live readers still have the original. The second
// result is false for an event that is none. key makes the marks of findings;
// nil makes none.
func Keep(e Event, samples bool, key []byte, now func() time.Time) (Event, bool) {
	at := func(t time.Time) time.Time {
		if t.IsZero() {
			return now()
		}
		return t
	}
	switch e := e.(type) {
	case Query:
		e.Time = at(e.Time)
		return keepQuery(e), true
	case Flow:
		e.Time = at(e.Time)
		e.Device, e.Name, e.Err, e.Proto = short(e.Device), short(e.Name), short(e.Err), short(e.Proto)
		e.Verdict.Reason, e.Verdict.Rule.Text = short(e.Verdict.Reason), short(e.Verdict.Rule.Text)
		return e, true
	case Capture:
		e.Time = at(e.Time)
		return keepCapture(e, samples, key), true
	case Notice:
		e.Time = at(e.Time)
		e.Room, e.Device, e.Text = short(e.Room), short(e.Device), short(e.Text)
		return e, true
	case StoredQuery:
		return Keep(e.Query, samples, key, now)
	case StoredFlow:
		return Keep(e.Flow, samples, key, now)
	case StoredCapture:
		return e, false // its findings are masked already: it was never meant to be recorded again
	case StoredNotice:
		return Keep(e.Notice, samples, key, now)
	}
	return nil, false
}

func keepQuery(e Query) Query {
	e.Device, e.Name, e.Type, e.Through = short(e.Device), short(e.Name), short(e.Type), short(e.Through)
	e.RCode, e.Upstream, e.Network = short(e.RCode), short(e.Upstream), short(e.Network)
	e.Verdict.Reason, e.Verdict.Rule.Text = short(e.Verdict.Reason), short(e.Verdict.Rule.Text)
	if len(e.Answers) > maxAnswers {
		e.Answers = e.Answers[:maxAnswers:maxAnswers]
	}
	return e
}

func keepCapture(e Capture, samples bool, key []byte) Capture {
	raw := e.Result.Findings
	e.Device, e.Name, e.Method, e.Scheme = short(e.Device), short(e.Name), short(e.Method), short(e.Scheme)
	e.Path = short(maskPath(e.Path, raw))
	e.UserAgent = short(maskValues(e.UserAgent, raw))
	e.ContentType = short(e.ContentType)
	e.Result = keepResult(e.Result)
	e.Marks = make([]Mark, len(e.Result.Findings))
	for i := range e.Marks {
		e.Marks[i] = MarkOf(key, raw[i].Value)
	}
	if e.TLS != nil {
		t := *e.TLS
		t.SNI, t.Outcome, t.Alert, t.JA4, t.Version = short(t.SNI), short(t.Outcome), short(t.Alert), short(t.JA4), short(t.Version)
		t.ALPN = t.ALPN[:min(len(t.ALPN), maxAnswers):min(len(t.ALPN), maxAnswers)]
		e.TLS = &t
	}
	if !samples {
		e.Sample = nil
	} else if len(e.Sample) > maxSample {
		e.Sample = slices.Clone(e.Sample[:maxSample])
	}
	return e
}

// keepResult drops the decoded bytes and masks every value. A path may spell
// out what a payload used as a key: values are masked there too.
func keepResult(r decoder.Result) decoder.Result {
	layers := r.Layers[:min(len(r.Layers), maxLayers)]
	raw := r.Findings
	r.Layers = make([]decoder.Layer, len(layers))
	for i, l := range layers {
		r.Layers[i] = decoder.Layer{Codec: short(l.Codec), Path: short(maskValues(l.Path, raw))}
	}
	r.Findings = make([]decoder.Finding, min(len(raw), maxFindings))
	for i := range r.Findings {
		f := raw[i]
		f.Value = short(masked(f))
		f.Path = short(maskValues(f.Path, raw))
		r.Findings[i] = f
	}
	return r
}

// short cuts a text to maxText bytes, at a rune.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText-len("…")], "") + "…"
}

// minValue is the shortest value that is looked for in other texts: replacing
// every "1" of a path would hide nothing and break everything.
const minValue = 4

// maskValues replaces every value that was found in the payload.
func maskValues(s string, findings []decoder.Finding) string {
	for _, f := range findings[:min(len(findings), maxFindings)] {
		if len(f.Value) >= minValue && strings.Contains(s, f.Value) {
			s = strings.ReplaceAll(s, f.Value, masked(f))
		}
	}
	return s
}

// maskPath masks a request target: found values anywhere, the value of every
// query parameter (its key says what it was), and path segments that look like
// an identifier rather than a word.
func maskPath(target string, findings []decoder.Finding) string {
	path, query, has := strings.Cut(maskValues(target, findings), "?")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if identifier(s) {
			segments[i] = "*"
		}
	}
	path = strings.Join(segments, "/")
	if !has {
		return path
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		if key, value, ok := strings.Cut(p, "="); ok && value != "" {
			params[i] = key + "=*"
		} else if identifier(p) {
			params[i] = "*"
		}
	}
	return path + "?" + strings.Join(params, "&")
}

// identifier: 12 characters or more of which at least 4 are digits. It hides
// serials, IMEIs, UUIDs, hashes and tokens, and leaves words and versions.
func identifier(s string) bool {
	if len(s) < 12 {
		return false
	}
	digits := 0
	for _, r := range s {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	return digits >= 4
}

// Weigh estimates the bytes an event holds while it waits in the queue.
func Weigh(e Event) int64 {
	const fixed = 400 // the structs and interned strings
	switch e := e.(type) {
	case Query:
		n := len(e.Name) + len(e.Through)
		for _, a := range e.Answers {
			n += len(a) + 16
		}
		return int64(fixed + n)
	case Capture:
		n := len(e.Sample) + len(e.Path) + len(e.UserAgent)
		for _, f := range e.Result.Findings {
			n += 100 + len(f.Value) + len(f.Path)
		}
		for _, l := range e.Result.Layers {
			n += 60 + len(l.Path)
		}
		return int64(2*fixed + n)
	case Notice:
		return int64(fixed + len(e.Text))
	}
	return fixed
}
