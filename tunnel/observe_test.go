package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"nightlatch/policy"
)

// gathered is a reader-along that fails at every write.
type gathered struct {
	mu     sync.Mutex
	text   bytes.Buffer
	closed bool
}

func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text.Write(p)
	return 0, errors.New("cannot")
}

func (g *gathered) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}

// TestObserve: an observed flow reaches its server and comes back unaltered,
// half-closes included, and whoever reads along sees what the device sent and
// nothing of the answer, and cannot break it.
func TestObserve(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c) // ends only when the half-close arrives
		c.Write(bytes.ToUpper(b))
	}()
	var g gathered
	flows := make(chan policy.Flow, 1)
	r := newTunedRig(t, 1, func(o *Options) {
		o.Handlers.Observe = func(_ context.Context, f policy.Flow) io.WriteCloser { flows <- f; return &g }
		o.Handlers.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		}
	}, func(n *Tunnel) {
		n.decide = func(policy.Flow, time.Time) policy.Verdict { return policy.Verdict{Action: policy.Observe} }
	})
	c, err := r.connect(t, 0).DialContext(within(t, patience), "tcp", site4+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	sent := strings.Repeat("get ", 50_000)
	io.WriteString(c, sent)
	c.(interface{ CloseWrite() error }).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != strings.ToUpper(sent) {
		t.Errorf("%d bytes back, %v", len(b), err)
	}
	if f := <-flows; f.Name != "example.com" || f.Device.Name != "phone0" {
		t.Errorf("%+v", f)
	}
	eventually(t, "the end of the tap", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.closed
	})
	if g.text.String() != sent {
		t.Errorf("%d bytes seen", g.text.Len())
	}
}
