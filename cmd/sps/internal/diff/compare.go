// Package diff compares two configurations.
package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sps/sps/cmd/sps/internal/export"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// The kinds of differences.
const (
	changed   = "changed"
	added     = "added"   // only the right side has the value
	removed   = "removed" // only the left side has the value
	reordered = "order"   // a list has another order
)

// Difference is one difference between the two sides.
type Difference struct {
	Change string          `json:"change"`
	Left   string          `json:"left"`
	Right  string          `json:"right"`
	Name   string          `json:"name"`
	Member string          `json:"member"`
	Old    json.RawMessage `json:"old"`
	New    json.RawMessage `json:"new"`
	Hidden bool            `json:"hidden"`

	member []string
}

// path returns the path of the object on the left side, or else on the right side.
func (d Difference) path() string {
	if d.Left != "" {
		return d.Left
	}
	return d.Right
}

// Result is the result of a comparison.
type Result struct {
	Differences []Difference
	// Unread are the paths that the API does not return.
	Unread []string
	// Unresolved is the number of references that cannot be compared.
	Unresolved int
	// Problems are lines that say why the result may be wrong or incomplete.
	Problems []string
	// Unmatched are the paths of Options.Exclude that match no object on either side.
	Unmatched []string
	// Incomplete is true if an object could not be compared because it could not be read.
	Incomplete bool
}

// comparison is a comparison in progress.
type comparison struct {
	Options
	trees [2]*tree
	Result
}

// Options are the options of a comparison.
type Options struct {
	// Root is the path to compare; "" means the root of both sides.
	Root string
	// Exclude are paths to leave out, with the objects below them.
	Exclude []string
	// ByName matches the objects of a list by their names, IgnoreOrder ignores the order of
	// lists, and ShowSecrets shows values that may be secret.
	ByName, IgnoreOrder, ShowSecrets bool
}

// place is the current position of the comparison: an object on each side, and the path of a
// member in it.
type place struct {
	left, right *node // nil if the side does not have the object
	member      []string
}

// at returns the place one step further down.
func (p place) at(step string) place {
	p.member = append(slices.Clip(p.member), step)
	return p
}

// Compare compares two exports.
func Compare(sides [2]*export.Export, o Options) (*Result, error) {
	if o.Root == "" && sides[0].Root != sides[1].Root {
		return nil, fmt.Errorf("the left side contains %s, and the right side contains %s: name the path to compare with --root", sides[0].Root, sides[1].Root)
	}
	if o.Root == "" {
		o.Root = sides[0].Root
	}
	c := &comparison{Options: o}
	var roots [2]*node
	for i, side := range sides {
		c.trees[i] = newTree(side)
		var err error
		if roots[i], err = c.trees[i].part(o.Root); err != nil {
			return nil, err
		}
		if side.Changed {
			c.Problems = append(c.Problems, fmt.Sprintf("the configuration of %s was changed while it was read, so its parts may be inconsistent: export or compare again", text.Line(side.Label())))
		}
		for _, r := range side.Refused {
			if r.Key != "" && export.Within(r.Path, o.Root) && !c.excluded(r.Path) {
				c.refused(fmt.Sprintf("the object in %s with the key %q", text.Line(r.Path), r.Key), r)
			}
		}
	}
	for _, path := range o.Exclude {
		if !contains(sides[0], o.Root, path) && !contains(sides[1], o.Root, path) {
			c.Unmatched = append(c.Unmatched, path)
		}
	}
	c.nodes(roots[0], roots[1])
	slices.SortStableFunc(c.Differences, func(a, b Difference) int { return strings.Compare(a.path(), b.path()) })
	return &c.Result, nil
}

// contains reports whether an export has an object at or below a path, in the part at and below
// root.
func contains(e *export.Export, root, path string) bool {
	match := func(p string) bool { return export.Within(p, root) && export.Within(p, path) }
	return slices.ContainsFunc(e.Objects, func(o export.Object) bool { return match(o.Path) }) ||
		slices.ContainsFunc(e.Listings, match) ||
		slices.ContainsFunc(e.Refused, func(r export.Refusal) bool { return match(r.Path) })
}

func (c *comparison) excluded(path string) bool {
	return slices.ContainsFunc(c.Exclude, func(root string) bool { return export.Within(path, root) })
}

// refused records that an object cannot be compared, because it could not be read on a side.
func (c *comparison) refused(what string, r export.Refusal) {
	c.Incomplete = true
	c.Problems = append(c.Problems, fmt.Sprintf("%s could not be compared: %s", what, text.Line(r.Error)))
}

// nodes compares two nodes, and the nodes below them.
func (c *comparison) nodes(left, right *node) {
	if c.excluded(left.path) || c.excluded(right.path) {
		return
	}
	if left.refused != nil || right.refused != nil {
		documented := true
		for _, n := range []*node{left, right} {
			if n.refused != nil && !n.refused.Documented {
				documented = false
				c.refused(text.Line(n.path), *n.refused)
			}
		}
		if documented {
			c.Unread = append(c.Unread, left.path)
		}
		return
	}
	here := place{left: left, right: right}
	switch {
	case left.hasBody && right.hasBody:
		c.values(here, left.body, right.body)
	case left.hasBody:
		c.only(here, removed, left.body)
	case right.hasBody:
		c.only(here, added, right.body)
	}
	pairs, onlyLeft, onlyRight := match(left.children, right.children, c.ByName)
	for _, pair := range pairs {
		c.nodes(pair[0], pair[1])
	}
	for _, n := range onlyLeft {
		if !c.excluded(n.path) {
			c.add(place{left: n}, removed, nil, nil, false)
		}
	}
	for _, n := range onlyRight {
		if !c.excluded(n.path) {
			c.add(place{right: n}, added, nil, nil, false)
		}
	}
	if !c.IgnoreOrder && !inOrder(pairs, right.children) {
		c.add(here, reordered, nil, nil, false)
	}
}

// inOrder reports whether the right side has the pairs in the order of the left side. It ignores
// pairs without a body, because the order of lists has no meaning.
func inOrder(pairs [][2]*node, right []*node) bool {
	order := make(map[*node]int, len(right))
	for i, n := range right {
		order[n] = i
	}
	last := -1
	for _, pair := range pairs {
		if !pair[0].hasBody || !pair[1].hasBody {
			continue
		}
		if order[pair[1]] < last {
			return false
		}
		last = order[pair[1]]
	}
	return true
}

// values compares two values that exist on both sides.
func (c *comparison) values(p place, old, new any) {
	if len(p.member) > 0 {
		before, isBefore := asReference(old)
		after, isAfter := asReference(new)
		if isBefore && isAfter {
			c.references(p, before, after)
			return
		}
	}
	switch old := old.(type) {
	case map[string]any:
		if new, ok := new.(map[string]any); ok && !c.isReference(p, old) && !c.isReference(p, new) {
			c.objects(p, old, new)
			return
		}
	case []any:
		if new, ok := new.([]any); ok {
			c.arrays(p, old, new)
			return
		}
	}
	if !c.scalar(p, old) || !c.scalar(p, new) { // the values have different types
		c.only(p, removed, old)
		c.only(p, added, new)
		return
	}
	before, after := c.shown(0, p, old), c.shown(1, p, new)
	if !bytes.Equal(encode(before), encode(after)) { // a key as a string equals a reference with that key
		c.changed(p, before, after)
	}
}

func (c *comparison) isReference(p place, value any) bool {
	_, ok := asReference(value)
	return ok && len(p.member) > 0
}

// scalar reports whether a value is shown in one line: it is not an object or a list, or it is
// empty, or it is a reference.
func (c *comparison) scalar(p place, value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0 || c.isReference(p, value)
	case []any:
		return len(value) == 0
	}
	return true
}

// objects compares the members of two objects.
func (c *comparison) objects(p place, old, new map[string]any) {
	all := maps.Clone(old)
	maps.Copy(all, new)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		before, isBefore := old[name]
		after, isAfter := new[name]
		switch member := p.at(name); {
		case !isAfter:
			c.only(member, removed, before)
		case !isBefore:
			c.only(member, added, after)
		default:
			c.values(member, before, after)
		}
	}
}

// arrays compares two lists. If only one side has an element, the difference has the position of
// the element on that side.
func (c *comparison) arrays(p place, old, new []any) {
	before, known := c.elements(0, old)
	after, positions := c.elements(1, new)
	if before == nil || after == nil {
		c.byPosition(p, old, new)
		return
	}
	last, inOrder, paired := -1, true, make([]bool, len(new))
	for i, id := range before {
		j, ok := positions[id]
		switch {
		case ok:
			inOrder, last = inOrder && j > last, j
		case i < len(new) && !has(known, after[i]) && texts(old[i], new[i]):
			j = i // the string at this position was replaced by another
		default:
			c.only(p.at(strconv.Itoa(i)), removed, old[i])
			continue
		}
		paired[j] = true
		c.values(p.at(strconv.Itoa(i)), old[i], new[j])
	}
	for j := range after {
		if !paired[j] {
			c.only(p.at(strconv.Itoa(j)), added, new[j])
		}
	}
	if !inOrder && !c.IgnoreOrder {
		c.add(p, reordered, nil, nil, false)
	}
}

func has(positions map[string]int, id string) bool {
	_, ok := positions[id]
	return ok
}

func texts(a, b any) bool {
	_, isA := a.(string)
	_, isB := b.(string)
	return isA && isB
}

// elements returns an identifier for each element of a list, and the position of each
// identifier. It returns nil if an element has no identifier or two elements have the same.
func (c *comparison) elements(side int, list []any) ([]string, map[string]int) {
	ids, positions := make([]string, len(list)), make(map[string]int, len(list))
	for i, element := range list {
		switch value := element.(type) {
		case string:
			ids[i] = value
		case map[string]any:
			if r, ok := asReference(value); ok && c.ByName {
				ids[i], _ = c.trees[side].resolve(r)
			} else if ok {
				ids[i] = r.key
			} else if key, ok := value["key"].(string); ok && !c.ByName {
				ids[i] = key
			} else {
				ids[i], _ = value["name"].(string)
			}
		}
		if _, taken := positions[ids[i]]; taken || ids[i] == "" {
			return nil, nil
		}
		positions[ids[i]] = i
	}
	return ids, positions
}

// byPosition compares two lists element by element. It skips the equal elements at the start and
// at the end.
func (c *comparison) byPosition(p place, old, new []any) {
	start := 0
	for start < min(len(old), len(new)) && reflect.DeepEqual(old[start], new[start]) {
		start++
	}
	before, after := len(old), len(new)
	for before > start && after > start && reflect.DeepEqual(old[before-1], new[after-1]) {
		before, after = before-1, after-1
	}
	for i := start; i < max(before, after); i++ {
		switch element := p.at(strconv.Itoa(i)); {
		case i >= after:
			c.only(element, removed, old[i])
		case i >= before:
			c.only(element, added, new[i])
		default:
			c.values(element, old[i], new[i])
		}
	}
}

// references compares two references.
func (c *comparison) references(p place, old, new reference) {
	same := old.key == new.key
	if c.ByName && old.key != "" && new.key != "" {
		before, isBefore := c.trees[0].resolve(old)
		after, isAfter := c.trees[1].resolve(new)
		switch {
		case isBefore && isAfter:
			same = before == after
		case !isBefore && !isAfter && !same && old.list() == new.list():
			c.Unresolved++
			return
		}
	}
	if !same {
		c.changed(p, c.link(0, old), c.link(1, new))
	}
}

// link is the text that is shown for a reference.
type link string

// link returns the value that is shown for a reference of a side: nil if it refers to no object.
func (c *comparison) link(side int, r reference) any {
	if r.key == "" {
		return nil
	}
	if identity, ok := c.trees[side].resolve(r); ok && c.ByName {
		return link(identity)
	}
	return link(r.key)
}

// shown returns the value that is shown for a value of a side.
func (c *comparison) shown(side int, p place, value any) any {
	if r, ok := asReference(value); ok && len(p.member) > 0 {
		return c.link(side, r)
	}
	return value
}

// only records a value that exists on one side. Each of its members is a difference.
func (c *comparison) only(p place, change string, value any) {
	side := 0
	if change == added {
		side = 1
	}
	if c.scalar(p, value) {
		shown := c.shown(side, p, value)
		hidden := !c.ShowSecrets && secret(p, shown)
		if side == 0 {
			c.add(p, change, shown, nil, hidden)
		} else {
			c.add(p, change, nil, shown, hidden)
		}
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			c.only(p.at(name), change, value[name])
		}
	case []any:
		for i, element := range value {
			c.only(p.at(strconv.Itoa(i)), change, element)
		}
	}
}

// changed records a value that differs between the sides.
func (c *comparison) changed(p place, old, new any) {
	c.add(p, changed, old, new, !c.ShowSecrets && (secret(p, old) || secret(p, new)))
}

// pointer escapes a step of a JSON Pointer.
var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// add adds a difference to the result.
func (c *comparison) add(p place, change string, old, new any, hidden bool) {
	d := Difference{Change: change, Hidden: hidden, member: p.member}
	for _, n := range []*node{p.right, p.left} { // the name on the left side takes precedence
		if n != nil && n.name() != "" {
			d.Name = n.name()
		}
	}
	if p.left != nil {
		d.Left = p.left.path
	}
	if p.right != nil {
		d.Right = p.right.path
	}
	steps := make([]string, len(p.member))
	for i, step := range p.member {
		steps[i] = pointer.Replace(step)
	}
	d.Member = strings.Join(steps, "/")
	if !hidden {
		d.Old, d.New = encode(old), encode(new)
	}
	c.Differences = append(c.Differences, d)
}

// encode encodes a value in one line. The value was decoded from JSON, so there is no error.
func encode(value any) json.RawMessage {
	text, _ := out.Encode(value, "", "")
	return json.RawMessage(strings.TrimSuffix(string(text), "\n"))
}
