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

// This file decides which texts of the appliance an error may show. If a text contains a
// secret, it replaces the whole text, because a placeholder inside the text would reveal
// where the secret is. It does not replace texts of the SDK, error types that are in the
// REST API guide, or the path of the request. The client itself uses the original texts
// for its decisions.

const (
	// notShown replaces a text of the appliance.
	notShown = "the appliance's text is not shown: it contains a secret of this request"
	// kindNotShown is the end of a text that replaces a media type or a host.
	kindNotShown = "that is not shown: it contains a secret of this request"
	// typeNotShown replaces an error type that is not in the REST API guide.
	typeNotShown ErrorType = "type not shown: it contains a secret of this request"
)

// veil hides the secrets of one call. The zero value hides nothing.
type veil struct {
	secrets []string
	path    string // the path of the request, which is not hidden
}

// veil returns the veil for the secrets of the call and its session.
func (x *exchange) veil() veil { return veil{x.secrets(), x.path.Text} }

// holds reports whether a text contains a secret.
func (v veil) holds(text string) bool { return redact.Holds(text, v.secrets) }

// shown returns a text of the appliance, or notShown if the text contains a secret.
func (v veil) shown(text string) string {
	if v.holds(text) {
		return notShown
	}
	return text
}

// detail is like shown, but it also returns a text that is a part of the request's path.
func (v veil) detail(text string) string {
	if strings.Contains("/api/"+v.path, text) {
		return text
	}
	return v.shown(text)
}

// details returns error.details, or notShown as a JSON string if the details contain a
// secret.
func (v veil) details(value []byte) json.RawMessage {
	plain := wire.Plain(value)
	if text, ok := wire.Text(value); ok && strings.Contains("/api/"+v.path, text) || !v.holds(string(plain)) {
		return plain
	}
	return json.RawMessage(`"` + notShown + `"`)
}

// words is the type of an argument of [answer.unusable] that is a text of the SDK and not
// of the appliance.
type words string

// mediaTypes are the media types that an error shows even if they contain a secret.
var mediaTypes = map[string]bool{
	"application/json": true, "application/octet-stream": true, "application/pdf": true, "application/problem+json": true,
	"application/x-www-form-urlencoded": true, "application/xhtml+xml": true, "application/xml": true, "application/zip": true,
	"text/css": true, "text/csv": true, "text/html": true, "text/javascript": true, "text/plain": true, "text/xml": true,
}

// mediaType returns the media type of a response for an error text. If an unusual media
// type contains a secret, a fixed text replaces it.
func (v veil) mediaType(header http.Header) string {
	kind := contentType(header)
	if !mediaTypes[kind] && v.holds(header.Get("Content-Type")) {
		return "a type " + kindNotShown
	}
	return oneLine(kind, 60)
}

// secretName reports whether the value of a member is secret, according to the name of
// the member. It is for members whose Go type is not known.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"passw", "passphrase", "secret", "community", "private", "credential", "token", "psk"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// rawAnswer holds the original texts of an [Error] whose fields hide a secret. The client
// uses them for its decisions. Like the value of a [Secret], they are behind two
// pointers, because fmt follows one pointer.
type rawAnswer struct{ *rawTexts }

type rawTexts struct {
	kind    ErrorType
	message string
	details []byte
	detail  error
}

// kind returns the original error type.
func (e *Error) kind() ErrorType {
	if e.raw != nil {
		return e.raw.kind
	}
	return e.Type
}

// said returns the original message, in one line and shortened.
func (e *Error) said() string {
	if e.raw != nil {
		return e.raw.message
	}
	return e.Message
}

// details returns the original details.
func (e *Error) details() []byte {
	if e.raw != nil {
		return e.raw.details
	}
	return e.Details
}

// told returns the original typed detail.
func (e *Error) told() error {
	if e.raw != nil {
		return e.raw.detail
	}
	return e.Detail
}

// unshown is an error type that is not shown. errors.Is still matches the original type.
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

// hidden replaces a connection error whose text contains a secret, which happens because
// net/http quotes a response that it cannot parse. errors.Is matches the same errors as
// with the original error. errors.As finds only wrapped errors whose text does not come
// from the server.
type hidden struct {
	raw  *error // behind a pointer, so that fmt does not print it
	safe error
}

func (h *hidden) Error() string { return notShown }

func (h *hidden) Unwrap() error { return h.safe }

func (h *hidden) Is(target error) bool { return errors.Is(*h.raw, target) }

// hide replaces an error of the connection if its text contains a secret. It does not
// replace the caller's own error.
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

// foreignPart returns the part of a text that may come from the server: it removes the
// leading words of net/http and crypto/tls.
func foreignPart(text string) string {
	for _, own := range []string{"tls: ", "x509: "} { // error texts of crypto/tls and crypto/x509 do not quote the server
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
