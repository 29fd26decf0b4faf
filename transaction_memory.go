package sps

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/query"
	"github.com/go-sps/sps/internal/wire"
)

// staged holds what a transaction has read and written. It serves to notice changes by
// others, and to find out whether a commit without an answer was executed.
//
// Its content may include secrets. Like a [Secret], it is behind two pointers, so that
// printing a Transaction does not show it.
type staged struct{ *memory }

type memory struct {
	mu     sync.Mutex
	before map[string][]byte            // the body of each object that was read before it was written
	writes []*write                     // the last write of each object, in order
	count  map[string]int               // how often each object was written
	begun  int                          // how many writes were sent
	names  map[string]map[string]string // for each list whose names were read: the key by name

	secrets []string // values written as a Secret, and the values before them

	committed CommittedChanges // for WithChanges
}

// write is the last write to one object.
type write struct {
	method  string
	path    apiPath  // the path of the object, including one that a POST created
	sent    []byte   // its body; nil if it was deleted
	secrets []Secret // what of the body is secret
}

// version is what an update has read of an object.
type version struct {
	writes int    // how often the transaction had written it by then
	early  bool   // it was read without the lock
	sum    digest // what was read then
}

// basis connects a step with earlier reads.
type basis struct {
	read *version // what a write was made from; nil if that does not matter
	own  *version // receives what an update reads, instead of the transaction's memory
}

// fresh reports whether the value that a write was made from is still current, as far as
// this transaction's own writes are concerned.
func (k *call) fresh(s *staged) bool {
	return k.read == nil || k.read.writes == s.version(k.path).writes
}

func (s *staged) version(path apiPath) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &version{writes: s.count[path.Text]}
}

// reread replaces what an update had read by what was found now.
func (s *staged) reread(path apiPath, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		s.before = make(map[string][]byte)
	}
	s.before[path.Text] = body
}

// list keeps the earlier value from the list of changes, for an object that was not read.
func (s *staged) list(change Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(change.Path, "/api/")
	for _, w := range s.writes {
		if w.path.Text == path && s.before[path] == nil && change.OldValue != nil && wire.Kind(w.sent) == wire.Kind(change.OldValue) {
			if s.before == nil {
				s.before = make(map[string][]byte)
			}
			s.before[path] = change.OldValue
		}
	}
}

// read keeps an object as it was before the transaction wrote it.
func (s *staged) read(k *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.before[k.path.Text]
	if k.method != http.MethodGet || known || s.count[k.path.Text] > 0 || a.Body == nil || !k.path.Below(transactional...) {
		return
	}
	if s.before == nil {
		s.before = make(map[string][]byte)
	}
	s.before[k.path.Text] = a.Body
}

// had reports whether the object was read.
func (s *staged) had(path apiPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before[path.Text] != nil
}

// touched reports whether the transaction wrote something at or below a path, or above it.
func (s *staged) touched(path apiPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touches(path)
}

func (s *staged) touches(path apiPath) bool {
	for written := range s.count {
		if path.Below(written) || (apiPath{Text: written}).Below(path.Text) {
			return true
		}
	}
	return false
}

// disturbed reports whether the changes are not those that the transaction made: one is
// missing, belongs to another object, or has another value than was sent.
func (s *staged) disturbed(changes []Change) (path string, disturbed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(changes) == 0 {
		return "what this one had changed", len(s.writes) > 0
	}
	for _, change := range changes {
		object, _, _ := strings.Cut(change.Path, "#")
		if !s.touches(apiPath{Text: object}) {
			return change.Path, true
		}
		for _, w := range s.writes {
			rest, ok := strings.CutPrefix(change.Path, w.path.Text)
			if !ok || rest != "" && !strings.ContainsAny(rest[:1], "/#") || w.sent == nil || change.NewValue == nil {
				continue
			}
			sent := wire.At(w.sent, changePlace(rest))
			if sent != nil && !w.shows(bare(change.NewValue), sent) {
				return change.Path, true
			}
		}
	}
	return "", false
}

// begin counts a write before it is sent, because any later read may show it. It reports
// whether this is the first write of the object.
func (s *staged) begin(path apiPath) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = make(map[string]int)
	}
	s.count[path.Text]++
	s.begun++
	return s.count[path.Text] == 1
}

// steps returns how many writes were sent.
func (s *staged) steps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// keepNames keeps the names of a list, unless something was written since the list was
// read.
func (s *staged) keepNames(list apiPath, names map[string]string, since int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != since {
		return
	}
	if s.names == nil {
		s.names = make(map[string]map[string]string)
	}
	s.names[list.Text] = names
}

// nameOf returns the key of the object with a name, or "" if the list has none. known
// reports whether the names of the list were read.
func (s *staged) nameOf(list apiPath, name string) (key string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, known := s.names[list.Text]
	return names[name], known
}

// rename updates the kept names after an object of the list was written.
func (s *staged) rename(w *write) {
	list, key, _ := apipath.CutLast(w.path.Text)
	names := s.names[list]
	if names == nil {
		return
	}
	maps.DeleteFunc(names, func(_, owner string) bool { return owner == key })
	if name, ok := wire.Text(member(w.sent, "name")); ok && w.method != http.MethodDelete {
		names[name] = key
	}
}

// write keeps a write that the appliance accepted.
func (s *staged) write(k *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &write{k.method, k.path, k.body, k.secret}
	for _, secret := range k.secret {
		if text := secret.ExposeString(); text != "" && !slices.Contains(s.secrets, text) {
			s.secrets = append(s.secrets, text)
		}
	}
	if k.method == http.MethodPost {
		if key, err := a.createdKey(k.path); err == nil {
			if path, err := k.path.Join(key); err == nil {
				w.path = path
			}
		}
	}
	if w.path != k.path {
		s.count[w.path.Text]++
	}
	s.rename(w)
	created := slices.ContainsFunc(s.writes, func(old *write) bool { return old.path == w.path && old.method == http.MethodPost })
	s.writes = slices.DeleteFunc(s.writes, func(old *write) bool { return old.path == w.path })
	switch {
	case created && w.method == http.MethodDelete:
		return // created and deleted again: nothing remains
	case created:
		w.method = http.MethodPost
	}
	s.writes = append(s.writes, w)
}

// contradicts reports whether a change started from another value than this transaction
// had read. It judges only values that it can compare.
func (s *staged) contradicts(change Change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if change.OldValue == nil {
		return false
	}
	path := strings.TrimPrefix(change.Path, "/api/")
	for _, w := range s.writes {
		read, rest, ok := s.before[w.path.Text], "", false
		if rest, ok = strings.CutPrefix(path, w.path.Text); !ok || read == nil || rest != "" && !strings.ContainsAny(rest[:1], "/#") {
			continue
		}
		place := changePlace(rest)
		was, is := wire.At(bare(read), place), wire.At(w.sent, place)
		if was == nil || wire.Kind(was) != wire.Kind(change.OldValue) && len(place) == 0 {
			continue
		}
		if is != nil && change.NewValue != nil && wire.Differs(is, bare(change.NewValue)) {
			continue // the list shows values in another form than requests have
		}
		return wire.Differs(was, bare(change.OldValue))
	}
	return false
}

// bare returns a value with each reference reduced to its key.
func bare(value []byte) []byte {
	list, err := wire.BareReferences(append(append([]byte{'['}, value...), ']'))
	if err != nil {
		return value
	}
	return list[1 : len(list)-1]
}

// findings are the paths of the written objects, grouped by how they were found.
type findings struct{ before, written, neither []string }

// asWritten reports whether at least one object changed to what was written, and no
// object differs from what was written.
func (f *findings) asWritten() bool {
	return len(f.written) > 0 && len(f.before) == 0 && len(f.neither) == 0
}

// find reads the objects that the transaction wrote, in a session that shows committed
// values. An object proves nothing if the write did not change it, if it cannot be read,
// or if its earlier value is unknown.
func (tx *Transaction) find(ctx context.Context) *findings {
	tx.staged.mu.Lock()
	writes, read := slices.Clone(tx.staged.writes), maps.Clone(tx.staged.before)
	tx.staged.mu.Unlock()
	states := make([]found, len(writes))
	places := make(chan struct{}, repeating)
	var all sync.WaitGroup
	for i, w := range writes {
		before := bare(read[w.path.Text])
		if w.method == http.MethodPut && len(before) > 0 && w.shownBy(before) {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			k := &call{class: classRead, method: http.MethodGet, path: w.path}
			a, err := tx.client.renewing(ctx, k, context.Background())
			if gone := errors.Is(err, ResourceNotFound); err == nil || gone {
				states[i] = w.compare(a, gone, before)
			}
		})
	}
	all.Wait()
	f := &findings{}
	for i, w := range writes {
		switch states[i] {
		case foundWritten:
			f.written = append(f.written, w.path.Text)
		case foundBefore:
			f.before = append(f.before, w.path.Text)
		case foundNeither:
			f.neither = append(f.neither, w.path.Text)
		}
	}
	return f
}

// found says how one object was found.
type found int

const (
	foundNothing found = iota // it proves nothing
	foundWritten
	foundBefore
	foundNeither
)

// shownBy reports whether a value shows everything that was sent, apart from secrets: the
// appliance shows them in another form, or not at all.
func (w *write) shownBy(value []byte) bool { return w.shows(value, w.sent) }

func (w *write) shows(value, sent []byte) bool {
	return wire.CoversBut(value, sent, func(text string) bool {
		return slices.ContainsFunc(w.secrets, func(s Secret) bool { return s.ExposeString() == text })
	})
}

// compare says how an object is now. before is its earlier value, empty if it was not
// read.
func (w *write) compare(a *answer, gone bool, before []byte) found {
	switch {
	case w.method == http.MethodDelete && gone:
		return foundWritten
	case w.method == http.MethodDelete:
		return foundBefore
	case w.method == http.MethodPost && gone:
		return foundBefore
	case gone:
		return foundNeither
	case a.Body == nil || w.method == http.MethodPost && a.Items != nil:
		return foundNothing
	}
	now := bare(a.Body)
	switch written := w.shownBy(now); {
	case w.method == http.MethodPost && written:
		return foundWritten
	case len(now) == 0 || len(before) == 0 && written:
		return foundNothing
	case written:
		return foundWritten
	case len(before) > 0 && wire.Covers(now, before):
		return foundBefore
	}
	return foundNeither
}

// A transaction reads before it takes the lock. It repeats those reads once it holds the
// lock. It keeps digests of the values instead of the values.

// maxLooks is how many different reads a transaction can repeat.
const maxLooks = 4096

// looks holds what a transaction has read of the configuration without the lock. Like
// [staged], it is behind two pointers, so that printing a Transaction does not show it.
type looks struct{ *glances }

type glances struct {
	mu     sync.Mutex
	all    map[string]*look
	differ string // the path of an object or list that was read twice with different values
	full   bool   // there were more reads than can be repeated
}

// look is one read.
type look struct {
	path   apiPath
	query  url.Values
	header http.Header
	sum    digest
	held   bool // it was repeated while the lock was held
}

// digest identifies the result of a read: the keys and bodies of an object or a list, or
// that there was nothing.
type digest [sha256.Size]byte

// digestOf makes the digest of an answer. ok is false for an answer that does not count
// as a read.
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

// note keeps the result of a read.
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
	case known.held: // it is older than the repetition and is repeated again
		known.sum, known.held = sum, false
	default:
		l.differ = k.path.Text
	}
}

// open returns the reads that must be repeated.
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

// unfit returns the reason why a transaction cannot start to write after its reads.
func (l *looks) unfit() (conflict string, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.differ, l.full
}

// noteRead keeps the result of a read of the transaction. A read before the lock is kept
// for the repetition. The first read of an object is kept as its value before a write.
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

// confirm repeats the reads that were made without the lock. It uses the reading session,
// which shows committed values. It returns ErrConflict if one differs. If the only
// difference is in what the update of this first write has read, confirm returns the
// current value as fresh.
func (tx *Transaction) confirm(ctx context.Context, path apiPath, own *version) (fresh *answer, err error) {
	list := tx.looks.open()
	if !tx.client.logins.separate() {
		// In the only session, an object that was written shows its staged value.
		list = slices.DeleteFunc(list, func(l *look) bool { return tx.staged.touched(l.path) })
	}
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
					errs[i] = a.unusable("the answer is not configuration")
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
		if answers[0] == nil { // the object is gone and cannot be updated
			return nil, tx.conflict(path)
		}
		fresh = answers[0]
	}
	tx.looks.hold(list)
	return fresh, nil
}

// firstCause returns an error that is not the end of a context; if there is none, it
// returns one that is.
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

// repeat makes one read again, in a session that shows committed values.
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
	return tx.client.fail("transaction", fmt.Errorf("%w: %s; nothing was applied: run the transaction again with the current values", ErrConflict, oneLine(path.Text, 200)))
}
