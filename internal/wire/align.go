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
		if err := m.alike(); err != nil {
			return nil, err
		}
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
	was, is             [][]Member // what tells those apart that equal left
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

// alike pairs elements that have in common what makes them the same, then those with
// a name in common, then those that have a telling value in common with each other and
// with no third one. A value tells that only one element of each list has.
func (m *matching) alike() error {
	m.was, m.is = make([][]Member, len(m.before)), make([][]Member, len(m.after))
	for i, b := range m.before {
		if !m.taken[i] {
			m.was[i] = telling(b)
		}
	}
	for j, a := range m.after {
		if m.from[j] < 0 {
			m.is[j] = telling(a)
		}
	}
	for _, name := range append(slices.Clone(identity), "name") {
		if !m.by(name) {
			return ErrAmbiguous
		}
	}
	for m.left() && m.few() && m.sole() {
	}
	return nil
}

// few reports whether what is left can be compared with each other in a bearable time.
func (m *matching) few() bool {
	olds, nows := 0, 0
	for _, taken := range m.taken {
		if !taken {
			olds++
		}
	}
	for _, from := range m.from {
		if from < 0 {
			nows++
		}
	}
	return olds*nows <= 10_000
}

// by pairs elements that have the same value of a member, where only one of each list
// has it, or where those that have it now are alike. It says no where they are not.
func (m *matching) by(name string) bool {
	was, is := make(map[string][]int), make(map[string][]int)
	for i, members := range m.was {
		if v := Find(members, name); v != nil && !m.taken[i] {
			was[string(v)] = append(was[string(v)], i)
		}
	}
	for j, members := range m.is {
		if v := Find(members, name); v != nil && m.from[j] < 0 {
			is[string(v)] = append(is[string(v)], j)
		}
	}
	for v, olds := range was {
		nows := is[v]
		if len(olds) != 1 || len(nows) == 0 || another(m.was[olds[0]], m.is[nows[0]]) {
			continue
		}
		if slices.ContainsFunc(nows, func(j int) bool { return !bytes.Equal(m.after[j], m.after[nows[0]]) }) {
			if unknown(m.olds[olds[0]], m.before[olds[0]], 0) {
				return false
			}
			continue
		}
		m.pair(nows[0], olds[0])
	}
	return true
}

// sole pairs what can be nothing else. It says whether it found any.
func (m *matching) sole() bool {
	rare := make(map[string]int)
	const once = 1 << 16 // apart from the other list's count
	count := func(list []Member, by int) {
		for _, member := range list {
			rare[member.Name+"\x00"+string(member.Value)] += by
		}
	}
	for i := range m.was {
		if !m.taken[i] {
			count(m.was[i], 1)
		}
	}
	for j := range m.is {
		if m.from[j] < 0 {
			count(m.is[j], once)
		}
	}
	byJ, byI := make(map[int][]int), make(map[int][]int)
	for j, a := range m.is {
		for i, b := range m.was {
			if m.from[j] >= 0 || m.taken[i] || another(b, a) {
				continue
			}
			if slices.ContainsFunc(a, func(member Member) bool {
				return bytes.Equal(Find(b, member.Name), member.Value) && rare[member.Name+"\x00"+string(member.Value)] == 1+once
			}) {
				byJ[j], byI[i] = append(byJ[j], i), append(byI[i], j)
			}
		}
	}
	found := false
	for j, olds := range byJ {
		if i := olds[0]; len(olds) == 1 && len(byI[i]) == 1 && m.closest(j, i) {
			m.pair(j, i)
			found = true
		}
	}
	return found
}

// common reports whether two elements agree in a telling value.
func common(b, a []Member) bool {
	return slices.ContainsFunc(a, func(member Member) bool { return bytes.Equal(Find(b, member.Name), member.Value) })
}

// closest reports whether no other unmatched element has as much in common with either.
func (m *matching) closest(j, i int) bool {
	overlap := func(j, i int) (n int) {
		for _, member := range m.is[j] {
			if bytes.Equal(Find(m.was[i], member.Name), member.Value) {
				n++
			}
		}
		return n
	}
	most := overlap(j, i)
	for k := range m.after {
		if k != j && m.from[k] < 0 && overlap(k, i) >= most {
			return false
		}
	}
	for k := range m.before {
		if k != i && !m.taken[k] && overlap(j, k) >= most {
			return false
		}
	}
	return true
}

// rival reports whether an unmatched element of after other than j has something in
// common with i, or one of before other than i with j.
func (m *matching) rival(j, i int) bool {
	for k := range m.after {
		if k != j && m.from[k] < 0 && common(m.was[i], m.is[k]) && !another(m.was[i], m.is[k]) {
			return true
		}
	}
	for k := range m.before {
		if k != i && !m.taken[k] && common(m.was[k], m.is[j]) && !another(m.was[k], m.is[j]) {
			return true
		}
	}
	return false
}

// inPlace pairs elements in the same position of lists of the same length: a change
// left them there.
func (m *matching) inPlace() {
	for j := range m.after {
		if m.from[j] < 0 && !m.taken[j] && !another(m.was[j], m.is[j]) && (common(m.was[j], m.is[j]) || !m.rival(j, j)) {
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
		for j := range m.after {
			if m.from[j] < 0 && (m.between(i, j) || common(m.was[i], m.is[j])) && !another(m.was[i], m.is[j]) {
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
