package wire

import (
	"bytes"
	"slices"
)

// switches are the members of an object that decide which others it has.
var switches = []string{"enabled", "selection", "type"}

// Added returns a member of the whole object that a change set and the original does
// not have, unless the change also switched what decides about its members.
func Added(original, before, after []byte) (name string, added bool) {
	if Kind(original) != Object || Kind(after) != Object {
		return "", false
	}
	olds, err := Members(original)
	if err != nil {
		return "", false
	}
	afters, err := Members(after)
	if err != nil {
		return "", false
	}
	befores, err := Members(before)
	if err != nil {
		return "", false
	}
	had, was := index(olds), index(befores)
	for _, m := range afters {
		if bytes.Equal(was[m.Name], m.Value) {
			continue
		}
		if slices.Contains(switches, m.Name) && had[m.Name] != nil {
			return "", false
		}
		if had[m.Name] == nil && name == "" {
			name, added = m.Name, true
		}
	}
	return name, added
}
