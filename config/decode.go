package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"nightlatch/config/spell"
)

// Error is one thing that is wrong in a YAML file, and where.
type Error struct {
	File         string
	Line, Column int // 1-based; 0 when the whole file is meant
	Msg          string
}

// Error gives "file:line:column: what".
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// maxKeys bounds the keys of one mapping: yaml.v3 compares every key with
// every other.
const maxKeys = 1000

// decoder fills a struct from a YAML tree and knows where each value stands.
// yaml.v3's own decoder names lines only, and no near miss of an unknown key.
type decoder struct{ file string }

func (d decoder) fail(n *yaml.Node, format string, args ...any) error {
	return &Error{d.file, n.Line, n.Column, fmt.Sprintf(format, args...)}
}

// value fills v, which is named path in messages, from n.
func (d decoder) value(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind == yaml.AliasNode {
		return d.fail(n, "%s: aliases (*%s) are not read here; write the value itself", path, n.Value)
	}
	if n.Tag == "!!null" && (n.Value == "" || v.Type() != reflect.TypeFor[Answer]()) {
		return nil // an empty key keeps its default; "answer: null" is one of the answers
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode {
			return d.fail(n, "%s wants one value, not %s", path, kindName(n))
		}
		if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			return d.fail(n, "%s: %s", path, plain(err, n.Value))
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.mapping(n, v, path)
	case reflect.Map:
		return d.named(n, v, path)
	case reflect.Slice:
		return d.list(n, v, path)
	}
	return d.scalar(n, v, path)
}

// plain drops the package names of the standard library's parse errors.
func plain(err error, value string) string {
	msg := err.Error()
	var when *time.ParseError
	if errors.As(err, &when) {
		return fmt.Sprintf("%q is not a moment; write 2026-11-22T21:00:00+01:00", value)
	}
	for _, p := range []string{"netip.ParsePrefix(", "ParseAddr("} {
		if strings.HasPrefix(msg, p) {
			return fmt.Sprintf("%q is not a network; write 10.88.0.0/24 or fd00::/64", value)
		}
	}
	return msg
}

func (d decoder) mapping(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.fail(n, "%s wants keys and values, not %s", orTop(path), kindName(n))
	}
	fields := fieldsOf(v.Type())
	return d.pairs(n, path, func(key, val *yaml.Node, name string) error {
		i, ok := fields.index[key.Value]
		if !ok {
			return d.fail(key, "unknown key %q%s", key.Value, suggest(key.Value, fields.names))
		}
		if err := d.value(val, v.FieldByIndex(i.Index), name); err != nil {
			return err
		}
		return d.bounds(val, v.FieldByIndex(i.Index), i, name)
	})
}

// pairs walks a mapping and refuses a key that stands twice.
func (d decoder) pairs(n *yaml.Node, path string, each func(key, val *yaml.Node, name string) error) error {
	if len(n.Content)/2 > maxKeys {
		return d.fail(n, "%s has %d keys; at most %d are read", orTop(path), len(n.Content)/2, maxKeys)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if line, twice := seen[key.Value]; twice {
			return d.fail(key, "%q stands twice; the first is at line %d", key.Value, line)
		}
		seen[key.Value] = key.Line
		name := key.Value
		if path != "" {
			name = path + "." + key.Value
		}
		if err := each(key, val, name); err != nil {
			return err
		}
	}
	return nil
}

func (d decoder) named(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.fail(n, "%s wants names with settings below them, not %s", path, kindName(n))
	}
	v.Set(reflect.MakeMap(v.Type()))
	return d.pairs(n, path, func(key, val *yaml.Node, name string) error {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(val, elem, name); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
		return nil
	})
}

func (d decoder) list(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.SequenceNode {
		return d.fail(n, "%s wants a list: [a, b] or lines that begin with -", path)
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if err := d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (d decoder) scalar(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode {
		return d.fail(n, "%s wants one value, not %s", path, kindName(n))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if err != nil {
			return d.fail(n, "%s: %q is neither true nor false", path, n.Value)
		}
		v.SetBool(b)
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			return d.fail(n, "%s: %q is not a whole number", path, n.Value)
		}
		v.SetInt(int64(i))
	default:
		return d.fail(n, "%s: values of type %s are not read", path, v.Type())
	}
	return nil
}

// bounds holds the min and max tags; a Duration's are in seconds.
func (d decoder) bounds(n *yaml.Node, v reflect.Value, f reflect.StructField, path string) error {
	if !v.CanInt() {
		return nil
	}
	value, unit := v.Int(), ""
	if v.Type() == reflect.TypeFor[Duration]() {
		value, unit = value/1e9, "s"
	}
	if low, err := strconv.ParseInt(f.Tag.Get("min"), 10, 64); err == nil && value < low {
		return d.fail(n, "%s is %d%s; at least %d%s", path, value, unit, low, unit)
	}
	if high, err := strconv.ParseInt(f.Tag.Get("max"), 10, 64); err == nil && value > high {
		return d.fail(n, "%s is %d%s; at most %d%s", path, value, unit, high, unit)
	}
	return nil
}

type fields struct {
	index map[string]reflect.StructField
	names []string
}

func fieldsOf(t reflect.Type) fields {
	f := fields{index: map[string]reflect.StructField{}}
	for _, field := range keysOf(t) {
		name := field.Tag.Get("yaml")
		f.index[name] = field
		f.names = append(f.names, name)
	}
	return f
}

// keysOf gives the fields that are keys of a file: those of a struct, with those
// of a struct in it that has no name of its own in their place.
func keysOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Anonymous })
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// suggest names the nearest of the known words, or all when none is near.
func suggest(word string, known []string) string {
	if near := spell.Meant(word, known...); near != "" {
		return near
	}
	return "; known here are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
