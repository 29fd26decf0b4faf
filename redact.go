package sps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/go-sps/sps/internal/attempt"
	"github.com/go-sps/sps/internal/redact"
	"github.com/go-sps/sps/internal/wire"
)

// This file decides which texts of the appliance may be shown. Decisions use the answer
// as it was received; only printed texts are hidden. A text that contains a secret is
// replaced as a whole, because a placeholder inside it would reveal where the secret is.
// The SDK's own words, the guide's error types and the path of the request are always
// shown.

const (
	// notShown replaces a text of the appliance.
	notShown = "the appliance's text is not shown: it contains a secret of this request"
	// kindNotShown replaces a media type or a host.
	kindNotShown = "that is not shown: it contains a secret of this request"
	// typeNotShown replaces an error type that the guide does not have.
	typeNotShown ErrorType = "type not shown: it contains a secret of this request"
)

// veil hides the secrets of one call. The zero value hides nothing.
type veil struct {
	secrets []string
	path    string // of the request, which is always shown
}

// veil returns the veil for the secrets of the call and its session.
func (x *exchange) veil() veil { return veil{x.secrets(), x.path.Text} }

// holds reports whether a text contains a secret.
func (v veil) holds(text string) bool { return redact.Holds(text, v.secrets) }

// shown returns a text of the appliance, or a fixed sentence instead.
func (v veil) shown(text string) string {
	if v.holds(text) {
		return notShown
	}
	return text
}

// detail is shown for a text that may repeat the path of the request.
func (v veil) detail(text string) string {
	if strings.Contains("/api/"+v.path, text) {
		return text
	}
	return v.shown(text)
}

// details returns error.details, or a fixed sentence instead.
func (v veil) details(value []byte) json.RawMessage {
	plain := wire.Plain(value)
	if text, ok := wire.Text(value); ok && strings.Contains("/api/"+v.path, text) || !v.holds(string(plain)) {
		return plain
	}
	return json.RawMessage(`"` + notShown + `"`)
}

// words marks the SDK's own words among the arguments of [answer.unusable].
type words string

// Media types that are always shown.
var mediaTypes = map[string]bool{
	"application/json": true, "application/octet-stream": true, "application/pdf": true, "application/problem+json": true,
	"application/x-www-form-urlencoded": true, "application/xhtml+xml": true, "application/xml": true, "application/zip": true,
	"text/css": true, "text/csv": true, "text/html": true, "text/javascript": true, "text/plain": true, "text/xml": true,
}

// mediaType returns the media type of an answer.
func (v veil) mediaType(header http.Header) string {
	kind := contentType(header)
	if !mediaTypes[kind] && v.holds(header.Get("Content-Type")) {
		return "a type " + kindNotShown
	}
	return oneLine(kind, 60)
}

// secretName reports whether the name of a member marks its value as secret. It serves
// for members without a type.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"passw", "passphrase", "secret", "community", "private", "credential", "token", "psk"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// rawAnswer holds the hidden parts of an [Error], on which decisions are based. Like a
// [Secret], it is behind two pointers, because fmt follows one.
type rawAnswer struct{ *rawTexts }

type rawTexts struct {
	kind    ErrorType
	message string
	details []byte
	detail  error
}

// kind returns the type as it was sent.
func (e *Error) kind() ErrorType {
	if e.raw != nil {
		return e.raw.kind
	}
	return e.Type
}

// said returns the message as it was sent, in one line and shortened.
func (e *Error) said() string {
	if e.raw != nil {
		return e.raw.message
	}
	return e.Message
}

// details returns the details as they were sent.
func (e *Error) details() []byte {
	if e.raw != nil {
		return e.raw.details
	}
	return e.Details
}

// told returns the typed detail as it was sent.
func (e *Error) told() error {
	if e.raw != nil {
		return e.raw.detail
	}
	return e.Detail
}

// unshown is a hidden error type. errors.Is still finds it.
type unshown struct{ raw *rawAnswer }

func (u unshown) Error() string { return typeNotShown.Error() }

func (u unshown) Is(target error) bool {
	other, ok := target.(ErrorType)
	return ok && (other == u.raw.kind || other == typeNotShown)
}

func (u unshown) As(target any) bool {
	kind, ok := target.(*ErrorType)
	if ok {
		*kind = typeNotShown
	}
	return ok
}

// hidden is a connection error whose text contains a secret, because net/http quotes what
// it cannot parse. errors.Is treats it like the original. errors.As finds only wrapped
// errors whose text does not come from the other side.
type hidden struct {
	raw  *error // behind a pointer, so that fmt does not print it
	safe error
}

func (h *hidden) Error() string { return notShown }

func (h *hidden) Unwrap() error { return h.safe }

func (h *hidden) Is(target error) bool { return errors.Is(*h.raw, target) }

// hide removes secrets from an error of the connection, unless it is the caller's own
// error.
func (x *exchange) hide(caller context.Context, err error) error {
	if err == context.Cause(caller) {
		return err
	}
	return x.veil().hide(err)
}

func (v veil) hide(err error) error {
	text := err.Error()
	if !v.holds(text) {
		return err
	}
	safe := ownError(err)
	if safe != nil {
		text = strings.Replace(text, safe.Error(), "", 1)
	}
	if !v.holds(foreignPart(text)) {
		return err
	}
	return &hidden{&err, safe}
}

// ownError returns the outermost error of a chain whose text comes from the operating
// system or the SDK.
func ownError(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		switch err.(type) {
		case *net.OpError, *net.DNSError, *net.AddrError, *os.SyscallError, syscall.Errno,
			*tls.CertificateVerificationError, tls.RecordHeaderError, x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError,
			*CertificateError, attempt.Timeout, errSink:
			return err
		}
		switch err {
		case io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, ErrClosed, ErrTransactionOver, net.ErrClosed:
			return err
		}
	}
	return nil
}

// foreignPart returns a text without the leading words of net/http and crypto/tls.
func foreignPart(text string) string {
	for _, own := range []string{"tls: ", "x509: "} { // these quote nothing
		if strings.HasPrefix(text, own) {
			return ""
		}
	}
	for _, own := range []string{
		"net/http: HTTP/1.x transport connection broken: ", "net/http: TLS handshake timeout", "net/http: timeout awaiting response headers",
		"net/http: request canceled while waiting for connection", "net/http: request canceled", "http: server closed idle connection",
		"malformed HTTP response ", "malformed HTTP status code ", "malformed HTTP version ",
		"malformed MIME header: missing colon: ", "malformed MIME header line: ", "malformed MIME header initial line: ", "malformed MIME header: ",
	} {
		text = strings.TrimPrefix(text, own)
	}
	return text
}
