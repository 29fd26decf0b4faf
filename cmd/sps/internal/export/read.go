package export

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-sps/sps"
)

// Parallel is the maximum number of concurrent requests of one export.
const Parallel = 8

// walk reads the objects at and below a path, like Client.Walk, but with concurrent requests.
// It uses Client.Walk for a response that it does not handle itself, such as a list with pages.
type walk struct {
	client   *sps.Client
	ctx      context.Context
	stop     context.CancelCauseFunc
	places   chan struct{} // limits the concurrent requests
	progress func(path string)
	workers  sync.WaitGroup

	mu   sync.Mutex
	seen map[string]bool
	err  error // the first error that ends the walk
}

// part holds the nodes that were read at and below a path, in the order of the appliance.
type part struct {
	nodes []*sps.WalkNode
	parts []*part // the parts of the children, which follow the nodes
}

// answer is the response of the appliance to a read of a path.
type answer struct {
	Key   any             `json:"key"`
	Body  json.RawMessage `json:"body"`
	Items []entry         `json:"items"`
	Meta  struct {
		Next any `json:"next"`
	} `json:"meta"`
}

type entry struct {
	Key  any             `json:"key"`
	Body json.RawMessage `json:"body"`
	Meta struct {
		Href string `json:"href"`
	} `json:"meta"`
}

// readAll reads the objects at and below the root.
func readAll(ctx context.Context, client *sps.Client, root string, progress func(path string)) ([]*sps.WalkNode, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := &walk{client: client, ctx: ctx, stop: stop, places: make(chan struct{}, Parallel), progress: progress, seen: map[string]bool{root: true}}
	top := &part{}
	w.workers.Go(func() { w.visit(top, &sps.WalkNode{Path: root}, 0) })
	w.workers.Wait()
	if w.err != nil {
		return nil, w.err
	}
	return top.flat(nil), nil
}

// flat appends the nodes of the part and of the parts below it to nodes.
func (p *part) flat(nodes []*sps.WalkNode) []*sps.WalkNode {
	nodes = append(nodes, p.nodes...)
	for _, below := range p.parts {
		nodes = below.flat(nodes)
	}
	return nodes
}

// fail ends the walk with an error.
func (w *walk) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		w.stop(err)
	}
}

// maxDepth is the maximum number of path segments below the root that walk reads itself. The
// paths of the API are less than half as long.
const maxDepth = 32

// visit reads a node, and starts goroutines that visit its children.
func (w *walk) visit(p *part, node *sps.WalkNode, depth int) {
	select {
	case w.places <- struct{}{}:
	case <-w.ctx.Done():
		w.fail(context.Cause(w.ctx))
		return
	}
	w.progress(node.Path)
	response, err := w.client.Invoke(w.ctx, http.MethodGet, node.Path, nil)
	<-w.places
	switch {
	case err != nil && (depth == 0 || !local(err)):
		w.fail(err)
		return
	case err != nil:
		node.Err = err
		p.nodes = []*sps.WalkNode{node}
		return
	}
	var a answer
	decoder := json.NewDecoder(strings.NewReader(string(response.Body)))
	decoder.UseNumber()
	if !utf8.Valid(response.Body) || decoder.Decode(&a) != nil || depth >= maxDepth || !w.below(p, node, &a, depth) {
		w.plain(p, node, depth)
	}
}

// below stores the nodes of a response, and starts goroutines that visit the listed objects
// without a body. It returns false and stores nothing if the response has both a body and items,
// has pages, or lists a key that cannot be part of a path.
func (w *walk) below(p *part, node *sps.WalkNode, a *answer, depth int) bool {
	if a.Items == nil {
		if a.Body == nil {
			return false
		}
		node.Body = a.Body
		p.nodes = []*sps.WalkNode{node}
		return true
	}
	if next, ok := a.Meta.Next.(string); a.Body != nil || ok && strings.Contains(next, "?") {
		return false // it has a body and items, or it has pages
	}
	paths := make([]string, len(a.Items))
	for i, item := range a.Items {
		path, ok := childPath(node.Path, item)
		if !ok {
			return false
		}
		paths[i] = path
	}
	p.nodes = []*sps.WalkNode{node}
	for i, item := range a.Items {
		if !w.first(paths[i]) {
			continue
		}
		child, listed := &part{}, &sps.WalkNode{Path: paths[i], Parent: node.Path}
		p.parts = append(p.parts, child)
		if item.Body != nil {
			listed.Body = item.Body
			child.nodes = []*sps.WalkNode{listed}
			continue
		}
		w.workers.Go(func() { w.visit(child, listed, depth+1) })
	}
	return true
}

// childPath returns the path of an entry of a list: the path of its link, or else the path of
// the list and the key of the entry. It returns false if neither is a plain path.
func childPath(parent string, item entry) (string, bool) {
	key := ""
	switch value := item.Key.(type) {
	case string:
		key = value
	case json.Number:
		key = value.String()
	}
	if key == "" || key == "." || key == ".." {
		return "", false
	}
	if path, ok := strings.CutPrefix(item.Meta.Href, "/api/"); ok && strings.HasPrefix(path, parent+"/") && !strings.ContainsAny(path, "?#%") {
		return path, true
	}
	if item.Meta.Href != "" || url.PathEscape(key) != key {
		return "", false
	}
	return parent + "/" + key, true
}

// first reports whether a path is new, and records it.
func (w *walk) first(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[path] {
		return false
	}
	w.seen[path] = true
	return true
}

// plain reads a node and the nodes below it with Client.Walk, one request after the other.
func (w *walk) plain(p *part, node *sps.WalkNode, depth int) {
	p.nodes = nil
	for found, err := range w.client.Walk(w.ctx, node.Path) {
		if err != nil && (depth == 0 || len(p.nodes) > 0 || !local(err)) {
			w.fail(err)
			return
		}
		if err != nil { // the node itself failed, and it is not the root of the export
			node.Err = err
			found = node
		}
		if found.Path == node.Path {
			found.Parent = node.Parent
		}
		if found.Path == "" || found.Path == node.Path || w.first(found.Path) {
			w.progress(found.Path)
			p.nodes = append(p.nodes, found)
		}
	}
}

// local reports whether an error concerns one node, so that the walk can continue. Client.Walk
// has the same rule.
func local(err error) bool {
	var refused *sps.Error
	if !errors.As(err, &refused) {
		return errors.Is(err, sps.ErrBadAnswer)
	}
	switch refused.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return !errors.Is(err, sps.Unauthenticated) && !errors.Is(err, sps.AuthenticationFailure)
}
