package sps

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

var changesPath = mustPath("transaction/changes")

// The values of [TransactionStatus].Status.
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
	ChangeReplace ChangeType = "replace" // a value was replaced
	ChangeReorder ChangeType = "reorder" // the order of a list changed
)

// TransactionStatus is the status of the transaction in a session of the client (GET
// /api/transaction).
type TransactionStatus struct {
	// Status is "open" or "closed".
	Status string
	// CommitMessageRequired is true if a commit needs a message, see [WithMessage].
	// Appliances before 7.0 do not report it.
	CommitMessageRequired bool
	// HasChanges is true if the transaction has staged changes. Appliances before 7.0 do
	// not report it.
	HasChanges bool
	// SessionRemaining is the time until the session ends. An open transaction ends with
	// the session. SessionRemaining is 0 if the appliance does not report it.
	SessionRemaining time.Duration
}

// Open reports whether the transaction is open.
func (s *TransactionStatus) Open() bool { return s.Status == statusOpen }

// newTransactionStatus reads the status from both forms of the answer: older appliances
// use the member transaction, newer appliances use body.
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

// Change is one change that a transaction has staged (REST API guide: Reviewing the
// changelog of a transaction). OldValue and NewValue may contain secrets of the
// configuration. Differences and [Change.String] hide values that were written as a
// [Secret], and values of members with a name such as password or token.
type Change struct {
	// Type is the kind of the change.
	Type ChangeType `json:"type"`
	// Path is the path of the endpoint or object, relative to /api/.
	Path string `json:"path"`
	// OldValue is the value before a replacement or a deletion, otherwise nil.
	OldValue json.RawMessage `json:"old_value,omitempty"`
	// NewValue is the value after a replacement or a creation, otherwise nil.
	NewValue json.RawMessage `json:"new_value,omitempty"`
	// OldOrder has the keys of a list before it was reordered, otherwise nil.
	OldOrder []string `json:"old_order,omitempty"`
	// NewOrder has the keys of a list after it was reordered, otherwise nil.
	NewOrder []string `json:"new_order,omitempty"`
	// Name is the name of the object, or "" if it has none.
	Name string `json:"name,omitempty"`
	// Differences are the members that differ. The members of the new value come first,
	// in their order, then the removed members. For a new object, Differences has all of
	// its members; for a deleted object, it is empty. If the appliance does not list a
	// value, the client uses the value that the transaction has read or written.
	Differences []Difference `json:"differences,omitempty"`
}

// CommittedChanges is the list of the changes that a transaction has committed. See
// [WithChanges].
type CommittedChanges struct {
	// Changes are the changes that the appliance listed before the commit, in its order.
	// The list is empty if nothing changed.
	Changes []Change
	// Err says why the list could not be read: an [Error] or a [TransportError]. It is
	// nil if the list was read. The changes were committed in both cases.
	Err error
}

// TransactionStatus reads the status of the transaction in the session in which the
// client writes. If the client has no such session, it has no open transaction:
// TransactionStatus then sends nothing and returns the status "closed", with the other
// fields zero. The status does not show whether somebody else holds the configuration
// lock.
func (c *Client) TransactionStatus(ctx context.Context) (*TransactionStatus, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	select {
	case <-c.closed:
		return nil, c.fail("GET "+transactionPath.Text, ErrClosed)
	default:
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
		return nil, a.unusable("the answer lacks the status of the transaction")
	}
	return s, nil
}

// messageRule reports whether a commit needs a message. told is false if the answer does
// not contain this information.
func messageRule(a *answer) (required, told bool) {
	for _, value := range [][]byte{a.Body, wire.Find(a.All, "transaction")} {
		if text, ok := wire.Text(member(value, "commit_message")); ok {
			return text == "required", true
		}
	}
	return false, false
}

// Changes lists the changes that the transaction has staged so far (GET
// /api/transaction/changes), in the order of the appliance. Before the first write, the
// list is empty and Changes sends nothing.
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

// newChanges reads a list of changes. The appliance may leave out an empty list.
func newChanges(a *answer) ([]Change, error) {
	list := wire.Find(a.All, "changes")
	if kind := wire.Kind(list); kind == 0 || kind == wire.Null {
		return nil, nil
	}
	entries, err := wire.Elements(list)
	if err != nil {
		return nil, a.unusable("the member changes is not a list")
	}
	changes := make([]Change, 0, len(entries))
	for _, entry := range entries {
		members, err := wire.Members(entry)
		if err != nil {
			return nil, a.unusable("a change is not an object")
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

// keys returns the keys in a list of keys or references.
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

// judge reads the list of staged changes before a commit, or for [Client.Preview]. It
// returns ErrConflict if an old value in the list differs from the value that the
// transaction has read. unlisted is the reason why the list could not be read before a
// commit; the commit continues without the list. The caller holds tx.turn.
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
		// The comparison is optional. Without the list, the commit continues.
		if tx.session.suspicious() {
			return nil, nil, because(ErrConflict, err)
		}
		tx.client.logWaiting(ctx, slog.LevelWarn, "sps: the list of staged changes could not be read; the commit continues without comparing it", slog.Any("error", err))
		return nil, err, nil
	}
	if tx.session.suspicious() {
		if path, disturbed := tx.staged.disturbed(changes); disturbed {
			return nil, nil, tx.client.fail("transaction", fmt.Errorf("%w: a delayed request of an earlier transaction in the client's only session changed %s; nothing was applied: run the transaction again", ErrConflict, oneLine(path, 200)))
		}
	}
	if tx.o.preview != nil || tx.o.changes != nil {
		tx.staged.tell(changes)
	}
	if tx.o.preview != nil {
		*tx.o.preview = changes
	}
	for _, change := range changes {
		if ctx.Err() != nil { // ctx may have ended during the comparison
			return nil, nil, tx.client.fail("transaction", ended(ctx))
		}
		if tx.staged.contradicts(change) {
			return nil, nil, tx.conflict(apiPath{Text: change.Path})
		}
		tx.staged.list(change)
	}
	return changes, nil, nil
}
