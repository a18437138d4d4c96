package splice

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Phone is a device's end of a connection. Besides being a net.Conn it can be
// waited on without a buffer. It must be closed.
type Phone struct {
	*gonet.TCPConn
	ep    tcpip.Endpoint
	wq    *waiter.Queue
	entry waiter.Entry
	ready <-chan struct{}
	once  sync.Once
}

// NewPhone takes over an endpoint of the stack whose handshake is complete.
func NewPhone(wq *waiter.Queue, ep tcpip.Endpoint) *Phone {
	c := &Phone{TCPConn: gonet.NewTCPConn(wq, ep), ep: ep, wq: wq}
	c.entry, c.ready = waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&c.entry)
	return c
}

// Abort ends the connection with a RST.
func (c *Phone) Abort() {
	c.ep.Abort()
	c.Close()
}

// Close ends the connection; what was written is still sent.
func (c *Phone) Close() error {
	var err error
	c.once.Do(func() {
		c.wq.EventUnregister(&c.entry)
		err = c.TCPConn.Close()
	})
	return err
}

const giveUpAgain = 10 * time.Millisecond

// GiveUp ends a handshake that waits for the phone. The stack has no door for
// that, but whenever the queue is woken it looks, and a handshake that is not
// complete then is given up. Waking it again covers a stack that was not
// listening yet. It returns when done is closed.
func GiveUp(wq *waiter.Queue, done <-chan struct{}) {
	again := time.NewTicker(giveUpAgain)
	defer again.Stop()
	for {
		wq.Notify(waiter.WritableEvents)
		select {
		case <-done:
			return
		case <-again.C:
		}
	}
}
