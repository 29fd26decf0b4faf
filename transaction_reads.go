package sps

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-sps/sps/internal/query"
	"github.com/go-sps/sps/internal/wire"
)

// A transaction reads before it takes the lock. What it read then is repeated once the
// lock is held: the values themselves are not kept, only digests of them.

// maxLooks is how many different reads a transaction can repeat.
const maxLooks = 4096

// looks is what a transaction has read of the configuration without the lock. Like
// [staged] it hides behind two pointers from whoever prints a Transaction.
type looks struct{ *glances }

type glances struct {
	mu     sync.Mutex
	all    map[string]*look
	differ string // the path of something that was read twice and was not the same
	full   bool   // there was more than can be repeated
}

// look is one read.
type look struct {
	path   apiPath
	query  url.Values
	header http.Header
	sum    digest
	held   bool // it was repeated while the lock was held
}

// digest identifies what a read showed: the keys and bodies of an object or a list, or
// that there was nothing.
type digest [sha256.Size]byte

// digestOf makes the digest of an answer; ok is false for what does not count as read.
func digestOf(a *answer, err error) (sum digest, ok bool) {
	switch {
	case err == nil && a.All != nil:
		h := sha256.New()
		for _, part := range [][]byte{a.Key, a.Body} {
			wire.Digest(h, part)
		}
		items, err := wire.Elements(a.Items)
		if err != nil {
			wire.Digest(h, a.Items)
		}
		for _, item := range items {
			wire.Digest(h, member(item, "key"))
			wire.Digest(h, member(item, "body"))
		}
		return digest(h.Sum(nil)), true
	case errors.Is(err, ResourceNotFound):
		return digest{}, true
	}
	return digest{}, false
}

// counts reports whether a call reads configuration.
func (k *call) counts() bool {
	return k.method == http.MethodGet && k.path.Below(transactional...)
}

// note keeps what a read showed.
func (l *looks) note(k *call, sum digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := k.path.Text + "?" + query.Encode(k.query) + "\n" + k.header.Get("Accept")
	known := l.all[name]
	switch {
	case known == nil && len(l.all) == maxLooks:
		l.full = true
	case known == nil:
		if l.all == nil {
			l.all = make(map[string]*look)
		}
		l.all[name] = &look{path: k.path, query: k.query, header: k.header, sum: sum}
	case known.sum == sum:
	case known.held: // it is older than the repetition, and is repeated again
		known.sum, known.held = sum, false
	default:
		l.differ = k.path.Text
	}
}

// open returns the reads that are to be repeated.
func (l *looks) open() []*look {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*look
	for _, look := range l.all {
		if !look.held {
			list = append(list, look)
		}
	}
	return list
}

func (l *looks) hold(list []*look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, look := range list {
		look.held = true
	}
}

// unfit reports why a transaction cannot begin to write after what it has read.
func (l *looks) unfit() (conflict string, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.differ, l.full
}

// noteRead keeps what a read of the transaction showed: for the repetition, where it
// came before the lock, and as what was there before a write.
func (tx *Transaction) noteRead(k *call, a *answer, err error, early bool) {
	if !k.counts() {
		return
	}
	if err == nil {
		tx.staged.read(k, a)
	}
	sum, ok := digestOf(a, err)
	switch {
	case !ok || !early:
	case k.own != nil:
		k.own.early, k.own.sum = true, sum
	default:
		tx.looks.note(k, sum)
	}
}

// repeating is how many reads are repeated at a time.
const repeating = 8

// confirm repeats the reads that were made without the lock, in the session that reads:
// there the values show that are committed. It gives ErrConflict where one differs. If
// that is nothing but what the update read whose write comes first, fresh is what is
// there now.
func (tx *Transaction) confirm(ctx context.Context, path apiPath, own *version) (fresh *answer, err error) {
	list := tx.looks.open()
	var mine *look
	if own != nil && own.early {
		mine = &look{path: path, sum: own.sum}
	}
	if len(list) == 0 && mine == nil {
		return nil, nil
	}
	again := list
	if mine != nil {
		again = append([]*look{mine}, list...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, sums, errs := make([]*answer, len(again)), make([]digest, len(again)), make([]error, len(again))
	places := make(chan struct{}, repeating)
	var all sync.WaitGroup
	for i, look := range again {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if ctx.Err() != nil {
				errs[i] = ended(ctx)
				return
			}
			a, err := tx.repeat(ctx, look)
			sum, ok := digestOf(a, err)
			if answers[i], sums[i] = a, sum; !ok {
				errs[i] = err
				if err == nil {
					errs[i] = a.unusable("it is no answer of the configuration")
				}
				cancel()
			}
		})
	}
	all.Wait()
	if err := firstCause(errs); err != nil {
		return nil, err
	}
	for i, look := range again {
		if sums[i] != look.sum && look != mine {
			return nil, tx.conflict(look.path)
		}
	}
	if mine != nil && sums[0] != mine.sum {
		if answers[0] == nil { // it is gone, and cannot be updated
			return nil, tx.conflict(path)
		}
		fresh = answers[0]
	}
	tx.looks.hold(list)
	return fresh, nil
}

// firstCause returns an error that is not the end of a context, or else one that is.
func firstCause(errs []error) (found error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case found == nil, errors.Is(found, context.Canceled):
			found = err
		}
	}
	return found
}

// repeat makes one read again, where committed values show.
func (tx *Transaction) repeat(ctx context.Context, l *look) (*answer, error) {
	k := &call{class: classRead, method: http.MethodGet, path: l.path, query: l.query, header: l.header}
	if tx.client.logins.separate() {
		return tx.client.renewing(ctx, k, tx.client.life)
	}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	if expired(k, a, err) {
		return a, tx.lose(err)
	}
	return a, err
}

func (tx *Transaction) conflict(path apiPath) error {
	return tx.client.fail("transaction", fmt.Errorf("%w: %s; nothing was applied: run it again on what is there now", ErrConflict, oneLine(path.Text, 200)))
}
