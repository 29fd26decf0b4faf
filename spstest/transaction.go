package spstest

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
)

// transaction is the open transaction of a session.
type transaction struct {
	staged *store   // the configuration with the changes of this transaction; nil until a change is staged or the lock is taken
	paths  []string // the changed paths, in the order of their first change
}

// outsider is a holder of the lock without a session, such as a user of the web
// interface.
type outsider struct{ name string }

// Commit is a commit that succeeded.
type Commit struct {
	User    string // the name of the user who committed
	Message string // the commit message; "" if there was none
	Member  string // the member of the request body with the message: "commit_message", "message", or "" if there was none
}

// Commits returns the commits so far, in order.
func (a *Appliance) Commits() []Commit {
	a.enter()
	defer a.mu.Unlock()
	return slices.Clone(a.commits)
}

// TransactionOpen reports whether a session has an open transaction. A transaction that
// is being committed is open until the commit ends.
func (a *Appliance) TransactionOpen() bool {
	a.enter()
	defer a.mu.Unlock()
	return a.anyOpen()
}

// anyOpen reports whether a transaction is open or is being committed.
func (a *Appliance) anyOpen() bool {
	for _, s := range a.sessions {
		if s.pending != nil {
			return true
		}
	}
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.commits != nil })
}

// LockedBy returns the holder of the configuration lock: the name of the user whose
// session holds it, or the holder passed to [Appliance.LockConfiguration]. It returns ""
// if the lock is free.
func (a *Appliance) LockedBy() string {
	a.enter()
	defer a.mu.Unlock()
	return a.holder()
}

func (a *Appliance) holder() string {
	switch {
	case a.lock != nil:
		return a.lock.user.name
	case len(a.outside) > 0:
		return a.outside[0].name
	}
	return ""
}

// LockConfiguration makes somebody else, such as a user of the web interface, hold the
// configuration lock until the returned function is called. holder is the name that
// [Appliance.LockedBy] returns. If a session already holds the lock, it keeps the lock
// until its transaction ends.
func (a *Appliance) LockConfiguration(holder string) (release func()) {
	o := &outsider{holder}
	a.enter()
	defer a.mu.Unlock()
	a.outside = append(a.outside, o)
	return func() {
		a.enter()
		defer a.mu.Unlock()
		a.outside = slices.DeleteFunc(a.outside, func(other *outsider) bool { return other == o })
	}
}

// WithCommitMessageRequired makes a commit require a message, like the member
// require_commitlog of configuration/management/accounting.
func WithCommitMessageRequired() Option {
	return func(a *Appliance) error {
		a.committed.bodies[accountingPath] = json.RawMessage(`{"require_commitlog":true}`)
		return nil
	}
}

func (a *Appliance) messageRequired() bool {
	var accounting struct {
		Required bool `json:"require_commitlog"`
	}
	_ = json.Unmarshal(a.committed.bodies[accountingPath], &accounting)
	return accounting.Required
}

// locked reports whether the lock is held by somebody other than the session.
func (a *Appliance) locked(s *session) bool {
	if a.lock != nil {
		return a.lock != s
	}
	return len(a.outside) > 0
}

func (a *Appliance) refuseLocked(x *exchange) answer {
	by := "another user"
	if a.variant("lock-error-names-user") == "yes" {
		by = a.holder()
	}
	return a.refuse(x, "lock-error", "The configuration is locked by "+by, nil)
}

// open opens a transaction if the session has none. If stage is true, it also prepares
// the transaction for a change and takes the lock, unless the variant lock-taken makes
// the commit take it.
func (a *Appliance) open(s *session, stage bool) {
	if s.pending == nil {
		s.pending = &transaction{}
	}
	if !stage || s.pending.staged != nil {
		return
	}
	s.pending.staged = a.committed.clone()
	if a.variant("lock-taken") != "commit" {
		a.lock = s
	}
}

// drop ends a session's transaction and discards its staged changes.
func (a *Appliance) drop(s *session) {
	s.pending = nil
	a.release(s)
}

// release releases the lock that a session holds but no longer needs. The session needs
// it while it has staged changes, and until its running operations end.
func (a *Appliance) release(s *session) {
	stages := s.pending != nil && s.pending.staged != nil && a.variant("lock-taken") != "commit"
	if a.lock != s || stages || slices.ContainsFunc(a.operations, func(op *operation) bool {
		return op.x.session == s && op.x.writes() && op.x.needsItsSession()
	}) {
		return
	}
	a.lock = nil
}

// stagedTransactions returns the transactions with staged changes, including transactions
// that are being committed.
func (a *Appliance) stagedTransactions() (all []*transaction) {
	for _, s := range a.sessions {
		if s.pending != nil && s.pending.staged != nil {
			all = append(all, s.pending)
		}
	}
	for _, op := range a.operations {
		if t := op.x.commits; t != nil && t.staged != nil && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// merged returns the committed configuration with the changes of a transaction.
func (a *Appliance) merged(t *transaction) *store {
	s := a.committed.clone()
	for _, p := range t.paths {
		collection, key := parentOf(p), path.Base(p)
		n := a.nodes[collection]
		inCollection := n != nil && n.collection
		switch body, ok := t.staged.bodies[p]; {
		case ok && inCollection:
			s.add(collection, key, body)
		case ok:
			s.bodies[p] = body
		case inCollection:
			s.remove(collection, key)
		}
	}
	return s
}

func (a *Appliance) transactionObject(x *exchange) object {
	status := "closed"
	meta := x.meta()
	if t := x.session.pending; t != nil {
		status = "open"
		if len(a.changes(t)) > 0 {
			meta["changes"] = href("transaction/changes")
		}
	}
	if a.variant("remaining-seconds") != "none" {
		meta["remaining_seconds"] = x.session.remaining()
	}
	o := object{"key": "transaction", "meta": meta}
	if a.profile.oldTransaction {
		o["transaction"] = object{"status": status}
		return o
	}
	message := "optional"
	if a.messageRequired() {
		message = "required"
	}
	o["body"] = object{"commit_message": message, "status": status}
	return o
}

func (a *Appliance) getTransaction(x *exchange) answer {
	return reply(http.StatusOK, a.transactionObject(x))
}

func (a *Appliance) openTransaction(x *exchange) answer {
	if x.session.pending != nil {
		if a.variant("open-twice") != "200" {
			return a.refuse(x, "open-twice", "A transaction is open already", nil)
		}
		return a.transactionAnswer(x, "open-answer")
	}
	atOpening := a.variant("lock-taken") == "opening"
	if atOpening && a.locked(x.session) {
		return a.refuseLocked(x)
	}
	if x.holds() {
		return answer{}
	}
	a.open(x.session, atOpening)
	return a.transactionAnswer(x, "open-answer")
}

func (a *Appliance) transactionAnswer(x *exchange, variant string) answer {
	switch a.variant(variant) {
	case "201-transaction":
		return reply(http.StatusCreated, a.transactionObject(x))
	case "200-meta":
		return reply(http.StatusOK, object{"meta": x.meta()})
	case "204":
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, a.transactionObject(x))
}

func (a *Appliance) commitTransaction(x *exchange) answer {
	if x.commits != nil {
		return a.applyCommit(x)
	}
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	switch status, given := body["status"]; {
	case len(x.body) == 0 && a.variant("commit-without-body") == "commits":
	case !given:
		return x.fail(http.StatusBadRequest, "IncompleteRequestBodyError",
			"Some paths were missing from the request body", object{"missing_paths": []string{"status"}})
	case status != "commit":
		return a.syntacticError(x, href("transaction")+"#status", "The status can be set to commit only")
	}
	t := x.session.pending
	if t == nil {
		if a.variant("commit-closed") != "200" {
			return a.refuse(x, "commit-closed", "There is no open transaction", nil)
		}
		return a.transactionAnswer(x, "commit-answer")
	}
	message, member := a.commitMessage(body)
	if message == "" && a.messageRequired() {
		return a.refuseMissingMessage(x)
	}
	byCommit := a.variant("lock-taken") == "commit"
	if byCommit && a.locked(x.session) {
		return a.refuseLocked(x)
	}
	if t.staged != nil {
		if found := a.inconsistencies(a.merged(t)); len(found) > 0 {
			return a.semanticError(x, found)
		}
	}
	x.commits, x.commit = t, Commit{x.session.user.name, message, member}
	if x.holds() {
		if byCommit {
			a.lock = x.session
		}
		return answer{}
	}
	return a.applyCommit(x)
}

// applyCommit commits the transaction and ends it, even if the session ended during the
// commit.
func (a *Appliance) applyCommit(x *exchange) answer {
	if x.commits.staged != nil {
		a.committed = a.merged(x.commits)
	}
	a.commits = append(a.commits, x.commit)
	if x.session.pending == x.commits {
		a.drop(x.session)
	}
	return a.transactionAnswer(x, "commit-answer")
}

// commitMessage returns the commit message and the member that contained it. It ignores
// unknown members.
func (a *Appliance) commitMessage(body object) (message, member string) {
	accepted := a.variant("commit-message-member")
	for _, name := range []string{"commit_message", "message"} {
		if accepted != "both" && accepted != name {
			continue
		}
		if text, _ := body[name].(string); text != "" {
			return text, name
		}
	}
	return "", ""
}

// messageMember returns the member that the error about a missing message names.
func (a *Appliance) messageMember() string {
	if member := a.variant("commit-message-member"); member != "both" {
		return member
	}
	return "commit_message"
}

func (a *Appliance) refuseMissingMessage(x *exchange) answer {
	member := a.messageMember()
	var details any
	switch a.variant("missing-commit-message") {
	case "400:IncompleteRequestBodyError":
		details = object{"missing_paths": []string{member}}
	case "400:SemanticError":
		details = a.semanticDetails([]inconsistency{{"The commit needs a message", []string{href("transaction")}}})
	}
	return a.refuse(x, "missing-commit-message", "The commit needs a message", details)
}

func (a *Appliance) rollBackTransaction(x *exchange) answer {
	if x.session.pending == nil {
		switch a.variant("rollback-closed") {
		case "404:ResourceNotFound":
			return a.notFound(x)
		case "405:MethodNotAllowed":
			return a.methodNotAllowed(x, []string{http.MethodGet, http.MethodPost})
		}
	}
	if x.holds() {
		return answer{}
	}
	a.drop(x.session)
	return reply(http.StatusOK, object{"meta": x.meta()})
}
