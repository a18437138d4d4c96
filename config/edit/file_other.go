//go:build !unix || solaris || illumos || aix

package edit

import (
	"errors"
	"os"
)

// lock knows no lock for folders here.
func lock(*os.File) (busy bool, err error) { return false, errors.ErrUnsupported }

func chown(*os.File, os.FileInfo) {}
