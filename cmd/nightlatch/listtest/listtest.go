// Package listtest asks lists, and nothing but lists: it reads queries, one a
// line, and prints what the lists say to each. It needs no gateway and no
// config, so that people who write lists can use it too.
package listtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"nightlatch/blocklists"
)

// maxQuery is the most bytes of a query: a name, a client's name and many tags.
const maxQuery = 16 << 10

// Tester answers queries from lists. It is safe for concurrent use.
type Tester struct {
	set     *blocklists.Set
	formats map[string]blocklists.Format // of each list, by its name

	// Now gives the moment of a query; when nil, no rule has expired. It must not
	// be changed while queries are answered.
	Now func() time.Time
}

// Load reads list files; src says how, its Name is not used: each list has the
// name of its file. Where several lists speak about a name, the first file that
// is named decides between equals.
func Load(src blocklists.Source, files []string) (*Tester, error) {
	var lists []*blocklists.List
	for _, f := range files {
		src.Name = f
		l, err := blocklists.ParseFile(src, f)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	return New(lists...), nil
}

// New makes a tester of lists that were read already.
func New(lists ...*blocklists.List) *Tester {
	t := &Tester{set: blocklists.Compile(lists...), formats: map[string]blocklists.Format{}}
	for _, l := range lists {
		t.formats[l.Name] = l.Report.Format
	}
	return t
}

// Run answers every query of in with one JSON object, a line each, in their
// order. Empty lines and lines that begin with # are passed over. A query that is
// not understood is answered with an object that has its line number as "query"
// and the cause as "error", and counted as bad. The error of Run is one of
// reading or writing.
func (t *Tester) Run(in io.Reader, out io.Writer) (bad int, err error) {
	r, w := bufio.NewReaderSize(in, maxQuery), bufio.NewWriter(out)
	for n := 1; ; n++ {
		line, err := readLine(r)
		if err == io.EOF {
			return bad, w.Flush()
		}
		if err != nil && err != errLong {
			return bad, errors.Join(fmt.Errorf("queries: line %d: %w", n, err), w.Flush())
		}
		if text := strings.TrimSpace(line); err == errLong || text != "" && text[0] != '#' {
			if !t.answer(w, n, text, err) {
				bad++
			}
		}
		if r.Buffered() == 0 { // whoever waits for an answer before the next query gets it
			if err := w.Flush(); err != nil {
				return bad, err
			}
		}
	}
}

// answer prints the line for one query and says whether it was a good one.
func (t *Tester) answer(w *bufio.Writer, line int, text string, err error) bool {
	var q Query
	if err == nil {
		q, err = ParseQuery(text)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err != nil {
		_ = e.Encode(refusal{line, err.Error()}) // the writer keeps its first error for Flush
		return false
	}
	_ = e.Encode(t.Ask(q))
	return true
}

// refusal is the answer to a query that is not understood.
type refusal struct {
	Query int    `json:"query"` // 1-based line of the query
	Error string `json:"error"`
}

var errLong = fmt.Errorf("longer than %d bytes", maxQuery)

// readLine gives the next line; of one that is too long it gives errLong, and
// the rest of it is passed over.
func readLine(r *bufio.Reader) (string, error) {
	text, err := r.ReadSlice('\n')
	line := string(text)
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		if err == nil || err == io.EOF {
			err = errLong
		}
		return "", err
	}
	if err == io.EOF && line != "" {
		err = nil
	}
	return line, err
}
