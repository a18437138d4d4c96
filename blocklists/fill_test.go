package blocklists

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"runtime"
	"testing"
	"unsafe"
)

// fillAll sets every field of a value, exported or not, to something that is not
// zero. A kind it does not know fails the test: then compiled.AppendValue must be
// looked at as well.
func fillAll(t *testing.T, v reflect.Value, n int64) {
	t.Helper()
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("2001:db8::/32")))
		return
	case *regexp.Regexp:
		v.Set(reflect.ValueOf(regexp.MustCompile("(?i:x+)")))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillAll(t, v.Index(i), n+int64(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fillAll(t, v.Index(i), n+int64(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fillAll(t, v.Field(i), n+int64(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(t, v.Elem(), n)
	default:
		t.Fatalf("a field of type %s: see compiled.AppendValue", v.Type())
	}
}

// shown gives a value as one that can be printed and compared whole: pointers
// give way to what they point to.
func shown(v reflect.Value) any {
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	switch x := v.Interface().(type) {
	case netip.Addr, netip.Prefix, *regexp.Regexp:
		return fmt.Sprint(x)
	}
	switch v.Kind() {
	case reflect.Struct:
		var out []any
		for i := range v.NumField() {
			out = append(out, shown(v.Field(i)))
		}
		return out
	case reflect.Slice:
		var out []any
		for i := range v.Len() {
			out = append(out, shown(v.Index(i)))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return shown(v.Elem())
	}
	return v.Interface()
}

// collect lets go of what nobody holds, mappings too.
func collect() {
	runtime.GC()
	runtime.GC()
}
