//go:build bench

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// What Linux calls these; package syscall does not have them (udp(7)).
const (
	solUDP     = 17
	udpSegment = 103
	udpGRO     = 104
)

// Bounds of the closed loop.
const (
	window    = 120 // questions under way; a gateway may refuse more from one device
	maxBurst  = 60  // questions in one datagram that the kernel cuts; it allows 64
	lostAfter = 200 * time.Millisecond
)

// generator asks in a closed loop: for each answer another question, as many
// in one system call as there are, so that asking costs little beside
// answering. All questions have one length, as the kernel cuts evenly.
type generator struct {
	conn      *net.UDPConn
	questions [][]byte
	next      int // question to send
	oob       []byte
	burst     []byte

	sent, answered uint64
	under          int // way
}

func newGenerator(server string, names []string) (*generator, error) {
	g := &generator{}
	for _, name := range names {
		q, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
		if err != nil {
			return nil, err
		}
		if len(g.questions) > 0 && len(q) != len(g.questions[0]) {
			return nil, fmt.Errorf("%s: not as long as the other names", name)
		}
		g.questions = append(g.questions, q)
	}
	c, err := net.Dial("udp", server)
	if err != nil {
		return nil, err
	}
	g.conn = c.(*net.UDPConn)
	g.oob = make([]byte, syscall.CmsgSpace(2))
	h := g.oob[:syscall.CmsgLen(0)]
	binary.NativeEndian.PutUint64(h, uint64(syscall.CmsgLen(2)))
	binary.NativeEndian.PutUint32(h[8:], solUDP)
	binary.NativeEndian.PutUint32(h[12:], udpSegment)
	binary.NativeEndian.PutUint16(g.oob[syscall.CmsgLen(0):], uint16(len(g.questions[0])))
	raw, err := g.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), solUDP, udpGRO, 1) })
	return g, err
}

// send asks n more questions.
func (g *generator) send(n int) error {
	for n > 0 {
		k := min(n, maxBurst)
		g.burst = g.burst[:0]
		for range k {
			q := g.questions[g.next%len(g.questions)]
			g.next++
			binary.BigEndian.PutUint16(q, uint16(g.next)) // the ID
			g.burst = append(g.burst, q...)
		}
		if _, _, err := g.conn.WriteMsgUDP(g.burst, g.oob, nil); err != nil {
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
	g.conn.SetReadDeadline(time.Now().Add(lostAfter))
	n, oobn, _, _, err := g.conn.ReadMsgUDP(buf, oob)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		g.under = 0
		return nil
	}
	if err != nil {
		return err
	}
	size := n
	if messages, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 && len(messages[0].Data) >= 2 {
		size = int(binary.NativeEndian.Uint16(messages[0].Data))
	}
	for at := 0; at < n; at += size {
		answer := buf[at:min(at+size, n)]
		if len(answer) < 12 || answer[3]&0xf != 0 || binary.BigEndian.Uint16(answer[6:]) == 0 {
			return fmt.Errorf("an answer that is none: %x", answer[:min(len(answer), 12)])
		}
		g.answered++
		g.under--
	}
	return nil
}

// run asks for a while and gives what was sent and answered in it.
func (g *generator) run(d time.Duration) (sent, answered uint64, err error) {
	defer g.conn.Close()
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := g.send(window - max(g.under, 0)); err != nil {
			return 0, 0, err
		}
		if err := g.receive(buf, oob); err != nil {
			return 0, 0, err
		}
	}
	return g.sent, g.answered, nil
}
