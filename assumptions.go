package sps

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// This file holds the assumptions of the SDK, where the guide is incomplete or
// contradicts itself. Each entry says what is known and why a wrong assumption does no
// harm. If a real appliance differs, correct it here.

// Log-out. The guide shows none; a DELETE on the endpoint that created the session
// follows the pattern of the API. An appliance that does not have it refuses, and the
// session then ends when it times out.
var logOutPath = mustPath("authentication")

const logOutMethod = http.MethodDelete

// logOutDone reports whether a refused log-out leaves nothing to do.
func logOutDone(e *Error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	case http.StatusUnauthorized:
		return e.kind() == "" || e.kind() == Unauthenticated
	}
	return e.kind() == Unauthenticated
}

// Commit message. The guide calls the value commit_message when it is required, and
// message in a firmware upgrade; it shows neither in a commit. The appliance ignores
// unknown members, so both are sent.
func commitBody(message string) any {
	if message == "" {
		return map[string]string{"status": "commit"}
	}
	return map[string]string{"status": "commit", "commit_message": message, "message": message}
}

// refusedWithoutMessage reports whether a commit was refused because it has no message.
// The refusal is not documented; it is recognised by the members that it names as
// missing, or by its words.
func refusedWithoutMessage(e *Error) bool {
	var missing *IncompleteRequestBodyErrorDetails
	if errors.As(e.told(), &missing) {
		return slices.ContainsFunc(missing.Paths, func(path string) bool { return strings.Contains(path, "message") })
	}
	return strings.Contains(string(e.kind()), "CommitMessage") || strings.Contains(strings.ToLower(e.said()), "needs a message")
}

// Rollback. The answer to a rollback without an open transaction is not documented: the
// guide's table has 200 and no row for it. After a refused rollback, the status of the
// transaction shows whether anything is open.

// Lock. The type and the status of the refusal to open a transaction while somebody else
// holds the configuration lock are not documented. Every refusal of the opening counts as
// this one, except those with a documented other meaning: a missing session or right, an
// unknown path or method, an invalid request, too many requests, a server error.
func refusedByLock(e *Error) bool {
	switch e.kind() {
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

// Newer appliances may take the lock at the first change or at the commit. There, a
// refusal can have other reasons, so only a refusal that mentions a lock or a transaction
// counts.
func stepRefusedByLock(e *Error) bool {
	switch e.kind() {
	case OpenTransactionError:
		return true
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError, Unauthorized, noTransaction:
		return false
	}
	return strings.Contains(string(e.kind()), "Lock") || e.Status == http.StatusLocked ||
		e.kind() != "" && strings.Contains(e.said(), "locked")
}

// No transaction. The table for the deletion of an object has 409 Conflict for a write
// without an open transaction. Newer guides say that the first change opens one.
// NoOpenTransaction is a possible other name of the type.
const noTransaction ErrorType = "Conflict"

func refusedWithoutTransaction(e *Error) bool {
	return e.kind() == noTransaction || strings.Contains(string(e.kind()), "NoOpenTransaction") || strings.Contains(string(e.kind()), "NoTransaction")
}

// mayLackTransaction reports whether a refusal may have the same meaning. The status of
// the transaction decides.
func mayLackTransaction(e *Error) bool {
	switch e.kind() {
	case ForbiddenActionError, MethodNotAllowed:
		return true
	case "":
		return e.Status == http.StatusConflict || e.Status == http.StatusForbidden || e.Status == http.StatusMethodNotAllowed
	}
	return false
}

// Semantic errors. The guide says that the details contain the found errors, but not
// their form. Accepted are a list of strings or objects, by itself or as a member
// "errors". The objects are read like the warnings of the cluster status, {"message",
// "paths"}. Without paths, the paths in the message are used.
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

// Paths in details. The guide says that the details of 401, 403 and SyntacticError
// contain the path, but not in which form. Accepted are a string, a list that starts with
// a string, and an object with one of these members. A path is that of an object; the
// part after a "#", or after the path of the request, is the place in its body. A text
// that does not start like a path of the API is such a place.
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

// placeOf splits a path. object is the path of the request's object, or "". What follows
// it is a place in its body, unless it is a list.
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

// Changes. The path of a change is that "of the changed endpoint or object", without an
// example. What follows the path of an object, after a "#" as in links of the API or
// after a further "/", is read as the place of a member in its body. With another form, a
// conflict is not noticed.
func changePlace(rest string) []string {
	rest = strings.Trim(rest, "#/")
	if rest == "" {
		return nil
	}
	return strings.Split(rest, "/")
}

// Firmware fetch. The guide names the statuses in its text and shows no answer. The
// status is read as that of a support bundle (body.status), and from the top level. The
// slot is read as in the answer to an upload (meta.slot) and as in a request (slot_id).
// The progress is read as a number or a percentage.
func readJob(e wire.Envelope) jobFacts {
	f := jobFacts{progress: -1, slots: []string{newMeta(e.Meta).Link("slot")}}
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
	if text, ok := wire.Text(e.Body); ok { // a body that is only the status
		f.status = text
	} else if text, ok := find("status", "state"); ok {
		f.status = text
	}
	if text, ok := find("progress", "percent"); ok {
		if percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64); err == nil && percent >= 0 && percent <= 100 {
			f.progress = percent
		}
	}
	if text, ok := find("slot_id", "slot"); ok {
		f.slots = append(f.slots, text)
	}
	if text, ok := find("message", "reason", "error"); ok {
		f.message = text
	} else if text, ok := wire.Text(member(member(e.Body, "error"), "message")); ok {
		f.message = text
	}
	return f
}

// jobFacts is what an answer says about a job.
type jobFacts struct {
	status, message string
	progress        float64  // -1 if it is not known
	slots           []string // links to a slot, or its key
}

// Starling. No answer of an unjoined appliance is documented, and the vendor's client
// reads only the instance and the license number. An answer without joined means that the
// appliance is not joined. A joined that is not a boolean means nothing.
func joinedOf(value []byte) (joined, ok bool) {
	if value == nil || wire.Kind(value) == wire.Null {
		return false, true
	}
	return joined, wire.Unmarshal(value, &joined) == nil
}

// Product warnings. The guide shows their texts but not their place. They are read from
// every place that other answers of the API use: an error with any status; "warnings",
// "warning" or "message" at the top level or in meta; and "issues", as in the cluster
// status. Each may be a string, an object with a message, or a list of those.
func warningTexts(a *answer) []string {
	var found []string
	var look func(value []byte, depth int)
	look = func(value []byte, depth int) {
		if depth > 3 {
			return
		}
		switch wire.Kind(value) {
		case wire.String:
			if text, _ := wire.Text(value); text != "" {
				found = append(found, text)
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

// Setup. The guide shows "uninitialized" and "completed"; "booting" is known from a
// client, which treats it as completed. An uninitialized appliance has no users, and a
// booting one is starting its services. With any other status, and if the appliance does
// not have the endpoint, a login is tried.
func takesLogins(status string) bool {
	return status != "uninitialized" && status != "booting"
}

// User info and health. The tables of the newer guides have members without a body, and
// their samples are not available. Other endpoints of the same age have a body. Both
// places are read.
func anywhere(a *answer) func(name string) []byte {
	return func(name string) []byte {
		if value := wire.Find(a.All, name); value != nil {
			return value
		}
		return member(a.Body, name)
	}
}

// No cluster. The guide does not say how an appliance that is not the Central Management
// node refuses the status of the cluster. Every refusal of the API counts as this one,
// except a missing session or right.
func refusedWithoutCluster(e *Error) bool {
	switch e.Type {
	case "", Unauthenticated, AuthenticationFailure, Unauthorized:
		return false
	}
	return true
}

// Support bundles. Only the key of a new bundle and body.status are known; a client waits
// for "finished". The rest is read by readJob like a firmware fetch, which is the same kind
// of job.

// Login methods. The members of an entry are not documented. The names are assumed to be
// those of user info. An entry may be a bare name.
func loginMethodOf(entry []byte) (name, authentication, credential string) {
	if name, ok := wire.Text(entry); ok {
		return name, "", ""
	}
	name, _ = wire.Text(member(entry, "name"))
	authentication, _ = wire.Text(member(entry, "authentication"))
	credential, _ = wire.Text(member(entry, "credential"))
	return name, authentication, credential
}

// Missing recording. The refusal to download a missing recording is not documented. After
// a refusal that may mean this, the client reads the session, which shows whether it has
// a recording.
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

// Content search. It is known to return a list, but not of what. Events are assumed, bare
// as elsewhere or below body.
func bareRecord[T any](item []byte) []byte {
	if _, ok := any((*T)(nil)).(*audit.Event); !ok || wire.Kind(item) != wire.Object {
		return item
	}
	if body := member(item, "body"); wire.Kind(body) == wire.Object {
		return body
	}
	return item
}

// Precision of times. One sample shows the end of a session in whole seconds, others in
// milliseconds, and the appliance may sort by a precision that it does not show. Followed
// sessions may therefore be out of order by one second.
const assumedPrecision = time.Second

// Order of sessions. A client shows that a search can sort by start_time. The same is
// assumed for end_time and creation_time. If an appliance does not sort by them, the
// result is an error, and no session is lost.

// Times in a filter. The query language has ranges, but no sample has one of times.
// Searches beyond the limit and Follow use them. If an appliance refuses them, the search
// returns an error, and Follow uses the parameter start.

// Snapshots. The answer to the owner of a snapshot who requests another one is missing in
// every copy of the guide. After a refusal, or the same old snapshot, the search
// continues without one.

// Foreign snapshots. A snapshot that has ended is answered with 404. One that belongs to
// somebody else may be answered with 403. After either, the search requests a new one.
