package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// The tests in this file compare the requests of the client with the pages of the guide about
// alerts, trust stores and Starling. They use the global mocks of contract_test.go, so they do
// not run in parallel.

// contractTransaction returns the exchanges of a transaction in a client with a single session:
// the reads of the function, the opening, the same reads again, the writes, and then either the
// read of the list of changes and the commit, or the rollback.
func contractTransaction(t *testing.T, commit bool, reads []contractExchange, writes ...contractExchange) []contractExchange {
	return slices.Concat(reads, contractOpening(t), reads, writes, contractEnd(t, commit))
}

const contractTransactionPath = "/api/transaction"

// contractOpening returns the exchanges that open a transaction in a session that the caller
// provided. The client first checks that no transaction is open in that session.
func contractOpening(t *testing.T) []contractExchange {
	return []contractExchange{
		{method: "GET", path: contractTransactionPath, answer: testkit.Sample(t, "transaction.closed")},
		{method: "POST", path: contractTransactionPath, answer: testkit.Sample(t, "transaction.open")},
	}
}

func contractEnd(t *testing.T, commit bool) []contractExchange {
	if !commit {
		return []contractExchange{{method: "DELETE", path: contractTransactionPath, answer: testkit.Sample(t, "transaction.delete")}}
	}
	return []contractExchange{
		{method: "GET", path: contractTransactionPath + "/changes", answer: testkit.Sample(t, "transaction_changes.empty")},
		{
			method: "PUT", path: contractTransactionPath, body: `{"status":"commit","commit_message":"CHG-1","message":"CHG-1"}`,
			answer: testkit.Sample(t, "transaction.closed"),
		},
	}
}

// contractCommit runs a transaction with the message that contractTransaction expects.
func contractCommit(t *testing.T, c *sps.Client, fn func(context.Context, *sps.Transaction) error) error {
	t.Helper()
	return c.Transaction(t.Context(), fn, sps.WithMessage("CHG-1"))
}

// contractBody returns the JSON of the body of a sample after change has modified it.
func contractBody(t *testing.T, name string, change func(map[string]any)) string {
	t.Helper()
	var sample struct {
		Body map[string]any `json:"body"`
	}
	if err := json.Unmarshal([]byte(testkit.Sample(t, name)), &sample); err != nil {
		t.Fatal(err)
	}
	change(sample.Body)
	body, err := json.Marshal(sample.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestContractAlerting(t *testing.T) {
	c := contractClient(t, contractExchange{method: "GET", path: "/api/configuration/alerting", answer: testkit.Sample(t, "configuration_alerting.listing")})
	list, err := c.Listing(t.Context(), "configuration/alerting")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "links", []sps.ListingEntry{
		{Key: "system_alerts", Href: "/api/configuration/alerting/system_alerts"},
		{Key: "traffic_alerts", Href: "/api/configuration/alerting/traffic_alerts"},
	}, list.Entries)
}

func TestContractTrafficAlerts(t *testing.T) {
	const path = "/api/configuration/alerting/traffic_alerts"
	get := contractExchange{method: "GET", path: path, answer: testkit.Sample(t, "configuration_alerting_traffic_alerts.get")}
	t.Run("get", func(t *testing.T) {
		c := contractClient(t, get)
		got, err := c.Alerting.TrafficAlerts.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := sps.TrafficAlerts{}
		for _, id := range testkit.AllTrafficAlerts {
			want[id] = sps.AlertSetting{}
		}
		testkit.Diff(t, "alerts", want, got.Body)
		testkit.Diff(t, "meta", "/api/configuration/alerting/system_alerts", got.Meta.Previous)
	})
	for name, answer := range map[string]contractExchange{
		"a meta object": {status: 200, answer: `{"meta":{"href":"` + path + `"}}`},
		"201 Created":   {status: 201, answer: `{"meta":{"href":"` + path + `"}}`},
		"201, no body":  {status: 201},
		"200, no body":  {status: 200},
		"no content":    {status: 204},
	} {
		t.Run("modify: "+name, func(t *testing.T) {
			put := answer
			put.method, put.path = "PUT", path
			put.body = contractBody(t, "configuration_alerting_traffic_alerts.get", func(body map[string]any) {
				body["scbConnectionDenied"].(map[string]any)["email"] = true
			})
			c := contractClient(t, contractTransaction(t, true, []contractExchange{get}, put)...)
			err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied) })
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for _, refusal := range []struct {
		status int
		kind   sps.ErrorType
	}{{403, sps.Unauthorized}, {404, sps.NotFound}, {400, sps.SyntacticError}, {400, sps.SemanticError}} {
		t.Run("refused: "+string(refusal.kind), func(t *testing.T) {
			put := contractExchange{method: "PUT", path: path, status: refusal.status, answer: `{"error":{"type":"` + string(refusal.kind) + `","details":"` + path + `"}}`}
			put.body = contractBody(t, "configuration_alerting_traffic_alerts.get", func(body map[string]any) {
				body["scbConnectionDenied"].(map[string]any)["email"] = true
			})
			c := contractClient(t, contractTransaction(t, false, []contractExchange{get}, put)...)
			err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied) })
			})
			wantRefusal(t, err, refusal.status, refusal.kind)
		})
	}
	t.Run("no session", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "GET", path: path, status: 401, answer: `{"error":{"type":"Unauthenticated","details":"` + path + `"}}`})
		_, err := c.Alerting.TrafficAlerts.Get(t.Context())
		if !errors.Is(err, sps.Unauthenticated) {
			t.Errorf("error %v", err)
		}
	})
}

// TestContractTwoSessions checks which requests a transaction sends, and in which session, if
// the client has one session for reads and one for writes.
func TestContractTwoSessions(t *testing.T) {
	const path = "/api/configuration/alerting/traffic_alerts"
	const writing = "session_id=0d1c5a7be3f94c2f8a6b"
	login := func(cookie string) contractExchange {
		return contractExchange{
			method: "GET", path: "/api/authentication", anonymous: true, basic: "YWRtaW46c2VjcmV0",
			answer: `{"meta":{}}`, setCookie: cookie + "; Path=/; Secure",
		}
	}
	inWriting := func(exchanges ...contractExchange) []contractExchange {
		for i := range exchanges {
			exchanges[i].cookie = writing
		}
		return exchanges
	}
	get := contractExchange{method: "GET", path: path, answer: testkit.Sample(t, "configuration_alerting_traffic_alerts.get")}
	post := contractExchange{method: "POST", path: contractTransactionPath, answer: testkit.Sample(t, "transaction.open")}
	put := contractExchange{method: "PUT", path: path, answer: `{"meta":{}}`}
	put.body = contractBody(t, "configuration_alerting_traffic_alerts.get", func(body map[string]any) {
		body["scbConnectionDenied"].(map[string]any)["email"] = true
	})
	silent := post
	silent.answer = `{"meta":{"href":"/api/transaction"}}`
	status := contractExchange{method: "GET", path: contractTransactionPath, answer: strings.Replace(post.answer, "required", "optional", 1)}
	bare := slices.Clone(contractEnd(t, true))
	bare[1].body = `{"status":"commit"}`
	enable := func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied) }
	nothing := func(*sps.TrafficAlerts) error { return nil }
	message := sps.WithMessage("CHG-1")
	tests := []struct {
		name      string
		change    func(*sps.TrafficAlerts) error
		options   []sps.TransactionOption
		exchanges []contractExchange // the exchanges after the first login
		sessions  int
	}{
		{"an update", enable, []sps.TransactionOption{message}, slices.Concat(
			[]contractExchange{get, login(writing)}, inWriting(post, put), []contractExchange{get}, inWriting(contractEnd(t, true)...)), 2},
		{"an update without a message", enable, nil, slices.Concat(
			[]contractExchange{get, login(writing)}, inWriting(silent, status, put), []contractExchange{get}, inWriting(bare...)), 2},
		{"an update with the lock first", enable, []sps.TransactionOption{message, sps.WithLockFirst()}, slices.Concat(
			[]contractExchange{login(writing)}, inWriting(slices.Concat([]contractExchange{post, get, put}, contractEnd(t, true))...)), 2},
		{"nothing to change", nothing, []sps.TransactionOption{message}, []contractExchange{get}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ends := &contractSessions{left: []string{contractCookie, writing}[:test.sessions]}
			exchanges := append([]contractExchange{login(contractCookie)}, test.exchanges...)
			for range test.sessions {
				exchanges = append(exchanges, contractExchange{method: "DELETE", path: "/api/authentication", ends: ends})
			}
			contractMock(t, exchanges...)
			c, err := sps.Connect(t.Context(), contractHost, sps.UsernamePassword("admin", sps.NewSecretString("secret")), contractOptions(t)...)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, test.change)
			}, test.options...)
			if err != nil {
				t.Error(err)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			testkit.Diff(t, "sessions left", 0, len(ends.left))
		})
	}
}

func TestContractTrustStores(t *testing.T) {
	const path = "/api/configuration/trust_stores"
	const key = "3c6f2a10-9b8d-4e7c-a5f4-1d2e3b4c5a69" // the key in the sample of a single store
	list := contractExchange{method: "GET", path: path, answer: testkit.Sample(t, "configuration_trust_stores.list")}
	builtIn := &sps.Object[sps.TrustStore]{Key: "-7001", Body: sps.TrustStore{Name: "Built-in", RevocationCheck: sps.RevocationNone, Type: sps.TrustStoreBuiltIn}}
	ignoreMeta := cmpopts.IgnoreFields(sps.Object[sps.TrustStore]{}, "Meta")
	t.Run("list", func(t *testing.T) {
		c := contractClient(t, list)
		got, err := c.TrustStores.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 {
			t.Fatalf("%d stores", len(got))
		}
		testkit.Diff(t, "built-in", builtIn, got[0], ignoreMeta)
		testkit.Diff(t, "href", path+"/-7001", got[0].Meta.Href)
		custom := got[1].Body
		testkit.Diff(t, "custom", sps.TrustStore{Name: "My_Custom_Trust_Store", CRLURLs: []string{"http://crl.it/sec"}, RevocationCheck: sps.RevocationFull, Type: sps.TrustStoreCustom},
			custom, cmpopts.IgnoreFields(sps.TrustStore{}, "Authorities"))
		const name = "C=HU/ST=Budapest/L=None/O=Internet Widgits Pty Ltd/OU=None/CN=None/emailAddress=None"
		testkit.Diff(t, "authority", sps.TrustStoreAuthority{Issuer: name, Subject: name, Fingerprint: sps.TrustStoreFingerprint{
			Digest:        "01:25:1f:a2:df:2a:31:1a:29:7a:ba:43:c4:03:42:a5:d7:30:ec:2d:e0:d7:7a:72:a7:1b:c3:99:c5:6c:10:ea",
			HashAlgorithm: "sha256",
		}}, custom.Authorities[0], cmpopts.IgnoreFields(sps.TrustStoreAuthority{}, "PEM"))
		certificates, err := custom.Certificates()
		if err != nil || sps.CertificateFingerprint(certificates[0]) != custom.Authorities[0].Fingerprint.Digest {
			t.Errorf("the fingerprint of the certificate differs from the sample, or: %v", err)
		}
		if err := custom.Validate(); err != nil {
			t.Errorf("the store of the guide's sample violates the client's rules: %v", err)
		}
	})
	t.Run("get the built-in", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "GET", path: path + "/-7001", answer: testkit.Sample(t, "configuration_trust_stores.built_in")})
		got, err := c.TrustStores.Get(t.Context(), sps.BuiltInTrustStoreKey)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "built-in", builtIn, got, ignoreMeta)
	})
	t.Run("create", func(t *testing.T) {
		one := testkit.Authority(t, "One")
		pem, _ := json.Marshal(testkit.PEM(one))
		post := contractExchange{
			method: "POST", path: path, status: 201, answer: `{"key":"new","meta":{"href":"` + path + `/new"}}`,
			body: `{"name":"Ours","authorities":[{"pem":` + string(pem) + `}],"crl_urls":[],"revocation_check":"none","trust_store_type":"custom"}`,
		}
		// The client reads the list of names when the function creates the store, and again
		// before the first write: an appliance that takes the lock only with the first write
		// may have changed in between.
		c := contractClient(t, slices.Concat(contractOpening(t), []contractExchange{list, list, post}, contractEnd(t, true))...)
		err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error {
			key, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours", one))
			testkit.Diff(t, "key", "new", key)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	custom := testkit.Sample(t, "configuration_trust_stores.custom")
	t.Run("update", func(t *testing.T) {
		c := contractClient(t, contractTransaction(t, true,
			[]contractExchange{{method: "GET", path: path + "/" + key, answer: custom}},
			contractExchange{method: "PUT", path: path + "/" + key, answer: `{"meta":{}}`, body: contractBody(t, "configuration_trust_stores.custom", func(body map[string]any) {
				body["crl_urls"] = []any{"http://crl.it/sec", "https://crl.example/more"}
			})})...)
		err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error {
				s.CRLURLs = append(s.CRLURLs, "https://crl.example/more")
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("delete", func(t *testing.T) {
		c := contractClient(t, contractTransaction(t, true, nil, contractExchange{method: "DELETE", path: path + "/" + key, answer: `{"meta":{"href":"` + path + "/" + key + `"}}`})...)
		if err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error { return tx.TrustStores.Delete(ctx, key) }); err != nil {
			t.Error(err)
		}
	})
	t.Run("delete one in use", func(t *testing.T) {
		c := contractClient(t, contractTransaction(t, false, nil, contractExchange{
			method: "DELETE", path: path + "/" + key, status: 400,
			answer: `{"error":{"type":"SemanticError","message":"in use","details":[{"message":"The object is in use","paths":["/api/configuration/policies/ldap_servers/1"]}]}}`,
		})...)
		err := contractCommit(t, c, func(ctx context.Context, tx *sps.Transaction) error { return tx.TrustStores.Delete(ctx, key) })
		wantRefusal(t, err, 400, sps.SemanticError)
		var faults *sps.SemanticErrorDetails
		if !errors.As(err, &faults) || len(faults.Errors) != 1 || faults.Errors[0].Object != "configuration/policies/ldap_servers/1" {
			t.Errorf("faults %+v", faults)
		}
	})
}

func TestContractStarlingConfiguration(t *testing.T) {
	const path = "/api/configuration/starling"
	info := &sps.StarlingJoinInfo{Environment: "prod", ProductInstance: testkit.StarlingInstance, ProductTIMS: testkit.StarlingTIMS}
	for name, want := range map[string]sps.StarlingConfiguration{
		"not_joined": {}, "joined": {JoinInfo: info, RemoteAccess: sps.RemoteAccess{Enabled: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: path, answer: testkit.Sample(t, "configuration_starling."+name)})
			got, err := c.Starling.Configuration.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "body", want, got.Body)
		})
	}
	off := strings.Replace(testkit.Sample(t, "configuration_starling.joined"), `"enabled": true`, `"enabled": false`, 1)
	enable := func(t *testing.T, answer contractExchange, commit bool) error {
		answer.method, answer.path, answer.body = "PUT", path, testkit.Sample(t, "configuration_starling.put")
		c := contractClient(t, contractTransaction(t, commit, []contractExchange{{method: "GET", path: path, answer: off}}, answer)...)
		return contractCommit(t, c, testkit.SetRemoteAccess(true))
	}
	t.Run("enable", func(t *testing.T) {
		if err := enable(t, contractExchange{answer: testkit.Sample(t, "configuration_starling.put_answer")}, true); err != nil {
			t.Error(err)
		}
	})
	for _, kind := range []sps.ErrorType{sps.RemoteAccessDependsOnStarlingJoinError, sps.StarlingJoinInfoIsReadOnlyError} {
		t.Run(string(kind), func(t *testing.T) {
			err := enable(t, contractExchange{status: 403, answer: `{"error":{"type":"` + string(kind) + `"}}`}, false)
			wantRefusal(t, err, 403, kind)
		})
	}
}

func TestContractStarlingJoin(t *testing.T) {
	const path = "/api/starling/join"
	joined := testkit.Sample(t, "starling_join.joined")
	want := &sps.StarlingJoin{Joined: true, ProductInstance: testkit.StarlingInstance, ProductName: "Safeguard", ProductTIMS: testkit.StarlingTIMS}
	t.Run("status", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "GET", path: path, answer: joined})
		got, err := c.Starling.JoinStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "status", want, got)
	})
	t.Run("status with TIMS", func(t *testing.T) {
		c := contractClient(t, contractExchange{method: "GET", path: path, query: "product_tims=222-333-444", answer: joined})
		if _, err := c.Starling.JoinStatus(t.Context(), sps.WithProductTIMS("222-333-444")); err != nil {
			t.Error(err)
		}
	})
	for query, options := range map[string][]sps.JoinStatusOption{"": nil, "product_tims=222-333-444": {sps.WithProductTIMS("222-333-444")}} {
		t.Run("from a browser "+query, func(t *testing.T) {
			c := contractClient(t, contractExchange{method: "GET", path: path, query: query, accept: "text/html", answer: "<html></html>", kind: "text/html"})
			page, err := c.Starling.JoinPage(t.Context(), options...)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "page", &sps.StarlingJoinPage{StatusCode: 200, ContentType: "text/html", Body: []byte("<html></html>")}, page)
		})
	}
	for query, call := range map[string]func(*sps.Client) error{
		"":           func(c *sps.Client) error { return c.Starling.Unjoin(t.Context()) },
		"force=true": func(c *sps.Client) error { return c.Starling.ForceUnjoin(t.Context()) },
	} {
		t.Run("unjoin "+query, func(t *testing.T) {
			if err := call(contractClient(t, contractExchange{method: "DELETE", path: path, query: query})); err != nil {
				t.Error(err)
			}
		})
		for _, kind := range []sps.ErrorType{sps.StarlingJoinIsInUseByRemoteAccessError, sps.ForbiddenActionError, sps.OpenTransactionError} {
			t.Run(fmt.Sprintf("unjoin %s refused: %s", query, kind), func(t *testing.T) {
				err := call(contractClient(t, contractExchange{method: "DELETE", path: path, query: query, status: 403, answer: `{"error":{"type":"` + string(kind) + `"}}`}))
				wantRefusal(t, err, 403, kind)
			})
		}
	}
	request := testkit.Sample(t, "starling_join.request")
	var sent struct {
		Credential string `json:"credential_string"`
		Endpoint   string `json:"token_endpoint"`
	}
	if err := json.Unmarshal([]byte(request), &sent); err != nil {
		t.Fatal(err)
	}
	for _, refusal := range []struct {
		status int
		kind   sps.ErrorType
	}{
		{200, ""}, {400, sps.MissingCredentialStringError}, {400, sps.MissingProductInstanceError}, {403, sps.OpenTransactionError}, {403, sps.ForbiddenActionError},
	} {
		t.Run("join "+string(refusal.kind), func(t *testing.T) {
			post := contractExchange{method: "POST", path: path, body: request, status: refusal.status, answer: `{}`}
			if refusal.kind != "" {
				post.answer = `{"error":{"type":"` + string(refusal.kind) + `"}}`
			}
			c := contractClient(t, contractExchange{method: "GET", path: path, answer: testkit.Sample(t, "starling_join.not_joined")}, post)
			err := c.Starling.Join(t.Context(), sps.StarlingJoinRequest{CredentialString: sps.NewSecretString(sent.Credential), TokenEndpoint: sent.Endpoint})
			if refusal.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, refusal.status, refusal.kind)
		})
	}
}
