package netstack

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// segment is a large TCP segment as the stack hands it down.
func segment(v6 bool, payload []byte, mss uint16) *stack.PacketBuffer {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 120, Payload: buffer.MakeWithData(payload)})
	h := header.TCP(p.TransportHeader().Push(32))
	h.Encode(&header.TCPFields{SrcPort: 443, DstPort: 40000, SeqNum: 0xfffffff0, AckNum: 9, DataOffset: 32,
		Flags: header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin, WindowSize: 1000})
	copy(h[20:], []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2})
	p.TransportProtocolNumber = header.TCPProtocolNumber
	p.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, MSS: mss}
	if v6 {
		p.GSOOptions.Type = stack.GSOTCPv6
		ip := header.IPv6(p.NetworkHeader().Push(header.IPv6MinimumSize))
		ip.Encode(&header.IPv6Fields{PayloadLength: uint16(32 + len(payload)), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64,
			SrcAddr: tcpip.AddrFrom16([16]byte{0x20, 1, 15: 1}), DstAddr: tcpip.AddrFrom16([16]byte{0xfd, 15: 2})})
		return p
	}
	ip := header.IPv4(p.NetworkHeader().Push(header.IPv4MinimumSize))
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(52 + len(payload)), ID: 0xfffe, TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{203, 0, 113, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 88, 0, 2})})
	return p
}

// TestCut: the parts are valid packets of the MTU that carry the whole payload
// in order, and only the last has FIN and PSH.
func TestCut(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, size := range []int{1, 1228, 1229, 5000, 60000} {
			payload := make([]byte, size)
			for i := range payload {
				payload[i] = byte(i * 7)
			}
			var c cutter
			c.start(segment(v6, payload, 1228))
			var got []byte
			seq := uint32(0xfffffff0)
			for c.pkt != nil {
				b := make([]byte, 1500)
				b = b[:c.next(b)]
				part := checkPart(t, v6, b, seq, len(got)+1228 >= size)
				got = append(got, part...)
				seq += uint32(len(part))
			}
			if !bytes.Equal(got, payload) {
				t.Errorf("v6 %v, size %d: %d bytes came out wrong", v6, size, len(got))
			}
		}
	}
}

func checkPart(t *testing.T, v6 bool, b []byte, seq uint32, last bool) []byte {
	t.Helper()
	var src, dst tcpip.Address
	var tcp header.TCP
	if v6 {
		ip := header.IPv6(b)
		if !ip.IsValid(len(b)) {
			t.Fatal("not a valid IPv6 packet")
		}
		src, dst, tcp = ip.SourceAddress(), ip.DestinationAddress(), ip.Payload()
	} else {
		ip := header.IPv4(b)
		if !ip.IsValid(len(b)) || !ip.IsChecksumValid() || int(ip.TotalLength()) != len(b) {
			t.Fatal("not a valid IPv4 packet")
		}
		src, dst, tcp = ip.SourceAddress(), ip.DestinationAddress(), ip.Payload()
	}
	if !tcp.IsChecksumValid(src, dst, checksum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload()))) {
		t.Fatal("wrong TCP checksum")
	}
	if tcp.SequenceNumber() != seq {
		t.Fatalf("sequence %d, want %d", tcp.SequenceNumber(), seq)
	}
	if got := tcp.Flags().Contains(header.TCPFlagFin) && tcp.Flags().Contains(header.TCPFlagPsh); got != last {
		t.Fatalf("flags %v, last %v", tcp.Flags(), last)
	}
	return tcp.Payload()
}

// TestRead: a full queue makes the stack wait, a read takes as much as there
// is, and closing frees everybody.
func TestRead(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range queueLen {
		s.Device.Send([]byte{0x45, 1, 2, 3})
	}
	blocked := make(chan bool)
	go func() { blocked <- s.Device.Send([]byte{0x45}) }()
	bufs, sizes := make([][]byte, 100), make([]int, 100)
	for i := range bufs {
		bufs[i] = make([]byte, 100)
	}
	n, err := s.Device.Read(bufs, sizes, 16)
	if n != 100 || err != nil || sizes[99] != 4 || bufs[99][16] != 0x45 {
		t.Errorf("%d packets, %v", n, err)
	}
	if !<-blocked {
		t.Error("the waiting sender was turned away")
	}
	for range 99 {
		s.Device.Send([]byte{0x45})
	}
	go func() {
		for s.Device.Send([]byte{0x45}) {
		}
		blocked <- true
	}()
	s.Close()
	<-blocked
	if n, err := s.Device.Read(bufs, sizes, 16); err == nil && n == 0 {
		t.Error("a read of a closed device gives nothing and no error")
	}
	deadline := time.After(5 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		default:
			runtime.Gosched()
		}
	}
	if _, err := s.Device.Write([][]byte{{}, {0x10}, {0x45}}, 0); err != nil {
		t.Errorf("a write of broken packets: %v", err)
	}
	if s.Device.File() != (*os.File)(nil) {
		t.Error("a file")
	}
}

func TestOptions(t *testing.T) {
	for _, mtu := range []int{100, 1279, 1441, 65535} {
		if _, err := New(Options{MTU: mtu}); err == nil {
			t.Errorf("mtu %d accepted", mtu)
		}
	}
}
