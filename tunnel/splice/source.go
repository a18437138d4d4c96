package splice

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// source is one side of a spliced connection, read without holding a buffer
// while nothing is there: a phone keeps hundreds of idle connections open.
type source interface {
	// fill waits until something can be read and gives it in a pooled buffer,
	// which the caller puts back. An error comes without a buffer.
	fill(pool *sync.Pool) (buf *[]byte, n int, err error)
	// bound makes fill fail when nothing comes within d.
	bound(d time.Duration)
}

// phoneSource reads the stack's endpoint directly.
type phoneSource struct {
	c     *Phone
	limit atomic.Int64 // nanoseconds of silence allowed; 0: any
	timer *time.Timer

	patience time.Duration // of the next fill; 0: as limit says
}

func (s *phoneSource) bound(d time.Duration) { s.limit.Store(int64(d)) }

func (s *phoneSource) fill(pool *sync.Pool) (*[]byte, int, error) {
	for {
		buf := pool.Get().(*[]byte)
		w := tcpip.SliceWriter(*buf)
		res, err := s.c.ep.Read(&w, tcpip.ReadOptions{})
		if err == nil {
			s.c.ep.ModerateRecvBuf(res.Count)
			return buf, res.Count, nil
		}
		pool.Put(buf)
		switch err.(type) {
		case *tcpip.ErrWouldBlock:
			if err := s.wait(); err != nil {
				return nil, 0, err
			}
		case *tcpip.ErrClosedForReceive:
			return nil, 0, io.EOF
		default:
			return nil, 0, errors.New(err.String())
		}
	}
}

// wait sleeps until the endpoint has something or, when bounded, the time is
// over. The bound is looked at once in a while, as it may come later.
func (s *phoneSource) wait() error {
	limit, look := time.Duration(s.limit.Load()), halfCloseIdle
	if s.patience > 0 {
		limit, look = s.patience, s.patience
	}
	if s.timer == nil {
		s.timer = time.NewTimer(look)
		defer func() { s.timer.Stop(); s.timer = nil }()
	}
	select {
	case <-s.c.ready:
		return nil
	case <-s.timer.C:
		if limit > 0 {
			return os.ErrDeadlineExceeded
		}
		return nil // not bounded when it began to wait; look again
	}
}

// connSource reads an ordinary connection that cannot be waited on without a
// buffer: in tests, and on systems other than Unix.
type connSource struct {
	net.Conn
	limit atomic.Int64
}

func (s *connSource) bound(d time.Duration) {
	s.limit.Store(int64(d))
	s.SetReadDeadline(time.Now().Add(d))
}

func (s *connSource) fill(pool *sync.Pool) (*[]byte, int, error) {
	if d := time.Duration(s.limit.Load()); d > 0 {
		s.SetReadDeadline(time.Now().Add(d))
	}
	buf := pool.Get().(*[]byte)
	n, err := s.Read(*buf)
	if n > 0 {
		return buf, n, nil // an error comes again with the next read
	}
	pool.Put(buf)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, 0, err
}
