package wire

import (
	"bytes"
	"context"
)

// Update applies a change to a body and keeps the members that the user's type does not
// have. original is the body as it was read. before and after are the user's value, encoded
// by [Codec.Marshal] before and after the change. Parts that are equal in before and after
// stay as they are in original, including unknown members at any depth, null, absent and
// empty values, and the spelling of numbers. Update returns ErrAmbiguous, ErrEffort, or the
// error of a context that has ended.
func Update(ctx context.Context, original, before, after []byte) ([]byte, error) {
	data, _, err := Lay(ctx, original, before, after)
	return data, err
}

// Lay is like [Update]. It also detects members that the change added to an existing object
// although the appliance does not have them, because the appliance would ignore them.
// unknown is the path of the first such member, or "". Lay accepts any member in a new list
// element. It also accepts any member in an object if the change set another value for a
// member in switches, in the object itself or in an object that contains it.
func Lay(ctx context.Context, original, before, after []byte) (data []byte, unknown string, err error) {
	e := newEffort(ctx, len(original)+len(before)+len(after))
	if data, err = e.update(original, before, after, 0); err != nil {
		return nil, "", err
	}
	return data, e.misspelt(original), nil
}

func (e *effort) update(original, before, after []byte, depth int) ([]byte, error) {
	switch {
	case depth > maxDepth:
		return nil, errDepth
	case !e.spend(len(original) + len(before) + len(after)):
		return nil, e.err
	case bytes.Equal(before, after):
		return original, nil
	case Kind(original) == Object && Kind(before) == Object && Kind(after) == Object:
		return e.updateObject(original, before, after, depth+1)
	case Kind(original) == Array && Kind(before) == Array && Kind(after) == Array:
		return e.updateArray(original, before, after, depth+1)
	}
	return after, nil
}

func (e *effort) updateObject(original, before, after []byte, depth int) ([]byte, error) {
	olds, err := Members(original)
	if err != nil {
		return nil, err
	}
	befores, err := Members(before)
	if err != nil {
		return nil, err
	}
	afters, err := Members(after)
	if err != nil {
		return nil, err
	}
	was, is := index(befores), index(afters)
	if switched(olds, was, is) {
		e.switched++
		defer func() { e.switched-- }()
	}
	at := len(e.path)
	merged := make([]Member, 0, len(olds)+len(afters))
	kept := make(map[string]bool, len(olds))
	for _, old := range olds {
		b, a := was[old.Name], is[old.Name]
		kept[old.Name] = true
		switch {
		case a == nil && b != nil:
			continue // the change removed the member
		case a == nil:
			// unknown to the user's type
		case b == nil && Kind(a) == Object && Kind(old.Value) == Object:
			// The user's type omits the member when it is empty, and the change has set it.
			b = []byte("{}")
			fallthrough
		default:
			e.path = append(e.path[:at], step{name: old.Name})
			if old.Value, err = e.update(old.Value, b, a, depth); err != nil {
				return nil, err
			}
		}
		merged = append(merged, old)
	}
	e.path = e.path[:at]
	for _, a := range afters {
		// Add a member that the user's type has and original does not have only if the
		// change set it.
		if !kept[a.Name] && !bytes.Equal(was[a.Name], a.Value) {
			e.add(olds, a.Name)
			merged = append(merged, a)
		}
	}
	return Join(merged), nil
}

// index returns the values of members by name.
func index(members []Member) map[string][]byte {
	m := make(map[string][]byte, len(members))
	for _, member := range members {
		m[member.Name] = member.Value
	}
	return m
}

func (e *effort) updateArray(original, before, after []byte, depth int) ([]byte, error) {
	olds, err := Elements(original)
	if err != nil {
		return nil, err
	}
	befores, err := Elements(before)
	if err != nil {
		return nil, err
	}
	afters, err := Elements(after)
	if err != nil {
		return nil, err
	}
	if len(olds) != len(befores) {
		// The user's type does not have one value for each element, for example because
		// it is a set, so the elements cannot be aligned.
		for _, old := range olds {
			if Kind(old) == Object || Kind(old) == Array {
				return nil, ErrAmbiguous
			}
		}
		return after, nil
	}
	from, err := align(e, olds, befores, afters)
	if err != nil {
		return nil, err
	}
	merged, at := make([][]byte, len(afters)), len(e.path)
	for j, i := range from {
		if i < 0 {
			merged[j] = afters[j]
			continue
		}
		e.path = append(e.path[:at], step{index: j})
		if merged[j], err = e.update(olds[i], befores[i], afters[j], depth); err != nil {
			return nil, err
		}
	}
	e.path = e.path[:at]
	return joinArray(merged), nil
}
