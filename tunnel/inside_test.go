package tunnel

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestInsideShare: one device cannot hold every connection of the gateway's
// own pages; one that ends makes room.
func TestInsideShare(t *testing.T) {
	r := newRig(t, 1, nil)
	phone := r.connect(t, 0)
	l, err := r.ListenTCP(netip.AddrPortFrom(gateway4, 80))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted := make(chan net.Conn, 2*insideConns)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := phone.DialContext(ctx, "tcp", netip.AddrPortFrom(gateway4, 80).String())
		if err != nil {
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first := dial()
	ours := <-accepted
	for range insideConns - 1 {
		dial()
		<-accepted
	}
	if c := dial(); c != nil { // the stack shakes hands before we may refuse
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection over the share was served")
		}
	}
	if n := len(accepted); n != 0 {
		t.Errorf("%d connections over the share", n)
	}
	first.Close()
	ours.Close()
	if c := dial(); c == nil {
		t.Fatal("no connection after one ended")
	}
	select {
	case <-accepted:
	case <-time.After(5 * time.Second):
		t.Error("one that ended made no room")
	}
}
