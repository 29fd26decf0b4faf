package sps

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-sps/sps/internal/wire"
)

// redacted replaces a [Secret] in texts. It is distinctive, so that the client can
// recognise a body that contains it by mistake.
const redacted = "[sps.Secret]"

// Secret is a password, a key or a token. fmt, encoding/json, log/slog and text encoders
// print a placeholder instead of its value, even if the Secret is in an unexported field.
// Only requests to the appliance carry the true value. A request that contains the
// placeholder is refused before it is sent.
//
// The answer of an appliance may quote what the client sent. An error therefore hides
// every text of the appliance that contains the password, the session id or a Secret of
// the request's body, in any of these spellings: plain, JSON, percent-encoding, HTML
// entities, or a combination. A fixed sentence replaces the whole text. Error types of
// the guide and the path of the request are always shown. Secrets of less than 4 bytes
// are not hidden: they occur by chance in most texts, and hiding them would reveal them.
//
// A Secret is a value: copy it freely and compare it with [Secret.Equal]. Comparing with
// == does not compile. The zero value is the empty secret.
type Secret struct {
	// This field forbids ==, which would compare the pointers and call equal secrets
	// different. As the first field it takes no space.
	_ [0]func()
	// Two pointers hide the value. fmt cannot call Format on an unexported field. For a
	// verb that does not fit, fmt follows one pointer but prints the address of a second.
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

// MarshalJSON returns a placeholder. The SDK encodes request bodies in another way, with
// the true value.
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
