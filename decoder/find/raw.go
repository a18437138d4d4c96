package find

import (
	"bytes"
	"strings"

	"nightlatch/decoder/walk"
)

// maxRaw bounds the bytes of one raw stretch that are judged.
const maxRaw = 1 << 20

// raw judges a stretch whose structure was not read: what is left of a cut
// JSON text, strings between binary, a log line. Words are taken as values
// and the word before each as its name.
func (f *finder) raw(l *walk.Leaf) {
	above, _ := l.At.Name()
	name := []byte(above)
	p := l.Value[:min(len(l.Value), maxRaw)]
	for i := 0; i < len(p) && len(f.out) < maxFound; {
		if !part(p[i]) {
			i++
			continue
		}
		start := i
		for i < len(p) && part(p[i]) {
			i++
		}
		tok := bytes.Trim(p[start:min(i, start+512)], ".:-/")
		if len(tok) >= 12 {
			fd := field{at: l.At, name: string(name[:min(len(name), 64)]), value: string(tok), source: source(l.At)}
			f.token(&fd)
		}
		if len(tok) > 0 && (word(tok[0]) || tok[0] == '$' || tok[0] == '_') {
			name = tok
		}
	}
}

// part reports a character that ids, addresses and names are made of.
func part(c byte) bool {
	return word(c) || strings.IndexByte("_-.:@/$%+~?", c) >= 0
}

func (f *finder) token(fd *field) {
	if at := strings.IndexByte(fd.value, '='); at > 0 {
		fd.name, fd.value = fd.value[:at], fd.value[at+1:]
	}
	if len(fd.name) > 40 || len(fd.value) < 8 || placeholder(fd.value) {
		return
	}
	fd.kind = kindOf(fd.name)
	if f.deviceID(fd) {
		return
	}
	switch {
	case strings.Contains(fd.value, "@") && fd.kind != "email":
		if isEmail(fd.value) { // anybody's, in a running text
			f.found(fd, "email", strings.ToLower(fd.value), Possible)
		}
	case strings.Contains(fd.value, "@"):
		f.email(fd)
	case isURL(fd.value) && fd.kind == "url":
		f.url(fd)
	case fd.kind == "phone":
		f.phone(fd)
	}
}
