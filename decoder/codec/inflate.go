package codec

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// Output is what a compressed stream gave. Data may be partial: a stream that
// is cut or damaged still gives what came before the damage.
type Output struct {
	Data        []byte
	Truncated   bool // the stream ends before its end mark
	BadChecksum bool // the data is whole, its checksum does not match
	Broken      bool // the stream is not valid after Data
	Bomb        bool // the ratio is that of a bomb; Data is its beginning
	Rest        int  // bytes of input that follow the stream
}

// Clean reports that the whole input was one valid stream.
func (o Output) Clean() bool {
	return !o.Truncated && !o.Broken && !o.Bomb && o.Rest == 0
}

// IsGzip reports the magic number of RFC 1952 §2.3.1 with the one method in use.
func IsGzip(p []byte) bool {
	return len(p) >= 10 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8 && p[3]&0xe0 == 0
}

// IsZlib reports a plausible header of RFC 1950 §2.2: method 8, a window that
// exists, the check bits, and no preset dictionary.
func IsZlib(p []byte) bool {
	return len(p) >= 6 && p[0]&0x0f == 8 && p[0]>>4 <= 7 && p[1]&0x20 == 0 &&
		(int(p[0])<<8|int(p[1]))%31 == 0
}

// IsContainer reports that p begins with a magic number of more than one byte
// that announces a stream or a file we open: gzip, zlib, zstd, LZ4 and Snappy
// frames, Avro, a binary property list, ZIP.
func IsContainer(p []byte) bool {
	return IsGzip(p) || len(p) > 16 && IsZlib(p) || IsZstd(p) || IsLZ4(p) || IsSnappyFramed(p) ||
		bytes.HasPrefix(p, []byte("Obj\x01")) || bytes.HasPrefix(p, []byte("bplist00")) || bytes.HasPrefix(p, []byte("PK\x03\x04"))
}

// IsZstd reports the magic number of RFC 8878 §3.1.1.
func IsZstd(p []byte) bool { return len(p) >= 8 && string(p[:4]) == "\x28\xb5\x2f\xfd" }

// Gzip inflates one or more members (RFC 1952 §2.2).
func Gzip(p []byte, b *Budget) (Output, bool) {
	src := bytes.NewReader(p)
	var err error
	if b.gzip == nil {
		b.gzip, err = gzip.NewReader(src)
	} else {
		err = b.gzip.Reset(src)
	}
	if err != nil {
		b.gzip = nil
		return Output{Truncated: errors.Is(err, io.ErrUnexpectedEOF)}, false
	}
	return drain(&members{b.gzip, src, p}, src, b)
}

// members reads one gzip member after another. What follows the last and is
// none is left alone, as gzip(1) does.
type members struct {
	r   *gzip.Reader
	src *bytes.Reader
	p   []byte
}

// Read reads on, across the ends of members.
func (m *members) Read(p []byte) (int, error) {
	m.r.Multistream(false)
	n, err := m.r.Read(p)
	if err == io.EOF && n > 0 {
		return n, nil // it says so again
	}
	if err != io.EOF || !IsGzip(m.p[len(m.p)-m.src.Len():]) {
		return n, err
	}
	if err := m.r.Reset(m.src); err != nil {
		return 0, err
	}
	return 0, nil
}

// Zlib inflates a zlib stream (RFC 1950).
func Zlib(p []byte, b *Budget) (Output, bool) {
	src := bytes.NewReader(p)
	var err error
	if b.zlib == nil {
		b.zlib, err = zlib.NewReader(src)
	} else {
		err = b.zlib.(zlib.Resetter).Reset(src, nil)
	}
	if err != nil {
		b.zlib = nil
		return Output{}, false
	}
	return drain(b.zlib, src, b)
}

// Deflate inflates a raw deflate stream (RFC 1951).
func Deflate(p []byte, b *Budget) (Output, bool) {
	src := bytes.NewReader(p)
	if b.deflate == nil {
		b.deflate = flate.NewReader(src)
	} else if err := b.deflate.(flate.Resetter).Reset(src, nil); err != nil {
		return Output{}, false
	}
	return drain(b.deflate, src, b)
}

// Brotli inflates a brotli stream (RFC 7932). The window its header asks for
// is charged as work, because the library allocates it.
func Brotli(p []byte, b *Budget) (Output, bool) {
	if len(p) == 0 || !b.Take(brotliWindow(p[0])>>4) {
		return Output{}, false
	}
	src := bytes.NewReader(p)
	return drain(brotli.NewReader(src), src, b)
}

// brotliWindow gives the sliding window by the first byte (RFC 7932 §9.1).
func brotliWindow(c byte) int {
	switch {
	case c&1 == 0:
		return 1 << 16
	case c&0x0e != 0:
		return 1 << (17 + (c >> 1 & 7))
	case c&0x70 == 0x10 || c&0x70 == 0:
		return 1 << 17
	}
	return 1 << (8 + (c >> 4 & 7))
}

// zstdWindow bounds the window a zstd frame may ask for; RFC 8878 §3.1.1.1.2
// wants decoders to support 8 MiB, phones use 2 MiB and less.
const zstdWindow = 4 << 20

// Zstd inflates zstd frames (RFC 8878). The window its header asks for is
// charged as work, because the library allocates it; one that is too large
// counts as a spent budget.
func Zstd(p []byte, b *Budget) (Output, bool) {
	var h zstd.Header
	err := h.Decode(p)
	if err == nil && h.HasFCS && h.FrameContentSize > bombFrom && h.FrameContentSize/bombRatio > uint64(len(p)) {
		return Output{Bomb: true}, true // it says so itself
	}
	if err != nil || !b.Take(64<<10+int(min(h.WindowSize, zstdWindow))) {
		return Output{}, false
	}
	src := bytes.NewReader(p)
	r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return Output{}, false
	}
	defer r.Close()
	return drain(r, src, b)
}

// drain reads r until its end, its damage, the end of the budget or the
// discovery of a bomb. It reports false when not one byte came out of a
// stream that was not even well formed.
func drain(r io.Reader, src *bytes.Reader, b *Budget) (Output, bool) {
	var out Output
	size := int(src.Size())
	buf := make([]byte, 0, min(max(512, 3*size), 64<<10))
	for {
		buf = room(buf, 1)
		n, err := r.Read(buf[len(buf):min(cap(buf), len(buf)+b.Inflate, len(buf)+64<<10)])
		buf = buf[:len(buf)+n]
		b.Inflate -= n
		b.Work -= min(n, b.Work)
		used := size - src.Len()
		if len(buf) > bombFrom && len(buf)/bombRatio > used {
			out.Bomb = true
			buf = bytes.Clone(buf[:bombKeep])
			break
		}
		if err != nil {
			out.close(err)
			b.Spent = b.Spent || errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
			break
		}
		if b.Inflate == 0 {
			b.Spent = true
			break
		}
	}
	out.Data, out.Rest = buf, src.Len()
	return out, len(buf) > 0 || !out.Broken && !out.Truncated
}

// room gives dst with place for n more bytes; it doubles, so that all the
// copies together stay below twice the result.
func room(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	out := make([]byte, len(dst), max(2*cap(dst), len(dst)+n, 512))
	copy(out, dst)
	return out
}

// close reads the error a stream ended with.
func (o *Output) close(err error) {
	switch {
	case errors.Is(err, io.EOF):
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		o.BadChecksum = true
	case errors.Is(err, io.ErrUnexpectedEOF):
		o.Truncated = true
	default:
		o.Broken = true
	}
}
