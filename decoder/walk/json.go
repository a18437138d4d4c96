package walk

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"nightlatch/decoder/codec"
)

// JSON walks the first JSON value of p (RFC 8259). It is tolerant where
// telemetry is: control characters and invalid UTF-8 inside strings pass, and
// of a text that ends too early or turns wrong the leaves before that are
// given. End.OK says that the value is complete, and End.Used is the offset
// behind it, where more may follow.
func JSON(p []byte, at *Step, visit Visitor) End {
	j := jsonWalk{p: p, visit: visit}
	j.run(at)
	j.space()
	j.end.Used = j.i
	return j.end
}

type jsonWalk struct {
	p     []byte
	i     int
	visit Visitor
	end   End
	stack []frame
}

// frame is an open container. Its step is made when its first leaf needs one.
type frame struct {
	step  *Step
	array bool
	index int
	key   string
}

func (f *frame) child() *Step {
	if f.array {
		return f.step.Child("", f.index)
	}
	return f.step.Child(f.key, -1)
}

func (j *jsonWalk) space() {
	for j.i < len(j.p) {
		switch j.p[j.i] {
		case ' ', '\t', '\r', '\n':
			j.i++
		default:
			return
		}
	}
}

// run reads one value with a stack of its own, so that depth costs no frames
// of ours. A value is read, then the commas and closing brackets behind it.
func (j *jsonWalk) run(at *Step) {
	for {
		j.space()
		if j.i >= len(j.p) {
			j.end.Truncated = true
			return
		}
		opened, ok := j.value(at)
		if !ok {
			return
		}
		if opened && !j.empty() {
			if !j.member() {
				return
			}
			continue
		}
		if !j.behind() {
			return
		}
	}
}

// value reads a scalar or opens a container.
func (j *jsonWalk) value(at *Step) (opened, ok bool) {
	step := at
	if n := len(j.stack); n > 0 {
		step = nil // made below, only when it is needed
	}
	switch c := j.p[j.i]; {
	case c == '{' || c == '[':
		if len(j.stack) >= MaxDepth {
			j.end.TooDeep = true
			return false, false
		}
		if step == nil {
			step = j.stack[len(j.stack)-1].child()
		}
		j.i++
		j.stack = append(j.stack, frame{step: step, array: c == '[', index: -1})
		return true, true
	case c == '"':
		s, whole := j.text()
		return false, j.leaf(at, s, false) && whole
	case c == '-' || c >= '0' && c <= '9':
		start := j.i
		for j.i < len(j.p) && number(j.p[j.i]) {
			j.i++
		}
		return false, j.leaf(at, j.p[start:j.i], true)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if len(j.p)-j.i >= len(word) && string(j.p[j.i:j.i+len(word)]) == word {
			j.i += len(word)
			return false, true
		}
	}
	return false, false
}

func number(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// leaf hands a scalar to the visitor; empty texts are not worth a call.
func (j *jsonWalk) leaf(at *Step, value []byte, num bool) bool {
	if len(value) == 0 {
		return true
	}
	if n := len(j.stack); n > 0 {
		at = j.stack[n-1].child()
	}
	j.end.Leaves++
	if !j.visit(Leaf{At: at, Value: value, Number: num}) {
		j.end.Stopped = true
		return false
	}
	return true
}

// empty reports that the container just opened closes at once.
func (j *jsonWalk) empty() bool {
	j.space()
	return j.i < len(j.p) && (j.p[j.i] == '}' || j.p[j.i] == ']')
}

// member reads the name of the next member of an object, or counts on in an
// array.
func (j *jsonWalk) member() bool {
	f := &j.stack[len(j.stack)-1]
	if f.array {
		f.index++
		return true
	}
	j.space()
	if j.i >= len(j.p) || j.p[j.i] != '"' {
		j.end.Truncated = j.i >= len(j.p)
		return false
	}
	key, whole := j.text()
	j.space()
	if !whole || j.i >= len(j.p) || j.p[j.i] != ':' {
		j.end.Truncated = !whole || j.i >= len(j.p)
		return false
	}
	j.i++
	f.key = string(key)
	if telling(key) && !j.end.leaf(Leaf{At: f.child(), Value: key}, j.visit) {
		return false
	}
	return true
}

// telling reports a name that is a value itself: {"ada@example.org":{...}}.
func telling(key []byte) bool {
	if len(key) < 12 {
		return false
	}
	digits := 0
	for _, c := range key {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits > 3 || bytes.IndexByte(key, '@') > 0 || bytes.Contains(key, []byte("://"))
}

// behind reads what follows a value: closing brackets, then a comma and the
// next name. It reports false at the end of the outermost value or an error.
func (j *jsonWalk) behind() bool {
	for {
		if len(j.stack) == 0 {
			j.end.OK = true
			return false
		}
		j.space()
		if j.i >= len(j.p) {
			j.end.Truncated = true
			return false
		}
		f := j.stack[len(j.stack)-1]
		switch c := j.p[j.i]; {
		case c == ',':
			j.i++
			return j.member()
		case c == ']' && f.array || c == '}' && !f.array:
			j.i++
			j.stack = j.stack[:len(j.stack)-1]
		default:
			return false
		}
	}
}

// text reads a string that begins at the quote. Without escapes it is a view.
func (j *jsonWalk) text() ([]byte, bool) {
	start := j.i + 1
	for k := start; k < len(j.p); k++ {
		switch j.p[k] {
		case '"':
			j.i = k + 1
			return j.p[start:k], true
		case '\\':
			return j.escaped(start, k)
		}
	}
	j.i, j.end.Truncated = len(j.p), true
	return j.p[start:], false
}

// escaped goes on with a string whose first backslash stands at k.
func (j *jsonWalk) escaped(start, k int) ([]byte, bool) {
	out := append(make([]byte, 0, 2*(k-start)+64), j.p[start:k]...)
	for k < len(j.p) {
		switch c := j.p[k]; {
		case c == '"':
			j.i = k + 1
			return out, true
		case c == '\\' && k+1 < len(j.p):
			out, k = unescape(out, j.p, k+1)
		case c == '\\':
			k++
		default:
			out = append(out, c)
			k++
		}
	}
	j.i, j.end.Truncated = len(j.p), true
	return out, false
}

// unescape undoes the escape whose letter stands at k (RFC 8259 §7).
func unescape(out, p []byte, k int) ([]byte, int) {
	switch c := p[k]; c {
	case 'n':
		return append(out, '\n'), k + 1
	case 't':
		return append(out, '\t'), k + 1
	case 'r':
		return append(out, '\r'), k + 1
	case 'b':
		return append(out, '\b'), k + 1
	case 'f':
		return append(out, '\f'), k + 1
	case 'u':
		r, ok := hex4(p, k+1)
		if !ok {
			return append(out, 'u'), k + 1
		}
		k += 5
		if utf16.IsSurrogate(r) && k+1 < len(p) && p[k] == '\\' && p[k+1] == 'u' {
			if low, ok := hex4(p, k+2); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return utf8.AppendRune(out, pair), k + 6
				}
			}
		}
		return utf8.AppendRune(out, r), k
	default:
		return append(out, c), k + 1
	}
}

func hex4(p []byte, k int) (rune, bool) {
	if k+4 > len(p) {
		return 0, false
	}
	var r rune
	for _, c := range p[k : k+4] {
		v := codec.HexValue(c)
		if v > 15 {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}
