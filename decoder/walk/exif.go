package walk

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Limits of the notes a camera writes into a picture.
const (
	maxSegments = 64  // of a JPEG before its picture data
	maxEntries  = 200 // of one directory
)

// exif is a walk over the notes of a JPEG picture (Exif 2.32, CIPA DC-008): TIFF
// directories of tags. Only those that tell of a person or a phone are given.
type exif struct {
	p     []byte // the TIFF part; offsets count from its beginning
	order binary.ByteOrder
	at    *Step
	visit Visitor
	end   *End
}

// Exif walks the notes of a JPEG picture: the phone's model and serial number,
// and the place where the picture was taken, in degrees. A picture without
// notes gives no leaf.
func Exif(p []byte, at *Step, visit Visitor) End {
	end := End{Used: len(p)}
	w := exif{at: at, visit: visit, end: &end}
	if w.p = exifSegment(p); len(w.p) < 8 {
		return end
	}
	switch string(w.p[:4]) {
	case "II*\x00":
		w.order = binary.LittleEndian
	case "MM\x00*":
		w.order = binary.BigEndian
	default:
		return end
	}
	end.OK = w.directory(w.order.Uint32(w.p[4:]), 0)
	return end
}

// exifSegment finds the segment that holds the notes.
func exifSegment(p []byte) []byte {
	for i, n := 2, 0; n < maxSegments && i+4 <= len(p) && p[i] == 0xff; n++ {
		size := int(p[i+2])<<8 | int(p[i+3])
		if size < 2 || i+2+size > len(p) || p[i+1] == 0xda {
			return nil
		}
		body := p[i+4 : i+2+size]
		if notes, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && p[i+1] == 0xe1 {
			return notes
		}
		i += 2 + size
	}
	return nil
}

// entry is one tag of a directory.
type entry struct {
	tag, kind uint16
	count     uint32
	value     []byte // where the value stands; nil outside the notes
}

// directory reads a directory and those it points to.
func (w *exif) directory(at uint32, depth int) bool {
	var place [5]entry
	for _, e := range w.entries(at) {
		switch {
		case e.tag == 0x8769 || e.tag == 0x8825: // Exif and GPS
			if depth < 1 && len(e.value) >= 4 && !w.directory(w.order.Uint32(e.value), depth+1) {
				return false
			}
		case depth > 0 && e.tag < uint16(len(place)):
			place[e.tag] = e
		default:
			if name := exifName(e.tag); name != "" && e.kind == 2 && !w.text(name, e) {
				return false
			}
		}
	}
	return w.coordinate("latitude", place[1], place[2]) && w.coordinate("longitude", place[3], place[4])
}

func exifName(tag uint16) string {
	switch tag {
	case 0x0110:
		return "model"
	case 0x013b, 0xa430:
		return "owner"
	case 0xa431:
		return "serial_number"
	case 0x010e:
		return "description"
	}
	return ""
}

// entries gives the tags of a directory whose values are there.
func (w *exif) entries(at uint32) []entry {
	if uint64(at)+2 > uint64(len(w.p)) {
		return nil
	}
	n := int(w.order.Uint16(w.p[at:]))
	rest := w.p[at+2:]
	var out []entry
	for range min(n, maxEntries) {
		if len(rest) < 12 {
			break
		}
		e := entry{tag: w.order.Uint16(rest), kind: w.order.Uint16(rest[2:]), count: w.order.Uint32(rest[4:]), value: rest[8:12]}
		sizes := [...]uint64{0, 1, 1, 2, 4, 8}
		if rest = rest[12:]; int(e.kind) < len(sizes) {
			if size := sizes[e.kind] * uint64(e.count); size > 4 {
				from := uint64(w.order.Uint32(e.value))
				if from > uint64(len(w.p)) || size > uint64(len(w.p))-from {
					continue
				}
				e.value = w.p[from : from+size]
			}
			out = append(out, e)
		}
	}
	return out
}

func (w *exif) text(name string, e entry) bool {
	text, _, _ := bytes.Cut(e.value[:min(len(e.value), int(e.count))], []byte{0})
	return w.end.leaf(Leaf{At: w.at.Child(name, -1), Value: bytes.TrimSpace(text)}, w.visit)
}

// coordinate turns degrees, minutes and seconds, three fractions, into degrees.
func (w *exif) coordinate(name string, ref, e entry) bool {
	if e.kind != 5 || e.count != 3 || len(e.value) < 24 || len(ref.value) == 0 {
		return true
	}
	var sum float64
	for i, unit := range []float64{1, 60, 3600} {
		above, below := w.order.Uint32(e.value[8*i:]), w.order.Uint32(e.value[8*i+4:])
		if below == 0 {
			return true
		}
		sum += float64(above) / float64(below) / unit
	}
	text := strconv.FormatFloat(sum, 'f', 6, 64)
	if strings.ContainsRune("SWsw", rune(ref.value[0])) {
		text = "-" + text
	}
	return w.end.leaf(Leaf{At: w.at.Child(name, -1), Value: []byte(text), Number: true}, w.visit)
}
