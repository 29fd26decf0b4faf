package wire

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

// ErrAmbiguous means that [Update] cannot match the elements of a changed list with those
// before the change, and that a wrong match would lose members that the user's type does
// not have.
var ErrAmbiguous = errors.New("the elements of a list cannot be told apart")

// align matches the elements of a list after a change with those before it. For each
// element of after, it returns the index of the matching element of before, or -1 if the
// element is new. olds are the elements of before as they were read from the appliance.
//
// It takes four steps. Each step examines only the elements that the earlier steps have not
// matched, in time that is linear in their size:
//
//  1. It matches equal elements: the change kept or moved them.
//  2. It matches elements with the same identity, or the same name.
//  3. It matches two elements that share a value that no third element has, unless other
//     values contradict the match.
//  4. If the lists have the same length, it matches elements at the same index, unless
//     values contradict the match: the change modified them in place. It does so only between
//     elements that are already matched and kept their index.
//
// The remaining elements were removed, or are new. If a remaining element may also have
// been changed, and treating it as removed would lose unknown members, align returns
// ErrAmbiguous.
func align(e *effort, olds, before, after [][]byte) ([]int, error) {
	m := &matching{effort: e, olds: olds, texts: [2][][]byte{before, after}}
	for s := range m.texts {
		m.left[s] = len(m.texts[s])
		m.mate[s] = slices.Repeat([]int{-1}, m.left[s])
		m.loose[s] = make([]bool, m.left[s])
	}
	m.equal()
	if m.undecided() {
		m.learn()
		for _, name := range identity {
			m.by(name)
		}
		m.by("name")
	}
	if m.undecided() && m.tell() && m.sameLength() {
		m.inPlace()
	}
	if m.undecided() && m.loses() {
		m.fail(ErrAmbiguous)
	}
	return m.mate[is], m.err
}

// These constants are the indexes of the two lists in the arrays of a matching.
const (
	was = iota // the list before the change
	is         // the list after the change
)

// matching is an alignment in progress. Its arrays have one entry for each of the two
// lists, with the index was or is.
type matching struct {
	*effort
	olds     [][]byte
	texts    [2][][]byte
	mate     [2][]int  // index of the matching element of the other list, or -1
	loose    [2][]bool // whether the element could also match another equal element
	left     [2]int    // number of elements without a match
	elements [2][]element
	traits   map[fact]*trait
	stamp    int
}

// undecided reports whether both lists still have elements without a match.
func (m *matching) undecided() bool { return m.err == nil && m.left[was] > 0 && m.left[is] > 0 }

// sameLength reports whether the change kept the length of the list.
func (m *matching) sameLength() bool { return len(m.texts[was]) == len(m.texts[is]) }

// unmatched iterates over the indexes of the elements of list s that have no match yet. It
// stops if the update has used up its effort.
func (m *matching) unmatched(s int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for k, mate := range m.mate[s] {
			if mate < 0 && (!m.spend(1) || !yield(k)) {
				return
			}
		}
	}
}

// pair matches element i of before with element j of after.
func (m *matching) pair(i, j int) {
	if m.mate[was][i] >= 0 || m.mate[is][j] >= 0 {
		return // malformed JSON can name a member twice
	}
	m.mate[was][i], m.mate[is][j] = j, i
	for s, k := range [2]int{i, j} {
		m.left[s]--
		m.count(s, k, -1)
	}
}

// equal matches elements that the change left unchanged: first those that occur once in
// each list, then those that kept their index, then the others in order. If after has some
// but not all of the equal elements of before, and these differ in members that the user's
// type does not have, it is unknown which of them were removed. equal then fails with
// ErrAmbiguous.
func (m *matching) equal() {
	groups := make(map[string]*[2][]int, len(m.olds))
	for s, texts := range m.texts {
		for k, text := range texts {
			if !m.spend(len(text)) {
				return
			}
			group := groups[string(text)]
			if group == nil {
				group = new([2][]int)
				groups[string(text)] = group
			}
			group[s] = append(group[s], k)
		}
	}
	for _, group := range groups {
		if len(group[was]) == 1 && len(group[is]) == 1 {
			m.pair(group[was][0], group[is][0])
		}
	}
	if m.sameLength() {
		for k, level := range m.level() {
			if level && bytes.Equal(m.texts[was][k], m.texts[is][k]) {
				m.pair(k, k)
			}
		}
	}
	for _, group := range groups {
		for s := range group {
			group[s] = slices.DeleteFunc(group[s], func(k int) bool { return m.mate[s][k] >= 0 })
		}
		olds, nows := group[was], group[is]
		if len(nows) > 0 && len(nows) < len(olds) && !alike(m.olds, olds) {
			m.fail(ErrAmbiguous)
			return
		}
		for n := range min(len(olds), len(nows)) {
			m.pair(olds[n], nows[n])
			m.loose[was][olds[n]], m.loose[is][nows[n]] = len(olds) != len(nows), len(olds) != len(nows)
		}
	}
}

// alike reports whether the texts with the indexes in some are all equal.
func alike(texts [][]byte, some []int) bool {
	return !slices.ContainsFunc(some, func(k int) bool { return !bytes.Equal(texts[k], texts[some[0]]) })
}

// by matches elements that have the same value in the member with that name. The value must
// occur once in before, and once in after or in several equal elements of after. If these
// elements of after differ, the element was copied and it is unknown which copy keeps the
// unknown members, so by fails with ErrAmbiguous if there are any.
func (m *matching) by(name string) {
	found := make(map[*trait][]int)
	for j := range m.unmatched(is) {
		now := &m.elements[is][j]
		for _, t := range now.traits {
			if t.name == name && t.in[was].n == 1 && !another(&m.elements[was][t.in[was].sum], now) {
				found[t] = append(found[t], j)
			}
		}
	}
	for t, nows := range found {
		switch i := t.in[was].sum; {
		case alike(m.texts[is], nows):
			m.pair(i, nows[0])
		case m.unknown(i):
			m.fail(ErrAmbiguous)
			return
		}
	}
}

// tellings is the maximum number of passes that tell makes over the unmatched elements.
const tellings = 32

// tell matches two elements that share a value that no third element has, unless as many
// values contradict the match. Each match leaves fewer unmatched elements, so that more
// values become unique and further matches possible. tell returns false if it has made the
// maximum number of passes and could go on.
func (m *matching) tell() bool {
	gaps, _ := m.gaps()
	for range tellings {
		left := m.left[is]
		queue := slices.Collect(m.unmatched(is))
		for n := 0; n < len(queue); n++ {
			j := queue[n]
			i := m.sole(is, j)
			if i < 0 || m.sole(was, i) != j || another(&m.elements[was][i], &m.elements[is][j]) {
				continue
			}
			moved := gaps[was][i] != gaps[is][j]
			if !m.told(was, i, j, moved) || !m.told(is, j, i, moved) {
				continue
			}
			m.pair(i, j)
			for _, t := range slices.Concat(m.elements[was][i].traits, m.elements[is][j].traits) {
				if t.rare() {
					queue = append(queue, t.in[is].sum)
				}
			}
		}
		if m.left[is] == left {
			return true
		}
	}
	return false
}

// sole returns the only element of the other list with which an unmatched element shares
// a value that no third element has. It returns -1 if there is none or more than one.
func (m *matching) sole(s, k int) int {
	sole := -1
	if traits := m.elements[s][k].traits; m.mate[s][k] < 0 && m.spend(len(traits)) {
		for _, t := range traits {
			switch other := t.in[1-s].sum; {
			case !t.rare():
			case sole >= 0 && sole != other:
				return -1
			default:
				sole = other
			}
		}
	}
	return sole
}

// told reports whether more values of element k support its match with the element mate
// than contradict it. A value supports the match if only these two elements have it. A
// value contradicts the match if mate does not have it and another element of the list
// does. If the element was moved, every value that mate does not have contradicts the
// match.
func (m *matching) told(s, k, mate int, moved bool) bool {
	m.mark(&m.elements[1-s][mate])
	told, otherwise := 0, 0
	for _, t := range m.elements[s][k].traits {
		switch {
		case t.stamp == m.stamp && t.rare():
			told++
		case t.stamp != m.stamp && (moved || t.in[1-s].n > 0):
			otherwise++
		}
	}
	return told > otherwise
}

// inPlace matches elements at the same index of both lists that are between fixed elements
// with unchanged indexes, unless their values contradict the match.
func (m *matching) inPlace() {
	level := m.level()
	for k := range m.unmatched(is) {
		if !level[k] || m.mate[was][k] >= 0 {
			continue
		}
		old, now := &m.elements[was][k], &m.elements[is][k]
		if !another(old, now) && (m.common(old, now) || !rival(old, is) && !rival(now, was)) {
			m.pair(k, k)
		}
	}
}

// loses reports whether an unmatched element of before has members that the user's type
// does not have, and may have been changed instead of removed. Such an element may have
// become an unmatched element of after that is between the same neighbours, or one that
// shares a value with it. An unmatched element of after at another place that shares no
// value with it is new.
func (m *matching) loses() bool {
	gaps, n := m.gaps()
	nows := make([]crowd, n)
	for j := range m.unmatched(is) {
		nows[gaps[is][j]].add(&m.elements[is][j], j, 1)
	}
	for i := range m.unmatched(was) {
		old := &m.elements[was][i]
		if (old.among(&nows[gaps[was][i]], is) || rival(old, is)) && m.unknown(i) {
			return true
		}
	}
	return false
}

// fixed reports whether an element has a match, and no other match would be possible.
func (m *matching) fixed(s, k int) bool { return m.mate[s][k] >= 0 && !m.loose[s][k] }

// gaps numbers the places between elements that were not moved. Elements of both lists with
// the same number are between the same unmoved neighbours. The unmoved elements are the
// longest sequence of fixed elements that has the same order in both lists.
func (m *matching) gaps() (gaps [2][]int, n int) {
	for s := range gaps {
		gaps[s] = make([]int, len(m.mate[s]))
	}
	var ends []int                           // for each length, the last element of the best sequence of that length
	previous := make([]int, len(m.mate[is])) // for each element, the element before it in the sequence that ends with it
	for j, i := range m.mate[is] {
		if !m.fixed(is, j) || !m.spend(1) {
			continue
		}
		length, _ := slices.BinarySearchFunc(ends, i, func(end, i int) int { return m.mate[is][end] - i })
		if length == len(ends) {
			ends = append(ends, j)
		}
		ends[length], previous[j] = j, -1
		if length > 0 {
			previous[j] = ends[length-1]
		}
	}
	if len(ends) > 0 {
		for j := ends[len(ends)-1]; j >= 0; j = previous[j] {
			gaps[was][m.mate[is][j]], gaps[is][j] = 1, 1
		}
	}
	for s := range gaps {
		n = 0
		for k, stayed := range gaps[s] {
			gaps[s][k] = n
			n += stayed
		}
	}
	return gaps, n + 1
}

// level reports, for each index of two lists of the same length, whether the elements at
// that index are between fixed elements that have the same index in both lists.
func (m *matching) level() []bool {
	n := len(m.mate[was])
	level := make([]bool, n)
	fixed := func(s, k int) bool { return k < 0 || k == n || m.fixed(s, k) }
	for begin := 0; begin < n; begin++ {
		end := begin
		for !fixed(was, end) && !fixed(is, end) {
			end++
		}
		if fixed(was, begin-1) && fixed(is, begin-1) && fixed(was, end) && fixed(is, end) {
			for k := range level[begin:end] {
				level[begin+k] = true
			}
		}
		begin = end
	}
	return level
}

// unknown reports whether an element of before has members that the user's type does not
// have.
func (m *matching) unknown(i int) bool { return m.effort.unknown(m.olds[i], m.texts[was][i], 0) }

// unknown reports whether original has members that before, the user's value, does not
// have.
func (e *effort) unknown(original, before []byte, depth int) bool {
	switch {
	case depth > maxDepth || Kind(original) != Kind(before) || !e.spend(len(original)+len(before)):
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
			return !ok || e.unknown(m.Value, value, depth+1)
		})
	case Kind(original) == Array:
		olds, oldErr := Elements(original)
		befores, err := Elements(before)
		if oldErr != nil || err != nil || len(olds) != len(befores) {
			return true
		}
		for i := range olds {
			if e.unknown(olds[i], befores[i], depth+1) {
				return true
			}
		}
	}
	return false
}
