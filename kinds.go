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

// ErrorKind is the class of an error. Errors of the appliance and errors of the SDK have
// the same kinds. Each constant is an error value: test for it with
//
//	errors.Is(err, sps.KindNotFound)
//
// or switch over [KindOf]. The page docs/reference/errors.md lists each error and its
// kind. An error that reports several failures, such as a write and the rollback after
// it, matches the kind of each with errors.Is; KindOf returns the first one.
//
// Some errors have no kind: errors because the caller's own context ended, [ErrClosed],
// and errors of other packages.
type ErrorKind string

// The kinds of errors.
const (
	// KindInvalid means that the request breaks a rule of the SDK or of the appliance.
	// [Faults] lists the members and the problems. Nothing was applied. If you repeat the
	// call unchanged, it fails again.
	KindInvalid ErrorKind = "invalid input"
	// KindDenied means that the appliance does not accept the credential or the session,
	// or that the user lacks the right.
	KindDenied ErrorKind = "denied"
	// KindLocked means that somebody else is changing the configuration or has a
	// transaction open.
	KindLocked ErrorKind = "locked"
	// KindConflict means that somebody else changed an object after the call had read it.
	KindConflict ErrorKind = "conflict"
	// KindNotFound means that the object or endpoint does not exist. An error page with
	// status 404 that does not come from the API has the kind KindUnavailable.
	KindNotFound ErrorKind = "not found"
	// KindRefused means that the appliance refused the request because of its state, for
	// example after a failed firmware test or without a cluster, or for a reason that no
	// other kind covers.
	KindRefused ErrorKind = "refused"
	// KindUnavailable means that the appliance could not be reached, is overloaded, or
	// returned no usable response. [SafeToRetry] reports whether another attempt may
	// help.
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

// meaning returns the kind of a refusal, by its type or otherwise by its status. A
// response without a type may come from a proxy or a web server in front of the API.
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

// remedies are the remedies at the end of the texts of refusals, by type.
// docs/reference/errors.md describes them in full.
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

// remedy returns a remedy for the text of a refusal. It returns "" if no remedy is known, or
// if the text of a wrapping error already has one.
func (e *Error) remedy() string {
	switch remedy := remedies[e.kind()]; {
	case e.meant != "" || e.over:
		return ""
	case e.Is(KindNotFound) && (e.Path == firmwareTestPath.Text || e.Path == upgradePath.Text):
		return "check the key: the slot does not exist or is empty"
	case remedy != "":
		return remedy
	case e.busy():
		return "try again later"
	case e.kind() == "" && e.meaning() == KindUnavailable:
		return "check that this is the address of an SPS appliance"
	}
	return ""
}

// remedy returns a remedy for the text of an error about a request that got no response. It
// returns "" if no remedy is known, if the caller ended the request, or if the text of a
// wrapping error already has one.
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

// meaning returns the kind of a request that got no response, or "" if the caller ended
// the request.
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

// ended reports whether the caller ended the request: by cancelling its context, by closing
// the client, or by ending the transaction.
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

// walkErrors visits an error and all errors that it wraps, outer errors first. If visit
// returns false for an error, walkErrors skips the errors that this error wraps.
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

// SafeToRetry reports whether you can safely repeat the call: the failed call certainly
// changed nothing, and the next one may succeed. This is true for [ErrLocked],
// [ErrConflict] and [ErrTransactionLost], for a search that did not get a snapshot or
// lost it, and for an appliance that could not be reached in time or is overloaded. It is
// false for nil, if err wraps [ErrOutcomeUnknown] anywhere in its tree, or if err also
// wraps an error that a repetition cannot fix.
//
// after is the time to wait before the repetition: the longest Retry-After of the
// appliance, or the time after which the session that holds the configuration lock has
// expired. It is 0 if neither is known; in that case, choose a wait yourself. [WithRerun]
// repeats a transaction according to these rules.
//
// SafeToRetry does not consider the other effects of your function, for example on
// another appliance.
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
		case *added:
			// A later failure, such as that of a rollback, must not make a lasting error pass.
			if _, passing := SafeToRetry(e.err); !passing {
				against = true
			}
			told = false
		case *lockEnds:
			after, told = max(after, time.Until(e.at)), false
		case *sentinel:
			again = slices.Contains(passingErrors, error(e))
		case interface{ meaning() ErrorKind }, interface{ severalSteps() }:
			// Another attempt would fail in the same way, or some changes may have been applied.
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

// mayPass reports whether another attempt may succeed.
func (e *Error) mayPass() bool {
	switch e.meaning() {
	case KindLocked, KindConflict:
		return true
	case KindUnavailable:
		return e.meant != "" || e.busy()
	}
	return false
}

// mayPass reports whether another attempt may get a response.
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
