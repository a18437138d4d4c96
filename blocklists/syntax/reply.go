package syntax

import (
	"fmt"
	"net/netip"
	"strings"
)

// ReplyKind is how a denied name is answered.
type ReplyKind uint8

const (
	ReplyDefault  ReplyKind = iota // as the policy says
	ReplyNXDomain                  // the name does not exist (RFC 8020)
	ReplyNull                      // 0.0.0.0 and ::, which lead nowhere
	ReplyNoData                    // the name exists and has nothing of the type asked (RFC 2308 §2.2)
	ReplyRefused                   // REFUSED
	ReplyAddress                   // Addr4 and Addr6; the type of one that is missing has no data
)

// Reply is how a denied name is answered. The zero value leaves it to the
// policy. Values can be compared.
type Reply struct {
	Kind         ReplyKind
	Addr4, Addr6 netip.Addr // of ReplyAddress: at least one of them is valid
}

// replyWords are the words of the kinds, each at its number.
var replyWords = [...]string{"default", "nxdomain", "null", "nodata", "refused"}

// ReplyWords gives the words that ParseReply reads, besides addresses.
func ReplyWords() []string { return append([]string(nil), replyWords[1:]...) }

// String gives what ParseReply reads: nxdomain, null, nodata, refused, or the
// addresses with a comma between them; the zero value is "default".
func (r Reply) String() string {
	if int(r.Kind) < len(replyWords) {
		return replyWords[r.Kind]
	}
	var out []string
	for _, a := range []netip.Addr{r.Addr4, r.Addr6} {
		if a.IsValid() {
			out = append(out, a.String())
		}
	}
	return strings.Join(out, ",")
}

// ParseReply reads one of the words nxdomain, null, nodata and refused, or one
// address of each family, as words of their own or with commas between them.
// No words at all are the zero value.
func ParseReply(words ...string) (Reply, error) {
	var parts []string
	for _, w := range words {
		for part := range strings.SplitSeq(w, ",") {
			parts = append(parts, strings.TrimSpace(part))
		}
	}
	for kind, word := range replyWords[1:] {
		if len(parts) == 1 && parts[0] == word {
			return Reply{Kind: ReplyKind(kind) + ReplyNXDomain}, nil
		}
	}
	var r Reply
	for _, p := range parts {
		if err := r.add(p); err != nil {
			return Reply{}, err
		}
	}
	return r, nil
}

// add takes one address into the answer.
func (r *Reply) add(word string) error {
	a, err := netip.ParseAddr(word)
	switch {
	case err != nil || a.Zone() != "":
		if len(word) > 80 {
			word = strings.ToValidUTF8(word[:80], "")
		}
		return fmt.Errorf("%q is no answer: it can be %s, or an address of each family", word, strings.Join(replyWords[1:], ", "))
	case a.IsMulticast():
		return fmt.Errorf("%s is no address to answer with", a)
	}
	to := &r.Addr6
	if a = a.Unmap(); a.Is4() {
		to = &r.Addr4
	}
	if to.IsValid() {
		return fmt.Errorf("two addresses of one family: %s and %s", *to, a)
	}
	r.Kind, *to = ReplyAddress, a
	return nil
}

// DecodeHint tells the decoder what to look at in what a name would have
// received. It is shared by the rules of a group and must not be changed.
type DecodeHint struct {
	Param     string   // the parameter, of the query or of a form, that carries the payload: data_list; "" is any
	Encodings []string // what is taken off it, the outermost first: base64, gzip
}
