package blocklists

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// refuse tells what is certainly no list from its first bytes.
func refuse(head []byte) error {
	text := bytes.ToLower(trimBlanks(head))
	for _, sign := range []string{"<!doctype", "<html", "<head", "<?xml", "<!--"} {
		if bytes.HasPrefix(text, []byte(sign)) {
			return fmt.Errorf("%w: it is a web page", errNotList)
		}
	}
	control := 0
	for i, c := range head {
		if c == 0 {
			return fmt.Errorf("%w: it is binary, with a zero byte at %d", errNotList, i)
		}
		if c < ' ' && !blank(c) && c != '\f' && c != '\v' {
			control++
		}
	}
	if control*20 > len(head) {
		return fmt.Errorf("%w: it is binary", errNotList)
	}
	return nil
}

// detect finds the format from the beginning of a list. A single line that only
// one format can have decides; otherwise the most frequent form of line does.
func detect(head []byte) Format {
	count := map[Format]int{}
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		head = rest
		if f := lineFormat(line); f != "" {
			count[f]++
		}
	}
	switch {
	case count[Native] > 0 && count[Adblock] == 0:
		return Native
	case count[Adblock] > 0:
		return Adblock
	case count[Hosts] > 0 && count[Hosts] >= count[Domains]:
		return Hosts
	}
	return Domains
}

// lineFormat is the one format a line can belong to, or nothing.
func lineFormat(raw []byte) Format {
	line := strings.TrimRight(string(clip(raw)), " \t\r")
	for _, key := range []string{"name:", "owner:", "about:", "action:", "rules:", "allow:"} {
		if line == key || strings.HasPrefix(line, key+" ") {
			return Native
		}
	}
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' && !strings.HasPrefix(line, "##") {
		return ""
	}
	if adblockSign(line) {
		return Adblock
	}
	first, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	if _, err := netip.ParseAddr(first); err == nil && strings.TrimSpace(rest) != "" {
		return Hosts
	}
	if _, err := Canonical(strings.TrimPrefix(first, "*.")); err == nil {
		return Domains
	}
	return ""
}

func adblockSign(line string) bool {
	for _, sign := range []string{"||", "@@", "[Adblock", "[uBlock", "! Title", "! Homepage", "##", "|"} {
		if strings.HasPrefix(line, sign) {
			return true
		}
	}
	return strings.HasSuffix(line, "^") || strings.Contains(line, "##") && !strings.Contains(line, " ")
}
