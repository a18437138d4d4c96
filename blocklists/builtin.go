package blocklists

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nightlatch/config/spell"
)

// neverBlock is the built-in list of names that no list should stop. It holds
// only allows, so it is a guard and not a list to subscribe to.
const neverBlock = "never-block"

//go:embed builtin
var builtin embed.FS

// BuiltinNames gives the names of the lists that come with the program, sorted.
func BuiltinNames() []string {
	files, err := fs.Glob(builtin, "builtin/*.yaml")
	if err != nil {
		return nil // the pattern is a constant, and well formed
	}
	var out []string
	for _, f := range files {
		if name := strings.TrimSuffix(path.Base(f), ".yaml"); name != neverBlock {
			out = append(out, name)
		}
	}
	return out
}

// Builtin gives one of the lists that come with the program, parsed anew, without
// the rules that are known to break something. An unknown name is an error that
// says the nearest one that exists.
func Builtin(name string) (*List, error) { return BuiltinSource(Source{Name: name}) }

// BuiltinSource is Builtin with more said about the list than its name: whether
// rules that may break something are taken, what is done with its names.
func BuiltinSource(src Source) (*List, error) {
	name := src.Name
	text, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil || name == neverBlock {
		return nil, fmt.Errorf("blocklists: no built-in list is called %q%s", clip(name), spell.Meant(name, BuiltinNames()...))
	}
	src.Format = Native
	return parse(src, "builtin/"+name+".yaml", nil, bytes.NewReader(text))
}

// BuiltinText gives the YAML of a built-in list as it was written, to be shown
// or copied by an owner who wants to change it.
func BuiltinText(name string) (string, error) {
	if _, err := Builtin(name); err != nil {
		return "", err
	}
	text, err := builtin.ReadFile("builtin/" + name + ".yaml")
	return string(text), err
}

// SafeSearch gives the rules that answer for search engines with the hosts that
// search without adult content, and for YouTube with its Restricted Mode: the
// moderate one, or the strict one. Every rule is exact and has a [Rewrite] to a
// CNAME. The list is called safe-search.
func SafeSearch(strict bool) (*List, error) {
	level := "moderate"
	if strict {
		level = "strict"
	}
	return embedded("builtin/safesearch", level, "safe-search")
}

// Services gives the names of the services that can be stopped by name, and of
// the kinds of services (video, social, games, ...), sorted.
func Services() []string {
	files, err := fs.Glob(builtin, "builtin/services/*.yaml")
	if err != nil {
		return nil // the pattern is a constant, and well formed
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(path.Base(f), ".yaml"))
	}
	return out
}

// Service gives the names of a service, or of all services of a kind, as a list
// of blocks that is called service:NAME. The Category of its rules is the kind.
// An unknown name is an error that says the nearest one that exists.
func Service(name string) (*List, error) {
	if !slices.Contains(Services(), name) {
		return nil, fmt.Errorf("blocklists: no service is called %q%s", clip(name), spell.Meant(name, Services()...))
	}
	return embedded("builtin/services", name, "service:"+name)
}

// embedded reads a list that comes with the program and may include others of
// its folder.
func embedded(folder, file, name string) (*List, error) {
	at := path.Join(folder, file+".yaml")
	text, err := builtin.ReadFile(at)
	if err != nil {
		return nil, fmt.Errorf("blocklists: %w", err)
	}
	open := func(name string) (io.ReadCloser, error) { return builtin.Open(path.Join(folder, name)) }
	return parse(Source{Name: name, Format: Native}, at, open, bytes.NewReader(text))
}
