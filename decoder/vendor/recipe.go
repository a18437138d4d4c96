package vendor

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// Sources gives what a recipe begins with: "body", "form:p", "query:time",
// "header:Name", "thrift:7". The step says where it stood.
type Sources func(name string) ([]byte, *walk.Step, bool)

// stage is one step of a pipeline: name(arg, arg).
type stage struct {
	name string
	args []string
}

// maxStages bounds a pipeline, which an owner writes.
const maxStages = 16

// parse cuts "form:sid | hex | before(_)" into stages.
func parse(pipeline string) ([]stage, error) {
	var out []stage
	for _, part := range strings.Split(pipeline, "|") {
		name, rest, call := strings.Cut(strings.TrimSpace(part), "(")
		s := stage{name: name}
		if call {
			body, ok := strings.CutSuffix(rest, ")")
			if !ok {
				return nil, fmt.Errorf("%q: a ) is missing", part)
			}
			for _, a := range strings.Split(body, ",") {
				s.args = append(s.args, strings.TrimSpace(a))
			}
		}
		if s.name == "" {
			return nil, fmt.Errorf("%q: an empty step", pipeline)
		}
		out = append(out, s)
	}
	if len(out) > maxStages {
		return nil, fmt.Errorf("%q: more than %d steps", pipeline, maxStages)
	}
	return out, nil
}

// check reports a recipe that cannot work, before any payload meets it.
func (r *Recipe) check() error {
	if r.Data == "" {
		return fmt.Errorf("a recipe needs data")
	}
	for _, p := range []string{r.Key, r.IV, r.Data} {
		if p == "" {
			continue
		}
		stages, err := parse(p)
		if err != nil {
			return err
		}
		for _, s := range stages[1:] {
			if !known(s.name) {
				return fmt.Errorf("%q: there is no step %q", p, s.name)
			}
		}
	}
	return nil
}

func known(name string) bool {
	switch name {
	case "base64", "hex", "unhex", "url", "gzip", "zlib", "snappy", "xor", "rc4", "aes_cbc", "aes_ecb", "des_ecb",
		"before", "after", "slice", "skip", "mod", "bitxor", "bitand", "byte", "lower", "upper":
		return true
	}
	return false
}

// Applies reports that the condition holds and the data is there.
func (r *Recipe) Applies(src Sources) bool {
	if r.When != "" {
		name, want, _ := strings.Cut(r.When, "=")
		if got, _, ok := src(name); !ok || !glob(want, string(got)) {
			return false
		}
	}
	name, _, _ := strings.Cut(r.Data, "|")
	v, _, ok := src(strings.TrimSpace(name))
	return ok && len(v) > 0
}

// Run follows the recipe. The steps that undo an encoding or a cipher become
// part of the path; those that only cut do not. What each step of the path gave
// is handed to keep, which may be nil.
func (r *Recipe) Run(src Sources, b *codec.Budget, keep func(*walk.Step, []byte)) ([]byte, *walk.Step, bool) {
	e := eval{src: src, b: b, vars: map[string][]byte{}}
	for _, v := range []struct{ name, pipeline string }{{"key", r.Key}, {"iv", r.IV}} {
		if v.pipeline == "" {
			continue
		}
		out, _, ok := e.run(v.pipeline)
		if !ok {
			return nil, nil, false
		}
		e.vars[v.name] = out
	}
	e.keep = keep
	return e.run(r.Data)
}

type eval struct {
	src  Sources
	b    *codec.Budget
	vars map[string][]byte
	keep func(*walk.Step, []byte)
}

func (e *eval) run(pipeline string) ([]byte, *walk.Step, bool) {
	stages, err := parse(pipeline)
	if err != nil {
		return nil, nil, false
	}
	v, at, ok := e.literal(stages[0].name)
	if !ok {
		if v, at, ok = e.src(stages[0].name); !ok {
			return nil, nil, false
		}
	}
	for _, s := range stages[1:] {
		if !e.b.Take(len(v) + 16) {
			return nil, nil, false
		}
		if v, ok = e.apply(s, v); !ok {
			return nil, nil, false
		}
		switch s.name {
		case "before", "after", "slice", "skip", "mod", "bitxor", "bitand", "byte", "lower", "upper":
		default:
			if at == nil {
				continue
			}
			if at = at.Begin(s.name); e.keep != nil {
				e.keep(at, v)
			}
		}
	}
	return v, at, true
}

// literal reads hex:0a1b, text:abc and the names key and iv.
func (e *eval) literal(s string) ([]byte, *walk.Step, bool) {
	if v, ok := strings.CutPrefix(s, "hex:"); ok {
		out, err := hex.DecodeString(v)
		return out, nil, err == nil
	}
	if v, ok := strings.CutPrefix(s, "text:"); ok {
		return []byte(v), nil, true
	}
	v, ok := e.vars[s]
	return v, nil, ok
}

// arg gives the n-th argument of a cipher, or the recipe's own key or IV.
func (e *eval) arg(s stage, n int, otherwise string) []byte {
	name := otherwise
	if n < len(s.args) {
		name = s.args[n]
	}
	v, _, _ := e.literal(name)
	return v
}

func (e *eval) apply(s stage, v []byte) ([]byte, bool) {
	switch s.name {
	case "base64":
		if len(s.args) == 1 {
			return codec.Base64With(v, s.args[0])
		}
		return codec.Base64(v)
	case "hex":
		return codec.Hex(v)
	case "unhex":
		return []byte(hex.EncodeToString(v)), true
	case "url":
		out, _ := codec.Percent(v)
		return out, true
	case "gzip":
		out, ok := codec.Gzip(v, e.b)
		return out.Data, ok && !out.Bomb
	case "zlib":
		out, ok := codec.Zlib(v, e.b)
		return out.Data, ok && !out.Bomb
	case "snappy":
		out, ok := codec.SnappyBlock(v, e.b.Inflate)
		e.b.Inflate -= len(out)
		return out, ok
	case "xor":
		return codec.XOR(v, e.arg(s, 0, "key"))
	case "rc4":
		return codec.RC4(v, e.arg(s, 0, "key"))
	case "aes_cbc":
		return codec.AESCBC(v, e.arg(s, 0, "key"), e.arg(s, 1, "iv"))
	case "aes_ecb":
		return codec.AESECB(v, e.arg(s, 0, "key"))
	case "des_ecb":
		return codec.DESECB(v, e.arg(s, 0, "key"))
	}
	return cut(s, v)
}

// cut does the steps that take a part or count.
func cut(s stage, v []byte) ([]byte, bool) {
	arg := ""
	if len(s.args) > 0 {
		arg = s.args[0]
	}
	switch s.name {
	case "before":
		head, _, ok := strings.Cut(string(v), arg)
		return []byte(head), ok
	case "after":
		_, tail, ok := strings.Cut(string(v), arg)
		return []byte(tail), ok
	case "lower":
		return []byte(strings.ToLower(string(v))), true
	case "upper":
		return []byte(strings.ToUpper(string(v))), true
	case "skip":
		n, err := strconv.Atoi(arg)
		return v[min(max(n, 0), len(v)):], err == nil && n >= 0 && n < len(v)
	case "slice":
		return slice(s, v)
	}
	return count(s.name, arg, v)
}

func slice(s stage, v []byte) ([]byte, bool) {
	if len(s.args) != 2 {
		return nil, false
	}
	from, err1 := strconv.Atoi(s.args[0])
	to, err2 := strconv.Atoi(s.args[1])
	if err1 != nil || err2 != nil || from < 0 || to < from || to > len(v) {
		return nil, false
	}
	return v[from:to], true
}

// count does arithmetic on a decimal text; byte makes one byte of it.
func count(name, arg string, v []byte) ([]byte, bool) {
	n, err := strconv.ParseUint(string(v), 10, 64)
	if err != nil {
		return nil, false
	}
	k, err := strconv.ParseUint(arg, 0, 64)
	if err != nil && name != "byte" {
		return nil, false
	}
	switch name {
	case "mod":
		if k == 0 {
			return nil, false
		}
		n %= k
	case "bitxor":
		n ^= k
	case "bitand":
		n &= k
	case "byte":
		return []byte{byte(n)}, true
	}
	return strconv.AppendUint(nil, n, 10), true
}
