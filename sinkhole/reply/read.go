package reply

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nightlatch/config"
)

//go:embed data/*.yaml
var builtin embed.FS

// Bounds of what an owner may add: far above what anyone writes by hand.
const (
	maxFile    = 256 << 10 // bytes of one file
	maxEntries = 500       // replies of one file
	maxBody    = 16 << 10  // bytes of one body
	maxFiles   = 100       // files of a folder
)

// document is a file of replies.
type document struct {
	Replies []entry `yaml:"replies"`
}

// entry is one reply as it is written.
type entry struct {
	Name    string            `yaml:"name"`    // whose SDK
	Source  string            `yaml:"source"`  // where the fact comes from
	Hosts   []string          `yaml:"hosts"`   // names, and all below them; none: any
	Paths   []string          `yaml:"paths"`   // * stands for any run of characters; none: any
	Methods []string          `yaml:"methods"` // none: any
	Query   []string          `yaml:"query"`   // parameters that must all be there
	Accept  string            `yaml:"accept"`  // pattern of the Accept header field
	Type    string            `yaml:"type"`    // pattern of the Content-Type
	Status  int               `yaml:"status" min:"200" max:"599"`
	Headers map[string]string `yaml:"headers"`
	JSON    string            `yaml:"json"`   // a body, of this type
	Text    string            `yaml:"text"`   // a body as it stands
	Base64  string            `yaml:"base64"` // a body of any bytes
	Content string            `yaml:"content"`
	Gzip    bool              `yaml:"gzip"` // packed for clients that take it
}

// Builtin gives the replies that come with the program.
func Builtin() (*Set, error) {
	s := &Set{}
	names, err := fs.Glob(builtin, "data/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("replies: %w", err)
	}
	slices.Reverse(names) // the first file's stand first
	for _, name := range names {
		data, err := builtin.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("replies: %w", err)
		}
		if s, err = s.With(name, data); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Load gives the replies of the *.yaml files in dir, in the order of their
// names, before the built-in ones. A folder that is not there holds none. The
// first thing that is wrong is an error with file, line and column.
func Load(dir string) (*Set, error) {
	s, err := Builtin()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(escape(dir), "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("replies: %w", err)
	}
	if len(files) > maxFiles {
		return nil, fmt.Errorf("replies: %s holds %d files; at most %d are read", dir, len(files), maxFiles)
	}
	slices.Reverse(files)
	for _, path := range files {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if s, err = s.With(path, data); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// escape lets a folder's own name hold what filepath.Glob would read as a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("replies: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("replies: %s is not a file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("replies: %s has %d bytes; at most %d are read", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("replies: %w", err)
	}
	return data, nil
}

// With gives a set with the replies of one more file before those of s.
func (s *Set) With(file string, data []byte) (*Set, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: %d bytes; at most %d are read", file, len(data), maxFile)
	}
	var doc document
	at, err := config.Read(file, data, &doc)
	if err != nil {
		return nil, err
	}
	if len(doc.Replies) > maxEntries {
		return nil, at.Fail("replies", "%d replies; at most %d are read", len(doc.Replies), maxEntries)
	}
	out := &Set{rules: make([]rule, 0, len(doc.Replies)+len(s.rules))}
	for i, e := range doc.Replies {
		r, key, err := e.compile()
		if err != nil {
			return nil, at.Fail(fmt.Sprintf("replies[%d].%s", i, key), "%s", err)
		}
		out.rules = append(out.rules, r)
	}
	out.rules = append(out.rules, s.rules...)
	return out, nil
}

// compile checks an entry and makes its replies; an error is about a key.
func (e entry) compile() (r rule, key string, err error) {
	if key, err = e.check(); err != nil {
		return r, key, err
	}
	for i := range e.Hosts {
		e.Hosts[i] = strings.ToLower(strings.Trim(e.Hosts[i], "."))
	}
	e.Accept, e.Type = strings.ToLower(e.Accept), strings.ToLower(e.Type)
	body, content, key, err := e.body()
	if err != nil {
		return r, key, err
	}
	h := http.Header{}
	for k, v := range e.Headers {
		h.Set(k, v)
	}
	if content != "" {
		h.Set("Content-Type", content)
	}
	r = rule{entry: e, plain: Reply{e.Status, h, body}}
	if e.Gzip {
		packed := h.Clone()
		packed.Set("Content-Encoding", "gzip")
		packed.Set("Vary", "Accept-Encoding")
		r.packed = Reply{e.Status, packed, pack(body)}
	}
	return r, "", nil
}

func (e entry) check() (key string, err error) {
	switch {
	case e.Name == "":
		return "name", errors.New("a reply needs a name: whose SDK it is for")
	case e.Status == 0:
		return "status", errors.New("a reply needs a status, such as 200")
	}
	for i, h := range e.Hosts {
		if h == "" || strings.ContainsAny(h, "/: ") {
			return fmt.Sprintf("hosts[%d]", i), fmt.Errorf("%q is not a host name", h)
		}
	}
	for i, p := range e.Paths {
		if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
			return fmt.Sprintf("paths[%d]", i), fmt.Errorf("%q begins with neither / nor *", p)
		}
	}
	for k, v := range e.Headers {
		if err := headerField(k, v); err != nil {
			return "headers." + k, err
		}
	}
	if err := headerField("Content-Type", e.Content); err != nil && e.Content != "" {
		return "content", err
	}
	return "", nil
}

// headerField refuses what is no header field (RFC 9110 §5.1, §5.5), and those
// that the connection or the body set.
func headerField(k, v string) error {
	switch textproto.CanonicalMIMEHeaderKey(k) {
	case "Connection", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Date", "Keep-Alive", "Upgrade", "Trailer", "Te":
		return fmt.Errorf("%s is set by the sinkhole itself", k)
	}
	token := func(c rune) bool {
		return c > 0x7f || !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	}
	if k == "" || strings.ContainsFunc(k, token) {
		return fmt.Errorf("%q is not the name of a header field", k)
	}
	if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return fmt.Errorf("%q holds a control character", v)
	}
	return nil
}

// body gives the bytes and the type of the one body that is written.
func (e entry) body() (b []byte, content, key string, err error) {
	n := 0
	for k, v := range map[string]string{"json": e.JSON, "text": e.Text, "base64": e.Base64} {
		if v != "" {
			n, key = n+1, k
		}
	}
	content = e.Content
	switch {
	case n > 1:
		return nil, "", "status", errors.New("a reply has one body: json, text or base64")
	case n == 1 && (e.Status == http.StatusNoContent || e.Status == http.StatusNotModified):
		return nil, "", key, fmt.Errorf("%d has no body (RFC 9110 §6.4.1)", e.Status)
	case n == 0 && e.Gzip:
		return nil, "", "gzip", errors.New("there is no body to pack")
	case n == 1 && len(e.JSON)+len(e.Text)+len(e.Base64) > maxBody:
		return nil, "", key, fmt.Errorf("a body has at most %d bytes", maxBody)
	}
	switch key {
	case "json":
		if !json.Valid([]byte(e.JSON)) {
			return nil, "", key, errors.New("this is not JSON")
		}
		if content == "" {
			content = jsonType
		}
		return []byte(e.JSON), content, "", nil
	case "text":
		if content == "" {
			content = "text/plain; charset=utf-8"
		}
		return []byte(e.Text), content, "", nil
	case "base64":
		if b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.Base64), "")); err != nil {
			return nil, "", key, errors.New("this is not base64")
		}
		if content == "" {
			content = "application/octet-stream"
		}
	}
	return b, content, "", nil
}

func pack(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b) // a Buffer never fails
	z.Close()
	return out.Bytes()
}
