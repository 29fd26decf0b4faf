package sps

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-sps/sps/internal/wire"
)

// redacted is the placeholder that is printed instead of a [Secret]. The text is unusual,
// so that the client can detect a request body that contains it by mistake.
const redacted = "[sps.Secret]"

// Secret is a password, a key or a token. fmt, encoding/json, log/slog and text encoders
// print a placeholder instead of its value, even if the Secret is in an unexported field.
// Requests to the appliance contain the true value. If a request body contains the
// placeholder, the client returns [ErrInvalidInput] and does not send it.
//
// A response of the appliance may repeat parts of the request. An error therefore does
// not show a text of the appliance that contains the password, the session id or a Secret
// of the request body. It shows a fixed sentence instead. This applies to secrets in
// plain text, as JSON, percent-encoded, with HTML entities, or in a combination of these.
// Error types that are in the REST API guide, and the path of the request, are shown even
// if they contain a secret. Secrets of less than 4 bytes are not hidden: they occur by
// chance in most texts, and the choice of the hidden texts would reveal them.
//
// A Secret is a value: copy it freely and compare it with [Secret.Equal]. Comparing with
// == does not compile. The zero value is the empty secret.
type Secret struct {
	// This field makes == a compile-time error, because == would compare the pointers and
	// report that equal secrets are different. As the first field it takes no space.
	_ [0]func()
	// value is a pointer to a pointer, so that fmt does not print the text. If a Secret
	// is in an unexported field, fmt cannot call Format. It may then follow the first
	// pointer, but it prints the second pointer as an address.
	value *secretValue
}

type secretValue struct{ text *string }

// NewSecret returns a Secret that holds a copy of the bytes.
func NewSecret(b []byte) Secret { return NewSecretString(string(b)) }

// NewSecretString returns a Secret that holds the text.
func NewSecretString(text string) Secret { return Secret{value: &secretValue{&text}} }

// Expose returns a copy of the bytes.
func (s Secret) Expose() []byte { return []byte(s.ExposeString()) }

// ExposeString returns the text.
func (s Secret) ExposeString() string {
	if s.value == nil {
		return ""
	}
	return *s.value.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.ExposeString() == "" }

// Equal reports whether both secrets have the same bytes. It takes constant time for
// secrets of equal length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Expose(), other.Expose()) == 1
}

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder.
func (s Secret) GoString() string { return redacted }

// Format prints a placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder. For request bodies, the SDK has its own encoder,
// which writes the true value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON reads the secret from a JSON string.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text string
	if err := wire.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a secret must be a JSON string")
	}
	*s = NewSecretString(text)
	return nil
}
