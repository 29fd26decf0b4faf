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
	return update(original, before, after, 0)
}

func update(original, before, after []byte, depth int) ([]byte, error) {
	switch {
	case depth > maxDepth:
		return nil, errDepth
	case bytes.Equal(before, after):
		return original, nil
	case Kind(original) == Object && Kind(before) == Object && Kind(after) == Object:
		return updateObject(original, before, after, depth+1)
	case Kind(original) == Array && Kind(before) == Array && Kind(after) == Array:
		return updateArray(original, before, after, depth+1)
	}
	return after, nil
}

func updateObject(original, before, after []byte, depth int) ([]byte, error) {
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
			if old.Value, err = update(old.Value, b, a, depth); err != nil {
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
	return Join(merged), nil
}

func index(members []Member) map[string][]byte {
	m := make(map[string][]byte, len(members))
	for _, member := range members {
		m[member.Name] = member.Value
	}
	return m
}

func updateArray(original, before, after []byte, depth int) ([]byte, error) {
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
		if merged[j], err = update(olds[i], befores[i], afters[j], depth); err != nil {
			return nil, err
		}
	}
	return joinArray(merged), nil
}

// align finds for each element of after the element of before that it was, -1
// for a new one. Elements that stayed where they were come first, then equal ones
// wherever they stand, so that one may be removed, added or moved; of the rest,
// those belong together whose telling members agree, and those that a change in
// place left in the same position.
func align(before, after [][]byte) []int {
	from := make([]int, len(after))
	taken := make([]bool, len(before))
	pair := func(j, i int) { from[j], taken[i] = i, true }
	for j := range from {
		from[j] = -1
		if len(before) == len(after) && bytes.Equal(before[j], after[j]) {
			pair(j, j)
		}
	}
	equal := make(map[string][]int, len(before))
	for i, b := range before {
		if !taken[i] {
			equal[string(b)] = append(equal[string(b)], i)
		}
	}
	for j, a := range after {
		if same := equal[string(a)]; from[j] < 0 && len(same) > 0 {
			pair(j, same[0])
			equal[string(a)] = same[1:]
		}
	}
	rest := make(map[int][]Member)
	for i, b := range before {
		if !taken[i] {
			rest[i] = telling(b)
		}
	}
	for j, a := range after {
		if from[j] >= 0 || len(rest) == 0 {
			continue
		}
		if i := mostLike(rest, telling(a), j, len(before) == len(after)); i >= 0 {
			pair(j, i)
			delete(rest, i)
		}
	}
	return from
}

// mostLike picks the element that one at position j was, -1 for none.
func mostLike(rest map[int][]Member, element []Member, j int, samePlace bool) int {
	if b, ok := rest[j]; ok && samePlace {
		if l := compare(b, element); l.agree+l.numbers > 0 || l.differ < 2 {
			return j
		}
	}
	best, most := -1, 0
	for i, b := range rest {
		l := compare(b, element)
		if l.agree < l.differ || l.agree == l.differ && (l.differ > 0 || l.numbers == 0) {
			continue
		}
		if score := l.agree + l.numbers; score > most || score == most && i < best {
			best, most = i, score
		}
	}
	return best
}

// telling returns the members of an object by which it is recognised. Booleans,
// null and what is empty tell nothing: unrelated objects agree in them.
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
		return Kind(m.Value) != Number
	})
}

// likeness is how many telling members two objects have in common, and in how
// many they differ. Numbers that are equal count apart, and those that differ
// not at all: they are settings more often than names.
type likeness struct{ agree, differ, numbers int }

func compare(a, b []Member) (l likeness) {
	for _, m := range a {
		value := Find(b, m.Name)
		number := Kind(m.Value) == Number
		switch {
		case value == nil:
		case bytes.Equal(m.Value, value) && number:
			l.numbers++
		case bytes.Equal(m.Value, value):
			l.agree++
		case !number:
			l.differ++
		}
	}
	return l
}
