package blocklists

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
)

const (
	maxLine = 64 << 10  // bytes of a line; longer ones are left out and counted
	maxSize = 512 << 20 // bytes of a list, decompressed: ten times the largest list met
	window  = maxLine + 2<<10
)

// parser reads one list.
type parser struct {
	src    Source
	file   string // how messages call the list
	list   *List
	report *Report
	builder
	bare Match // what a bare name means here
	buf  [maxName]byte
	key  [17]byte
}

// Parse reads a list. Every line that is not understood is left out whole and
// counted in the report; an error means that the thing is no list at all: a web
// page, a binary, YAML that is broken (a [*SyntaxError] with line and column), or
// larger than its bound. Compressed (gzip) lists are told by their content.
func Parse(src Source, r io.Reader) (*List, error) {
	return parse(src, src.Name, r)
}

// ParseFile is Parse for a file; messages name the file.
func ParseFile(src Source, path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	defer f.Close()
	return parse(src, path, f)
}

func parse(src Source, file string, r io.Reader) (*List, error) {
	list := &List{Name: src.Name, Title: src.Name, Owner: src.Owner, About: src.About, Own: src.Own}
	p := &parser{src: src, file: file, list: list, report: &list.Report}
	if err := p.read(r); err != nil {
		var at *SyntaxError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("blocklists: %w", err)
		}
		return nil, fmt.Errorf("blocklists: %s: %w", file, err)
	}
	list.records, list.details, list.count = string(p.blob), p.details, p.count
	p.report.sortIgnored()
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
	if err := refuse(head); err != nil {
		return err
	}
	format := p.src.Format
	if format == "" || format == Auto {
		format, p.report.Detected = detect(head), true
		if len(strings.TrimSpace(string(head))) == 0 && !p.src.Own {
			return fmt.Errorf("%w: it is empty", errNotList)
		}
	}
	p.report.Format = format
	p.bare = bareMatch(format)
	if p.src.Match != nil {
		p.bare = *p.src.Match
	}
	p.report.BareNames = p.bare
	return p.readFormat(format, in)
}

func (p *parser) readFormat(format Format, in *bufio.Reader) error {
	line, ok := map[Format]func(int, []byte){
		Hosts:   p.hostsLine,
		Domains: p.domainsLine,
		Adblock: p.adblockLine,
	}[format]
	switch {
	case format == Native:
		return p.readNative(in)
	case !ok:
		return fmt.Errorf("unknown format %q%s", format, meant(string(format), formatWords()...))
	}
	if err := p.eachLine(in, line); err != nil {
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
		if i.Reason == reasonNotName && i.Count == p.report.IgnoredLines() {
			e := i.Examples[0]
			return fmt.Errorf("%w: none of its %d lines is a rule, the first is line %d, %q", errNotList, i.Count, e.Line, e.Text)
		}
	}
	return nil
}

func formatWords() []string {
	var out []string
	for _, f := range Formats() {
		out = append(out, string(f))
	}
	return out
}

func bareMatch(f Format) Match {
	if f == Native {
		return Subtree
	}
	return Exact
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

// eachLine hands over every line without its end and its outer blanks.
func (p *parser) eachLine(in *bufio.Reader, do func(line int, text []byte)) error {
	for {
		text, err := in.ReadSlice('\n')
		p.report.Bytes += int64(len(text))
		if len(text) > 0 {
			p.report.Lines++
		}
		if err == bufio.ErrBufferFull {
			p.report.ignore(reasonLong, p.report.Lines, text[:maxText])
			err = p.skipLine(in)
		} else if text = trimBlanks(text); len(text) > maxLine {
			p.report.ignore(reasonLong, p.report.Lines, text[:maxText])
		} else if len(text) > 0 {
			do(p.report.Lines, text)
		}
		switch {
		case p.full:
			return fmt.Errorf("more than %d rules", maxRules)
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

// add keeps a rule and counts it.
func (p *parser) add(line int, name, text []byte, flags byte, d *detail) {
	if flags&flagAllow != 0 {
		p.report.Allows++
	} else {
		p.report.Blocks++
	}
	p.builder.add(line, name, text, flags, d)
}

func (p *parser) addPrefix(line int, a netip.Prefix, text []byte, flags byte, d *detail) {
	p.report.Addresses++
	p.add(line, prefixKey(p.key[:0], a), text, flags&^flagMatch|byte(Address), d)
}

// addName keeps an imported rule for a name that is still as written. It says
// whether the name was one.
func (p *parser) addName(line int, name, text []byte, m Match, flags byte, d *detail) bool {
	n, err := foldName(p.buf[:], name)
	if err != nil {
		return false
	}
	p.add(line, p.buf[:n], text, p.blockFlags(flags)|byte(m), d)
	return true
}

// blockFlags gives a block the action that was asked for its list.
func (p *parser) blockFlags(flags byte) byte {
	if flags&flagAllow == 0 {
		flags |= byte(p.src.Action) << actionShift
	}
	return flags
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// word cuts the first word off a line.
func word(b []byte) (first, rest []byte) {
	i := 0
	for i < len(b) && !blank(b[i]) {
		i++
	}
	return b[:i], trimBlanks(b[i:])
}
