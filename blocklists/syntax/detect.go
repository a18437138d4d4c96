package syntax

import (
	"bytes"
	"net/netip"
	"strings"
)

// Refuse tells what is certainly no list from its first bytes; it gives "" for
// what may be one.
func Refuse(head []byte) (why string) {
	text := bytes.ToLower(trim(head[:min(len(head), 1024)]))
	for _, sign := range []string{"<!doctype", "<html", "<head", "<?xml", "<!--"} {
		if bytes.HasPrefix(text, []byte(sign)) {
			return "it is a web page"
		}
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return "it is UTF-16; save it as UTF-8"
	}
	control := 0
	for _, c := range head {
		if c == 0 {
			return "it is binary"
		}
		if c < ' ' && !blank(c) && c != '\f' && c != '\v' {
			control++
		}
	}
	if control*20 > len(head) {
		return "it is binary"
	}
	return ""
}

// Detect finds the format from the beginning of a list. Lines that only one
// format can have decide; otherwise the most frequent form of line does.
func Detect(head []byte) Format {
	count := map[Format]int{}
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		head = rest
		if f := lineFormat(line); f != "" {
			count[f]++
		}
	}
	most := Domains
	for _, f := range []Format{Wildcard, Hosts, DNSMasq, IP} {
		if count[f] > 0 && count[f] >= count[most] {
			most = f
		}
	}
	switch {
	case count[Adblock] > 0 && count[Adblock] >= count[RPZ]:
		return Adblock
	case count[RPZ] > 0:
		return RPZ
	case count[Native] > 0:
		return Native
	}
	return most
}

// maxSample is how much of a line is looked at to find its format.
const maxSample = 512

// lineFormat is the one format a line can belong to, or nothing.
func lineFormat(raw []byte) Format {
	line := strings.TrimRight(string(raw[:min(len(raw), maxSample)]), " \t\r")
	for _, key := range []string{"name:", "owner:", "about:", "action:", "include:", "rules:", "allow:"} {
		if line == key || strings.HasPrefix(line, key+" ") {
			return Native
		}
	}
	line = strings.TrimLeft(line, " \t")
	switch {
	case line == "", line[0] == ';', line[0] == '#' && !strings.HasPrefix(line, "##"):
		return ""
	case adblockSign(line):
		return Adblock
	case strings.HasPrefix(line, "local=/"), strings.HasPrefix(line, "address=/"), strings.HasPrefix(line, "server=/"):
		return DNSMasq
	}
	words := strings.Fields(line)
	switch {
	case len(words) == 0: // blanks of other kinds: a form feed, U+00A0
		return ""
	case zoneSign(words):
		return RPZ
	case len(words) > 1 && isAddr(words[0]):
		return Hosts
	case isAddr(words[0]):
		return IP
	case strings.HasPrefix(words[0], "*.") && nameLike(words[0][2:]):
		return Wildcard
	case nameLike(words[0]):
		return Domains
	}
	return ""
}

func isAddr(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// nameLike says whether a word has only characters that names have.
func nameLike(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x80 && c != '.' && c != '-' && c != '_' && !letterOrDigit(c) {
			return false
		}
	}
	return s != ""
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func adblockSign(line string) bool {
	for _, sign := range []string{"||", "@@", "[Adblock", "[uBlock", "! Title", "! Homepage", "##", "|"} {
		if strings.HasPrefix(line, sign) {
			return true
		}
	}
	return strings.HasSuffix(line, "^") || strings.Contains(line, "##") && !strings.Contains(line, " ")
}

// zoneSign tells the lines of a zone file that no other format has.
func zoneSign(words []string) bool {
	switch {
	case words[0] == "$TTL", words[0] == "$ORIGIN":
		return true
	case len(words) < 3:
		return false
	}
	for _, w := range words[1:min(len(words), 4)] {
		if w == "SOA" || w == "CNAME" {
			return true
		}
	}
	return false
}
