package compiled

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
)

// A file is a head, the blocks, the words and cells, the sums of the blocks, the
// classes, and what the lists keep beside their rules. Numbers are little-endian.
const (
	magic    = "nightlatch lists"
	version  = 1 // of the file; another one is not read
	headSize = 4096
)

// Parts of a file besides the blocks, in their order.
const (
	partWords = iota
	partCells
	partSums
	partClasses
	partMeta
	partCount
)

// head is the beginning of a file; its own checksum follows it.
type head struct {
	Magic   [16]byte
	Version uint32
	Records uint32 // blocks of records
	Blocks  uint32 // all blocks
	Classes uint32
	Homes   uint64
	Seed    uint64
	Size    int64 // of the file
	Parts   [partCount]struct {
		At, Size int64
		Sum      uint32
		_        uint32
	}
}

// ErrVersion says that a file was written by another version of the program.
var ErrVersion = fmt.Errorf("the compiled lists are of another version")

// Memory makes a Table in memory.
func (w *Writer) Memory() (*Table, error) {
	var raw bytes.Buffer
	t, err := w.assemble(&raw)
	if err != nil {
		return nil, err
	}
	t.raw = raw.Bytes()
	t.blocks = make([]atomic.Pointer[block], len(t.raw)/blockSize)
	for i := range t.blocks {
		t.blocks[i].Store((*block)(t.raw[i*blockSize:]))
	}
	return t, nil
}

// WriteFile writes the table to path, whole or not at all: the file is made beside
// it, brought to the disk and then given its name. meta gives what the lists keep
// beside their rules; it is called when the Counts are known.
func (w *Writer) WriteFile(path string, meta func() ([]byte, error)) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("compiled: %w", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("compiled: %s: %w", path, err)
		}
	}()
	if err := w.writeTo(f, meta); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil { // where folders can be synced, the new name is too
		_ = d.Sync()
		d.Close()
	}
	return nil
}

func (w *Writer) writeTo(f *os.File, meta func() ([]byte, error)) error {
	out := bufio.NewWriterSize(f, 256<<10)
	if _, err := out.Write(make([]byte, headSize)); err != nil {
		return err
	}
	t, err := w.assemble(out)
	if err != nil {
		return err
	}
	beside, err := meta()
	if err != nil {
		return err
	}
	h := head{Version: version, Records: uint32(t.records), Blocks: uint32(len(t.sums) / 4), Classes: uint32(len(t.classes)), Homes: t.homes, Seed: t.seed}
	copy(h.Magic[:], magic)
	var classes []byte
	for _, c := range t.classes {
		classes = binary.LittleEndian.AppendUint32(classes, c.list)
		classes = append(classes, c.flags, c.kind)
	}
	h.Size = headSize + int64(h.Blocks)*blockSize
	for i, b := range [partCount][]byte{t.words, t.cells, t.sums, classes, beside} {
		p := &h.Parts[i]
		p.At, p.Size, p.Sum = h.Size, int64(len(b)), crc32.Checksum(b, castagnoli)
		h.Size += p.Size
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	b, err := binary.Append(nil, binary.LittleEndian, &h)
	if err != nil {
		return err
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err = f.WriteAt(b, 0)
	return err
}

// Open maps a file that WriteFile made, and gives what the lists keep beside
// their rules. An error that is ErrDamaged or ErrVersion means that the file must
// be made anew. The Table lets go of the mapping when it is collected.
func Open(path string) (*Table, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("compiled: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("compiled: %w", err)
	}
	if st.Size() < headSize || !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("compiled: %s: %w: it is too short", path, ErrDamaged)
	}
	data, release, err := mapFile(f, st.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("compiled: %s: %w", path, err)
	}
	t, meta, err := Parse(data)
	if err != nil {
		if release != nil {
			release(data)
		}
		return nil, nil, fmt.Errorf("compiled: %s: %w", path, err)
	}
	if release != nil {
		runtime.AddCleanup(t, release, data)
	}
	return t, meta, nil
}

// Parse is Open for a file that is in memory; data must not change after it. All
// but the blocks is checked at once.
func Parse(data []byte) (*Table, []byte, error) {
	var h head
	n := binary.Size(&h)
	if len(data) < headSize || string(data[:len(magic)]) != magic {
		return nil, nil, fmt.Errorf("%w: it is no such file", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(data[len(magic):]); v != version {
		return nil, nil, fmt.Errorf("%w: %d, this program writes %d", ErrVersion, v, version)
	}
	if crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return nil, nil, fmt.Errorf("%w: its head does not fit its checksum", ErrDamaged)
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &h); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	part, err := h.split(data)
	if err != nil {
		return nil, nil, err
	}
	t := &Table{words: part[partWords], cells: part[partCells], homes: h.Homes, seed: h.Seed, records: int(h.Records), sums: part[partSums],
		raw: data[headSize : headSize+int64(h.Blocks)*blockSize], blocks: make([]atomic.Pointer[block], h.Blocks)}
	for c := part[partClasses]; len(c) >= 6; c = c[6:] {
		t.classes = append(t.classes, class{binary.LittleEndian.Uint32(c), c[4], c[5]})
	}
	for _, c := range t.classes {
		if c.list > math.MaxInt32 {
			return nil, nil, fmt.Errorf("%w: its lists", ErrDamaged)
		}
	}
	return t, bytes.Clone(part[partMeta]), nil
}

// split finds the parts of a file and checks that they are what was written.
func (h *head) split(data []byte) (part [partCount][]byte, err error) {
	size := int64(len(data))
	bad := fmt.Errorf("%w: its parts do not fit together", ErrDamaged)
	if h.Size != size || h.Records > h.Blocks || int64(h.Blocks)*blockSize > size-headSize {
		return part, bad
	}
	for i, p := range h.Parts {
		if p.At < headSize || p.Size < 0 || p.At > size || p.Size > size-p.At {
			return part, bad
		}
		part[i] = data[p.At : p.At+p.Size]
		if crc32.Checksum(part[i], castagnoli) != p.Sum {
			return part, fmt.Errorf("%w: part %d does not fit its checksum", ErrDamaged, i)
		}
	}
	buckets := uint64(len(part[partWords])) / wordSize
	if h.Homes == 0 || h.Homes > buckets || len(part[partWords])%wordSize != 0 || uint64(len(part[partCells])) != buckets*cellSize || len(part[partSums]) != int(h.Blocks)*4 || len(part[partClasses]) != int(h.Classes)*6 {
		return part, bad
	}
	return part, nil
}
