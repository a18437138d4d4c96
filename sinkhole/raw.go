package sinkhole

import "time"

// rawIdle ends a connection whose protocol is unknown: such clients mostly
// wait for an answer that the sinkhole cannot give.
const rawIdle = 10 * time.Second

// serveRaw takes in what a client sends in a protocol of its own, and says nothing.
func (x *session) serveRaw() {
	at := x.capture()
	at.Scheme = "tcp"
	if x.tls != nil {
		at.Scheme = "tls"
	}
	b := x.s.readBody(x.conn, rawIdle, func(t time.Time) { x.conn.SetReadDeadline(t) })
	x.understood()
	x.s.takeRaw(x.ctx, at, b)
	x.s.free(b)
}
