package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// leaksFor is how far back the Leaks page looks when nothing else is asked.
const leaksFor = 7 * 24 * time.Hour

const captureRows = 50 // captures on one Leaks page

// leaksView is what would have leaked: by kind and host, and capture by capture.
type leaksView struct {
	tableView
	Since    time.Time
	Kinds    []journal.FindingSummary
	Possible int64 // findings that only look like something
	HTTPS    bool
}

func (d *Dashboard) leaksPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := filterOf(q, captureRows)
	if err != nil {
		d.fail(w, r, http.StatusBadRequest, sentence(err))
		return
	}
	now := d.now()
	v := leaksView{Since: f.Since, HTTPS: d.gateway().SinkHTTPS}
	if v.Since.IsZero() {
		v.Since = now.Add(-leaksFor)
	}
	sum, err := d.journal.Summary(r.Context(), v.Since)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v.Kinds, v.Possible = kindRows(sum.Leaks, f)
	limit := f.Limit
	f.Since, f.Limit = v.Since, limit+1
	captures, err := d.journal.Captures(r.Context(), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	v.tableView = leakTable(captures, f, limit, q)
	v.Devices = d.deviceNames(f.Device)
	d.show(w, r, http.StatusOK, page{Name: "leaks", Title: "Leaks", Body: v})
}

func leakTable(captures []journal.StoredCapture, f journal.Filter, limit int, q url.Values) tableView {
	t := tableView{Filter: f, Newest: f.Before == 0}
	for _, c := range captures[:min(len(captures), limit)] {
		t.Rows = append(t.Rows, rowOfCapture(c))
	}
	if len(captures) > limit {
		t.Older = older(q, captures[limit-1].ID)
	}
	f.Since = time.Time{}
	t.Filtered = filtered(f)
	return t
}

// kindRows are the sums that the filter leaves, without what is only possible.
func kindRows(all []journal.FindingSummary, f journal.Filter) (rows []journal.FindingSummary, possible int64) {
	for _, s := range all {
		switch {
		case f.Device != "" && s.Device != f.Device, f.Finding != "" && s.Kind != f.Finding,
			!strings.Contains(strings.ToLower(s.Name), strings.ToLower(f.NamePart)):
		case s.Confidence == "possible":
			possible += s.Count
		default:
			s.Name, s.Owner = visible.Cut(s.Name, longName), visible.Cut(s.Owner, 60)
			rows = append(rows, s)
		}
	}
	return rows, possible
}

// captureView is one capture, opened layer by layer.
type captureView struct {
	Capture  journal.StoredCapture
	Path     string // of the request, without its query, which may hold anything
	HasQuery bool
	Steps    []step
	Values   int64
	Possible []journal.StoredFinding
}

// step is one encoding that was undone, and what was found right beneath it.
type step struct {
	Codec, Words string
	Path         string
	Depth        int
	Values       []journal.StoredFinding
}

// maxSteps bounds the layers on a page; a payload bomb can have thousands.
const (
	maxSteps  = 60
	maxValues = 200 // findings on one page
	maxDepth  = 8   // how far the page indents
)

func (d *Dashboard) capturePage(w http.ResponseWriter, r *http.Request) {
	c, ok, err := d.capture(r)
	switch {
	case err != nil:
		d.broken(w, r, err)
	case !ok:
		d.fail(w, r, http.StatusNotFound, "This capture is not in the journal: it is older than the journal remembers, or it never was.")
	default:
		d.show(w, r, http.StatusOK, page{Name: "capture", Title: "One capture", Body: openCapture(c)})
	}
}

// capture reads the capture of the path's id.
func (d *Dashboard) capture(r *http.Request) (c journal.StoredCapture, ok bool, err error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 || id >= 1<<62 {
		return c, false, nil
	}
	all, err := d.journal.Captures(r.Context(), journal.Filter{Before: id + 1, After: id - 1, Limit: 1})
	if err != nil || len(all) == 0 || all[0].ID != id {
		return c, false, err
	}
	return all[0], true, nil
}

func openCapture(c journal.StoredCapture) captureView {
	v := captureView{Capture: c}
	path, _, query := strings.Cut(c.Path, "?")
	v.Path, v.HasQuery = visible.Cut(path, longName), query
	for _, l := range c.Result.Layers[:min(len(c.Result.Layers), maxSteps)] {
		v.Steps = append(v.Steps, step{Codec: visible.Cut(l.Codec, 30), Words: codecWords(l.Codec), Path: l.Path})
	}
	for i := range v.Steps {
		if up := holder(v.Steps[:i], v.Steps[i].Path); up >= 0 {
			v.Steps[i].Depth = min(v.Steps[up].Depth+1, maxDepth)
		}
	}
	var loose []journal.StoredFinding
	for _, f := range c.Findings[:min(len(c.Findings), maxValues)] {
		f.Value = visible.Cut(f.Value, longText)
		if f.Confidence == "possible" {
			v.Possible = append(v.Possible, f)
			continue
		}
		v.Values++
		if i := holder(v.Steps, f.Path); i >= 0 {
			v.Steps[i].Values = append(v.Steps[i].Values, f)
		} else {
			loose = append(loose, f)
		}
	}
	if len(loose) > 0 { // found as it came, beneath no encoding at all
		raw := step{Codec: "as sent", Words: "Readable without undoing anything.", Values: loose}
		v.Steps = append([]step{raw}, v.Steps...)
	}
	return v
}

// holder is the step whose path is the longest that path lies beneath, or -1.
func holder(steps []step, path string) int {
	best := -1
	for i, s := range steps {
		rest, ok := strings.CutPrefix(path, s.Path)
		if !ok || rest != "" && rest[0] != '/' && rest[0] != ':' {
			continue
		}
		if best < 0 || len(s.Path) > len(steps[best].Path) {
			best = i
		}
	}
	return best
}

// codecWords says what an encoding does, for people who never met it.
func codecWords(codec string) string {
	switch codec {
	case "form", "query":
		return "Fields of a web form. Readable by anyone."
	case "json":
		return "Names and values as text. Readable by anyone."
	case "base64", "base64url", "base32", "hex":
		return "Bytes written as letters. It hides nothing: undoing it needs no key."
	case "gzip", "zlib", "deflate", "brotli", "zstd", "lz4", "snappy", "lz-string":
		return "Compressed to save data. Undoing it needs no key."
	case "percent", "url":
		return "Letters written as %41. Undoing it needs no key."
	case "multipart":
		return "Several parts in one message. Readable by anyone."
	case "protobuf", "cbor", "avro", "msgpack":
		return "Packed fields. Undoing it needs no key."
	case "xor", "aes", "des", "rc4", "aes-cbc", "aes-ecb":
		return "Scrambled with a key that ships inside the app, so the key is no secret."
	case "jwt":
		return "A signed token. Its contents are readable by anyone."
	}
	return ""
}
