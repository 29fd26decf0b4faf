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

// This file reads lists: their pages, their items, and the key of what was created in
// one.

// firstPage makes the call that asks for a list, with the options that are valid for one.
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

// into fills in an object, unless there is an error instead of an item.
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

// allItems iterates over the objects of a list, page by page. In the configuration, next
// is the link to a sibling of the list; a page is recognised by the list's own path. An
// item that the list shows without its body is read on its own.
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

// entriesFrom is allEntries starting at the first page.
func entriesFrom(ctx context.Context, r reader, first *call, a *answer) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, query := a, first.query // of the current page
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
		return nil, a.unusable("the answer is one object, not a list: use NewSingleton")
	case a.Items == nil:
		return nil, a.unusable("the answer lacks the list items")
	case a.Elements != nil:
		return a.Elements, nil
	}
	items, err := wire.Elements(a.Items)
	if err != nil {
		return nil, a.unusable("its items are not a list")
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

// newItem splits an entry of a list. An empty object is a body.
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

// readItem reads an object of which the list shows only the key.
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

// goneItem is an item that the list shows but that no longer exists.
type goneItem struct {
	key string
	err error
}

func (g *goneItem) Error() string { return g.err.Error() }

func (g *goneItem) Unwrap() error { return g.err }

func (g *goneItem) LogValue() slog.Value { return logged(g) }

// isRecord reports whether an entry is the value itself, without key, meta and body, as
// in half of the lists below audit/. The configuration has no such lists, because a
// change needs the key of the object.
func isRecord(a *answer, e wire.Envelope) bool {
	return e.Meta == nil && e.Body == nil && len(e.All) > 0 && !a.exchange.path.Below(transactional...)
}

// garbledText is an error about one object whose text is invalid. The other objects of
// the list are not affected.
type garbledText struct{ err error }

func (g *garbledText) Error() string { return g.err.Error() }

func (g *garbledText) Unwrap() error { return g.err }

// readable refuses an object whose decoded text would differ from the appliance's,
// because the caller may write it back.
func readable(a *answer, e wire.Envelope, key string) error {
	if !e.Garbled {
		return nil
	}
	err := wire.Valid(e.Body)
	if err == nil {
		return nil
	}
	return &garbledText{a.unusable("the body of %s has text that is not valid UTF-8: %s; Client.Invoke shows the bytes of %s",
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
	// maxPages limits a list. An appliance shows 500 items on a page, and none beyond the
	// ten thousandth without a snapshot.
	maxPages = 25_000
	// maxRepeats is how often the items of an earlier page may appear again. A page may
	// repeat another one if items were added meanwhile.
	maxRepeats = 3
)

// pages detects pages that do not end: those with the link or with the items of an
// earlier page. It remembers one earlier page only, and replaces it at powers of two, so
// it detects a circle of any length.
type pages struct {
	count   int
	came    int    // items so far, with those before the first page
	query   string // of the earlier page
	items   uint64 // a hash of the items of the earlier page
	present uint64 // a hash of the items of the current page, in any order
	all     int    // how many items the appliance counts; 0 if it does not say
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

// following returns the next page. The page is the target of a link to the list, or to
// the name that the answer gives the list, such as …/indexer for …/indexing. In the
// configuration, next is the link to a sibling of the list.
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
		return apiPath{}, nil, a.unusable("it shows %d of %d items, and its link to the next page leads elsewhere: %s", p.came, p.all, oneLine(meta.Next, 200))
	}
	return apiPath{}, nil, nil
}

// number returns a numeric member, or 0.
func (m Meta) number(name string) int {
	n, _ := strconv.Atoi(m.Link(name))
	return n
}

// endless reports whether the pages do not end, by the link from the current page to the
// following one. Records without a key may be equal as long as the appliance counts more
// of them.
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

// parts are the places of an object's parts. body is a pointer.
type parts struct {
	key  *string
	meta *Meta
	body any
}

// reader is what clients and transactions have in common.
type reader interface {
	made() error
	at(err error) error
	read(ctx context.Context, path apiPath, query url.Values) (*answer, error)
	get(ctx context.Context, k *call) (*answer, error)
}

// bodyType returns the name of a body's type.
func bodyType(body any) string { return strings.TrimPrefix(fmt.Sprintf("%T", body), "*") }

// readEnvelope reads an answer with a body.
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
		return nil, "", a.unusable("the answer is about %q, not %q", oneLine(key, 60), oneLine(asked, 60))
	}
	return a, key, nil
}
