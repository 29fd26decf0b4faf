package wire

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// switches contains the names of members that determine which other members an object has.
var switches = []string{"enabled", "selection", "type"}

// maxAdded limits the number of added members that an effort stores.
const maxAdded = 100

// step is one step of a path into a value: the name of a member or, if name is empty, the
// index of an element.
type step struct {
	name  string
	index int
}

// switched reports whether a change set another value for a member in switches.
func switched(olds []Member, was, is map[string][]byte) bool {
	return slices.ContainsFunc(olds, func(old Member) bool {
		return slices.Contains(switches, old.Name) && is[old.Name] != nil && !bytes.Equal(was[old.Name], is[old.Name])
	})
}

// add stores the path of a member that the change added to an object. It stores nothing if
// the change switched the members of the object, or of an object around it. It also stores
// nothing if the object was empty, because the possible members are then not known.
func (e *effort) add(olds []Member, name string) {
	if e.switched > 0 || len(olds) == 0 && len(e.path) > 0 || len(e.added) == maxAdded {
		return
	}
	e.added = append(e.added, append(slices.Clone(e.path), step{name: name}))
}

// misspelt returns the path of the first added member that no object at the same place in
// original has. If the path leads into a list, misspelt accepts a member that any element of
// the list has, because all elements can have the same members.
func (e *effort) misspelt(original []byte) string {
	for _, path := range e.added {
		if !shows(original, path) {
			return written(path)
		}
	}
	return ""
}

// shows reports whether a path leads to a value, through any element of a list.
func shows(value []byte, path []step) bool {
	if len(path) == 0 {
		return true
	}
	if next := path[0]; next.name != "" || Kind(value) != Array {
		members, err := Members(value)
		found := Find(members, next.name)
		return err == nil && found != nil && shows(found, path[1:])
	}
	elements, _ := Elements(value)
	return slices.ContainsFunc(elements, func(element []byte) bool { return shows(element, path[1:]) })
}

// written returns a path as text, for example "rules/2/name".
func written(path []step) string {
	parts := make([]string, len(path))
	for i, s := range path {
		if parts[i] = s.name; s.name == "" {
			parts[i] = strconv.Itoa(s.index)
		}
	}
	return strings.Join(parts, "/")
}
