package blocklists

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"nightlatch/blocklists/domain"
	"nightlatch/blocklists/syntax"
	"nightlatch/config/spell"
)

const (
	maxLine = 64 << 10  // bytes of a line; longer ones are left out and counted
	maxSize = 512 << 20 // bytes of a list, decompressed: ten times the largest list met
	maxRows = 16 << 20  // lines of a list: ten times the most met
	window  = maxLine + 2<<10

	maxPatterns = 5000 // patterns of one list: each one is tried for many a name; published lists have 450
	maxCancels  = 5000 // rules that one list takes back; published lists have 66

	reasonLong     = "longer than 64 KiB"
	reasonPatterns = "more than 5000 patterns, or rules about who asks"
)

var errNotList = errors.New("not a list")

// parser reads one list.
type parser struct {
	src    Source
	file   string // how messages call the list
	opener opener // opens the files it includes; nil when the list is no file
	list   *List
	report *Report
	builder
	text    []byte              // the line being read
	cancels map[string]struct{} // rules that the list takes back, by syntax.CancelKey
	crowded bool                // the line held a pattern too many
	shared  *Rewrite            // of the last rule that had one: many a rule has the same
	buf     [maxName]byte
	key     [17]byte
}

// Parse reads a list. Every line that is not understood is left out whole and
// counted in the report; an error means that the thing is no list at all: a web
// page, a binary, YAML that is broken (a [*SyntaxError] with line and column), or
// larger than its bound. Compressed (gzip) lists are told by their content.
func Parse(src Source, r io.Reader) (*List, error) {
	return parse(src, src.Name, nil, r)
}

// ParseFile is Parse for a file; messages name the file.
func ParseFile(src Source, path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	defer f.Close()
	return parse(src, path, inFolder(filepath.Dir(path)), f)
}

// opener opens a file that a list includes.
type opener func(name string) (io.ReadCloser, error)

// inFolder opens files of a folder; no name and no link leads out of it.
func inFolder(folder string) opener {
	return func(name string) (io.ReadCloser, error) {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		defer root.Close() // the file stays open
		return root.Open(name)
	}
}

func parse(src Source, file string, open opener, r io.Reader) (*List, error) {
	src.Own = src.Own || src.Overlay
	list := &List{Name: src.Name, Title: src.Name, Owner: src.Owner, About: src.About, Own: src.Own, Overlay: src.Overlay, Reply: src.Reply}
	p := &parser{src: src, file: file, opener: open, list: list, report: &list.Report}
	if err := p.read(r); err != nil {
		var at *SyntaxError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("blocklists: %w", err)
		}
		return nil, fmt.Errorf("blocklists: %s: %w", file, err)
	}
	p.endChunk()
	list.records, list.details, list.count = p.chunks, p.details, p.count
	p.cancel()
	if p.report.Format == RPZ {
		list.findHoles()
	}
	p.report.Sort()
	return list, nil
}

func (p *parser) read(r io.Reader) error {
	in, err := p.open(r)
	if err != nil {
		return err
	}
	head, err := in.Peek(window)
	if err != nil && err != io.EOF {
		return err
	}
	if why := syntax.Refuse(head); why != "" {
		return fmt.Errorf("%w: %s", errNotList, why)
	}
	format := p.src.Format
	if format == "" || format == Auto {
		format, p.report.Detected = syntax.Detect(head), true
		if len(strings.TrimSpace(string(head))) == 0 && !p.src.Own {
			return fmt.Errorf("%w: it is empty", errNotList)
		}
	}
	p.report.Format = format
	if format == Native {
		return p.readNative(in)
	}
	return p.readLines(format, in)
}

// readLines reads a list of another program.
func (p *parser) readLines(format syntax.Format, in *bufio.Reader) error {
	var bare *syntax.Scope
	if p.src.Match != nil {
		s := syntax.Exact
		if *p.src.Match == Subtree {
			s = syntax.Subtree
		}
		bare = &s
	}
	lines := syntax.NewReader(format, bare, p.imported)
	if lines == nil {
		return fmt.Errorf("unknown format %q%s", clip(string(format)), spell.Meant(string(format), FormatWords()...))
	}
	if p.report.BareNames = Exact; lines.Bare() == syntax.Subtree {
		p.report.BareNames = Subtree
	}
	if err := p.eachLine(in, lines); err != nil {
		return err
	}
	return p.understood()
}

// understood refuses a thing of which not one line was a rule of any kind, so
// that a login page in plain text does not pass for an empty list.
func (p *parser) understood() error {
	if p.count > 0 {
		return nil
	}
	for _, i := range p.report.Ignored {
		if i.Reason == syntax.NotName && i.Count == p.report.IgnoredLines() {
			e := i.Examples[0]
			return fmt.Errorf("%w: none of its %d lines is a rule, the first is line %d, %q", errNotList, i.Count, e.Line, e.Text)
		}
	}
	return nil
}

// FormatWords gives every format that can be asked for, as words.
func FormatWords() []string {
	var out []string
	for _, f := range Formats() {
		out = append(out, string(f))
	}
	return out
}

// open undoes gzip and the byte-order mark and bounds the size.
func (p *parser) open(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, window)
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" { // RFC 1952 §2.3.1
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("broken gzip: %w", err)
		}
		p.report.Gzip = true
		in = bufio.NewReaderSize(&bounded{z, maxSize}, window)
	} else {
		in = bufio.NewReaderSize(&bounded{in, maxSize}, window)
	}
	if head, _ := in.Peek(3); string(head) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3) // three bytes that were just seen
	}
	return in, nil
}

var errTooLarge = fmt.Errorf("larger than %d MiB", maxSize>>20)

// bounded fails where io.LimitReader would pretend that the text ends.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// eachLine reads every line and notes the ones that were left out.
func (p *parser) eachLine(in *bufio.Reader, lines *syntax.Reader) error {
	for {
		text, err := in.ReadSlice('\n')
		p.report.Bytes += int64(len(text))
		if len(text) > 0 {
			p.report.Lines++
		}
		if len(text) > maxLine {
			p.ignore(reasonLong, p.report.Lines, text[:maxText])
			if err == bufio.ErrBufferFull {
				err = p.skipLine(in)
			}
		} else if len(text) > 0 {
			p.line(lines, text)
		}
		switch {
		case p.full:
			return fmt.Errorf("more than %d rules", maxRules)
		case p.report.Lines > maxRows:
			return fmt.Errorf("more than %d lines", maxRows)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (p *parser) skipLine(in *bufio.Reader) error {
	for {
		text, err := in.ReadSlice('\n')
		p.report.Bytes += int64(len(text))
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

func (p *parser) line(lines *syntax.Reader, text []byte) {
	p.text = trimEnds(text)
	p.crowded = false
	reason := lines.Line(text)
	if p.crowded {
		reason = reasonPatterns
	}
	switch reason {
	case "":
	case syntax.Modifier + "badfilter":
		if key, ok := syntax.Cancels(p.text); ok && len(p.text) <= maxText && len(p.cancels) < maxCancels {
			if p.cancels == nil {
				p.cancels = map[string]struct{}{}
			}
			p.cancels[key] = struct{}{}
			return
		}
		fallthrough
	default:
		p.ignore(reason, p.report.Lines, p.text)
	}
}

// ignore counts a line that is left out.
func (p *parser) ignore(reason string, line int, text []byte) {
	p.report.Ignore(reason, line, string(tidy(text)))
}

// imported keeps a rule that a line of the list holds.
func (p *parser) imported(r syntax.Rule) bool {
	flags := byte(0)
	switch {
	case r.Allow:
		flags = flagAllow
	case r.Action == syntax.Silence:
		flags = byte(ActionDrop) << actionShift
	default:
		flags = p.action(p.src.Action)
	}
	if r.Exception {
		flags |= flagException
	}
	if r.Important {
		flags |= flagImportant
	}
	var d *detail
	observe := p.src.Action == ActionObserve && !r.Allow && r.Action == syntax.Default
	if r.Answer.IsValid() || r.Limits != nil || r.Pattern != nil || r.Rewrite != nil || observe {
		d = &detail{Answer: r.Answer, observe: observe, limits: r.Limits, pattern: r.Pattern}
		if !p.canonicalExcept(r.Limits) || !p.rewrite(d, r.Rewrite) {
			return false
		}
	}
	switch r.Scope {
	case syntax.Addr:
		p.addPrefix(p.report.Lines, r.Prefix, p.text, flags, d)
		return true
	case syntax.Asker:
		p.addClient(r.Prefix, flags, d)
		return true
	case syntax.Patterns:
		if p.crowded = p.report.Patterns >= maxPatterns; p.crowded {
			return true
		}
		p.add(p.report.Lines, []byte(r.Pattern.Key), p.text, flags, d)
		return true
	}
	n, err := domain.Fold(p.buf[:], r.Name)
	if err != nil {
		return false
	}
	p.add(p.report.Lines, p.buf[:n], p.text, flags|byte(scopes[r.Scope]), d)
	return true
}

// action puts an action into flags. Observe has no room there and goes beside
// the record.
func (p *parser) action(a Action) byte {
	if a == ActionObserve {
		a = ActionDefault
	}
	return byte(a) << actionShift
}

var scopes = [...]Match{syntax.Subtree: Subtree, syntax.Exact: Exact, syntax.Below: Below}

// addClient keeps a rule about who asks. Its record has no name.
func (p *parser) addClient(who netip.Prefix, flags byte, d *detail) {
	if p.crowded = p.report.Clients >= maxPatterns; p.crowded {
		return
	}
	if d == nil {
		d = &detail{}
	}
	d.client = who
	p.add(p.report.Lines, nil, p.text, flags, d)
}

// rewrite notes the answer a rule gives by itself. One with a target that is no
// name makes the whole rule one to leave out.
func (p *parser) rewrite(d *detail, w *Rewrite) bool {
	if w == nil {
		return true
	}
	if w.CNAME != "" {
		name, star := strings.CutPrefix(w.CNAME, "*.")
		c, err := Canonical(name)
		if err != nil {
			return false
		}
		if w.CNAME = c; star {
			w.CNAME = "*." + c
		}
	}
	if p.shared == nil || *p.shared != *w {
		p.shared = w
	}
	d.rewrite = p.shared
	switch {
	case p.report.Format == Adblock:
		d.kind = first
	case !w.Stops():
		d.kind = local
	}
	return true
}

// canonicalExcept brings the names a rule leaves out into the form they are
// compared in. One that is no name makes the whole rule one to leave out.
func (p *parser) canonicalExcept(l *syntax.Limits) bool {
	if l == nil {
		return true
	}
	for i, name := range l.Except {
		c, err := Canonical(name)
		if err != nil {
			return false
		}
		l.Except[i] = c
	}
	return true
}

// add keeps a rule and counts it.
func (p *parser) add(line int, name, text []byte, flags byte, d *detail) {
	p.tally(flags, d, 1)
	p.builder.add(line, name, text, flags, d)
}

func (p *parser) tally(flags byte, d *detail, n int) {
	if flags&flagAllow != 0 {
		p.report.Allows += n
	} else {
		p.report.Blocks += n
	}
	if Match(flags&flagMatch) == Address {
		p.report.Addresses += n
	}
	if d == nil {
		return
	}
	if d.pattern != nil {
		p.report.Patterns += n
	}
	if d.limits != nil {
		p.report.Limited += n
	}
	if d.client.IsValid() {
		p.report.Clients += n
	}
	if d.kind != plain {
		p.report.Rewrites += n
	}
}

func (p *parser) addPrefix(line int, a netip.Prefix, text []byte, flags byte, d *detail) {
	p.add(line, prefixKey(p.key[:0], a), text, flags&^flagMatch|byte(Address), d)
}

func trimEnds(b []byte) []byte {
	start, end := 0, len(b)
	for start < end && b[start] <= ' ' {
		start++
	}
	for start < end && b[end-1] <= ' ' {
		end--
	}
	return b[start:end]
}
