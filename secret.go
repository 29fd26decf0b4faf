package sps

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-sps/sps/internal/wire"
)

// redacted stands in texts where a [Secret] would. It is distinctive, so that a
// body that carries it by mistake can be told from one that does not.
const redacted = "[sps.Secret]"

// Secret is a password, a key or a token. It shows itself to nobody by
// accident: fmt, encoding/json, log/slog and text encoders print a placeholder,
// also where the Secret stands in an unexported field. Only requests to the
// appliance carry the true value, and a request that carries the placeholder is
// refused before it is sent.
//
// An appliance may quote in its answer what it was sent. Errors therefore show no text
// of the appliance that holds the password, the session or a Secret of the request's
// body, in whatever spelling: as it is, as in JSON, percent-encoded, with HTML entities,
// or several of these at once. One sentence stands in the place of the whole text; error
// types of the guide and the path of the request are always shown. Secrets of less than 4
// bytes are not looked for: they occur by chance in most texts, and hiding those would
// tell the secret.
//
// A Secret is a value: copy it freely, compare it with [Secret.Equal]; == does not
// compile. The zero value is the empty secret.
type Secret struct {
	// == would compare the pointers, and find equal secrets different. It comes
	// first, where it takes no room.
	_ [0]func()
	// Behind two pointers: fmt cannot call Format on an unexported field, and
	// where a verb does not fit it follows one pointer, but prints the address
	// of a second.
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

// Equal reports whether both hold the same bytes, in constant time for secrets
// of equal length.
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

// MarshalJSON returns a placeholder. Bodies of requests are encoded by the SDK,
// which writes the true value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON takes the secret from a JSON string.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text string
	if err := wire.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a secret is a JSON string")
	}
	*s = NewSecretString(text)
	return nil
}
