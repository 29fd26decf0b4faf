package wire

import (
	"bytes"
	"errors"
	"slices"
)

// ErrAmbiguous says that a change of a list would lose what the user's type does not
// know: its elements cannot be told apart.
var ErrAmbiguous = errors.New("the elements of a list cannot be told apart")

// align finds for each element of after the element of before that it was, -1 for a
// new one. olds are the elements of before as they were read.
//
// Elements that are equal belong together, those that stayed where they were first, so
// that one may be removed, added or moved. Of the rest, those belong together that
// have a value in common by which they are recognised, and those that a change in
// place left in the same position. Where what is left between the same others could be
// a change, or a removal and an addition, the answer matters only if something would
// be lost; then it is ErrAmbiguous.
func align(olds, before, after [][]byte) ([]int, error) {
	m := &matching{olds: olds, before: before, after: after, from: make([]int, len(after)), taken: make([]bool, len(before))}
	for j := range m.from {
		m.from[j] = -1
	}
	if err := m.equal(); err != nil {
		return nil, err
	}
	if m.left() {
		m.alike()
	}
	if m.left() && len(before) == len(after) {
		m.inPlace()
	}
	if m.left() && m.loses() {
		return nil, ErrAmbiguous
	}
	return m.from, nil
}

// matching is an alignment under way.
type matching struct {
	olds, before, after [][]byte
	from                []int
	taken               []bool
}

func (m *matching) pair(j, i int) { m.from[j], m.taken[i] = i, true }

// left reports whether elements of both are unmatched.
func (m *matching) left() bool {
	return slices.Contains(m.from, -1) && slices.Contains(m.taken, false)
}

// equal pairs elements that the change left as they were. Of several that are equal to
// the user's type and differ in what that does not know, some may be gone: which,
// nobody can tell.
func (m *matching) equal() error {
	for j := range m.after {
		if len(m.before) == len(m.after) && bytes.Equal(m.before[j], m.after[j]) {
			m.pair(j, j)
		}
	}
	same := make(map[string][]int, len(m.before))
	for i, b := range m.before {
		if !m.taken[i] {
			same[string(b)] = append(same[string(b)], i)
		}
	}
	wanted := make(map[string]int)
	for j, a := range m.after {
		if m.from[j] < 0 {
			wanted[string(a)]++
		}
	}
	for text, group := range same {
		if wanted[text] > 0 && wanted[text] < len(group) {
			for _, i := range group[1:] {
				if !bytes.Equal(m.olds[i], m.olds[group[0]]) {
					return ErrAmbiguous
				}
			}
		}
	}
	for j, a := range m.after {
		if group := same[string(a)]; m.from[j] < 0 && len(group) > 0 {
			m.pair(j, group[0])
			same[string(a)] = group[1:]
		}
	}
	return nil
}

// identity are the members that make another element of one in which they differ.
var identity = []string{"key", "id", "uuid", "href", "pem"}

// alike pairs elements that have a telling value in common, those with the most first.
// A value tells that only one element of each list has.
func (m *matching) alike() {
	was, is := make([][]Member, len(m.before)), make([][]Member, len(m.after))
	rare := make(map[string]int)
	count := func(list []Member, by int) {
		for _, member := range list {
			rare[member.Name+"\x00"+string(member.Value)] += by
		}
	}
	const once = 1 << 16 // apart from the other list's count
	for i, b := range m.before {
		if !m.taken[i] {
			was[i] = telling(b)
			count(was[i], 1)
		}
	}
	for j, a := range m.after {
		if m.from[j] < 0 {
			is[j] = telling(a)
			count(is[j], once)
		}
	}
	type candidate struct{ j, i, score int }
	var candidates []candidate
	for j, a := range is {
		if m.from[j] >= 0 {
			continue
		}
		for i, b := range was {
			if m.taken[i] || another(b, a) {
				continue
			}
			score := 0
			for _, member := range a {
				if bytes.Equal(Find(b, member.Name), member.Value) && rare[member.Name+"\x00"+string(member.Value)] == 1+once {
					score++
				}
			}
			if score > 0 {
				candidates = append(candidates, candidate{j, i, score})
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return b.score - a.score })
	for _, c := range candidates {
		if m.from[c.j] < 0 && !m.taken[c.i] {
			m.pair(c.j, c.i)
		}
	}
}

// inPlace pairs elements in the same position of lists of the same length: a change
// left them there.
func (m *matching) inPlace() {
	for j := range m.after {
		if m.from[j] < 0 && !m.taken[j] && !another(telling(m.before[j]), telling(m.after[j])) {
			m.pair(j, j)
		}
	}
}

// loses reports whether an element that is unmatched, and may have been changed, has
// what the user's type does not know.
func (m *matching) loses() bool {
	for i, old := range m.olds {
		if m.taken[i] || !unknown(old, m.before[i], 0) {
			continue
		}
		for j, a := range m.after {
			if m.from[j] < 0 && m.between(i, j) && !another(telling(m.before[i]), telling(a)) {
				return true
			}
		}
	}
	return false
}

// between reports whether two elements stand between the same others. One that was
// moved past another and has nothing in common with what it was is a new one.
func (m *matching) between(i, j int) bool {
	for to, from := range m.from {
		if from >= 0 && (i < from) != (j < to) {
			return false
		}
	}
	return true
}

// another reports whether two elements differ in what makes them the same.
func another(b, a []Member) bool {
	return slices.ContainsFunc(identity, func(name string) bool {
		old, now := Find(b, name), Find(a, name)
		return old != nil && now != nil && !bytes.Equal(old, now)
	})
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

// unknown reports whether a value has members that the user's form of it lacks.
func unknown(original, before []byte, depth int) bool {
	switch {
	case depth > maxDepth || Kind(original) != Kind(before):
		return false
	case Kind(original) == Object:
		olds, oldErr := Members(original)
		befores, err := Members(before)
		if oldErr != nil || err != nil {
			return true
		}
		known := index(befores)
		return slices.ContainsFunc(olds, func(m Member) bool {
			value, ok := known[m.Name]
			return !ok || unknown(m.Value, value, depth+1)
		})
	case Kind(original) == Array:
		olds, oldErr := Elements(original)
		befores, err := Elements(before)
		if oldErr != nil || err != nil || len(olds) != len(befores) {
			return true
		}
		for i := range olds {
			if unknown(olds[i], befores[i], depth+1) {
				return true
			}
		}
	}
	return false
}
