package clienthello

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// noHash stands for the hash of an empty list, so that a reader sees at once
// that there was nothing to hash.
const noHash = "000000000000"

// JA4 is the fingerprint of the client's TLS stack over TCP, as FoxIO's JA4
// specification defines it: version, name, counts and ALPN in the clear, then
// the hashes of the sorted cipher suites and of the sorted extensions with the
// signature algorithms in their order. It names the SDK's HTTP stack, not the
// person: every phone of one model and app gives the same.
func (h *Hello) JA4() string {
	ciphers, exts := h.ja4Lists()
	return h.ja4Head() + "_" + hash12(ciphers) + "_" + hash12(exts)
}

// JA4QUIC is JA4 for a ClientHello that came over QUIC.
func (h *Hello) JA4QUIC() string { return "q" + h.JA4()[1:] }

// JA4Raw is the same fingerprint with the lists in place of their hashes.
func (h *Hello) JA4Raw() string {
	ciphers, exts := h.ja4Lists()
	return h.ja4Head() + "_" + ciphers + "_" + exts
}

// ja4Head is the part in the clear: t13d1516h2.
func (h *Hello) ja4Head() string {
	sni := "i"
	if h.HasSNI {
		sni = "d"
	}
	return fmt.Sprintf("t%s%s%02d%02d%s", ja4Version(h.Best()), sni,
		min(99, len(plain(h.Ciphers))), min(99, len(plain(h.Extensions))), ja4ALPN(h.ALPN))
}

// ja4Lists are the two hashed lists in text form.
func (h *Hello) ja4Lists() (ciphers, exts string) {
	c := plain(h.Ciphers)
	slices.Sort(c)
	e := slices.DeleteFunc(plain(h.Extensions), func(v uint16) bool { return v == extServerName || v == extALPN })
	slices.Sort(e)
	exts = hexList(e)
	if s := plain(h.SigAlgs); len(s) > 0 && exts != "" {
		exts += "_" + hexList(s)
	}
	return hexList(c), exts
}

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// ja4ALPN is the first and last character of the first protocol, or of its
// hexadecimal form when either is not an ASCII letter or digit.
func ja4ALPN(protocols []string) string {
	if len(protocols) == 0 || protocols[0] == "" {
		return "00"
	}
	p := protocols[0]
	first, last := p[0], p[len(p)-1]
	if alnum(first) && alnum(last) {
		return string([]byte{first, last})
	}
	x := hex.EncodeToString([]byte{first, last})
	return x[:1] + x[3:]
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// plain is a copy of a list without its GREASE values.
func plain(list []uint16) []uint16 {
	return slices.DeleteFunc(slices.Clone(list), grease)
}

func hexList(list []uint16) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprintf("%04x", v)
	}
	return strings.Join(parts, ",")
}

func hash12(s string) string {
	if s == "" {
		return noHash
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:12]
}
