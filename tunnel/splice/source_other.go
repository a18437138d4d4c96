//go:build !unix

package splice

import "net"

func newSource(c net.Conn) source { return &connSource{Conn: c} }
