// Package story makes a simulated phone behave like the phone of a news story:
// it browses, searches and opens folders, reports all of it to its vendor, and
// tries every way around whoever answers its DNS. What happens is measured, not
// told: each step gives what the phone really saw.
package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nightlatch/tunnel/phone"
)

// Step is one thing the phone did and what came of it, in words.
type Step struct{ Did, Saw string }

// Site and SearchSite are the wanted sites that the phone visits; the internet
// it lives in must serve them.
const (
	Site       = "news.example.net"
	SearchSite = "search.example.net"
	Literal    = "198.51.100.7" // an address the phone never asked a name for
	HTTPDNS    = "110.43.0.83"  // Xiaomi's HTTPDNS, hard-coded in firmware
)

// stepLimit bounds one step: the slowest is a refused connection.
const stepLimit = 5 * time.Second

// Tell lets the phone do every step in turn and gives each to tell.
func Tell(ctx context.Context, p *phone.Phone, sink netip.Prefix, tell func(Step)) error {
	s := &teller{phone: p, client: p.HTTPClient(nil), sink: sink}
	body, err := report()
	if err != nil {
		return fmt.Errorf("story: %w", err)
	}
	google := netip.MustParseAddrPort("8.8.8.8:53")
	steps := []struct {
		did string
		do  func(context.Context) (string, error)
	}{
		{"opens http://" + Site + "/", func(ctx context.Context) (string, error) { return s.get(ctx, "http://"+Site+"/") }},
		{fmt.Sprintf("searches for %q, incognito", Search), func(ctx context.Context) (string, error) { return s.get(ctx, "http://"+SearchSite+"/") }},
		{"reports all that to " + vendor, func(ctx context.Context) (string, error) { return s.post(ctx, body) }},
		{"asks 8.8.8.8 for tracking.intl.miui.com", func(ctx context.Context) (string, error) { return s.ask(ctx, "udp", google, "tracking.intl.miui.com") }},
		{"asks 8.8.8.8 again, over TCP", func(ctx context.Context) (string, error) { return s.ask(ctx, "tcp", google, "tracking.intl.miui.com") }},
		{"tries DNS over TLS at 8.8.8.8:853", func(ctx context.Context) (string, error) { return s.connect(ctx, "8.8.8.8:853") }},
		{"looks for a DNS over HTTPS server, dns.google", func(ctx context.Context) (string, error) {
			return s.ask(ctx, "udp", google, "dns.google")
		}},
		{"talks to " + HTTPDNS + " (HTTPDNS, hard-coded)", func(ctx context.Context) (string, error) { return s.httpDNS(ctx) }},
		{"talks to " + Literal + ", an address it never asked for", func(ctx context.Context) (string, error) { return s.connect(ctx, Literal+":80") }},
	}
	for _, step := range steps {
		inner, cancel := context.WithTimeout(ctx, stepLimit)
		saw, err := step.do(inner)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("story: the phone %s: %w", step.did, err)
		}
		tell(Step{step.did, saw})
	}
	return nil
}

type teller struct {
	phone  *phone.Phone
	client *http.Client
	sink   netip.Prefix
}

func (s *teller) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	return fmt.Sprintf("the page loads (HTTP %d, %d bytes)", resp.StatusCode, n), err
}

// post sends the report to the vendor's name, as its SDK does.
func (s *teller) post(ctx context.Context, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+vendor+"/sa?project=global_browser_mini", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Dalvik/2.1.0 (Linux; U; Android 10; Redmi Note 8 MIUI/V12.0.1.0.QCOMIXM)")
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	return fmt.Sprintf("HTTP %d from the sinkhole: it believes %d bytes were delivered", resp.StatusCode, len(body)), nil
}

// connect tries a TCP connection.
func (s *teller) connect(ctx context.Context, address string) (string, error) {
	c, err := s.phone.DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		c.Close()
		return "connected, and reported: no name led there", nil
	case isRefused(err):
		return "refused", nil
	}
	return "", err
}

// httpDNS asks the phone maker's own resolver for a name, in plain HTTP. The
// gateway hears the question before it refuses it.
func (s *teller) httpDNS(ctx context.Context) (string, error) {
	c, err := s.phone.DialContext(ctx, "tcp", HTTPDNS+":80")
	if isRefused(err) {
		return "refused", nil
	}
	if err != nil {
		return "", err
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	io.WriteString(c, "GET /gslb?tver=2&dm=ots.io.mi.com HTTP/1.1\r\nHost: "+HTTPDNS+"\r\n\r\n") // a failure shows on reading
	if n, err := c.Read(make([]byte, 1)); n > 0 || isTimeout(err) {
		return fmt.Sprintf("not refused: %d bytes, %v", n, err), nil
	}
	return "refused", nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// isRefused tells a RST from silence; the user-space stack of the phone has
// words of its own for it.
func isRefused(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && strings.Contains(op.Err.Error(), "refused")
}

// ask asks one server for the IPv4 address of a name.
func (s *teller) ask(ctx context.Context, network string, server netip.AddrPort, name string) (string, error) {
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0x2a2a, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	wire, err := q.Pack()
	if err != nil {
		return "", err
	}
	answer, err := s.phone.Exchange(ctx, network, server, wire)
	if err != nil {
		return "", err
	}
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		return "", err
	}
	if m.RCode == dnsmessage.RCodeNameError {
		return "answered by the gateway: no such name", nil
	}
	for _, rr := range m.Answers {
		a, ok := rr.Body.(*dnsmessage.AResource)
		if !ok {
			continue
		}
		addr := netip.AddrFrom4(a.A)
		if s.sink.Contains(addr) {
			return fmt.Sprintf("answered by the gateway: %s, in the sinkhole", addr), nil
		}
		return fmt.Sprintf("answered: %s", addr), nil
	}
	return fmt.Sprintf("answered: %s, no address", m.RCode), nil
}
