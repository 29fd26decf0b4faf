package sps

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var changesPath = mustPath("transaction/changes")

// The values of a transaction's status.
const (
	statusOpen   = "open"
	statusClosed = "closed"
)

// ChangeType is the kind of a [Change].
type ChangeType string

// The kinds of changes.
const (
	ChangeCreate  ChangeType = "create"  // an object was created
	ChangeDelete  ChangeType = "delete"  // an object was deleted
	ChangeReplace ChangeType = "replace" // a value took the place of another one
	ChangeReorder ChangeType = "reorder" // a list has another order
)

// TransactionStatus is what an appliance says about the transaction of the client's
// session (GET /api/transaction).
type TransactionStatus struct {
	// Status is "open" or "closed".
	Status string
	// CommitMessageRequired is set where a commit needs a [WithMessage].
	// Appliances before 7.0 do not say it.
	CommitMessageRequired bool
	// HasChanges is set where the transaction has staged something. Appliances before
	// 7.0 do not say it.
	HasChanges bool
	// SessionRemaining is the time until the session ends, and an open transaction
	// with it; 0 where the appliance does not say.
	SessionRemaining time.Duration
}

// Open reports whether the transaction is open.
func (s *TransactionStatus) Open() bool { return s.Status == statusOpen }

// newTransactionStatus reads both shapes: older appliances have the member
// transaction, newer ones body.
func newTransactionStatus(a *answer) *TransactionStatus {
	meta := newMeta(a.Meta)
	s := &TransactionStatus{SessionRemaining: meta.SessionRemaining, HasChanges: meta.Link("changes") != ""}
	for _, value := range [][]byte{a.Body, wire.Find(a.All, "transaction")} {
		if s.Status == "" {
			s.Status, _ = wire.Text(member(value, "status"))
		}
		if message, _ := wire.Text(member(value, "commit_message")); message == "required" {
			s.CommitMessageRequired = true
		}
	}
	return s
}

// Change is one change that a transaction has staged (guide: Reviewing the
// changelog of a transaction). Its values may hold secrets of the configuration;
// Differences and [Change.String] show none: what was written as a [Secret], or stands in
// a member whose name says so.
type Change struct {
	// Type tells what happened.
	Type ChangeType `json:"type"`
	// Path is that of the endpoint or object, relative to /api/.
	Path string `json:"path"`
	// OldValue is what was there before a replacement or a deletion, else nil.
	OldValue json.RawMessage `json:"old_value,omitempty"`
	// NewValue is what is there after a replacement or a creation, else nil.
	NewValue json.RawMessage `json:"new_value,omitempty"`
	// OldOrder are the keys of a list before it was reordered, else nil.
	OldOrder []string `json:"old_order,omitempty"`
	// NewOrder are the keys of a list after it was reordered, else nil.
	NewOrder []string `json:"new_order,omitempty"`
	// Name is the name of the object, "" where it has none.
	Name string `json:"name,omitempty"`
	// Differences are the members that differ, in the order of the new value, then those
	// that are gone; of a new object all of them, of one that is deleted none. What the
	// appliance does not list is taken from what the transaction has read and written.
	Differences []Difference `json:"differences,omitempty"`
}

// CommittedChanges is what a transaction committed, for [WithChanges].
type CommittedChanges struct {
	// Changes are what the appliance listed before the commit, in its order; empty where
	// there was nothing to change.
	Changes []Change
	// Err is why the list could not be read, an [Error] or a [TransportError]; nil where
	// it could. The changes were committed nevertheless.
	Err error
}

// TransactionStatus reads the status of the transaction in the session in which the
// client writes. Without such a session nothing is open, and nothing is sent: the
// status is "closed", and the rest is not known. That somebody else holds the
// configuration it does not show.
func (c *Client) TransactionStatus(ctx context.Context) (*TransactionStatus, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	session := c.present()
	if session == nil {
		return &TransactionStatus{Status: statusClosed}, nil
	}
	k := newRead(transactionPath, nil)
	k.life = c.life
	a, err := c.transport.do(ctx, k, session)
	if expired(k, a, err) && c.logins.renewable() {
		c.writing.drop(session)
		return &TransactionStatus{Status: statusClosed}, nil
	}
	if err != nil {
		return nil, err
	}
	s := newTransactionStatus(a)
	if s.Status == "" {
		return nil, a.unusable("it lacks the status of the transaction")
	}
	return s, nil
}

// messageRule tells whether a commit needs a message, if the answer says that.
func messageRule(a *answer) (required, told bool) {
	for _, value := range [][]byte{a.Body, wire.Find(a.All, "transaction")} {
		if text, ok := wire.Text(member(value, "commit_message")); ok {
			return text == "required", true
		}
	}
	return false, false
}

// Changes lists what the transaction has staged so far (GET
// /api/transaction/changes), in the order of the appliance. Before the first write there
// is nothing, and nothing is sent.
func (tx *Transaction) Changes(ctx context.Context) ([]Change, error) {
	if err := tx.made(); err != nil {
		return nil, err
	}
	if tx.phase.Load() == phaseReading {
		return nil, nil
	}
	a, err := tx.read(ctx, changesPath, nil)
	if err != nil {
		return nil, err
	}
	changes, err := newChanges(a)
	tx.staged.tell(changes)
	return changes, err
}

// newChanges reads a list of changes. An empty one may be absent.
func newChanges(a *answer) ([]Change, error) {
	list := wire.Find(a.All, "changes")
	if kind := wire.Kind(list); kind == 0 || kind == wire.Null {
		return nil, nil
	}
	entries, err := wire.Elements(list)
	if err != nil {
		return nil, a.unusable("its changes are no list")
	}
	changes := make([]Change, 0, len(entries))
	for _, entry := range entries {
		members, err := wire.Members(entry)
		if err != nil {
			return nil, a.unusable("a change is no object")
		}
		kind, _ := wire.Text(wire.Find(members, "type"))
		path, _ := wire.Text(wire.Find(members, "path"))
		changes = append(changes, Change{
			Type: ChangeType(kind), Path: relative(path),
			OldValue: wire.Find(members, "old_value"), NewValue: wire.Find(members, "new_value"),
			OldOrder: keys(wire.Find(members, "old_order")), NewOrder: keys(wire.Find(members, "new_order")),
		})
	}
	return changes, nil
}

// keys returns the keys of a list of keys or of references.
func keys(list []byte) []string {
	if wire.Kind(list) != wire.Array {
		return nil
	}
	elements, err := wire.Elements(list)
	if err != nil {
		return nil
	}
	all := make([]string, 0, len(elements))
	for _, e := range elements {
		key, ok := wire.Text(e)
		if !ok {
			key, _ = wire.Text(member(e, "key"))
		}
		all = append(all, key)
	}
	return all
}

// judge looks at the list of changes before the commit, or in place of it. unlisted is
// why it could not be read. The caller holds the turn.
func (tx *Transaction) judge(ctx context.Context) (changes []Change, unlisted, err error) {
	ctx, cancel := merge(ctx, tx.ctx)
	defer cancel()
	k := &call{class: classRead, method: http.MethodGet, path: changesPath}
	a, err := tx.client.transport.do(ctx, k, tx.session)
	if expired(k, a, err) {
		return nil, nil, tx.lose(err)
	}
	if err == nil {
		changes, err = newChanges(a)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil, tx.o.preview != nil:
		return nil, nil, err
	default:
		// The comparison is a help; without the list the commit goes on.
		tx.client.logWaiting(ctx, slog.LevelWarn, "sps: the list of changes could not be read and is not compared", slog.Any("error", err))
		return nil, err, nil
	}
	if tx.o.preview != nil || tx.o.changes != nil {
		tx.staged.tell(changes)
	}
	if tx.o.preview != nil {
		*tx.o.preview = changes
	}
	for _, change := range changes {
		if ctx.Err() != nil { // comparing takes its time, too
			return nil, nil, tx.client.fail("transaction", ended(ctx))
		}
		if tx.staged.contradicts(change) {
			return nil, nil, tx.conflict(apiPath{Text: change.Path})
		}
		tx.staged.list(change)
	}
	return changes, nil, nil
}
