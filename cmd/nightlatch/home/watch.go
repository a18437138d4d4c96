package home

import (
	"os"
	"path/filepath"
	"strings"

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
	h, cfg := s.Home, s.Config
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
