//go:build unix

package compiled

import (
	"fmt"
	"os"
	"syscall"
)

// mapFile maps a file for reading. release undoes it.
func mapFile(f *os.File, size int64) (data []byte, release func([]byte), err error) {
	if int64(int(size)) != size {
		return nil, nil, fmt.Errorf("%d bytes do not fit the address space", size)
	}
	data, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	return data, func(b []byte) { _ = syscall.Munmap(b) }, nil
}
