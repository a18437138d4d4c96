package lists

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/terminal"
)

const (
	quiet    = time.Second            // what is done within it needs no progress
	redraw   = 250 * time.Millisecond // on a terminal
	reprint  = 10 * time.Second       // in a log
	minShown = 100 * time.Millisecond // for a rate that means something
)

// meter shows how a download is getting on: on a terminal one line that
// changes, elsewhere a line every ten seconds.
type meter struct {
	out         io.Writer
	name        string
	begin       time.Time
	done, total atomic.Int64
	stop, ended chan struct{}
}

func startMeter(out io.Writer, name string) *meter {
	m := &meter{out: out, name: name, begin: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	m.total.Store(-1)
	go m.run(terminal.Width(out))
	return m
}

// heard is told of every piece that comes.
func (m *meter) heard(done, total int64) {
	m.done.Store(done)
	m.total.Store(total)
}

func (m *meter) run(width int) {
	defer close(m.ended)
	every := redraw
	if width == 0 {
		every = reprint
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	shown := false
	for {
		select {
		case <-m.stop:
			if shown && width > 0 {
				fmt.Fprint(m.out, "\r\x1b[K")
			}
			return
		case <-tick.C:
		}
		took := time.Since(m.begin)
		if took < quiet {
			continue
		}
		line := progress(m.name, m.done.Load(), m.total.Load(), took)
		if shown = true; width > 0 {
			fmt.Fprintf(m.out, "\r\x1b[K%s", line[:min(len(line), max(width-1, 0))])
		} else {
			fmt.Fprintln(m.out, line)
		}
	}
}

// end takes the line away.
func (m *meter) end() {
	close(m.stop)
	<-m.ended
}

// progress is the line: what has come, of how much, how fast.
func progress(name string, done, total int64, took time.Duration) string {
	line := fmt.Sprintf("%s: %s", name, cli.Bytes(uint64(done)))
	if done == 0 {
		return fmt.Sprintf("%s: waiting for the server, %s", name, took.Round(time.Second))
	}
	if total > 0 {
		line += fmt.Sprintf(" of %s (%d %%)", cli.Bytes(uint64(total)), done*100/total)
	}
	if took >= minShown {
		line += fmt.Sprintf(", %s/s", cli.Bytes(uint64(float64(done)/took.Seconds())))
	}
	return line
}
