// Package watch finds planted values in everything that a gateway notices: in
// payloads, in names that are asked for, in the SNI and the targets of what the
// sinkhole received.
//
// A [Watcher] stands between the rooms and the journal, and not behind it: there
// it misses nothing when events come fast, sees values before they are masked,
// and can take the token itself out of what is kept. The journal then holds
// "canary #3" wherever the token stood.
package watch

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/config/canaries"
	"nightlatch/decoder"
	"nightlatch/journal"
)

// Known adds what is planted to an owner's known values, for
// decoder.Options.Known. The map that is given is not changed.
func Known(known map[string][]string, list []canaries.Canary, now time.Time) map[string][]string {
	out := make(map[string][]string, len(known)+1)
	for kind, values := range known {
		out[kind] = values
	}
	var planted []string
	for _, c := range list {
		if c.Alive(now) {
			planted = append(planted, c.Values()...)
		}
	}
	if len(planted) > 0 {
		out[journal.KindCanary] = append(slices.Clip(out[journal.KindCanary]), planted...)
	}
	return out
}

// maxTold bounds the sightings that were told in a notice; when it is full all
// are forgotten, and told once more.
const maxTold = 1024

// Watcher is a journal.Recorder that hands every event on. It is safe for
// concurrent use; without canaries it costs one load per event.
type Watcher struct {
	next journal.Recorder
	now  func() time.Time
	set  atomic.Pointer[set] // nil while nothing is planted

	mu   sync.Mutex
	told map[string]bool // sightings that a notice was made of
}

// New makes a watcher that hands events on to next; a nil clock means time.Now.
func New(next journal.Recorder, now func() time.Time) *Watcher {
	if now == nil {
		now = time.Now
	}
	return &Watcher{next: next, now: now, told: map[string]bool{}}
}

// Set replaces what is watched for. Call it at start and whenever the file of
// canaries changed, together with a decoder that knows the same values ([Known]).
func (w *Watcher) Set(list []canaries.Canary) { w.set.Store(newSet(list)) }

// Record hands e on, without the tokens it holds, and a notice for each new
// place at which one came back.
func (w *Watcher) Record(e journal.Event) {
	s := w.set.Load()
	if s == nil {
		w.next.Record(e)
		return
	}
	switch v := e.(type) {
	case journal.Query:
		e = w.query(s, v)
	case journal.Flow:
		v.Name = s.redact(v.Name)
		e = v
	case journal.Capture:
		e = w.capture(s, v)
	case journal.Notice:
		v.Text = s.redact(v.Text)
		e = v
	}
	w.next.Record(e)
}

// query looks at what is asked for. The own host of a canary is asked for by
// whoever opens it, so that alone is no leak.
func (w *Watcher) query(s *set, q journal.Query) journal.Query {
	name := q.Name
	hits, through := s.hits(q.Name), s.hits(q.Through)
	q.Name, q.Through = s.redactName(q.Name, hits), s.redactName(q.Through, through)
	if len(hits) == 0 {
		hits = through
	}
	for i, a := range q.Answers {
		if r := s.redact(a); r != a {
			q.Answers = slices.Clone(q.Answers)
			q.Answers[i] = r
		}
	}
	for _, h := range hits {
		if !s.own(h.n, name) {
			w.tell(h.n, q.Device, "in a name that was asked for: "+q.Name)
		}
	}
	return q
}

// capture puts labels in the place of tokens, and adds a finding for what the
// decoder cannot see: the name and the SNI.
func (w *Watcher) capture(s *set, c journal.Capture) journal.Capture {
	result := c.Result
	found := s.findings(c.Result)
	places := []struct{ path, text string }{{"name", c.Name}}
	if c.TLS != nil {
		places = append(places, struct{ path, text string }{"tls:sni", c.TLS.SNI})
	}
	if len(found) == 0 { // else the decoder has read the target
		places = append(places, struct{ path, text string }{"target", c.Path}, struct{ path, text string }{"header:user-agent", c.UserAgent})
	}
	for _, p := range places {
		for _, h := range s.hits(p.text) {
			found = append(found, sighted{h, decoder.Finding{Kind: journal.KindCanary, Path: p.path, Confidence: decoder.Proved,
				Value: label(h.n) + form(h.form) + inText(s.excerpt(p.text, p.text))}})
		}
	}
	c = s.redactCapture(c)
	c.Result.Findings = slices.DeleteFunc(c.Result.Findings, func(f decoder.Finding) bool { return f.Kind == journal.KindCanary })
	front := make([]decoder.Finding, 0, len(found)+len(c.Result.Findings)) // what is proved stands before what may be cut
	for _, f := range found {
		front = append(front, f.finding)
		w.tell(f.n, c.Device, "in what was meant for "+c.Name+": "+wayOf(f.finding))
	}
	c.Result.Findings = append(front, c.Result.Findings...)
	if len(found) > 0 && (result.Verdict == decoder.Clean || result.Verdict == "") {
		c.Result.Verdict = decoder.Leak
	} else if len(found) > 0 && result.Verdict == decoder.Opaque {
		c.Result.Verdict = decoder.OpaqueLeak
	}
	return c
}

// wayOf says how a finding was wrapped.
func wayOf(f decoder.Finding) string {
	if len(f.Chain) == 0 {
		return f.Path
	}
	return strings.Join(f.Chain, " -> ")
}

// tell makes a notice of a sighting, once for each place.
func (w *Watcher) tell(n int, device, what string) {
	text := fmt.Sprintf("%s%d came back %s", journal.CanaryLabel, n, what)
	key := device + "\x00" + text
	w.mu.Lock()
	again := w.told[key]
	if !again && len(w.told) >= maxTold {
		clear(w.told)
	}
	w.told[key] = true
	w.mu.Unlock()
	if !again {
		w.next.Record(journal.Notice{Time: w.now(), Level: journal.Warn, Room: room, Device: device, Text: text})
	}
}

// room is what notices of a watcher are told by.
const room = "canary"
