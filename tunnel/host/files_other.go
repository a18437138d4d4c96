//go:build !unix

package host

import "net"

// Files is how many files the process may have open. Windows sets no bound that would be met.
func Files() uint64 { return 1 << 20 }

// Readable does not wait here: a socket that cannot be asked is simply read.
func Readable(net.PacketConn) error { return nil }
