package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"nightlatch/cmd/nightlatch/home"
)

// openHome gives the home folder of this command line; it need not exist yet.
func (a *app) openHome() (home.Home, error) {
	dir := a.home
	if dir == "" {
		dir = os.Getenv("NIGHTLATCH_HOME")
	}
	if dir == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return home.Home{}, fmt.Errorf("no home folder: %w; name one with --home", err)
		}
		dir = filepath.Join(user, ".nightlatch")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return home.Home{}, fmt.Errorf("home folder: %w", err)
	}
	return home.Home{Dir: abs}, nil
}

// needHome is openHome for commands that read an existing home.
func (a *app) needHome() (home.Home, error) {
	h, err := a.openHome()
	if err != nil {
		return h, err
	}
	if _, err := os.Stat(h.ConfigFile()); errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("%s has no nightlatch.yaml; nightlatch up makes one", h.Dir)
	} else if err != nil {
		return h, fmt.Errorf("home folder: %w", err)
	}
	return h, nil
}
