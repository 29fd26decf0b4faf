package wire

import (
	"bytes"
	"slices"
)

// Update lays a change over a body without losing what the change does not
// know. original is the body as it was read; before and after are the user's
// value, encoded by [Codec.Marshal] before and after the change. Whatever is
// equal in before and after stays as it stands in original: unknown members at
// every depth, null, absent and empty, the spelling of numbers.
func Update(original, before, after []byte) ([]byte, error) {
	switch {
	case bytes.Equal(before, after):
		return original, nil
	case Kind(original) == Object && Kind(before) == Object && Kind(after) == Object:
		return updateObject(original, before, after)
	case Kind(original) == Array && Kind(before) == Array && Kind(after) == Array:
		return updateArray(original, before, after)
	}
	return after, nil
}

func updateObject(original, before, after []byte) ([]byte, error) {
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
	merged := make([]Member, 0, len(olds)+len(afters))
	kept := make(map[string]bool, len(olds))
	for _, old := range olds {
		b, a := was[old.Name], is[old.Name]
		kept[old.Name] = true
		switch {
		case a == nil && b != nil:
			continue // the change removed it
		case a == nil:
			// unknown to the user's type
		case b == nil && Kind(a) == Object && Kind(old.Value) == Object:
			// The type leaves an empty member out, and now it is set.
			b = []byte("{}")
			fallthrough
		default:
			if old.Value, err = Update(old.Value, b, a); err != nil {
				return nil, err
			}
		}
		merged = append(merged, old)
	}
	for _, a := range afters {
		// A member that the type has and the appliance has not is added only
		// when the change set it.
		if !kept[a.Name] && !bytes.Equal(was[a.Name], a.Value) {
			merged = append(merged, a)
		}
	}
	return joinObject(merged), nil
}

func index(members []Member) map[string][]byte {
	m := make(map[string][]byte, len(members))
	for _, member := range members {
		m[member.Name] = member.Value
	}
	return m
}

func updateArray(original, before, after []byte) ([]byte, error) {
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
		// The user's type does not hold the elements one by one (a set, say):
		// there is nothing to align with.
		return after, nil
	}
	merged := make([][]byte, len(afters))
	for j, i := range align(befores, afters) {
		if i < 0 {
			merged[j] = afters[j]
			continue
		}
		if merged[j], err = Update(olds[i], befores[i], afters[j]); err != nil {
			return nil, err
		}
	}
	return joinArray(merged), nil
}

// align finds for each element of after the element of before that it was, -1
// for a new one. Equal elements belong together wherever they stand, so that
// one may be removed, added or moved; of the rest, those do whose telling
// members agree, and those that a change in place left in the same position.
func align(before, after [][]byte) []int {
	from := make([]int, len(after))
	taken := make([]bool, len(before))
	equal := make(map[string][]int, len(before))
	for i := len(before) - 1; i >= 0; i-- {
		equal[string(before[i])] = append(equal[string(before[i])], i)
	}
	var open []int
	for j, a := range after {
		from[j] = -1
		same := equal[string(a)]
		if len(same) == 0 {
			open = append(open, j)
			continue
		}
		from[j] = same[len(same)-1]
		taken[from[j]] = true
		equal[string(a)] = same[:len(same)-1]
	}
	if len(open) == 0 {
		return from
	}
	var rest []int
	tellingBefore := make(map[int][]Member)
	for i := range before {
		if !taken[i] {
			rest = append(rest, i)
			tellingBefore[i] = telling(before[i])
		}
	}
	for _, j := range open {
		tellingAfter := telling(after[j])
		best, most := -1, 0
		for _, i := range rest {
			if taken[i] {
				continue
			}
			agree, differ := likeness(tellingBefore[i], tellingAfter)
			if i == j && len(before) == len(after) && (agree > 0 || differ < 2) {
				best = i
				break
			}
			if agree > differ && agree > most {
				best, most = i, agree
			}
		}
		if best >= 0 {
			from[j] = best
			taken[best] = true
		}
	}
	return from
}

// telling returns the members of an object by which it is recognised. Booleans,
// numbers, null and what is empty tell nothing: unrelated objects agree in them.
func telling(value []byte) []Member {
	if Kind(value) != Object {
		return nil
	}
	members, err := Members(value)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(members, func(m Member) bool {
		switch Kind(m.Value) {
		case String, Object, Array:
			return len(m.Value) <= len(`""`)
		}
		return true
	})
}

// likeness counts the telling members that two objects have in common and those
// in which they differ.
func likeness(a, b []Member) (agree, differ int) {
	for _, m := range a {
		switch value := Find(b, m.Name); {
		case value == nil:
		case bytes.Equal(m.Value, value):
			agree++
		default:
			differ++
		}
	}
	return agree, differ
}
