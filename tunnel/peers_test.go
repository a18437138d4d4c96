package tunnel

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/fold"
	"nightlatch/tunnel/phone"
)

// stream is an open connection through the tunnel that can be tried.
type stream struct{ net.Conn }

func open(t *testing.T, p *phone.Phone) stream {
	t.Helper()
	c, err := p.DialContext(within(t, patience), "tcp", site4+":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := stream{c}
	if err := s.try(); err != nil {
		t.Fatal(err)
	}
	return s
}

// try asks and reads one answer of the web server on the open connection.
func (s stream) try() error {
	s.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	b := make([]byte, 1000)
	n, err := s.Read(b)
	if err == nil && !strings.Contains(string(b[:n]), "200 OK") {
		return fmt.Errorf("%q", b[:n])
	}
	return err
}

func (r *rig) status(t *testing.T, name string) PeerStatus {
	t.Helper()
	for _, s := range r.Peers() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no device %s", name)
	return PeerStatus{}
}

// TestSetPeers: others come and go; who stays notices nothing, who leaves
// loses everything at once.
func TestSetPeers(t *testing.T) {
	r := newRig(t, 3, nil)
	stays, leaves := open(t, r.connect(t, 0)), open(t, r.connect(t, 1))
	before := r.status(t, "phone0")
	if before.Endpoint == "" || before.LastHandshake.IsZero() || before.Rx == 0 || before.Tx == 0 || before.Flows != 1 {
		t.Errorf("status: %+v", before)
	}
	if n := r.net.open.Load(); n != 2 {
		t.Fatalf("%d host connections", n)
	}
	if err := r.SetPeers([]Peer{r.peer(0), r.peer(2)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host connection of the removed device is closed", func() bool { return r.net.open.Load() == 1 })
	eventually(t, "its flow is in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool { return f.Device == "phone1" && f.Err == "ended by the gateway" })) == 1
	})
	if err := stays.try(); err != nil {
		t.Errorf("who stays: %v", err)
	}
	if after := r.status(t, "phone0"); !after.LastHandshake.Equal(before.LastHandshake) {
		t.Error("who stays had to shake hands again")
	}
	leaves.SetDeadline(time.Now().Add(200 * time.Millisecond))
	leaves.Write([]byte("x"))
	if n, err := leaves.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the removed device still gets data")
	}
	cfg, _ := phone.Parse(r.confOf(1))
	if _, err := phone.Connect(within(t, 200*time.Millisecond), cfg, nil); err == nil {
		t.Error("the removed device connects")
	}
	r.connect(t, 2)
}

// TestRekey: a new pre-shared key, or new addresses, end what the old ones had.
func TestRekey(t *testing.T) {
	r := newRig(t, 2, nil)
	stays := open(t, r.connect(t, 0))
	for _, change := range []func(*Peer){
		func(p *Peer) { p.PresharedKey[5] ^= 1 },
		func(p *Peer) { p.Device.Addrs = []netip.Addr{netip.MustParseAddr("10.88.0.77")} },
	} {
		p := r.connect(t, 1)
		open(t, p)
		peer := r.peer(1)
		change(&peer)
		if err := r.SetPeers([]Peer{r.peer(0), peer}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the old flows end", func() bool { return r.net.open.Load() == 1 })
		p.Close()
		if err := r.SetPeers([]Peer{r.peer(0), r.peer(1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stays.try(); err != nil {
		t.Errorf("the other device: %v", err)
	}
}

// TestRename: a new name or keepalive is no reason to lose anything.
func TestRename(t *testing.T) {
	r := newRig(t, 1, nil)
	s := open(t, r.connect(t, 0))
	peer := r.peer(0)
	peer.Device.Name, peer.Keepalive = "redmi", 25*time.Second
	if err := r.SetPeers([]Peer{peer}); err != nil {
		t.Fatal(err)
	}
	if err := s.try(); err != nil {
		t.Error(err)
	}
	if st := r.status(t, "redmi"); st.Flows != 1 {
		t.Errorf("%+v", st)
	}
}

func TestBadPeers(t *testing.T) {
	r := newRig(t, 2, nil)
	s := open(t, r.connect(t, 0))
	with := func(change func(*Peer)) []Peer {
		second := r.peer(1)
		change(&second)
		return []Peer{r.peer(0), second}
	}
	addr := func(a string) func(*Peer) {
		return func(p *Peer) { p.Device.Addrs = []netip.Addr{netip.MustParseAddr(a)} }
	}
	for want, peers := range map[string][]Peer{
		`devices "phone0" and "phone1" have the same address 10.88.0.2`: with(addr("10.88.0.2")),
		`devices "phone0" and "phone1" have the same public key`:        with(func(p *Peer) { p.Device.Key = r.phones[0].public }),
		`device "phone1": address 10.88.0.1: belongs to the gateway`:    with(addr("10.88.0.1")),
		`device "phone1": address 10.99.0.1: belongs to the sinkhole`:   with(addr("10.99.0.1")),
		`device "phone1": address 10.1.0.1: outside the tunnel's`:       with(addr("10.1.0.1")),
		`device "phone1": address ::ffff:10.88.0.9: not a plain`:        with(addr("::ffff:10.88.0.9")),
		`device "phone1" has no address`:                                with(func(p *Peer) { p.Device.Addrs = nil }),
		`device "phone1" has no public key`:                             with(func(p *Peer) { p.Device.Key = [32]byte{} }),
	} {
		if err := r.SetPeers(peers); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := s.try(); err != nil {
		t.Errorf("after refused changes: %v", err)
	}
}

// TestRoaming: the phone changes its network; its connections live on.
func TestRoaming(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	s := open(t, p)
	before := r.status(t, "phone0").Endpoint
	if err := p.Roam(); err != nil {
		t.Fatal(err)
	}
	if err := s.try(); err != nil {
		t.Fatal(err)
	}
	if after := r.status(t, "phone0").Endpoint; after == before {
		t.Errorf("still at %s", after)
	}
}

// TestSpoof: a packet with another's source never reaches the handlers.
func TestSpoof(t *testing.T) {
	r := newRig(t, 2, nil)
	p := r.connect(t, 0)
	own, other := deviceOf(r.phones[0], 0).Addrs[0], deviceOf(r.phones[1], 1).Addrs[0]
	dst := netip.MustParseAddrPort("8.8.8.8:53")
	for _, src := range []netip.Addr{other, gateway4, netip.MustParseAddr("8.8.4.4"), own} {
		p.Inject(udpPacket(netip.AddrPortFrom(src, 5555), dst, query(1)))
	}
	if f := <-r.net.asked; f.Src.Addr() != own || f.Device.Name != "phone0" { // the last one is honest
		t.Errorf("the handler saw %v as %s", f.Src, f.Device.Name)
	}
	if len(r.net.asked) != 0 {
		t.Error("and more")
	}
}

// udpPacket is an IPv4 packet without checksums where they are optional.
func udpPacket(src, dst netip.AddrPort, payload []byte) []byte {
	n := 28 + len(payload)
	b := []byte{0x45, 0, byte(n >> 8), byte(n), 0, 1, 0, 0, 64, 17, 0, 0}
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	sum = sum>>16 + sum&0xffff
	b[10], b[11] = byte(^sum>>8), byte(^sum)
	b = append(b, byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port()), byte((n-20)>>8), byte(n-20), 0, 0)
	return append(b, payload...)
}

// TestGarbage: what is thrown at the WireGuard port is met with silence, and
// the devices do not notice.
func TestGarbage(t *testing.T) {
	r := newRig(t, 1, nil)
	s := open(t, r.connect(t, 0))
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", r.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 2000 {
		b := make([]byte, i%200)
		for j := range b {
			b[j] = byte(i * (j + 7))
		}
		if len(b) > 4 {
			copy(b, []byte{byte(i % 6), 0, 0, 0}) // WireGuard's message types
		}
		c.Write(b)
	}
	if err := s.try(); err != nil {
		t.Error(err)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 100)); err == nil {
		t.Errorf("a stranger got %d bytes", n)
	}
}

// TestPanic: a handler that panics costs one flow and an error in the log.
func TestPanic(t *testing.T) {
	r := newRig(t, 1, func(o *Options) {
		dns, name := o.Handlers.DNS, o.Handlers.NameOf
		o.Handlers.Sink = func(_ ctxT, _ policy.Flow, _ net.Conn) { panic("sink") }
		o.Handlers.DNS = func(ctx ctxT, f policy.Flow, network string, wire []byte) []byte {
			if f.Dst.Addr().String() == "6.6.6.6" {
				panic("dns")
			}
			return dns(ctx, f, network, wire)
		}
		o.Handlers.NameOf = func(d policy.Device, a netip.Addr) (string, bool) {
			if a.String() == "6.6.6.6" {
				panic("name")
			}
			return name(d, a)
		}
	})
	p := r.connect(t, 0)
	if c, err := p.DialContext(within(t, patience), "tcp", "10.99.0.7:80"); err == nil {
		c.SetDeadline(time.Now().Add(patience))
		io.ReadAll(c)
		c.Close()
	}
	p.DialContext(within(t, patience), "tcp", "6.6.6.6:80")
	u, err := p.DialContext(within(t, patience), "udp", "6.6.6.6:80")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.Write([]byte("x"))
	p.Exchange(within(t, 100*time.Millisecond), "udp", netip.MustParseAddrPort("6.6.6.6:53"), query(1))
	eventually(t, "four panics caught", func() bool { return r.Stats().Panics == 4 })
	if _, err := p.Exchange(within(t, patience), "udp", netip.MustParseAddrPort("8.8.8.8:53"), query(2)); err != nil {
		t.Error(err)
	}
}

// TestFold: an app that is refused a thousand times makes one entry, and one
// more that counts the rest.
func TestFold(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	for range 50 {
		p.DialContext(within(t, patience), "tcp", "192.168.1.1:80")
	}
	refused := func() int {
		return len(r.rec.flows(func(f journal.Flow) bool { return f.Dst.String() == "192.168.1.1:80" }))
	}
	if refused() != 1 || r.Stats().Refused != 50 || r.Stats().Folded != 49 {
		t.Errorf("%d entries, %+v", refused(), r.Stats())
	}
	r.sweep(time.Now().Add(fold.Time + time.Second))
	if refused() != 2 {
		t.Errorf("%d entries after the minute", refused())
	}
	last := r.rec.flows(func(f journal.Flow) bool { return f.Err != "" })
	if len(last) != 1 || last[0].Err != "49 more times in 1m0s" {
		t.Errorf("%+v", last)
	}
}
