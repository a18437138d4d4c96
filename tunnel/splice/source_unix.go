//go:build unix

package splice

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// newSource reads a host connection.
func newSource(c net.Conn) source {
	if sc, ok := c.(*net.TCPConn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s := &hostSource{conn: c, raw: raw}
			s.try = s.read
			return s
		}
	}
	return &connSource{Conn: c}
}

// hostSource reads a socket in the moment the kernel says there is something,
// so that a waiting connection holds no buffer. One goroutine fills it.
type hostSource struct {
	conn  net.Conn
	raw   syscall.RawConn
	limit atomic.Int64
	try   func(fd uintptr) bool // s.read, made once

	pool *sync.Pool
	buf  *[]byte
	n    int
	err  error
}

func (s *hostSource) bound(d time.Duration) {
	s.limit.Store(int64(d))
	s.conn.SetReadDeadline(time.Now().Add(d))
}

func (s *hostSource) fill(pool *sync.Pool) (*[]byte, int, error) {
	if d := time.Duration(s.limit.Load()); d > 0 {
		s.conn.SetReadDeadline(time.Now().Add(d))
	}
	s.pool, s.buf, s.n, s.err = pool, nil, 0, nil
	err := s.raw.Read(s.try)
	if s.err != nil {
		err = s.err
	}
	if err == nil && s.n == 0 {
		err = io.EOF
	}
	if err != nil {
		if s.buf != nil {
			pool.Put(s.buf)
		}
		return nil, 0, err
	}
	return s.buf, s.n, nil
}

// read is called when the socket may have something; false waits.
func (s *hostSource) read(fd uintptr) bool {
	s.buf = s.pool.Get().(*[]byte)
	for {
		s.n, s.err = unix.Read(int(fd), *s.buf)
		if s.err != unix.EINTR {
			break
		}
	}
	if s.err == unix.EAGAIN {
		s.pool.Put(s.buf)
		s.buf, s.n, s.err = nil, 0, nil
		return false
	}
	return true
}
