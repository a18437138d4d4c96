package subscription

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of one download.
const (
	maxWire      = 64 << 20         // bytes that are transferred; the largest list met has 20 MiB
	maxText      = 256 << 20        // bytes of a list, decompressed
	maxRedirects = 5                // release pages need two
	maxAddrs     = 8                // of one host that are tried
	maxTime      = 10 * time.Minute // 64 MiB at 1 Mbit/s take nine
	stall        = 30 * time.Second // without a byte
	dialTime     = 5 * time.Second  // for one address
	maxAfter     = 24 * time.Hour   // the longest Retry-After that is honoured
)

// Network is how lists are fetched. It must not be changed while a store uses it.
type Network struct {
	// Lookup finds the addresses of a host. It should not ask a resolver that
	// this gateway answers: the host of a list may stand on a list. nil finds none.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Refuse says why an address must not be connected to, such as one of the
	// home; "" lets it. It is asked about every address that is dialled, except the
	// one that the owner wrote as the host of a subscription. nil refuses all.
	Refuse func(netip.Addr) (why string)
	// Dial opens connections to literal addresses; nil is the host's network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs judge the servers' certificates; nil means the system's.
	RootCAs *x509.CertPool
	// Agent is the User-Agent: publishers should be able to tell who asks.
	Agent string

	text int64 // bytes of a list, decompressed; 0 means maxText. Tests take less
}

func (n Network) maxText() int64 {
	if n.text > 0 {
		return n.text
	}
	return maxText
}

// Failure is an attempt that failed for a reason of the address or the way there.
type Failure struct {
	Err       error     // one line: what, where, what to do
	Lasting   bool      // trying again at once is of no use
	NotBefore time.Time // the server asked to be left alone until then
}

// Error gives the line.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

func failed(format string, args ...any) error { return &Failure{Err: fmt.Errorf(format, args...)} }

// lasting is a failure that another try at once would repeat.
func lasting(format string, args ...any) error {
	return &Failure{Err: fmt.Errorf(format, args...), Lasting: true}
}

// client makes the client for one download. Its connections end with it: one
// that was opened to an address the owner wrote must not serve another list's
// redirect.
func (n Network) client(u *url.URL) (*http.Client, func()) {
	written, _ := netip.ParseAddr(u.Hostname()) // not valid for a name
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return n.dial(ctx, network, address, written.Unmap())
		},
		TLSClientConfig:       &tls.Config{RootCAs: n.RootCAs, MinVersion: tls.VersionTLS12}, // RFC 9325 §3.1.1
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: stall, MaxResponseHeaderBytes: 64 << 10,
		DisableCompression: true, // it is done here, where it is bounded
		ForceAttemptHTTP2:  true,
	}
	return &http.Client{Transport: t, CheckRedirect: redirect}, t.CloseIdleConnections
}

var errRedirect = errors.New("redirect")

// redirect decides whether the client follows one.
func redirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // nobody's business
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d in a row, the last to %s", errRedirect, maxRedirects, clip(req.URL.Redacted()))
	case req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return fmt.Errorf("%w from https to %s, which anyone on the way could change; it is not followed", errRedirect, clip(req.URL.Redacted()))
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("%w to %s, which is neither http nor https", errRedirect, clip(req.URL.Redacted()))
	case req.URL.User != nil:
		return fmt.Errorf("%w to an address with a password", errRedirect)
	}
	return nil
}

// clip shortens what a server made up.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// dial connects to a host of the wide world, or to the address the owner wrote.
func (n Network) dial(ctx context.Context, network, address string, written netip.Addr) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := n.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		if err := n.check(a, written, host); err != nil {
			return nil, err // one bad address is enough: such a name is not believed at all
		}
	}
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		c, err := n.connect(ctx, network, net.JoinHostPort(a.String(), port), written)
		if err == nil {
			return c, nil
		}
		if last = fmt.Errorf("%s cannot be reached at %s: %w", host, a, rootCause(err)); ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// addresses gives the addresses of a host, a literal one's own.
func (n Network) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if n.Lookup == nil {
		return nil, fmt.Errorf("%s cannot be looked up: names are not looked up here", host)
	}
	addrs, err := n.Lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be looked up: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return addrs, nil
}

// errPrivate is an address that lists are not fetched from.
var errPrivate = errors.New("lists are not fetched from there unless the address itself is written in the url")

func (n Network) check(a, written netip.Addr, host string) error {
	a = a.Unmap()
	if written.IsValid() && a == written {
		return nil
	}
	why := "an address nobody vouches for"
	if n.Refuse != nil {
		why = n.Refuse(a)
	}
	if why == "" {
		return nil
	}
	if host == a.String() {
		return fmt.Errorf("%s is refused (%s): %w", a, why, errPrivate)
	}
	return fmt.Errorf("%s is at %s, which is refused (%s): %w", host, a, why, errPrivate)
}

// connect opens a connection; what the kernel is about to connect to is checked
// once more, whatever path led there.
func (n Network) connect(ctx context.Context, network, address string, written netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if n.Dial != nil {
		return n.Dial(ctx, network, address)
	}
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return n.check(ap.Addr(), written, ap.Addr().String())
	}}
	return d.DialContext(ctx, network, address)
}

// ask sends the request for a list; known is what we have of it.
func (n Network) ask(ctx context.Context, address string, known *Version) (*http.Response, func(), error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, lasting("%s is not an address: %w", clip(address), rootCause(err))
	}
	req.Header.Set("User-Agent", n.Agent)
	req.Header.Set("Accept", "text/plain, */*;q=0.5")
	req.Header.Set("Accept-Encoding", "gzip")
	if known != nil && known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag) // RFC 9110 §13.1.2
	}
	if known != nil && known.Modified != "" {
		req.Header.Set("If-Modified-Since", known.Modified) // §13.1.3
	}
	client, end := n.client(req.URL)
	resp, err := client.Do(req)
	if err != nil {
		end()
		if resp != nil { // a redirect that was not followed: its body is closed already
			err = rootURL(err)
		}
		return nil, nil, netFailure(ctx, req.URL.Host, err)
	}
	if err := status(resp, known); err != nil {
		resp.Body.Close()
		end()
		return nil, nil, err
	}
	return resp, end, nil
}

// status tells whether an answer is one with a list, or "not modified".
func status(resp *http.Response, known *Version) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotModified && known != nil && known.ETag+known.Modified != "":
		return nil
	case code == http.StatusTooManyRequests, code >= 500:
		f := &Failure{Err: fmt.Errorf("the server of %s says %s", resp.Request.URL.Host, statusText(code))}
		if at := retryAfter(resp.Header.Get("Retry-After"), time.Now()); !at.IsZero() {
			f.NotBefore, f.Lasting = at, true
			f.Err = fmt.Errorf("%w, and to come back in %s", f.Err, time.Until(at).Round(time.Second))
		}
		return f
	case code == http.StatusNotFound || code == http.StatusGone:
		return lasting("the server of %s says %s; has the list moved?", resp.Request.URL.Host, statusText(code))
	default:
		return lasting("the server of %s says %s", resp.Request.URL.Host, statusText(code))
	}
}

func statusText(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds or a date.
// The zero time when there is none that can be believed.
func retryAfter(s string, now time.Time) time.Time {
	wait := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		wait = at.Sub(now)
	}
	if wait <= 0 {
		return time.Time{}
	}
	return now.Add(min(wait, maxAfter))
}

// netFailure says in one line why nothing came.
func netFailure(ctx context.Context, host string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch err = rootURL(err); {
	case errors.Is(err, errRedirect), errors.Is(err, errPrivate):
		return lasting("%w", err)
	case errors.Is(err, errStalled), errors.Is(err, errSlow):
		return failed("%s: %w", host, err)
	case isTimeout(err):
		return failed("%s does not answer in time", host)
	case errors.Is(err, io.EOF):
		return failed("%s closed the connection without an answer", host)
	case strings.Contains(err.Error(), hostOnly(host)):
		return failed("%w", err)
	}
	return failed("%s: %w", host, rootCause(err))
}

func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// rootURL takes the request off an error of the client.
func rootURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// rootCause takes addresses and system calls off an error of the network.
func rootCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return rootURL(err)
}
