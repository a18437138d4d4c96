//go:build !unix

package compiled

import (
	"io"
	"os"
)

// mapFile reads a file where it cannot be mapped in one way for all.
func mapFile(f *os.File, size int64) (data []byte, release func([]byte), err error) {
	data = make([]byte, size)
	_, err = io.ReadFull(f, data)
	return data, nil, err
}
