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

// errPanic: the copying ended in the middle, see [Options.Recovered].
var errPanic = errors.New("internal error")

// Options say how a connection is copied.
type Options struct {
	Buffers  *sync.Pool    // *[]byte of BufferSize bytes
	Up, Down *atomic.Int64 // payload bytes from and to the device

	// First, unless nil, is shown what the device sends until it wants no more,
	// which must not take many bytes: meanwhile they are kept back, though no byte
	// for longer than Hold. An error ends the connection with a RST.
	First func(b []byte) (more bool, err error)
	Hold  time.Duration

	// Tap, unless nil, is called when First wants no more, or Hold is over. What
	// it gives, unless nil, is given what the device sends from then on, after it was
	// forwarded; its errors mean nothing.
	Tap func() io.Writer

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
		upErr = errPanic
		defer func() {
			if upErr != nil {
				reset()
			}
		}()
		defer o.Recovered("tcp upload")
		tap, err := o.begin(far, up)
		if upErr = err; err == nil {
			upErr = o.pump(far, up, o.Up, down, tap)
		}
	}()
	if downErr = o.pump(phone, down, o.Down, up, nil); downErr != nil {
		reset()
	}
	wg.Wait() // the device's side says why, where both failed
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

// begin shows First what comes, and passes it on. An error of src is left for
// pump, which meets it again.
func (o *Options) begin(dst io.Writer, src *phoneSource) (tap io.Writer, err error) {
	var held []byte
	var since time.Time
	pass := func(b []byte) error {
		if tap == nil && o.Tap != nil {
			tap, o.Tap = o.Tap(), nil
		}
		return o.write(dst, b, o.Up, tap)
	}
	for more := o.First != nil; more; {
		if src.patience = 0; len(held) > 0 {
			src.patience = max(o.Hold-time.Since(since), time.Millisecond)
		}
		buf, n, err := src.fill(o.Buffers)
		switch {
		case err != nil && len(held) > 0: // it is late, or over: what has come must not be lost
			if err := pass(held); err != nil {
				return tap, err
			}
			held = nil
			continue
		case err != nil:
			more = false
			continue
		}
		if len(held) == 0 {
			since = time.Now()
		}
		more, err = o.First((*buf)[:n])
		switch {
		case err != nil:
		case more:
			held = append(held, (*buf)[:n]...)
		default:
			if len(held) > 0 {
				err, held = pass(held), nil
			}
			if err == nil {
				err = pass((*buf)[:n])
			}
		}
		o.Buffers.Put(buf)
		if err != nil {
			return tap, err
		}
	}
	src.patience = 0
	if tap == nil && o.Tap != nil {
		tap = o.Tap()
	}
	return tap, nil
}

// write forwards and counts.
func (o *Options) write(dst io.Writer, b []byte, count *atomic.Int64, tap io.Writer) error {
	_, err := dst.Write(b)
	if err != nil {
		return err
	}
	if tap != nil {
		tap.Write(b)
	}
	count.Add(int64(len(b)))
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
		err = o.write(dst, (*buf)[:n], count, tap)
		o.Buffers.Put(buf)
		if err != nil {
			return err
		}
	}
}
