package dnssec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// RootAnchors gives the trust anchors of the root zone as IANA publishes them
// (https://data.iana.org/root-anchors/root-anchors.xml): the key of 2017, and
// the one of 2024 that takes over from it.
func RootAnchors() []*dns.DS {
	return []*dns.DS{
		anchor(20326, "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d"),
		anchor(38696, "683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16"),
	}
}

func anchor(tag uint16, digest string) *dns.DS {
	return &dns.DS{
		Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeDS, Class: dns.ClassINET},
		KeyTag: tag, Algorithm: dns.RSASHA256, DigestType: dns.SHA256, Digest: digest,
	}
}

// ParseAnchors reads trust anchors of the root from zone file text: DS records,
// or DNSKEY records with the SEP bit (as unbound's root.key has them), one a
// line. Anything else is an error that names the line.
func ParseAnchors(text string) ([]*dns.DS, error) {
	var out []*dns.DS
	for i, line := range strings.Split(text, "\n") {
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q is no DNS record; want a DS or DNSKEY record of the root", i+1, line)
		}
		if rr == nil {
			continue // blank, or a comment
		}
		ds, ok := rr.(*dns.DS)
		if key, isKey := rr.(*dns.DNSKEY); isKey && key.Flags&dns.SEP != 0 {
			ds, ok = key.ToDS(dns.SHA256), true
		}
		if !ok || ds == nil || rr.Header().Name != "." {
			return nil, fmt.Errorf("line %d: want a DS or DNSKEY record (with the SEP bit) of the root", i+1)
		}
		out = append(out, ds)
	}
	if len(out) == 0 {
		return nil, errors.New("no trust anchor in it; want DS or DNSKEY records of the root")
	}
	return out, nil
}
