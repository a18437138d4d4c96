package listtest

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
)

// Query is one line of standard input.
type Query struct {
	blocklists.Query
	Answer netip.Addr // answer=1: Name is an address that was found in an answer
}

// keys are the words that may stand before a "=" in a query.
var keys = [...]string{"client", "ip", "tag", "answer"}

// ParseQuery reads NAME [TYPE] [client=NAME] [ip=ADDR] [tag=TAG] [answer=1]. The
// name of a client may have blanks, with quotes around it or without; tag= may
// stand several times, or name several with | between them. A query without a
// type asks for A.
func ParseQuery(line string) (Query, error) {
	q := Query{Query: blocklists.Query{Type: 1}}
	words, typed, answer := fields(line), false, false
	if len(words) == 0 {
		return q, errors.New("an empty query")
	}
	q.Name = words[0]
	for _, w := range words[1:] {
		key, value, isKey := strings.Cut(w, "=")
		var err error
		switch {
		case !isKey && !typed:
			var ok bool
			if q.Type, ok = syntax.AnyType(w); !ok {
				err = fmt.Errorf("%q is no DNS type that is known", clip(w))
			}
			typed = true
		case !isKey:
			err = fmt.Errorf("%q is neither a type nor key=value", clip(w))
		case key == "answer":
			if answer = value == "1"; value != "0" && value != "1" {
				err = fmt.Errorf("answer must be 0 or 1, not %q", clip(value))
			}
		default:
			err = q.set(key, value)
		}
		if err != nil {
			return q, err
		}
	}
	if !answer {
		return q, checkName(q.Name)
	}
	a, err := netip.ParseAddr(q.Name)
	if err != nil {
		return q, fmt.Errorf("answer=1 wants an address for a name, not %q", clip(q.Name))
	}
	q.Answer = a
	return q, nil
}

func (q *Query) set(key, value string) (err error) {
	switch key {
	case "client":
		q.Client = value
	case "ip":
		if q.Addr, err = netip.ParseAddr(value); err != nil {
			return fmt.Errorf("ip must be an address, not %q", clip(value))
		}
	case "tag":
		q.Tags = append(q.Tags, strings.Split(value, "|")...)
	default:
		return fmt.Errorf("unknown key %q; known are client, ip, tag and answer", clip(key))
	}
	return nil
}

// fields splits a query at its blanks; those inside the name of a client stay.
func fields(line string) []string {
	var out []string
	inClient := false
	for _, w := range strings.Fields(line) {
		if inClient && !startsKey(w) {
			out[len(out)-1] += " " + w
			continue
		}
		out = append(out, w)
		inClient = strings.HasPrefix(w, "client=")
	}
	for i, w := range out {
		if rest, ok := strings.CutPrefix(w, "client=\""); ok && strings.HasSuffix(rest, "\"") {
			out[i] = "client=" + strings.TrimSuffix(rest, "\"")
		}
	}
	return out
}

func startsKey(w string) bool {
	for _, k := range keys {
		if strings.HasPrefix(w, k+"=") {
			return true
		}
	}
	return false
}

// checkName refuses what no DNS message could carry. What is merely unusual, as
// the * of a wildcard, may be asked for.
func checkName(name string) error {
	ascii := strings.TrimSuffix(name, ".")
	if c, err := blocklists.Canonical(name); err == nil {
		ascii = c
	}
	if len(ascii) == 0 || len(ascii) > 253 {
		return fmt.Errorf("%q is no name: names have 1 to 253 characters", clip(name))
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if len(label) == 0 || len(label) > 63 {
			return fmt.Errorf("%q is no name: a label has 1 to 63 characters", clip(name))
		}
	}
	return nil
}

// clip shortens what is quoted in a message.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strings.Trim(strconv.Quote(strings.ToValidUTF8(s, "\uFFFD")), `"`)
}
