package watch

import (
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"nightlatch/config/canaries"
	"nightlatch/decoder"
	"nightlatch/decoder/find"
	"nightlatch/journal"
)

// set is what is watched for. It is immutable.
type set struct {
	index  *find.Index
	of     map[string]int // value -> canary
	list   []canaries.Canary
	tokens *regexp.Regexp // any token, in any case
}

// newSet compiles a list; an empty one gives nil.
func newSet(list []canaries.Canary) *set {
	if len(list) == 0 {
		return nil
	}
	s := &set{of: map[string]int{}, list: list}
	var values, tokens []string
	for _, c := range list {
		for _, v := range c.Values() {
			s.of[v] = c.N
			values = append(values, v)
		}
		tokens = append(tokens, c.Token)
	}
	needles := find.Needles(map[string][]string{journal.KindCanary: values})
	for _, t := range tokens {
		needles = append(needles, base32Needles(t)...)
	}
	s.index = find.NewIndex(needles)
	s.tokens = regexp.MustCompile("(?i)" + strings.Join(tokens, "|"))
	return s
}

// base32Needles are what base32 makes of a token that stands by itself: the
// usual way to put bytes into a DNS label, which knows no case (RFC 4648 §6, §7).
func base32Needles(token string) []find.Needle {
	var out []find.Needle
	for form, enc := range map[string]*base32.Encoding{"base32": base32.StdEncoding, "base32hex": base32.HexEncoding} {
		text := enc.WithPadding(base32.NoPadding).EncodeToString([]byte(token))
		out = append(out, find.Needle{Kind: journal.KindCanary, Value: token, Form: form, Text: strings.ToLower(text)})
	}
	return out
}

// hit is a canary that was met in a text, in which form, and what stood there.
type hit struct {
	n              int
	form, observed string
}

// hits finds every canary in a text once.
func (s *set) hits(text string) []hit {
	if text == "" {
		return nil
	}
	var out []hit
	seen := map[int]bool{}
	for _, h := range s.index.Search([]byte(text), true) {
		if n := s.of[h.Needle.Value]; !seen[n] {
			seen[n] = true
			out = append(out, hit{n, plainForm(h.Form), h.Observed})
		}
	}
	if len(out) > 0 || len(text) < len(s.list[0].Token) {
		return out
	}
	// The index wants a value to stand alone. So many random letters prove what
	// stands around them, or when labels cut them in two.
	plain := strings.ToLower(text)
	joined := strings.ReplaceAll(plain, ".", "")
	for _, c := range s.list {
		if strings.Contains(plain, c.Token) {
			out = append(out, hit{c.N, "", ""})
		} else if strings.Contains(joined, c.Token) {
			out = append(out, hit{c.N, "split", ""})
		}
	}
	return out
}

// own tells whether name is the host that opening canary n asks for.
func (s *set) own(n int, name string) bool {
	for _, c := range s.list {
		if c.N == n {
			return strings.EqualFold(c.Host(), name)
		}
	}
	return false
}

// sighted is a finding of a canary with its label in the token's place.
type sighted struct {
	hit
	finding decoder.Finding
}

// findings gives what the decoder found of canaries, each place once: an address
// that stands there whole is found as address, as host and as token.
func (s *set) findings(r decoder.Result) []sighted {
	var out []sighted
	at := map[string]bool{}
	for _, f := range r.Findings {
		n, planted := s.of[f.Value]
		if f.Kind != journal.KindCanary || !planted || at[fmt.Sprint(n, f.Path)] {
			continue
		}
		at[fmt.Sprint(n, f.Path)] = true
		observed := f.Observed
		if observed == "" {
			observed = f.Value
		}
		h := hit{n, plainForm(f.Form), observed}
		f.Value = label(n) + form(h.form) + inText(s.excerpt(innermost(r, f), observed))
		f.Path, f.Observed = s.redact(f.Path), ""
		out = append(out, sighted{h, f})
	}
	all := slices.Clone(out)
	return slices.DeleteFunc(out, func(inner sighted) bool { // a parameter of an address that was found as a whole
		return slices.ContainsFunc(all, func(o sighted) bool {
			return o.n == inner.n && strings.HasPrefix(inner.finding.Path, o.finding.Path+"/")
		})
	})
}

// innermost is the text in which a finding stands.
func innermost(r decoder.Result, f decoder.Finding) string {
	trail := r.Trail(f)
	if len(trail) == 0 {
		return ""
	}
	return string(trail[len(trail)-1].Data)
}

// redact puts a label in the place of every token.
func (s *set) redact(text string) string {
	if len(text) < len(s.list[0].Token) || !s.tokens.MatchString(text) {
		return text
	}
	return s.tokens.ReplaceAllStringFunc(text, func(token string) string {
		for _, c := range s.list {
			if strings.EqualFold(c.Token, token) {
				return "(" + label(c.N) + ")"
			}
		}
		return "(canary)"
	})
}

// redactName puts labels into a name, for hashes and other forms too: what the
// journal then holds says by itself which canary was met.
func (s *set) redactName(name string, hits []hit) string {
	name = s.redact(name)
	for _, h := range hits {
		switch as := "(" + label(h.n) + form(h.form) + ")"; {
		case h.form == "split":
			labels := strings.Split(name, ".")
			name = as + "." + strings.Join(labels[max(0, len(labels)-2):], ".")
		case h.form != "" && h.observed != "":
			name = strings.Replace(name, h.observed, as, 1)
		}
	}
	return name
}

// redactCapture takes the tokens out of every text that is kept. Values of
// findings are treated alike, so that masking finds them again in the target.
func (s *set) redactCapture(c journal.Capture) journal.Capture {
	c.Name, c.Path, c.UserAgent, c.ContentType = s.redact(c.Name), s.redact(c.Path), s.redact(c.UserAgent), s.redact(c.ContentType)
	if c.TLS != nil {
		t := *c.TLS
		t.SNI = s.redact(t.SNI)
		c.TLS = &t
	}
	layers := make([]decoder.Layer, len(c.Result.Layers))
	for i, l := range c.Result.Layers {
		l.Path = s.redact(l.Path)
		layers[i] = l
	}
	found := make([]decoder.Finding, len(c.Result.Findings))
	for i, f := range c.Result.Findings {
		f.Path, f.Observed = s.redact(f.Path), s.redact(f.Observed)
		if f.Kind != journal.KindCanary {
			f.Value = s.redact(f.Value)
		}
		found[i] = f
	}
	c.Result.Layers, c.Result.Findings = layers, found
	return c
}

// label is how a canary is called where its token stood.
func label(n int) string { return fmt.Sprintf("%s%d", journal.CanaryLabel, n) }

// plainForm drops what says only that capitals were changed.
func plainForm(form string) string {
	switch form {
	case "upper", "lower", "nosep", "upper.nosep":
		return ""
	}
	return form
}

func form(f string) string {
	if f == "" {
		return ""
	}
	return " as " + f
}

func inText(excerpt string) string {
	if excerpt == "" {
		return ""
	}
	return " in " + excerpt
}

// Bounds of an excerpt, in bytes before and after the begin of what was found,
// and of what is looked at to make it: no token may be cut.
const (
	before = 70
	after  = 110
	around = 500
)

// excerpt gives the text around the first place of observed, with the token
// replaced by its label and every other word masked: the shape of what was sent
// shows, and nothing of what else it said. Names of fields are kept.
func (s *set) excerpt(text, observed string) string {
	i := strings.Index(text, observed)
	if i < 0 || observed == "" {
		return ""
	}
	start, end := max(0, i-around), min(len(text), i+around)
	head, tail := maskWords(s.redact(text[start:i])), maskWords(s.redact(text[i:end]))
	cutHead, cutTail := start > 0 || len(head) > before, end < len(text) || len(tail) > after
	piece := head[max(0, len(head)-before):] + tail[:min(len(tail), after)]
	piece = decoder.Safe(strings.ToValidUTF8(piece, ""))
	if cutHead {
		piece = "…" + piece
	}
	if cutTail {
		piece += "…"
	}
	return piece
}

// words are labels, and runs of letters and digits with what shows that they
// name a field.
var words = regexp.MustCompile(`\(canary #\d+\)|[\pL\pN_$-]+(?:"\s*:|=)?`)

// fieldName is a word before an equals sign that is no base64 with its padding.
var fieldName = regexp.MustCompile(`^[a-z_]{1,20}=$`)

// maskWords keeps labels and names of fields, and the first two letters of
// every other word.
func maskWords(text string) string {
	return words.ReplaceAllStringFunc(text, func(w string) string {
		if strings.HasPrefix(w, "(") || strings.HasSuffix(w, ":") || fieldName.MatchString(w) {
			return w
		}
		r := []rune(w)
		if len(r) <= 2 || w == "http" || w == "https" {
			return w
		}
		return string(r[:2]) + strings.Repeat("*", min(len(r)-2, 12))
	})
}
