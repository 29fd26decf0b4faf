package spstest

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// kind is the kind of a JSON value in the configuration.
type kind int

const (
	unseen    kind = iota // unknown, because the known bodies have only null or an empty list
	mixed                 // any value
	text                  // a string
	number                // a number
	boolean               // true or false
	list                  // a list
	record                // an object
	reference             // a reference: an object with key and meta in a response, and a string with the key in a request
)

// shape describes the values that a part of the configuration accepts. Its method accept
// checks a written value and converts the value to the form of responses.
type shape struct {
	kind     kind
	null     bool
	open     bool // a record keeps unknown members instead of dropping them
	members  map[string]*shape
	elements *shape
	target   string            // the collection that a reference points into, as a path below /api/
	links    map[string]string // the links of references whose key is not the last segment of the link, by key
}

func textual() *shape                     { return &shape{kind: text} }
func flag() *shape                        { return &shape{kind: boolean} }
func numeric() *shape                     { return &shape{kind: number} }
func nullable(s *shape) *shape            { s.null = true; return s }
func opened(s *shape) *shape              { s.open = true; return s }
func listOf(s *shape) *shape              { return &shape{kind: list, elements: s} }
func refTo(target string) *shape          { return &shape{kind: reference, target: target} }
func recordOf(m map[string]*shape) *shape { return &shape{kind: record, members: m} }

// infer returns the shape of a value in the form of responses.
func infer(v any) *shape {
	switch v := v.(type) {
	case nil:
		return &shape{null: true}
	case string:
		return textual()
	case bool:
		return flag()
	case json.Number:
		return numeric()
	case []any:
		s := listOf(&shape{})
		for _, e := range v {
			s.elements = merge(s.elements, infer(e))
		}
		return s
	case object:
		if key, link, ok := asReference(v); ok {
			s := refTo(strings.TrimPrefix(path.Dir(link), "/api/"))
			if path.Base(link) != key {
				s.links = map[string]string{key: link}
			}
			return s
		}
		s := recordOf(make(map[string]*shape))
		for name, member := range v {
			s.members[name] = infer(member)
		}
		return s
	}
	return &shape{kind: mixed}
}

// asReference reports whether an object is a reference in the form of responses, and
// returns its key and link.
func asReference(o object) (key, link string, ok bool) {
	meta, isObject := o["meta"].(object)
	key, isString := o["key"].(string)
	if len(o) != 2 || !isObject || !isString {
		return "", "", false
	}
	link, ok = meta["href"].(string)
	return key, link, ok
}

// merge returns a shape that accepts the values of both shapes.
func merge(l, r *shape) *shape {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	}
	m := &shape{kind: l.kind, null: l.null || r.null, open: l.open || r.open, target: l.target, links: maps.Clone(l.links)}
	switch {
	case l.kind == unseen:
		m.kind, m.target, m.links = r.kind, r.target, r.links
	case r.kind != unseen && r.kind != l.kind:
		return &shape{kind: mixed}
	}
	m.elements = merge(l.elements, r.elements)
	if m.kind == record {
		m.members = make(map[string]*shape)
		for name, member := range l.members {
			m.members[name] = merge(member, r.members[name])
		}
		for name, member := range r.members {
			if m.members[name] == nil {
				m.members[name] = member
			}
		}
	}
	if m.kind == reference && l.kind == r.kind {
		if m.links == nil {
			m.links = make(map[string]string)
		}
		maps.Copy(m.links, r.links)
	}
	return m
}

// invalid is an error about a written value: the path of the member, and a message.
type invalid struct {
	where   []string
	message string
}

// accept converts a written value to the form of responses: references become objects,
// and unknown members are dropped.
func (s *shape) accept(v any, where []string) (any, *invalid) {
	if v == nil {
		if s.null || s.kind == unseen || s.kind == mixed {
			return nil, nil
		}
		return nil, &invalid{where, "The value must not be null"}
	}
	switch s.kind {
	case unseen, mixed:
		return v, rejectReferences(v, where)
	case text:
		if _, ok := v.(string); ok {
			return v, nil
		}
	case number:
		if _, ok := v.(json.Number); ok {
			return v, nil
		}
	case boolean:
		if _, ok := v.(bool); ok {
			return v, nil
		}
	case reference:
		if key, ok := v.(string); ok {
			return object{"key": key, "meta": object{"href": s.link(key)}}, nil
		}
		return nil, &invalid{where, "A reference is written as its key"}
	case list:
		if elements, ok := v.([]any); ok {
			return s.acceptList(elements, where)
		}
	case record:
		if o, ok := v.(object); ok {
			return s.acceptRecord(o, where)
		}
	}
	return nil, &invalid{where, "The value has a wrong type"}
}

func (s *shape) acceptList(elements []any, where []string) (any, *invalid) {
	shown := make([]any, len(elements))
	for i, e := range elements {
		v, bad := s.elements.accept(e, append(where[:len(where):len(where)], strconv.Itoa(i)))
		if bad != nil {
			return nil, bad
		}
		shown[i] = v
	}
	return shown, nil
}

func (s *shape) acceptRecord(o object, where []string) (any, *invalid) {
	shown := make(object, len(o))
	for _, name := range slices.Sorted(maps.Keys(o)) {
		there := append(where[:len(where):len(where)], name)
		member, known := s.members[name]
		if !known {
			if !s.open {
				continue
			}
			member = &shape{kind: mixed}
		}
		v, bad := member.accept(o[name], there)
		if bad != nil {
			return nil, bad
		}
		shown[name] = v
	}
	return shown, nil
}

// ignored returns the paths of the members that accept drops.
func (s *shape) ignored(v any, where string) []string {
	var names []string
	switch v := v.(type) {
	case []any:
		if s.kind == list {
			for i, e := range v {
				names = append(names, s.elements.ignored(e, where+strconv.Itoa(i)+"/")...)
			}
		}
	case object:
		if s.kind != record {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch member, known := s.members[name]; {
			case known:
				names = append(names, member.ignored(v[name], where+name+"/")...)
			case !s.open:
				names = append(names, where+name)
			}
		}
	}
	return names
}

func (s *shape) link(key string) string {
	if link, ok := s.links[key]; ok {
		return link
	}
	if s.target == nicsPath { // a reference to a part of an object, such as nic1.interfaces.7.addresses.1
		nic, inside, _ := strings.Cut(key, ".")
		return href(s.target + "/" + nic + "#" + strings.ReplaceAll(inside, ".", "/"))
	}
	return href(s.target + "/" + key)
}

// rejectReferences refuses references in the form of responses, in a value of unknown
// shape.
func rejectReferences(v any, where []string) *invalid {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if bad := rejectReferences(e, append(where[:len(where):len(where)], strconv.Itoa(i))); bad != nil {
				return bad
			}
		}
	case object:
		if _, _, ok := asReference(v); ok {
			return &invalid{where, "A reference is written as its key"}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if bad := rejectReferences(v[name], append(where[:len(where):len(where)], name)); bad != nil {
				return bad
			}
		}
	}
	return nil
}

// links returns the links of all references in a value.
func links(v any) []string {
	var found []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			found = append(found, links(e)...)
		}
	case object:
		if _, link, ok := asReference(v); ok {
			return []string{link}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = append(found, links(v[name])...)
		}
	}
	return found
}

// sameJSON reports whether two JSON texts have the same value, whatever their white space
// and order of members.
func sameJSON(l, r json.RawMessage) bool {
	lv, lerr := decode(l)
	rv, rerr := decode(r)
	return lerr == nil && rerr == nil && bytes.Equal(encode(lv), encode(rv))
}

func unionOfKeys[V any](l, r map[string]V) []string {
	keys := slices.Collect(maps.Keys(l))
	for key := range r {
		if _, ok := l[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
