package decoder

import (
	"bytes"
	"encoding/binary"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// maxFiles bounds the files of one archive; logs are sent by the handful.
const maxFiles = 64

// zip opens the files of a ZIP archive (APPNOTE.TXT §4.3.7), stored or deflated,
// by their local headers: an archive that was cut has no directory. What is
// encrypted or compressed otherwise is passed over.
func (p *peel) zip(data []byte, at *walk.Step) bool {
	step, rest, files := at.Begin("zip"), data, 0
	for ; files < maxFiles && len(rest) > 30 && string(rest[:4]) == "PK\x03\x04"; files++ {
		flags, method := binary.LittleEndian.Uint16(rest[6:]), binary.LittleEndian.Uint16(rest[8:])
		size := int(binary.LittleEndian.Uint32(rest[18:]))
		name, extra := int(binary.LittleEndian.Uint16(rest[26:])), int(binary.LittleEndian.Uint16(rest[28:]))
		if 30+name+extra > len(rest) {
			break
		}
		file := step.Child(string(rest[30:30+min(name, 256)]), -1)
		body := rest[30+name+extra:]
		streamed := flags&8 != 0 && size == 0 // its size stands behind it
		if size > len(body) {
			p.flag("truncated")
			size = len(body)
		}
		switch {
		case flags&1 != 0:
			p.flag("encrypted")
		case method == 8:
			out, ok := codec.Deflate(body, p.budget)
			if out.Bomb {
				p.flag("bomb")
				return true
			}
			if size = len(body) - out.Rest; ok && len(out.Data) > 0 {
				p.keep(file, out.Data)
				p.descend(out.Data, file, false)
			}
		case method == 0 && !streamed:
			p.descend(body[:size], file, false)
		}
		if rest = body[size:]; streamed {
			next := bytes.Index(rest[:min(len(rest), 64)], []byte("PK\x03\x04"))
			rest = rest[max(next, 0):]
		}
	}
	return files > 0
}
