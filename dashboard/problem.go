package dashboard

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"nightlatch/dashboard/visible"
)

// Problem is an error of the API (RFC 9457). Type is always "about:blank", so
// Title is the name of the status and Detail says what to do.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// fail answers with an error: a problem to programs, a page to people.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, status int, detail string) {
	if forPrograms(r.URL.Path) {
		w.Header().Set("Content-Type", "application/problem+json")
		d.writeJSON(w, r, status, Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
		return
	}
	d.show(w, r, status, page{Name: "error", Title: http.StatusText(status), Body: detail})
}

func forPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/live"
}

// broken answers a read that failed: in the time of the request when the
// journal was slow, and otherwise with what is known, which the log has in full.
func (d *Dashboard) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		d.fail(w, r, http.StatusServiceUnavailable, "The journal took too long to answer. Ask for less at a time.")
		return
	}
	d.log.Error("dashboard: reading failed", "path", r.URL.Path, "err", err)
	d.fail(w, r, http.StatusInternalServerError, "The journal could not be read; the log of nightlatch says why.")
}

// writeJSON writes v with nothing that a terminal or an eye could trip over:
// whatever is not printable stands as \uXXXX, which means the same in JSON.
func (d *Dashboard) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	if err := enc.Encode(v); err != nil {
		d.log.Error("dashboard: encoding failed", "path", r.URL.Path, "err", err)
		http.Error(w, "encoding failed", http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(visible.JSON(buf.Bytes()))
}
