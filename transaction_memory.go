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

// staged records the objects that a transaction has read and written. The client uses it
// to detect changes by others, and to find out whether a commit was executed if the
// response was lost.
//
// The objects may contain secrets. Like the value of a [Secret], they are behind two
// pointers, so that fmt does not print them as a part of a Transaction.
type staged struct{ *memory }

type memory struct {
	mu     sync.Mutex
	before map[string][]byte            // the body of each object that was read before it was written
	writes []*write                     // the last write of each object, in the order of the writes
	count  map[string]int               // how often each object was written
	begun  int                          // how many writes were sent
	names  map[string]map[string]string // the key of an object, by the path of its list and its name

	secrets []string // the values that were written as a Secret, and the values that they replaced

	committed CommittedChanges // the result for WithChanges
}

// write is the last write to one object.
type write struct {
	method  string
	path    apiPath  // the path of the object; after a POST, the path of the new object
	sent    []byte   // the body that was sent; nil for a deletion
	secrets []Secret // the secrets in the body
}

// version identifies the value of an object that an update has read.
type version struct {
	writes int    // how often the transaction had written the object before the read
	early  bool   // the transaction did not hold the lock during the read
	sum    digest // the digest of the value
}

// basis links a write with the earlier read from which its body was made.
type basis struct {
	read *version // for a write: the version from which its body was made; nil if that does not matter
	own  *version // for the read of an update: the read stores its version here instead of in looks
}

// fresh reports whether this write was made from the current value of the object. It
// returns false if the transaction has written the object since that value was read.
func (k *call) fresh(s *staged) bool {
	return k.read == nil || k.read.writes == s.version(k.path).writes
}

func (s *staged) version(path apiPath) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &version{writes: s.count[path.Text]}
}

// reread replaces the recorded value of an object by its current value, for an update
// that is repeated.
func (s *staged) reread(path apiPath, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		s.before = make(map[string][]byte)
	}
	s.before[path.Text] = body
}

// list records the old value of a change, if the transaction has written the object
// without reading it.
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

// read records the value of an object before the transaction writes it.
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

// had reports whether the value of an object before the write is known.
func (s *staged) had(path apiPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before[path.Text] != nil
}

// touched reports whether the transaction wrote an object at this path, below it or above
// it.
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

// disturbed reports whether the list of changes does not match the writes of the
// transaction: the list is empty, or a change belongs to an object that the transaction
// did not write or has a value that it did not send. path names the mismatch in an error
// text.
func (s *staged) disturbed(changes []Change) (path string, disturbed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(changes) == 0 {
		return "the staged changes of this transaction", len(s.writes) > 0
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

// begin counts a write before it is sent, because any later read may return the written
// value. first reports whether this is the first write of the object.
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

// keepNames stores the names in a list, unless the transaction has sent a write since the
// list was read.
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

// nameOf returns the key of the object with a name, or "" if no object has the name.
// known reports whether the names in the list are stored.
func (s *staged) nameOf(list apiPath, name string) (key string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, known := s.names[list.Text]
	return names[name], known
}

// rename updates the stored names after an object of the list was written.
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

// write records a write that the appliance has accepted.
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

// contradicts reports whether the old value of a change differs from the value that this
// transaction has read. It returns false if it cannot compare the two values.
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
			continue // the list of changes shows this value in another form than the request
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

// findings are the paths of the written objects, grouped by their current value: the
// value before the transaction, the written value, or neither of them.
type findings struct{ before, written, neither []string }

// asWritten reports whether at least one object has changed to the written value, and no
// object differs from the written value.
func (f *findings) asWritten() bool {
	return len(f.written) > 0 && len(f.before) == 0 && len(f.neither) == 0
}

// find reads the objects that the transaction wrote, in a session that shows committed
// values. It leaves out an object if the write did not change it, if it cannot be read,
// or if its earlier value is unknown and the comparison therefore proves nothing.
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

// found is the result of comparing the current value of an object with its earlier value
// and its written value.
type found int

const (
	foundNothing found = iota // the comparison proves nothing
	foundWritten
	foundBefore
	foundNeither
)

// shownBy reports whether a value from the appliance contains everything that was sent.
// It does not compare secrets, because the appliance shows them in another form or not at
// all.
func (w *write) shownBy(value []byte) bool { return w.shows(value, w.sent) }

func (w *write) shows(value, sent []byte) bool {
	return wire.CoversBut(value, sent, func(text string) bool {
		return slices.ContainsFunc(w.secrets, func(s Secret) bool { return s.ExposeString() == text })
	})
}

// compare compares the current value of an object with the write. gone means that the
// object does not exist. before is its earlier value, or empty if the object was not
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

// A transaction may read before it holds the lock, and repeats these reads when it holds
// the lock. It stores digests of the values, not the values.

// maxLooks is the maximum number of different reads that a transaction can repeat.
const maxLooks = 4096

// looks records the reads of the configuration that a transaction has made without the
// lock. Like the objects of [staged], the reads are behind two pointers, so that fmt does
// not print them as a part of a Transaction.
type looks struct{ *glances }

type glances struct {
	mu     sync.Mutex
	all    map[string]*look
	differ string // the path of an object or list that was read twice with different values
	full   bool   // there were more reads than can be repeated
}

// look is one recorded read.
type look struct {
	path   apiPath
	query  url.Values
	header http.Header
	sum    digest
	held   bool // the read was repeated while the transaction held the lock
}

// digest is a hash of the result of a read: of the key and body of an object, or of the
// keys and bodies in a list. It is zero if the appliance answered that the object does
// not exist.
type digest [sha256.Size]byte

// digestOf makes the digest of an answer. ok is false if the read failed for another
// reason than a missing object, or if the answer is not a JSON object with members.
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

// counts reports whether a call reads the configuration.
func (k *call) counts() bool {
	return k.method == http.MethodGet && k.path.Below(transactional...)
}

// note records the result of a read.
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
	case known.held: // the read may have been sent before its repetition, so it is repeated again
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

// unfit returns the reasons why a transaction cannot start to write after its reads.
// conflict is a path for which two reads returned different values. full means that there
// were too many reads to repeat them.
func (l *looks) unfit() (conflict string, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.differ, l.full
}

// noteRead records the result of a read of the transaction. early means that the
// transaction did not hold the lock; such a read is recorded for the repetition. The
// first read of an object is also recorded as its value before a write.
func (tx *Transaction) noteRead(k *call, a *answer, err error, early bool) {
	if !k.counts() {
		return
	}
	if err == nil {
		tx.staged.read(k, a)
	}
	if !early {
		return
	}
	sum, ok := digestOf(a, err)
	switch {
	case !ok:
	case k.own != nil:
		k.own.early, k.own.sum = true, sum
	default:
		tx.looks.note(k, sum)
	}
}

// repeating is the maximum number of reads that are repeated concurrently.
const repeating = 8

// confirm repeats the reads that were made without the lock. It uses the reading session,
// which shows committed values. It returns ErrConflict if a read returns another value
// than before. If the first write is an update, own is the version that it has read. If
// only this version has changed, confirm returns the current object as fresh.
func (tx *Transaction) confirm(ctx context.Context, path apiPath, own *version) (fresh *answer, err error) {
	list := tx.looks.open()
	if !tx.client.logins.separate() {
		// With one session for reads and writes, a written object has its staged value.
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
					errs[i] = a.unusable("the answer to a repeated read is not a JSON object")
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

// firstCause returns one of the errors, or nil if all are nil. It prefers an error that
// does not come from a cancelled context.
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

// repeat sends one read again, in a session that shows committed values.
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
