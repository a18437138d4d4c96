package decoder

import (
	"bytes"
	"strconv"
	"strings"

	"nightlatch/decoder/codec"
)

// Request is an HTTP request as it was received, its transfer coding undone.
type Request struct {
	Method string
	Host   string
	Target string // path and query, as sent
	Header map[string][]string
	Body   []byte
}

// Limits of a raw request.
const (
	maxRaw     = 4 << 20 // bytes looked at; the rest is left out and flagged
	maxHead    = 64 << 10
	maxHeaders = 200
)

// parsed is a raw request and what was odd about it.
type parsed struct {
	Request
	rest      []byte // what follows the body: perhaps another request
	truncated bool   // the body is shorter than announced
	ambiguous bool   // two announcements of its length: RFC 9112 §6.3
}

// looksHTTP reports a request line: METHOD SP target SP HTTP/1.x.
func looksHTTP(p []byte) bool {
	line, _, ok := bytes.Cut(p[:min(len(p), 16<<10)], []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	if !ok || !bytes.HasSuffix(line[:max(0, len(line)-1)], []byte(" HTTP/1.")) {
		return false
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	if !bytes.Contains(rest, []byte(" ")) {
		return false
	}
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(method) > 0 && len(method) < 20
}

// parseHTTP reads a request leniently: it is evidence, not a conversation.
func parseHTTP(p []byte) parsed {
	head, body := splitHead(p)
	lines := bytes.Split(head, []byte("\n"))
	fields := strings.SplitN(strings.TrimRight(string(lines[0]), "\r"), " ", 2)
	out := parsed{Request: Request{Method: fields[0], Header: map[string][]string{}}}
	if len(fields) == 2 {
		out.Target = strings.TrimSpace(fields[1][:max(0, strings.LastIndex(fields[1], " HTTP/1."))])
	}
	last := ""
	for _, line := range lines[1:min(len(lines), maxHeaders)] {
		if values := out.Header[last]; len(line) > 1 && (line[0] == ' ' || line[0] == '\t') && len(values) > 0 {
			values[len(values)-1] += " " + strings.TrimSpace(string(line)) // RFC 9112 §5.2
			continue
		}
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r"), ":")
		if ok {
			name = strings.TrimSpace(name)
			out.Header[name] = append(out.Header[name], strings.TrimSpace(value))
			last = name
		}
	}
	out.Host = out.get("Host")
	out.frame(body)
	return out
}

// splitHead cuts at the empty line; without one the head is all there is.
func splitHead(p []byte) (head, body []byte) {
	limit := p[:min(len(p), maxHead)]
	at := bytes.Index(limit, []byte("\r\n\r\n"))
	if lf := bytes.Index(limit, []byte("\n\n")); lf >= 0 && (at < 0 || lf < at) {
		return p[:lf], p[lf+2:]
	}
	if at < 0 {
		return limit, p[len(limit):]
	}
	return p[:at], p[at+4:]
}

// frame finds where the body ends.
func (r *parsed) frame(body []byte) {
	length, hasLength := r.get("Content-Length"), r.get("Content-Length") != ""
	r.ambiguous = r.differing("Content-Length")
	if strings.Contains(strings.ToLower(r.get("Transfer-Encoding")), "chunked") {
		r.ambiguous = r.ambiguous || hasLength
		r.Body, r.rest, r.truncated = codec.Chunked(body)
		return
	}
	r.Body = body
	n, err := strconv.Atoi(length)
	switch {
	case !hasLength && looksHTTP(body):
		r.Body, r.rest = nil, body
	case err != nil || n < 0:
	case n > len(body):
		r.truncated = true
	case looksHTTP(body[n:]) || len(bytes.TrimSpace(body[n:])) == 0:
		r.Body, r.rest = body[:n], body[n:]
	default: // more than was announced; it was received all the same
		r.ambiguous = true
	}
}

// differing reports a header that is given twice, with different values.
func (r *Request) differing(name string) bool {
	first := r.get(name)
	for k, values := range r.Header {
		for _, v := range values {
			if strings.EqualFold(k, name) && v != first {
				return true
			}
		}
	}
	return false
}

// get gives the first value of a header, whatever its case.
func (r *Request) get(name string) string {
	if v := r.Header[name]; len(v) > 0 {
		return v[0]
	}
	for k, v := range r.Header {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}
