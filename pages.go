package sps

import (
	"hash/maphash"
	"net/url"

	"github.com/go-sps/sps/internal/query"
)

const (
	// maxPages bounds a list. An appliance shows 500 items on a page, and without a
	// snapshot none beyond the ten thousandth.
	maxPages = 25_000
	// maxPageKeys bounds how many keys are remembered.
	maxPageKeys = 1 << 16
	// maxStale is how many pages in a row may hold nothing new. A page may repeat
	// another one where items were added meanwhile.
	maxStale = 3
)

// pages notices pages that do not end, in bounded memory: those with a link that was
// there before, and those with the items of earlier ones under new links.
type pages struct {
	count int
	query string // of one earlier page; it moves on at powers of two, so every circle is noticed
	seed  maphash.Seed
	keys  map[uint64]struct{} // hashes of what was listed; when it is full it begins anew
	fresh bool                // the present page holds something new
	stale int                 // pages in a row that do not
}

// note takes an item of the present page, by its key if it has one.
func (p *pages) note(key string, entry []byte) {
	if p.keys == nil {
		p.seed, p.keys = maphash.MakeSeed(), make(map[uint64]struct{})
	}
	if key != "" {
		entry = []byte(key)
	}
	hash := maphash.Bytes(p.seed, entry)
	if _, known := p.keys[hash]; known {
		return
	}
	if p.fresh = true; len(p.keys) == maxPageKeys {
		clear(p.keys)
	}
	p.keys[hash] = struct{}{}
}

// endless reports whether the link from the present page to the following one leads
// nowhere.
func (p *pages) endless(present, following url.Values) bool {
	if p.count++; p.count&(p.count-1) == 0 {
		p.query = query.Encode(present)
	}
	if p.stale++; p.fresh {
		p.stale = 0
	}
	p.fresh = false
	return p.stale == maxStale || p.count == maxPages || query.Encode(following) == p.query
}
