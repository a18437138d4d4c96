package decoder

import (
	"bytes"
	"strings"

	"nightlatch/decoder/codec"
)

// maxBlob is how much of a blob is measured.
const maxBlob = 64 << 10

// judgeBlobs decides what the unread parts of a payload are: encrypted
// telemetry, which makes it opaque; an encoding nobody knows; or merely noise.
func (p *peel) judgeBlobs() {
	for i := range p.blobs {
		p.blobs[i].data = p.blobs[i].data[:min(len(p.blobs[i].data), maxBlob)]
	}
	for _, b := range p.blobs {
		p.wrapped(b)
		p.declaredSecret(b)
		p.vendorSecret(b)
		p.strange(b)
	}
}

// wrapped finds session keys under a public key: a field named like one, with
// the length of an RSA modulus. What stands beside it is then encrypted.
func (p *peel) wrapped(b blob) {
	name, _ := b.at.Name()
	if !wrapsKey(squash(name)) || len(b.data) < 48 || !codec.HighEntropy(b.data) {
		return
	}
	p.flag("encrypted")
	p.opaque = true
	switch len(b.data) {
	case 128, 256, 384, 512:
		p.flag("rsa-wrapped-key")
	}
}

// squash leaves the letters and digits of a name, in lower case.
func squash(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}

func wrapsKey(name string) bool {
	switch name {
	case "ekey", "chifer", "cipher", "cipherkey", "encryptedkey", "encryptkey", "enckey", "aeskey", "skey", "skeyrsa", "secretkey",
		"sessionkey", "rsakey", "wrappedkey", "keyenc", "beakey", "gtck", "keycipher", "encaeskey", "ek", "cek", "rsaaeskey", "encryptedaeskey":
		return true
	}
	return false
}

// declaredSecret believes what says of itself that it is encrypted: a content
// coding no standard knows, a header, a name.
func (p *peel) declaredSecret(b blob) {
	if !codec.HighEntropy(b.data) || p.opened {
		return
	}
	root := origin(b)
	name, _ := b.at.Name()
	body := root == "body" && b.at.Depth == p.depth()
	switch {
	case p.foreign != "" && body, body && p.secretHeader(), root == "body" && secretName(name) && len(b.data) >= 64:
		p.flag("encrypted")
		p.opaque = true
	}
}

func origin(b blob) string {
	at := b.at
	for at.Up != nil {
		at = at.Up
	}
	return at.Codec
}

// depth is how many codecs the content codings took.
func (p *peel) depth() int {
	if p.plainAt == nil {
		return 0
	}
	return p.plainAt.Depth
}

// secretHeader reports a header that announces encryption.
func (p *peel) secretHeader() bool {
	for name := range p.req.Header {
		n := squash(name)
		if strings.Contains(n, "encrypt") || strings.Contains(n, "crypt") || strings.HasPrefix(n, "encr") || strings.Contains(n, "cipher") ||
			n == "beakey" || n == "gtck" {
			return true
		}
	}
	t := strings.ToLower(p.req.get("Content-Type"))
	return strings.Contains(t, "encrypt") || strings.Contains(t, "tt-data")
}

func secretName(name string) bool {
	n := squash(name)
	return strings.Contains(n, "encrypt") || strings.Contains(n, "cipher") || strings.HasPrefix(n, "enc") || n == "ttinfo" || n == "secretdata"
}

// vendorSecret believes a description that says this vendor encrypts.
func (p *peel) vendorSecret(b blob) {
	if p.opened || origin(b) != "body" || !p.hides(b) {
		return
	}
	for _, v := range p.vendors {
		if !v.Cipher {
			continue
		}
		p.flag("encrypted")
		p.opaque = true
		for _, k := range p.keys {
			p.flag(k)
		}
	}
}

// strange judges what nobody describes. Repeated blocks betray a block cipher
// in its simplest mode; letters of the base64 alphabet that are spread unevenly
// are an encoding with an alphabet of its own; the rest is noise.
func (p *peel) strange(b blob) {
	body := origin(b) == "body" && b.at.Depth == p.depth()
	switch {
	case b.text != nil && uneven(b.text) && !hollow(b.data):
		p.flag("unknown-encoding")
		p.opaque = p.opaque || !p.opened
	case b.text == nil && codec.RepeatedBlocks(b.data) >= 25 && varied(b.data):
		p.flag("encrypted")
		p.flag("ecb-pattern")
	case body && !p.opaque && len(b.data) >= 256 && codec.HighEntropy(b.data):
		p.flag("high-entropy")
	}
}

// hollow reports data with many zero bytes: numbers and lengths of a binary form
// in the usual alphabet, which another alphabet would scatter.
func hollow(data []byte) bool { return bytes.Count(data, []byte{0})*20 > len(data) }

// varied reports that a block of a cipher could begin data: nearly all of its
// 16 bytes differ.
func varied(data []byte) bool {
	seen := map[byte]bool{}
	for _, c := range data[:16] {
		seen[c] = true
	}
	return len(seen) >= 12
}

// minUneven is how many letters it takes to tell an encoding from a cipher.
const minUneven = 96

// uneven reports text in the base64 alphabet that is no random text, because
// its letters are spread unevenly, and no words either, because capitals,
// small letters and digits are all frequent.
func uneven(text []byte) bool {
	if len(text) < minUneven {
		return false
	}
	var count [256]int
	var upper, lower, digit int
	for _, c := range text {
		count[c]++
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9':
			digit++
		}
	}
	n := len(text)
	if upper*8 < n || lower*8 < n || digit*25 < n {
		return false
	}
	want := float64(n) / 64
	var chi float64
	for _, k := range count {
		if k > 0 {
			d := float64(k) - want
			chi += d * d / want
		}
	}
	used := 0
	for _, k := range count {
		if k > 0 {
			used++
		}
	}
	chi += float64(max(0, 64-used)) * want
	return chi > 63+8*11.2
}
