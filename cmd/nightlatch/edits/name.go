package edits

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"

	"nightlatch/blocklists"
)

// subject is what a command was asked to change: a name or an address.
type subject struct {
	written string       // as it stands in the overlay
	name    string       // in canonical form, without signs; empty for an address
	prefix  netip.Prefix // of an address
	sign    string       // "=" for the name alone, "*." for what is below it
	note    string       // what was made of the words on the command line
}

// covers says in words how much it is about.
func (s subject) covers() string {
	name := strings.TrimPrefix(s.written, s.sign)
	if name != s.name {
		name += " (" + s.name + ")"
	}
	switch {
	case s.name == "" && s.prefix.IsSingleIP():
		return s.prefix.Addr().String()
	case s.name == "":
		return s.prefix.String()
	case s.sign == "=":
		return name + " alone"
	case s.sign == "*.":
		return "everything below " + name
	}
	return name + " and everything below it"
}

// same says whether two subjects are about the same.
func (s subject) same(o subject) bool {
	return s.name == o.name && s.sign == o.sign && s.prefix == o.prefix
}

// asked is a name that the subject covers, to put to the policy.
func (s subject) asked() string {
	if s.sign == "*." {
		return "any." + s.name
	}
	return s.name
}

// parseSubject understands a name as people write or paste it.
func parseSubject(word string, exact bool) (subject, error) {
	s, rest := subject{}, strings.TrimFunc(word, unicode.IsSpace)
	host, taken := hostOf(rest)
	if taken {
		rest = host
		s.note = fmt.Sprintf("took %s out of %s", host, clip(word))
	}
	if p, ok := parsePrefix(rest); ok {
		if exact {
			return s, fmt.Errorf("%s is an address: --exact is about names", rest)
		}
		s.prefix, s.written = p, rest
		return s, nil
	}
	switch {
	case strings.HasPrefix(rest, "="):
		s.sign, rest = "=", rest[1:]
	case strings.HasPrefix(rest, "*."):
		s.sign, rest = "*.", rest[2:]
	}
	if exact {
		if s.sign == "*." {
			return s, fmt.Errorf("*. covers what is below a name, and --exact the name alone; leave one of them away")
		}
		s.sign = "="
	}
	name, err := blocklists.Canonical(rest)
	if err != nil {
		return s, fmt.Errorf("%q is not a name%s", clip(word), advice(rest))
	}
	s.name = name
	if rest = strings.ToLower(strings.TrimSuffix(rest, ".")); rest == name {
		s.written = s.sign + name
	} else if again, err := blocklists.Canonical(rest); err == nil && again == name {
		s.written = s.sign + rest // letters of other scripts stay readable
	} else {
		s.written = s.sign + name
	}
	return s, nil
}

// hostOf takes the name out of a pasted address of a page or a server.
func hostOf(word string) (string, bool) {
	if _, rest, ok := strings.Cut(word, "://"); ok {
		if u, err := url.Parse(word); err == nil && u.Hostname() != "" {
			return u.Hostname(), true
		}
		word = rest
	}
	if host, _, ok := strings.Cut(word, "/"); ok && host != "" {
		if _, isNet := parsePrefix(word); !isNet {
			host, _ = hostOfPort(host)
			return host, true
		}
	}
	return hostOfPort(word)
}

func hostOfPort(word string) (string, bool) {
	host, port, ok := strings.Cut(word, ":")
	if !ok || host == "" || port == "" || strings.Trim(port, "0123456789") != "" {
		return word, false
	}
	return host, true
}

// parsePrefix reads an address or a network.
func parsePrefix(word string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(word)
	return p.Masked(), err == nil
}

// advice says how to write what was meant.
func advice(word string) string {
	plain := strings.Trim(strings.TrimPrefix(word, "@@"), "|^.*@= ")
	if _, err := blocklists.Canonical(plain); err == nil && plain != word {
		switch {
		case strings.HasPrefix(word, "@@"):
			return "; to let it through write: nightlatch allow " + plain
		case strings.Contains(word, "@"), strings.ContainsAny(plain, "*"):
		default:
			return fmt.Sprintf("; write %s for it and all below it, or \"*.%s\" for what is below it", plain, plain)
		}
	}
	switch {
	case strings.Contains(word, "*"), strings.HasPrefix(word, "/"):
		return "; patterns stand in a list of your own, with match: wildcard or match: regex"
	case strings.Contains(word, "@"):
		return "; write what stands behind the @"
	case word == "":
		return "; write one as ads.example.com"
	}
	return "; a name is letters, digits and hyphens with dots between, as ads.example.com"
}

// wide says why a rule about a name would touch far more than one owner's
// things; empty when it would not. Exact rules are never wide.
func (s subject) wide() string {
	if s.name == "" {
		if s.prefix.Addr().Is4() && s.prefix.Bits() < 8 || s.prefix.Addr().Is6() && s.prefix.Bits() < 16 {
			return fmt.Sprintf("%s is a large part of the internet", s.prefix)
		}
		return ""
	}
	if s.sign == "=" {
		return ""
	}
	suffix, icann := publicsuffix.PublicSuffix(s.name)
	switch {
	case suffix != s.name:
		return ""
	case !strings.Contains(s.name, "."):
		return fmt.Sprintf("everything below .%s is very much", s.name)
	case icann:
		return fmt.Sprintf("%s is like .com: everybody's names are below it", s.name)
	}
	return fmt.Sprintf("below %s are the names of many customers", s.name)
}

// clip shortens what is quoted to people.
func clip(s string) string {
	if len(s) <= 120 {
		return s
	}
	return strings.ToValidUTF8(s[:120], "") + "..."
}
