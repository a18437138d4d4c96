//go:build unix

package host

import "golang.org/x/sys/unix"

// Files is how many files the process may have open.
func Files() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return uint64(l.Cur)
}
