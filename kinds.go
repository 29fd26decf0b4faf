package sps

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ErrorKind is what an error means for a program, whoever gave it. Each constant is an
// error value: test for one with
//
//	errors.Is(err, sps.KindNotFound)
//
// or switch over [KindOf]. The page docs/reference/errors.md says which error has which kind. An
// error that tells of several failures, of a write and of the rollback after it, say, has
// the kind of each for errors.Is; KindOf gives the first one.
//
// The end of the caller's own context and [ErrClosed] have no kind, nor have errors of
// other packages.
type ErrorKind string

// The kinds of errors.
const (
	// KindInvalid: what was asked for cannot be right, by a rule of the SDK or of the
	// appliance. [Faults] tells what is wrong with which member. Nothing was applied, and
	// the same call fails again.
	KindInvalid ErrorKind = "invalid input"
	// KindDenied: the appliance does not take the credential or the session, or the user
	// lacks the right.
	KindDenied ErrorKind = "denied"
	// KindLocked: somebody else changes the configuration, or has a transaction open.
	KindLocked ErrorKind = "locked"
	// KindConflict: somebody else changed what the call began from.
	KindConflict ErrorKind = "conflict"
	// KindNotFound: there is no such object or endpoint. Only the API itself says that: a
	// page of a web server with the status 404 is KindUnavailable.
	KindNotFound ErrorKind = "not found"
	// KindRefused: the state of the appliance does not allow it, such as a firmware test
	// that failed or a missing cluster, or the appliance has a reason of its own.
	KindRefused ErrorKind = "refused"
	// KindUnavailable: the appliance could not be reached, is overloaded or did not give a
	// usable answer. [SafeToRetry] tells whether another try may help.
	KindUnavailable ErrorKind = "unavailable"
	// KindOutcomeUnknown: it is not known whether a write was executed; it is
	// [ErrOutcomeUnknown].
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

// meaning is the kind of a type of the guide, "" for another one.
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

// meaning is the kind of a refusal: by its type, or else by its status. Where the API did
// not say why, the answer may be that of something before it.
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

// busy reports whether the status says that it is about this moment and not about the
// request.
func (e *Error) busy() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return e.Status >= 500
}

// meaning is the kind of a request without an answer, "" where its caller ended it.
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

// KindOf returns the kind of an error, "" for none. It is [KindOutcomeUnknown] wherever
// [ErrOutcomeUnknown] stands in the tree of the errors that it wraps, and else the kind
// of the first of them that has one.
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

// walkErrors visits an error and all that it wraps, each before what it wraps, which is
// left out where visit says so.
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

// SafeToRetry reports whether the same call may be made again: it is certain that nothing
// was applied, and it may go differently. That is so of [ErrLocked], [ErrConflict] and
// [ErrTransactionLost], of a snapshot that a search does not get or loses, of an appliance
// that could not be reached in time, and of one that is overloaded. It is never so where [ErrOutcomeUnknown] stands anywhere in the tree of
// the errors that err wraps, where one of them speaks against it, or for nil.
//
// after is how long to wait before: the longest Retry-After of the appliance, or until a
// lock ends at the latest, as far as that is known; 0 where it is not. Draw a wait of
// your own then. [WithRerun] does all that for a transaction.
//
// It speaks of what this package did. What a function did beside it, to another
// appliance, say, it cannot know.
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
		case lockRefused:
			again = true
		case *lockEnds:
			after, told = max(after, time.Until(e.at)), false
		case *sentinel:
			again = slices.Contains(passingErrors, error(e))
		case interface{ meaning() ErrorKind }, *FirmwareUpgradeError, *FirmwareUploadError, *FirmwareFetchError, *SupportBundleError:
			// Those of several steps may have applied some.
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

// passingErrors are the SDK's own errors after which nothing was applied, and which may be
// gone the next time.
var passingErrors = []error{ErrLocked, ErrConflict, ErrTransactionLost, ErrSnapshotQuota, ErrSnapshotLost, ErrSnapshotTaken}

// mayPass reports whether a refusal may be another one, or none, the next time.
func (e *Error) mayPass() bool {
	switch e.meaning() {
	case KindLocked, KindConflict:
		return true
	case KindUnavailable:
		return e.meant != "" || e.busy()
	}
	return false
}

// mayPass reports whether a request without an answer may get one the next time.
func (e *TransportError) mayPass() bool {
	return !e.ended() && !permanent(e.Err) && !errors.Is(e.Err, ErrInvalidInput)
}

// lockEnds is an error about a lock that ends by itself at a time that is known.
type lockEnds struct {
	error
	at time.Time
}

func (l *lockEnds) Unwrap() error { return l.error }

func (l *lockEnds) LogValue() slog.Value { return logged(l) }
