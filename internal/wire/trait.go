package wire

import "slices"

// identity contains the names of members that identify an element: two elements with
// different values of one of them are different elements.
var identity = [...]string{"key", "id", "uuid", "href", "pem"}

// element holds the values by which an element of a list is recognised.
type element struct {
	traits   []*trait
	identity [len(identity)]*trait
}

// trait is a value of a member, with the unmatched elements of each list that have it.
type trait struct {
	fact
	in    [2]crowd
	stamp int // the value of matching.stamp when mark last marked the trait
}

// fact is the name and the value of a member.
type fact struct{ name, value string }

// rare reports whether exactly one unmatched element of each list has the value.
func (t *trait) rare() bool { return t.in[was].n == 1 && t.in[is].n == 1 }

// crowd counts elements of one list that have something in common.
type crowd struct {
	n, sum     int                  // the number of elements, and the sum of their positions, which is the position of the only element if n is 1
	identified [len(identity)]int32 // the number of elements that have each member of identity
}

// add adds element e at position k to a crowd if by is 1, or removes it if by is -1.
func (c *crowd) add(e *element, k, by int) {
	c.n += by
	c.sum += by * k
	for n, t := range e.identity {
		if t != nil {
			c.identified[n] += int32(by)
		}
	}
}

// another reports whether two elements have different values in a member of identity. Such
// elements cannot match.
func another(old, now *element) bool {
	for n, t := range old.identity {
		if t != nil && now.identity[n] != nil && now.identity[n] != t {
			return true
		}
	}
	return false
}

// among reports whether the element may match an element of crowd c in list s. It cannot
// match if all elements of the crowd have a member of identity that e also has, and no
// unmatched element of list s has the value of e in that member.
func (e *element) among(c *crowd, s int) bool {
	for n, t := range e.identity {
		if t != nil && t.in[s].n == 0 && int(c.identified[n]) == c.n {
			return false
		}
	}
	return c.n > 0
}

// rival reports whether an unmatched element of list s shares a value with e and may match
// it.
func rival(e *element, s int) bool {
	return slices.ContainsFunc(e.traits, func(t *trait) bool { return e.among(&t.in[s], s) })
}

// learn collects the traits of the unmatched elements.
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

// count updates the crowds of the traits of an element: it adds the element if by is 1, and
// removes it if by is -1.
func (m *matching) count(s, k, by int) {
	if m.elements[s] == nil {
		return // learn has not been called yet
	}
	for _, t := range m.elements[s][k].traits {
		t.in[s].add(&m.elements[s][k], k, by)
	}
}

// mark marks the traits of an element. A call of mark removes the marks of the call before
// it.
func (m *matching) mark(e *element) {
	m.stamp++
	for _, t := range e.traits {
		t.stamp = m.stamp
	}
}

// common reports whether two elements share a value.
func (m *matching) common(old, now *element) bool {
	m.mark(old)
	return slices.ContainsFunc(now.traits, func(t *trait) bool { return t.stamp == m.stamp })
}

// telling returns the members by which an element is recognised. It leaves out booleans,
// null and empty values, because unrelated elements often share them.
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
