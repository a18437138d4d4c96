package portmap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// udp starts a fake router that answers each message with what answer gives.
func udp(t *testing.T, answer func([]byte) [][]byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			for _, a := range answer(bytes.Clone(b[:n])) {
				c.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// nobody is an address that answers nothing: its port is closed.
func nobody(t *testing.T) netip.AddrPort {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// natpmp answers as a router of NAT-PMP alone, with noise before each answer.
func natpmp(b []byte) [][]byte {
	noise := [][]byte{nil, {0}, {0, 128}, bytes.Repeat([]byte{0xff}, 1500), {0, 129, 0, 0, 0, 0, 0, 1}}
	switch {
	case b[0] == 2:
		return append(noise, []byte{0, 129, 0, 1, 0, 0, 0, 1})
	case b[1] == 0:
		return append(noise, []byte{0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 7})
	}
	out := []byte{0, 129, 0, 0, 0, 0, 0, 1}
	out = append(out, b[4:6]...)
	out = binary.BigEndian.AppendUint16(out, 51999) // not the one asked for
	return append(noise, append(out, b[8:12]...))
}

func TestNATPMP(t *testing.T) {
	r := Router{Gateway: udp(t, natpmp), SSDP: nobody(t)}
	a, by, err := r.Outside(soon(t))
	if err != nil || a.String() != "203.0.113.7" || by != NATPMP {
		t.Errorf("%v by %s, %v", a, by, err)
	}
	m, err := r.Map(soon(t), 51820, time.Hour, Mapping{})
	want := Mapping{Protocol: NATPMP, External: netip.MustParseAddrPort("203.0.113.7:51999"), Internal: 51820, Lifetime: time.Hour}
	if err != nil || m != want {
		t.Errorf("%+v, %v", m, err)
	}
	if err := r.Unmap(soon(t), m); err != nil {
		t.Error(err)
	}
}

// pcp answers as a PCP server; change spoils the answer.
func pcp(change func([]byte) []byte) func([]byte) [][]byte {
	return func(b []byte) [][]byte {
		if b[0] != 2 {
			return nil
		}
		out := bytes.Clone(b)
		out[1] |= 128
		out[3] = 0
		clear(out[8:24])
		out[54], out[55] = 0xff, 0xff
		copy(out[56:], []byte{203, 0, 113, 8})
		return [][]byte{change(out)}
	}
}

func TestPCP(t *testing.T) {
	seen := make(chan []byte, 10) // the nonce of each question
	r := Router{SSDP: nobody(t), Gateway: udp(t, pcp(func(b []byte) []byte { seen <- bytes.Clone(b[24:36]); return b }))}
	m, err := r.Map(soon(t), 51820, time.Hour, Mapping{})
	if err != nil || m.External.String() != "203.0.113.8:51820" || m.Protocol != PCP || m.Lifetime != time.Hour {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err = r.Map(soon(t), 51820, time.Hour, m); err != nil {
		t.Fatal(err)
	}
	if err := r.Unmap(soon(t), m); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 {
		t.Fatalf("%d questions", len(seen))
	}
	first, renewal, end := <-seen, <-seen, <-seen
	if !bytes.Equal(first, renewal) || !bytes.Equal(first, end) {
		t.Error("a renewal and the end are known by the nonce of the first")
	}
}

// TestPCPHostile: answers that do not belong to the question are not heard, and
// those that refuse say why.
func TestPCPHostile(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"another nonce": {func(b []byte) []byte { b[24] ^= 1; return b }, ErrNoRouter.Error()},
		"tcp":           {func(b []byte) []byte { b[36] = 6; return b }, ErrNoRouter.Error()},
		"short":         {func(b []byte) []byte { return b[:56] }, ErrNoRouter.Error()},
		"odd length":    {func(b []byte) []byte { return append(b, 1) }, ErrNoRouter.Error()},
		"too long":      {func(b []byte) []byte { return append(b, make([]byte, 1100)...) }, ErrNoRouter.Error()},
		"another port":  {func(b []byte) []byte { b[40] ^= 1; return b }, "another mapping"},
		"port 0":        {func(b []byte) []byte { b[42], b[43] = 0, 0; return b }, "another mapping"},
		"no time":       {func(b []byte) []byte { clear(b[4:8]); return b }, "another mapping"},
		"not allowed":   {func(b []byte) []byte { b[3] = 2; return b }, "it is not allowed"},
		"mismatch":      {func(b []byte) []byte { b[3] = 12; return b }, "another router stands between"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Router{SSDP: nobody(t), Gateway: udp(t, pcp(c.change))}
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := r.Map(ctx, 51820, time.Hour, Mapping{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestNoRouter(t *testing.T) {
	r := Router{Gateway: nobody(t), SSDP: nobody(t)}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := r.Outside(ctx); !errors.Is(err, ErrNoRouter) || Refused(err) {
		t.Error(err)
	}
}

const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><controlURL>/common</controlURL></service>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl/ip</controlURL></service>
</serviceList></device></deviceList></device></root>`

// igdRouter is a fake router of UPnP; answer gives status and body of each action.
func igdRouter(t *testing.T, text string, answer func(action, body string) (int, string)) Router {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/desc.xml" {
			io.WriteString(w, text)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
		code, out := answer(action, string(body))
		w.WriteHeader(code)
		io.WriteString(w, out)
	}))
	t.Cleanup(web.Close)
	ssdp := udp(t, func(b []byte) [][]byte {
		if !bytes.HasPrefix(b, []byte("M-SEARCH")) {
			return nil
		}
		at := func(location string) []byte {
			return []byte("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: " + location + "\r\n\r\n")
		}
		return [][]byte{[]byte("garbage"), at("http://192.0.2.1/desc.xml"), at("https://127.0.0.1/"), at("http://router/desc.xml"), at(web.URL + "/desc.xml")}
	})
	return Router{Gateway: nobody(t), SSDP: ssdp}
}

func TestUPnP(t *testing.T) {
	asked := make(chan string, 10)
	r := igdRouter(t, description, func(action, body string) (int, string) {
		asked <- action
		switch {
		case action == "GetExternalIPAddress":
			return 200, `<s:Envelope><s:Body><u:R><NewExternalIPAddress>203.0.113.9</NewExternalIPAddress></u:R></s:Body></s:Envelope>`
		case action == "AddPortMapping" && strings.Contains(body, "<NewLeaseDuration>3600<"):
			return 500, `<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>725</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`
		case action == "AddPortMapping" && !strings.Contains(body, "<NewInternalClient>127.0.0.1<"):
			return 500, body
		}
		return 200, `<s:Envelope><s:Body/></s:Envelope>`
	})
	m, err := r.Map(soon(t), 51820, time.Hour, Mapping{})
	want := Mapping{Protocol: UPnP, External: netip.MustParseAddrPort("203.0.113.9:51820"), Internal: 51820}
	if err != nil || m != want {
		t.Errorf("%+v, %v", m, err)
	}
	if err := r.Unmap(soon(t), m); err != nil {
		t.Error(err)
	}
	close(asked)
	got := ""
	for action := range asked {
		got = strings.TrimSpace(got + " " + action)
	}
	if got != "AddPortMapping AddPortMapping GetExternalIPAddress DeletePortMapping" {
		t.Error(got)
	}
}

// TestUPnPHostile: a router that sends us elsewhere, says no, or talks without end.
func TestUPnPHostile(t *testing.T) {
	fault := func(code string) func(string, string) (int, string) {
		return func(string, string) (int, string) { return 500, "<a><errorCode>" + code + "</errorCode></a>" }
	}
	for name, c := range map[string]struct {
		text   string
		answer func(string, string) (int, string)
		want   string
	}{
		"elsewhere":  {strings.Replace(description, "/ctl/ip", "http://192.0.2.1/ctl", 1), nil, ErrNoRouter.Error()},
		"file":       {strings.Replace(description, "/ctl/ip", "file:///etc/passwd", 1), nil, ErrNoRouter.Error()},
		"name space": {strings.Replace(description, "WANIPConnection:1", `WANIPConnection:1&quot;&gt;`, 1), nil, ErrNoRouter.Error()},
		"endless":    {strings.Repeat("<a>", 1<<17), nil, ErrNoRouter.Error()},
		"no XML":     {"hello", nil, ErrNoRouter.Error()},
		"conflict":   {description, fault("718"), "another machine has that port"},
		"forbidden":  {description, fault("606"), "it is not allowed"},
		"odd":        {description, fault("9999"), "error 9999"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := igdRouter(t, c.text, c.answer)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			_, err := r.Map(ctx, 51820, time.Hour, Mapping{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
	a, err := parseRoutes(strings.NewReader(head + "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\n"))
	if err != nil || a.String() != "192.168.1.1" {
		t.Error(a, err)
	}
	for _, bad := range []string{"", head, "a b c d e f g 00000000\n", head + "ppp0\t00000000\t00000000\t1\t0\t0\t0\t00000000\n", head + "e\t00000000\tXX\t1\t0\t0\t0\t00000000\n"} {
		if a, err := parseRoutes(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %v", bad, a)
		}
	}
}

// fakeMapper gives what next says.
type fakeMapper struct {
	next  func(last Mapping) (Mapping, error)
	asked int
	ended []Mapping
}

func (f *fakeMapper) Map(_ context.Context, _ uint16, _ time.Duration, last Mapping) (Mapping, error) {
	return f.next(last)
}

func (f *fakeMapper) Unmap(_ context.Context, m Mapping) error {
	f.ended = append(f.ended, m)
	return nil
}

// TestKeep: renewed in time, told only what changes, given back at the end, and
// a router that fails is not pressed.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Mapping{Protocol: PCP, External: netip.MustParseAddrPort("203.0.113.1:51820"), Internal: 51820, Lifetime: time.Second}
		var fail error
		var mu sync.Mutex // fake time alone orders nothing for the race detector
		f := &fakeMapper{}
		f.next = func(Mapping) (Mapping, error) {
			mu.Lock()
			defer mu.Unlock()
			f.asked++
			return m, fail
		}
		set := func(change func()) { mu.Lock(); change(); mu.Unlock() }
		asked := func() (n int) { set(func() { n = f.asked }); return n }
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		done := make(chan error)
		go func() {
			done <- Keep(ctx, f, 51820, func(m Mapping, err error) { told = append(told, fmt.Sprint(m.External, " ", err)) })
		}()
		wait := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		wait(10*time.Minute + time.Second)
		if n := asked(); n != 11 { // once a minute, although it says a second
			t.Errorf("asked %d times", n)
		}
		set(func() { m.External = netip.MustParseAddrPort("203.0.113.2:51820") })
		wait(time.Minute)
		set(func() { fail, f.asked = errors.New("gone"), 0 })
		wait(12 * time.Hour)
		if n := asked(); n > 20 || n < 12 {
			t.Errorf("a router that fails was asked %d times in 12 hours", n)
		}
		set(func() { fail = nil })
		wait(time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := "[203.0.113.1:51820 <nil> 203.0.113.2:51820 <nil> invalid AddrPort gone 203.0.113.2:51820 <nil>]"
		if fmt.Sprint(told) != want || len(f.ended) != 1 {
			t.Errorf("told %v, want %s; ended %v", told, want, f.ended)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 7})
	f.Add([]byte{0, 129, 0, 2, 0, 0, 0, 1})
	f.Add(pcp(func(b []byte) []byte { return b })(append([]byte{2, 1}, make([]byte, 58)...))[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, op := range []byte{pmpOutsideOp, pmpUDPOp} {
			if body, code, ok := parsePMP(b, op); ok && code == 0 && len(body) < 4 {
				t.Error("too little")
			}
		}
		if a, ok := parsePCP(b, [12]byte{}); ok && a.code == 0 && len(b) < pcpSize {
			t.Error("too little")
		}
	})
}

func FuzzSSDP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:5000/desc.xml\r\n\r\n"))
	f.Add([]byte("NOTIFY * HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, ok := parseSSDP(b, netip.MustParseAddr("192.168.1.1")); ok && (u.Hostname() != "192.168.1.1" || u.Scheme != "http") {
			t.Errorf("leads to %s", u)
		}
	})
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(description))
	f.Add([]byte("<a><!DOCTYPE a [<!ENTITY b 'c'>]>&b;</a>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		service, control, err := parseDescription(bytes.NewReader(b))
		if err == nil && (control == "" || !plainWord(service)) {
			t.Errorf("%q %q", service, control)
		}
	})
}
