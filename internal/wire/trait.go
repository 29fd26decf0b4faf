package wire

import "slices"

// identity are the members that make another element of one in which they differ.
var identity = [...]string{"key", "id", "uuid", "href", "pem"}

// element is what tells an element of a list from others.
type element struct {
	traits   []*trait
	identity [len(identity)]*trait
}

// trait is a value of a member, with the unmatched elements of each list that have it.
type trait struct {
	fact
	in    [2]crowd
	stamp int // of the last one that was marked with it
}

type fact struct{ name, value string }

// rare reports whether one element of each list has a value.
func (t *trait) rare() bool { return t.in[was].n == 1 && t.in[is].n == 1 }

// crowd counts elements of one list that have something in common.
type crowd struct {
	n, sum     int                  // how many they are; the sum of their positions, so that one alone is known
	identified [len(identity)]int32 // how many of them have each identity
}

// add adds an element to a crowd, or takes it away.
func (c *crowd) add(e *element, k, by int) {
	c.n += by
	c.sum += by * k
	for n, t := range e.identity {
		if t != nil {
			c.identified[n] += int32(by)
		}
	}
}

// another reports whether two elements differ in what makes them the same.
func another(old, now *element) bool {
	for n, t := range old.identity {
		if t != nil && now.identity[n] != nil && now.identity[n] != t {
			return true
		}
	}
	return false
}

// among reports whether an element may be one of a crowd in the list s. It is none of
// them if all have an identity of a kind that it has, and nobody has its own.
func (e *element) among(c *crowd, s int) bool {
	for n, t := range e.identity {
		if t != nil && t.in[s].n == 0 && int(c.identified[n]) == c.n {
			return false
		}
	}
	return c.n > 0
}

// rival reports whether an unmatched element of the list s that may be an element has a
// value in common with it.
func rival(e *element, s int) bool {
	return slices.ContainsFunc(e.traits, func(t *trait) bool { return e.among(&t.in[s], s) })
}

// learn finds what tells the unmatched elements apart.
func (m *matching) learn() {
	m.traits = make(map[fact]*trait)
	for s := range m.elements {
		m.elements[s] = make([]element, len(m.texts[s]))
		for k := range m.unmatched(s) {
			e := &m.elements[s][k]
			members := m.telling(s, k)
			e.traits = make([]*trait, 0, len(members))
			for _, member := range members {
				t := m.traits[fact{member.Name, string(member.Value)}]
				if t == nil {
					t = &trait{fact: fact{member.Name, string(member.Value)}}
					m.traits[t.fact] = t
				}
				e.traits = append(e.traits, t)
				if n := slices.Index(identity[:], t.name); n >= 0 {
					e.identity[n] = t
				}
			}
			m.count(s, k, 1)
		}
	}
}

// count adds an element to the crowds of its values, or takes it away.
func (m *matching) count(s, k, by int) {
	if m.elements[s] == nil {
		return // nothing was learned yet
	}
	for _, t := range m.elements[s][k].traits {
		t.in[s].add(&m.elements[s][k], k, by)
	}
}

// mark marks the values of an element until the next one is marked.
func (m *matching) mark(e *element) {
	m.stamp++
	for _, t := range e.traits {
		t.stamp = m.stamp
	}
}

// common reports whether two elements agree in a value.
func (m *matching) common(old, now *element) bool {
	m.mark(old)
	return slices.ContainsFunc(now.traits, func(t *trait) bool { return t.stamp == m.stamp })
}

// telling returns the members of an element by which it is recognised. Booleans, null
// and what is empty tell nothing: unrelated objects agree in them.
func (m *matching) telling(s, k int) []Member {
	value := m.texts[s][k]
	if Kind(value) != Object || !m.spend(len(value)) {
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
