package blocklists

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"nightlatch/config/spell"
)

// neverBlock is the built-in list of names that no list should stop. It holds
// only allows, so it is a guard and not a list to subscribe to.
const neverBlock = "never-block"

//go:embed builtin/*.yaml
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

// Builtin gives one of the lists that come with the program, parsed anew. An
// unknown name is an error that says the nearest one that exists.
func Builtin(name string) (*List, error) {
	text, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil || name == neverBlock {
		return nil, fmt.Errorf("blocklists: no built-in list is called %q%s", clip(name), spell.Meant(name, BuiltinNames()...))
	}
	return parse(Source{Name: name, Format: Native}, "builtin/"+name+".yaml", "", bytes.NewReader(text))
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
