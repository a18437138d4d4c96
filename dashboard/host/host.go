// Package host tells by which names a server may be called, so that a web page
// cannot reach it by pointing a name of its own there. It is pure.
package host

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Names are the Host headers that are answered: name to port, "" for any port.
type Names map[string]map[string]bool

// Parse reads names and addresses, with or without a port; localhost, 127.0.0.1
// and [::1] are always among them.
func Parse(list []string) (Names, error) {
	out := Names{}
	for _, h := range append([]string{"localhost", "127.0.0.1", "[::1]"}, list...) {
		name, port, ok := split(h)
		if !ok {
			return nil, fmt.Errorf("dashboard: %q is not a host name or an address", h)
		}
		if out[name] == nil {
			out[name] = map[string]bool{}
		}
		out[name][port] = true
	}
	return out, nil
}

// Allow tells whether a Host header is one of the names (RFC 9110 §7.2).
func (hs Names) Allow(header string) bool {
	name, port, ok := split(header)
	return ok && (hs[name][""] || hs[name][port])
}

// split gives the host of a Host header in one spelling, and its port if
// there is one (RFC 9110 §7.2).
func split(s string) (name, port string, ok bool) {
	name = s
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() { // ::1 without brackets: in Options alone
		return a.String(), "", a.Zone() == ""
	}
	if h, p, err := net.SplitHostPort(s); err == nil {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil && p != "" {
			return "", "", false
		}
		name, port = h, p
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		name = s[1 : len(s)-1]
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().String(), port, a.Zone() == ""
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	ok = name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
	return name, port, ok
}
