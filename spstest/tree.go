package spstest

import (
	"encoding/json"
	"slices"
	"strings"
)

// node is an endpoint of the configuration tree: one with a body, or a collection of
// objects with bodies. The paths above the nodes are listings.
type node struct {
	collection bool
	shape      *shape // the shape of the body, or of the body of each object
	readOnly   bool   // a node that cannot be written
	fixed      bool   // a collection whose objects cannot be created or deleted
	secrets    bool   // a collection of secrets: objects can be created and read by key, but not listed
	uuids      bool   // the keys of new objects are UUIDs

	// check is called with a written body that fits the shape. It returns the body to
	// store, or an error response.
	check func(a *Appliance, x *exchange, body any) (shown any, refusal answer, ok bool)
	// inconsistent returns the problems of the body of an object.
	inconsistent func(p string, body json.RawMessage) []inconsistency
}

// tree is a configuration tree while it is being built.
type tree struct {
	nodes map[string]*node
	*store
}

func (t *tree) singleton(p string, of *shape, body string) *node {
	p = configurationPath + "/" + p
	n := &node{shape: of}
	t.nodes[p], t.bodies[p] = n, compact(body)
	return n
}

func (t *tree) collection(p string, of *shape) *node {
	n := &node{collection: true, shape: of}
	t.nodes[configurationPath+"/"+p] = n
	return n
}

// object adds an object to a collection.
func (t *tree) object(collection, key, body string) {
	t.add(configurationPath+"/"+collection, key, compact(body))
}

func nodeMethods(nodes map[string]*node, p string) methods {
	if n := nodes[p]; n != nil {
		return n.methods()
	}
	if len(children(nodes, p)) > 0 {
		return listingMethods
	}
	return nil
}

// The methods of the kinds of nodes. init sets them, because the handlers refer to these
// variables, and initializers would form a cycle.
var (
	listingMethods, singletonMethods, readOnlyMethods      methods
	collectionMethods, fixedCollectionMethods, itemMethods methods
	fixedItemMethods, secretsMethods, secretMethods        methods
)

func init() {
	listingMethods = methods{"GET": (*Appliance).getListing}
	singletonMethods = methods{"GET": (*Appliance).getSingleton, "PUT": (*Appliance).putSingleton}
	readOnlyMethods = methods{"GET": (*Appliance).getSingleton}
	collectionMethods = methods{"GET": (*Appliance).getCollection, "POST": (*Appliance).createItem}
	itemMethods = methods{"GET": (*Appliance).getItem, "PUT": (*Appliance).putItem, "DELETE": (*Appliance).deleteItem}
	fixedCollectionMethods = methods{"GET": (*Appliance).getCollection}
	fixedItemMethods = methods{"GET": (*Appliance).getItem, "PUT": (*Appliance).putItem}
	secretsMethods = methods{"POST": (*Appliance).createItem}
	secretMethods = methods{"GET": (*Appliance).getItem}
}

func (n *node) methods() methods {
	switch {
	case n.secrets:
		return secretsMethods
	case n.fixed:
		return fixedCollectionMethods
	case n.collection:
		return collectionMethods
	case n.readOnly:
		return readOnlyMethods
	}
	return singletonMethods
}

// itemMethods returns the methods of the objects of a collection.
func (n *node) itemMethods() methods {
	switch {
	case n.secrets:
		return secretMethods
	case n.fixed:
		return fixedItemMethods
	}
	return itemMethods
}

func (a *Appliance) configurationMethods(p string) methods {
	if m := nodeMethods(a.nodes, p); m != nil {
		return m
	}
	if parent := a.nodes[parentOf(p)]; parent != nil && parent.collection {
		return parent.itemMethods()
	}
	return nil
}

// children returns the paths one level below a listing, sorted.
func children(nodes map[string]*node, listing string) []string {
	var found []string
	for p := range nodes {
		rest, ok := strings.CutPrefix(p, listing+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, "/")
		if child := listing + "/" + name; !slices.Contains(found, child) {
			found = append(found, child)
		}
	}
	slices.Sort(found)
	return found
}
