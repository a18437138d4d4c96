package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nightlatch/config"
)

// Files that commands write beside the config.
const (
	overlayFile  = "overlay.yaml"  // rules made by commands
	pausesFile   = "pauses.yaml"   // pauses made by commands
	canariesFile = "canaries.yaml" // planted values
)

// CanariesFile holds the planted values.
func (h Home) CanariesFile() string { return h.Path(canariesFile) }

// Watched gives every file whose change a running gateway takes over, whether
// it is there or not: the config, devices, lists with all they include, what
// commands write, and what the sinkhole works with.
func (s *Settings) Watched() []string {
	h, cfg := s.Home, s.written
	out := []string{h.ConfigFile(), h.Path(overlayFile), h.Path(pausesFile), h.CanariesFile()}
	if p := cfg.Sinkhole.Known.Path(h.Dir); p != "" {
		out = append(out, p)
	}
	for _, dir := range []string{config.Resolve(h.Dir, cfg.Lists.Folder), h.DevicesDir(), h.CADir(), h.RepliesDir(), h.VendorsDir()} {
		out = append(out, entries(dir)...)
	}
	if f := cfg.DNS.Names.HostsFile; f != "" {
		out = append(out, config.Resolve(h.Dir, f))
	}
	for _, f := range cfg.Lists.Files {
		out = append(out, config.Resolve(h.Dir, f.Path))
	}
	for _, l := range s.Lists.All {
		for _, name := range l.Report.Included {
			out = append(out, filepath.Join(filepath.Dir(s.Lists.Paths[l.Name]), name))
		}
	}
	return out
}

// Stamps tells how files look, by path: size and time, empty for one that is not
// there.
type Stamps map[string]string

// Look tells how the watched files look now. It differs from Seen when one was
// edited since it was read.
func (s *Settings) Look() Stamps {
	out := Stamps{}
	for _, path := range s.Watched() {
		out[path] = stamp(path)
	}
	for i := range s.Devices {
		if d := &s.Devices[i]; !d.Until.IsZero() { // its end is a change, too
			out["device "+d.Name] = d.Ended(time.Now())
		}
	}
	return out
}

// seeIncluded adds the files that are known only now that lists were read.
func (s *Settings) seeIncluded() {
	for path, now := range s.Look() {
		if _, ok := s.Seen[path]; !ok {
			s.Seen[path] = now
		}
	}
}

func stamp(path string) string {
	st, err := os.Stat(path)
	switch {
	case err == nil:
		return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
	case errors.Is(err, fs.ErrNotExist):
		return ""
	}
	return "?"
}

// entries gives the visible files of a folder; none when there is no folder.
func entries(dir string) []string {
	var out []string
	files, _ := os.ReadDir(dir) // a folder that cannot be read is told by the load
	for _, e := range files {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}
