package netstack

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"
	glog "gvisor.dev/gvisor/pkg/log"
)

const timeWait = 10 * time.Second

// Quiet sends gVisor's own log, which would go to standard error, to log at
// debug level: it names addresses that devices talk to. gVisor has one log for
// the whole process, so the last call wins. The first call must come before
// any stack runs and return before the second; later ones may come any time.
func Quiet(log *slog.Logger) {
	if e, again := glog.Log().Emitter.(*emitter); again {
		e.log.Store(log)
		return
	}
	e := new(emitter)
	e.log.Store(log)
	// Not SetTarget: it makes a new logger, and gVisor's rate-limited ones would
	// go on writing to the one they were made with.
	glog.Log().Emitter = e
}

type emitter struct{ log atomic.Pointer[slog.Logger] }

func (e *emitter) Emit(_ int, _ glog.Level, _ time.Time, format string, v ...any) {
	e.log.Load().Debug("gvisor", "line", line{format, v})
}

// WireGuardLog gives a WireGuard device a log that ends in log at debug level:
// its lines name keys and endpoints.
func WireGuardLog(log *slog.Logger) *device.Logger {
	f := func(format string, v ...any) { log.Debug("wireguard", "line", line{format, v}) }
	return &device.Logger{Verbosef: f, Errorf: f}
}

// line is formatted only when somebody reads it.
type line struct {
	format string
	args   []any
}

// LogValue implements [slog.LogValuer].
func (l line) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf(l.format, l.args...)) }
