package wire

import (
	"reflect"
	"sync"
)

// holder returns a function that reports whether a value of a type may hold a value of one
// of the wanted types. It returns false for the nil type. It caches the results, because
// the search in a type takes time.
func holder(wanted func(reflect.Type) bool) func(reflect.Type) bool {
	var known sync.Map
	return func(t reflect.Type) bool {
		if t == nil {
			return false
		}
		if holds, ok := known.Load(t); ok {
			return holds.(bool)
		}
		holds := findType(t, wanted, map[reflect.Type]bool{})
		known.Store(t, holds)
		return holds
	}
}

// findType reports whether t or a type inside it is wanted. seen contains the types that it
// has visited.
func findType(t reflect.Type, wanted func(reflect.Type) bool, seen map[reflect.Type]bool) bool {
	if wanted(t) {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findType(t.Elem(), wanted, seen)
	case reflect.Map:
		return findType(t.Key(), wanted, seen) || findType(t.Elem(), wanted, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if findType(t.Field(i).Type, wanted, seen) {
				return true
			}
		}
	}
	return false
}
