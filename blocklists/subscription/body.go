package subscription

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"nightlatch/blocklists/syntax"
)

// download is a copy that was fetched into a file, or, without a path, the news
// that nothing has changed.
type download struct {
	path         string
	text, source string // SHA-256 in hex: as it is kept, as it was published
	bytes, wire  int64
	etag         string
	modified     string
}

var (
	errStalled  = fmt.Errorf("nothing has come for %s; it is tried again later", stall)
	errSlow     = fmt.Errorf("it is not done after %s; it is tried again later", maxTime)
	errWire     = fmt.Errorf("it is larger than %d MiB; that is no list", maxWire>>20)
	errText     = fmt.Errorf("it is larger than %d MiB when it is unpacked; that is no list", maxText>>20)
	errEmpty    = errors.New("it is empty")
	errEncoding = errors.New("the server sends it in an encoding that was not asked for")
)

// get fetches what sub names into a file of the folder. known is what we have.
func (n Network) get(ctx context.Context, sub Subscription, known *Version, folder string, progress func(int64, int64)) (download, error) {
	if !Remote(sub.Address) {
		return n.open(ctx, sub, folder, progress)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, errSlow)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	resp, end, err := n.ask(ctx, sub.Address, known)
	if err != nil {
		return download{}, err
	}
	defer end()
	defer resp.Body.Close()
	head := download{etag: validator(resp.Header.Get("ETag")), modified: validator(resp.Header.Get("Last-Modified"))}
	if resp.StatusCode == http.StatusNotModified {
		return head, nil
	}
	timer := time.AfterFunc(stall, func() { stop(errStalled) })
	defer timer.Stop()
	body := &counted{r: resp.Body, limit: maxWire, over: errWire, total: resp.ContentLength, heard: func(done, total int64) {
		timer.Reset(stall)
		if progress != nil {
			progress(done, total)
		}
	}}
	if resp.ContentLength > maxWire {
		return download{}, lasting("%s: %w", resp.Request.URL.Host, errWire)
	}
	d, err := n.keep(folder, sub, body, resp.Header)
	if err != nil {
		return download{}, n.explain(ctx, resp, body.done, err)
	}
	d.etag, d.modified, d.wire = head.etag, head.modified, body.done
	return d, nil
}

// explain says why a body could not be kept.
func (n Network) explain(ctx context.Context, resp *http.Response, done int64, err error) error {
	host := resp.Request.URL.Host
	var f *Failure
	switch cause := context.Cause(ctx); {
	case errors.As(err, &f):
		return err
	case errors.Is(err, errDisk):
		return err
	case cause != nil:
		return netFailure(ctx, host, err)
	case errors.Is(err, errWire), errors.Is(err, errText):
		return lasting("%s: %w", host, err)
	case errors.Is(err, io.ErrUnexpectedEOF) && resp.ContentLength > done:
		return failed("%s: it ended after %d of %d bytes", host, done, resp.ContentLength)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return failed("%s: it ended in the middle, after %d bytes", host, done)
	}
	return failed("%s: %w", host, rootCause(err))
}

// open reads a list from a path of this machine.
func (n Network) open(ctx context.Context, sub Subscription, folder string, progress func(int64, int64)) (download, error) {
	info, err := os.Stat(sub.Address) // before it is opened: a pipe would wait for its writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return download{}, lasting("there is no file %s", sub.Address)
	case err != nil:
		return download{}, lasting("%w", err)
	case !info.Mode().IsRegular():
		return download{}, lasting("%s is not a file", sub.Address)
	}
	f, err := os.Open(sub.Address)
	if err != nil {
		return download{}, lasting("%w", err)
	}
	defer f.Close()
	body := &counted{r: f, limit: n.maxText(), over: errText, total: info.Size(), heard: func(done, total int64) {
		if progress != nil {
			progress(done, total)
		}
	}}
	d, err := n.keep(folder, sub, body, nil)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errDisk) {
		var done *Failure
		if !errors.As(err, &done) {
			err = lasting("%s: %w", sub.Address, err)
		}
	}
	d.wire = body.done
	return d, err
}

// counted bounds what is read, and lets others hear of it.
type counted struct {
	r           io.Reader
	done, limit int64
	total       int64
	over        error
	heard       func(done, total int64)
}

// Read fails where io.LimitReader would pretend that the text ends.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.done += int64(n); c.done > c.limit {
		return 0, c.over
	}
	if n > 0 && c.heard != nil {
		c.heard(c.done, c.total)
	}
	return n, err
}

// errDisk marks what went wrong here and not at the other end.
var errDisk = errors.New("the folder of lists")

// keep unpacks a body into a new file of the folder and says what it is. On an
// error there is no file.
func (n Network) keep(folder string, sub Subscription, body io.Reader, head http.Header) (d download, err error) {
	published := sha256.New()
	in, err := unpack(body, head, published, n.maxText())
	if err != nil {
		return d, err
	}
	if err := refuse(in, head); err != nil {
		return d, err
	}
	f, err := os.CreateTemp(folder, "."+sub.Name+".*")
	if err != nil {
		return d, fmt.Errorf("%w: %w; make it writable", errDisk, err)
	}
	defer func() {
		if f.Close(); err != nil {
			os.Remove(f.Name())
		}
	}()
	text := sha256.New()
	if d.bytes, err = io.Copy(&disk{f, text}, in); err != nil {
		return d, err
	}
	d.path, d.text, d.source = f.Name(), hexSum(text), hexSum(published)
	if sub.SHA256 != "" && d.source != sub.SHA256 {
		return d, lasting("its sha256 is %s, not the one in the config; was it changed on purpose?", d.source)
	}
	if err := f.Sync(); err != nil {
		return d, fmt.Errorf("%w: %w; is there room left?", errDisk, err)
	}
	return d, nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// disk writes a file and its checksum, and marks what fails as its own.
type disk struct {
	f *os.File
	h hash.Hash
}

func (d *disk) Write(p []byte) (int, error) {
	d.h.Write(p)
	n, err := d.f.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w; is there room left?", errDisk, err)
	}
	return n, err
}

// unpack undoes the encoding of the transfer, and then one of the file itself;
// published hears the file in between, as its author sees it. Neither step gives
// more than most bytes.
func unpack(body io.Reader, head http.Header, published hash.Hash, most int64) (*bufio.Reader, error) {
	switch enc := strings.ToLower(strings.TrimSpace(head.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip", "x-gzip": // RFC 9110 §8.4.1.3
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, brokenGzip(err)
		}
		body = &counted{r: z, limit: most, over: errText}
	default:
		return nil, &Failure{Err: fmt.Errorf("%w: %q", errEncoding, clip(enc)), Lasting: true}
	}
	in := bufio.NewReaderSize(io.TeeReader(body, published), 64<<10)
	if begin, _ := in.Peek(2); !bytes.Equal(begin, []byte{0x1f, 0x8b}) { // RFC 1952 §2.3.1
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, brokenGzip(err)
	}
	return bufio.NewReaderSize(&counted{r: z, limit: most, over: errText}, 64<<10), nil
}

func brokenGzip(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("it is broken gzip: %w", err)
}

// archives are files with files inside. None is ever unpacked: a name in it could
// lead anywhere, and which of them would be the list?
var archives = []struct {
	at   int
	sign string
	kind string
}{
	{0, "PK\x03\x04", "a zip archive"}, {0, "PK\x05\x06", "a zip archive"},
	{257, "ustar", "a tar archive"}, // POSIX.1-1988 §10.1.1
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"}, {0, "Rar!", "a rar archive"},
	{0, "\xfd7zXZ\x00", "compressed with xz"}, {0, "BZh", "compressed with bzip2"}, {0, "\x28\xb5\x2f\xfd", "compressed with zstd"},
	{0, "\x1f\x8b", "compressed twice"}, {0, "%PDF-", "a PDF"},
}

// refuse looks at the beginning of a text for what is certainly no list.
func refuse(in *bufio.Reader, head http.Header) error {
	begin, err := in.Peek(1024)
	if err != nil && err != io.EOF {
		return err
	}
	for _, a := range archives {
		if len(begin) > a.at && bytes.HasPrefix(begin[a.at:], []byte(a.sign)) {
			return lasting("it is %s, which is not unpacked; the list itself is needed, as text or .gz", a.kind)
		}
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")))
	if len(text) == 0 && len(begin) < 1024 {
		return &Failure{Err: errEmpty}
	}
	why := syntax.Refuse(begin)
	if why == "" && bytes.HasPrefix(text, []byte("<")) && strings.HasPrefix(head.Get("Content-Type"), "text/html") {
		why = "it is a web page"
	}
	if why != "" {
		return lasting("%s, not a list; open the address in a browser to see what it says", why)
	}
	return nil
}
