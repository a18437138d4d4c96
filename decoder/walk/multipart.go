package walk

import (
	"bytes"
	"strings"
)

// Multipart walks the parts of multipart/form-data (RFC 7578). The boundary is
// read from the first line, whatever a header may say. A part is a leaf under
// its name.
func Multipart(p []byte, at *Step, visit Visitor) End {
	var end End
	line, rest, ok := bytes.Cut(p, []byte("\n"))
	mark := bytes.TrimRight(line, "\r")
	if !ok || len(mark) < 4 || len(mark) > 80 || !bytes.HasPrefix(mark, []byte("--")) ||
		!bytes.Contains(bytes.ToLower(rest[:min(len(rest), 200)]), []byte("content-")) {
		return end
	}
	for n := 0; n < MaxPairs; n++ {
		part, after, found := bytes.Cut(rest, append([]byte("\n"), mark...))
		if !end.part(part, at, n, visit) {
			return end
		}
		if rest = after; !found {
			end.Truncated = true
			break
		}
		if bytes.HasPrefix(rest, []byte("--")) {
			end.OK = true
			break
		}
		if _, rest, found = bytes.Cut(rest, []byte("\n")); !found {
			end.Truncated = true
			break
		}
	}
	end.Stopped = !end.OK && !end.Truncated
	return end
}

// part hands on one part; without a name it goes by its number.
func (e *End) part(part []byte, at *Step, n int, visit Visitor) bool {
	head, body, ok := bytes.Cut(part, []byte("\r\n\r\n"))
	if !ok {
		head, body, ok = bytes.Cut(part, []byte("\n\n"))
	}
	if !ok {
		return true
	}
	step := at.Child("", n)
	if _, after, ok := strings.Cut(string(head[:min(len(head), 4096)]), ` name="`); ok {
		name, _, _ := strings.Cut(after, `"`)
		step = at.Child(name, -1)
	}
	body = bytes.TrimSuffix(body, []byte("\r"))
	return e.leaf(Leaf{At: step, Value: body}, visit)
}
