package spstest

import (
	"encoding/json"
	"net/http"
	"slices"
)

// transaction is what a session has open.
type transaction struct {
	staged *store   // what the owner sees; nil: the lock is not taken yet
	paths  []string // of the changes, in order, each once
}

// outsider holds the lock without a session: the web UI, a console.
type outsider struct{ name string }

// Commit is one commit that succeeded.
type Commit struct {
	User    string // who committed
	Message string // the commit message, "" for none
	Member  string // the member that carried the message: "commit_message", "message" or ""
}

// Commits lists the commits so far.
func (a *Appliance) Commits() []Commit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.commits)
}

// TransactionOpen tells whether any session has a transaction open.
func (a *Appliance) TransactionOpen() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reap()
	for _, s := range a.sessions {
		if s.pending != nil {
			return true
		}
	}
	return false
}

// LockedBy is who holds the configuration lock: the name of a user, or the
// holder given to [Appliance.LockConfiguration]; "" if nobody does.
func (a *Appliance) LockedBy() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reap()
	switch {
	case a.lock != nil:
		return a.lock.user.name
	case len(a.outside) > 0:
		return a.outside[0].name
	}
	return ""
}

// LockConfiguration makes somebody else, such as a user of the web interface,
// hold the configuration lock until release is called. A session that holds it
// already keeps it until its transaction ends.
func (a *Appliance) LockConfiguration(holder string) (release func()) {
	o := &outsider{holder}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outside = append(a.outside, o)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.outside = slices.DeleteFunc(a.outside, func(other *outsider) bool { return other == o })
	}
}

// WithCommitMessageRequired makes every commit need a message, as
// require_commitlog in management/accounting does.
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
	return a.refuse(x, "lock-error", "The configuration is locked by another user", nil)
}

// open opens a transaction, with or without the lock.
func (a *Appliance) open(s *session, lock bool) {
	if s.pending == nil {
		s.pending = &transaction{}
	}
	if lock && s.pending.staged == nil {
		a.lock = s
		s.pending.staged = a.committed.clone()
	}
}

// drop ends a session's transaction and forgets what it staged.
func (a *Appliance) drop(s *session) {
	s.pending = nil
	if a.lock == s {
		a.lock = nil
	}
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
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	switch status, given := body["status"]; {
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
	if t.staged != nil {
		if found := a.inconsistencies(t.staged); len(found) > 0 {
			return a.semanticError(x, found)
		}
		a.committed = t.staged
	}
	a.commits = append(a.commits, Commit{x.session.user.name, message, member})
	a.drop(x.session)
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
	a.drop(x.session)
	return reply(http.StatusOK, object{"meta": x.meta()})
}
