//go:build !unix

package tunnel

import "net"

func newSource(c net.Conn) source { return &connSource{Conn: c} }

func readable(net.PacketConn) error { return nil }
