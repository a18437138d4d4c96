// Package smallnet is an internet of its own on the loopback interface, for
// `nightlatch try` and for tests.
package smallnet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Net is an internet of its own on the loopback interface: a DNS server
// that knows a few names, and web servers behind documentation addresses
// (RFC 5737). `try` and tests put it where the real internet would be.
type Net struct {
	names map[string]netip.Addr // A records, names in lower case without the final dot
	dns   *net.UDPConn
	web   *http.Server
	webL  net.Listener

	mu      sync.Mutex
	reached []string // every address that was dialled
}

// New starts the servers; h serves every web address.
func New(names map[string]netip.Addr, h http.Handler) (*Net, error) {
	loopback := net.IPv4(127, 0, 0, 1)
	dns, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback})
	if err != nil {
		return nil, fmt.Errorf("simulated internet: %w", err)
	}
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback})
	if err != nil {
		dns.Close()
		return nil, fmt.Errorf("simulated internet: %w", err)
	}
	n := &Net{names: names, dns: dns, webL: l, web: &http.Server{Handler: h}}
	go n.web.Serve(l)
	go n.serveDNS()
	return n, nil
}

// Close stops the servers.
func (n *Net) Close() {
	n.dns.Close()
	n.web.Close()
}

// Upstream names the DNS server as dns.upstreams wants it.
func (n *Net) Upstream() string { return "udp://" + n.dns.LocalAddr().String() }

// Networks are the addresses of this internet: documentation networks that no
// real server has.
func Networks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")}
}

// Dial reaches the web server on port 80 of every address; nothing else is
// there. It fits where a gateway opens its connections.
func (n *Net) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.reached = append(n.reached, address)
	n.mu.Unlock()
	if !strings.HasSuffix(address, ":80") {
		return nil, fmt.Errorf("simulated internet: nobody listens at %s", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp4", n.webL.Addr().String())
}

// Dialled gives the addresses that flows reached outside.
func (n *Net) Dialled() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.reached...)
}

func (n *Net) serveDNS() {
	buf := make([]byte, 4096)
	for {
		k, from, err := n.dns.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if answer := n.answer(buf[:k]); answer != nil {
			n.dns.WriteToUDPAddrPort(answer, from)
		}
	}
}

// answer gives the records of a name, NODATA for its other types and NXDOMAIN
// for everything else.
func (n *Net) answer(query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	addr, known := n.names[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	out := dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	if !known {
		out.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, out)
	b.EnableCompression()
	if b.StartQuestions() != nil || b.Question(q) != nil || b.StartAnswers() != nil {
		return nil
	}
	if known && q.Type == dnsmessage.TypeA {
		b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}, dnsmessage.AResource{A: addr.As4()})
	}
	wire, err := b.Finish()
	if err != nil {
		return nil
	}
	return wire
}
