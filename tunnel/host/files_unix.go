//go:build unix

package host

import (
	"net"

	"golang.org/x/sys/unix"
)

// Files is how many files the process may have open.
func Files() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return uint64(l.Cur)
}

// Readable waits until a datagram is there, so that a quiet socket holds no
// 64 KiB buffer. A socket that cannot be asked is simply read.
func Readable(pc net.PacketConn) error {
	sc, ok := pc.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var one [1]byte
	return raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK)
		return err != unix.EAGAIN
	})
}
