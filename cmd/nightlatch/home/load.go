package home

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/config"
	"nightlatch/config/canaries"
	"nightlatch/decoder"
	"nightlatch/policy"
)

// Settings is a home as read from its files: all that a gateway is built from.
// It is not changed after it was read.
type Settings struct {
	Home    Home
	Config  *config.Config
	Devices []config.Device
	Key     config.Key          // the server's private key
	Known   map[string][]string // the owner's own identifiers
	Lists   Lists
	Pauses  []config.Pause // the last good version of pauses.yaml

	Canaries []canaries.Canary // planted values
	Seen     Stamps            // the files as they looked before they were read
	written  *config.Config    // as it stands in the file, whatever of it is in force
}

// Load reads and checks every file of a home. Broken lists do not fail it:
// they stand in Lists.Broken, and the others are in force.
func (h Home) Load() (*Settings, error) {
	s, err := h.files()
	if err != nil {
		return nil, err
	}
	if s.Key, err = h.ServerKey(s.Config); err != nil {
		return nil, err
	}
	if s.Lists, err = loadLists(s.Config, h.Dir, nil); err == nil {
		s.loadPauses(nil)
		s.seeIncluded()
	}
	return s, err
}

// Again reads config, devices, known values, canaries and lists anew. A list
// that is broken now keeps its last good version, as do the pauses; the key stays
// as it is.
func (s *Settings) Again() (*Settings, error) {
	next, err := s.Home.files()
	if err != nil {
		return nil, err
	}
	next.Key = s.Key
	if next.Lists, err = loadLists(next.Config, s.Home.Dir, &s.Lists); err == nil {
		next.loadPauses(s.Pauses)
		next.seeIncluded()
	}
	return next, err
}

// files reads config, devices, known values and canaries.
func (h Home) files() (*Settings, error) {
	s := &Settings{Home: h}
	before, err := stamp(h.ConfigFile()), error(nil)
	if s.Config, err = h.LoadConfig(); err != nil {
		return nil, err
	}
	s.written = s.Config
	s.Seen = s.Look()
	s.Seen[h.ConfigFile()] = before
	if s.Devices, err = config.LoadDevices(h.DevicesDir()); err != nil {
		return nil, err
	}
	if s.Known, err = h.loadKnown(s.Config); err != nil {
		return nil, err
	}
	if s.Canaries, err = canaries.Load(h.CanariesFile()); err != nil {
		return nil, err
	}
	return s, config.CheckDevices(&s.Config.Tunnel, s.Devices)
}

// loadKnown reads the owner's own identifiers; an absent file means none.
func (h Home) loadKnown(cfg *config.Config) (map[string][]string, error) {
	text, err := cfg.Sinkhole.Known.Read(h.Dir)
	if errors.Is(err, fs.ErrNotExist) || text == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known, err := decoder.ParseKnown([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("sinkhole.known: %s: %w", config.Resolve(h.Dir, cfg.Sinkhole.Known.File), err)
	}
	return known, nil
}

// Lists is every list of a home that could be read, and what could not.
type Lists struct {
	All    []*blocklists.List
	Set    *blocklists.Set   // all of them, compiled
	Paths  map[string]string // list name -> file; absent for built-in ones
	Broken []Broken

	// Unkept says why the compiled lists were made anew or are not on the disk, when
	// that is something to tell: the file was damaged, or cannot be written. The
	// lists are in force all the same.
	Unkept error

	parts *assembly
}

// Broken is a list that could not be read. Err is one line: file, line,
// column, what to do.
type Broken struct {
	List string
	Err  error
}

func (s *Lists) names() []string {
	var out []string
	for _, l := range s.All {
		out = append(out, l.Name)
	}
	return out
}

// loadLists reads the built-in lists, the owner's folder and the files of the
// config, as far as they have changed since they were compiled. A list that cannot
// be read keeps its last good version from old, or from the last time it was
// compiled, if there is one.
func loadLists(cfg *config.Config, dir string, old *Lists) (Lists, error) {
	path := filepath.Join(dir, compiledFile)
	var before *blocklists.Set
	var unkept error
	if old != nil && old.Set != nil && old.Set.Opened() != nil && old.Set.Damaged() == nil {
		before = old.Set
	} else {
		before, unkept = prior(path)
	}
	set, err := gather(cfg, dir, old, &assembly{path: path, maker: maker(), prior: before})
	if err == nil || set.parts.build == nil && set.parts.err == nil {
		set.Unkept = cmp.Or(set.Unkept, unkept)
		return set, err
	}
	kept := err
	set, err = gather(cfg, dir, old, &assembly{}) // without the disk
	set.Unkept = kept
	return set, err
}

// gather puts the lists together.
func gather(cfg *config.Config, dir string, old *Lists, parts *assembly) (Lists, error) {
	set := Lists{Paths: map[string]string{}, parts: parts}
	builtin, err := builtinNames(cfg.Lists.Builtin)
	if err != nil {
		return set, err
	}
	for _, name := range builtin {
		if err := parts.read(blocklists.Source{Name: name, MayBreak: mayBreak(cfg, name)}, ""); err != nil {
			return set, fmt.Errorf("built-in list %s: %w", name, err)
		}
	}
	sources, paths, err := ownLists(config.Resolve(dir, cfg.Lists.Folder))
	if err != nil {
		set.Broken = append(set.Broken, Broken{cfg.Lists.Folder, err})
	}
	for _, f := range cfg.Lists.Files {
		src := fileSource(f)
		src.MayBreak = mayBreak(cfg, f.Name)
		sources, paths = append(sources, src), append(paths, config.Resolve(dir, f.Path))
	}
	for i, src := range sources {
		set.add(src, paths[i], old)
	}
	set.addSubscribed(cfg, dir, old)
	if path := filepath.Join(dir, overlayFile); !absent(path) {
		set.add(blocklists.Source{Name: overlayName, Format: blocklists.Native, Overlay: true}, path, old)
	}
	if err := set.addApart(cfg); err != nil {
		return set, err
	}
	set.Set, set.All, err = parts.finish()
	return set, err
}

// mayBreak says whether the owner takes the rules of a list that may stop
// something people want.
func mayBreak(cfg *config.Config, list string) bool {
	return slices.Contains(cfg.Lists.MayBreak, list) || slices.Contains(cfg.Lists.MayBreak, "all")
}

// add reads one list file into the set.
func (s *Lists) add(src blocklists.Source, path string, old *Lists) {
	if s.has(src.Name) {
		s.Broken = append(s.Broken, Broken{src.Name, fmt.Errorf("%s: a list called %s is read already; rename this one", path, src.Name)})
		return
	}
	if err := s.parts.read(src, path); err != nil {
		s.Broken = append(s.Broken, Broken{src.Name, err})
		l := old.Find(src.Name)
		if l == nil {
			l, _ = s.parts.last(src.Name, path)
		}
		if l == nil {
			return
		}
		s.parts.take(l, l.Mark())
	}
	s.Paths[src.Name] = path
}

// has says whether a list of that name was read.
func (s *Lists) has(name string) bool {
	return slices.ContainsFunc(s.parts.lists, func(l *blocklists.List) bool { return l.Name == name })
}

// Find gives the list of that name; nil when there is none.
func (s *Lists) Find(name string) *blocklists.List {
	if s == nil {
		return nil
	}
	for _, l := range s.All {
		if l.Name == name {
			return l
		}
	}
	return nil
}

func builtinNames(wanted []string) ([]string, error) {
	known := blocklists.BuiltinNames()
	if slices.Contains(wanted, "all") {
		return known, nil
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("lists.builtin: there is no built-in list %q; known are %s", name, strings.Join(known, ", "))
		}
	}
	return wanted, nil
}

// ownLists finds the owner's lists in their folder, in name order.
func ownLists(folder string) (sources []blocklists.Source, paths []string, err error) {
	if folder == "" {
		return nil, nil, nil
	}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lists.folder: %w", err)
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".yaml", ".yml", ".txt"}, ext) {
			continue
		}
		src := blocklists.Source{Name: strings.TrimSuffix(e.Name(), ext), Own: true}
		if ext != ".txt" {
			src.Format = blocklists.Native
		}
		sources, paths = append(sources, src), append(paths, filepath.Join(folder, e.Name()))
	}
	return sources, paths, nil
}

var listActions = map[string]blocklists.Action{
	"": blocklists.ActionDefault, "sink": blocklists.ActionSink, "deny": blocklists.ActionDeny, "drop": blocklists.ActionDrop,
	"observe": blocklists.ActionObserve,
}

func fileSource(f config.ListFile) blocklists.Source {
	src := blocklists.Source{Name: f.Name, Format: blocklists.Format(f.Format), Action: listActions[f.Action], Reply: replyOf(f.Answer)}
	switch f.Match {
	case "exact":
		src.Match = new(blocklists.Exact)
	case "subtree":
		src.Match = new(blocklists.Subtree)
	}
	return src
}

// PolicyDevice gives a configured device as the policy knows it.
func PolicyDevice(d config.Device) policy.Device {
	return policy.Device{Name: d.Name, Key: d.PublicKey, Addrs: d.Addresses}
}

// OwnerOf gives the company behind a list, for summaries.
func (s *Lists) OwnerOf(list string) string {
	if l := s.Find(list); l != nil {
		return l.Owner
	}
	return ""
}

// Rules counts the rules of all lists.
func (s *Lists) Rules() int {
	n := 0
	for _, l := range s.All {
		n += l.Len()
	}
	return n
}
