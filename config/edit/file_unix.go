//go:build unix && !solaris && !illumos && !aix

package edit

import (
	"errors"
	"os"
	"syscall"
)

// lock tries to lock an open folder for this process; busy means that another
// has it.
func lock(dir *os.File) (busy bool, err error) {
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return true, nil
	}
	return false, err
}

// chown gives a file the owner of another, where the system allows it.
func chown(f *os.File, like os.FileInfo) {
	if st, ok := like.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // only root may; the mode is kept in any case
	}
}
