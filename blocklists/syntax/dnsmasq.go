package syntax

import (
	"bytes"
	"net/netip"
)

// dnsmasqLine reads one line of a dnsmasq configuration. address=/x/, local=/x/
// and address=/x/0.0.0.0 stop x and all below; with a server, as in
// server=/x/192.0.2.1, a line only says whom to ask (dnsmasq(8), --server and --address).
func (r *Reader) dnsmasqLine(text []byte) string {
	rule := text
	if i := bytes.IndexByte(rule, '#'); i >= 0 && (i == 0 || blank(rule[i-1])) {
		rule = trim(rule[:i])
	}
	if len(rule) == 0 {
		return ""
	}
	left, right, ok := bytes.Cut(bytes.TrimPrefix(rule, []byte("--")), []byte("="))
	key, value := string(trim(left)), trim(right)
	switch {
	case key == "address", key == "local", key == "server":
		return r.dnsmasqRule(key, value)
	case ok && key != "":
		return Setting
	}
	return NotName
}

func (r *Reader) dnsmasqRule(key string, value []byte) string {
	end := bytes.LastIndexByte(value, '/')
	if len(value) == 0 || value[0] != '/' || end == 0 {
		if key == "address" {
			return NotName
		}
		return Routing // server=192.0.2.1 is for every name
	}
	rule := Rule{}
	switch target := string(value[end+1:]); {
	case target == "", target == "#" && key == "address":
	case key != "address":
		return Routing
	default:
		a, err := netip.ParseAddr(target)
		if err != nil {
			return NotName
		}
		rule.Answer = ordinary(a)
	}
	reason := ""
	for name := range bytes.SplitSeq(value[1:end], []byte("/")) {
		if why := r.dnsmasqName(rule, name); why != "" {
			reason = why
		}
	}
	return reason
}

func (r *Reader) dnsmasqName(rule Rule, name []byte) string {
	if string(name) == "#" || len(name) == 0 {
		return All
	}
	if rest, star := bytes.CutPrefix(name, []byte("*.")); star {
		name, rule.Scope = rest, Below // dnsmasq(8): *.x stands for what is below x
	}
	rule.Name = bytes.TrimPrefix(name, []byte("."))
	if !r.emit(rule) {
		return NotName
	}
	return ""
}
