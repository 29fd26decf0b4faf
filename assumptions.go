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

// This file holds the assumptions that the SDK makes where the guide is incomplete or
// contradicts itself. The first words of an entry, up to the full stop, are its name. An
// entry says what is known, what the SDK does, and where possible why a wrong assumption
// does no harm. If a real appliance behaves differently, correct the entry here.

// Log-out. The guide does not describe a log-out. The SDK sends a DELETE to the endpoint
// that created the session, because a DELETE also removes other objects of the API. If the
// appliance has no log-out, it refuses the request, and the session ends when it times out.
var logOutPath = mustPath("authentication")

const logOutMethod = http.MethodDelete

// logOutDone reports whether a refused log-out can be ignored, because the session no
// longer exists or the appliance has no log-out.
func logOutDone(e *Error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	case http.StatusUnauthorized:
		return e.kind() == "" || e.kind() == Unauthenticated
	}
	return e.kind() == Unauthenticated
}

// Commit message. The message is in the member commit_message of the status of a
// transaction, and in the member message of a firmware upgrade. The guide shows no commit
// with a message. The appliance ignores unknown members, so the SDK sends both members.
func commitBody(message string) any {
	if message == "" {
		return map[string]string{"status": "commit"}
	}
	return map[string]string{"status": "commit", "commit_message": message, "message": message}
}

// refusedWithoutMessage reports whether a commit was refused because it has no message.
// The refusal is not documented. The function recognises it by the missing members in
// its details, by its error type, or by the text of its message.
func refusedWithoutMessage(e *Error) bool {
	var missing *IncompleteRequestBodyErrorDetails
	if errors.As(e.told(), &missing) {
		return slices.ContainsFunc(missing.Paths, func(path string) bool { return strings.Contains(path, "message") })
	}
	return strings.Contains(string(e.kind()), "CommitMessage") || strings.Contains(strings.ToLower(e.said()), "needs a message")
}

// Rollback. The response to a rollback without an open transaction is not documented. The
// guide's table has the status 200, and no row for this case. After a refused rollback,
// the SDK reads the status of the transaction, which shows whether one is open.

// Lock. The error type and the status of the refusal to open a transaction while another
// session holds the configuration lock are not documented. The SDK treats a refusal to
// open a transaction as caused by the lock, unless it has another documented meaning: a
// missing session or right, an unknown path or method, an invalid request, too many
// requests, or a server error.
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

// stepRefusedByLock reports whether a change or a commit was refused because of the lock.
// Newer appliances may take the lock at the first change or at the commit. A change or a
// commit can be refused for other reasons too, so the refusal must mention the lock or an
// open transaction.
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

// No transaction. The guide's table for the deletion of an object has 409 Conflict for a
// write without an open transaction. Newer guides say that the first change opens a
// transaction. The error type might also be called NoOpenTransaction or NoTransaction.
const noTransaction ErrorType = "Conflict"

func refusedWithoutTransaction(e *Error) bool {
	return e.kind() == noTransaction || strings.Contains(string(e.kind()), "NoOpenTransaction") || strings.Contains(string(e.kind()), "NoTransaction")
}

// mayLackTransaction reports whether a refusal might mean that no transaction is open. The
// caller then reads the status of the transaction.
func mayLackTransaction(e *Error) bool {
	switch e.kind() {
	case ForbiddenActionError, MethodNotAllowed:
		return true
	case "":
		return e.Status == http.StatusConflict || e.Status == http.StatusForbidden || e.Status == http.StatusMethodNotAllowed
	}
	return false
}

// Semantic errors. The guide says that the details contain the errors found, but not in
// which form. The SDK accepts a list of strings or objects, or an object with such a list
// in its member "errors". It reads the objects like the warnings of the cluster status:
// {"message", "paths"}. If an object has no paths, the SDK searches its message for paths.
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
// contain the path, but not in which form. The SDK accepts a string, a list that starts
// with a string, and an object with a member path, paths, resource or href. It reads the
// path as that of an object. The part after a "#", or after the path of the request, is
// the place of a member in the body. A text that does not start like a path of the API is
// also read as such a place.
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

// placeOf splits a path into the path of an object and the place of a member in its body.
// object is the path of the object of the request, or "". If path continues object, the
// rest is the place of a member, or, if object is a list, the key of an object in it.
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

// Changes. The guide says that the path of a change is that "of the changed endpoint or
// object", and has no example. If a path continues after the path of an object, the SDK
// reads the rest as the place of a member in the body of that object. The rest can start
// with "#", as in links of the API, or with "/". If the appliance uses another form, the SDK
// does not detect a conflict.
func changePlace(rest string) []string {
	rest = strings.Trim(rest, "#/")
	if rest == "" {
		return nil
	}
	return strings.Split(rest, "/")
}

// Firmware fetch. The guide names the statuses in its text and shows no response. The SDK
// reads the status from body.status, as in a support bundle, or from the top level. It
// reads the slot from meta.slot, as in the response to an upload, and from slot_id, as in
// a request. It reads the progress as a number or as a text such as "42%".
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
	if text, ok := wire.Text(e.Body); ok { // the body consists of the status
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

// jobFacts holds the values that a response reports about a long-running job.
type jobFacts struct {
	status, message string
	progress        float64  // -1 if it is not known
	slots           []string // links to a slot, or its key
}

// Starling. No response of an appliance that is not joined is documented. The vendor's
// client reads only the product instance and the license number. If the member joined is
// missing or null, the appliance is not joined. If it is not a boolean, the state is
// unknown.
func joinedOf(value []byte) (joined, ok bool) {
	if value == nil || wire.Kind(value) == wire.Null {
		return false, true
	}
	return joined, wire.Unmarshal(value, &joined) == nil
}

// Product warnings. The guide shows the texts of the warnings but not their place. The SDK
// reads them from the places that other responses of the API use: an error with any
// status; "warnings", "warning" or "message" at the top level or in meta; and "issues",
// as in the cluster status. A warning may be a string, an object with a message, or a
// list of strings and objects.
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

// Setup. The guide shows the statuses "uninitialized" and "completed". The vendor's client
// safeguard-ps also accepts "booting", and treats it as completed. The SDK does not log in
// to an appliance with the status "uninitialized", because it has no users, or "booting",
// because its services are starting. With any other status, or if the appliance does not
// have the endpoint, the SDK tries to log in.
func takesLogins(status string) bool {
	return status != "uninitialized" && status != "booting"
}

// User info and health. The tables of the newer guides name the members without the prefix
// body, and the samples were not available. Other endpoints of the same versions have a
// body. The SDK reads a member from the top level, or else from the body.
func anywhere(a *answer) func(name string) []byte {
	return func(name string) []byte {
		if value := wire.Find(a.All, name); value != nil {
			return value
		}
		return member(a.Body, name)
	}
}

// No cluster. The guide does not say how an appliance that is not the Central Management
// node refuses to return the status of the cluster. The SDK treats a refusal by the API
// as this case, unless it means that a session or a right is missing.
func refusedWithoutCluster(e *Error) bool {
	switch e.Type {
	case "", Unauthenticated, AuthenticationFailure, Unauthorized:
		return false
	}
	return true
}

// Support bundles. Only the key of a new bundle and body.status are known. The vendor's
// client safeguard-ps waits for the status "finished". readJob reads the other members like
// those of a firmware fetch, which is also a long-running job.

// Login methods. The members of an entry are not documented. The SDK uses the names of the
// members of user info. It also accepts an entry that is a string with the name.
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
// a refusal that may have this meaning, the SDK reads the session, which shows whether it
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

// Content search. The guide says that a content search returns a list, but does not show
// its items. The SDK reads the items as events. The members of an event can be in the
// item itself, as in the list of events, or in its member body.
func bareRecord[T any](item []byte) []byte {
	if _, ok := any((*T)(nil)).(*audit.Event); !ok || wire.Kind(item) != wire.Object {
		return item
	}
	if body := member(item, "body"); wire.Kind(body) == wire.Object {
		return body
	}
	return item
}

// Precision of times. One sample shows the end of a session in whole seconds, and others
// in milliseconds. The appliance may sort by more digits than it shows. Follow therefore
// accepts sessions that are out of order by up to one second.
const assumedPrecision = time.Second

// Order of sessions. The vendor's Power BI connector sorts a search by start_time. The SDK
// assumes that a search can also sort by end_time and creation_time. If an appliance does
// not sort by them, the SDK returns an error, so that no session is lost.

// Times in a filter. The query language has ranges, but no sample shows a range of times.
// Searches with more than 10000 sessions, and Follow, use ranges of times. If an appliance
// refuses them, the search returns an error, and Follow uses the parameter start instead.

// Snapshots. The guide's text about a second snapshot of the same owner was not available.
// If the appliance refuses the request, or returns the same snapshot again, the search
// continues without a snapshot.

// Foreign snapshots. A search in a snapshot that no longer exists returns 404. A search in a
// snapshot of another user may return 403. After either status, the search requests a new
// snapshot.
