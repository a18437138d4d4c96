package splice

import (
	"net"
	"sync/atomic"
)

// Counted counts what is read from and written to a connection.
type Counted struct {
	net.Conn
	Up, Down *atomic.Int64 // read, written
}

// Read implements net.Conn.
func (c *Counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.Up.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *Counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.Down.Add(int64(n))
	return n, err
}

// CloseWrite half-closes where the connection can, as a server may.
func (c *Counted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
