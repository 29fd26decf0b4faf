package sps

import (
	"errors"

	"github.com/go-sps/sps/internal/wire"
)

// This file tells what is odd about what a list shows, and no reason to show nothing.

// isRecord reports whether an entry is the value itself, without key, meta and body, as in
// half of the lists below audit/. In the configuration there are none: whoever changes an
// object needs its key.
func isRecord(a *answer, e wire.Envelope) bool {
	return e.Meta == nil && e.Body == nil && len(e.All) > 0 && !a.exchange.path.Below(transactional...)
}

// garbledText is an error about one object, whose text is not proper. The others of a list
// are not concerned.
type garbledText struct{ err error }

func (g *garbledText) Error() string { return g.err.Error() }

func (g *garbledText) Unwrap() error { return g.err }

// readable refuses an object whose text would not be what the appliance has: somebody may
// write it back.
func readable(a *answer, e wire.Envelope, key string) error {
	if !e.Garbled {
		return nil
	}
	err := wire.Valid(e.Body)
	if err == nil {
		return nil
	}
	return &garbledText{a.unusable("the body of %s has text that is not valid UTF-8: %s; Client.Invoke shows the bytes of %s",
		oneLine(key, 60), oneLine(err.Error(), 200), words("/api/"+a.exchange.path.Text))}
}

func isGarbled(err error) bool {
	var garbled *garbledText
	return errors.As(err, &garbled)
}

// garbledOf makes one error of those of a list, nil of none.
func garbledOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return joined("sps", errs)
}
