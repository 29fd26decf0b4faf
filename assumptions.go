package sps

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// This file holds what the SDK had to guess, because the guide leaves it open
// or contradicts itself. Each entry says what is known and why the guess is
// harmless where it is wrong. A real appliance that differs is mended here.

// Log-out. No page of the guide shows one; DELETE on the endpoint that made the
// session is the API's own pattern. An appliance that does not know it may say
// so: the session then ends by its idle time-out.
var logOutPath = mustPath("authentication")

const logOutMethod = http.MethodDelete

// logOutDone tells whether a refusal of the log-out leaves nothing to do.
func logOutDone(e *Error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	case http.StatusUnauthorized:
		return e.Type == "" || e.Type == Unauthenticated
	}
	return e.Type == Unauthenticated
}

// Commit message. The guide calls the value commit_message where it says
// whether it is required, and message where a firmware upgrade takes one; it
// shows neither in a commit. Unknown members are ignored by the appliance, so
// both are sent.
func commitBody(message string) any {
	if message == "" {
		return map[string]string{"status": "commit"}
	}
	return map[string]string{"status": "commit", "commit_message": message, "message": message}
}

// refusedWithoutMessage recognises a commit that is refused because it has no message,
// which is not documented: by the members that are said to be missing, or by its words.
func refusedWithoutMessage(e *Error) bool {
	var missing *IncompleteRequestBodyErrorDetails
	if errors.As(e.told(), &missing) {
		return slices.ContainsFunc(missing.Paths, func(path string) bool { return strings.Contains(path, "message") })
	}
	return strings.Contains(string(e.kind()), "CommitMessage") || strings.Contains(strings.ToLower(e.said()), "needs a message")
}

// Rollback. The answer to a rollback without an open transaction is not documented;
// the guide's table has 200 and no row for it. After one that was refused the status of
// the transaction tells whether there is anything left.

// Lock. Neither the type nor the status of the refusal to open a transaction while
// somebody else holds the configuration is documented. Whatever refuses the opening is
// taken for it, but for what is documented to mean something else: a missing session or
// right, a path or a method that is not there, a request of the wrong form, too many
// requests, a broken server.
func refusedByLock(e *Error) bool {
	switch e.Type {
	case Unauthenticated, AuthenticationFailure, Unauthorized, NotFound, ResourceNotFound, MethodNotAllowed,
		InvalidRequestBody, SyntacticError, IncompleteRequestBodyError:
		return false
	case "":
		return e.Status == http.StatusBadRequest || e.Status == http.StatusForbidden || e.Status == http.StatusConflict || e.Status == http.StatusLocked
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests:
		return false
	}
	return e.Status < 500
}

// Newer appliances may take the lock at the first change, or with the commit. There a
// refusal has other reasons too, so only what speaks of a lock or a transaction
// counts.
func stepRefusedByLock(e *Error) bool {
	switch e.Type {
	case OpenTransactionError:
		return true
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError, Unauthorized, noTransaction:
		return false
	}
	return strings.Contains(string(e.kind()), "Lock") || e.Status == http.StatusLocked ||
		e.Type != "" && strings.Contains(e.said(), "locked")
}

// No transaction. The table of the deletion of an object has 409 Conflict for a write
// without an open transaction. Newer guides say that the first change opens one by
// itself. NoOpenTransaction is what the type could be called elsewhere.
const noTransaction ErrorType = "Conflict"

func refusedWithoutTransaction(e *Error) bool {
	return e.Type == noTransaction || strings.Contains(string(e.kind()), "NoOpenTransaction") || strings.Contains(string(e.kind()), "NoTransaction")
}

// mayLackTransaction recognises a refusal that can mean the same, and something else:
// the status of the transaction tells.
func mayLackTransaction(e *Error) bool {
	switch e.Type {
	case ForbiddenActionError, MethodNotAllowed:
		return true
	case "":
		return e.Status == http.StatusConflict || e.Status == http.StatusForbidden || e.Status == http.StatusMethodNotAllowed
	}
	return false
}

// Semantic errors. The guide says that details contain the errors that were
// found, without a form. Accepted are a list of texts or of objects, plain or as
// a member "errors"; the objects are read like the warnings of the cluster
// status, {"message", "paths"}. Where they have no paths, those that stand in the
// message count.
func detailFaults(details []byte) []Fault {
	if inner := member(details, "errors"); inner != nil {
		details = inner
	}
	elements := [][]byte{details}
	if wire.Kind(details) == wire.Array {
		var err error
		if elements, err = wire.Elements(details); err != nil {
			return nil
		}
	}
	var faults []Fault
	for _, e := range elements {
		message, ok := wire.Text(e)
		var paths []string
		if !ok {
			message, _ = wire.Text(member(e, "message"))
			if paths = texts(member(e, "paths")); paths == nil {
				paths = texts(member(e, "path"))
			}
		}
		if paths == nil {
			paths = pathsIn(message)
		}
		for _, path := range paths {
			fault := placeOf(path, "", true)
			fault.Message = message
			faults = append(faults, fault)
		}
		if paths == nil && message != "" {
			faults = append(faults, Fault{Message: message})
		}
	}
	return faults
}

// Paths in details. The guide says that the details of 401, 403 and
// SyntacticError contain the path, without a form. Accepted are a text, a list
// whose first element is one, and an object with one of these members. A path is taken
// for that of an object, and what follows a "#", or the path of the request, for the
// place in its body; one that does not begin like a path of the API is such a place.
func detailPath(details []byte) string {
	if found := texts(details); len(found) > 0 {
		return found[0]
	}
	for _, name := range []string{"path", "paths", "resource", "href"} {
		if found := texts(member(details, name)); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// placeOf takes a path apart. object is what the request was about, "" for unknown; what is
// below it is a place in its body unless it is a list.
func placeOf(path, object string, list bool) Fault {
	rooted := strings.HasPrefix(path, "/")
	path = relative(path)
	before, member, marked := strings.Cut(path, "#")
	switch {
	case marked && before != "":
		object = before
	case marked:
	case object != "" && !list && strings.HasPrefix(path, object+"/"):
		member = path[len(object)+1:]
	case rooted, path == object, strings.HasPrefix(path, "configuration/"):
		object = path
	default:
		member = path
	}
	return Fault{Object: unescapedPath(object), Member: unescapedPath(strings.Trim(member, "/"))}
}

// Changes. The path of a change is that "of the changed endpoint or object", without
// an example. What follows the path of an object is taken for the place of a
// member in its body: after a "#" as in the links of the API, or a further "/".
// Another form only means that a conflict is not seen.
func changePlace(rest string) []string {
	rest = strings.Trim(rest, "#/")
	if rest == "" {
		return nil
	}
	return strings.Split(rest, "/")
}

// Firmware fetch. The guide names the statuses in its text and shows no answer.
// They are looked for where the support bundle, the other job of the API, has its
// status (body.status), and at the top level; the slot as an upload names it
// (meta.slot), or as a request does (slot_id); progress as a number or a percentage.
func newFetch(e wire.Envelope, key string) FirmwareFetch {
	f := FirmwareFetch{Key: key, Progress: -1, Raw: json.RawMessage(e.Body)}
	find := func(names ...string) (string, bool) {
		for _, name := range names {
			for _, value := range [][]byte{member(e.Body, name), wire.Find(e.All, name)} {
				if text, ok := wire.Text(value); ok && text != "" {
					return text, true
				}
			}
		}
		return "", false
	}
	if text, ok := wire.Text(e.Body); ok { // a body that is its status
		f.Status = newJobStatus(text)
	} else if text, ok := find("status", "state"); ok {
		f.Status = newJobStatus(text)
	}
	if text, ok := find("progress", "percent"); ok {
		if percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64); err == nil && percent >= 0 && percent <= 100 {
			f.Progress = percent
		}
	}
	f.SlotKey = slotOfLink(newMeta(e.Meta).Link("slot"))
	if text, ok := find("slot_id", "slot"); ok && f.SlotKey == "" {
		if f.SlotKey = slotOfLink(text); f.SlotKey == "" && checkSlotKey(slotsPath, text) == nil {
			f.SlotKey = text
		}
	}
	if text, ok := find("message", "reason", "error"); ok {
		f.Message = text
	} else if text, ok := wire.Text(member(member(e.Body, "error"), "message")); ok {
		f.Message = text
	}
	return f
}

// Starling. No answer of an appliance that is not joined is shown, and the vendor's
// client reads no more of it than the instance and the license number. One without
// joined is taken for not joined; one whose joined is anything but a boolean says
// nothing.
func joinedOf(value []byte) (joined, ok bool) {
	if value == nil || wire.Kind(value) == wire.Null {
		return false, true
	}
	return joined, wire.Unmarshal(value, &joined) == nil
}

// Product warnings. The guide prints their texts and not their place. They are
// looked for where answers of the API could have them: an error, at any status; at
// the top level or in meta as "warnings", "warning" or "message", or as the cluster
// status has them, in "issues". Each may be a text, or an object with a message, or
// a list of those.
func productWarnings(a *answer) []ProductWarning {
	var found []ProductWarning
	seen := map[ProductWarning]bool{}
	var look func(value []byte, depth int)
	look = func(value []byte, depth int) {
		if depth > 3 {
			return
		}
		switch wire.Kind(value) {
		case wire.String:
			if text, _ := wire.Text(value); text != "" {
				if w := newProductWarning(text); !seen[w] {
					seen[w] = true
					found = append(found, w)
				}
			}
		case wire.Object:
			look(member(value, "message"), depth+1)
		case wire.Array:
			elements, err := wire.Elements(value)
			if err != nil {
				return
			}
			for _, e := range elements {
				look(e, depth+1)
			}
		}
	}
	for _, name := range []string{"warnings", "warning", "message", "issues"} {
		for _, value := range [][]byte{wire.Find(a.All, name), member(a.Meta, name)} {
			look(value, 0)
			for _, inner := range []string{"warnings", "warning"} {
				look(member(value, inner), 0)
			}
		}
	}
	return found
}

// productWarningOf recognises a refusal that is one of the warnings, nil for none.
func productWarningOf(e *Error) error {
	for _, text := range append([]string{e.said()}, texts(e.details())...) {
		if w := newProductWarning(text); w.Is(StarlingUnavailable) || w.Is(StarlingCredentialsInvalid) {
			return w
		}
	}
	return nil
}

func newProductWarning(text string) ProductWarning { return ProductWarning(oneLine(text, 1000)) }

// Setup. The guide shows "uninitialized" and "completed"; "booting" is known from a client,
// which takes it for done. With the first there are no users yet, and with the last the
// services start. With any other status, and on appliances without the endpoint, a login is
// tried.
func takesLogins(status string) bool {
	return status != "uninitialized" && status != "booting"
}

// User info and health. The tables of the newer guides name members without a body,
// and their samples are not known; other endpoints of the same age have one. Both
// places are looked at.
func anywhere(a *answer) func(name string) []byte {
	return func(name string) []byte {
		if value := wire.Find(a.All, name); value != nil {
			return value
		}
		return member(a.Body, name)
	}
}

// No cluster. The guide does not say how an appliance refuses the status of the cluster
// that it is not the Central Management node of. Whatever the API gives as a reason is
// taken for that, but for a missing session or right.
func refusedWithoutCluster(e *Error) bool {
	switch e.Type {
	case "", Unauthenticated, AuthenticationFailure, Unauthorized:
		return false
	}
	return true
}

// Support bundles. Of the answers no more is known than the key of a new one and
// body.status; "finished" is the one status that a client waits for. The rest is
// read as a firmware fetch is, which is the same kind of job.
func newBundle(e wire.Envelope, key string) SupportBundle {
	f := newFetch(e, key)
	return SupportBundle{Key: f.Key, Status: f.Status, Progress: f.Progress, Message: f.Message, Raw: f.Raw}
}

// Login methods. The members of an entry are not documented; the same words as
// in user info are expected. An entry may be a bare name.
func (m *LoginMethod) decode(entry []byte) {
	if name, ok := wire.Text(entry); ok {
		m.Name = name
		return
	}
	m.Name, _ = wire.Text(member(entry, "name"))
	m.Authentication, _ = wire.Text(member(entry, "authentication"))
	m.Credential, _ = wire.Text(member(entry, "credential"))
}

// Missing recording. What the download of a recording gives of a session that has none is
// not documented. A refusal that can mean it is looked into: the session tells whether it
// has a recording.
func mayLackRecording(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) || refused.Type == Unauthorized || refused.Type == Unauthenticated {
		return false
	}
	switch refused.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone:
		return true
	}
	return errors.Is(err, ResourceNotFound)
}

// Content search. That it answers with a list is known; what is in it is not. Events are
// expected, bare as elsewhere or below body.
func bareRecord[T any](item []byte) []byte {
	if _, ok := any((*T)(nil)).(*audit.Event); !ok || wire.Kind(item) != wire.Object {
		return item
	}
	if body := member(item, "body"); wire.Kind(body) == wire.Object {
		return body
	}
	return item
}

// Precision of times. One sample shows the end of a session in whole seconds and others in
// milliseconds, and the appliance may sort by what it does not show. So sessions that are
// followed may be out of order by a second.
const assumedPrecision = time.Second

// Order of sessions. That a search sorts by start_time is known from a client; for
// end_time and creation_time it is expected. An appliance that does not sort by them makes an
// error, and loses no session.

// Times in a filter. The query language has ranges, and no sample shows one of times. A
// search beyond the ceiling and Follow use them. Where they are refused, the first is an error
// and the second asks by the parameter start.

// Snapshots. What an appliance gives to the owner of a snapshot who asks for another one is
// cut in every copy of the guide. A refusal, and the same one, which would be old, both make
// a search go on without.

// Foreign snapshots. That one is gone is answered with 404; one that is somebody else's may be
// answered with 403. Both make a search ask for a new one.
