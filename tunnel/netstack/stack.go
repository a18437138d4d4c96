// Package netstack is a user-space IP stack (gVisor's) behind a WireGuard
// device: the stack itself with its tuning, the link below it, and the
// [Device] that WireGuard takes for its network interface. The gateway and the
// simulated phone are both made of it.
package netstack

import (
	"fmt"
	"net/netip"
	"runtime"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// NIC is the number of the stack's only interface.
const NIC tcpip.NICID = 1

const (
	// DefaultMTU passes every mobile network and is what the Android app uses
	// when its config names none; IPv6 allows no less (RFC 8200 §5).
	DefaultMTU = 1280
	// MaxMTU is the largest MTU that fits WireGuard's overhead into Ethernet.
	MaxMTU = 1440
)

// Options make a [Stack].
type Options struct {
	Addrs []netip.Addr // the stack's own addresses
	MTU   int          // 0 means DefaultMTU
	Batch int          // packets a Read or Write of the device, 1 to 128; 0 means 128

	// Buffer is the most that one TCP connection may buffer in each direction,
	// in bytes; it starts small and grows with the path. 0 means 4 MiB.
	Buffer int

	// NoGRO keeps inbound TCP segments as they came instead of joining them.
	NoGRO bool

	// AnyAddress accepts packets for, and sends them from, every address: a
	// gateway stands in for the whole internet.
	AnyAddress bool

	// Intercept sees every inbound packet before the stack; true takes it. It
	// runs on WireGuard's receive goroutine, must not block and must not keep
	// the packet. Nil takes nothing.
	Intercept func(packet []byte) (taken bool)

	// Handlers take packets that belong to no connection of the stack. They are
	// set before the interface exists, as a packet would race them otherwise.
	// They run on WireGuard's receive goroutine and must not block; true means
	// the packet was handled, false answers it with a RST or an unreachable.
	Handlers func(s *stack.Stack) map[tcpip.TransportProtocolNumber]Handler
}

// Handler is a transport protocol handler of a stack.
type Handler = func(stack.TransportEndpointID, *stack.PacketBuffer) bool

// Stack is a running IP stack and its device.
type Stack struct {
	*stack.Stack
	Device *Device
	link   *endpoint
}

// New makes a stack with one interface that routes everything.
func New(opts Options) (*Stack, error) {
	if opts.MTU == 0 {
		opts.MTU = DefaultMTU
	}
	if opts.MTU < header.IPv6MinimumMTU || opts.MTU > MaxMTU {
		return nil, fmt.Errorf("netstack: mtu %d: must be %d to %d", opts.MTU, header.IPv6MinimumMTU, MaxMTU)
	}
	if opts.Batch <= 0 || opts.Batch > 128 {
		opts.Batch = 128
	}
	if opts.Buffer == 0 {
		opts.Buffer = 4 << 20
	}
	s := &Stack{link: newEndpoint(opts.MTU), Stack: stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})}
	s.Device = newDevice(s.link, opts.MTU, opts.Batch, !opts.NoGRO)
	s.Device.intercept = opts.Intercept
	if err := s.configure(opts); err != nil {
		s.Close()
		return nil, fmt.Errorf("netstack: %w", err)
	}
	return s, nil
}

func (s *Stack) configure(opts Options) error {
	if err := s.tune(opts.Buffer); err != nil {
		return err
	}
	if opts.Handlers != nil {
		for proto, h := range opts.Handlers(s.Stack) {
			s.SetTransportProtocolHandler(proto, h)
		}
	}
	if err := s.CreateNIC(NIC, s.link); err != nil {
		return fmt.Errorf("interface: %s", err)
	}
	if opts.AnyAddress {
		// Promiscuous takes packets for any address; without spoofing the answers
		// from those addresses are refused by the stack.
		if err := s.SetPromiscuousMode(NIC, true); err != nil {
			return fmt.Errorf("promiscuous: %s", err)
		}
		if err := s.SetSpoofing(NIC, true); err != nil {
			return fmt.Errorf("spoofing: %s", err)
		}
	}
	for _, a := range opts.Addrs {
		pa := tcpip.ProtocolAddress{Protocol: Protocol(a), AddressWithPrefix: Addr(a).WithPrefix()}
		if err := s.AddProtocolAddress(NIC, pa, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("address %v: %s", a, err)
		}
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: NIC},
		{Destination: header.IPv6EmptySubnet, NIC: NIC},
	})
	return nil
}

// tune sets TCP's options: selective acknowledgements, RACK, CUBIC, and buffers
// that grow with the path up to a bound.
func (s *Stack) tune(buffer int) error {
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	recovery, control := tcpip.TCPRACKLossDetection, tcpip.CongestionControlOption("cubic")
	if runtime.GOOS == "windows" {
		recovery = 0 // the clock is too coarse for RACK (google/gvisor issue 9778)
	}
	rx := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultReceiveBufferSize, Max: buffer}
	tx := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultSendBufferSize, Max: buffer}
	// The other end of every connection is one hop away: nothing old is still
	// under way after 10 s, and a phone closes thousands of connections an hour.
	wait := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &recovery, &control, &rx, &tx, &wait} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("%T: %s", o, err)
		}
	}
	return nil
}

// Close ends the stack and its device, and waits for its goroutines.
func (s *Stack) Close() {
	s.Device.Close()
	s.Stack.Close()
	s.Stack.Wait()
	s.Device.drain()
}

// Protocol is the stack's number for a's family.
func Protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

// Addr turns an address into the stack's form.
func Addr(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

// FullAddr turns an address and port into the stack's form.
func FullAddr(ap netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: NIC, Addr: Addr(ap.Addr()), Port: ap.Port()}
}

// NetIP turns the stack's form into an address.
func NetIP(a tcpip.Address) netip.Addr {
	out, _ := netip.AddrFromSlice(a.AsSlice())
	return out
}
