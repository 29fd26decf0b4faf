package sps

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/oneline"
	"github.com/go-sps/sps/internal/pemtext"
	"github.com/go-sps/sps/internal/wire"
)

// ErrorType is the type of an error response: its member error.type, spelled as in the
// API. Each constant is an error value: test for it with
//
//	errors.Is(err, sps.ResourceNotFound)
//
// The set is open: an appliance may return a type that has no constant here. Test for
// such a type with ErrorType("ThatType").
type ErrorType string

// The error types of the guide, with the HTTP status that the guide gives for each. The
// guide gives no status for IncompleteRequestBodyError, ResourceNotFound and
// FirmwareTestFailed. Test for the type, not for the status.
const (
	SyntacticError                         ErrorType = "SyntacticError"                         // 400: a value is not accepted; detail [SyntacticErrorDetails]
	SemanticError                          ErrorType = "SemanticError"                          // 400: the configuration would be inconsistent; detail [SemanticErrorDetails]
	InvalidRequestBody                     ErrorType = "InvalidRequestBody"                     // 400: the body is not valid JSON
	IncompleteRequestBodyError             ErrorType = "IncompleteRequestBodyError"             // members are missing; detail [IncompleteRequestBodyErrorDetails]
	MissingCredentialStringError           ErrorType = "MissingCredentialStringError"           // 400: starling/join without credential_string
	MissingProductInstanceError            ErrorType = "MissingProductInstanceError"            // 400: starling/join without product_instance
	Unauthenticated                        ErrorType = "Unauthenticated"                        // 401: there is no session, or the session has expired; detail [UnauthenticatedDetails]
	AuthenticationFailure                  ErrorType = "AuthenticationFailure"                  // 401: wrong credentials
	Unauthorized                           ErrorType = "Unauthorized"                           // 403: the user lacks the right; detail [UnauthorizedDetails]
	OpenTransactionError                   ErrorType = "OpenTransactionError"                   // 403: the request is not allowed while a transaction is open; detail [OpenTransactionErrorDetails]
	ForbiddenActionError                   ErrorType = "ForbiddenActionError"                   // 403: the appliance does not allow the action
	StarlingJoinIsInUseByRemoteAccessError ErrorType = "StarlingJoinIsInUseByRemoteAccessError" // 403: the appliance cannot be unjoined while remote access is enabled
	RemoteAccessDependsOnStarlingJoinError ErrorType = "RemoteAccessDependsOnStarlingJoinError" // 403: remote access cannot be enabled before the appliance is joined to Starling
	StarlingJoinInfoIsReadOnlyError        ErrorType = "StarlingJoinInfoIsReadOnlyError"        // 403: the configuration request changed join_info
	NotFound                               ErrorType = "NotFound"                               // 404: another name of ResourceNotFound, used in the guide's tables; errors.Is matches both
	ResourceNotFound                       ErrorType = "ResourceNotFound"                       // the object does not exist; errors.Is matches NotFound too; detail [ResourceNotFoundDetails]
	MethodNotAllowed                       ErrorType = "MethodNotAllowed"                       // 405: the endpoint does not support the HTTP method
	FirmwareTestFailed                     ErrorType = "FirmwareTestFailed"                     // the firmware test found a problem; detail [FirmwareTestFailedDetails]
)

// documented reports whether the guide lists the type. If the appliance responds with a
// documented type, it did not execute the request.
func (t ErrorType) documented() bool {
	switch t {
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError, MissingCredentialStringError,
		MissingProductInstanceError, Unauthenticated, AuthenticationFailure, Unauthorized, OpenTransactionError,
		ForbiddenActionError, StarlingJoinIsInUseByRemoteAccessError, RemoteAccessDependsOnStarlingJoinError,
		StarlingJoinInfoIsReadOnlyError, NotFound, ResourceNotFound, MethodNotAllowed, FirmwareTestFailed, noTransaction:
		return true
	}
	return false
}

// Error returns the name of the type, in one line.
func (t ErrorType) Error() string { return oneLine(string(t), 200) }

// Is makes NotFound and ResourceNotFound match each other, because the guide uses
// NotFound in its tables and ResourceNotFound in its sample bodies. A type of the guide
// also matches its [ErrorKind].
func (t ErrorType) Is(target error) bool {
	if kind, ok := target.(ErrorKind); ok {
		return kind != "" && kind == t.meaning()
	}
	other, ok := target.(ErrorType)
	return ok && (t == NotFound || t == ResourceNotFound) && (other == NotFound || other == ResourceNotFound)
}

// Status is the HTTP status of an error response as an error value: test for it with
//
//	errors.Is(err, sps.Status(404))
type Status int

// Error returns the number and the standard text of the status.
func (s Status) Error() string {
	if text := http.StatusText(int(s)); text != "" {
		return strconv.Itoa(int(s)) + " " + text
	}
	return strconv.Itoa(int(s))
}

// The errors of the SDK itself. Test for each with errors.Is.
var (
	// ErrInvalidInput means that the SDK refused an argument. Nothing was changed on the
	// appliance. The text names the argument and says what is expected.
	ErrInvalidInput = newSentinel("invalid input", KindInvalid)
	// ErrClosed means that the client was closed, before the call or during it.
	ErrClosed = newSentinel("the client is closed", "")
	// ErrBadAnswer means that the appliance reported success but its response cannot be
	// used: it is not JSON, is truncated, or lacks members. It also means that a response
	// of any status is too large.
	ErrBadAnswer = newSentinel("unusable answer", KindUnavailable)
	// ErrOutcomeUnknown means that the appliance may have executed the request, or may
	// still execute it. The response was lost, or it came from a server in front of the
	// API, such as a proxy. With [WithOneSession] and [ExistingSession], a call also
	// returns it if the client cannot roll back an earlier transaction. Check the state of
	// the appliance before you repeat the request. If the client checked the outcome
	// itself, the error has an [OutcomeUnknownDetails].
	ErrOutcomeUnknown = newSentinel("the outcome is unknown", KindOutcomeUnknown)
	// ErrTransactionOnly means that a write that needs a transaction was called outside a
	// transaction. The write was not sent.
	ErrTransactionOnly = newSentinel("only possible in a transaction", KindInvalid)
	// ErrLocked means that the transaction could not be opened, because somebody else or
	// another transaction of this session holds the configuration lock.
	ErrLocked = newSentinel("the configuration is locked", KindLocked)
	// ErrNested means that the function of a transaction started another transaction of
	// the same client, or made a call that is not possible inside a transaction.
	ErrNested = newSentinel("a transaction of this client is running in this context", KindInvalid)
	// ErrTransactionOver means that a [Transaction], or one of its fields, was used after
	// the end of the transaction.
	ErrTransactionOver = newSentinel("the transaction is over", KindInvalid)
	// ErrTransactionLost means that the session ended inside the transaction, and the
	// appliance dropped its changes. Nothing was applied.
	ErrTransactionLost = newSentinel("the session ended, and the transaction with it", KindUnavailable)
	// ErrConflict means that somebody else changed an object after the transaction had
	// read it and before the transaction wrote it. The transaction was rolled back and
	// may be run again.
	ErrConflict = newSentinel("somebody else changed an object that the transaction had read", KindConflict)
	// ErrNoSuchName means that no object of a list has the requested name. The error is
	// then also [ResourceNotFound]. ResourceNotFound without ErrNoSuchName means that the
	// list does not exist.
	ErrNoSuchName = newSentinel("no object has that name", KindNotFound)
	// ErrNoSuchAuthority means that a trust store has no authority with the given
	// fingerprint.
	ErrNoSuchAuthority = newSentinel("no authority has that fingerprint", KindNotFound)
	// ErrAuthorityExists means that a trust store already has the authority to be added.
	ErrAuthorityExists = newSentinel("the trust store already has the authority", KindRefused)
	// ErrNoCluster means that the appliance is not the Central Management node of a
	// cluster.
	ErrNoCluster = newSentinel("the appliance is not the Central Management node of a cluster", KindRefused)
	// ErrStarlingNotJoined means that the appliance is not joined to Starling.
	ErrStarlingNotJoined = newSentinel("the appliance is not joined to Starling", KindRefused)
	// ErrOtherClient means that a handle of one client was used with a transaction of
	// another client.
	ErrOtherClient = newSentinel("the handle belongs to another client", KindInvalid)
	// ErrCommitMessageRequired means that the appliance requires a commit message: pass
	// [WithMessage]. The client checks this before it writes anything. Appliances before
	// 7.0 do not report this requirement in advance; they refuse the commit instead.
	ErrCommitMessageRequired = newSentinel("the appliance requires a commit message", KindInvalid)
	// ErrNoEmptySlot means that no firmware slot is empty for an upload or a fetch. Empty
	// a slot with [FirmwareSlots.Delete].
	ErrNoEmptySlot = newSentinel("the appliance has no empty firmware slot", KindRefused)
	// ErrFetchDone means that a firmware fetch has ended and cannot be cancelled.
	ErrFetchDone = newSentinel("the fetch has ended", KindRefused)
	// ErrFetchRunning means that a firmware fetch is still running. Cancel it first.
	ErrFetchRunning = newSentinel("the fetch is still running", KindRefused)
	// ErrWrongVersion means that the appliance restarted but does not run the expected
	// version.
	ErrWrongVersion = newSentinel("the appliance came back with another version", KindRefused)
	// ErrUnexpectedImage means that the slot does not hold the version that
	// [WithExpectedVersion] requires.
	ErrUnexpectedImage = newSentinel("the image is not the expected one", KindRefused)
	// ErrSlotInUse means that the firmware slot cannot be deleted, because it holds the
	// running firmware or the firmware for the next boot.
	ErrSlotInUse = newSentinel("the firmware slot is in use", KindRefused)
	// ErrNoRecording means that the session has no recording to download.
	ErrNoRecording = newSentinel("the session has no recording", KindNotFound)
	// ErrSnapshotQuota means that the appliance refused a snapshot for a search, because
	// another program or user has the one snapshot. The appliance deletes that snapshot
	// five minutes after its last use; see [WithSnapshotWait].
	ErrSnapshotQuota = newSentinel("another search has the appliance's snapshot", KindUnavailable)
	// ErrSearchInUse means that a search of this client is reading a snapshot, which a
	// second search would replace. End the loop over the first search, or pass
	// [WithoutSnapshot].
	ErrSearchInUse = newSentinel("another search of this client is reading a snapshot", KindInvalid)
	// ErrSearchCeiling means that a search without a snapshot finds more sessions than
	// the appliance returns. The text says why the search could not be divided into
	// smaller ones.
	ErrSearchCeiling = newSentinel("the search finds 10000 sessions or more, and the appliance does not return the rest", KindRefused)
	// ErrSnapshotLost means that the snapshot of a search disappeared and the search
	// cannot continue, because its order does not show which sessions were already
	// returned.
	ErrSnapshotLost = newSentinel("the snapshot of the search has disappeared", KindUnavailable)
	// ErrSnapshotTaken means that the snapshot of a search disappeared repeatedly. This
	// happens when two programs with the same user and address replace each other's
	// snapshot.
	ErrSnapshotTaken = newSentinel("the snapshot of the search disappears again and again", KindUnavailable)
	// ErrCheckpoint means that the data passed to [WithCheckpoint] is not a checkpoint of
	// this appliance and this query. No request was sent.
	ErrCheckpoint = newSentinel("the checkpoint cannot be used", KindInvalid)
	// ErrCheckpointFull means that a checkpoint would be larger than 64 KiB, because too
	// many sessions ended at the same time or are still running.
	ErrCheckpointFull = newSentinel("the checkpoint would be larger than 64 KiB", KindRefused)
)

// Error is the refusal of a request by the appliance. Get it with errors.As. It unwraps
// to its [ErrorType], its [Status] and its typed detail, so errors.Is and errors.As find
// each of them. It also matches its [ErrorKind].
//
// A response with an error member is an Error, even with status 200. A response with
// status 300 or above is an Error too, and its Type is empty if the body has no error
// type. [Starling.JoinPage] is different: it returns a redirect as a result.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Type is error.type, or empty if the response has none. If an undocumented type
	// contains a secret of the request, a placeholder replaces it; errors.Is still finds
	// the original type.
	Type ErrorType
	// Message is error.message in one line, shortened and without control characters. If
	// it contains a secret of the request or of the login, plain or in an encoded form, a
	// fixed sentence replaces it. The same applies to each text of Detail. Secrets of
	// fewer than four bytes are not searched for.
	Message string
	// Details is the unchanged error.details, or nil if it is absent or larger than 64
	// KiB. If it contains a secret, Details is the same fixed sentence as in Message, as
	// a JSON string.
	Details json.RawMessage
	// Detail is the content of Details as a Go type. For example, Type
	// [FirmwareTestFailed] has a *[FirmwareTestFailedDetails]. Detail is nil if the type
	// has no details or the response lacks them. If your own test builds an Error, set
	// Detail there.
	Detail error
	// Host is the appliance, as [Client.Host] returns it.
	Host string
	// Method and Path are those of the request. Path is relative to /api/ and has no
	// query.
	Method, Path string
	// Attempts is how often the request was tried. It is 0 if the request was not sent
	// because its session had already ended.
	Attempts int
	// RetryAfter is the time that the client should wait before the next attempt, from
	// the header Retry-After. It is 0 if the response does not have this header.
	RetryAfter time.Duration
	// OutcomeUnknown is true if the response to a write has status 500 or above, or is a
	// redirect, and has no error type of the guide. Such a response may come from a web
	// server in front of the API or from an internal error. The write may have been
	// executed.
	OutcomeUnknown bool

	raw   *rawAnswer // the response with the texts that the exported fields hide; nil if nothing is hidden
	meant ErrorKind  // overrides the kind that follows from the type and the status; "" if unused
	over  bool       // the session from ExistingSession has ended
}

// mayBeExecuted reports whether the request may have been executed despite the response.
func (e *Error) mayBeExecuted() bool {
	redirected := e.Type == "" && e.Status >= 300 && e.Status < 400
	return redirected || e.Status >= 500 && e.Status != http.StatusNotImplemented && !e.kind().documented()
}

// Error returns one line that names the appliance, the operation, the type, the status,
// the message and a remedy.
func (e *Error) Error() string {
	text, said := e.words()
	for _, part := range said {
		text += ": " + part
	}
	if e.OutcomeUnknown {
		return text + "; " + ErrOutcomeUnknown.Error()
	}
	if remedy := e.remedy(); remedy != "" {
		text += "; " + remedy
	}
	return text
}

// words returns the first part of the error text, and the texts that the appliance sent:
// the message and the detail.
func (e *Error) words() (text string, said []string) {
	text = operation(e.Host, e.Method, e.Path)
	if e.Type != "" {
		text += fmt.Sprintf("%s (%d)", oneLine(string(e.Type), 100), e.Status)
	} else {
		text += Status(e.Status).Error()
	}
	detail := ""
	if _, told := e.Detail.(ProductWarning); e.Detail != nil && !told { // a ProductWarning repeats the message
		detail = e.Detail.Error()
	}
	if e.Message != "" && !strings.HasPrefix(detail, e.Message) {
		said = append(said, e.Message)
	}
	if detail != "" {
		said = append(said, detail)
	}
	return text, said
}

// operation returns the first part of the text of an error about one request.
func operation(host, method, path string) string {
	if host == "" {
		return "sps: " + method + " " + path + ": "
	}
	return "sps: " + host + ": " + method + " " + path + ": "
}

// Unwrap returns the type, the status and the detail.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 3)
	switch {
	case e.Type == typeNotShown && e.raw != nil:
		errs = append(errs, unshown{e.raw})
	case e.Type != "":
		errs = append(errs, onlyType(e.Type))
	}
	errs = append(errs, Status(e.Status))
	if e.OutcomeUnknown {
		errs = append(errs, ErrOutcomeUnknown)
	}
	if e.Detail != nil {
		errs = append(errs, e.Detail)
	}
	return errs
}

// Is reports whether the target is the [ErrorKind] of the error.
func (e *Error) Is(target error) bool {
	if target == errExpiredExisting {
		return e.over
	}
	kind, ok := target.(ErrorKind)
	return ok && kind != "" && kind == e.meaning()
}

// onlyType is an ErrorType that does not determine the kind of its error.
type onlyType ErrorType

func (o onlyType) Error() string { return ErrorType(o).Error() }

func (o onlyType) Is(target error) bool {
	other, ok := target.(ErrorType)
	return ok && (ErrorType(o) == other || ErrorType(o).Is(other))
}

func (o onlyType) As(target any) bool {
	kind, ok := target.(*ErrorType)
	if ok {
		*kind = ErrorType(o)
	}
	return ok
}

// LogValue returns host, method, path, status, type and attempts. It leaves out the
// message and the details, because they may quote values of the request. The errors of
// this package that wrap an Error leave them out too.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("host", e.Host),
		slog.String("method", e.Method),
		slog.String("path", e.Path),
		slog.Int("status", e.Status),
		slog.String("type", oneLine(string(e.Type), 100)),
		slog.Int("attempts", e.Attempts),
	)
}

// TransportError means that a request got no usable response: the appliance could not be
// reached, the connection broke, the time limit passed, or the response was unusable
// ([ErrBadAnswer]). It unwraps to its cause, so that errors.Is(err,
// context.DeadlineExceeded) works. It also unwraps to [ErrOutcomeUnknown] if a write may
// have been executed.
type TransportError struct {
	// Host is the appliance, as [Client.Host] returns it.
	Host string
	// Method and Path are those of the request. Path is relative to /api/ and has no
	// query.
	Method, Path string
	// Attempts is how often the request was tried.
	Attempts int
	// Err is the cause of the last attempt.
	Err error
	// OutcomeUnknown is true if the request is a write that may have been executed.
	OutcomeUnknown bool

	sent  bool      // an attempt may have reached the appliance
	meant ErrorKind // overrides the kind of the error; "" if unused
}

// Is reports whether the target is the [ErrorKind] of the error.
func (e *TransportError) Is(target error) bool {
	kind, ok := target.(ErrorKind)
	return ok && kind != "" && kind == e.meaning()
}

// Error returns one line that names the appliance, the operation, the cause and, where
// one is known, a remedy.
func (e *TransportError) Error() string {
	text := operation(e.Host, e.Method, e.Path) + e.cause()
	if e.Attempts > 1 {
		text += fmt.Sprintf(" (%d attempts)", e.Attempts)
	}
	if e.OutcomeUnknown {
		return text + "; " + ErrOutcomeUnknown.Error()
	}
	if remedy := e.remedy(); remedy != "" {
		text += "; " + remedy
	}
	return text
}

// Unwrap returns the cause, and ErrOutcomeUnknown if it applies.
func (e *TransportError) Unwrap() []error {
	var errs []error
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	if e.OutcomeUnknown {
		errs = append(errs, ErrOutcomeUnknown)
	}
	return errs
}

// cause returns the cause in one line.
func (e *TransportError) cause() string {
	limit := 600
	var untrusted *CertificateError
	if errors.As(e.Err, &untrusted) {
		limit = 1200
	}
	return oneLine(causeOf(e.Err).Error(), limit)
}

// errNoCause is used as the cause of an error that has no cause.
var errNoCause = errors.New("the cause is not known")

// causeOf returns err, or errNoCause for nil. An error value that other code has built
// may have no cause.
func causeOf(err error) error {
	if err == nil {
		return errNoCause
	}
	return err
}

// LogValue returns host, method, path, attempts and the cause.
func (e *TransportError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("host", e.Host),
		slog.String("method", e.Method),
		slog.String("path", e.Path),
		slog.Int("attempts", e.Attempts),
		slog.String("cause", e.cause()),
		slog.Bool("outcome_unknown", e.OutcomeUnknown),
	)
}

// CertificateError means that the client does not trust the appliance's certificate. It
// has the fingerprint of that certificate. Compare it with the fingerprint shown on the
// appliance before you pass it to [WithPinnedCertificates]. The text of the error says
// how to fix the problem.
type CertificateError struct {
	// Fingerprint is the SHA-256 fingerprint of the certificate that the appliance
	// presented: pairs of hex digits, separated by colons. It is empty if Go could not
	// read the certificate.
	Fingerprint string
	// Err is the reason why the certificate is not trusted.
	Err error

	shown  []*x509.Certificate // the appliance's own certificate first
	unread []string            // the blocks of the CA bundle that could not be read
}

// Error returns the reason, the fingerprint and the remedy.
func (e *CertificateError) Error() string {
	text := "the appliance's certificate is not trusted: " + oneLine(causeOf(e.Err).Error(), 250) + " ("
	if e.Fingerprint != "" {
		text += "its SHA-256 fingerprint is " + e.Fingerprint + "; "
	}
	text += e.hint()
	if len(e.unread) > 0 {
		text += "; the CA bundle has blocks that cannot be read: " + oneLine(pemtext.Named(e.unread), 300)
	}
	return text + ")"
}

// Unwrap returns Err.
func (e *CertificateError) Unwrap() error { return e.Err }

// PanicError means that the function of [PasswordFunc], or the http.RoundTripper of
// [WithTransport], panicked during a login. Several callers may share one login, so each
// of them gets the panic as an error.
type PanicError struct {
	// Value is the value of the panic. It may contain a secret, so the text of the error
	// shows only its type.
	Value any
	// Stack is the stack of the goroutine, as runtime/debug.Stack returns it.
	Stack []byte
}

// Error returns the type of the value and names the field with the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("sps: the login failed because its password function or its RoundTripper panicked with a value of type %T: see Value and Stack of the PanicError", e.Value)
}

// Unwrap returns the value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LogValue returns the type of the value and the stack.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprintf("%T", e.Value)), slog.String("stack", string(e.Stack)))
}

// Format prints the text of the error, even for verbs such as %+v and %#v, because the
// value may contain a secret.
func (e *PanicError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// ExitCodeUnknown is the ExitCode of a [FirmwareTestFailedDetails] if the response has no
// exit code, or the exit code 0, which would mean that the test passed.
const ExitCodeUnknown = 0

// FirmwareTestFailedDetails is the detail of [FirmwareTestFailed]: the appliance tested
// the firmware and found a problem. The client adds this detail even if the response has
// none. Read TestSummary to find out which part of the test failed.
type FirmwareTestFailedDetails struct {
	// ExitCode is the exit code of the failed test, such as 1, or [ExitCodeUnknown].
	ExitCode int
	// TestSummary is the summary of the test: free text of several lines. It is empty if
	// the response has no summary.
	TestSummary string
}

// Error returns the exit code and the last line of the summary. Read TestSummary for the
// whole summary.
func (f *FirmwareTestFailedDetails) Error() string {
	text := "exit code unknown"
	if f.ExitCode != ExitCodeUnknown {
		text = fmt.Sprintf("exit code %d", f.ExitCode)
	}
	if last := f.lastLine(); last != "" {
		text += ", " + last
	}
	return text
}

// lastLine returns the last line of the summary that is not empty.
func (f *FirmwareTestFailedDetails) lastLine() string {
	lines := strings.Split(strings.TrimSpace(f.TestSummary), "\n")
	return oneLine(lines[len(lines)-1], 200)
}

// IncompleteRequestBodyErrorDetails is the detail of [IncompleteRequestBodyError]: the
// request lacks members.
type IncompleteRequestBodyErrorDetails struct {
	// Paths are the members that are missing in the request.
	Paths []string
}

// Error returns the paths of the missing members in one line.
func (m *IncompleteRequestBodyErrorDetails) Error() string {
	return "missing: " + oneLine(strings.Join(m.Paths, ", "), 200)
}

// ResourceNotFoundDetails is the detail of [ResourceNotFound]: it names the missing
// resource.
type ResourceNotFoundDetails struct {
	// MountPoint is the path, relative to /api/, below which the appliance did not find
	// the resource.
	MountPoint string
	// Resource is the key of the resource.
	Resource string
}

// Error returns the resource and the mount point.
func (m *ResourceNotFoundDetails) Error() string {
	if m.MountPoint == "" {
		return fmt.Sprintf("no %q", oneLine(m.Resource, 100))
	}
	return fmt.Sprintf("no %q below %q", oneLine(m.Resource, 100), oneLine(m.MountPoint, 100))
}

// UnauthenticatedDetails is the detail of [Unauthenticated]: it names the requested path.
type UnauthenticatedDetails struct {
	// Path is the path that was requested without a session, relative to /api/.
	Path string
}

// Error returns the requested path.
func (d *UnauthenticatedDetails) Error() string { return atPath(d.Path) }

// UnauthorizedDetails is the detail of [Unauthorized]: it names the requested path.
type UnauthorizedDetails struct {
	// Path is the path that the user has no right to request, relative to /api/.
	Path string
}

// Error returns the requested path.
func (d *UnauthorizedDetails) Error() string { return atPath(d.Path) }

// SyntacticErrorDetails is the detail of [SyntacticError]: it names the place of the
// refused value.
type SyntacticErrorDetails struct {
	// Path is the place of the refused value in the notation of the appliance, relative
	// to /api/: "configuration/trust_stores/1#crl_urls/0". [Faults] splits it into the
	// object and the member.
	Path string
}

// Error returns the place of the refused value.
func (d *SyntacticErrorDetails) Error() string { return atPath(d.Path) }

// OpenTransactionErrorDetails is the detail of [OpenTransactionError]: it names the
// requested path.
type OpenTransactionErrorDetails struct {
	// Path is the path that was requested while a transaction was open, relative to
	// /api/.
	Path string
}

// Error returns the requested path.
func (d *OpenTransactionErrorDetails) Error() string { return atPath(d.Path) }

func atPath(path string) string { return "at " + oneLine(path, 200) }

// SemanticErrorDetails is the detail of [SemanticError]: it lists the faults of the
// configuration.
type SemanticErrorDetails struct {
	// Errors are the faults, one for each place that a fault concerns. [Faults] returns
	// them too.
	Errors []Fault
}

// Error returns the first fault and the number of further faults.
func (s *SemanticErrorDetails) Error() string {
	if len(s.Errors) == 0 {
		return "the response names no fault"
	}
	text := oneLine(s.Errors[0].Message, 200)
	if more := len(s.Errors) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// because returns an error that unwraps to both arguments: what happened, and why. Its
// text is one line. If the first argument has a kind, the second one gets the same kind.
func because(what, why error) error {
	if kind := KindOf(what); kind != "" {
		mean(why, kind)
	}
	return &reasoned{what, why}
}

// mean sets the kind of the [Error] or [TransportError] in the tree of err.
func mean(err error, kind ErrorKind) {
	var refused *Error
	var broken *TransportError
	switch {
	case errors.As(err, &refused):
		refused.meant = kind
	case errors.As(err, &broken):
		broken.meant = kind
	}
}

type reasoned struct{ what, why error }

func (r *reasoned) Error() string {
	host, why := apart(r.why)
	_, what := apart(r.what)
	if host != "" {
		host += ": "
	}
	return "sps: " + host + what + ": " + why
}

func (r *reasoned) Unwrap() []error { return []error{r.what, r.why} }

func (r *reasoned) LogValue() slog.Value { return logged(r) }

// errorf is like fmt.Errorf, for an error that may wrap an [Error]. The log record of the
// result leaves out the message of the wrapped Error.
func errorf(format string, args ...any) error { return &worded{fmt.Errorf(format, args...)} }

type worded struct{ error }

// LogValue leaves out the text that the appliance wrote.
func (w *worded) LogValue() slog.Value { return logged(w) }

// Unwrap returns the errors that the format string wrapped with %w.
func (w *worded) Unwrap() []error {
	switch inner := w.error.(type) {
	case interface{ Unwrap() error }:
		return []error{inner.Unwrap()}
	case interface{ Unwrap() []error }:
		return inner.Unwrap()
	}
	return nil
}

// beside adds a second error to the text and to the tree of err. The argument what
// describes the second error in the text.
func beside(err error, what string, other error) error {
	return &added{err, what, other}
}

type added struct {
	err   error
	what  string
	other error
}

func (a *added) Error() string {
	host, _ := apart(a.err)
	return a.err.Error() + " (" + a.what + ": " + plainBeside(host, a.other) + ")"
}

func (a *added) Unwrap() []error { return []error{a.err, a.other} }

func (a *added) LogValue() slog.Value { return logged(a) }

// logged makes the log record of an error that may wrap an [Error]. The record has the
// text without the messages and details of wrapped errors, and the attributes of the
// first refusal.
func logged(err error) slog.Value {
	attrs := []slog.Attr{slog.String("error", withheld(err))}
	if kind := KindOf(err); kind != "" {
		attrs = append(attrs, slog.String("kind", string(kind)))
	}
	var refused *Error
	var broken *TransportError
	switch {
	case errors.As(err, &refused):
		attrs = append(attrs, refused.LogValue().Group()...)
	case errors.As(err, &broken):
		attrs = append(attrs, slog.String("host", broken.Host), slog.String("method", broken.Method), slog.String("path", broken.Path), slog.Int("attempts", broken.Attempts))
	}
	return slog.GroupValue(attrs...)
}

// withheld returns the text of an error without the messages and details of the
// appliance.
func withheld(err error) string {
	text := err.Error()
	walkErrors(err, func(e error) (deeper bool) {
		refused, ok := e.(*Error)
		if !ok {
			return true
		}
		_, said := refused.words()
		for _, part := range said {
			text = strings.ReplaceAll(text, ": "+part, ": [not logged]")
		}
		return false
	})
	return text
}

// plain returns the text of an error for use within another error's text.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "sps: ") }

// apart splits the text of an error into the name of the appliance and the remaining
// text. It returns "" as the host if the text names no appliance.
func apart(err error) (host, text string) {
	text = plain(err)
	var refused *Error
	var broken *TransportError
	var local *located
	switch {
	case errors.As(err, &refused):
		host = refused.Host
	case errors.As(err, &broken):
		host = broken.Host
	case errors.As(err, &local):
		host = local.host
	}
	if rest, ok := strings.CutPrefix(text, host+": "); ok && host != "" {
		return host, rest
	}
	return "", text
}

// plainBeside returns the text of an error for use after the name of an appliance. It
// does not repeat that name.
func plainBeside(host string, err error) string {
	if own, text := apart(err); own == host {
		return text
	}
	return plain(err)
}

const (
	// maxDetails is the maximum size in bytes of error.details for the field Details, and
	// the number of bytes of error.message that are read.
	maxDetails = 64 << 10
	// maxDetail is the maximum size in bytes of error.details for the field Detail.
	maxDetail = 1 << 20
)

// newError makes an [Error] from a response. member is the error member of the response. If
// member is nil, fallback is the message of the Error.
func newError(k *call, status int, member []byte, fallback string, secrets ...string) *Error {
	e := &Error{Status: status, Method: k.method, Path: k.path.Text, Message: fallback}
	if member == nil {
		return e
	}
	var raw rawTexts
	if members, err := wire.Members(member); err == nil {
		text, _ := wire.Text(wire.Find(members, "type"))
		raw.kind = ErrorType(text)
		raw.message, _ = wire.Text(wire.Find(members, "message"))
		raw.details = wire.Find(members, "details")
	} else if text, ok := wire.Text(member); ok {
		raw.message = text
	}
	v := veil{secrets, k.path.Text}
	raw.message = raw.message[:min(len(raw.message), maxDetails)]
	e.Type, e.Message = raw.kind, oneLine(v.shown(raw.message), 300)
	hides := v.holds(string(member))
	if hides && !raw.kind.documented() && v.holds(string(raw.kind)) {
		e.Type = typeNotShown
	}
	if kind := wire.Kind(raw.details); kind != 0 && kind != wire.Null && len(raw.details) <= maxDetails {
		e.Details = v.details(raw.details)
	}
	if len(raw.details) > maxDetail {
		raw.details = nil
	}
	e.Detail = newDetail(raw.kind, raw.details, v.detail)
	if e.Type == "" && e.Message == "" {
		e.Message = "an error member without a type and a message"
	}
	if hides {
		raw.message, raw.detail = oneLine(raw.message, 300), newDetail(raw.kind, raw.details, func(text string) string { return text })
		e.raw = &rawAnswer{&raw}
	}
	return e
}

// newDetail decodes error.details if it has the form that is known for the type. It
// applies clean to each text of the details.
func newDetail(t ErrorType, details []byte, clean func(string) string) error {
	text := func(name string) string {
		value, _ := wire.Text(member(details, name))
		return clean(value)
	}
	all := func(texts []string) []string {
		for i := range texts {
			texts[i] = clean(texts[i])
		}
		return texts
	}
	switch t {
	case FirmwareTestFailed:
		f := newFirmwareTestFailure(details)
		f.TestSummary = clean(f.TestSummary)
		return f
	case IncompleteRequestBodyError:
		if paths := texts(member(details, "missing_paths")); len(paths) > 0 {
			return &IncompleteRequestBodyErrorDetails{all(paths)}
		}
	case NotFound, ResourceNotFound:
		if m := (ResourceNotFoundDetails{strings.TrimPrefix(text("mount_point"), "/"), text("resource")}); m != (ResourceNotFoundDetails{}) {
			return &m
		}
	case Unauthenticated, Unauthorized, SyntacticError, OpenTransactionError:
		if path := detailPath(details); path != "" {
			return pathDetail(t, clean(path))
		}
	case SemanticError:
		if faults := detailFaults(details); len(faults) > 0 {
			for i := range faults {
				f := &faults[i]
				f.Message, f.Object, f.Member = clean(f.Message), clean(f.Object), clean(f.Member)
			}
			return &SemanticErrorDetails{faults}
		}
	}
	return nil
}

// pathDetail makes the detail of an error type whose detail is a path.
func pathDetail(t ErrorType, path string) error {
	if path != notShown {
		path = relative(path)
	}
	switch t {
	case Unauthenticated:
		return &UnauthenticatedDetails{path}
	case Unauthorized:
		return &UnauthorizedDetails{path}
	case OpenTransactionError:
		return &OpenTransactionErrorDetails{path}
	}
	return &SyntacticErrorDetails{path}
}

func newFirmwareTestFailure(details []byte) *FirmwareTestFailedDetails {
	f := &FirmwareTestFailedDetails{ExitCode: ExitCodeUnknown}
	if text, ok := wire.Text(member(details, "exit_code")); ok {
		if code, err := strconv.Atoi(text); err == nil {
			f.ExitCode = code
		}
	}
	f.TestSummary, _ = wire.Text(member(details, "test_summary"))
	if wire.Kind(details) == wire.String {
		f.TestSummary, _ = wire.Text(details)
	}
	return f
}

// member returns the value of a member of an object, or nil.
func member(value []byte, name string) []byte {
	if wire.Kind(value) != wire.Object {
		return nil
	}
	members, err := wire.Members(value)
	if err != nil {
		return nil
	}
	return wire.Find(members, name)
}

// texts returns the strings in an array, or a single string.
func texts(value []byte) []string {
	if text, ok := wire.Text(value); ok {
		return []string{text}
	}
	if wire.Kind(value) != wire.Array {
		return nil
	}
	elements, err := wire.Elements(value)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range elements {
		if text, ok := wire.Text(e); ok {
			found = append(found, text)
		}
	}
	return found
}

// oneLine makes a text from the appliance printable. The result is one line, has no
// control characters, and has at most limit bytes, and "…" if it was cut.
func oneLine(text string, limit int) string { return oneline.Text(text, limit) }

// inOneLine wraps an error of the caller's code and shows its text in one line.
type inOneLine struct{ err error }

func (i inOneLine) Error() string { return oneLine(i.err.Error(), 300) }

func (i inOneLine) Unwrap() error { return i.err }

// errExpiredExisting is the error of a client with an [ExistingSession] after that session
// has expired.
var errExpiredExisting = fmt.Errorf("sps: the existing session has expired and cannot be renewed: %w", Unauthenticated)
