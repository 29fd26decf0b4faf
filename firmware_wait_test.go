package sps

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestVersionWait goes through what waiting sees, look by look, ten seconds apart.
func TestVersionWait(t *testing.T) {
	t.Parallel()
	old, wanted := &ApplianceInfo{FirmwareVersion: "7.4.0", BuildDate: "a"}, &ApplianceInfo{FirmwareVersion: "8.0.0", BuildDate: "b"}
	other := &ApplianceInfo{FirmwareVersion: "7.5.0"}
	rebuilt := &ApplianceInfo{FirmwareVersion: "7.4.0", BuildDate: "b"}
	reset := &TransportError{Err: io.EOF}
	nonsense := &TransportError{Err: ErrBadAnswer}
	slow := &TransportError{Err: context.DeadlineExceeded}
	untrusted := &TransportError{Err: &CertificateError{Err: errors.New("self-signed")}}
	refused := &Error{Status: 401, Type: AuthenticationFailure}
	busy, page, strange := &Error{Status: 503}, &Error{Status: 502}, &Error{Status: 404}
	times := func(n int, look any) []any {
		var looks []any
		for range n {
			looks = append(looks, look)
		}
		return looks
	}
	join := func(parts ...[]any) []any {
		var looks []any
		for _, part := range parts {
			looks = append(looks, part...)
		}
		return looks
	}
	for name, test := range map[string]struct {
		before *ApplianceInfo // for a reinstallation
		looks  []any
		done   bool
		stop   error
	}{
		"at once":                            {nil, []any{wanted}, true, nil},
		"never":                              {nil, times(100, old), false, nil},
		"through a restart":                  {nil, []any{old, reset, busy, refused, wanted}, true, nil},
		"another version for a while":        {nil, join(times(2, reset), times(12, other), []any{wanted}), true, nil},
		"another version for good":           {nil, join(times(2, reset), times(13, other)), false, ErrWrongVersion},
		"the old one for good, after 503":    {nil, join(times(2, busy), times(13, old)), false, ErrWrongVersion},
		"the old one for good, after 502":    {nil, join(times(2, page), times(13, old)), false, ErrWrongVersion},
		"the old one for good, after 401":    {nil, join([]any{refused}, times(13, old)), false, ErrWrongVersion},
		"a second restart begins anew":       {nil, join(times(2, reset), times(10, other), times(2, reset), times(10, other)), false, nil},
		"slowness is no restart":             {nil, join([]any{slow}, times(30, old)), false, nil},
		"a strange answer is no restart":     {nil, join([]any{strange}, times(30, old)), false, nil},
		"four refused logins":                {nil, times(4, refused), false, nil},
		"five refused logins":                {nil, times(5, refused), false, AuthenticationFailure},
		"five, with another answer between":  {nil, join(times(4, refused), []any{busy}, times(4, refused)), false, nil},
		"five, with a good look between":     {nil, join(times(4, refused), []any{old}, times(4, refused)), false, nil},
		"two strange certificates":           {nil, times(2, untrusted), false, nil},
		"three strange certificates":         {nil, times(3, untrusted), false, untrusted.Err},
		"three, with another answer between": {nil, []any{untrusted, untrusted, busy, untrusted, untrusted}, false, nil},
		"reinstalled, not restarted":         {old, times(50, old), false, nil},
		"reinstalled, restarted":             {old, []any{old, reset, reset, old}, true, nil},
		"reinstalled, a hiccup":              {old, join([]any{old, reset, old, busy}, times(10, old)), false, nil},
		"reinstalled, nonsense":              {old, join(times(5, nonsense), times(10, old)), false, nil},
		"reinstalled, another build":         {old, []any{old, rebuilt}, true, nil},
		"reinstalled, slow":                  {old, []any{slow, old}, false, nil},
		"the client is closed":               {nil, []any{ErrClosed}, false, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &versionWait{version: "8.0.0", before: test.before}
				if test.before != nil {
					w.version = test.before.FirmwareVersion
				}
				for i, look := range test.looks {
					var info *ApplianceInfo
					var err error
					switch look := look.(type) {
					case *ApplianceInfo:
						info = look
					case error:
						err = look
					}
					done, state, stop := w.judge(info, err)
					last := i == len(test.looks)-1
					if done != (last && test.done) || (stop != nil) != (last && test.stop != nil) || stop != nil && !errors.Is(stop, test.stop) {
						t.Fatalf("look %d: done %t, stop %v (%s)", i, done, stop, state)
					}
					if state == "" || strings.Contains(state, "\n") {
						t.Errorf("look %d: state %q", i, state)
					}
					time.Sleep(10 * time.Second) // the bubble's
				}
			})
		})
	}
}
