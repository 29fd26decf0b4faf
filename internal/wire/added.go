package wire

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// switches are the members of an object that decide which others it has.
var switches = []string{"enabled", "selection", "type"}

// maxAdded limits how many members are kept that may have to be named.
const maxAdded = 100

// step leads from a value to one within it: a member or, without a name, an element.
type step struct {
	name  string
	index int
}

// switched reports whether a change switched what decides about the members of an object.
func switched(olds []Member, was, is map[string][]byte) bool {
	return slices.ContainsFunc(olds, func(old Member) bool {
		return slices.Contains(switches, old.Name) && is[old.Name] != nil && !bytes.Equal(was[old.Name], is[old.Name])
	})
}

// add notes a member that the change set in an object that does not have it, unless what
// decides about its members was switched there or above. Of an object that is empty nobody
// knows what it could have.
func (e *effort) add(olds []Member, name string) {
	if e.switched > 0 || len(olds) == 0 && len(e.path) > 0 || len(e.added) == maxAdded {
		return
	}
	e.added = append(e.added, append(slices.Clone(e.path), step{name: name}))
}

// misspelt names the first member that was added and that no object of its kind has in the
// original: other elements of a list show what one of them may have.
func (e *effort) misspelt(original []byte) string {
	for _, path := range e.added {
		if !shows(original, path) {
			return written(path)
		}
	}
	return ""
}

// shows reports whether a path leads to something, through whichever element of a list.
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

// written writes a path for people: "rules/2/name".
func written(path []step) string {
	parts := make([]string, len(path))
	for i, s := range path {
		if parts[i] = s.name; s.name == "" {
			parts[i] = strconv.Itoa(s.index)
		}
	}
	return strings.Join(parts, "/")
}
