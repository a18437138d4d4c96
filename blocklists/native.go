package blocklists

import (
	"errors"
	"fmt"
	"io"

	"nightlatch/blocklists/domain"
	"nightlatch/blocklists/native"
	"nightlatch/blocklists/syntax"
)

// SyntaxError says where a native list is broken and what to do about it.
type SyntaxError = native.Error

// NativeSchema gives the JSON Schema of native lists, for editors.
func NativeSchema() string { return native.Schema() }

var errEvery = errors.New("every address there is: only the owner's own lists may stop that")

const reasonRisk = "known to break something, left out unless the owner wants it (risk: may-break)"

// readNative reads a list of nightlatch's own format.
func (p *parser) readNative(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, native.MaxSize+1))
	if err != nil {
		return err
	}
	opts := native.Options{File: p.file, Open: p.opener, Emit: p.native}
	if p.src.Match != nil && *p.src.Match == Exact {
		opts.Scope = syntax.Exact
	}
	l, err := native.Read(text, opts)
	if err != nil {
		return err
	}
	for to, from := range map[*string]string{&p.list.Title: l.Title, &p.list.Owner: l.Owner, &p.list.About: l.About} {
		if from != "" {
			*to = from
		}
	}
	if l.Reply != (Reply{}) {
		p.list.Reply = l.Reply
	}
	p.report.Bytes, p.report.Lines, p.report.Included = int64(len(text)), l.Lines, l.Included
	if p.full {
		return fmt.Errorf("more than %d rules", maxRules)
	}
	return nil
}

var actionWords = map[string]Action{"deny": ActionDeny, "sink": ActionSink, "drop": ActionDrop, "observe": ActionObserve}

// native keeps a rule of a native list.
func (p *parser) native(r *native.Rule) error {
	if r.Risk == native.MayBreak && !r.Allow && !p.src.Own && !p.src.MayBreak {
		p.ignore(reasonRisk, r.Line, []byte(r.Text))
		return nil
	}
	action := p.src.Action
	if r.Action != "" {
		action = actionWords[r.Action]
	}
	flags := byte(flagAllow)
	if !r.Allow {
		flags = p.action(action)
	}
	d := &detail{Category: r.Category, Why: r.Why, Breaks: r.Breaks, Source: r.Source, File: r.File, Risk: r.Risk, Confidence: r.Confidence, limits: r.Limits, pattern: r.Pattern,
		Reply: r.Reply, Decode: r.Decode, observe: action == ActionObserve && !r.Allow}
	if err := p.nativeRewrite(d, r.Rewrite); err != nil {
		return err
	}
	if *d == (detail{}) {
		d = nil
	}
	switch r.Scope {
	case syntax.Addr:
		if r.Prefix.Bits() == 0 && !p.src.Own && !r.Allow {
			return errEvery
		}
		p.addPrefix(r.Line, r.Prefix, []byte(r.Text), flags, d)
		return nil
	case syntax.Patterns:
		if p.report.Patterns >= maxPatterns {
			return fmt.Errorf("one pattern too many: a list may have %d", maxPatterns)
		}
		p.add(r.Line, []byte(r.Pattern.Key), []byte(r.Text), flags, d)
		return nil
	}
	size, err := domain.Fold(p.buf[:], r.Name)
	if err != nil {
		return err
	}
	p.add(r.Line, p.buf[:size], []byte(r.Text), flags|byte(scopes[r.Scope]), d)
	return nil
}

// nativeRewrite notes the name a rule answers with: data for those who can answer
// by it, in the place that any other rule would have.
func (p *parser) nativeRewrite(d *detail, w *Rewrite) error {
	if w == nil {
		return nil
	}
	name, err := Canonical(w.CNAME)
	if err != nil {
		return fmt.Errorf("a rule with an answer that is wrong: cname:%w", err)
	}
	if p.shared == nil || p.shared.CNAME != name {
		p.shared = &Rewrite{CNAME: name}
	}
	d.rewrite, d.kind = p.shared, local
	return nil
}
