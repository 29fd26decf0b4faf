package sps

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ErrorKind is the class of an error for a program, whether the appliance or the SDK
// returned it. Each constant is an error value: test for it with
//
//	errors.Is(err, sps.KindNotFound)
//
// or switch over [KindOf]. The page docs/reference/errors.md lists the kind of each error. An error
// that reports several failures, such as a write and the rollback after it, matches the
// kind of each with errors.Is; KindOf returns the first one.
//
// The end of the caller's own context, [ErrClosed] and errors of other packages have no
// kind.
type ErrorKind string

// The kinds of errors.
const (
	// KindInvalid means that the request breaks a rule of the SDK or of the appliance.
	// [Faults] lists the members and what is wrong with them. Nothing was applied. The
	// same call fails again.
	KindInvalid ErrorKind = "invalid input"
	// KindDenied means that the appliance does not accept the credential or the session,
	// or that the user lacks the right.
	KindDenied ErrorKind = "denied"
	// KindLocked means that somebody else is changing the configuration or has a
	// transaction open.
	KindLocked ErrorKind = "locked"
	// KindConflict means that somebody else changed what the call had read.
	KindConflict ErrorKind = "conflict"
	// KindNotFound means that the object or endpoint does not exist. Only an answer of
	// the API counts: a web server's page with status 404 is KindUnavailable.
	KindNotFound ErrorKind = "not found"
	// KindRefused means that the state of the appliance does not allow the request, such
	// as after a failed firmware test or without a cluster, or that the appliance has
	// another reason to refuse.
	KindRefused ErrorKind = "refused"
	// KindUnavailable means that the appliance could not be reached, is overloaded, or
	// gave no usable answer. [SafeToRetry] reports whether another attempt may help.
	KindUnavailable ErrorKind = "unavailable"
	// KindOutcomeUnknown means that a write may or may not have been executed. It
	// corresponds to [ErrOutcomeUnknown].
	KindOutcomeUnknown ErrorKind = "outcome unknown"
)

// Error returns the name of the kind.
func (k ErrorKind) Error() string { return oneLine(string(k), 100) }

// sentinel is an error value of the SDK with its kind.
type sentinel struct {
	text string
	kind ErrorKind
}

func newSentinel(text string, kind ErrorKind) error { return &sentinel{text, kind} }

func (s *sentinel) Error() string { return s.text }

func (s *sentinel) Is(target error) bool {
	kind, ok := target.(ErrorKind)
	return ok && kind != "" && kind == s.kind
}

func (s *sentinel) meaning() ErrorKind { return s.kind }

// meaning returns the kind of a type of the guide, or "" for any other type.
func (t ErrorType) meaning() ErrorKind {
	switch t {
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError, MissingCredentialStringError,
		MissingProductInstanceError, StarlingJoinInfoIsReadOnlyError, MethodNotAllowed:
		return KindInvalid
	case Unauthenticated, AuthenticationFailure, Unauthorized:
		return KindDenied
	case OpenTransactionError:
		return KindLocked
	case NotFound, ResourceNotFound:
		return KindNotFound
	case ForbiddenActionError, StarlingJoinIsInUseByRemoteAccessError, RemoteAccessDependsOnStarlingJoinError, FirmwareTestFailed:
		return KindRefused
	}
	return ""
}

// meaning returns the kind of a refusal, by its type or otherwise by its status. An
// answer without a type may come from a server in front of the API.
func (e *Error) meaning() ErrorKind {
	switch kind := e.kind().meaning(); {
	case e.OutcomeUnknown:
		return KindOutcomeUnknown
	case e.meant != "":
		return e.meant
	case kind != "":
		return kind
	}
	typed := e.kind() != ""
	switch {
	case e.Status == http.StatusLocked || strings.Contains(string(e.kind()), "Lock"):
		return KindLocked
	case e.Status == http.StatusConflict:
		return KindConflict
	case e.Status == http.StatusUnauthorized:
		return KindDenied
	case typed && (e.Status == http.StatusNotFound || e.Status == http.StatusGone):
		return KindNotFound
	case e.busy():
		return KindUnavailable
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return KindInvalid
	}
	if typed || e.Status == http.StatusNotImplemented {
		return KindRefused
	}
	return KindUnavailable
}

// busy reports whether the status describes a temporary state of the appliance and not
// the request.
func (e *Error) busy() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return e.Status >= 500
}

// remedies are the last words of the text of a refusal, by its type.
// docs/reference/errors.md says more.
var remedies = map[ErrorType]string{
	AuthenticationFailure:                  "check the user name and the password",
	Unauthenticated:                        "log in again",
	Unauthorized:                           "give the user this right on the appliance, or use another user",
	NotFound:                               "check the path and the key",
	ResourceNotFound:                       "check the path and the key",
	SyntacticError:                         "correct the value",
	SemanticError:                          "correct what Faults lists",
	InvalidRequestBody:                     "send a JSON object",
	IncompleteRequestBodyError:             "add what is missing",
	MethodNotAllowed:                       "use a method that this endpoint supports",
	OpenTransactionError:                   "commit or roll back that transaction first",
	ForbiddenActionError:                   "check the state of the appliance",
	FirmwareTestFailed:                     "remove the cause on the appliance, then test again",
	MissingCredentialStringError:           "pass the credential string",
	MissingProductInstanceError:            "pass the product instance",
	StarlingJoinInfoIsReadOnlyError:        "use Client.Starling to join and unjoin",
	StarlingJoinIsInUseByRemoteAccessError: "disable remote access first",
	RemoteAccessDependsOnStarlingJoinError: "join Starling first",
}

// remedy returns what the reader of a refusal can do, or "" if the error around it says
// that or nothing is known.
func (e *Error) remedy() string {
	switch remedy := remedies[e.kind()]; {
	case e.meant != "" || e.over:
		return ""
	case remedy != "":
		return remedy
	case e.busy():
		return "try again later"
	case e.kind() == "" && e.meaning() == KindUnavailable:
		return "check that this is the address of an SPS appliance"
	}
	return ""
}

// remedy returns what the reader can do about a request without an answer, or "" if the
// cause says that or nothing is known.
func (e *TransportError) remedy() string {
	var name *net.DNSError
	var dial *net.OpError
	switch {
	case e.meant != "" || e.ended():
		return ""
	case errors.As(e.Err, &name):
		return "check the name of the host"
	case errors.As(e.Err, &dial) && dial.Op == "dial":
		return "check the host, the port and the network"
	}
	return ""
}

// meaning returns the kind of a request without an answer, or "" if its caller ended it.
func (e *TransportError) meaning() ErrorKind {
	switch {
	case e.OutcomeUnknown:
		return KindOutcomeUnknown
	case e.meant != "":
		return e.meant
	case e.ended():
		return ""
	}
	return KindUnavailable
}

// ended reports whether the caller ended the request.
func (e *TransportError) ended() bool {
	return errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, ErrClosed) || errors.Is(e.Err, ErrTransactionOver)
}

// KindOf returns the kind of an error, or "" if it has none. It returns
// [KindOutcomeUnknown] if the error wraps [ErrOutcomeUnknown] anywhere in its tree.
// Otherwise it returns the first kind in the tree.
func KindOf(err error) ErrorKind {
	if errors.Is(err, ErrOutcomeUnknown) {
		return KindOutcomeUnknown
	}
	var found ErrorKind
	walkErrors(err, func(e error) (deeper bool) {
		switch e := e.(type) {
		case interface{ meaning() ErrorKind }:
			if found == "" {
				found = e.meaning()
			}
			return false
		case ErrorKind:
			if found == "" {
				found = e
			}
		}
		return found == ""
	})
	return found
}

// walkErrors visits an error and everything that it wraps, outer errors first. It skips
// what an error wraps if visit returns false for that error.
func walkErrors(err error, visit func(error) (deeper bool)) {
	if err == nil || !visit(err) {
		return
	}
	switch wrapping := err.(type) {
	case interface{ Unwrap() error }:
		walkErrors(wrapping.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapping.Unwrap() {
			walkErrors(inner, visit)
		}
	}
}

// SafeToRetry reports whether the same call may be made again: nothing was applied for
// certain, and the next call may succeed. This is true for [ErrLocked], [ErrConflict] and
// [ErrTransactionLost], for a search that did not get its snapshot or lost it, and for an
// appliance that could not be reached in time or is overloaded. It is false for nil, if
// err wraps [ErrOutcomeUnknown] anywhere in its tree, or if err wraps any error that a
// repetition cannot fix.
//
// after is how long to wait first: the longest Retry-After of the appliance, or the time
// until a lock ends at the latest. It is 0 if neither is known; choose a wait of your own
// then. [WithRerun] does all of this for a transaction.
//
// SafeToRetry considers only what this package did. It cannot know what your function did
// elsewhere, for example on another appliance.
func SafeToRetry(err error) (after time.Duration, ok bool) {
	if errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, context.Canceled) {
		return 0, false
	}
	against := false
	walkErrors(err, func(e error) (deeper bool) {
		again, told := false, true
		switch e := e.(type) {
		case *Error:
			again, after = e.mayPass(), max(after, e.RetryAfter)
		case *TransportError:
			again = !e.OutcomeUnknown && e.mayPass()
		case interface{ passing() }:
			again = true
		case *lockEnds:
			after, told = max(after, time.Until(e.at)), false
		case *sentinel:
			again = slices.Contains(passingErrors, error(e))
		case interface{ meaning() ErrorKind }, interface{ severalSteps() }:
			// If several steps failed, some changes may have been applied.
		default:
			told = false
		}
		if told {
			ok, against = ok || again, against || !again
		}
		return !told
	})
	if against || !ok {
		return 0, false
	}
	return after, true
}

// passingErrors are the errors of the SDK after which nothing was applied and another
// attempt may succeed.
var passingErrors = []error{ErrLocked, ErrConflict, ErrTransactionLost, ErrSnapshotQuota, ErrSnapshotLost, ErrSnapshotTaken}

// mayPass reports whether another attempt may get a different answer than this refusal.
func (e *Error) mayPass() bool {
	switch e.meaning() {
	case KindLocked, KindConflict:
		return true
	case KindUnavailable:
		return e.meant != "" || e.busy()
	}
	return false
}

// mayPass reports whether another attempt may get an answer.
func (e *TransportError) mayPass() bool {
	return !e.ended() && !permanent(e.Err) && !errors.Is(e.Err, ErrInvalidInput)
}

// lockEnds is an error about a lock that ends by itself at a known time.
type lockEnds struct {
	error
	at time.Time
}

func (l *lockEnds) Unwrap() error { return l.error }

func (l *lockEnds) LogValue() slog.Value { return logged(l) }
