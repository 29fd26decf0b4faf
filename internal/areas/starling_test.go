package areas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestStarlingConfiguration(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		get := func() sps.StarlingConfiguration {
			t.Helper()
			s, err := c.Starling.Configuration.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s.Body
		}
		testkit.Diff(t, "not joined", sps.StarlingConfiguration{}, get())
		if err := c.Transaction(t.Context(), testkit.SetRemoteAccess(true)); !errors.Is(err, sps.RemoteAccessDependsOnStarlingJoinError) {
			t.Errorf("enabling remote access without a join: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
		a.SetStarling(spstest.Starling{Joined: true})
		info := &sps.StarlingJoinInfo{Environment: sps.StarlingProduction, ProductInstance: testkit.StarlingInstance, ProductTIMS: testkit.StarlingTIMS}
		testkit.Diff(t, "joined", sps.StarlingConfiguration{JoinInfo: info}, get())
		for _, on := range []bool{true, false} {
			if err := c.Transaction(t.Context(), testkit.SetRemoteAccess(on)); err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "switched", sps.StarlingConfiguration{JoinInfo: info, RemoteAccess: sps.RemoteAccess{Enabled: on}}, get())
		}
		// The typed API cannot change join_info. The appliance rejects a raw request that does.
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/starling", map[string]any{"join_info": nil, "remote_access": sps.RemoteAccess{}})
			return err
		})
		if !errors.Is(err, sps.StarlingJoinInfoIsReadOnlyError) {
			t.Errorf("a raw request that changes join_info: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestJoinInfoIsReadOnly checks that the client rejects each change of join_info before it
// sends a PUT.
func TestJoinInfoIsReadOnly(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithStarling(spstest.Starling{Joined: true}))
	c := testkit.Connect(t, a)
	a.ResetJournal()
	changes := map[string]func(*sps.StarlingConfiguration){
		"nil":     func(s *sps.StarlingConfiguration) { s.JoinInfo = nil },
		"changed": func(s *sps.StarlingConfiguration) { s.JoinInfo.ProductTIMS = "222-333-444" },
		"another": func(s *sps.StarlingConfiguration) { s.JoinInfo = &sps.StarlingJoinInfo{} },
	}
	for name, change := range changes {
		for what, write := range map[string]func(context.Context, *sps.Transaction) error{
			"update": func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
					change(s)
					s.RemoteAccess.Enabled = true
					return nil
				})
			},
			"replace": func(ctx context.Context, tx *sps.Transaction) error {
				now, err := tx.Starling.Configuration.Get(ctx)
				if err != nil {
					return err
				}
				change(&now.Body)
				return tx.Starling.Configuration.Replace(ctx, now.Body)
			},
		} {
			err := c.Transaction(t.Context(), write)
			if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), "join_info is read-only: use Client.Starling") {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}
	for _, r := range testkit.Requests(a) {
		if strings.HasPrefix(r, "PUT") {
			t.Errorf("sent %s", r)
		}
	}
	// An update sends an unchanged join_info back, with the members that the SDK does not know.
	a.SetConfiguration("starling", json.RawMessage(`{"join_info":{"environment":"prod","product_instance":"i","product_tims":"t","region":"eu"},"remote_access":{"enabled":false,"relay":[]}}`))
	if err := c.Transaction(t.Context(), testkit.SetRemoteAccess(true)); err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "committed", map[string]any{
		"join_info":     map[string]any{"environment": "prod", "product_instance": "i", "product_tims": "t", "region": "eu"},
		"remote_access": map[string]any{"enabled": true, "relay": []any{}},
	}, testkit.Committed(t, a, "starling"))
}

func TestStarlingJoinStatus(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		want := sps.StarlingJoin{ProductInstance: testkit.StarlingInstance, ProductName: "Safeguard", ProductTIMS: testkit.StarlingTIMS}
		for _, joined := range []bool{false, true} {
			if want.Joined = joined; joined {
				a.SetStarling(spstest.Starling{Joined: true})
			}
			got, err := c.Starling.JoinStatus(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "status", &want, got)
			got, err = c.Starling.JoinStatus(t.Context(), sps.WithProductTIMS("222-333-444"))
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "status with TIMS", &want, got, cmpopts.IgnoreFields(sps.StarlingJoin{}, "ProductTIMS"))
			journal := a.Journal()
			testkit.Diff(t, "query", "product_tims=222-333-444", journal[len(journal)-1].RawQuery)

			page, err := c.Starling.JoinPage(t.Context(), sps.WithProductTIMS("222-333-444"))
			if err != nil {
				t.Fatal(err)
			}
			journal = a.Journal()
			testkit.Diff(t, "accepted", []string{"text/html"}, journal[len(journal)-1].Header["Accept"])
			if redirect := page.Location != ""; redirect != (page.StatusCode == http.StatusSeeOther) || !redirect && (page.ContentType != "text/html" || len(page.Body) == 0) {
				t.Errorf("page %+v", page)
			}
		}
	})
}

func TestStarlingJoinForms(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for body, want := range map[string]*sps.StarlingJoin{
		`{"body":{}}`:                       {},
		`{"body":{"joined":null}}`:          {},
		`{"body":{"joined":true}}`:          {Joined: true},
		`{"body":{"joined":"true"}}`:        nil,
		`{"body":{"joined":1}}`:             nil,
		`{"meta":{}}`:                       nil,
		`{"body":[]}`:                       nil,
		`{"body":{"product_tims":1234567}}`: {ProductTIMS: "1234567"},
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "starling/join", Status: 200, Body: body})
		got, err := c.Starling.JoinStatus(t.Context())
		if (err == nil) != (want != nil) || err != nil && !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %v", body, err)
		}
		testkit.Diff(t, body, want, got)
	}
	for name, test := range map[string]struct {
		fault spstest.Fault
		page  *sps.StarlingJoinPage
		want  error
	}{
		"redirect": {spstest.Fault{Status: 302, Header: http.Header{"Location": {"https://account.cloud.oneidentity.com/join"}}},
			&sps.StarlingJoinPage{StatusCode: 302, Location: "https://account.cloud.oneidentity.com/join"}, nil},
		"page":                     {spstest.Fault{Status: 200, Body: "<html>", ContentType: "text/html; charset=utf-8"}, &sps.StarlingJoinPage{StatusCode: 200, ContentType: "text/html", Body: []byte("<html>")}, nil},
		"refused":                  {spstest.Fault{Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, nil, sps.Unauthorized},
		"303 with an error member": {spstest.Fault{Status: 303, Body: `{"error":{"type":"ForbiddenActionError"}}`}, nil, sps.ForbiddenActionError},
		"endless":                  {spstest.Fault{Endless: true, ContentType: ""}, nil, sps.ErrBadAnswer},
	} {
		test.fault.Method, test.fault.Path = "GET", "starling/join"
		a.ClearFaults()
		a.Inject(test.fault)
		page, err := c.Starling.JoinPage(t.Context())
		if (err == nil) != (test.want == nil) || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		testkit.Diff(t, name, test.page, page, cmpopts.EquateEmpty())
	}
}

func TestStarlingJoin(t *testing.T) {
	t.Parallel()
	const credential = "c3RhcmxpbmctY3JlZGVudGlhbA"
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		request := sps.StarlingJoinRequest{CredentialString: sps.NewSecretString(credential), TokenEndpoint: "https://sts.example/token"}
		if err := c.Starling.Join(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if !a.Starling().Joined {
			t.Error("the appliance is not joined")
		}
		journal := a.Journal()
		var sent map[string]any
		if err := json.Unmarshal(journal[len(journal)-1].Body, &sent); err != nil {
			t.Fatal(err)
		}
		delete(sent, "joined") // depends on the variant
		testkit.Diff(t, "sent", map[string]any{
			"product_instance": testkit.StarlingInstance, "product_name": "Safeguard", "product_tims": testkit.StarlingTIMS,
			"environment": "prod", "token_endpoint": "https://sts.example/token", "credential_string": credential,
		}, sent)
		if err := c.Starling.Unjoin(t.Context()); err != nil || a.Starling().Joined {
			t.Errorf("unjoin: %v, joined: %t", err, a.Starling().Joined)
		}
	})
}

func TestStarlingJoinRefused(t *testing.T) {
	t.Parallel()
	const credential = "c3RhcmxpbmctY3JlZGVudGlhbA"
	secret := sps.NewSecretString(credential)
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for name, test := range map[string]struct {
		request sps.StarlingJoinRequest
		status  string // the response to a read of the join status
		want    error
	}{
		"no credential": {sps.StarlingJoinRequest{}, "", sps.MissingCredentialStringError},
		"no instance":   {sps.StarlingJoinRequest{CredentialString: secret}, `{"body":{"joined":false}}`, sps.MissingProductInstanceError},
	} {
		if test.status != "" {
			a.Inject(spstest.Fault{Method: "GET", Path: "starling/join", Status: 200, Body: test.status})
		}
		if err := c.Starling.Join(t.Context(), test.request); !errors.Is(err, test.want) || !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for _, r := range testkit.Requests(a) {
		if r == "POST /api/starling/join" {
			t.Error("a rejected join request was sent")
		}
	}
	// The appliance itself rejects these bodies, which are sent as raw requests.
	for body, want := range map[string]error{
		`{}`: sps.MissingCredentialStringError, `{"credential_string":"x"}`: sps.MissingProductInstanceError,
	} {
		if _, err := c.Invoke(t.Context(), "POST", "starling/join", json.RawMessage(body)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
	request := sps.StarlingJoinRequest{CredentialString: secret, ProductInstance: "mine"}
	for _, fault := range []spstest.Fault{
		{Status: 403, Body: `{"error":{"type":"OpenTransactionError","message":"` + credential + ` was not taken"}}`},
		{Status: 400, Body: `{"error":{"type":"MissingProductInstanceError","details":{"sent":"` + credential + `"}}}`},
		{Status: 403, Body: `{"error":{"type":"ForbiddenActionError"}}`},
		{CutAfter: true},  // executed, and the response is lost
		{CutBefore: true}, // not executed; the appliance was already joined, so its join status does not show the outcome
	} {
		fault.Method, fault.Path = "POST", "starling/join"
		a.ResetJournal()
		a.Inject(fault)
		err := c.Starling.Join(t.Context(), request)
		var refused *sps.Error
		switch {
		case fault.CutAfter:
			if err != nil || !a.Starling().Joined {
				t.Errorf("a join that was executed and whose response was lost: %v", err)
			}
		case fault.CutBefore:
			if !errors.Is(err, sps.ErrOutcomeUnknown) {
				t.Errorf("a join whose response was lost on a joined appliance: %v, want ErrOutcomeUnknown", err)
			}
		case !errors.As(err, &refused):
			t.Errorf("%s: %v", fault.Body, err)
		case strings.Contains(fmt.Sprintf("%v %+v %s", err, refused, refused.Details), credential):
			t.Errorf("the credential string is shown: %v, %s", err, refused.Details)
		}
		posts := slices.DeleteFunc(testkit.Requests(a), func(r string) bool { return !strings.HasPrefix(r, "POST") })
		testkit.Diff(t, "requests", []string{"POST /api/starling/join"}, posts)
	}
	if text := fmt.Sprintf("%v %+v %#v", request, request, &request); strings.Contains(text, credential) {
		t.Errorf("the request shows the credential string: %s", text)
	}
}

// TestStarlingWaitsForTransaction checks that Join and Unjoin wait while the client has an open
// transaction, and that they return ErrNested if the function of that transaction calls them.
func TestStarlingWaitsForTransaction(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		request := sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("credential")}
		opened := make(chan struct{})
		finished := make(chan error)
		go func() {
			finished <- c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				for _, call := range []func(context.Context) error{
					func(ctx context.Context) error { return c.Starling.Join(ctx, request) }, c.Starling.Unjoin, c.Starling.ForceUnjoin,
				} {
					if err := call(ctx); !errors.Is(err, sps.ErrNested) {
						t.Errorf("a join or an unjoin in a transaction: %v, want ErrNested", err)
					}
				}
				close(opened)
				time.Sleep(time.Minute) // simulated time
				return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
			})
		}()
		<-opened
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Starling.Join(ctx, request); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a join or an unjoin while a transaction is open: %v", err)
		}
		if err := c.Starling.Join(t.Context(), request); err != nil {
			t.Errorf("a join or an unjoin after the transaction: %v", err)
		}
		if err := <-finished; err != nil {
			t.Error(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		if !a.Starling().Joined {
			t.Error("the appliance is not joined after Join")
		}
	})
}

func TestUnjoin(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		check := func(want sps.StarlingUnjoinCheck) {
			t.Helper()
			got, err := c.Starling.CheckUnjoin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "check", &want, got, cmpopts.EquateErrors())
			if got.Refused() != (len(want.Reasons) > 0) {
				t.Errorf("Refused returns %t", got.Refused())
			}
		}
		check(sps.StarlingUnjoinCheck{Reasons: []error{sps.ErrStarlingNotJoined}})
		a.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true})
		check(sps.StarlingUnjoinCheck{Joined: true, RemoteAccess: true, Reasons: []error{sps.StarlingJoinIsInUseByRemoteAccessError}})
		if err := c.Starling.Unjoin(t.Context()); !errors.Is(err, sps.StarlingJoinIsInUseByRemoteAccessError) || !a.Starling().Joined {
			t.Errorf("Unjoin with remote access: %v, joined: %t", err, a.Starling().Joined)
		}
		if err := c.Transaction(t.Context(), testkit.SetRemoteAccess(false)); err != nil {
			t.Fatal(err)
		}
		check(sps.StarlingUnjoinCheck{Joined: true})
		if err := c.Starling.Unjoin(t.Context()); err != nil || a.Starling().Joined {
			t.Errorf("Unjoin without remote access: %v, joined: %t", err, a.Starling().Joined)
		}
		a.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true})
		if err := c.Starling.ForceUnjoin(t.Context()); err != nil || a.Starling().Joined {
			t.Errorf("ForceUnjoin: %v, joined: %t", err, a.Starling().Joined)
		}
		journal := a.Journal()
		testkit.Diff(t, "query", "force=true", journal[len(journal)-1].RawQuery)
		// If the response is lost, the client reads the join status.
		for fault, want := range map[*spstest.Fault]error{{CutAfter: true}: nil, {CutBefore: true}: sps.ErrOutcomeUnknown} {
			a.SetStarling(spstest.Starling{Joined: true})
			fault.Method, fault.Path = "DELETE", "starling/join"
			a.Inject(*fault)
			if err := c.Starling.Unjoin(t.Context()); !errors.Is(err, want) || a.Starling().Joined != (want != nil) {
				t.Errorf("%+v: %v, joined: %t", fault, err, a.Starling().Joined)
			}
		}
	})
}

func TestIntegratedProducts(t *testing.T) {
	t.Parallel()
	link := func(text string) sps.IntegratedProduct {
		return sps.IntegratedProduct{Link: text, Activated: text != ""}
	}
	named := func(name, text string) sps.IntegratedProduct {
		p := link(text)
		p.Name = name
		return p
	}
	for name, test := range map[string]struct {
		products []spstest.Product
		want     []sps.IntegratedProduct
	}{
		"none":     {nil, nil},
		"starling": {spstest.ProductsStarling(), []sps.IntegratedProduct{named("Defender", ""), named("Connect", ""), named("Governance", ""), named("RemoteAccess", "")}},
		"integrated": {spstest.ProductsStarlingIntegrated(), []sps.IntegratedProduct{
			named("Defender", "https://2fa.cloud.oneidentity.com"), named("Connect", "https://connect.cloud.oneidentity.com"), named("Governance", ""),
		}},
		"passwords": {spstest.ProductsPasswords(), []sps.IntegratedProduct{named("Safeguard for Privileged Passwords", "https://10.10.10.10")}},
	} {
		c := testkit.Connect(t, spstest.NewServer(t, spstest.WithProducts(test.products...)))
		got, err := c.IntegratedProducts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, name, &sps.IntegratedProducts{Products: test.want}, got, cmpopts.EquateEmpty())
	}
}

// TestProductWarnings checks that both known warnings and an unknown one are found in each
// place of the response where a variant of the appliance puts them.
func TestProductWarnings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sps.ProductWarning{
		spstest.StarlingUnavailable: sps.StarlingUnavailable, spstest.StarlingCredentialsInvalid: sps.StarlingCredentialsInvalid,
		"Something\nelse": "Something else",
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
				a := spstest.NewServer(t, options...)
				a.SetProducts(spstest.ProductsPasswords(), text)
				c := testkit.Connect(t, a)
				got, err := c.IntegratedProducts(t.Context())
				if err != nil {
					var refused *sps.Error
					if !errors.As(err, &refused) || errors.Is(err, want) != (want != "Something else") {
						t.Errorf("error %v, want %v", err, want)
					}
					if strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), string(want)) != 1 {
						t.Errorf("the error text is not one line with the warning: %q", err)
					}
					return
				}
				if !got.Warned(want) || len(got.Warnings) != 1 || len(got.Products) != 1 {
					t.Errorf("products %+v", got)
				}
				testkit.Diff(t, "the whole warning", strings.Join(strings.Fields(text), " "), string(got.Warnings[0]))
			})
		})
	}
}

func TestProductForms(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for body, want := range map[string]*sps.IntegratedProducts{
		`{"items":[]}`:                 {},
		`{"items":[],"warnings":null}`: {},
		`{"items":[],"message":""}`:    {},
		`{"warning":"cut"}`:            {Warnings: []sps.ProductWarning{"cut"}},
		`{"items":[],"warnings":["a",{"message":"b"},{"text":"c"},7,["d"]],"message":{"message":"a"}}`: {Warnings: []sps.ProductWarning{"a", "b", "d"}},
		`{"items":[{"name":"x","future":{}}],"meta":{"warning":"w"}}`:                                  {Products: []sps.IntegratedProduct{{Name: "x"}}, Warnings: []sps.ProductWarning{"w"}},
		`{"items":[{"link":"x"}]}`: nil,
		`{"items":[1]}`:            nil,
		`{"items":{}}`:             nil,
		`{}`:                       nil,
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "integrated_products", Status: 200, Body: body})
		got, err := c.IntegratedProducts(t.Context())
		if (err == nil) != (want != nil) || err != nil && !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %v", body, err)
		}
		testkit.Diff(t, body, want, got, cmpopts.EquateEmpty())
	}
}

// TestUnjoinAtConfiguration checks that the appliance refuses to delete
// configuration/starling, and that the transaction continues after the refusal.
func TestUnjoinAtConfiguration(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithStarling(spstest.Starling{Joined: true}))
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, "DELETE", "configuration/starling", nil)
		if !errors.Is(err, sps.ForbiddenActionError) || errors.Is(err, sps.ErrTransactionLost) {
			t.Errorf("error %v, want only ForbiddenActionError", err)
		}
		return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error { s.RemoteAccess.Enabled = true; return nil })
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Diff(t, "starling", spstest.Starling{Joined: true, RemoteAccess: true}, a.Starling())
}
