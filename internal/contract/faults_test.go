package contract

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestLocalRefusals breaks each rule that the SDK checks before it sends a request. It checks
// that the error matches the error type that the appliance would return, that it has details
// and faults, and that it is not an *Error.
func TestLocalRefusals(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	sample, err := c.TrustStores.GetByName(t.Context(), testkit.SampleStore)
	if err != nil {
		t.Fatal(err)
	}
	const list = "configuration/trust_stores"
	one := testkit.Authority(t, "One")
	store := func(change func(*sps.TrustStore)) func(context.Context, *sps.Transaction) error {
		return func(ctx context.Context, tx *sps.Transaction) error {
			s := sps.NewTrustStore("Ours", one)
			change(&s)
			_, err := tx.TrustStores.Create(ctx, s)
			return err
		}
	}
	write := func(fn func(context.Context, *sps.Transaction) error) func(context.Context) error {
		return func(ctx context.Context) error { return c.Transaction(ctx, fn) }
	}
	const none = sps.ErrorType("")
	for name, test := range map[string]struct {
		call   func(context.Context) error
		own    error
		is     sps.ErrorType
		detail error
		faults []sps.Fault // compared without their messages
	}{
		"URLs without a check": {
			write(store(func(s *sps.TrustStore) { s.CRLURLs = []string{"http://crl.example/a"} })),
			sps.ErrInvalidInput, sps.SyntacticError, &sps.SyntacticErrorDetails{Path: list + "#crl_urls"}, []sps.Fault{{Object: list, Member: "crl_urls"}},
		},
		"a check without URLs": {
			write(store(func(s *sps.TrustStore) { s.RevocationCheck = sps.RevocationFull })),
			sps.ErrInvalidInput, sps.SyntacticError, &sps.SyntacticErrorDetails{Path: list + "#crl_urls"}, []sps.Fault{{Object: list, Member: "crl_urls"}},
		},
		"built-in, created": {
			write(store(func(s *sps.TrustStore) { s.Type = sps.TrustStoreBuiltIn })),
			sps.ErrInvalidInput, sps.SyntacticError, &sps.SyntacticErrorDetails{Path: list + "#trust_store_type"}, []sps.Fault{{Object: list, Member: "trust_store_type"}},
		},
		"built-in, deleted": {
			write(func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Delete(ctx, sps.BuiltInTrustStoreKey)
			}),
			sps.ErrInvalidInput, sps.SyntacticError, &sps.SyntacticErrorDetails{Path: list + "/-7001"}, []sps.Fault{{Object: list + "/-7001"}},
		},
		"name of another store": {
			write(store(func(s *sps.TrustStore) { s.Name = testkit.SampleStore })),
			sps.ErrInvalidInput, sps.SemanticError, nil, []sps.Fault{{Object: list, Member: "name"}},
		},
		"an authority twice": {
			write(store(func(s *sps.TrustStore) { s.Authorities = append(s.Authorities, s.Authorities[0]) })),
			sps.ErrInvalidInput, sps.SemanticError, nil, []sps.Fault{{Object: list, Member: "authorities/1"}},
		},
		"a URL twice": {
			write(func(ctx context.Context, tx *sps.Transaction) error {
				return tx.TrustStores.Update(ctx, sample.Key, func(s *sps.TrustStore) error {
					s.RevocationCheck, s.CRLURLs = sps.RevocationFull, []string{"http://crl.example/a", "http://crl.example/a"}
					return nil
				})
			}),
			sps.ErrInvalidInput, sps.SemanticError, nil, []sps.Fault{{Object: list + "/" + sample.Key, Member: "crl_urls/1"}},
		},
		"join_info": {
			write(func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
					s.JoinInfo = &sps.StarlingJoinInfo{Environment: "other"}
					return nil
				})
			}),
			sps.ErrInvalidInput, sps.StarlingJoinInfoIsReadOnlyError, nil, []sps.Fault{{Object: "configuration/starling", Member: "join_info"}},
		},
		"no credential string": {
			func(ctx context.Context) error { return c.Starling.Join(ctx, sps.StarlingJoinRequest{}) },
			sps.ErrInvalidInput, sps.MissingCredentialStringError, nil, []sps.Fault{{Object: "starling/join", Member: "credential_string"}},
		},
		"an unknown alert": {
			write(func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
					(*a)["scbMoon"] = sps.AlertSetting{}
					return nil
				})
			}),
			sps.ErrInvalidInput, none, nil, []sps.Fault{{Object: "configuration/alerting/traffic_alerts", Member: "scbMoon"}},
		},
		"a slot without a key": {
			func(ctx context.Context) error { _, err := c.Firmware.Slots.Get(ctx, ""); return err },
			sps.ErrInvalidInput, sps.ResourceNotFound, &sps.ResourceNotFoundDetails{MountPoint: "firmware/slots"}, []sps.Fault{{Object: "firmware/slots"}},
		},
		"a test without a slot": {
			func(ctx context.Context) error { _, err := c.Firmware.Test(ctx, ""); return err },
			sps.ErrInvalidInput, sps.ResourceNotFound, &sps.IncompleteRequestBodyErrorDetails{Paths: []string{"slot_id"}}, []sps.Fault{{Object: "firmware/test", Member: "slot_id"}},
		},
		"a join in a transaction": {
			write(func(ctx context.Context, tx *sps.Transaction) error {
				return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")})
			}),
			sps.ErrNested, sps.OpenTransactionError, &sps.OpenTransactionErrorDetails{Path: "starling/join"}, nil,
		},
	} {
		err := test.call(t.Context())
		if !errors.Is(err, test.own) || test.is != none && !errors.Is(err, test.is) || errors.As(err, new(*sps.Error)) {
			t.Errorf("%s: %v, want %v and %v, and no Error", name, err, test.own, test.is)
		}
		checkKind(t, name, err, sps.KindInvalid)
		faults := sps.Faults(err)
		for i := range faults {
			if faults[i].Message == "" || !strings.Contains(err.Error(), faults[i].Message) {
				t.Errorf("%s: message %q of %v", name, faults[i].Message, err)
			}
			faults[i].Message = ""
		}
		testkit.Diff(t, name+": faults", test.faults, faults)
		var semantic *sps.SemanticErrorDetails
		if errors.As(err, &semantic) != (test.is == sps.SemanticError) || semantic != nil && len(semantic.Errors) != 1 {
			t.Errorf("%s: detail %v", name, semantic)
		}
		if test.detail != nil {
			testkit.Diff(t, name+": detail", test.detail, detailOf(err))
		}
	}
	_, err = c.Firmware.Test(t.Context(), "")
	var nowhere *sps.ResourceNotFoundDetails
	if !errors.Is(err, sps.IncompleteRequestBodyError) || !errors.As(err, &nowhere) || nowhere.MountPoint != "firmware/test" {
		t.Errorf("%v", err)
	}
}

// TestFaultsOfAppliance checks that Faults returns the object and the member of each fault in
// the same form, whichever form the appliance uses for the paths in the error details.
func TestFaultsOfAppliance(t *testing.T) {
	t.Parallel()
	const object = "configuration/trust_stores/7"
	for details, want := range map[string][]sps.Fault{
		`"/api/` + object + `#crl_urls/1"`:          {{Message: "No.", Object: object, Member: "crl_urls/1"}},
		`{"path":"/api/` + object + `/crl_urls/1"}`: {{Message: "No.", Object: object, Member: "crl_urls/1"}},
		`["crl_urls/1"]`:                            {{Message: "No.", Object: object, Member: "crl_urls/1"}},
		`"/api/configuration/trust_stores/a%20b#x"`: {{Message: "No.", Object: "configuration/trust_stores/a b", Member: "x"}},
		`"/api/` + object + `"`:                     {{Message: "No.", Object: object}},
		`{}`:                                        {{Message: "No.", Object: object}},
	} {
		e := refusedBy(t, "PUT", object, `{"error":{"type":"SyntacticError","message":"No.","details":`+details+`}}`)
		testkit.Diff(t, details, want, sps.Faults(e))
	}
	for details, want := range map[string][]sps.Fault{
		`["the URL is there twice: /api/` + object + `#crl_urls/1"]`: {{Message: "the URL is there twice: /api/" + object + "#crl_urls/1", Object: object, Member: "crl_urls/1"}},
		`["taken: /api/a/1#name, /api/a/2#name."]`: {
			{Message: "taken: /api/a/1#name, /api/a/2#name.", Object: "a/1", Member: "name"}, {Message: "taken: /api/a/1#name, /api/a/2#name.", Object: "a/2", Member: "name"},
		},
		`[{"message":"taken","paths":["/api/a/1","/api/a/2#name"]},"odd"]`: {{Message: "taken", Object: "a/1"}, {Message: "taken", Object: "a/2", Member: "name"}, {Message: "odd", Object: object}},
		`null`: {{Message: "No.", Object: object}},
	} {
		e := refusedBy(t, "PUT", object, `{"error":{"type":"SemanticError","message":"No.","details":`+details+`}}`)
		testkit.Diff(t, details, want, sps.Faults(e))
	}
	testkit.Diff(t, "faults of missing members", []sps.Fault{{Message: "it is missing", Object: object, Member: "name"}},
		sps.Faults(refusedBy(t, "PUT", object, `{"error":{"type":"IncompleteRequestBodyError","details":{"missing_paths":["name"]}}}`)))
	if faults := sps.Faults(errors.Join(sps.ErrLocked, refusedBy(t, "PUT", object, `{"error":{"type":"Unauthorized","details":"/api/x"}}`))); faults != nil {
		t.Errorf("no faults of an object: %v", faults)
	}
}

// refusedBy returns the error of a write in a transaction. The appliance rejects the write with
// the status 400 and the given body.
func refusedBy(t *testing.T, method, path, body string) error {
	t.Helper()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: method, Path: path, Status: 400, Body: body})
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, method, path, json.RawMessage(`{}`))
		return err
	})
	if !errors.As(err, new(*sps.Error)) {
		t.Fatalf("%v", err)
	}
	return err
}

// TestFaultsUnderVariants creates a trust store with a name that another store already has. It
// checks that one of the faults names the store and says that the name is not unique, in each
// form in which the appliance may return the error details.
func TestFaultsUnderVariants(t *testing.T) {
	t.Parallel()
	for _, variants := range [][]string{{"semantic-details", "strings"}, {"semantic-details", "objects"}, {"semantic-check", "write"}} {
		a := spstest.NewServer(t, spstest.WithVariant(variants[0], variants[1]))
		c := testkit.Connect(t, a)
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "POST", "configuration/trust_stores", sps.NewTrustStore(testkit.SampleStore, testkit.Authority(t, "One")))
			return err
		})
		found := false
		for _, f := range sps.Faults(err) {
			found = found || strings.HasPrefix(f.Object, "configuration/trust_stores/") && strings.Contains(f.Message, "not unique")
		}
		if !found {
			t.Errorf("%v: %q of %v", variants, sps.Faults(err), err)
		}
	}
}
