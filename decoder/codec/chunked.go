package codec

import (
	"bytes"
	"strconv"
	"strings"
)

// Chunked undoes the chunked transfer coding (RFC 9112 §7.1). It gives what
// follows the last chunk and its trailers, and whether the coding was cut
// short. A body that is not chunked at all comes back as it is.
func Chunked(p []byte) (body, rest []byte, truncated bool) {
	var out []byte
	at := 0
	for {
		line, _, ok := bytes.Cut(p[at:min(len(p), at+1024)], []byte("\n"))
		size, _, _ := strings.Cut(strings.TrimSpace(string(line)), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		if err != nil || !ok {
			if at == 0 {
				return p, nil, false
			}
			return out, nil, true
		}
		at += len(line) + 1
		if n == 0 {
			return out, afterTrailers(p[at:]), false
		}
		if int(n) > len(p)-at {
			return append(out, p[at:]...), nil, true
		}
		out = append(out, p[at:at+int(n)]...)
		at += int(n)
		at += len(p[at:]) - len(bytes.TrimPrefix(bytes.TrimPrefix(p[at:], []byte("\r")), []byte("\n")))
	}
}

func afterTrailers(p []byte) []byte {
	for len(p) > 0 {
		line, rest, ok := bytes.Cut(p, []byte("\n"))
		if p = rest; !ok || len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	return p
}
