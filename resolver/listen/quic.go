package listen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/ipv4"
)

// Error codes of RFC 9250 §4.3.
const (
	doqNoError       = 0x0
	doqInternalError = 0x1
	doqProtocolError = 0x2
	doqExcessiveLoad = 0x4
)

// quicSocket is a UDP socket for QUIC. It hands on the datagrams of those who
// may ask and drops all others, so that a stranger hears nothing at all.
type quicSocket struct {
	*net.UDPConn
	conn  *net.UDPConn // the same, by a name that is no method
	batch *ipv4.PacketConn
	s     *Server
	over  way
}

func (s *Server) openQUIC(at netip.AddrPort, over way) error {
	c, err := net.ListenUDP(family("udp", at), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("listen: %s over udp %s: %w", over, at, plain(err))
	}
	s.quics = append(s.quics, &quicSocket{c, c, ipv4.NewPacketConn(c), s, over})
	return nil
}

// ReadBatch is how quic-go reads where the system has batches; it works for
// both families.
func (q *quicSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := q.batch.ReadBatch(ms, flags)
		if err != nil {
			return n, err
		}
		kept := 0
		for i := range n {
			if q.may(ms[i].Addr) {
				ms[kept], ms[i] = ms[i], ms[kept]
				kept++
			}
		}
		if kept > 0 {
			return kept, nil
		}
	}
}

// ReadFrom is how it reads elsewhere.
func (q *quicSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, addr, err := q.UDPConn.ReadFrom(b)
		if err != nil || q.may(addr) {
			return n, addr, err
		}
	}
}

// ReadMsgUDP is the third way.
func (q *quicSocket) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	for {
		n, oobn, flags, addr, err = q.UDPConn.ReadMsgUDP(b, oob)
		if err != nil || q.may(addr) {
			return n, oobn, flags, addr, err
		}
	}
}

func (q *quicSocket) may(addr net.Addr) bool {
	if q.s.clients.find(addrPort(addr).Addr()) != nil {
		return true
	}
	q.s.counts.denied.Add(1)
	return false
}

// serveQUIC answers DoQ or HTTP/3 connections until the socket is closed.
func (s *Server) serveQUIC(ctx context.Context, q *quicSocket) error {
	alpn, conf := "doq", &quic.Config{
		HandshakeIdleTimeout: readPatience, MaxIdleTimeout: idlePatience, MaxIncomingStreams: maxStreams,
		MaxIncomingUniStreams:  -1, // RFC 9250 §4.2 has none
		MaxStreamReceiveWindow: 128 << 10, MaxConnectionReceiveWindow: 512 << 10,
	}
	var h3 *http3.Server
	if q.over == overHTTPS {
		alpn, conf.MaxIncomingUniStreams = http3.NextProtoH3, 8 // control and two of QPACK, RFC 9114 §6.2
		h3 = &http3.Server{Handler: http.HandlerFunc(s.serveDoH), MaxHeaderBytes: maxHeader, IdleTimeout: dohIdle, ConnContext: s.h3Context}
		defer h3.Close()
	}
	tr := &quic.Transport{Conn: q}
	defer tr.Close()
	l, err := tr.Listen(protocols(s.opt.Config, alpn), conf)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept(ctx)
		if err != nil {
			return nil // closed
		}
		cl := s.clients.find(addrPort(c.RemoteAddr()).Addr())
		if cl == nil || !s.enter(cl) {
			_ = c.CloseWithError(doqExcessiveLoad, "too many connections")
			continue
		}
		s.running.Go(func() {
			defer s.leave(cl)
			if h3 != nil {
				_ = h3.ServeQUICConn(c)
			} else {
				s.serveDoQ(ctx, c, cl)
			}
			_ = c.CloseWithError(doqNoError, "")
		})
	}
}

// h3Context is what ConnContext of HTTP/2 is. A client may move while its
// connection lives (RFC 9000 §9); it stays who it was.
func (s *Server) h3Context(ctx context.Context, c *quic.Conn) context.Context {
	if a := s.quicAsked(c, overHTTPS); a != nil {
		return context.WithValue(ctx, callerKey{}, a)
	}
	return ctx
}

func (s *Server) quicAsked(c *quic.Conn, over way) *asked {
	src := addrPort(c.RemoteAddr())
	cl := s.clients.find(src.Addr())
	if cl == nil {
		return nil
	}
	return &asked{client: cl, device: cl.device, src: src, dst: addrPort(c.LocalAddr()), over: over}
}

// serveDoQ answers the streams of one connection, each with one question
// (RFC 9250 §4.2).
func (s *Server) serveDoQ(ctx context.Context, c *quic.Conn, cl *client) {
	a := s.quicAsked(c, overQUIC)
	if a == nil {
		return
	}
	a.client = cl
	if d, ok := s.named(s.nameBefore(c.ConnectionState().TLS.ServerName)); ok {
		a.device = d
	}
	for {
		st, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		s.running.Go(func() {
			query, err := doqQuery(st)
			if err != nil {
				if errors.Is(err, errDoQ) {
					s.counts.malformed.Add(1)
					_ = c.CloseWithError(doqProtocolError, err.Error())
				}
				st.CancelRead(doqNoError)
				st.CancelWrite(doqInternalError)
				return
			}
			out := s.answer(st.Context(), a, query)
			if out == nil {
				st.CancelWrite(doqInternalError) // silence
				return
			}
			_ = st.SetWriteDeadline(time.Now().Add(readPatience))
			_, err = st.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(out)), uint16(len(out))), out...))
			if err != nil {
				st.CancelWrite(doqInternalError)
				return
			}
			st.Close()
		})
	}
}

var errDoQ = errors.New("one message a stream, with ID 0 and without edns-tcp-keepalive")

// doqQuery reads the one message of a stream, up to its end. errDoQ means
// that the client breaks the protocol (RFC 9250 §4.3.3); other errors are those
// of the connection.
func doqQuery(st io.Reader) ([]byte, error) {
	if d, ok := st.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(time.Now().Add(readPatience))
	}
	b, err := io.ReadAll(io.LimitReader(st, 2+maxMessage+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) < 4 || int(binary.BigEndian.Uint16(b)) != len(b)-2 || b[2]|b[3] != 0:
		return nil, errDoQ // §4.2.1: the ID is 0
	}
	if w := readWants(b[2:]); w.keepalive {
		return nil, errDoQ // §5.5.2
	}
	return b[2:], nil
}
