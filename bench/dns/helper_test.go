//go:build bench && linux

package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// helperEnv makes this binary one of the small programs below.
const helperEnv = "NL_BENCH_DNS"

func TestMain(m *testing.M) {
	var err error
	switch f := strings.Fields(os.Getenv(helperEnv)); {
	case len(f) == 0:
		os.Exit(m.Run())
	case f[0] == "echo":
		err = serve(f[1], func(b []byte) []byte { return b })
	case f[0] == "upstream":
		err = serve(f[1], truth)
	case f[0] == "library":
		err = library(f[1])
	case f[0] == "bare":
		err = bare(f[3], f[1], f[2])
	case f[0] == "generate":
		err = generate(f[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const batch = 64

type mmsghdr struct {
	unix.Msghdr
	size uint32
}

// serve answers datagrams with recvmmsg(2) and sendmmsg(2).
func serve(at string, answer func([]byte) []byte) error {
	c, err := net.ListenPacket("udp4", at)
	if err != nil {
		return err
	}
	_ = c.(*net.UDPConn).SetReadBuffer(4 << 20)
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	var in, out [batch]mmsghdr
	var iov, send [batch]unix.Iovec
	var names [batch][28]byte
	var data [batch][2048]byte
	for i := range in {
		iov[i].Base = &data[i][0]
		iov[i].SetLen(len(data[i]))
		in[i].Iov, out[i].Iov = &iov[i], &send[i]
		in[i].SetIovlen(1)
		out[i].SetIovlen(1)
	}
	for {
		for i := range in {
			in[i].Name, in[i].Namelen = &names[i][0], 28
		}
		n := 0
		if err := raw.Read(func(fd uintptr) bool {
			r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in[0])), batch, unix.MSG_DONTWAIT, 0, 0)
			if n = int(r); e != 0 {
				n = 0
			}
			return e != unix.EAGAIN
		}); err != nil {
			return err
		}
		for i := range n {
			b := answer(data[i][:in[i].size])
			send[i].Base = &b[0]
			send[i].SetLen(len(b))
			out[i].Name, out[i].Namelen = in[i].Name, in[i].Namelen
		}
		for sent := 0; sent < n; {
			if err := raw.Write(func(fd uintptr) bool {
				r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&out[sent])), uintptr(n-sent), unix.MSG_DONTWAIT, 0, 0)
				switch e {
				case 0:
					sent += int(r)
				case unix.EAGAIN:
					return false
				default:
					sent++ // one that cannot be sent
				}
				return true
			}); err != nil {
				return err
			}
		}
	}
}

// truth answers any question with one address, in place.
func truth(b []byte) []byte {
	p := 12
	for p < len(b) && b[p] != 0 {
		p += 1 + int(b[p])
	}
	if p+5 > len(b) {
		return b[:1] // no query, no answer
	}
	b[2], b[3] = b[2]|0x80, 0x80
	clear(b[6:12])
	if b[p+2] != 1 { // no other type has anything
		return b[:p+5]
	}
	b[7] = 1
	return append(b[:p+5:cap(b)], 0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 203, 0, 113, 1)
}

// library is the plainest server that can be made with miekg/dns.
func library(at string) error {
	return (&dns.Server{Addr: at, Net: "udp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(203, 0, 113, 1)}}
		_ = w.WriteMsg(m)
	})}).ListenAndServe()
}

// What Linux calls these (udp(7)).
const (
	solUDP     = 17
	udpSegment = 103
	udpGRO     = 104
)

// Bounds of the closed loop.
const (
	window    = 128 // questions under way
	maxBurst  = 60  // questions in one datagram that the kernel cuts; it allows 64
	lostAfter = 200 * time.Millisecond
)

// generator asks in a closed loop: for each answer another question, as many
// in one system call as there are. All questions have one length, as the kernel
// cuts evenly.
type generator struct {
	conn           *net.UDPConn
	questions      [][]byte
	unique, echo   bool
	next           uint64
	oob, burst     []byte
	sent, answered uint64
	under          int // way
}

// generate prints how many questions were sent and answered. Its arguments are
// server, time, file of names, and how: as they are, unique (eight digits of
// each question are counted up), or echo (answers are not looked at).
func generate(args []string) error {
	if len(args) != 4 {
		return errors.New("generate: server time file how")
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	g := &generator{unique: args[3] == "unique", echo: args[3] == "echo", next: uint64(time.Now().UnixMilli()) << 8}
	for name := range strings.FieldsSeq(string(text)) {
		m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
		m.SetEdns0(1232, false)
		q, err := m.Pack()
		if err != nil {
			return err
		}
		if len(g.questions) > 0 && len(q) != len(g.questions[0]) {
			return fmt.Errorf("%s: not as long as the other names", name)
		}
		g.questions = append(g.questions, q)
	}
	if err := g.dial(args[0]); err != nil {
		return err
	}
	err = g.run(d)
	fmt.Println(g.sent, g.answered)
	return err
}

func (g *generator) dial(server string) error {
	c, err := net.Dial("udp", server)
	if err != nil {
		return err
	}
	g.conn = c.(*net.UDPConn)
	_ = g.conn.SetReadBuffer(4 << 20)
	g.oob = make([]byte, syscall.CmsgSpace(2))
	h := g.oob[:syscall.CmsgLen(0)]
	binary.NativeEndian.PutUint64(h, uint64(syscall.CmsgLen(2)))
	binary.NativeEndian.PutUint32(h[8:], solUDP)
	binary.NativeEndian.PutUint32(h[12:], udpSegment)
	binary.NativeEndian.PutUint16(g.oob[syscall.CmsgLen(0):], uint16(len(g.questions[0])))
	raw, err := g.conn.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), solUDP, udpGRO, 1) })
	return errors.Join(err, cerr)
}

// send asks n more questions.
func (g *generator) send(n int) error {
	for n > 0 {
		k := min(n, maxBurst)
		g.burst = g.burst[:0]
		for range k {
			q := g.questions[g.next%uint64(len(g.questions))]
			g.next++
			binary.BigEndian.PutUint16(q, uint16(g.next)) // the ID
			if g.unique {                                 // the label after the length octet
				digits := strconv.AppendUint(make([]byte, 0, 24), 10_000_000_000+g.next%10_000_000_000, 10)
				copy(q[13:], digits[len(digits)-10:])
			}
			g.burst = append(g.burst, q...)
		}
		if _, _, err := g.conn.WriteMsgUDP(g.burst, g.oob, nil); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		n -= k
		g.under += k
		g.sent += uint64(k)
	}
	return nil
}

// receive waits for answers and counts them; none in a while means that what
// is under way is lost.
func (g *generator) receive(buf, oob []byte) error {
	_ = g.conn.SetReadDeadline(time.Now().Add(lostAfter))
	n, oobn, _, _, err := g.conn.ReadMsgUDP(buf, oob)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		g.under = 0
		return nil
	}
	if err != nil {
		return err
	}
	size := max(n, 1)
	if messages, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 && len(messages[0].Data) >= 2 {
		size = int(binary.NativeEndian.Uint16(messages[0].Data))
	}
	for at := 0; at < n; at += size {
		a := buf[at:min(at+size, n)]
		g.under--
		if !g.echo && (len(a) < 12 || a[2]&0x80 == 0 || a[2]&0x02 != 0 || a[3]&0xf != dns.RcodeNameError && (a[3]&0xf != 0 || a[7] == 0)) {
			continue // SERVFAIL, or another answer that is none: as good as lost
		}
		g.answered++
	}
	return nil
}

func (g *generator) run(d time.Duration) error {
	defer g.conn.Close()
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := g.send(window - max(g.under, 0)); err != nil {
			return err
		}
		if err := g.receive(buf, oob); err != nil {
			return err
		}
	}
	return nil
}
