package walk

import (
	"bytes"

	"nightlatch/decoder/codec"
)

// LooksForm reports that p reads as name=value pairs joined by '&': every
// name is short and plain. A single pair needs a name that looks like one.
func LooksForm(p []byte) bool {
	eq := bytes.IndexByte(p, '=')
	if eq <= 0 || eq > 64 || !formName(p[:eq]) {
		return false
	}
	if eq == len(bytes.TrimRight(p, "=")) {
		return false // base64 padding, not a pair
	}
	rest := p[eq+1:]
	for n := 0; n < 8; n++ {
		amp := bytes.IndexByte(rest, '&')
		if amp < 0 {
			return bytes.IndexByte(rest, '\n') < 0
		}
		rest = rest[amp+1:]
		eq := bytes.IndexByte(rest, '=')
		amp = bytes.IndexByte(rest, '&')
		if amp >= 0 && (eq < 0 || amp < eq) {
			eq = amp
		}
		if eq < 0 {
			eq = len(rest)
		}
		if eq > 64 || !formName(rest[:eq]) {
			return false
		}
	}
	return true
}

func formName(p []byte) bool {
	for _, c := range p {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case bytes.IndexByte([]byte("_-.$#@:[]%~+!"), c) >= 0:
		default:
			return false
		}
	}
	return true
}

func allDigits(p []byte) bool {
	for _, c := range p {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Form walks an url-encoded form or query: at most [MaxPairs] pairs. End.Used
// tells where it stopped.
func Form(p []byte, at *Step, visit Visitor) End {
	end := End{OK: true}
	pairs := 0
	for end.Used < len(p) {
		if pairs++; pairs > MaxPairs {
			end.OK, end.Stopped = false, true
			return end
		}
		pair := p[end.Used:]
		size := len(pair)
		if amp := bytes.IndexByte(pair, '&'); amp >= 0 {
			pair, size = pair[:amp], amp+1
		}
		end.Used += size
		name, value, _ := bytes.Cut(pair, []byte("="))
		if len(value) == 0 {
			continue
		}
		end.Leaves++
		leaf := Leaf{At: at.Child(string(codec.FormValue(name)), -1), Value: codec.FormValue(value)}
		if value[0] == '+' && len(value) >= 9 && len(value) <= 16 && allDigits(value[1:]) {
			leaf.Value = value // a telephone number whose sender forgot to encode it
		}
		if !visit(leaf) {
			end.Stopped = true
			return end
		}
	}
	return end
}
