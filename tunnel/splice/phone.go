package splice

import (
	"sync"

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
