// Package report makes the document that an owner hands on: to whom a device
// told what, what was stopped, how that is known, and what is not. It is pure:
// events of the journal go in, one HTML file without any foreign resource and
// one JSON object come out.
//
// Everything in it that apps chose is hostile. The page is made by
// html/template, has no script, carries a policy that would let none run, and
// unprintable letters are made visible at the last step.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"nightlatch/dashboard/geo"
	"nightlatch/dashboard/visible"
)

// Report is the whole document. Times are in UTC in JSON, and in Zone on the
// page; sizes are bytes; values are masked. Fields may be added, none is renamed.
type Report struct {
	Format    int          `json:"format"` // 1
	Device    string       `json:"device"`
	Generated time.Time    `json:"generated"`
	Since     time.Time    `json:"since"` // of the period that was asked for
	Until     time.Time    `json:"until"`
	First     time.Time    `json:"first_event"` // what the journal has of it; zero: nothing
	Last      time.Time    `json:"last_event"`
	Zone      string       `json:"time_zone"`
	Summary   []string     `json:"summary"`
	Totals    Totals       `json:"totals"`
	Companies []Company    `json:"companies"`
	Stopped   []Server     `json:"stopped"`  // would have received
	Received  []Server     `json:"received"` // did receive
	Periods   []Period     `json:"periods"`
	Gateway   Gateway      `json:"gateway"`
	Integrity Integrity    `json:"integrity"`
	Databases []geo.Source `json:"databases"`

	zone *time.Location
}

// Totals counts what the device did.
type Totals struct {
	Questions        int64 `json:"questions"`
	StoppedQuestions int64 `json:"stopped_questions"`
	Connections      int64 `json:"connections"`
	Refused          int64 `json:"stopped_connections"`
	Payloads         int64 `json:"payloads"`          // what the sinkhole took, repeats among them
	Observed         int64 `json:"payloads_observed"` // read along the way to servers that received them
	Read             int64 `json:"payloads_read"`
	Values           int64 `json:"values"`        // likely or proved, in what was stopped
	Proved           int64 `json:"values_proved"` // of them
	Passed           int64 `json:"values_passed"` // likely or proved, in what was observed and did reach a server
	Up               int64 `json:"up"`
	Down             int64 `json:"down"`
}

// Company is what is known of all servers of one company.
type Company struct {
	Name     string   `json:"name"` // empty: no list names an owner
	Servers  int      `json:"servers"`
	Payloads int64    `json:"payloads"`
	Values   int64    `json:"values"`
	Kinds    []string `json:"kinds"`
}

// Server is one destination: a name, or an address that no name led to.
type Server struct {
	Name        string    `json:"name"`
	Literal     bool      `json:"literal,omitempty"` // it is an address
	Company     string    `json:"company,omitempty"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Questions   int64     `json:"questions"`
	Connections int64     `json:"connections"`
	Payloads    int64     `json:"payloads,omitempty"`
	Up          int64     `json:"up,omitempty"`
	Down        int64     `json:"down,omitempty"`
	Rules       []Rule    `json:"rules,omitempty"` // what stopped it
	Unread      []Unread  `json:"unread,omitempty"`
	Values      []Value   `json:"values,omitempty"`
	MoreValues  int       `json:"more_values,omitempty"` // left out
	Places      []Place   `json:"places,omitempty"`
	Resolved    bool      `json:"resolved,omitempty"` // Places are those of the time of this report
}

// Place is an address of a server and where it is said to be.
type Place struct {
	Addr netip.Addr `json:"address"`
	geo.Place
}

// Rule is a line of a list that stopped a server, or a reason of the gateway's own.
type Rule struct {
	List   string `json:"list,omitempty"`
	Title  string `json:"title,omitempty"` // of the list
	Line   int    `json:"line,omitempty"`
	Text   string `json:"rule,omitempty"`
	Why    string `json:"why,omitempty"`    // what the list says that the name collects
	Source string `json:"source,omitempty"` // where the list has that from
	Reason string `json:"reason,omitempty"` // when no list decided
	Count  int64  `json:"count"`
}

// Unread is why payloads could not be read.
type Unread struct {
	Why   string `json:"why"`
	Count int64  `json:"count"`
}

// Value is one thing that was sent, at one place of a payload.
type Value struct {
	Kind       string    `json:"kind"`
	Value      string    `json:"value"` // masked
	Mark       string    `json:"mark,omitempty"`
	Confidence string    `json:"confidence"` // likely or proved
	Chain      []string  `json:"chain"`
	Path       string    `json:"path"`
	Count      int64     `json:"count"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

// Period counts one column of the chart.
type Period struct {
	Start   time.Time `json:"start"`
	Asked   int64     `json:"questions"`
	Stopped int64     `json:"stopped"`
}

// Gateway is what was in force when the report was made.
type Gateway struct {
	Version   string   `json:"version"`
	Action    string   `json:"action"`    // of the policy
	ReadsTLS  bool     `json:"reads_tls"` // the owner has made an authority
	Retention string   `json:"retention"` // of the journal
	MaxSize   string   `json:"max_size"`  // of the journal
	Samples   bool     `json:"samples"`   // raw payloads are kept
	Known     int      `json:"known"`     // values that the owner told in advance
	Canaries  int      `json:"canaries"`  // values that are planted
	Lists     []string `json:"lists"`     // titles or names, with their number of rules
}

// Integrity says what the journal may lack.
type Integrity struct {
	Oldest time.Time `json:"oldest_event"` // of any device; zero: the journal is empty
	Losses []Loss    `json:"losses"`       // told by the gateway in the period
	Cut    bool      `json:"cut"`          // there was more than a report reads
}

// Loss is a notice about something that was not recorded.
type Loss struct {
	Time time.Time `json:"time"`
	Room string    `json:"room"`
	Text string    `json:"text"`
}

// JSON writes the report as one indented object.
func (r *Report) JSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(append(visible.JSON(text), '\n'))
	return err
}
