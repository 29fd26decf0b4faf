package sps

import (
	"context"
	"net/http"
	"net/url"
)

// The verbs that the areas are made of. Each is one kind of request: what it may do
// again, how long it may take, and what it means that its answer was lost stand in
// outcome.go.

// newRead makes a call that reads.
func newRead(path apiPath, query url.Values) *call {
	class := classRead
	if path.Below(making...) {
		class = classSnapshot
	}
	return &call{class: class, method: http.MethodGet, path: path, query: query}
}

// read reads.
func (c *Client) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	return c.get(ctx, newRead(path, query))
}

// readOnce reads, without a second attempt.
func (c *Client) readOnce(ctx context.Context, path apiPath) (*answer, error) {
	k := newRead(path, nil)
	k.once = true
	return c.call(ctx, k)
}

// page reads what a browser would get: anything, a redirect included.
func (c *Client) page(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.header, k.raw, k.redirect = http.Header{"Accept": {"text/html"}}, true, true
	return c.call(ctx, k)
}

// get sends a read. In the function of a transaction, one of the configuration is a
// read of the transaction.
func (c *Client) get(ctx context.Context, k *call) (*answer, error) {
	if tx, ok := ctx.Value(transactionKey{c}).(*Transaction); ok && k.counts() {
		return tx.get(ctx, k)
	}
	return c.call(ctx, k)
}

// try lets the appliance try something that changes nothing, which may take minutes
// (POST).
func (c *Client) try(ctx context.Context, path apiPath, body []byte) (*answer, error) {
	return c.call(ctx, &call{class: classTry, method: http.MethodPost, path: path, body: body})
}

// create makes something (POST) and returns its key, "" where w has seen it.
func (c *Client) create(ctx context.Context, path apiPath, body []byte, w witness, secrets ...Secret) (key string, err error) {
	k := &call{class: classCreate, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil {
		key, err = a.createdKey(path)
	}
	return key, c.settle(ctx, k, err, w)
}

// act lets the appliance do something, which may take minutes (POST). Where the answer is
// one of success, accept says whether it can be relied on, nil for always.
func (c *Client) act(ctx context.Context, path apiPath, body []byte, accept func(*answer) error, w witness, secrets ...Secret) error {
	k := &call{class: classAct, method: http.MethodPost, path: path, body: body, secret: secrets}
	a, err := c.call(ctx, k)
	if err == nil && accept != nil {
		err = accept(a)
	}
	return c.settle(ctx, k, err, w)
}

// remove ends or removes something (DELETE).
func (c *Client) remove(ctx context.Context, path apiPath, query url.Values, w witness) error {
	k := &call{class: classRemove, method: http.MethodDelete, path: path, query: query}
	_, err := c.call(ctx, k)
	return c.settle(ctx, k, err, w)
}

// upload sends what is too large for memory (POST). What a lost answer means is left to
// the caller.
func (c *Client) upload(ctx context.Context, path apiPath, body *stream) (*answer, error) {
	return c.call(ctx, &call{class: classUpload, method: http.MethodPost, path: path, stream: body})
}
