package report

import (
	"fmt"
	"slices"
	"strings"

	"nightlatch/dashboard/words"
)

// summary says the whole in a few sentences that need no other knowledge.
func summary(r *Report) []string {
	t := r.Totals
	if r.First.IsZero() {
		return []string{fmt.Sprintf("The journal has nothing of %s in this period: it was not connected, or what it did is older than the journal remembers.", r.Device)}
	}
	out := []string{fmt.Sprintf("In this period %s asked for names %s and opened %s. %s and %s were stopped.", r.Device,
		times(t.Questions), words.Many(t.Connections, "connection", "connections"), words.Many(t.StoppedQuestions, "question", "questions"), words.Many(t.Refused, "connection", "connections"))}
	if t.Payloads > 0 {
		out = append(out, fmt.Sprintf("In the place of %s the gateway took %s, of which %s could be read. None of them was passed on.",
			words.Many(int64(withPayloads(r.Stopped)), "stopped server", "stopped servers"), words.Many(t.Payloads, "message", "messages"), words.Count(t.Read)))
	}
	if t.Values > 0 {
		out = append(out, fmt.Sprintf("They held %s: %s. %s proved: the owner had told the value to the gateway in advance, or planted it. The others are likely: their form, their checksum or the name they stand under says what they are.",
			words.Many(t.Values, "private value", "private values"), list(kindsOf(r.Stopped)), areProved(t.Proved)))
	} else if t.Payloads > 0 {
		out = append(out, "No private value was recognised in them. That is no proof that there was none.")
	}
	if t.Passed > 0 {
		out = append(out, fmt.Sprintf("%s did reach servers: %s. The owner chose to observe these servers, and to stop nothing.",
			words.Many(t.Passed, "private value", "private values"), list(kindsOf(r.Received))))
	}
	if names := named(r.Companies); len(names) > 0 {
		out = append(out, "The stopped servers belong to "+list(names)+", as the lists say that stopped them.")
	}
	if n := len(r.Received); n > 0 {
		out = append(out, fmt.Sprintf("%s received something. What was in it is not known, except where it says so: the gateway does not open what it lets through.", words.Many(int64(n), "other server", "other servers")))
	}
	return out
}

func areProved(n int64) string {
	switch n {
	case 0:
		return "None of these is"
	case 1:
		return "1 of these is"
	}
	return words.Count(n) + " of these are"
}

func withPayloads(all []Server) (n int) {
	for _, s := range all {
		if s.Payloads > 0 {
			n++
		}
	}
	return n
}

// kindsOf names the kinds of values, the most frequent first.
func kindsOf(all []Server) []string {
	by := map[string]int64{}
	for _, s := range all {
		for _, v := range s.Values {
			by[v.Kind] += v.Count
		}
	}
	kinds := make([]string, 0, len(by))
	for k := range by {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if by[a] != by[b] {
			return int(min(max(by[b]-by[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	for i, k := range kinds {
		kinds[i] = words.Kind(k)
	}
	return kinds
}

func named(all []Company) []string {
	var out []string
	for _, c := range all {
		if c.Name != "" {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return out
}

// list writes "a, b and c", the first dozen.
func list(all []string) string {
	const most = 12
	if len(all) > most {
		all = append(slices.Clone(all[:most]), fmt.Sprintf("%d more", len(all)-most))
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}

// times writes how often.
func times(n int64) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return words.Count(n) + " times"
}
