package decoder

import (
	"bytes"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// text opens printable data: structures first, then the encodings that hide in
// letters. It reports whether anything fitted.
func (p *peel) text(data []byte, at *walk.Step, whole bool) bool {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(trimmed) < 2 {
		return false
	}
	switch trimmed[0] {
	case '{', '[', '"':
		if p.json(trimmed, at, whole) {
			return true
		}
	}
	switch {
	case p.address(trimmed, at), p.markup(trimmed, at), p.token(trimmed, at):
		return true
	case walk.LooksForm(trimmed):
		return p.form(trimmed, at)
	case p.letters(trimmed, at), p.percent(trimmed, at):
		return true
	}
	return p.formLines(trimmed, at) || p.islands(data, at) || whole && at.Depth < 4 && p.unxor(data, at)
}

// json walks JSON: one value, one a line, or several in a row. What was read
// before the text turned wrong stays when it was more than chance.
func (p *peel) json(data []byte, at *walk.Step, whole bool) bool {
	if lines := jsonLines(data); lines != nil {
		return p.lines(lines, at)
	}
	mark := len(p.leaves)
	step := at.Begin("json")
	end := walk.JSON(data, step, p.leaf)
	rest := data[end.Used:]
	if end.OK && len(rest) > 1 && (rest[0] == '{' || rest[0] == '[') {
		p.leaves = p.leaves[:mark]
		return p.lines(jsonRow(data), at)
	}
	done := end.OK && len(rest) == 0
	if !done && !end.TooDeep && (data[0] == '"' || end.Leaves == 0 || !end.Truncated && !end.Stopped && end.Leaves < 3) {
		p.leaves = p.leaves[:mark]
		return false
	}
	if end.TooDeep {
		p.flag("too-deep")
	}
	last := data[len(data)-1]
	if whole && !done && !end.TooDeep && !end.Stopped && (end.Truncated || last != '}' && last != ']') {
		p.flag("truncated")
	}
	p.keep(step, data)
	if !done && len(rest) > 16 && len(p.leaves) < walk.MaxLeaves+maxLayers {
		p.leaves = append(p.leaves, walk.Leaf{At: at, Value: rest, Raw: true})
	}
	return true
}

// jsonRow cuts values that follow one another without a separator.
func jsonRow(data []byte) [][]byte {
	var out [][]byte
	for len(data) > 0 && len(out) < walk.MaxPairs {
		end := walk.JSON(data, &walk.Step{Index: -1}, func(walk.Leaf) bool { return true })
		if !end.OK || end.Used == 0 {
			break
		}
		out = append(out, data[:end.Used])
		data = data[end.Used:]
	}
	if len(data) > 0 {
		out = append(out, data)
	}
	return out
}

// jsonLines cuts text into lines if it is at least two and all of them begin
// and end like JSON.
func jsonLines(data []byte) [][]byte {
	if n := bytes.Count(data, []byte("\n")); n == 0 || n > maxLines {
		return nil
	}
	lines := bytes.Split(data, []byte("\n"))
	n := 0
	for _, l := range lines {
		if l = bytes.TrimSpace(l); len(l) == 0 {
			continue
		}
		if first, last := l[0], l[len(l)-1]; first != '{' && first != '[' || last != '}' && last != ']' || len(l) < 2 {
			return nil
		}
		n++
	}
	if n < 2 {
		return nil
	}
	return lines
}

// lines opens every line for itself.
func (p *peel) lines(lines [][]byte, at *walk.Step) bool {
	step := at.Begin("line")
	for i, l := range lines {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			p.descend(l, step.Child("", i), false)
		}
	}
	return true
}

// form walks an url-encoded form. Beyond its limit the rest is searched as
// one stretch.
func (p *peel) form(data []byte, at *walk.Step) bool {
	step := at.Begin("form")
	p.keep(step, data)
	p.pairs(data, step, at)
	return true
}

func (p *peel) pairs(data []byte, step, at *walk.Step) {
	if end := walk.Form(data, step, p.leaf); end.Stopped {
		p.flag("budget")
		p.leaves = append(p.leaves, walk.Leaf{At: at, Value: data[end.Used:], Raw: true})
	}
}

// letters opens base64 and hex. Both are guesses, so they count only when
// what they give is itself something; what they give otherwise is kept for the
// verdict.
func (p *peel) letters(data []byte, at *walk.Step) bool {
	var failed blob
	if len(data) >= minHex {
		if out, ok := codec.Hex(data); ok {
			if p.speculate("hex", out, at) {
				return true
			}
			failed = blob{at.Begin("hex"), out, data}
		}
	}
	if len(data) < minBase64 {
		return false
	}
	if out, ok := codec.Base64(data); ok {
		if p.speculate("base64", out, at) {
			return true
		}
		if failed.data == nil {
			failed = blob{at.Begin("base64"), out, data}
		}
	}
	if p.lzstring(data, at) {
		return true
	}
	if failed.data != nil && p.hidden(failed.data, failed.at) {
		return true
	}
	if failed.data != nil {
		p.blob(failed.data, failed.at, failed.text)
	}
	return false
}

// maxHidden bounds how many decoded texts that read as noise are tried with the
// codecs that have no magic number; each try costs as much as a small payload.
const maxHidden = 24

// hidden tries the last resorts on bytes that stood in letters: raw deflate,
// brotli, a snappy block, a one-byte XOR.
func (p *peel) hidden(data []byte, at *walk.Step) bool {
	if len(data) < 32 || p.tries >= maxHidden || at.Depth >= maxDepth {
		return false
	}
	p.tries++
	mark := len(p.layers)
	p.keep(at, data)
	if p.last(data, at) || p.unxor(data, at) {
		return true
	}
	p.layers = p.layers[:mark]
	return false
}

// lzstring opens what lz-string made of JSON.
func (p *peel) lzstring(data []byte, at *walk.Step) bool {
	if len(data) < 24 || len(data) > maxLZ || !p.budget.Take(4*len(data)) {
		return false
	}
	out, ok := codec.LZString(data, min(p.budget.Inflate, 16*len(data)))
	if !ok || len(out) < 8 || out[0] != '{' && out[0] != '[' || !codec.Printable(out) {
		return false
	}
	p.budget.Inflate -= len(out)
	p.layer("lzstring_base64", at, out, true)
	return true
}

// speculate goes on with a guess if it was productive.
func (p *peel) speculate(name string, out []byte, at *walk.Step) bool {
	if !p.budget.Take(len(out)) || !p.productive(out) {
		return false
	}
	p.layer(name, at, out, true)
	return true
}

// productive reports that bytes are more than noise: a known container, text
// from beginning to end, or a strict binary structure.
func (p *peel) productive(out []byte) bool {
	if len(out) < 6 {
		return false
	}
	if codec.IsContainer(out) || media(out) != "" || codec.Printable(out) {
		return true
	}
	return p.structured(out)
}

// percent undoes percent-encoding where it is used in earnest.
func (p *peel) percent(data []byte, at *walk.Step) bool {
	if bytes.IndexByte(data, '%') < 0 {
		return false
	}
	out, n := codec.Percent(data)
	if bytes.IndexByte(data, '+') >= 0 && bytes.IndexByte(data, ' ') < 0 && !bytes.Contains(data, []byte("%20")) && !bytes.Contains(data, []byte("%2520")) {
		out = codec.FormValue(data) // blanks were written as in a form
	}
	if n == 1 && !p.telling(out) || n < 1 || bytes.HasPrefix(data, []byte("http")) && bytes.Contains(data[:min(len(data), 10)], []byte("://")) {
		return false
	}
	p.layer("url", at, out, true)
	return true
}
