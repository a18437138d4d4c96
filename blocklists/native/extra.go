package native

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/blocklists/syntax"
	"nightlatch/config/spell"
)

const (
	maxDevices   = 256 // devices a rule may name: the most a gateway has
	maxEncodings = 8   // encodings one around the other; the most met is 4
)

// answer is what answer: says: how a name is denied, or the name to answer with.
type answer struct {
	reply   syntax.Reply
	rewrite *syntax.Rewrite
}

// risks are the words of risk:. A rule without it is safe.
func risks() []string { return []string{"safe", MayBreak} }

// MayBreak is the risk of a rule that is known to stop something people want.
const MayBreak = "may-break"

// confidences are the words of confidence:, how well a fact is known, from what
// somebody measured down to what only stands on a list.
func confidences() []string {
	return []string{"measured", "documented", "reported", "claimed", "listed"}
}

// encodings are the words of decode: encodings, as the decoder calls its layers.
func encodings() []string {
	return []string{"base64", "brotli", "deflate", "form", "gzip", "hex", "json", "lz4", "msgpack", "protobuf", "snappy", "url", "zlib", "zstd"}
}

// extra reads the fields of a rule or a group that few have.
func (n *reader) extra(e *entry, key string, k, v *yaml.Node) error {
	switch key {
	case "answer":
		if e.allow {
			return n.errorf(k, "an entry of allow is answered truthfully: it has no answer:")
		}
		return n.readAnswer(v, e)
	case "devices":
		e.devices = nil
		if err := n.words(v, key, func(v *yaml.Node, word string) error { return n.readDevice(v, word, e) }); err != nil {
			return err
		}
		if len(e.devices) == 0 {
			return n.errorf(v, "devices must name at least one device, as in [redmi]")
		}
		return nil
	case "decode":
		if e.allow {
			return n.errorf(k, "an entry of allow has no decode:, nothing it lets through is read")
		}
		return n.readDecode(v, e)
	}
	if key == "confidence" {
		return n.word(v, key, &e.confidence, confidences()...)
	}
	return n.word(v, key, &e.risk, risks()...)
}

// readAnswer reads answer:, which may also be the name to answer with.
func (n *reader) readAnswer(v *yaml.Node, e *entry) error {
	e.answer = answer{}
	if rest, ok := strings.CutPrefix(v.Value, "cname:"); ok && v.Kind == yaml.ScalarNode {
		name := strings.TrimSpace(rest)
		if name == "" {
			return n.errorf(v, "cname: wants a name, as in cname:safe.example.com")
		}
		e.answer.rewrite = &syntax.Rewrite{CNAME: name}
		return nil
	}
	return n.readReply(v, &e.answer.reply)
}

func (n *reader) readReply(v *yaml.Node, to *syntax.Reply) error {
	if isNull(v) && v.Value == "null" { // the word of an answer, which YAML takes for nothing at all
		*to = syntax.Reply{Kind: syntax.ReplyNull}
		return nil
	}
	var all []string
	err := n.words(v, "answer", func(_ *yaml.Node, word string) error {
		all = append(all, word)
		return nil
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return n.errorf(v, "answer has no entry")
	}
	if *to, err = syntax.ParseReply(all...); err != nil {
		return n.errorf(v, "answer: %w%s", err, spell.Meant(all[0], syntax.ReplyWords()...))
	}
	return nil
}

// readDevice reads the name of a device, or its address.
func (n *reader) readDevice(v *yaml.Node, word string, e *entry) error {
	if len(e.devices) == maxDevices {
		return n.errorf(v, "more than %d devices", maxDevices)
	}
	c := syntax.Client{Name: word}
	if p, ok := syntax.ParsePrefix(word); ok {
		c = syntax.Client{Net: p}
	}
	if !slices.Contains(e.devices, c) {
		e.devices = append(e.devices, c)
	}
	return nil
}

// readDecode reads which parameter carries the payload, and its encodings.
func (n *reader) readDecode(v *yaml.Node, e *entry) error {
	hint := &syntax.DecodeHint{}
	err := n.mapping(v, "decode", func(key string, k, v *yaml.Node) error {
		switch key {
		case "param":
			return n.text(v, key, &hint.Param)
		case "encodings":
			return n.words(v, key, func(v *yaml.Node, word string) error {
				if len(hint.Encodings) == maxEncodings {
					return n.errorf(v, "more than %d encodings", maxEncodings)
				}
				var known string
				if err := n.word(v, "an encoding", &known, encodings()...); err != nil {
					return err
				}
				hint.Encodings = append(hint.Encodings, word)
				return nil
			})
		}
		return n.unknown(k, "param", "encodings")
	})
	if err == nil && hint.Param == "" && len(hint.Encodings) == 0 {
		err = n.errorf(v, "decode says neither param: nor encodings:")
	}
	e.decode = hint
	return err
}
