// Package host asks the machine: how much it has to give, so that limits can
// follow it, and whether another host answers a ping. It also moves datagrams
// through its sockets, and puts their errors into words.
package host

import (
	"bufio"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Memory is, in bytes, what the program may use: the machine's memory or the Go
// runtime's limit (GOMEMLIMIT), whichever is less. Where the system does not
// say, 1 GiB is assumed.
func Memory() uint64 {
	total := uint64(1 << 30)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		defer f.Close()
		total = memTotal(bufio.NewScanner(f), total)
	}
	if limit := debug.SetMemoryLimit(-1); limit > 0 && limit != math.MaxInt64 {
		total = min(total, 4*uint64(limit)) // the limit is for the heap of one program
	}
	return total
}

func memTotal(s *bufio.Scanner, otherwise uint64) uint64 {
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return otherwise
}
