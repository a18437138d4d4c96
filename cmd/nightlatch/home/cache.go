package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// cacheName is the file in which the resolver's answers outlive a restart.
const cacheName = "answers.cache"

// CacheFile gives the file in which the resolver keeps its answers; empty when
// nothing is to be kept. What an earlier run kept is removed then.
func (s *Settings) CacheFile() (string, error) {
	file := filepath.Join(s.Home.Dir, cacheName)
	if s.Config.DNS.KeepCache {
		return file, nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return "", nil
}
