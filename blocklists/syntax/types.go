package syntax

import (
	"strconv"
	"strings"
)

// types are the DNS types that lists can ask for by name (IANA, DNS Parameters).
var types = [...]struct {
	name string
	code uint16
}{
	{"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6}, {"PTR", 12}, {"HINFO", 13}, {"MX", 15}, {"TXT", 16}, {"RP", 17}, {"AAAA", 28}, {"LOC", 29},
	{"SRV", 33}, {"NAPTR", 35}, {"CERT", 37}, {"DNAME", 39}, {"OPT", 41}, {"DS", 43}, {"SSHFP", 44}, {"RRSIG", 46}, {"NSEC", 47}, {"DNSKEY", 48},
	{"NSEC3", 50}, {"TLSA", 52}, {"SMIMEA", 53}, {"CDS", 59}, {"CDNSKEY", 60}, {"OPENPGPKEY", 61}, {"SVCB", 64}, {"HTTPS", 65},
	{"SPF", 99}, {"ANY", 255}, {"URI", 256}, {"CAA", 257},
}

// TypeCode gives the number of a DNS type by its name, in any case.
func TypeCode(word string) (uint16, bool) {
	for _, t := range types {
		if strings.EqualFold(t.name, word) {
			return t.code, true
		}
	}
	return 0, false
}

// TypeName gives the name of a DNS type, TYPE and its number when it has none
// here (RFC 3597 §5).
func TypeName(code uint16) string {
	for _, t := range types {
		if t.code == code {
			return t.name
		}
	}
	return "TYPE" + strconv.Itoa(int(code))
}

// AnyType is TypeCode, and reads TYPE65 as well.
func AnyType(word string) (uint16, bool) {
	if code, ok := TypeCode(word); ok {
		return code, true
	}
	if len(word) < 5 || !strings.EqualFold(word[:4], "TYPE") {
		return 0, false
	}
	n, err := strconv.ParseUint(word[4:], 10, 16)
	return uint16(n), err == nil && n > 0
}
