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

// This file decides what of the other side's texts may be shown. What an answer means
// is decided on the answer as it came: hiding is for what is printed. A text that holds
// a secret is replaced as a whole, because a placeholder within it would tell where,
// and so what, the secret is. The SDK's own words, error types of the guide and the path
// of the request are never touched.

const (
	// notShown takes the place of a text of the other side.
	notShown = "the appliance's text is not shown: it contains a secret of this request"
	// kindNotShown takes the place of a media type or a host.
	kindNotShown = "that is not shown: it contains a secret of this request"
	// typeNotShown takes the place of an error type that the guide does not have.
	typeNotShown ErrorType = "type not shown: it contains a secret of this request"
)

// veil hides the secrets of one call. The zero veil hides nothing.
type veil struct {
	secrets []string
	path    string // of the request, which is shown anyway
}

// veil returns what hides the secrets of the call and of its session.
func (x *exchange) veil() veil { return veil{x.secrets(), x.path.Text} }

// holds reports whether a text holds a secret.
func (v veil) holds(text string) bool { return redact.Holds(text, v.secrets) }

// shown returns a text of the other side, or a sentence in its place.
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

// details returns error.details, or a sentence in their place.
func (v veil) details(value []byte) json.RawMessage {
	plain := wire.Plain(value)
	if text, ok := wire.Text(value); ok && strings.Contains("/api/"+v.path, text) || !v.holds(string(plain)) {
		return plain
	}
	return json.RawMessage(`"` + notShown + `"`)
}

// words are the SDK's own among the arguments of [answer.unusable].
type words string

// Media types that are shown whatever the secrets are: they tell nothing of them.
var mediaTypes = map[string]bool{
	"application/json": true, "application/octet-stream": true, "application/pdf": true, "application/problem+json": true,
	"application/x-www-form-urlencoded": true, "application/xhtml+xml": true, "application/xml": true, "application/zip": true,
	"text/css": true, "text/csv": true, "text/html": true, "text/javascript": true, "text/plain": true, "text/xml": true,
}

// mediaType names what an answer is.
func (v veil) mediaType(header http.Header) string {
	kind := contentType(header)
	if !mediaTypes[kind] && v.holds(header.Get("Content-Type")) {
		return "a type " + kindNotShown
	}
	return oneLine(kind, 60)
}

// secretName reports whether a member's name says that its value is a secret, for members
// that no type tells to be one.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"passw", "passphrase", "secret", "community", "private", "credential", "token", "psk"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// rawAnswer is what an [Error] hides: decisions are made on it. As in a [Secret], it
// stands behind two pointers, because fmt follows one.
type rawAnswer struct{ *rawTexts }

type rawTexts struct {
	kind    ErrorType
	message string
	details []byte
	detail  error
}

// kind is the type as it was sent.
func (e *Error) kind() ErrorType {
	if e.raw != nil {
		return e.raw.kind
	}
	return e.Type
}

// said is the message as it was sent, in one line and shortened.
func (e *Error) said() string {
	if e.raw != nil {
		return e.raw.message
	}
	return e.Message
}

// details are the details as they were sent.
func (e *Error) details() []byte {
	if e.raw != nil {
		return e.raw.details
	}
	return e.Details
}

// told is the typed detail as it was sent.
func (e *Error) told() error {
	if e.raw != nil {
		return e.raw.detail
	}
	return e.Detail
}

// unshown is an error type that is not shown. errors.Is finds it nonetheless.
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

// hidden is an error of the connection whose text holds a secret: net/http quotes what
// it cannot parse. It is what it was for errors.Is; for errors.As only as far as it
// wraps an error whose text is none of the other side's.
type hidden struct {
	raw  *error // behind a pointer, so that fmt does not print it
	safe error
}

func (h *hidden) Error() string { return notShown }

func (h *hidden) Unwrap() error { return h.safe }

func (h *hidden) Is(target error) bool { return errors.Is(*h.raw, target) }

// hide keeps secrets out of an error of the connection, unless it is the caller's own.
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

// ownError returns the outermost error of a chain whose text is not the other side's:
// the operating system's and the SDK's.
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

// foreignPart returns a text without the words that net/http and crypto/tls begin with.
func foreignPart(text string) string {
	for _, own := range []string{"tls: ", "x509: "} { // they quote nothing
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
