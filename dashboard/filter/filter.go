// Package filter reads what a page or a program asks of the journal from the
// query string of an address, and writes it back. It is pure.
package filter

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// Rows of one page, and the most the API gives at once.
const (
	PageRows = 100
	APIRows  = 1000
)

// MaxField is the longest text a filter takes: a DNS name has at most 253
// letters, a finding's path is not searched.
const MaxField = 253

// Of reads a filter from a query string. Every mistake is an error that
// names the field: a filter that is silently ignored would show a wrong truth.
func Of(q url.Values, limit int, now time.Time) (journal.Filter, error) {
	f := journal.Filter{Limit: limit}
	for key, values := range q {
		if len(values) != 1 {
			return f, fmt.Errorf("%s is given %d times; once is enough", visible.Cut(key, 40), len(values))
		}
		if err := setField(&f, key, strings.TrimSpace(values[0]), limit, now); err != nil {
			return f, err
		}
	}
	return f, nil
}

func setField(f *journal.Filter, key, v string, limit int, now time.Time) (err error) {
	if len(v) > MaxField || !utf8.ValidString(v) {
		return fmt.Errorf("%s is longer than %d letters, or no text at all", visible.Cut(key, 40), MaxField)
	}
	if v == "" { // a field of a form that was left empty
		v = "0"
		if textField(f, key, "") {
			return nil
		}
	}
	switch {
	case textField(f, key, v):
		return nil
	case key == "blocked":
		f.Blocked, err = strconv.ParseBool(v)
		if err != nil {
			err = fmt.Errorf("blocked is true or false, not %q", visible.Cut(v, 40))
		}
	case key == "before":
		f.Before, err = number(key, v, 1<<62)
	case key == "after":
		f.After, err = number(key, v, 1<<62)
	case key == "limit":
		var n int64
		if n, err = number(key, v, int64(limit)); n > 0 {
			f.Limit = int(n)
		}
	case key == "since":
		f.Since, err = moment(key, v, now)
	case key == "until":
		f.Until, err = moment(key, v, now)
	default:
		err = fmt.Errorf("there is no filter %q; there are device, name, blocked, type, list, finding, since, until, before, after and limit", visible.Cut(key, 40))
	}
	return err
}

func textField(f *journal.Filter, key, v string) bool {
	switch key {
	case "device":
		f.Device = v
	case "name":
		f.NamePart = v
	case "type":
		f.Type = v
	case "list":
		f.List = v
	case "finding":
		f.Finding = v
	default:
		return false
	}
	return true
}

func number(key, v string, most int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s is a number from 0 to %d, not %q", key, most, visible.Cut(v, 40))
	}
	return n, nil
}

func moment(key, v string, now time.Time) (time.Time, error) {
	if v == "0" {
		return time.Time{}, nil
	}
	if back, ok := ago(v); ok {
		return now.Add(-back), nil
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is a time like 2026-01-31T08:00:00Z, or a while ago like 15m, 24h or 7d, not %q", key, visible.Cut(v, 40))
	}
	return t, nil
}

// ago reads a while: 15m, 24h, 7d. Of a link that was kept it means the last
// hours of the day it is opened, which is what people keep it for.
func ago(v string) (time.Duration, bool) {
	if len(v) < 2 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[v[len(v)-1]]
	n, err := strconv.ParseUint(v[:len(v)-1], 10, 16)
	return time.Duration(n) * unit, ok && err == nil && n > 0
}

// Older is the same query string, from below the given id on.
func Older(q url.Values, id int64) string {
	next := url.Values{}
	for k, v := range q {
		if k != "after" && len(v) == 1 && v[0] != "" {
			next[k] = v
		}
	}
	next.Set("before", strconv.FormatInt(id, 10))
	return "?" + next.Encode()
}
