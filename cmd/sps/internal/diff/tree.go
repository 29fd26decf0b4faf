package diff

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-sps/sps/cmd/sps/internal/export"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// node is an object or a list in a configuration.
type node struct {
	path, key string
	parent    *node
	children  []*node // in the order of the appliance
	body      any
	hasBody   bool
	refused   *export.Refusal
}

// name returns the member "name" of an object, or "" if there is none.
func (n *node) name() string {
	members, _ := n.body.(map[string]any)
	name, _ := members["name"].(string)
	return name
}

// identity returns the path of a node, with the names of objects instead of their keys.
// References are compared and shown by identity.
func (n *node) identity() string {
	own := n.name()
	if own == "" {
		own = n.key
	}
	if n.parent == nil {
		return own
	}
	return n.parent.identity() + "/" + own
}

// tree has the nodes of one side of a comparison.
type tree struct {
	nodes  map[string]*node // by path
	export *export.Export
}

func newTree(e *export.Export) *tree {
	t := &tree{map[string]*node{}, e}
	for _, path := range e.Listings {
		t.at(path)
	}
	for _, object := range e.Objects {
		n := t.at(object.Path)
		n.body, n.hasBody = object.Body, true
	}
	for i, r := range e.Refused {
		if r.Key == "" {
			t.at(r.Path).refused = &e.Refused[i]
		}
	}
	return t
}

// at returns the node of a path. It makes the node and its parents if they do not exist.
func (t *tree) at(path string) *node {
	if n := t.nodes[path]; n != nil {
		return n
	}
	n := &node{path: path, key: path}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		n.key, n.parent = path[i+1:], t.at(path[:i])
		n.parent.children = append(n.parent.children, n)
	}
	t.nodes[path] = n
	return n
}

// part returns the node at a root.
func (t *tree) part(root string) (*node, error) {
	if !export.Within(root, t.export.Root) {
		return nil, fmt.Errorf("the export of %s contains %s, but not %s: name a path below %[2]s with --root", text.Line(t.export.Label()), t.export.Root, root)
	}
	if n := t.nodes[root]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("the configuration of %s has no %s: check --root", text.Line(t.export.Label()), root)
}

// reference is the key and the link of a value that refers to another object. Both are "" if
// the value refers to no object.
type reference struct{ key, href string }

// asReference returns the reference in a value, and reports whether the value is a reference: an
// object with the two members "key" and "meta". If the key is null, it refers to no object.
func asReference(value any) (reference, bool) {
	members, ok := value.(map[string]any)
	if !ok || len(members) != 2 {
		return reference{}, false
	}
	meta, ok := members["meta"].(map[string]any)
	if !ok {
		return reference{}, false
	}
	href, _ := meta["href"].(string)
	switch key, exists := members["key"]; {
	case exists && key == nil && len(meta) == 0:
		return reference{}, true
	case strings.HasPrefix(href, "/api/"):
		switch key := key.(type) {
		case string:
			return reference{key, href}, true
		case json.Number:
			return reference{key.String(), href}, true
		}
	}
	return reference{}, false
}

// path returns the path of the object, and the fragment of the link. Both are "" if the link
// cannot be decoded.
func (r reference) path() (path, within string) {
	path, within, _ = strings.Cut(strings.TrimPrefix(r.href, "/api/"), "#")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return "", ""
		}
		segments[i] = plain
	}
	return strings.Join(segments, "/"), within
}

// list returns the path of the list that contains the object.
func (r reference) list() string {
	path, _ := r.path()
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

// resolve returns the identity of the object to which a reference refers, and whether the tree
// has this object.
func (t *tree) resolve(r reference) (string, bool) {
	path, within := r.path()
	n := t.nodes[path]
	if n == nil || !n.hasBody {
		return "", false
	}
	if within != "" {
		within = "#" + within
	}
	return n.identity() + within, true
}

// match pairs the nodes of two lists. With byName it first pairs nodes by names that are unique
// on both sides. Then it pairs the other nodes by their keys.
func match(left, right []*node, byName bool) (pairs [][2]*node, onlyLeft, onlyRight []*node) {
	partner := map[*node]*node{} // for the nodes of both lists
	pair := func(id func(*node) string) {
		index := func(nodes []*node) map[string][]*node {
			found := map[string][]*node{}
			for _, n := range nodes {
				if text := id(n); text != "" && partner[n] == nil {
					found[text] = append(found[text], n)
				}
			}
			return found
		}
		others := index(right)
		for text, nodes := range index(left) {
			if other := others[text]; len(nodes) == 1 && len(other) == 1 {
				partner[nodes[0]], partner[other[0]] = other[0], nodes[0]
			}
		}
	}
	if byName {
		pair((*node).name)
	}
	pair(func(n *node) string { return n.key })
	for _, n := range left {
		if other := partner[n]; other != nil {
			pairs = append(pairs, [2]*node{n, other})
		} else {
			onlyLeft = append(onlyLeft, n)
		}
	}
	onlyRight = slices.DeleteFunc(slices.Clone(right), func(n *node) bool { return partner[n] != nil })
	return pairs, onlyLeft, onlyRight
}
