package decoder

import (
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// container opens what begins with a magic number. Pictures and the like end
// the branch: there is nothing to peel in them, and noise to find.
func (p *peel) container(data []byte, at *walk.Step, whole bool) bool {
	if len(data) < 4 {
		return false
	}
	switch {
	case codec.IsGzip(data):
		return p.inflate("gzip", codec.Gzip, data, at)
	case codec.IsZlib(data):
		return p.inflate("zlib", codec.Zlib, data, at)
	case codec.IsZstd(data):
		return p.inflate("zstd", codec.Zstd, data, at)
	case codec.IsLZ4(data):
		return p.inflate("lz4f", codec.LZ4, data, at)
	case codec.IsSnappyFramed(data):
		return p.inflate("snappy_framed", codec.SnappyFramed, data, at)
	case walk.IsAvro(data):
		step := at.Begin("avro")
		walk.Avro(data, step, p.budget, p.leaf)
		p.keep(step, data)
		p.strings(data, at)
		return true
	case walk.IsBPlist(data):
		step := at.Begin("bplist")
		if end := walk.BPlist(data, step, p.leaf); end.TooDeep {
			p.flag("too-deep")
		} else if !end.OK {
			p.strings(data, at)
		}
		p.keep(step, data)
		return true
	case string(data[:4]) == "PK\x03\x04":
		return p.zip(data, at)
	case isTLS(data):
		p.flag("tls")
		if name := sni(data); name != "" {
			p.flag("sni=" + strings.ToLower(Safe(name)))
		}
		return true
	}
	if kind := media(data); kind != "" {
		p.flag(kind)
		if data[0] == 0xff { // JPEG: what the camera noted is no picture
			step := at.Begin("exif")
			if end := walk.Exif(data, step, p.leaf); end.Leaves > 0 {
				p.keep(step, data[:min(len(data), 64<<10)])
			}
		}
		return true
	}
	return false
}

type inflater func([]byte, *codec.Budget) (codec.Output, bool)

// inflate opens a compressed stream. A stream that is cut or damaged counts if
// it gave readable text before that.
func (p *peel) inflate(name string, run inflater, data []byte, at *walk.Step) bool {
	out, ok := run(data, p.budget)
	if out.Bomb {
		p.flag("bomb")
	}
	if !ok || len(out.Data) == 0 {
		if out.Truncated && len(data) > 32 {
			p.flag("truncated")
		}
		return out.Bomb
	}
	damaged := out.Broken || out.Truncated
	if damaged && !codec.Texty(out.Data) && len(out.Data) < 64 || damaged && name == "zlib" && len(out.Data) < 24 {
		return false // two bytes make the head of a zlib stream: chance does, too
	}
	if damaged {
		p.flag("truncated")
	}
	if out.BadChecksum {
		p.flag("bad-checksum")
	}
	p.layer(name, at, out.Data, true)
	return true
}

// media names what a magic number says is no text: the branch ends there.
func media(p []byte) string {
	for _, m := range []struct{ magic, flag string }{
		{"\xff\xd8\xff", "image"}, {"\x89PNG\r\n\x1a\n", "image"}, {"GIF87a", "image"}, {"GIF89a", "image"},
		{"II*\x00", "image"}, {"MM\x00*", "image"}, {"OggS", "audio"}, {"fLaC", "audio"}, {"ID3", "audio"},
		{"\x1aE\xdf\xa3", "video"}, {"%PDF-", "document"}, {"wOF2", "font"}, {"wOFF", "font"}, {"\x00\x01\x00\x00\x00", "font"},
		{"\x7fELF", "program"}, {"dex\n0", "program"},
	} {
		if strings.HasPrefix(string(p[:min(len(p), 8)]), m.magic) {
			return m.flag
		}
	}
	if len(p) >= 12 && string(p[:4]) == "RIFF" {
		return map[string]string{"WEBP": "image", "WAVE": "audio", "AVI ": "video"}[string(p[8:12])]
	}
	if len(p) >= 12 && string(p[4:8]) == "ftyp" {
		if brand := string(p[8:12]); brand == "heic" || brand == "avif" || brand == "mif1" {
			return "image"
		}
		return "video"
	}
	return ""
}
