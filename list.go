package sps

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

// Lists: their pages, their items, and what was created in one.

// firstPage makes the call that asks for a list, with the options that fit one.
func firstPage(path apiPath, options []RequestOption) (*call, error) {
	k := newRead(path, url.Values{})
	k.header = http.Header{}
	if err := k.apply(options); err != nil {
		return nil, err
	}
	if k.raw {
		return nil, fmt.Errorf("sps: GET %s: %w", path.Text, invalid("a list takes WithQuery, and WithHeader with another header than Accept"))
	}
	return k, nil
}

// item is one object of a list, with its body and the answer that it came in.
type item struct {
	wire.Envelope
	key string
	a   *answer
}

// name returns the name that an object has in its body.
func (i *item) name() (string, bool) { return wire.Text(member(i.Body, "name")) }

// into fills in an object, unless there is no item but an error.
func (i *item) into(o parts, err error) error {
	if err != nil {
		return err
	}
	*o.key, *o.meta = i.key, newMeta(i.Meta)
	if err := readable(i.a, i.Envelope, i.key); err != nil {
		return err
	}
	if err = wire.Decode(i.Body, o.body); err != nil {
		return i.a.unusable("the body of %s does not fit into %s: %s", oneLine(i.key, 60), bodyType(o.body), oneLine(err.Error(), 200))
	}
	return nil
}

// allItems iterates over what is in a list, page by page. In the configuration,
// next is the link to a sibling of the list; a page is recognised by the list's
// own path. What the list shows without its body is read on its own.
func allItems(ctx context.Context, r reader, first *call) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		for listed, err := range allEntries(ctx, r, first) {
			if err == nil && listed.Body == nil {
				listed, err = readItem(ctx, r, first.path, listed)
			}
			var gone *goneItem
			if errors.As(err, &gone) {
				continue
			}
			if !yield(listed, err) || err != nil && !isGarbled(err) {
				return
			}
		}
	}
}

// allEntries iterates over what a list shows, with or without bodies.
func allEntries(ctx context.Context, r reader, first *call) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, err := r.get(ctx, first)
		if err != nil {
			yield(nil, err)
			return
		}
		entriesFrom(ctx, r, first, a)(yield)
	}
}

// entriesFrom is allEntries from the first page on.
func entriesFrom(ctx context.Context, r reader, first *call, a *answer) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, query := a, first.query // of the present page
		var seen pages
		for {
			entries, err := a.list()
			if err != nil {
				yield(nil, err)
				return
			}
			next, following, elsewhere := seen.following(first.path, a, len(entries))
			more := len(following) > 0
			for _, entry := range entries {
				listed, err := newItem(a, entry)
				if err == nil && more {
					seen.note(listed.key, entry)
				}
				if !yield(listed, err) || err != nil && !isGarbled(err) {
					return
				}
			}
			if elsewhere != nil {
				yield(nil, elsewhere)
			}
			if !more {
				return
			}
			if len(entries) == 0 || seen.endless(query, following) {
				yield(nil, a.unusable("its pages do not end"))
				return
			}
			query = following
			page := newRead(next, query)
			page.header = first.header
			if a, err = r.get(ctx, page); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// list returns the items of an answer.
func (a *answer) list() ([][]byte, error) {
	switch {
	case a.Items == nil && a.Body != nil:
		return nil, a.unusable("it is one object, not a list: use NewSingleton")
	case a.Items == nil:
		return nil, a.unusable("it lacks the list items")
	case a.Elements != nil:
		return a.Elements, nil
	}
	items, err := wire.Elements(a.Items)
	if err != nil {
		return nil, a.unusable("its items are no list")
	}
	return items, nil
}

// createdKey returns the key of what a POST to a list created.
func (a *answer) createdKey(list apiPath) (string, error) {
	if key, ok := wire.Text(a.Key); ok && key != "" {
		return key, nil
	}
	// The href of what was made ends with its key.
	for _, link := range []string{newMeta(a.Meta).Href, a.header.Get("Location")} {
		if u, err := url.Parse(link); err == nil { // a Location may name the host
			link = strings.TrimSuffix(u.EscapedPath(), "/")
		}
		parent, last, _ := apipath.CutLast(link)
		if p, _, err := parseLink(parent); err == nil && p == list {
			if key, err := url.PathUnescape(last); err == nil && key != "" {
				return key, nil
			}
		}
	}
	return "", a.unusable("it lacks the key of what was created")
}

// newItem splits an entry of a list. {} is a body.
func newItem(a *answer, entry []byte) (*item, error) {
	e, err := wire.ParseGarbled(entry)
	if err != nil {
		return nil, a.unusable("an item is no object")
	}
	key, ok := wire.Text(e.Key)
	switch {
	case !ok && e.Key == nil && isRecord(a, e):
		e.Body = entry
	case !ok && e.Garbled && e.Key != nil:
		return nil, &garbledText{a.unusable("an item has a key that is not valid UTF-8")}
	case !ok:
		return nil, a.unusable("an item lacks its key")
	}
	return &item{e, key, a}, nil
}

// readItem reads an object that a list shows by its key only.
func readItem(ctx context.Context, r reader, path apiPath, listed *item) (*item, error) {
	own, err := path.Within(listed.key)
	if err != nil {
		return nil, listed.a.unusable("an item has the key %q", oneLine(listed.key, 60))
	}
	a, key, err := readEnvelope(ctx, r, own, true)
	if errors.Is(err, ResourceNotFound) {
		return nil, &goneItem{listed.key, err}
	}
	if err != nil {
		return nil, err
	}
	return &item{a.Envelope, key, a}, nil
}

// goneItem is an item that was listed, and is not found.
type goneItem struct {
	key string
	err error
}

func (g *goneItem) Error() string { return g.err.Error() }

func (g *goneItem) Unwrap() error { return g.err }

func (g *goneItem) LogValue() slog.Value { return logged(g) }
