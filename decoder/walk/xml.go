package walk

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Limits of one XML text.
const (
	maxTokens = 4 * MaxLeaves
	maxTag    = 64 << 10 // bytes of one tag
)

// XML walks an XML text. Attributes and text are leaves under the names of
// their elements; <string name="imei"> (Android preferences) and the <key> of a
// property list name what follows them.
func XML(p []byte, at *Step, visit Visitor) End {
	end := End{Used: len(p)}
	if at := longTag(p); at >= 0 {
		p, end.Stopped = p[:at], true
	}
	d := xml.NewDecoder(bytes.NewReader(p))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	w := xmlWalk{end: &end, visit: visit, open: []*Step{at}}
	for range maxTokens {
		tok, err := d.RawToken()
		if err != nil {
			end.OK = errors.Is(err, io.EOF) && len(w.open) == 1 && end.Leaves > 0
			end.Truncated = !end.OK && end.Leaves > 0
			return end
		}
		if !w.token(tok) {
			return end
		}
	}
	end.Stopped = true
	return end
}

// longTag gives the offset of the first tag that is longer than allowed, or -1.
// A tag is read as a whole, with all its attributes.
func longTag(p []byte) int {
	for at := 0; ; {
		open := bytes.IndexByte(p[at:], '<')
		if open < 0 {
			return -1
		}
		at += open
		size := bytes.IndexByte(p[at:], '>')
		if size > maxTag || size < 0 && len(p)-at > maxTag {
			return at
		}
		if size < 0 {
			return -1
		}
		at += size
	}
}

type xmlWalk struct {
	end   *End
	visit Visitor
	open  []*Step // the elements around, the outermost first
	key   string  // the last <key> of a property list
	inKey bool
}

func (w *xmlWalk) token(tok xml.Token) bool {
	top := w.open[len(w.open)-1]
	switch t := tok.(type) {
	case xml.StartElement:
		if len(w.open) > MaxDepth {
			w.end.TooDeep = true
			return false
		}
		return w.start(t, top)
	case xml.EndElement:
		if len(w.open) > 1 {
			w.open = w.open[:len(w.open)-1]
		}
		w.inKey = false
	case xml.CharData:
		text := bytes.TrimSpace(t)
		if w.inKey {
			w.key = string(text[:min(len(text), 256)])
			return true
		}
		return len(text) == 0 || w.end.leaf(Leaf{At: top, Value: bytes.Clone(text)}, w.visit)
	}
	return true
}

func (w *xmlWalk) start(t xml.StartElement, top *Step) bool {
	name := t.Name.Local
	w.inKey = name == "key"
	if w.key != "" && !w.inKey {
		name, w.key = w.key, ""
	}
	for _, a := range t.Attr {
		if strings.EqualFold(a.Name.Local, "name") || strings.EqualFold(a.Name.Local, "key") {
			name = a.Value
		}
	}
	step := top.Child(name, -1)
	w.open = append(w.open, step)
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || strings.EqualFold(a.Name.Local, "name") {
			continue
		}
		at := step.Child(a.Name.Local, -1)
		if strings.EqualFold(a.Name.Local, "value") {
			at = step
		}
		if !w.end.leaf(Leaf{At: at, Value: []byte(a.Value)}, w.visit) {
			return false
		}
	}
	return true
}
