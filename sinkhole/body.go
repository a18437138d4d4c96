package sinkhole

import (
	"io"
	"time"
)

// readChunk is how much of a payload is read at a time.
const readChunk = 32 << 10

// body is what was received of one payload.
type body struct {
	sample []byte // the beginning, as much as is kept for decoding
	size   int64  // bytes received
	cut    bool   // more came than the sink reads, or than is kept
	err    error  // why it ended before its end; nil for a whole payload
	held   int64  // bytes taken from the shared budget, to be given back
}

// readBody reads a payload to its end, its bounds or its timeouts, and keeps
// the beginning. before is called ahead of every read with the moment at
// which the read should give up.
func (s *Sinkhole) readBody(r io.Reader, idle time.Duration, before func(time.Time)) (b body) {
	buf := s.chunk()
	defer s.buffers.Put(buf)
	end := time.Now().Add(s.limits.Body)
	for {
		by := time.Now().Add(idle)
		if by.After(end) {
			by = end
		}
		before(by)
		n, err := r.Read(*buf)
		b.size += int64(n)
		s.keep(&b, (*buf)[:n])
		switch {
		case err == io.EOF:
			return b
		case err != nil:
			b.err = err
			return b
		case b.size >= s.limits.Drain:
			b.err, b.cut = errCut, true
			return b
		}
	}
}

// keep adds to the sample what its own bound and the budget of all samples allow.
func (s *Sinkhole) keep(b *body, p []byte) {
	n := min(int64(len(p)), s.limits.Sample-int64(len(b.sample)))
	if over := s.memory.Add(n) - s.limits.Memory; over > 0 {
		back := min(over, n)
		s.memory.Add(-back)
		n -= back
	}
	b.sample = append(b.sample, p[:n]...)
	b.held += n
	if n < int64(len(p)) && !b.cut {
		b.cut = true
		s.counts.cut.Add(1)
	}
}

// free gives the sample's bytes back to the budget.
func (s *Sinkhole) free(b body) { s.memory.Add(-b.held) }

// chunk takes a read buffer from the pool.
func (s *Sinkhole) chunk() *[]byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, readChunk)
	return &b
}
