package syntax

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Rewrite is an answer that a rule gives by itself. It names a code alone, a
// CNAME, or one record; a rule has one Rewrite, and the records of several rules
// add up. The zero value is an answer without data.
type Rewrite struct {
	Code  uint16 // RCODE (IANA, DNS Parameters): 0 is NOERROR; any other stands alone
	CNAME string // the name to answer with in place of the one asked, no final dot; a leading "*." stands for the name asked and a dot
	Type  uint16 // DNS type of Value; 0 when there is none. Asked for another type, the answer has no data
	Value string // the data in presentation form: an address, "10 mail.example", a text without its quotes
	TTL   uint32 // seconds; 0 when the rule names none
	TCP   bool   // over UDP the answer only says to ask again over TCP (TC, RFC 1035 §4.1.1); there the question is answered as if no rule spoke
}

// Stops says whether the answer gives nothing to go to: the rule is a block
// that says how it is answered.
func (w *Rewrite) Stops() bool { return w.CNAME == "" && w.Type == 0 && !w.TCP }

// String gives the answer in words for a person: "CNAME safe.example",
// "A 192.0.2.1", "NXDOMAIN", "TCP only"; NOERROR is an answer without data.
func (w *Rewrite) String() string {
	switch {
	case w.TCP:
		return "TCP only"
	case w.CNAME != "":
		return "CNAME " + w.CNAME
	case w.Type != 0:
		return TypeName(w.Type) + " " + w.Value
	}
	return CodeName(w.Code)
}

// codes are the RCODEs a rule may answer with, each at its number.
var codes = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}

// CodeName gives the name of an RCODE that a [Rewrite] may have.
func CodeName(code uint16) string {
	if int(code) < len(codes) {
		return codes[code]
	}
	return "RCODE" + strconv.Itoa(int(code))
}

// dnsrewrite reads the value of $dnsrewrite: a code, an address, a name, or
// code;type;value. Whatever is not valid makes the rule one to leave out.
func dnsrewrite(value string) (*Rewrite, bool) {
	value = strings.ReplaceAll(value, `\,`, ",")
	parts := strings.SplitN(value, ";", 3)
	switch len(parts) {
	case 1:
		return shortRewrite(value)
	case 2:
		return nil, false
	}
	code := slices.Index(codes[:], strings.ToUpper(parts[0]))
	switch {
	case code < 0:
		return nil, false
	case code > 0 || parts[1] == "" && parts[2] == "":
		return &Rewrite{Code: uint16(code)}, true
	}
	return data(strings.ToUpper(parts[1]), parts[2])
}

func shortRewrite(value string) (*Rewrite, bool) {
	if strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" { // a code, and only one of the usual
		code := slices.Index(codes[:], value)
		return &Rewrite{Code: uint16(code)}, slices.Contains([]string{"NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED"}, value)
	}
	if a, err := netip.ParseAddr(value); err == nil {
		if a.Is4() {
			return data("A", value)
		}
		return data("AAAA", value)
	}
	return data("CNAME", value)
}

// data makes the rewrite to one record, its data in presentation form.
func data(kind, value string) (*Rewrite, bool) {
	if kind == "CNAME" {
		name := strings.ToLower(strings.TrimSuffix(value, "."))
		return &Rewrite{CNAME: name}, nameLike(strings.TrimPrefix(name, "*.")) && strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "0123456789") != ""
	}
	ok := false
	words := strings.Fields(value)
	switch kind {
	case "A", "AAAA":
		a, err := netip.ParseAddr(value)
		ok = err == nil && a.Zone() == "" && a.Is4() == (kind == "A")
		value = a.String()
	case "TXT":
		ok = value != "" && len(value) <= maxTXT
	case "PTR":
		ok = len(words) == 1 && nameLike(value)
	case "MX":
		ok = len(words) == 2 && numbers(words[:1]) && nameLike(words[1])
	case "SRV":
		ok = len(words) == 4 && numbers(words[:3]) && nameLike(words[3])
	case "SVCB", "HTTPS": // RFC 9460 §2.1
		ok = len(words) >= 2 && numbers(words[:1]) && (words[1] == "." || nameLike(words[1]))
	}
	code, _ := TypeCode(kind)
	return &Rewrite{Type: code, Value: value}, ok
}

// maxTXT is the most bytes of a text: four strings of a TXT record.
const maxTXT = 4 * 255

func numbers(words []string) bool {
	for _, w := range words {
		if _, err := strconv.ParseUint(w, 10, 16); err != nil {
			return false
		}
	}
	return true
}
