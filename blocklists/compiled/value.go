package compiled

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"unsafe"
)

var errValue = errors.New("a value is damaged")

// maxExpr bounds a regular expression that is read back, so that damage cannot
// cost much.
const maxExpr = 1 << 10

// Types that are carried by what they mean and not by their fields.
var (
	addrType   = reflect.TypeFor[netip.Addr]()
	prefixType = reflect.TypeFor[netip.Prefix]()
	regexType  = reflect.TypeFor[*regexp.Regexp]()
)

// AppendValue appends a value with every field that it has, exported or not. A
// type that cannot be carried is an error and never left out, so a field that is
// added to what a list keeps is either carried or found at once.
func AppendValue(b []byte, v any) ([]byte, error) {
	e := encoder{b: b}
	p := reflect.New(reflect.TypeOf(v)).Elem() // addressable, so that every field can be read
	p.Set(reflect.ValueOf(v))
	e.value(p)
	return e.b, e.err
}

type encoder struct {
	b   []byte
	err error
}

func (e *encoder) value(v reflect.Value) {
	switch v.Type() {
	case addrType, prefixType:
		e.bytes([]byte(fmt.Sprint(open(v).Interface())))
		return
	case regexType:
		expr := ""
		if !v.IsNil() {
			expr = open(v).Interface().(*regexp.Regexp).String()
		}
		e.bytes([]byte(expr))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		e.uint(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.b = binary.AppendVarint(e.b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.uint(v.Uint())
	case reflect.String:
		e.bytes([]byte(v.String()))
	case reflect.Slice:
		e.uint(uint64(v.Len()))
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			e.value(v.Field(i))
		}
	case reflect.Pointer:
		e.pointer(v)
	case reflect.Map:
		e.dict(v)
	default:
		e.err = fmt.Errorf("compiled: a %s cannot be kept", v.Type())
	}
}

func (e *encoder) uint(n uint64) { e.b = binary.AppendUvarint(e.b, n) }

func (e *encoder) bytes(s []byte) {
	e.uint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) pointer(v reflect.Value) {
	if v.IsNil() {
		e.uint(0)
		return
	}
	e.uint(1)
	e.value(v.Elem())
}

// dict writes a map in the order of its keys, so that the same lists make the
// same file.
func (e *encoder) dict(v reflect.Value) {
	v = open(v)
	keys := v.MapKeys()
	if v.Type().Key().Kind() != reflect.String {
		e.err = fmt.Errorf("compiled: a %s cannot be kept", v.Type())
		return
	}
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	e.uint(uint64(len(keys)))
	for _, k := range keys {
		val := reflect.New(v.Type().Elem()).Elem()
		val.Set(v.MapIndex(k))
		e.bytes([]byte(k.String()))
		e.value(val)
	}
}

// open gives an unexported field as one that may be used. Only keys and values
// of maps are not addressable, and what is taken out of a map is not a field.
func open(v reflect.Value) reflect.Value {
	if v.CanInterface() && (v.CanSet() || !v.CanAddr()) {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// DecodeValue reads what AppendValue wrote, into the value that p points to.
// Nothing in the result points into b. Damage is an error; it cannot cost more
// memory than a small multiple of what b holds.
func DecodeValue(b []byte, p any) error {
	d := decoder{b: b}
	d.value(reflect.ValueOf(p).Elem())
	if d.err == nil && len(d.b) > 0 {
		d.err = errValue
	}
	return d.err
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads how many things follow: each takes a byte at least.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) fail() { d.err, d.b = errValue, nil }

func (d *decoder) text() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) value(v reflect.Value) {
	if d.err != nil {
		return
	}
	v = open(v)
	switch v.Type() {
	case addrType:
		if s := d.text(); s != "invalid IP" {
			a, err := netip.ParseAddr(s)
			d.note(err)
			v.Set(reflect.ValueOf(a))
		}
		return
	case prefixType:
		if s := d.text(); s != "invalid Prefix" {
			p, err := netip.ParsePrefix(s)
			d.note(err)
			v.Set(reflect.ValueOf(p))
		}
		return
	case regexType:
		d.regex(v)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.uint() == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, size := binary.Varint(d.b)
		if size <= 0 || v.OverflowInt(n) {
			d.fail()
			return
		}
		d.b = d.b[size:]
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := d.uint()
		if v.OverflowUint(n) {
			d.fail()
			return
		}
		v.SetUint(n)
	case reflect.String:
		v.SetString(d.text())
	default:
		d.composed(v)
	}
}

func (d *decoder) note(err error) {
	if err != nil {
		d.fail()
	}
}

// composed reads what is made of other values.
func (d *decoder) composed(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		n := d.count()
		out := reflect.MakeSlice(v.Type(), 0, min(n, 64)) // it grows with what is really there
		for range n {
			if d.err != nil {
				return
			}
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(e)
			out = reflect.Append(out, e)
		}
		if n > 0 {
			v.Set(out)
		}
	case reflect.Array:
		for i := range v.Len() {
			d.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			d.value(v.Field(i))
		}
	case reflect.Pointer:
		if d.uint() == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(v.Elem())
		}
	case reflect.Map:
		d.dict(v)
	default:
		d.err = fmt.Errorf("compiled: a %s cannot be kept", v.Type())
	}
}

func (d *decoder) dict(v reflect.Value) {
	n := d.count()
	if n == 0 || n > math.MaxInt32 {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range n {
		if d.err != nil {
			return
		}
		key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		d.value(key)
		d.value(val)
		v.SetMapIndex(key, val)
	}
}

func (d *decoder) regex(v reflect.Value) {
	expr := d.text()
	if expr == "" {
		return
	}
	if len(expr) > maxExpr {
		d.fail()
		return
	}
	re, err := regexp.Compile(expr)
	d.note(err)
	v.Set(reflect.ValueOf(re))
}
