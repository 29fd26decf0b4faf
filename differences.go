package sps

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sps/sps/internal/redact"
	"github.com/go-sps/sps/internal/wire"
)

// This file describes changes as text, for typed and untyped endpoints.

// Difference is one member of an object that differs before and after a [Change]. Its
// texts are for people and show no secret.
type Difference struct {
	// Path is the place in the body of the object: "crl_urls/1" is the second of its
	// crl_urls. It is empty for the body as a whole. For an element that was removed from
	// a list, the index is the index in the old list. For any other element, it is the
	// index in the new list.
	Path string `json:"path"`
	// Old and New are shortened texts of the values: JSON, or the subject and expiry of a
	// certificate, or "a secret" for a secret. Old is empty if the value was added, and
	// New is empty if it was removed.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// aSecret replaces the value of a secret.
const aSecret = "a secret"

// String returns the difference in one line, "enabled: false -> true".
func (d Difference) String() string {
	text := d.Path
	if text != "" {
		text = oneLine(text, 200) + ": "
	}
	switch {
	case d.Old == "":
		return text + d.New + " added"
	case d.New == "":
		return text + d.Old + " removed"
	case d.Old == aSecret && d.New == aSecret:
		return text + aSecret + ", changed"
	}
	return text + d.Old + " -> " + d.New
}

// maxTold limits how many differences the text of a change lists.
const maxTold = 20

// String describes the change in one line: its type, the path and the name of the object,
// and the first of its Differences.
func (c Change) String() string {
	text := oneLine(string(c.Type), 40) + " " + oneLine(c.Path, 300)
	if c.Name != "" {
		text += " " + quoted(oneLine(c.Name, 100))
	}
	var told []string
	for i, d := range c.Differences {
		if i == maxTold {
			told = append(told, fmt.Sprintf("and %d more", len(c.Differences)-i))
			break
		}
		told = append(told, d.String())
	}
	if len(c.NewOrder) > 0 {
		told = append(told, "the order is "+oneLine(strings.Join(c.NewOrder, ", "), 300))
	}
	if len(told) > 0 {
		text += ": " + strings.Join(told, "; ")
	}
	return text
}

// tell sets the Differences of changes. It compares the bodies that the transaction read
// with those that it wrote.
func (s *staged) tell(changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		s.tellOne(&changes[i])
	}
}

func (s *staged) tellOne(c *Change) {
	object, rest, _ := strings.Cut(unescapedPath(relative(c.Path)), "#")
	var sent []byte
	longest := 0
	for _, w := range s.writes {
		if within, ok := strings.CutPrefix(object, w.path.Text); ok && (within == "" || within[0] == '/') && len(w.path.Text) > longest {
			longest, sent = len(w.path.Text), w.sent
		}
	}
	if longest > 0 {
		object, rest = object[:longest], object[longest:]+"/"+rest
	}
	place := changePlace(rest)
	before := s.before[object]
	was, is := c.OldValue, c.NewValue
	if was == nil && c.Type != ChangeCreate {
		was = wire.At(before, place)
	}
	if is == nil && c.Type != ChangeDelete {
		is = wire.At(sent, place)
	}
	for _, body := range [][]byte{is, was, sent, before} {
		if name, _ := wire.Text(member(body, "name")); c.Name == "" {
			c.Name = name
		}
	}
	if len(place) == 0 && c.Type == ChangeDelete || c.Type == ChangeReorder {
		return
	}
	t := &teller{secrets: s.secrets}
	t.compare(place, bareOrNil(was), bareOrNil(is), 0)
	c.Differences = t.found
}

// bareOrNil returns bare(value), or nil if there is no value.
func bareOrNil(value []byte) []byte {
	if value == nil {
		return nil
	}
	return bare(value)
}

// teller describes differences as text.
type teller struct {
	secrets []string // values that the transaction wrote as a Secret
	found   []Difference
}

// maxTelling limits how deep bodies are compared member by member.
const maxTelling = 64

func (t *teller) compare(place []string, was, is []byte, depth int) {
	kind := wire.Kind(is)
	if is == nil {
		kind = wire.Kind(was)
	}
	alike := (was == nil || wire.Kind(was) == kind) && (is == nil || wire.Kind(is) == kind) && depth < maxTelling
	switch {
	case was == nil && is == nil, was != nil && is != nil && identity(was) == identity(is):
	case alike && kind == wire.Object && certificateIn(was) == nil && certificateIn(is) == nil && !(was == nil && t.empty(is)) && !(is == nil && t.empty(was)):
		t.members(place, was, is, depth+1)
	case alike && kind == wire.Array && !(was == nil && t.empty(is)) && !(is == nil && t.empty(was)):
		t.elements(place, was, is, depth+1)
	case t.secret(place, was) || t.secret(place, is):
		t.add(place, veiled(was), veiled(is))
	default:
		t.add(place, inWords(was), inWords(is))
	}
}

func (t *teller) add(place []string, was, is string) {
	t.found = append(t.found, Difference{strings.Join(place, "/"), was, is})
}

// empty reports whether a value has no members and no elements.
func (t *teller) empty(value []byte) bool {
	members, _ := wire.Members(value)
	elements, _ := wire.Elements(value)
	return len(members) == 0 && len(elements) == 0
}

func (t *teller) members(place []string, was, is []byte, depth int) {
	old, _ := wire.Members(was)
	now, _ := wire.Members(is)
	olds := make(map[string][]byte, len(old))
	for _, m := range old {
		olds[m.Name] = m.Value
	}
	for _, m := range now {
		t.compare(append(slices.Clone(place), m.Name), olds[m.Name], m.Value, depth)
		delete(olds, m.Name)
	}
	for _, m := range old {
		if value, gone := olds[m.Name]; gone {
			t.compare(append(slices.Clone(place), m.Name), value, nil, depth)
		}
	}
}

// elements compares two lists. An element that is in both lists is unchanged, even at
// another position. Among the other elements, an old and a new element with the same key
// or name are one changed element. An old and a new element without a key or name are one
// changed element if they have the same position.
func (t *teller) elements(place []string, was, is []byte, depth int) {
	old, _ := wire.Elements(was)
	now, _ := wire.Elements(is)
	at := func(i int) []string { return append(slices.Clone(place), strconv.Itoa(i)) }
	there := make(map[string][]int, len(old))
	for i, e := range old {
		id := identity(e)
		there[id] = append(there[id], i)
	}
	gone := make(map[int]bool, len(old))
	for i := range old {
		gone[i] = true
	}
	var left []int // indexes of the remaining new elements
	moved := false
	for j, e := range now {
		id := identity(e)
		if list := there[id]; len(list) > 0 {
			there[id] = list[1:]
			moved = moved || list[0] != j
			delete(gone, list[0])
			continue
		}
		left = append(left, j)
	}
	if len(gone) == 0 && len(left) == 0 {
		if moved {
			t.add(place, fmt.Sprintf("%d elements", len(old)), "the same in another order")
		}
		return
	}
	named := make(map[string]int, len(gone))
	for i := range gone {
		if label := labelOf(old[i]); label != "" {
			named[label] = i
		}
	}
	secret := slices.ContainsFunc(append(slices.Clone(old), now...), func(e []byte) bool { return t.secret(place, e) })
	pair := func(j, i int) {
		var before []byte
		if i >= 0 {
			before = old[i]
			delete(gone, i)
		}
		if secret && wire.Kind(now[j]) != wire.Object {
			t.add(at(j), veiled(before), veiled(now[j]))
			return
		}
		t.compare(at(j), before, now[j], depth)
	}
	for _, j := range left {
		label := labelOf(now[j])
		switch i, ok := named[label]; {
		case label != "" && ok && gone[i]:
			pair(j, i)
		case label == "" && j < len(old) && gone[j] && wire.Kind(old[j]) == wire.Kind(now[j]) && certificateIn(now[j]) == nil:
			pair(j, j)
		default:
			pair(j, -1)
		}
	}
	for i := range old {
		switch {
		case !gone[i]:
		case secret && wire.Kind(old[i]) != wire.Object:
			t.add(at(i), veiled(old[i]), "")
		default:
			t.compare(at(i), old[i], nil, depth)
		}
	}
}

// identity returns a hash that is equal for values with the same meaning, such as two PEM
// texts of one certificate.
func identity(value []byte) string {
	if certificates := certificateIn(value); certificates != nil {
		h := sha256.New()
		for _, c := range certificates {
			h.Write(c.Raw)
		}
		return string(h.Sum([]byte("certificate ")))
	}
	h := sha256.New()
	wire.Digest(h, value)
	return string(h.Sum(nil))
}

// labelOf returns the key, the id or the name of an element, which identifies it in its
// list. It returns "" if the element has none of them.
func labelOf(element []byte) string {
	for _, name := range []string{"key", "id", "name"} {
		if text, ok := wire.Text(member(element, name)); ok && text != "" {
			return name + " " + text
		}
	}
	return ""
}

// inWords returns a text for people that describes a value.
func inWords(value []byte) string {
	if value == nil {
		return ""
	}
	if certificates := certificateIn(value); certificates != nil {
		var words []string
		for _, c := range certificates {
			words = append(words, "the certificate of "+oneLine(c.Subject.String(), 120)+", which expires on "+c.NotAfter.UTC().Format("2006-01-02"))
		}
		return strings.Join(words, ", ")
	}
	return oneLine(string(wire.Plain(value)), 200)
}

// veiled returns the text that people see instead of a secret. It returns null and the
// empty string unchanged.
func veiled(value []byte) string {
	switch text, _ := wire.Text(value); {
	case value == nil:
		return ""
	case wire.Kind(value) == wire.Null, wire.Kind(value) == wire.String && text == "":
		return string(value)
	}
	return aSecret
}

// secret reports whether a value is a secret. This is the case if the transaction wrote
// it as a [Secret], if it contains a private key, or if a member name in its path
// suggests a secret, such as "password".
func (t *teller) secret(place []string, value []byte) bool {
	if slices.ContainsFunc(place, secretName) {
		return true
	}
	text, ok := wire.Text(value)
	if !ok {
		text = string(value)
	}
	return strings.Contains(text, "PRIVATE KEY") || slices.Contains(t.secrets, text) || redact.Holds(text, t.secrets)
}

// Equal reports whether two values are encoded as the same JSON. Use it to compare a
// desired configuration with the actual one. The values may be bodies of objects or parts
// of them. Secrets are compared by their content. A nil list equals an empty list. Fields
// that encoding/json leaves out, such as unexported fields, are not compared. If the
// appliance returns a secret in another form, or does not return it, the values differ.
func Equal[T any](a, b T) bool {
	x, err := codec.Marshal(a)
	if err != nil {
		return reflect.DeepEqual(a, b)
	}
	y, err := codec.Marshal(b)
	if err != nil {
		return false
	}
	return digestValue(x) == digestValue(y)
}

func digestValue(value []byte) digest {
	h := sha256.New()
	wire.Digest(h, value)
	return digest(h.Sum(nil))
}

// Copy returns a deep copy: changes of its lists, maps and pointers do not affect the
// original. Secrets keep their content. Unexported fields are copied by assignment, not
// deeply.
func Copy[T any](value T) T {
	c := &copier{map[uintptr]reflect.Value{}}
	from := reflect.ValueOf(&value).Elem()
	to := reflect.New(from.Type()).Elem()
	to.Set(c.copy(from))
	return *to.Addr().Interface().(*T)
}

// copier makes deep copies. It copies the target of a pointer only once.
type copier struct{ met map[uintptr]reflect.Value }

func (c *copier) copy(from reflect.Value) reflect.Value {
	switch from.Kind() {
	case reflect.Pointer:
		return c.pointer(from)
	case reflect.Interface:
		if from.IsNil() {
			return from
		}
		to := reflect.New(from.Type()).Elem()
		to.Set(c.copy(from.Elem()))
		return to
	case reflect.Slice:
		if from.IsNil() {
			return from
		}
		to := reflect.MakeSlice(from.Type(), from.Len(), from.Len())
		for i := range from.Len() {
			to.Index(i).Set(c.copy(from.Index(i)))
		}
		return to
	case reflect.Array:
		to := reflect.New(from.Type()).Elem()
		for i := range from.Len() {
			to.Index(i).Set(c.copy(from.Index(i)))
		}
		return to
	case reflect.Map:
		if from.IsNil() {
			return from
		}
		to := reflect.MakeMapWithSize(from.Type(), from.Len())
		for all := from.MapRange(); all.Next(); {
			to.SetMapIndex(all.Key(), c.copy(all.Value()))
		}
		return to
	case reflect.Struct:
		to := reflect.New(from.Type()).Elem()
		to.Set(from)
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				to.Field(i).Set(c.copy(from.Field(i)))
			}
		}
		return to
	}
	return from
}

func (c *copier) pointer(from reflect.Value) reflect.Value {
	if from.IsNil() {
		return from
	}
	if to, ok := c.met[from.Pointer()]; ok && to.Type() == from.Type() {
		return to
	}
	to := reflect.New(from.Type().Elem())
	if to.Type() != from.Type() { // from has a named pointer type
		to = to.Convert(from.Type())
	}
	c.met[from.Pointer()] = to
	to.Elem().Set(c.copy(from.Elem()))
	return to
}

// certificateIn returns the certificates in a PEM text, or the certificate of an
// authority of a trust store. It returns nil for anything else.
func certificateIn(value []byte) []*x509.Certificate {
	if !bytes.Contains(value, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil
	}
	if wire.Kind(value) == wire.Object {
		members, _ := wire.Members(value)
		for _, m := range members {
			switch m.Name { // the members that the appliance adds to the PEM
			case "pem":
				value = m.Value
			case "issuer", "subject", "fingerprint":
			default:
				return nil
			}
		}
	}
	text, _ := wire.Text(value)
	certificates, err := parseCertificates([]byte(text))
	if err != nil {
		return nil
	}
	return certificates
}
