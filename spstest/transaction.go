package spstest

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
)

// transaction is what a session has open.
type transaction struct {
	staged *store   // what the owner sees; nil: nothing is changed, nor the lock taken, yet
	paths  []string // of the changes, in order, each once
}

// outsider holds the lock without a session: the web UI, a console.
type outsider struct{ name string }

// Commit is one commit that succeeded.
type Commit struct {
	User    string // who committed
	Message string // the commit message, or ""
	Member  string // the member that carried the message: "commit_message", "message" or ""
}

// Commits returns the commits so far.
func (a *Appliance) Commits() []Commit {
	a.enter()
	defer a.mu.Unlock()
	return slices.Clone(a.commits)
}

// TransactionOpen reports whether any session has an open transaction. A transaction that
// is being committed is open until the end.
func (a *Appliance) TransactionOpen() bool {
	a.enter()
	defer a.mu.Unlock()
	return a.anyOpen()
}

// anyOpen tells whether any transaction is open, or is being committed.
func (a *Appliance) anyOpen() bool {
	for _, s := range a.sessions {
		if s.pending != nil {
			return true
		}
	}
	return slices.ContainsFunc(a.operations, func(op *operation) bool { return op.x.commits != nil })
}

// LockedBy returns the holder of the configuration lock: the name of a user, or the
// holder from [Appliance.LockConfiguration]. It returns "" if the lock is free.
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
// configuration lock until release is called. A session that already holds the lock keeps
// it until its transaction ends.
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

// WithCommitMessageRequired makes every commit require a message, like require_commitlog
// in management/accounting.
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

// locked tells whether somebody other than the session holds the lock.
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

// open opens a transaction, to stage changes at once or not yet. What is staged holds
// the lock, unless the commit takes it.
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

// drop ends a session's transaction and forgets what it staged.
func (a *Appliance) drop(s *session) {
	s.pending = nil
	a.release(s)
}

// release gives the lock of a session back that no longer needs it. What goes on under
// the lock holds it to its end.
func (a *Appliance) release(s *session) {
	stages := s.pending != nil && s.pending.staged != nil && a.variant("lock-taken") != "commit"
	if a.lock != s || stages || slices.ContainsFunc(a.operations, func(op *operation) bool {
		return op.x.session == s && op.x.writes() && op.x.needsItsSession()
	}) {
		return
	}
	a.lock = nil
}

// stagedTransactions lists what is staged by anybody, and what is being committed.
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

// merged is what is committed, with the changes of a transaction.
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

// applyCommit ends a commit. It does not matter what became of the session, or of its
// transaction, meanwhile.
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

// commitMessage finds the message; unknown members are ignored, like
// everywhere.
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

// messageMember is the member that a message is missed in.
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
