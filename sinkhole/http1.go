package sinkhole

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/sinkhole/reply"
)

// maxRequests bounds the requests of one connection; the client then opens
// another one.
const maxRequests = 10_000

// writeTime bounds the sending of a reply: replies are below 1 KiB, so that
// a client which does not take one in this time takes none.
const writeTime = 10 * time.Second

// restTime is how long the rest of a request is taken in that could not be read.
const restTime = time.Second

// serveHTTP1 answers HTTP/1.x requests until the client is done.
func (x *session) serveHTTP1() {
	for range maxRequests {
		if !x.serveRequest() {
			return
		}
		x.within(x.s.limits.Idle)
		if x.conn.br.Buffered() == 0 && x.conn.more() != nil {
			return
		}
		x.within(x.s.limits.Hello)
	}
}

// serveRequest reads one request, answers and records it. It tells whether
// another one may follow.
func (x *session) serveRequest() (again bool) {
	head, err := x.head()
	if len(head) == 0 {
		return false
	}
	at := x.capture()
	if err != nil {
		x.malformed(at, nil, err)
		return false
	}
	before := x.conn.br.Buffered()
	req, err := http.ReadRequest(x.conn.br)
	if err != nil {
		x.conn.br.Discard(len(head) - (before - x.conn.br.Buffered())) // what the parser did not come to
		x.malformed(at, head, err)
		return false
	}
	x.understood()
	if req.ProtoAtLeast(1, 1) && req.ContentLength != 0 && strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
		x.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) // RFC 9110 §10.1.1
	}
	b := x.s.readBody(req.Body, x.s.limits.BodyIdle, func(t time.Time) { x.conn.SetReadDeadline(t) })
	defer x.s.free(b)
	r := x.s.answer(x.flow.Name, req)
	again = b.err == nil && !req.Close && !(x.observed && switches(req))
	switch {
	case b.err == nil || errors.Is(b.err, errCut):
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		r = x.s.failed(http.StatusRequestTimeout)
	default:
		r = x.s.failed(http.StatusBadRequest) // cut off, or chunks that lie
	}
	if x.write(http1(r, req, again)) != nil {
		again = false
	}
	x.s.takeRequest(x.ctx, at, decoder.Request{Method: req.Method, Host: req.Host, Target: req.RequestURI, Header: req.Header}, b)
	return again
}

// switches tells whether what follows a request may be another protocol. The
// server decides; a reader that does not see its answer must stop either way.
func switches(req *http.Request) bool {
	return req.Method == http.MethodConnect || len(req.Header["Upgrade"]) > 0
}

// head waits for a whole request head and gives a copy of it; nothing is
// consumed but empty lines in front. An error says why the head is not
// whole; with it comes what there is.
func (x *session) head() ([]byte, error) {
	for {
		seen := x.conn.seen()
		if blank := len(seen) - len(skipBlank(seen)); blank > 0 {
			x.conn.br.Discard(blank)
			continue
		}
		if n := headEnd(seen); n > 0 {
			return bytes.Clone(seen[:n]), nil
		}
		if err := x.conn.more(); err != nil {
			return bytes.Clone(x.conn.seen()), err
		}
	}
}

// malformed refuses a request that is none and records the bytes it came in,
// with whatever follows: what no server would understand is still a leak.
func (x *session) malformed(at journal.Capture, taken []byte, err error) {
	if x.observed { // the server may well understand it; what follows is not looked at
		if taken == nil {
			taken = bytes.Clone(x.conn.seen())
		}
		x.s.takeRaw(x.ctx, at, body{sample: taken, size: int64(len(taken))})
		return
	}
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout
	case errors.Is(err, bufio.ErrBufferFull):
		status = http.StatusRequestHeaderFieldsTooLarge
	}
	x.write(fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status)))
	x.conn.closeWrite()
	first := io.MultiReader(bytes.NewReader(taken), x.conn)
	x.within(restTime) // in all: this client has had its chance
	b := x.s.readBody(first, restTime, func(time.Time) {})
	x.s.takeRaw(x.ctx, at, b)
	x.s.free(b)
}

// write sends bytes within the time a reply may take.
func (x *session) write(p []byte) error {
	x.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := x.conn.Write(p)
	return err
}

// http1 is a reply on the wire (RFC 9112 §4).
func http1(r reply.Reply, req *http.Request, again bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	h := r.Header
	switch {
	case !again:
		h.Set("Connection", "close")
	case !req.ProtoAtLeast(1, 1):
		h.Set("Connection", "keep-alive")
	}
	if r.Status != http.StatusNoContent { // RFC 9110 §8.6
		h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	h.Write(&b) // a Buffer never fails
	b.WriteString("\r\n")
	if req.Method != http.MethodHead && r.Status != http.StatusNoContent {
		b.Write(r.Body)
	}
	return b.Bytes()
}
