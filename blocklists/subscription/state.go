package subscription

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"nightlatch/config"
)

// State is what is known about one list: when it was last tried, when it last
// was as its address has it, and what is in use. The three differ whenever
// something is wrong.
type State struct {
	Attempt Attempt   `json:"attempt"`          // the last one
	Success time.Time `json:"success,omitzero"` // the last time the copy in use was what the address has
	InUse   *Version  `json:"in_use,omitempty"` // nil: nothing yet
	Held    *Held     `json:"held,omitempty"`   // held back until the owner accepts it
}

// Attempt is one try to fetch a list.
type Attempt struct {
	Time      time.Time `json:"time,omitzero"`
	Address   string    `json:"address,omitempty"`
	Outcome   Outcome   `json:"outcome,omitempty"`
	Problem   string    `json:"problem,omitempty"`   // one line, when it failed
	Failures  int       `json:"failures,omitempty"`  // how many in a row have failed by now
	NotBefore time.Time `json:"not_before,omitzero"` // the server asked to be left alone until then
}

// Outcome says how an attempt ended.
type Outcome string

const (
	Updated   Outcome = "updated"   // a new copy is in use
	Unchanged Outcome = "unchanged" // the copy in use is what the address has
	Waiting   Outcome = "held"      // a new copy waits for the owner
	Failed    Outcome = "failed"
)

// Version is one copy of a list.
type Version struct {
	Address  string    `json:"address"`
	SHA256   string    `json:"sha256"`             // of the text as it is kept, in hex
	Source   string    `json:"source,omitempty"`   // the same of the file as it was published, before a .gz was unpacked
	Bytes    int64     `json:"bytes"`              // of the text
	Wire     int64     `json:"wire,omitempty"`     // bytes that were transferred
	ETag     string    `json:"etag,omitempty"`     // RFC 9110 §8.8.3
	Modified string    `json:"modified,omitempty"` // Last-Modified as the server wrote it
	Fetched  time.Time `json:"fetched"`
	Summary  Summary   `json:"summary"`
}

// matches tells whether a version is of the place and content the owner asks for.
func (v *Version) matches(sub Subscription) bool {
	return v.Address == sub.Address && (sub.SHA256 == "" || v.Source == sub.SHA256)
}

// Held is a copy that the guard does not trust.
type Held struct {
	Version
	Why string `json:"why"` // in a few words, after "it": has 3 rules, ...
}

// Bounds of a state file and of what stands in it.
const (
	maxState  = 64 << 10
	maxHeader = 1 << 10 // of a validator that a server may have us remember
)

func (s *Store) stateFile(name string) string { return filepath.Join(s.folder, name+".json") }

// State gives what is known about a list. When its state is damaged, or does not
// fit the copy in use, it is rebuilt from that copy and the error says so; the
// state that comes with an error is sound all the same.
func (s *Store) State(sub Subscription) (State, error) {
	st, err := s.load(sub.Name)
	info, gone := os.Stat(s.Copy(sub.Name))
	switch {
	case gone != nil && st.InUse != nil:
		st.InUse, st.Success = nil, time.Time{}
		return st, errors.Join(err, fmt.Errorf("subscription: the copy %s is gone; it will be fetched again", s.Copy(sub.Name)))
	case gone != nil, st.InUse != nil && st.InUse.Bytes == info.Size():
		return st, err
	}
	if err == nil {
		err = fmt.Errorf("subscription: %s does not fit its copy; it was read anew, and will be fetched whole", s.stateFile(sub.Name))
	}
	st.InUse, st.Success = s.rebuild(sub, info.ModTime()), time.Time{}
	return st, err
}

// rebuild describes a copy about which nothing is known.
func (s *Store) rebuild(sub Subscription, at time.Time) *Version {
	sum, size, err := checksum(s.Copy(sub.Name))
	if err != nil {
		return nil // the copy cannot be read: as good as none
	}
	v := &Version{Address: sub.Address, SHA256: sum, Bytes: size, Fetched: at}
	if sub.Read != nil {
		v.Summary, _ = sub.Read(s.Copy(sub.Name)) // what cannot be read has no rules
	}
	return v
}

// load reads a state; an absent one is empty.
func (s *Store) load(name string) (State, error) {
	f, err := os.Open(s.stateFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("subscription: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return State{}, fmt.Errorf("subscription: %w", err)
	}
	st, err := ParseState(b)
	if err != nil {
		return State{}, fmt.Errorf("subscription: %s is damaged (%w); it was rebuilt from the copy in use", s.stateFile(name), err)
	}
	return st, nil
}

// save writes a state.
func (s *Store) save(name string, st State) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err == nil {
		err = config.WriteFile(s.stateFile(name), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("subscription: the state of %s cannot be kept: %w", name, err)
	}
	return nil
}

// ParseState reads a state file. It takes nothing that could not have been
// written: a wrong validator would be sent to servers for ever.
func ParseState(b []byte) (State, error) {
	if len(b) > maxState {
		return State{}, fmt.Errorf("larger than %d KiB", maxState>>10)
	}
	var st State
	if err := json.Unmarshal(b, &st); err != nil {
		return State{}, err
	}
	switch st.Attempt.Outcome {
	case "", Updated, Unchanged, Waiting, Failed:
	default:
		return State{}, fmt.Errorf("outcome %q is none", st.Attempt.Outcome)
	}
	if st.Attempt.Failures < 0 {
		return State{}, errors.New("a count is negative")
	}
	if err := st.InUse.check(); err != nil {
		return State{}, err
	}
	if st.Held != nil {
		return st, st.Held.check()
	}
	return st, nil
}

func (v *Version) check() error {
	switch {
	case v == nil:
		return nil
	case !validSum(v.SHA256), v.Source != "" && !validSum(v.Source):
		return errors.New("a checksum is none")
	case v.ETag != validator(v.ETag), v.Modified != validator(v.Modified):
		return errors.New("a validator cannot be sent")
	case v.Bytes < 0, v.Wire < 0, v.Summary.Lines < 0, v.Summary.Rules < 0, v.Summary.Ignored < 0:
		return errors.New("a count is negative")
	}
	return nil
}

func validSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// validator gives a header value that may be remembered and sent back, or
// nothing.
func validator(s string) string {
	if len(s) > maxHeader {
		return ""
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}

// checksum gives the SHA-256 of a file in hex, and its size.
func checksum(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxText+1))
	return hex.EncodeToString(h.Sum(nil)), n, err
}
