package portmap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// UPnP Device Architecture 1.1 §1 (search), §2 (description), §3 (control);
// WANIPConnection:1 and :2.

const (
	maxXML     = 256 << 10 // descriptions of routers have some 10 to 30 KiB
	maxTokens  = 20_000
	maxText    = 1 << 10 // of one element that we read
	maxFound   = 8       // devices that answer a search and are looked at
	leaseTitle = "nightlatch"
)

// igd is a router that is controlled by UPnP.
type igd struct {
	control *url.URL
	service string // its type, which names the actions
	host    netip.Addr
}

// findIGD searches for a router. Only what answers from the address that its
// location names is looked at: nobody sends us elsewhere.
func (r Router) findIGD(ctx context.Context) (*igd, error) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	to := r.SSDP
	if !to.IsValid() {
		to = netip.MustParseAddrPort("239.255.255.250:1900")
	}
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	for _, target := range []string{"InternetGatewayDevice:1", "InternetGatewayDevice:2"} {
		search := "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n" +
			"ST: urn:schemas-upnp-org:device:" + target + "\r\n\r\n"
		if _, err := c.WriteToUDPAddrPort([]byte(search), to); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 4<<10)
	seen := map[string]bool{}
	for len(seen) < maxFound {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return nil, errors.New("no router answers to UPnP")
		}
		where, ok := parseSSDP(b[:n], from.Addr().Unmap())
		if !ok || seen[where.String()] {
			continue
		}
		seen[where.String()] = true
		if g, err := describe(ctx, where); err == nil {
			return g, nil
		}
	}
	return nil, errors.New("no router answers to UPnP")
}

// parseSSDP reads an answer to a search: where the description lies. It must
// lie at the address that answered, and that must be of the home network.
func parseSSDP(b []byte, from netip.Addr) (*url.URL, bool) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, false
	}
	resp.Body.Close()
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Scheme != "http" || u.User != nil || !(from.IsPrivate() || from.IsLoopback() || from.IsLinkLocalUnicast()) {
		return nil, false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u, err == nil && a == from
}

// client follows nothing and waits for nobody.
func client() *http.Client {
	return &http.Client{
		Timeout:       patient,
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// describe reads a router's description and finds the service that maps ports.
func describe(ctx context.Context, where *url.URL) (*igd, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	service, path, err := parseDescription(io.LimitReader(resp.Body, maxXML))
	if err != nil {
		return nil, err
	}
	to, err := where.Parse(path)
	if err != nil || to.Scheme != "http" || to.Hostname() != where.Hostname() || to.User != nil {
		return nil, errors.New("the description of the router leads elsewhere")
	}
	host, err := netip.ParseAddr(where.Hostname())
	return &igd{control: to, service: service, host: host}, err
}

// parseDescription finds the first service that maps ports, and where it is
// controlled. It is not recursive, and bounded in tokens and text.
func parseDescription(r io.Reader) (service, control string, err error) {
	var kind, at string
	err = elements(r, func(name, text string) bool {
		switch name {
		case "serviceType":
			kind = text
		case "controlURL":
			at = text
		case "/service":
			if at != "" && (strings.Contains(kind, ":WANIPConnection:") || strings.Contains(kind, ":WANPPPConnection:")) && plainWord(kind) {
				service, control = kind, at
				return false
			}
			kind, at = "", ""
		}
		return true
	})
	if err == nil && service == "" {
		err = errors.New("the router has no service that maps ports")
	}
	return service, control, err
}

// plainWord: it goes into a header and an XML name space.
func plainWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != ':' && r != '-' && r != '_' && r != '.'
	})
}

// elements calls see with the name and text of every element that ends, and
// with "/"+name as well; it stops when see gives false.
func elements(r io.Reader, see func(name, text string) bool) error {
	d := xml.NewDecoder(r)
	d.Strict = true
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // names and numbers are ASCII in any
	var text strings.Builder
	for range maxTokens {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the router's XML: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			text.Reset()
		case xml.CharData:
			if text.Len()+len(t) <= maxText {
				text.Write(t)
			}
		case xml.EndElement:
			s := strings.TrimSpace(text.String())
			text.Reset()
			if !see(t.Name.Local, s) || !see("/"+t.Name.Local, "") {
				return nil
			}
		}
	}
	return errors.New("the router's XML is too long")
}

// soapError is the number by which an action failed.
type soapError int

// Error says what a router means by the number (WANIPConnection:2 §2.5).
func (e soapError) Error() string {
	switch e {
	case 401, 501, 602:
		return "it does not support this"
	case 606:
		return "it is not allowed; switch automatic port sharing on for this machine"
	case 718:
		return "another machine has that port; choose another in tunnel.listen, or remove the other mapping in the router"
	case onlyPermanent:
		return "it makes permanent mappings alone"
	case 728, 729:
		return "it has no room for another mapping"
	}
	return "error " + strconv.Itoa(int(e))
}

const onlyPermanent = 725

// call does one action; see gets what it answers.
func (g *igd) call(ctx context.Context, action string, args [][2]string, see func(name, text string) bool) error {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:` + action + ` xmlns:u="` + g.service + `">`)
	for _, a := range args {
		fmt.Fprintf(&b, "<%s>%s</%s>", a[0], a[1], a[0]) // numbers, addresses and words of ours
	}
	b.WriteString(`</u:` + action + `></s:Body></s:Envelope>`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.control.String(), strings.NewReader(b.String()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	req.Header["SOAPAction"] = []string{`"` + g.service + "#" + action + `"`} // some routers want just this spelling
	resp, err := client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	code := 0
	err = elements(io.LimitReader(resp.Body, maxXML), func(name, text string) bool {
		if name == "errorCode" {
			code, _ = strconv.Atoi(text)
		}
		return see(name, text)
	})
	switch {
	case code != 0:
		return soapError(code)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the router answers %d", resp.StatusCode)
	}
	return err
}

func (g *igd) outside(ctx context.Context) (netip.Addr, error) {
	var a netip.Addr
	err := g.call(ctx, "GetExternalIPAddress", nil, func(name, text string) bool {
		if name == "NewExternalIPAddress" {
			a, _ = netip.ParseAddr(text)
		}
		return true
	})
	if err != nil {
		return a, upnpRefused(err)
	}
	if !a.IsValid() || a.IsUnspecified() || a.Zone() != "" {
		return netip.Addr{}, &refused{UPnP, pmpWhy(3)}
	}
	return a.Unmap(), nil
}

func (g *igd) add(ctx context.Context, internal, wish uint16, lifetime time.Duration) (Mapping, error) {
	local, err := localTowards(netip.AddrPortFrom(g.host, 9))
	if err != nil {
		return Mapping{}, err
	}
	ask := func(lifetime time.Duration) error {
		return g.call(ctx, "AddPortMapping", [][2]string{
			{"NewRemoteHost", ""}, {"NewExternalPort", strconv.Itoa(int(wish))}, {"NewProtocol", "UDP"},
			{"NewInternalPort", strconv.Itoa(int(internal))}, {"NewInternalClient", local.String()}, {"NewEnabled", "1"},
			{"NewPortMappingDescription", leaseTitle}, {"NewLeaseDuration", strconv.Itoa(int(lifetime / time.Second))},
		}, func(string, string) bool { return true })
	}
	err = ask(lifetime)
	if errors.Is(err, soapError(onlyPermanent)) {
		lifetime = 0
		err = ask(0)
	}
	if err != nil {
		return Mapping{}, upnpRefused(err)
	}
	outside, _ := g.outside(ctx) // the mapping holds without
	return Mapping{Protocol: UPnP, External: netip.AddrPortFrom(outside, wish), Internal: internal, Lifetime: lifetime}, nil
}

func (g *igd) remove(ctx context.Context, external uint16) error {
	return g.call(ctx, "DeletePortMapping", [][2]string{
		{"NewRemoteHost", ""}, {"NewExternalPort", strconv.Itoa(int(external))}, {"NewProtocol", "UDP"},
	}, func(string, string) bool { return true })
}

func upnpRefused(err error) error {
	var e soapError
	if errors.As(err, &e) {
		return &refused{UPnP, e.Error()}
	}
	return err
}
