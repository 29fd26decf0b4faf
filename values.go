package sps

import (
	"crypto/sha256"
	"reflect"

	"github.com/go-sps/sps/internal/wire"
)

// Equal reports whether two values would be sent alike: bodies of objects, or parts of
// them, such as the desired state and the actual one. A [Secret] is compared by what it
// holds, and a list that is nil is the same as an empty one. Fields that are not sent are
// not compared. An appliance may show a secret otherwise than it was written, or not at
// all; then it differs.
func Equal[T any](a, b T) bool {
	x, err := codec.Marshal(a)
	if err != nil {
		return reflect.DeepEqual(a, b)
	}
	y, err := codec.Marshal(b)
	if err != nil {
		return false
	}
	return digestValue(x) == digestValue(y)
}

func digestValue(value []byte) digest {
	h := sha256.New()
	wire.Digest(h, value)
	return digest(h.Sum(nil))
}

// Copy returns a deep copy: a change of its lists, maps and pointers does not show in the
// original. Secrets are kept. Fields that are not exported are copied as they are.
func Copy[T any](value T) T {
	c := &copier{map[uintptr]reflect.Value{}}
	from := reflect.ValueOf(&value).Elem()
	to := reflect.New(from.Type()).Elem()
	to.Set(c.copy(from))
	return *to.Addr().Interface().(*T)
}

// copier makes deep copies; what it has met by a pointer it does not copy again.
type copier struct{ met map[uintptr]reflect.Value }

func (c *copier) copy(from reflect.Value) reflect.Value {
	switch from.Kind() {
	case reflect.Pointer:
		return c.pointer(from)
	case reflect.Interface:
		if from.IsNil() {
			return from
		}
		to := reflect.New(from.Type()).Elem()
		to.Set(c.copy(from.Elem()))
		return to
	case reflect.Slice:
		if from.IsNil() {
			return from
		}
		to := reflect.MakeSlice(from.Type(), from.Len(), from.Len())
		for i := range from.Len() {
			to.Index(i).Set(c.copy(from.Index(i)))
		}
		return to
	case reflect.Array:
		to := reflect.New(from.Type()).Elem()
		for i := range from.Len() {
			to.Index(i).Set(c.copy(from.Index(i)))
		}
		return to
	case reflect.Map:
		if from.IsNil() {
			return from
		}
		to := reflect.MakeMapWithSize(from.Type(), from.Len())
		for all := from.MapRange(); all.Next(); {
			to.SetMapIndex(all.Key(), c.copy(all.Value()))
		}
		return to
	case reflect.Struct:
		to := reflect.New(from.Type()).Elem()
		to.Set(from)
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				to.Field(i).Set(c.copy(from.Field(i)))
			}
		}
		return to
	}
	return from
}

func (c *copier) pointer(from reflect.Value) reflect.Value {
	if from.IsNil() {
		return from
	}
	if to, ok := c.met[from.Pointer()]; ok && to.Type() == from.Type() {
		return to
	}
	to := reflect.New(from.Type().Elem())
	if to.Type() != from.Type() { // a named pointer type
		to = to.Convert(from.Type())
	}
	c.met[from.Pointer()] = to
	to.Elem().Set(c.copy(from.Elem()))
	return to
}
