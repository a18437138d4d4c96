package watch

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nightlatch/config/canaries"
	"nightlatch/journal"
)

// Ways by which a canary comes back.
const (
	Opened  = "opened"  // the owner did that: no leak
	Payload = "payload" // in what the sinkhole received
	Name    = "name"    // in a DNS name that was asked for
)

// Sighting is one place at which a canary was met, as the journal tells it.
type Sighting struct {
	Canary     int       `json:"canary"`
	Way        string    `json:"way"` // opened, payload or name
	Time       time.Time `json:"time"`
	Device     string    `json:"device"`
	To         string    `json:"to,omitempty"` // the name it was meant for, or that was asked for
	Stopped    bool      `json:"stopped"`      // it did not reach whom it was meant for
	Form       string    `json:"form,omitempty"`
	Path       string    `json:"path,omitempty"`
	Chain      []string  `json:"chain,omitempty"`
	Excerpt    string    `json:"excerpt,omitempty"` // masked
	Repeats    int       `json:"repeats,omitempty"` // identical payloads that were left out before
	Confidence string    `json:"confidence,omitempty"`
}

// labelled is the value of a finding as [Watcher.Record] made it.
var labelled = regexp.MustCompile(`^` + journal.CanaryLabel + `(\d+)(?: as (\S+))?(?s: in (.*))?$`)

// inName is a label where a token stood in a name.
var inName = regexp.MustCompile(`\(` + journal.CanaryLabel + `(\d+)(?: as (\S+?))?\)`)

// Sightings reads what a stored event says of canaries: a name that none but
// the watcher can have written, for DNS escapes parentheses (RFC 4343 §2.1), or
// a finding of the kind that only planted values have. list tells which names
// are asked for by opening a canary.
func Sightings(e journal.Event, list []canaries.Canary) []Sighting {
	switch e := e.(type) {
	case journal.StoredQuery:
		return ofQuery(e, list)
	case journal.StoredCapture:
		return ofCapture(e)
	case journal.StoredNotice:
		if n, ok := openedBy(e.Notice); ok {
			return []Sighting{{Canary: n, Way: Opened, Time: e.Time, Device: e.Device}}
		}
	}
	return nil
}

func openedBy(n journal.Notice) (canary int, ok bool) {
	text, was := strings.CutSuffix(n.Text, " was opened")
	m := labelled.FindStringSubmatch(text)
	if n.Room != room || !was || m == nil {
		return 0, false
	}
	return number(m[1]), true
}

func ofQuery(q journal.StoredQuery, list []canaries.Canary) (out []Sighting) {
	name := q.Name
	m := inName.FindStringSubmatch(name)
	if m == nil {
		if m = inName.FindStringSubmatch(q.Through); m == nil {
			return nil
		}
		name = q.Through
	}
	s := Sighting{Canary: number(m[1]), Way: Name, Time: q.Time, Device: q.Device, To: name, Stopped: q.Verdict.Action.Stops(), Form: m[2], Confidence: "proved"}
	for _, c := range list {
		if c.N != s.Canary || strings.Replace(c.Host(), c.Token, "("+label(c.N)+")", 1) != name {
			continue
		}
		if strings.HasSuffix(name, canaries.Zone) {
			return nil // the page tells by itself when it was opened
		}
		s.Way, s.To, s.Confidence = Opened, "", ""
	}
	return []Sighting{s}
}

func ofCapture(c journal.StoredCapture) (out []Sighting) {
	for _, f := range c.Findings {
		m := labelled.FindStringSubmatch(f.Value)
		if f.Kind != journal.KindCanary || m == nil {
			continue
		}
		out = append(out, Sighting{Canary: number(m[1]), Way: Payload, Time: c.Time, Device: c.Device, To: c.Name, Stopped: !slices.Contains(c.Result.Flags, "observed"), // what is observed is forwarded
			Form: m[2], Path: f.Path, Chain: f.Chain, Excerpt: m[3], Repeats: c.Repeats, Confidence: f.Confidence})
	}
	return out
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
