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

// ErrorType is the error.type of an answer in the API's own spelling. Each
// constant is an error value: test for one with
//
//	errors.Is(err, sps.ResourceNotFound)
//
// The set is open: an appliance may answer with a type that is no constant
// here, and ErrorType("ThatType") tests for it.
type ErrorType string

// The error types of the guide, with the HTTP status that it prints for each.
// The guide prints no status for IncompleteRequestBodyError, ResourceNotFound
// and FirmwareTestFailed: rely on the type, never on the status.
const (
	SyntacticError                         ErrorType = "SyntacticError"                         // 400: a value is not accepted; detail [SyntacticErrorDetails]
	SemanticError                          ErrorType = "SemanticError"                          // 400: the configuration would be inconsistent; detail [SemanticErrorDetails]
	InvalidRequestBody                     ErrorType = "InvalidRequestBody"                     // 400: the body is no proper JSON
	IncompleteRequestBodyError             ErrorType = "IncompleteRequestBodyError"             // members are missing; detail [IncompleteRequestBodyErrorDetails]
	MissingCredentialStringError           ErrorType = "MissingCredentialStringError"           // 400: starling/join without credential_string
	MissingProductInstanceError            ErrorType = "MissingProductInstanceError"            // 400: starling/join without product_instance
	Unauthenticated                        ErrorType = "Unauthenticated"                        // 401: no session, or it has expired; detail [UnauthenticatedDetails]
	AuthenticationFailure                  ErrorType = "AuthenticationFailure"                  // 401: wrong credentials
	Unauthorized                           ErrorType = "Unauthorized"                           // 403: the user lacks the right; detail [UnauthorizedDetails]
	OpenTransactionError                   ErrorType = "OpenTransactionError"                   // 403: refused while a transaction is open; detail [OpenTransactionErrorDetails]
	ForbiddenActionError                   ErrorType = "ForbiddenActionError"                   // 403: forbidden action
	StarlingJoinIsInUseByRemoteAccessError ErrorType = "StarlingJoinIsInUseByRemoteAccessError" // 403: unjoin while remote access is enabled
	RemoteAccessDependsOnStarlingJoinError ErrorType = "RemoteAccessDependsOnStarlingJoinError" // 403: remote access without a join
	StarlingJoinInfoIsReadOnlyError        ErrorType = "StarlingJoinInfoIsReadOnlyError"        // 403: join_info changed in the configuration
	NotFound                               ErrorType = "NotFound"                               // 404: the name in the guide's tables; matches ResourceNotFound too
	ResourceNotFound                       ErrorType = "ResourceNotFound"                       // the name in the guide's bodies; matches NotFound too; detail [ResourceNotFoundDetails]
	MethodNotAllowed                       ErrorType = "MethodNotAllowed"                       // 405: method not supported here
	FirmwareTestFailed                     ErrorType = "FirmwareTestFailed"                     // the firmware test found a problem; detail [FirmwareTestFailedDetails]
)

// documented reports whether the type is one of the guide's, which are all of
// requests that were not executed.
func (t ErrorType) documented() bool {
	switch t {
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError, MissingCredentialStringError,
		MissingProductInstanceError, Unauthenticated, AuthenticationFailure, Unauthorized, OpenTransactionError,
		ForbiddenActionError, StarlingJoinIsInUseByRemoteAccessError, RemoteAccessDependsOnStarlingJoinError,
		StarlingJoinInfoIsReadOnlyError, NotFound, ResourceNotFound, MethodNotAllowed, FirmwareTestFailed:
		return true
	}
	return false
}

// Error returns the type's name, in one line.
func (t ErrorType) Error() string { return oneLine(string(t), 200) }

// Is makes NotFound and ResourceNotFound match each other: the guide's tables
// use the one name and its bodies the other for the same thing. A type of the guide also
// matches its [ErrorKind].
func (t ErrorType) Is(target error) bool {
	if kind, ok := target.(ErrorKind); ok {
		return kind != "" && kind == t.meaning()
	}
	other, ok := target.(ErrorType)
	return ok && (t == NotFound || t == ResourceNotFound) && (other == NotFound || other == ResourceNotFound)
}

// Status is the HTTP status of an answer as an error value: test for one with
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

// What the SDK itself has to say. Test for each with errors.Is.
var (
	// ErrInvalidInput: an argument was refused before anything was sent. The
	// text says which and what is expected.
	ErrInvalidInput = newSentinel("invalid input", KindInvalid)
	// ErrClosed: the client was closed, before the call or during it.
	ErrClosed = newSentinel("the client is closed", "")
	// ErrBadAnswer: the appliance answered with success, and with something
	// that cannot be relied on: no JSON, truncated, too large, members missing.
	ErrBadAnswer = newSentinel("unusable answer", KindUnavailable)
	// ErrOutcomeUnknown: the request may have been executed, or may be executed yet: its
	// answer was lost, or came from something before the API. Look at the appliance
	// before you repeat it. Where the client has asked what became of it, it comes with
	// [OutcomeUnknownDetails].
	ErrOutcomeUnknown = newSentinel("the outcome is unknown", KindOutcomeUnknown)
	// ErrTransactionOnly: a write that belongs to a transaction was called
	// outside one, and was not sent.
	ErrTransactionOnly = newSentinel("only possible in a transaction", KindInvalid)
	// ErrLocked: the transaction could not be opened, because the configuration
	// is locked by somebody else or by another transaction of this session.
	ErrLocked = newSentinel("the configuration is locked", KindLocked)
	// ErrNested: a transaction was started inside one of the same client, or what
	// cannot be done in one.
	ErrNested = newSentinel("a transaction of this client is running in this context", KindInvalid)
	// ErrTransactionOver: a transaction, or a handle of it, was used after its
	// end.
	ErrTransactionOver = newSentinel("the transaction is over", KindInvalid)
	// ErrTransactionLost: the session ended inside the transaction, and the
	// appliance dropped its changes. Nothing was applied.
	ErrTransactionLost = newSentinel("the session ended and took the transaction with it", KindUnavailable)
	// ErrConflict: an object was changed by somebody else after the transaction had
	// read it and before it wrote it. It was rolled back, and may be run again.
	ErrConflict = newSentinel("somebody else changed what the transaction had read", KindConflict)
	// ErrNoSuchName: no object of a list has that name. It comes with
	// [ResourceNotFound], which alone says that there is no such list.
	ErrNoSuchName = newSentinel("no object has that name", KindNotFound)
	// ErrNoSuchAuthority: a trust store has no authority with that fingerprint.
	ErrNoSuchAuthority = newSentinel("no authority has that fingerprint", KindNotFound)
	// ErrAuthorityExists: a trust store has that authority already.
	ErrAuthorityExists = newSentinel("the authority is there already", KindRefused)
	// ErrNoCluster: the appliance is not the Central Management node of a cluster.
	ErrNoCluster = newSentinel("the appliance is not the Central Management node of a cluster", KindRefused)
	// ErrStarlingNotJoined: the appliance is not joined to Starling.
	ErrStarlingNotJoined = newSentinel("the appliance is not joined to Starling", KindRefused)
	// ErrOtherClient: a handle of one client was used with another's
	// transaction.
	ErrOtherClient = newSentinel("the handle belongs to another client", KindInvalid)
	// ErrCommitMessageRequired: the appliance demands a commit message; pass
	// [WithMessage], or [WithMessage] for an upgrade. It comes before anything is
	// written, and on appliances before 7.0, which do not say so, with the refusal of
	// the commit.
	ErrCommitMessageRequired = newSentinel("the appliance requires a commit message", KindInvalid)
	// ErrNoEmptySlot: there is no empty firmware slot for an upload or a fetch;
	// delete one with [FirmwareSlots.Delete].
	ErrNoEmptySlot = newSentinel("the appliance has no empty firmware slot", KindRefused)
	// ErrFetchDone: a firmware fetch has ended and cannot be cancelled.
	ErrFetchDone = newSentinel("the fetch has ended", KindRefused)
	// ErrFetchRunning: a firmware fetch has not ended; cancel it first.
	ErrFetchRunning = newSentinel("the fetch is under way", KindRefused)
	// ErrWrongVersion: the appliance restarted, and runs another version than the one
	// that was waited for.
	ErrWrongVersion = newSentinel("the appliance came back with another version", KindRefused)
	// ErrUnexpectedImage: the slot holds another version than [WithExpectedVersion] says.
	ErrUnexpectedImage = newSentinel("the image is not the expected one", KindRefused)
	// ErrSlotInUse: the firmware slot holds the running firmware, or the one
	// for after the reboot, and cannot be deleted.
	ErrSlotInUse = newSentinel("the firmware slot is in use", KindRefused)
	// ErrNoRecording: the session has no recording that could be downloaded.
	ErrNoRecording = newSentinel("the session has no recording", KindNotFound)
	// ErrSnapshotQuota: the appliance keeps no further snapshot for a search, because
	// another program or user has one. It ends five minutes after its last use; see
	// [WithSnapshotWait].
	ErrSnapshotQuota = newSentinel("another search has the appliance's snapshot", KindUnavailable)
	// ErrSearchInUse: a search of this client reads a snapshot, and a second one would
	// take it away. End the loop over the first one before, or use [WithoutSnapshot].
	ErrSearchInUse = newSentinel("another search of this client reads a snapshot", KindInvalid)
	// ErrSearchCeiling: there are more sessions than the appliance gives to a search that
	// has no snapshot. The text says why the search could not be cut into pieces.
	ErrSearchCeiling = newSentinel("the search finds 10000 sessions or more, and the appliance does not show what is beyond", KindRefused)
	// ErrSnapshotLost: the snapshot of a search vanished, and the search cannot go on
	// where it was: its order does not tell what was handed on.
	ErrSnapshotLost = newSentinel("the snapshot of the search has vanished", KindUnavailable)
	// ErrSnapshotTaken: the snapshot of a search vanished again and again, as it does when
	// two programs with the same user and address take it from each other.
	ErrSnapshotTaken = newSentinel("the snapshot of the search vanishes again and again", KindUnavailable)
	// ErrCheckpoint: what a [AuditSessions.Follow] is to go on from is no checkpoint of
	// this appliance and this query. Nothing was sent.
	ErrCheckpoint = newSentinel("the checkpoint cannot be used", KindInvalid)
	// ErrCheckpointFull: so many sessions ended at the same time, or go on, that they do
	// not fit into a checkpoint of 64 KiB.
	ErrCheckpointFull = newSentinel("the checkpoint would be larger than 64 KiB", KindRefused)
)

// Error is an answer by which the appliance refused a request. Get it with
// errors.As; it unwraps to its [ErrorType], its [Status] and its typed detail, so
// errors.Is and errors.As find each of them. It matches its [ErrorKind], too.
//
// An answer with an error member is an Error whatever its status, 200 included;
// so is every answer of status 300 or above, with an empty Type where its body
// names none.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Type is error.type, empty where the answer names none. One that the guide does
	// not have and that holds a secret of the request is not shown here: errors.Is finds
	// it nonetheless.
	Type ErrorType
	// Message is error.message in one line, shortened and without control characters.
	// Where it holds a secret of the request or of the login, in whatever spelling, one
	// sentence takes its place; so it is with each text of the typed details.
	Message string
	// Details is error.details as it was sent, nil where it is absent or larger
	// than 64 KiB. Where it holds such a secret it is that sentence, a JSON string.
	Details json.RawMessage
	// Detail is what Details says, as a type: the detail of the type X is *XDetails, such
	// as [FirmwareTestFailedDetails] of [FirmwareTestFailed]. It is nil where the type has
	// none or the answer does not say it. A test that builds an Error sets it by hand.
	Detail error
	// Host is the appliance, as [Client.Host] names it.
	Host string
	// Method and Path name the request; Path is relative to /api/ and has no
	// query.
	Method, Path string
	// Attempts is how often the request was tried; 0 where it was not sent, because its
	// session had ended before.
	Attempts int
	// RetryAfter is how long the appliance asks to wait before the next try, by the
	// header Retry-After of its answer; 0 where it does not ask.
	RetryAfter time.Duration
	// OutcomeUnknown is set where a write was answered with 500 or above, or with a
	// redirect, and not with an error type of the guide: by the web server before the
	// API, say, or by an appliance that stumbled. It may have been executed.
	OutcomeUnknown bool

	raw   *rawAnswer // what is hidden of the answer, nil where nothing is
	meant ErrorKind  // what it means where it was met, "" for what its type means
	over  bool       // it is about a session that was handed in and has ended
}

// mayBeExecuted reports whether the answer does not prove that the request was not
// executed.
func (e *Error) mayBeExecuted() bool {
	redirected := e.Type == "" && e.Status >= 300 && e.Status < 400
	return redirected || e.Status >= 500 && e.Status != http.StatusNotImplemented && !e.kind().documented()
}

// Error returns one line that names the appliance, the operation, the type, the status
// and the message.
func (e *Error) Error() string {
	text, said := e.words()
	for _, part := range said {
		text += ": " + part
	}
	if e.OutcomeUnknown {
		text += "; " + ErrOutcomeUnknown.Error()
	}
	return text
}

// words are what the text of the error begins with, and what the appliance said: the
// message and the detail.
func (e *Error) words() (text string, said []string) {
	text = operation(e.Host, e.Method, e.Path)
	if e.Type != "" {
		text += fmt.Sprintf("%s (%d)", oneLine(string(e.Type), 100), e.Status)
	} else {
		text += Status(e.Status).Error()
	}
	detail := ""
	if _, told := e.Detail.(ProductWarning); e.Detail != nil && !told { // which is the message
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

// operation is how the text of an error begins that is about one request.
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

// onlyType is the type of an error whose kind something else tells.
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

// LogValue returns host, method, path, status, type and attempts, without the message and
// the details: they may quote what was sent. The errors of this package that wrap an Error
// withhold them, too.
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

// TransportError says that a request got no answer that can be relied on: the
// appliance could not be reached, the connection broke, time ran out, or what came is
// no proper answer, which is [ErrBadAnswer] too. It unwraps to
// the cause, so errors.Is(err, context.DeadlineExceeded) and the like work, and
// to [ErrOutcomeUnknown] where a write may have been executed.
type TransportError struct {
	// Host is the appliance, as [Client.Host] names it.
	Host string
	// Method and Path name the request; Path is relative to /api/ and has no
	// query.
	Method, Path string
	// Attempts is how often the request was tried.
	Attempts int
	// Err is the cause of the last attempt.
	Err error
	// OutcomeUnknown is set where the request, a write, may have been executed.
	OutcomeUnknown bool

	sent  bool      // an attempt may have reached the appliance
	meant ErrorKind // what it means where it was met, "" for what it means by itself
}

// Is reports whether the target is the [ErrorKind] of the error.
func (e *TransportError) Is(target error) bool {
	kind, ok := target.(ErrorKind)
	return ok && kind != "" && kind == e.meaning()
}

// Error returns one line that names the appliance, the operation and the cause.
func (e *TransportError) Error() string {
	text := operation(e.Host, e.Method, e.Path) + e.cause()
	if e.Attempts > 1 {
		text += fmt.Sprintf(" (%d attempts)", e.Attempts)
	}
	if e.OutcomeUnknown {
		text += "; " + ErrOutcomeUnknown.Error()
	}
	return text
}

// Unwrap returns the cause, and ErrOutcomeUnknown where it applies.
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

// cause is the cause in one line. The text of a certificate says what helps at its end.
func (e *TransportError) cause() string {
	limit := 600
	var untrusted *CertificateError
	if errors.As(e.Err, &untrusted) {
		limit = 1200
	}
	return oneLine(causeOf(e.Err).Error(), limit)
}

// errNoCause stands for the cause that an error has not been given.
var errNoCause = errors.New("the cause is not known")

// causeOf is the cause of an error; one that others have built may lack it.
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

// CertificateError says that the appliance's certificate was not trusted, and
// gives its fingerprint, to compare with the appliance's own before it is
// passed to [WithPinnedCertificates]. The text says what helps with the reason.
type CertificateError struct {
	// Fingerprint is the SHA-256 of the certificate that the appliance showed:
	// hex digits in pairs, separated by colons.
	// Empty where it is not known: Go could not read the certificate.
	Fingerprint string
	// Err is the reason.
	Err error

	shown  []*x509.Certificate // the appliance's own first
	unread []string            // the blocks of the CA bundle that could not be read
}

// Error returns the reason, the fingerprint and what helps.
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

// Unwrap returns the reason.
func (e *CertificateError) Unwrap() error { return e.Err }

// PanicError says that the function of [PasswordFunc], or the http.RoundTripper of
// [WithTransport] during a login, panicked. A login serves several callers, so the panic
// does not go on in one of them.
type PanicError struct {
	// Value is what it panicked with. It may hold a secret: the text of the error shows
	// its type only.
	Value any
	// Stack is the stack of the goroutine, as runtime/debug.Stack gives it.
	Stack []byte
}

// Error returns the type of the value, and where the stack is.
func (e *PanicError) Error() string {
	return fmt.Sprintf("sps: the login failed by a panic of its password function or its RoundTripper, with a value of type %T: see Value and Stack of the PanicError", e.Value)
}

// Unwrap returns the value where that is an error, nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LogValue returns the type of the value, and the stack.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprintf("%T", e.Value)), slog.String("stack", string(e.Stack)))
}

// Format prints the error's text for every verb: the value may hold a secret.
func (e *PanicError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// ExitCodeUnknown is the exit code of a [FirmwareTestFailedDetails] whose answer named
// none, or 0, which no test that failed has.
const ExitCodeUnknown = 0

// FirmwareTestFailedDetails is the detail of [FirmwareTestFailed]: the appliance
// tested the firmware and found a problem. It is given for every
// FirmwareTestFailed, also where the answer has no details. Which of the areas
// that a test looks at was the problem, only the summary says.
type FirmwareTestFailedDetails struct {
	// ExitCode is 1 for a failed test, [ExitCodeUnknown] where the answer does
	// not say.
	ExitCode int
	// TestSummary is the summary of the test, free text of several lines; empty
	// where the answer has none.
	TestSummary string
}

// Error returns the exit code and the last line of the summary, which is for people to
// read in full.
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

// lastLine returns where the summary ended.
func (f *FirmwareTestFailedDetails) lastLine() string {
	lines := strings.Split(strings.TrimSpace(f.TestSummary), "\n")
	return oneLine(lines[len(lines)-1], 200)
}

// IncompleteRequestBodyErrorDetails is the detail of [IncompleteRequestBodyError].
type IncompleteRequestBodyErrorDetails struct {
	// Paths are the members that the request lacked.
	Paths []string
}

// Error returns the paths.
func (m *IncompleteRequestBodyErrorDetails) Error() string {
	return "missing: " + oneLine(strings.Join(m.Paths, ", "), 200)
}

// ResourceNotFoundDetails is the detail of [ResourceNotFound].
type ResourceNotFoundDetails struct {
	// MountPoint is the path, relative to /api/, below which the resource was looked
	// for.
	MountPoint string
	// Resource is its key.
	Resource string
}

// Error returns the resource and the mount point.
func (m *ResourceNotFoundDetails) Error() string {
	if m.MountPoint == "" {
		return fmt.Sprintf("no %q", oneLine(m.Resource, 100))
	}
	return fmt.Sprintf("no %q below %q", oneLine(m.Resource, 100), oneLine(m.MountPoint, 100))
}

// UnauthenticatedDetails is the detail of [Unauthenticated].
type UnauthenticatedDetails struct {
	// Path is what was asked for without a session, relative to /api/.
	Path string
}

// Error returns the path.
func (d *UnauthenticatedDetails) Error() string { return atPath(d.Path) }

// UnauthorizedDetails is the detail of [Unauthorized].
type UnauthorizedDetails struct {
	// Path is what was asked for without the right, relative to /api/.
	Path string
}

// Error returns the path.
func (d *UnauthorizedDetails) Error() string { return atPath(d.Path) }

// SyntacticErrorDetails is the detail of [SyntacticError].
type SyntacticErrorDetails struct {
	// Path is the value that was not accepted, as the appliance names it, but relative to
	// /api/: "configuration/trust_stores/1#crl_urls/0". [Faults] takes it apart.
	Path string
}

// Error returns the path.
func (d *SyntacticErrorDetails) Error() string { return atPath(d.Path) }

// OpenTransactionErrorDetails is the detail of [OpenTransactionError].
type OpenTransactionErrorDetails struct {
	// Path is what was asked for while a transaction was open, relative to /api/.
	Path string
}

// Error returns the path.
func (d *OpenTransactionErrorDetails) Error() string { return atPath(d.Path) }

func atPath(path string) string { return "at " + oneLine(path, 200) }

// SemanticErrorDetails is the detail of [SemanticError].
type SemanticErrorDetails struct {
	// Errors are the faults that were found, one for each place that a fault concerns.
	// [Faults] gives them with those of other errors.
	Errors []Fault
}

// Error returns the first fault and how many there are.
func (s *SemanticErrorDetails) Error() string {
	if len(s.Errors) == 0 {
		return "no fault named"
	}
	text := oneLine(s.Errors[0].Message, 200)
	if more := len(s.Errors) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// because makes one line of an error and its reason, both of which it unwraps to. Where
// what has a kind, the reason has no other.
func because(what, why error) error {
	if kind := KindOf(what); kind != "" {
		mean(why, kind)
	}
	return &reasoned{what, why}
}

// mean says what the refusal or the lost answer in an error means where it was met.
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

// errorf is fmt.Errorf for an error that may wrap an [Error], whose message its records
// withhold.
func errorf(format string, args ...any) error { return &worded{fmt.Errorf(format, args...)} }

type worded struct{ error }

// LogValue withholds what the appliance wrote.
func (w *worded) LogValue() slog.Value { return logged(w) }

// Unwrap returns what the text was made of.
func (w *worded) Unwrap() []error {
	switch inner := w.error.(type) {
	case interface{ Unwrap() error }:
		return []error{inner.Unwrap()}
	case interface{ Unwrap() []error }:
		return inner.Unwrap()
	}
	return nil
}

// beside adds to an error another one, which went wrong after it.
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

// logged is the record of an error that may wrap an [Error]: its text without the
// messages and details of what it wraps, and what the first refusal was about.
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

// withheld is the text of an error without what the appliance wrote into it.
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

// plain is the text of an error within another one's.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "sps: ") }

// apart splits the text of an error into the appliance that it names, "" for none, and
// the rest.
func apart(err error) (host, text string) {
	text = plain(err)
	var refused *Error
	var broken *TransportError
	switch {
	case errors.As(err, &refused):
		host = refused.Host
	case errors.As(err, &broken):
		host = broken.Host
	}
	if rest, ok := strings.CutPrefix(text, host+": "); ok && host != "" {
		return host, rest
	}
	return "", text
}

// plainBeside is plain beside the name of an appliance, which is not repeated.
func plainBeside(host string, err error) string {
	if own, text := apart(err); own == host {
		return text
	}
	return plain(err)
}

// maxDetails bounds what is kept of error.details and looked at of error.message,
// maxDetail what is decoded of the details.
const (
	maxDetails = 64 << 10
	maxDetail  = 1 << 20
)

// newError makes the error of an answer. member is its error member, nil where
// it has none; fallback is the message then.
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

// newDetail decodes error.details as far as it has the form that is known for
// the type. Every text goes through clean.
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

// pathDetail makes the detail of a type whose detail is a path.
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

// member returns the value of a member of an object, nil for anything else.
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

// texts returns the texts of an array, or of a single text.
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

// oneLine makes a text of the other side fit to print: one line, no control
// characters, at most limit bytes.
func oneLine(text string, limit int) string { return oneline.Text(text, limit) }
