package syntax

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
)

const (
	minFragment = 3   // characters an owner's wildcard must name besides its stars; fewer stop half the internet
	maxRegex    = 512 // bytes of a regular expression; the longest published one has 220
)

var (
	errLong = errors.New("longer than 512 bytes")
	errAll  = errors.New("matches everything")
	errFew  = errors.New("names too little besides its wildcards: at least 3 characters")
	errStar = errors.New("no wildcard: only the characters of names and * are used")
)

// Pattern finds names that one name cannot describe: wildcards inside it, open
// ends, fragments, regular expressions. It is immutable and safe for concurrent use.
type Pattern struct {
	// Key is the name that every name found ends with, on a label boundary; ""
	// when the pattern has none. It makes the pattern findable.
	Key string

	parts []string // the text between the wildcards, lower case
	label bool     // the first part begins at a label
	start bool     // the first part begins the name
	end   bool     // the last part ends the name
	regex *regexp.Regexp
}

// newGlob makes a pattern of text with * for any characters.
func newGlob(body []byte, label, start, end bool) *Pattern {
	body = bytes.ToLower(body)
	p := &Pattern{parts: strings.Split(string(body), "*"), label: label, start: start, end: end}
	if n := len(p.parts); p.parts[n-1] == "" { // a * at the end
		p.end = false
	}
	p.Key = p.key(label, start)
	return p
}

// key finds what the pattern must end with.
func (p *Pattern) key(label, start bool) string {
	if !p.end {
		return ""
	}
	last := p.parts[len(p.parts)-1]
	if len(p.parts) == 1 && (label || start) {
		return last
	}
	_, after, _ := strings.Cut(last, ".")
	return after
}

// NewWildcard makes a pattern of a name with * for any characters, dots as well.
// It has to fit the whole name.
func NewWildcard(text string) (*Pattern, error) {
	text = strings.TrimSuffix(text, ".")
	if name := strings.ReplaceAll(text, "*", ""); len(name) == len(text) || len(text) > maxRegex || name != "" && !nameLike(name) || strings.ContainsFunc(name, notASCII) {
		return nil, errStar
	}
	if len(strings.Trim(strings.ReplaceAll(text, "*", ""), ".")) < minFragment {
		return nil, errFew
	}
	return newGlob([]byte(text), false, true, true), nil
}

// NewRegex makes a pattern of a regular expression in RE2's syntax. Case does
// not matter: names have none.
func NewRegex(expr string) (*Pattern, error) {
	if len(expr) > maxRegex {
		return nil, errLong
	}
	re, err := regexp.Compile("(?i:" + expr + ")")
	if err != nil {
		return nil, err
	}
	if re.MatchString("") || !slices.ContainsFunc(unlike(), func(name string) bool { return !re.MatchString(name) }) {
		return nil, errAll
	}
	return &Pattern{regex: re}, nil
}

// unlike are names with nothing in common: what matches all of them matches every
// name there is.
func unlike() []string {
	return []string{"a.b", "0.zz", "nightlatch-any-name.invalid", "x_y.7.example"}
}

// Find says whether the pattern finds a name in canonical form.
func (p *Pattern) Find(name []byte) bool {
	if p.regex != nil {
		return p.regex.MatchString(string(name)) // the copy keeps the name of every other question off the heap
	}
	if !p.label {
		return p.from(name, p.start)
	}
	for { // at every label
		if p.from(name, true) {
			return true
		}
		i := bytes.IndexByte(name, '.')
		if i < 0 {
			return false
		}
		name = name[i+1:]
	}
}

// from matches the parts in order, the first at the beginning when anchored.
// Taking the first place that fits is right for all parts but the last, which
// has to be at the end when the pattern says so.
func (p *Pattern) from(name []byte, anchored bool) bool {
	last := len(p.parts) - 1
	for i, part := range p.parts {
		switch {
		case i == 0 && anchored && i == last && p.end:
			return string(name) == part
		case i == 0 && anchored:
			if !bytes.HasPrefix(name, []byte(part)) {
				return false
			}
			name = name[len(part):]
		case i == last && p.end:
			return bytes.HasSuffix(name, []byte(part))
		default:
			at := bytes.Index(name, []byte(part))
			if at < 0 {
				return false
			}
			name = name[at+len(part):]
		}
	}
	return true
}

// Impossible says whether it is plain that no name can be found: the pattern wants
// a character, or an empty label, that names do not have.
func (p *Pattern) Impossible() bool {
	if p.regex != nil {
		prefix, _ := p.regex.LiteralPrefix()
		return prefix != "" && !nameLike(prefix)
	}
	for _, part := range p.parts {
		if strings.Contains(part, "..") || len(part) > maxRegex/2 {
			return true
		}
	}
	return p.start && strings.HasPrefix(p.parts[0], ".") || p.end && strings.HasSuffix(p.parts[len(p.parts)-1], ".")
}
