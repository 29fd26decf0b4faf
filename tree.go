package sps

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

// Listing is the content of an endpoint that lists other endpoints or objects, such as
// configuration/alerting or firmware.
type Listing struct {
	// Meta is the metadata of the endpoint.
	Meta Meta
	// Entries are the entries in the order of the appliance.
	Entries []ListingEntry
}

// ListingEntry is one entry of a [Listing].
type ListingEntry struct {
	// Key is the last segment of the entry's path.
	Key string
	// Href is the path of the entry, for example
	// "/api/configuration/alerting/traffic_alerts".
	Href string
}

// WalkNode is one endpoint or object below the root of a [Client.Walk].
type WalkNode struct {
	// Path is the path below /api/, for example "configuration/management/email", with
	// %2F for a slash in a key. It is "" for a record without a key, and for an object
	// whose key cannot be part of a path.
	Path string
	// Parent is the path of the endpoint that lists the node, or "" for the root.
	Parent string
	// Key is the last segment of the path, without escaping.
	Key string
	// Meta is the metadata of the node.
	Meta Meta
	// Body is the body as the appliance sent it. It is nil for an endpoint that lists
	// other endpoints or objects, and for a node that could not be read.
	Body json.RawMessage
	// Err says why the node could not be read. It is nil if the node was read.
	Err error
}

// Listing reads the entries of an endpoint that lists other endpoints or objects. Write
// the path as in [Client.Invoke].
func (c *Client) Listing(ctx context.Context, path string) (*Listing, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	p, query, err := parseLink(path)
	if err != nil {
		return nil, c.at(err)
	}
	a, err := c.read(ctx, p, query)
	if err != nil {
		return nil, err
	}
	entries, err := a.list()
	if err != nil {
		return nil, err
	}
	list := &Listing{Meta: newMeta(a.Meta)}
	for _, entry := range entries {
		listed, err := newItem(a, entry)
		if err == nil && listed.Key == nil {
			err = a.unusable("the items of the list have no keys: use NewCollection to read the bodies")
		}
		if err != nil {
			return nil, err
		}
		list.Entries = append(list.Entries, ListingEntry{listed.key, newMeta(listed.Meta).Href})
	}
	return list, nil
}

// WalkOption is an option of [Client.Walk]: [WithSkippedPaths].
type WalkOption func(*walk)

// WithSkippedPaths makes a walk leave out the endpoints and objects with these paths, and
// everything below them. Write the paths as in [WalkNode].Path. The walk does not send
// requests for these paths.
func WithSkippedPaths(paths ...string) WalkOption {
	return func(w *walk) {
		for _, path := range paths {
			w.seen[apipath.Relative(path)] = true
		}
	}
}

// Walk iterates over the endpoint root, usually "configuration", and everything below it.
// It follows the links in the responses. The nodes are endpoints that list other
// endpoints or objects, endpoints with a body, and objects of lists. A node comes before
// the nodes below it. Write root as in [Client.Invoke].
//
// If a node cannot be read, for example a list of passwords or private keys, its Err is
// set and the walk continues. If a list cannot be read to its end, its node comes a
// second time, with Err set. In the following cases, the iterator returns an error and
// the walk ends: the root cannot be read, the appliance cannot be reached or is
// overloaded (status codes 429, 502, 503, 504), or the session or ctx ends.
func (c *Client) Walk(ctx context.Context, root string, options ...WalkOption) iter.Seq2[*WalkNode, error] {
	return func(yield func(*WalkNode, error) bool) {
		p, _, err := parseLink(root)
		if unmade := c.made(); unmade != nil {
			err = unmade
		}
		if err != nil {
			yield(nil, c.at(err))
			return
		}
		w := &walk{ctx, c, map[string]bool{}, yield}
		for option := range given(options) {
			option(w)
		}
		w.visit(&WalkNode{Path: p.Text, Key: p.Key()}, p, 0)
	}
}

// walk is a running Walk.
type walk struct {
	ctx   context.Context
	r     reader
	seen  map[string]bool
	yield func(*WalkNode, error) bool
}

// maxWalk limits the depth of a walk. The paths of the API are less than half as deep.
const maxWalk = 32

// visit reads a node and everything below it. It returns false if the walk is over.
func (w *walk) visit(node *WalkNode, p apiPath, depth int) bool {
	w.seen[p.Text] = true
	a, err := w.r.read(w.ctx, p, nil)
	if err == nil {
		node.Meta, node.Body = newMeta(a.Meta), json.RawMessage(a.Body)
		if text, ok := wire.Text(a.Key); ok {
			node.Key = text
		}
		if a.Body == nil && a.Items == nil {
			err = a.unusable("the answer has neither a body nor items")
		}
	}
	if err != nil {
		if depth == 0 {
			w.yield(nil, err)
			return false
		}
		return w.fail(node, err)
	}
	if !w.yield(node, nil) {
		return false
	}
	if a.Items == nil {
		return true
	}
	for listed, err := range entriesFrom(w.ctx, w.r, newRead(p, nil), a) {
		if err == nil && depth >= maxWalk {
			err = a.unusable("the links go more than %d levels deep", maxWalk)
		}
		if err != nil {
			again := *node
			if !w.fail(&again, err) {
				return false
			}
			if isGarbled(err) {
				continue
			}
			return true
		}
		if !w.entry(listed, p, depth) {
			return false
		}
	}
	return true
}

// fail passes on an error. It returns true if the walk continues, because the error
// concerns only this node.
func (w *walk) fail(node *WalkNode, err error) bool {
	if !local(err) {
		w.yield(nil, err)
		return false
	}
	node.Err = err
	return w.yield(node, nil)
}

// entry visits an entry of a list. If the list contains the body of the entry, entry
// sends no request. Otherwise it reads the path of the link if that is below the list, or
// else the path that ends with the key.
func (w *walk) entry(listed *item, parent apiPath, depth int) bool {
	node := &WalkNode{Parent: parent.Text, Key: listed.key, Meta: newMeta(listed.Meta), Body: json.RawMessage(listed.Body)}
	if listed.Key == nil { // a record, which has no path
		return w.yield(node, nil)
	}
	p, query, err := parseLink(node.Meta.Href)
	if err != nil || len(query) > 0 || !strings.HasPrefix(p.Text, parent.Text+"/") {
		if p, err = parent.Within(listed.key); err != nil {
			node.Err = invalid("%s", err)
			return w.yield(node, nil)
		}
	}
	if w.seen[p.Text] {
		return true
	}
	node.Path = p.Text
	if listed.Body != nil {
		w.seen[p.Text] = true
		return w.yield(node, nil)
	}
	return w.visit(node, p, depth+1)
}

// local reports whether an error concerns one node only.
func local(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) {
		return errors.Is(err, ErrBadAnswer)
	}
	switch refused.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return !errors.Is(err, Unauthenticated) && !errors.Is(err, AuthenticationFailure)
}
