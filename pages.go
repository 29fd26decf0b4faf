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
	// maxRepeats is how often the items of an earlier page may come again. A page may
	// repeat another one where items were added meanwhile.
	maxRepeats = 3
)

// pages notices pages that do not end, in the memory of one: those with the link or with
// the items of an earlier one. The earlier one moves on at powers of two, so a circle of
// any length is noticed.
type pages struct {
	count   int
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
