package sps

import (
	"hash/maphash"
	"net/url"
	"strconv"

	"github.com/go-sps/sps/internal/query"
)

const (
	// maxPages bounds a list. An appliance shows 500 items on a page, and without a
	// snapshot none beyond the ten thousandth.
	maxPages = 25_000
	// maxRepeats is how often the items of an earlier page may come again. A page may
	// repeat another one where items were added meanwhile.
	maxRepeats = 3
)

// pages notices pages that do not end, in the memory of one: those with the link or with
// the items of an earlier one. The earlier one moves on at powers of two, so a circle of
// any length is noticed.
type pages struct {
	count   int
	came    int    // items so far, with those before the first page
	query   string // of the earlier page
	items   uint64 // a hash of those of the earlier page
	present uint64 // of those of the present page, in any order
	repeats int
	seed    maphash.Seed
}

// note takes an item of the present page, by its key if it has one.
func (p *pages) note(key string, entry []byte) {
	if p.seed == (maphash.Seed{}) {
		p.seed = maphash.MakeSeed()
	}
	if key != "" {
		entry = []byte(key)
	}
	p.present += maphash.Bytes(p.seed, entry)
}

// following returns where the next page is: behind a link to the list that was asked for,
// or to that which the answer calls itself, such as …/indexer for …/indexing. In the
// configuration, next is the link to a sibling of the list.
func (p *pages) following(list apiPath, a *answer, entries int) (apiPath, url.Values, error) {
	meta := newMeta(a.Meta)
	if p.count == 0 {
		p.came = meta.number("offset")
	}
	p.came += entries
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
	if all := meta.number("match_count"); all > p.came {
		return apiPath{}, nil, a.unusable("it shows %d of %d items, and its link to the next page leads elsewhere: %s", p.came, all, oneLine(meta.Next, 200))
	}
	return apiPath{}, nil, nil
}

// number returns a member that counts, 0 for none.
func (m Meta) number(name string) int {
	n, _ := strconv.Atoi(m.Link(name))
	return n
}

// endless reports whether the link from the present page to the following one leads
// nowhere.
func (p *pages) endless(present, following url.Values) bool {
	if p.count++; p.count > 1 && p.present == p.items {
		p.repeats++
	}
	if p.count&(p.count-1) == 0 {
		p.query, p.items = query.Encode(present), p.present
	}
	p.present = 0
	return p.repeats == maxRepeats || p.count == maxPages || query.Encode(following) == p.query
}
