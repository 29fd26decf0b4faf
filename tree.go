package sps

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// Listing is what an endpoint lists that has no body of its own, such as
// configuration/alerting or firmware.
type Listing struct {
	// Meta is what the appliance says about the endpoint.
	Meta Meta
	// Links are what is below it, in the order of the appliance.
	Links []Link
}

// Link is one entry of a [Listing].
type Link struct {
	// Key is the last segment of its path.
	Key string
	// Href is its path, "/api/configuration/alerting/traffic_alerts".
	Href string
}

// Node is one endpoint or object below the root of a [Client.Walk].
type Node struct {
	// Path is its path below /api/, "configuration/management/email".
	Path string
	// Key is the last segment of its path, as the appliance writes it.
	Key string
	// Meta is what the appliance says about it.
	Meta Meta
	// Body is its value as it was sent; nil for an endpoint that lists others, and
	// for one that was refused.
	Body json.RawMessage
	// Err is why it could not be read, nil where it could.
	Err error
}

// Listing reads what an endpoint lists, with the path as in [Client.Invoke].
func (c *Client) Listing(ctx context.Context, path string) (*Listing, error) {
	p, query, err := parseLink(path)
	if err != nil {
		return nil, err
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
		if err != nil {
			return nil, err
		}
		list.Links = append(list.Links, Link{listed.key, newMeta(listed.Meta).Href})
	}
	return list, nil
}

// Walk iterates over everything below a path, usually "configuration", along the
// links that the appliance shows: endpoints that list others, endpoints with a body,
// and objects of lists, each before what is below it.
//
// What refuses to be read, as the lists of passwords and private keys do, comes with
// its Err, and the walk goes on. What ends it is the iterator's error: the root
// cannot be read, the appliance cannot be reached, the session or ctx ends.
func (c *Client) Walk(ctx context.Context, root string) iter.Seq2[*Node, error] {
	return func(yield func(*Node, error) bool) {
		p, _, err := parseLink(root)
		if err != nil {
			yield(nil, err)
			return
		}
		w := &walk{ctx, c, p, map[string]bool{}, yield}
		_, key, _ := cutLast(p.text)
		w.visit(&Node{Path: p.text, Key: key}, p, 0)
	}
}

// walk is a Walk under way.
type walk struct {
	ctx   context.Context
	r     reader
	root  apiPath
	seen  map[string]bool
	yield func(*Node, error) bool
}

// maxWalk bounds how deep a walk goes. No path of the API is half as long.
const maxWalk = 32

// visit reads a node and what is below it. It says no when the walk is over.
func (w *walk) visit(node *Node, p apiPath, depth int) bool {
	w.seen[p.text] = true
	a, err := w.r.read(w.ctx, p, nil)
	if err == nil {
		node.Meta, node.Body = newMeta(a.Meta), json.RawMessage(a.Body)
		if text, ok := wire.Text(a.Key); ok {
			node.Key = text
		}
		if a.Body == nil && a.Items == nil {
			err = a.unusable("it has neither a body nor items")
		}
	}
	if err != nil {
		if depth == 0 || !local(err) {
			w.yield(nil, err)
			return false
		}
		node.Err = err
		return w.yield(node, nil)
	}
	if !w.yield(node, nil) {
		return false
	}
	if a.Items == nil || depth >= maxWalk {
		return true
	}
	for listed, err := range entriesFrom(w.ctx, w.r, p, a) {
		if err != nil {
			if !local(err) {
				w.yield(nil, err)
				return false
			}
			return w.yield(&Node{Path: node.Path, Key: node.Key, Meta: node.Meta, Err: err}, nil)
		}
		if !w.entry(listed, p, depth) {
			return false
		}
	}
	return true
}

// entry goes on with what a list shows: with its body where it has one, and else by
// its link.
func (w *walk) entry(listed *item, parent apiPath, depth int) bool {
	meta := newMeta(listed.Meta)
	p, query, err := parseLink(meta.Href)
	if err != nil || len(query) > 0 { // no link, or one into something else
		if p, err = parent.join(listed.key); err != nil {
			return w.yield(&Node{Path: parent.text, Key: listed.key, Meta: meta, Err: err}, nil)
		}
	}
	if w.seen[p.text] || !strings.HasPrefix(p.text, w.root.text+"/") {
		return true
	}
	node := &Node{Path: p.text, Key: listed.key, Meta: meta, Body: json.RawMessage(listed.Body)}
	if listed.Body != nil {
		w.seen[p.text] = true
		return w.yield(node, nil)
	}
	return w.visit(node, p, depth+1)
}

// local reports whether an error is about one node only.
func local(err error) bool {
	var refused *Error
	return errors.Is(err, ErrBadAnswer) || errors.As(err, &refused) && !errors.Is(err, Unauthenticated) && !errors.Is(err, AuthenticationFailure)
}
