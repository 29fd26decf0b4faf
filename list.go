package sps

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/query"
	"github.com/go-sps/sps/internal/wire"
)

// This file reads lists: their pages and items, and the key of an object that was created
// in a list.

// firstPage makes the call that reads the first page of a list. It returns an error for
// options that are not valid for a list.
func firstPage(path apiPath, options []RequestOption) (*call, error) {
	k := newRead(path, url.Values{})
	k.header = http.Header{}
	if err := k.apply(options); err != nil {
		return nil, err
	}
	if k.raw {
		return nil, fmt.Errorf("sps: GET %s: %w", path.Text, invalid("a list takes only WithQuery, and WithHeader for headers other than Accept"))
	}
	return k, nil
}

// item is one object of a list, with its body and the answer that contained it.
type item struct {
	wire.Envelope
	key string
	a   *answer
}

// name returns the name of an object, from its body.
func (i *item) name() (string, bool) { return wire.Text(member(i.Body, "name")) }

// into copies the item to an object. If err is not nil, it returns err.
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

// allItems iterates over the objects of a list, page by page. If the list contains an
// item without its body, allItems reads the item with a request of its own.
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

// allEntries iterates over the entries of a list, with or without bodies.
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

// entriesFrom is allEntries for a list whose first page was already read.
func entriesFrom(ctx context.Context, r reader, first *call, a *answer) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, query := a, first.query // the answer and the query of the current page
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
				yield(nil, a.unusable("the pages of the list do not end"))
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
		return nil, a.unusable("the answer is one object, not a list: use NewSingleton")
	case a.Items == nil:
		return nil, a.unusable("the answer lacks the list items")
	case a.Elements != nil:
		return a.Elements, nil
	}
	items, err := wire.Elements(a.Items)
	if err != nil {
		return nil, a.unusable("the member items is not a list")
	}
	return items, nil
}

// createdKey returns the key of the object that a POST to a list created.
func (a *answer) createdKey(list apiPath) (string, error) {
	if key, ok := wire.Text(a.Key); ok && key != "" {
		return key, nil
	}
	// The href of the new object ends with its key.
	for _, link := range []string{newMeta(a.Meta).Href, a.header.Get("Location")} {
		if u, err := url.Parse(link); err == nil { // a Location may contain the host
			link = strings.TrimSuffix(u.EscapedPath(), "/")
		}
		parent, last, _ := apipath.CutLast(link)
		if p, _, err := parseLink(parent); err == nil && p == list {
			if key, err := url.PathUnescape(last); err == nil && key != "" {
				return key, nil
			}
		}
	}
	return "", a.unusable("the answer lacks the key of the created object")
}

// newItem parses an entry of a list.
func newItem(a *answer, entry []byte) (*item, error) {
	e, err := wire.ParseGarbled(entry)
	if err != nil {
		return nil, a.unusable("an item is not an object")
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

// readItem reads an item that has a key but no body in the list.
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

// goneItem is the error for an item that the list contains but that no longer exists.
type goneItem struct {
	key string
	err error
}

func (g *goneItem) Error() string { return g.err.Error() }

func (g *goneItem) Unwrap() error { return g.err }

func (g *goneItem) LogValue() slog.Value { return logged(g) }

// isRecord reports whether an entry is a plain value without the members key, meta and
// body, as in half of the lists below audit/. The configuration has no such lists,
// because a change needs the key of the object.
func isRecord(a *answer, e wire.Envelope) bool {
	return e.Meta == nil && e.Body == nil && len(e.All) > 0 && !a.exchange.path.Below(transactional...)
}

// garbledText is an error about one object whose text is invalid. The other objects of
// the list are not affected.
type garbledText struct{ err error }

func (g *garbledText) Error() string { return g.err.Error() }

func (g *garbledText) Unwrap() error { return g.err }

// readable returns an error for an object with text that is not valid UTF-8. Decoding
// would change the text, and the caller might write the changed text back.
func readable(a *answer, e wire.Envelope, key string) error {
	if !e.Garbled {
		return nil
	}
	err := wire.Valid(e.Body)
	if err == nil {
		return nil
	}
	return &garbledText{a.unusable("the body of %s has text that is not valid UTF-8: %s; read the bytes of %s with Client.Invoke",
		oneLine(key, 60), oneLine(err.Error(), 200), words("/api/"+a.exchange.path.Text))}
}

func isGarbled(err error) bool {
	var garbled *garbledText
	return errors.As(err, &garbled)
}

// garbledOf makes one error from the errors of a list, or nil if there are none.
func garbledOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return joined("sps", errs)
}

const (
	// maxPages is the maximum number of pages of a list. An appliance returns up to 500
	// items on a page. Without a snapshot, it returns at most 10,000 items of a list.
	maxPages = 25_000
	// maxRepeats is how many pages can repeat the items of an earlier page before the
	// client stops reading the list. A page can repeat the items of an earlier page if
	// items were added meanwhile.
	maxRepeats = 3
)

// pages detects a list whose pages do not end, because a page has the link or the items
// of an earlier page. It stores only one earlier page. It replaces the stored page after
// 1, 2, 4, 8, … pages, so it detects a cycle of any length.
type pages struct {
	count   int
	came    int    // the number of items so far, plus the offset of the first page
	query   string // the query of the stored page
	items   uint64 // a hash of the items of the stored page
	present uint64 // a hash of the items of the current page, in any order
	all     int    // the number of all items as the appliance reports it; 0 if unknown
	keyed   bool   // the items have keys
	repeats int
	seed    maphash.Seed
}

// note records an item of the current page, by its key if it has one.
func (p *pages) note(key string, entry []byte) {
	if p.seed == (maphash.Seed{}) {
		p.seed = maphash.MakeSeed()
	}
	if p.keyed = key != ""; p.keyed {
		entry = []byte(key)
	}
	p.present += maphash.Bytes(p.seed, entry)
}

// following returns the path and the query of the next page, or no query if there is
// none. It follows the link next if its path is that of the list, or that of the link
// href in the answer: the list …/indexing has the href …/indexer. It ignores other links,
// because in the configuration, the link next leads to a sibling of the list and not to a
// page.
func (p *pages) following(list apiPath, a *answer, entries int) (apiPath, url.Values, error) {
	meta := newMeta(a.Meta)
	if p.count == 0 {
		p.came = meta.number("offset")
	}
	p.came += entries
	p.all = meta.number("match_count")
	if meta.Next == "" {
		return apiPath{}, nil, nil
	}
	next, query, err := parseLink(meta.Next)
	if err == nil && len(query) > 0 {
		if next == list {
			return next, query, nil
		}
		if own, _, err := parseLink(meta.Href); err == nil && next == own {
			return next, query, nil
		}
	}
	if p.all > p.came {
		return apiPath{}, nil, a.unusable("the list has returned %d of %d items, but its link to the next page leads to another endpoint: %s", p.came, p.all, oneLine(meta.Next, 200))
	}
	return apiPath{}, nil, nil
}

// number returns a numeric member, or 0.
func (m Meta) number(name string) int {
	n, _ := strconv.Atoi(m.Link(name))
	return n
}

// endless reports whether the pages do not end. present and following are the queries of
// the current page and of the next page. Pages of records without keys may be equal until
// the client has read as many items as the appliance has reported.
func (p *pages) endless(present, following url.Values) bool {
	if p.count++; p.count > 1 && p.present == p.items && (p.keyed || p.came >= p.all) {
		p.repeats++
	}
	if p.count&(p.count-1) == 0 {
		p.query, p.items = query.Encode(present), p.present
	}
	p.present = 0
	return p.repeats == maxRepeats || p.count == maxPages || query.Encode(following) == p.query
}

// parts has pointers to the parts of an [Object]. A read stores its result there.
type parts struct {
	key  *string
	meta *Meta
	body any
}

// reader is the interface of clients and transactions for reads.
type reader interface {
	made() error
	at(err error) error
	read(ctx context.Context, path apiPath, query url.Values) (*answer, error)
	get(ctx context.Context, k *call) (*answer, error)
}

// bodyType returns the name of a body's type.
func bodyType(body any) string { return strings.TrimPrefix(fmt.Sprintf("%T", body), "*") }

// readEnvelope reads an object. It returns the answer and the key of the object. It
// returns an error if the answer has no body or, if keyed is true, another key than the
// requested one.
func readEnvelope(ctx context.Context, r reader, path apiPath, keyed bool) (a *answer, key string, err error) {
	if a, err = r.read(ctx, path, nil); err != nil {
		return nil, "", err
	}
	asked := path.Key()
	key = asked
	if text, ok := wire.Text(a.Key); ok {
		key = text
	}
	switch {
	case a.Body == nil && a.Items != nil:
		return nil, "", a.unusable("%s is a list, not one object: use NewCollection or Client.Listing", oneLine(asked, 60))
	case a.Body == nil:
		return nil, "", a.unusable("the answer lacks the body of %s", oneLine(asked, 60))
	case keyed && key != asked:
		return nil, "", a.unusable("the answer has the key %q, not %q", oneLine(key, 60), oneLine(asked, 60))
	}
	return a, key, nil
}
