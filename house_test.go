package sps

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// handles collects the endpoints of the Singleton and Collection fields below v. The key
// in found is the path of the field, such as "Management.Email".
func handles(v reflect.Value, at string, found map[string]*endpoint) {
	typ := v.Type()
	if name := typ.Name(); strings.HasPrefix(name, "Singleton") || strings.HasPrefix(name, "Collection") {
		found[at] = (*endpoint)(v.FieldByName("endpoint").UnsafePointer())
		return
	}
	for i := range typ.NumField() {
		if field := typ.Field(i); field.IsExported() && v.Field(i).Kind() == reflect.Struct {
			handles(v.Field(i), strings.TrimPrefix(at+"."+field.Name, "."), found)
		}
	}
}

// plainPath returns the API path that belongs to a path of fields, in lower case and
// without underscores and hyphens. Each field is one segment of the path. If the last
// field is Configuration, as in Starling.Configuration, plainPath leaves it out.
func plainPath(fields string) string {
	path := strings.TrimSuffix(fields, ".Configuration")
	return strings.ToLower(strings.ReplaceAll(path, ".", "/"))
}

// TestTrees checks that Client and Transaction have the same fields for the
// configuration, and that the names of the fields match the paths of the API.
func TestTrees(t *testing.T) {
	t.Parallel()
	c := must(newClient("sps1.example.com", must(newConfig(nil)), UsernamePassword("admin", NewSecretString("password")).credential()))
	tx := c.newTransaction(t.Context(), &transactionOptions{})
	reads, writes := map[string]*endpoint{}, map[string]*endpoint{}
	handles(reflect.ValueOf(c).Elem(), "", reads)
	handles(reflect.ValueOf(tx).Elem(), "", writes)
	if len(reads) < 6 {
		t.Fatalf("only %d handles", len(reads))
	}
	paths := func(tree map[string]*endpoint, rooted bool) map[string]string {
		found := map[string]string{}
		for fields, e := range tree {
			if !rooted || e.path.Below(transactional...) {
				found[fields] = e.path.Text
			}
		}
		return found
	}
	if diff := cmp.Diff(paths(reads, true), paths(writes, false)); diff != "" {
		t.Errorf("the trees of Client and Transaction differ (-client +transaction):\n%s", diff)
	}
	for fields, e := range reads {
		path := strings.NewReplacer("_", "", "-", "").Replace(strings.TrimPrefix(e.path.Text, "configuration/"))
		if path != plainPath(fields) {
			t.Errorf("client.%s has the path %s, which does not match the field", fields, e.path.Text)
		}
		if e != writes[fields] && writes[fields] != nil {
			t.Errorf("client.%s and tx.%s do not share one description of the endpoint", fields, fields)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestHandleSize checks that a Transaction with 200 endpoints would still fit into one
// allocation of 4096 bytes.
func TestHandleSize(t *testing.T) {
	t.Parallel()
	const room, many = 4096, 200
	handle := unsafe.Sizeof(SingletonTx[TrafficAlerts]{})
	if want := 2 * unsafe.Sizeof(uintptr(0)); handle != want {
		t.Errorf("a handle has %d bytes, not %d", handle, want)
	}
	found := map[string]*endpoint{}
	handles(reflect.ValueOf(Transaction{}), "", found)
	rest := unsafe.Sizeof(Transaction{}) - uintptr(len(found))*handle
	if size := rest + many*handle; size > room {
		t.Errorf("a transaction with %d endpoints would have %d bytes", many, size)
	}
}

// TestPolicies checks the table of request policies: each class has a time limit, and a
// class that is retried after a broken connection has no unknown outcome.
func TestPolicies(t *testing.T) {
	t.Parallel()
	if len(policies) != int(classInvoke)+1 {
		t.Errorf("the table has %d rows for %d classes", len(policies), classInvoke+1)
	}
	limits := DefaultTimeouts()
	for class, p := range policies {
		switch {
		case p.limit == nil:
			t.Errorf("class %d has no row in the table", class)
		case p.limit(&limits) <= 0:
			t.Errorf("class %d has no time limit", class)
		case p.broken && !p.lost.harmless():
			t.Errorf("class %d is retried after a broken connection, although its outcome may be unknown", class)
		}
	}
}

// TestVersionWait checks how versionWait judges sequences of polls that are ten seconds
// apart.
func TestVersionWait(t *testing.T) {
	t.Parallel()
	old, wanted := &ApplianceInfo{FirmwareVersion: "7.4.0", BuildDate: time.Unix(1, 0)}, &ApplianceInfo{FirmwareVersion: "8.0.0", BuildDate: time.Unix(2, 0)}
	other := &ApplianceInfo{FirmwareVersion: "7.5.0"}
	rebuilt := &ApplianceInfo{FirmwareVersion: "7.4.0", BuildDate: time.Unix(2, 0)}
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
		before *ApplianceInfo // set if the same version is installed again
		looks  []any
		done   bool
		stop   error
	}{
		"the new version in the first poll":                                {nil, []any{wanted}, true, nil},
		"the old version in every poll":                                    {nil, times(100, old), false, nil},
		"the new version after a restart":                                  {nil, []any{old, reset, busy, refused, wanted}, true, nil},
		"another version for two minutes, then the new version":            {nil, join(times(2, reset), times(12, other), []any{wanted}), true, nil},
		"another version for more than two minutes":                        {nil, join(times(2, reset), times(13, other)), false, ErrWrongVersion},
		"status 503, then the old version for more than two minutes":       {nil, join(times(2, busy), times(13, old)), false, ErrWrongVersion},
		"status 502, then the old version for more than two minutes":       {nil, join(times(2, page), times(13, old)), false, ErrWrongVersion},
		"status 401, then the old version for more than two minutes":       {nil, join([]any{refused}, times(13, old)), false, ErrWrongVersion},
		"a second restart resets the two minutes":                          {nil, join(times(2, reset), times(10, other), times(2, reset), times(10, other)), false, nil},
		"a timeout does not count as a restart":                            {nil, join([]any{slow}, times(30, old)), false, nil},
		"status 404 does not count as a restart":                           {nil, join([]any{strange}, times(30, old)), false, nil},
		"four refused logins":                                              {nil, times(4, refused), false, nil},
		"five refused logins":                                              {nil, times(5, refused), false, AuthenticationFailure},
		"refused logins with a 503 in between":                             {nil, join(times(4, refused), []any{busy}, times(4, refused)), false, nil},
		"refused logins with a success in between":                         {nil, join(times(4, refused), []any{old}, times(4, refused)), false, nil},
		"two untrusted certificates":                                       {nil, times(2, untrusted), false, nil},
		"three untrusted certificates":                                     {nil, times(3, untrusted), false, untrusted.Err},
		"untrusted certificates with a 503 in between":                     {nil, []any{untrusted, untrusted, busy, untrusted, untrusted}, false, nil},
		"same version, no restart":                                         {old, times(50, old), false, nil},
		"same version, two broken connections in a row count as a restart": {old, []any{old, reset, reset, old}, true, nil},
		"same version, one broken connection does not count as a restart":  {old, join([]any{old, reset, old, busy}, times(10, old)), false, nil},
		"same version, unusable answers do not count as a restart":         {old, join(times(5, nonsense), times(10, old)), false, nil},
		"same version, another build date":                                 {old, []any{old, rebuilt}, true, nil},
		"same version, a timeout does not count as a restart":              {old, []any{slow, old}, false, nil},
		"the client is closed":                                             {nil, []any{ErrClosed}, false, ErrClosed},
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
						t.Fatalf("poll %d: done %t, stop %v (%s)", i, done, stop, state)
					}
					if state == "" || strings.Contains(state, "\n") {
						t.Errorf("poll %d: state %q", i, state)
					}
					time.Sleep(10 * time.Second) // the clock of synctest
				}
			})
		})
	}
}
