// Package splice joins two ends of a TCP connection: a device's, which lives in
// the user-space stack, and a host socket. Ends, half-closes and failures are
// passed on as they are, and a connection that is idle holds no buffer.
package splice

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// BufferSize is one read of a busy connection, in bytes: the size of the
	// buffers in the pool.
	BufferSize = 64 << 10

	halfCloseIdle = 5 * time.Minute // a half-closed connection that moves nothing
)

// Options say how a connection is copied.
type Options struct {
	Buffers  *sync.Pool    // *[]byte of BufferSize bytes
	Up, Down *atomic.Int64 // payload bytes from and to the device

	// Tap, unless nil, is given what the device sent, after it was forwarded. Its
	// errors mean nothing.
	Tap io.Writer

	// Recovered is deferred in the goroutine that copies from the device.
	Recovered func(what string)
}

// Copy copies both ways until both sides have finished, one has failed or ctx
// ends; then ctx's cause is the error. One side's end is passed on as a
// half-close, a failure as a RST.
func Copy(ctx context.Context, phone *Phone, far net.Conn, o Options) error {
	reset := sync.OnceFunc(func() {
		if l, ok := far.(interface{ SetLinger(int) error }); ok {
			l.SetLinger(0)
		}
		far.Close()
		phone.Abort()
	})
	defer context.AfterFunc(ctx, reset)()
	up, down := &phoneSource{c: phone}, newSource(far)
	var upErr, downErr error
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer o.Recovered("tcp upload")
		if upErr = o.pump(far, up, o.Up, down, o.Tap); upErr != nil {
			reset()
		}
	}()
	if downErr = o.pump(phone, down, o.Down, up, nil); downErr != nil {
		reset()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, err := range []error{upErr, downErr} {
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// pump copies from src to dst until src ends, then half-closes dst and bounds
// the time that the other direction may still be silent.
func (o *Options) pump(dst net.Conn, src source, count *atomic.Int64, other source, tap io.Writer) error {
	for {
		buf, n, err := src.fill(o.Buffers)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			other.bound(halfCloseIdle)
			if w, ok := dst.(interface{ CloseWrite() error }); ok {
				w.CloseWrite() // a failure shows on the other direction
				return nil
			}
			return dst.Close()
		}
		_, err = dst.Write((*buf)[:n])
		if tap != nil && err == nil {
			tap.Write((*buf)[:n])
		}
		o.Buffers.Put(buf)
		if err != nil {
			return err
		}
		count.Add(int64(n))
	}
}
