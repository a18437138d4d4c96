//go:build unix

package doctor

import "syscall"

// free gives the bytes of disk that are free for a folder; 0 when unknown.
func free(dir string) uint64 {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return 0
	}
	return uint64(st.Bavail) * uint64(st.Bsize)
}
