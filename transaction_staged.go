package sps

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-sps/sps/internal/wire"
)

// staged is what a transaction has read and written, to notice what others changed
// meanwhile, and to find out whether a commit without an answer was executed.
//
// It hides what may hold secrets behind two pointers, as a [Secret] does, from whoever
// prints a Transaction.
type staged struct{ *memory }

type memory struct {
	mu     sync.Mutex
	before map[string][]byte // the body of each object that was read before it was written
	writes []*write          // the last write of each object, in order
	count  map[string]int    // how often each object was written
}

// write is the last write of one object.
type write struct {
	method string
	path   apiPath // of the object, also of one that a POST created
	sent   []byte  // its body, nil for one deleted
}

// version is how often an object was written when it was read.
type version struct{ writes int }

// fresh reports whether what a write was made from is still what is there.
func (k *call) fresh(s *staged) bool {
	return k.read == nil || *k.read == s.version(k.path)
}

func (s *staged) version(path apiPath) version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return version{s.count[path.text]}
}

// read keeps an object as it was before the transaction wrote it.
func (s *staged) read(k *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.before[k.path.text]
	if k.method != http.MethodGet || known || s.count[k.path.text] > 0 || a.Body == nil || !k.path.below(transactional...) {
		return
	}
	if s.before == nil {
		s.before = make(map[string][]byte)
	}
	s.before[k.path.text] = a.Body
}

// had reports whether the object was read.
func (s *staged) had(path apiPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before[path.text] != nil
}

// begin counts a write before it is sent: whatever is read from now on may show it.
func (s *staged) begin(path apiPath) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = make(map[string]int)
	}
	s.count[path.text]++
}

// write keeps a write that the appliance accepted.
func (s *staged) write(k *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &write{k.method, k.path, k.body}
	if k.method == http.MethodPost {
		if key, err := a.createdKey(k.path); err == nil {
			if path, err := k.path.join(key); err == nil {
				w.path = path
			}
		}
	}
	if w.path != k.path {
		s.count[w.path.text]++
	}
	created := slices.ContainsFunc(s.writes, func(old *write) bool { return old.path == w.path && old.method == http.MethodPost })
	s.writes = slices.DeleteFunc(s.writes, func(old *write) bool { return old.path == w.path })
	switch {
	case created && w.method == http.MethodDelete:
		return // as if it had never been
	case created:
		w.method = http.MethodPost
	}
	s.writes = append(s.writes, w)
}

// comparable reports whether anything was read and then written.
func (s *staged) comparable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.writes, func(w *write) bool { return s.before[w.path.text] != nil })
}

// contradicts reports whether a change began from something else than what this
// transaction had read. It judges only what it can compare.
func (s *staged) contradicts(change Change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if change.OldValue == nil {
		return false
	}
	path := strings.TrimPrefix(change.Path, "/api/")
	for _, w := range s.writes {
		read, rest, ok := s.before[w.path.text], "", false
		if rest, ok = strings.CutPrefix(path, w.path.text); !ok || read == nil || rest != "" && !strings.ContainsAny(rest[:1], "/#") {
			continue
		}
		place := changePlace(rest)
		was, is := wire.At(bare(read), place), wire.At(w.sent, place)
		if was == nil || wire.Kind(was) != wire.Kind(change.OldValue) && len(place) == 0 {
			continue
		}
		if is != nil && change.NewValue != nil && wire.Differs(is, bare(change.NewValue)) {
			continue // the list shows values in another form than they are sent in
		}
		return wire.Differs(was, bare(change.OldValue))
	}
	return false
}

// bare returns a value with its references made bare, itself included.
func bare(value []byte) []byte {
	list, err := wire.BareReferences(append(append([]byte{'['}, value...), ']'))
	if err != nil {
		return value
	}
	return list[1 : len(list)-1]
}

// outcome is what the written objects tell of a commit.
type outcome int

const (
	foundNothing outcome = iota // they do not tell
	foundApplied
	foundDropped
)

// found looks at the written objects, the last ones first. Where they contradict each
// other nobody can tell, and where all of them were as they are there was nothing to
// apply.
func (s *staged) found(ctx context.Context, t *transport, session *session) outcome {
	s.mu.Lock()
	writes, read := slices.Clone(s.writes), maps.Clone(s.before)
	s.mu.Unlock()
	neutral, told := true, foundNothing
	for i, w := range slices.Backward(writes) {
		if i < len(writes)-maxFound {
			return told
		}
		before := bare(read[w.path.text])
		if w.method == http.MethodPut && len(before) > 0 && wire.Covers(before, w.sent) {
			continue
		}
		neutral = false
		switch found := w.found(ctx, t, session, before); {
		case found == foundNothing:
		case told == foundNothing:
			told = found
		case told != found:
			return foundNothing // somebody else changed one of them since
		}
	}
	if neutral {
		return foundApplied
	}
	return told
}

// maxFound bounds at how many objects is looked.
const maxFound = 5

func (w *write) found(ctx context.Context, t *transport, session *session, before []byte) outcome {
	a, err := t.do(ctx, &call{class: classRead, method: http.MethodGet, path: w.path}, session)
	gone := errors.Is(err, ResourceNotFound)
	if err != nil && !gone {
		return foundNothing
	}
	tell := func(applied bool) outcome {
		if applied {
			return foundApplied
		}
		return foundDropped
	}
	switch {
	case w.method == http.MethodDelete:
		return tell(gone)
	case w.method == http.MethodPost && (gone || a.Body != nil && a.Items == nil):
		return tell(!gone)
	case gone || w.method == http.MethodPost:
		return foundNothing
	}
	now := bare(a.Body)
	switch {
	case len(now) == 0:
		return foundNothing
	case wire.Covers(now, w.sent):
		return foundApplied
	case len(before) > 0 && wire.Covers(now, before):
		return foundDropped
	}
	return foundNothing
}
