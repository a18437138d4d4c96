package host

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// TimedOut: nobody answered.
func TimedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) ||
		errors.As(err, &ne) && ne.Timeout()
}

// Reason puts an error into the few words of the journal.
func Reason(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return ""
	case TimedOut(err):
		return "timed out"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.Canceled):
		return "ended by the gateway"
	}
	s := err.Error()
	return s[:min(len(s), 120)]
}

// Closed: the socket is gone, not merely unwell.
func Closed(err error) bool { return errors.Is(err, net.ErrClosed) }
