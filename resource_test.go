package sps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// parsed decodes JSON into plain values, to compare what it means.
func parsed(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

// TestUpdateLosesNothing has an appliance with members that the SDK does not
// know, at every depth.
func TestUpdateLosesNothing(t *testing.T) {
	t.Parallel()
	const stored = `{
		"admin_address":"admin@example.com","alerting_address":"alerts@example.com","reporting_address":"",
		"sender_address":null,"unknown":null,"unknown_list":[],"unknown_number":1.50,"unknown_big":12345678901234567890,
		"smtp_auth":{"enabled":true,"user":{"name":"x","roles":[]}},
		"smtp_server":{"selection":"ip","value":"10.0.0.1","port":2525,"tls":{"versions":["1.2","1.3"]}},
		"policy":{"key":"-100","meta":{"href":"/api/configuration/policies/time_policies/-100"}},
		"servers":[{"address":{"key":"nic1.a","meta":{"href":"/api/configuration/network/nics/nic1"}},"weight":1}]}`
	a := spstest.NewServer(t)
	a.SetConfiguration("management/email", json.RawMessage(stored))
	c := connect(t, a)
	a.ResetJournal()
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.SMTPServer.Value = "10.0.0.2"
			e.ReportingAddress = "reports@example.com"
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := ""
	for _, r := range a.Journal() {
		if r.Method == "PUT" && strings.HasSuffix(r.Path, "email") {
			sent = string(r.Body)
		}
	}
	wantSent := strings.NewReplacer(
		`"10.0.0.1"`, `"10.0.0.2"`, `"reporting_address":""`, `"reporting_address":"reports@example.com"`,
		`{"key":"-100","meta":{"href":"/api/configuration/policies/time_policies/-100"}}`, `"-100"`,
		`{"key":"nic1.a","meta":{"href":"/api/configuration/network/nics/nic1"}}`, `"nic1.a"`,
	).Replace(stored)
	diff(t, "sent", parsed(t, []byte(wantSent)), parsed(t, []byte(sent)))
	for _, spelling := range []string{"1.50", "12345678901234567890"} {
		if !strings.Contains(sent, spelling) {
			t.Errorf("the number %s is written differently: %s", spelling, sent)
		}
	}
}

// TestOwnTypes types endpoints that the SDK does not, in one line each.
func TestOwnTypes(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := connect(t, a)
	timezone := sps.NewSingleton[string](c, "configuration/datetime/timezone")
	type backup struct {
		Policy sps.Ref `json:"backup_policy"`
	}
	systemBackup := sps.NewSingleton[backup](c, "configuration/management/system_backup")

	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := timezone.In(tx).Replace(ctx, "Europe/Budapest"); err != nil {
			return err
		}
		return timezone.In(tx).Update(ctx, func(zone *string) error {
			*zone = strings.ToUpper(*zone)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := timezone.Get(t.Context())
	if err != nil || got.Body != "EUROPE/BUDAPEST" || got.Key != "timezone" || got.Meta.Transaction != "/api/transaction" {
		t.Errorf("timezone %+v, %v", got, err)
	}

	b, err := systemBackup.Get(t.Context())
	if err != nil || b.Body.Policy.Key == "" || !strings.HasPrefix(b.Body.Policy.Href, "/api/configuration/") {
		t.Fatalf("backup %+v, %v", b, err)
	}
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return systemBackup.In(tx).Replace(ctx, b.Body)
	}); err != nil {
		t.Errorf("writing a reference back: %v", err)
	}
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return systemBackup.In(tx).Replace(ctx, backup{})
	}); err != nil {
		t.Errorf("writing no reference: %v", err)
	}
	written, _ := a.Configuration("management/system_backup")
	diff(t, "no reference", parsed(t, []byte(`{"backup_policy":null}`)), parsed(t, written))
}

func TestWrongPaths(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := connect(t, a)
	a.ResetJournal()
	for _, path := range []string{"", "/", "/api/", "api", "//configuration/x", "configuration//x", "configuration/../transaction", "https://sps1.example.com/api/info", "a\nb", "a\\b", "\xff"} {
		singleton, collection := sps.NewSingleton[string](c, path), sps.NewCollection[string](c, path)
		_, getErr := singleton.Get(t.Context())
		_, listErr := collection.List(t.Context())
		_, itemErr := collection.Get(t.Context(), "1")
		for _, err := range []error{getErr, listErr, itemErr} {
			if !errors.Is(err, sps.ErrInvalidInput) {
				t.Errorf("path %q: %v, want ErrInvalidInput", path, err)
			}
		}
	}
	for _, key := range []string{"", ".", "..", "a/b", "../x", "a\\b", "a\n"} {
		if _, err := sps.NewCollection[string](c, "configuration/policies/audit_policies").Get(t.Context(), key); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("key %q: %v, want ErrInvalidInput", key, err)
		}
	}
	diff(t, "requests", []string(nil), requests(a))

	// What cannot be a segment as it is goes out escaped.
	sps.NewCollection[string](c, "configuration/policies/audit_policies").Get(t.Context(), "a b%2e?#ü")
	diff(t, "requests", []string{"GET /api/configuration/policies/audit_policies/a%20b%252e%3F%23%C3%BC"}, requests(a))
}

type policy struct {
	Name string `json:"name"`
}

// TestCollection goes through the life of an object, with thin and fat lists.
func TestCollection(t *testing.T) {
	t.Parallel()
	underVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := connect(t, a)
		policies := sps.NewCollection[policy](c, "configuration/policies/audit_policies")
		old, err := policies.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var key string
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			p := policies.In(tx)
			full, err := c.Invoke(ctx, "GET", "configuration/policies/audit_policies/"+old[0].Key, nil)
			if err != nil {
				return err
			}
			var sample struct {
				Body map[string]any `json:"body"`
			}
			if err := full.Decode(&sample); err != nil {
				return err
			}
			sample.Body["name"] = "mine"
			if key, err = sps.NewCollection[map[string]any](c, "configuration/policies/audit_policies").In(tx).Create(ctx, sample.Body); err != nil {
				return err
			}
			return p.Update(ctx, key, func(p *policy) error { p.Name = "ours"; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		made, err := policies.Get(t.Context(), key)
		if err != nil || made.Key != key || made.Body.Name != "ours" {
			t.Errorf("made: %+v, %v", made, err)
		}
		all, err := policies.List(t.Context())
		if err != nil || len(all) != len(old)+1 {
			t.Errorf("%d objects after the creation, %v; want %d", len(all), err, len(old)+1)
		}
		for o, err := range policies.All(t.Context()) {
			if err != nil || o.Body.Name == "" {
				t.Errorf("object %+v, %v", o, err)
			}
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return policies.In(tx).Delete(ctx, key)
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := policies.Get(t.Context(), key); !errors.Is(err, sps.ResourceNotFound) {
			t.Errorf("after the deletion: %v, want ResourceNotFound", err)
		}
		if now, err := policies.List(t.Context()); err != nil {
			t.Error(err)
		} else {
			diff(t, "objects in the end", old, now, cmpopts.IgnoreTypes(sps.Meta{}))
		}
	})
}

func TestListForms(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	for name, test := range map[string]struct {
		list string
		item map[string]string // answers for single objects
		want []string          // names
		err  error
	}{
		"fat":                      {`{"items":[{"key":"1","body":{"name":"a"}},{"key":2,"body":{"name":"b"}}]}`, nil, []string{"a", "b"}, nil},
		"thin":                     {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"key":"1","body":{"name":"a"}}`}, []string{"a"}, nil},
		"{} is a body":             {`{"items":[{"key":"1","body":{}}]}`, nil, []string{""}, nil},
		"empty":                    {`{"items":[]}`, nil, nil, nil},
		"deleted meanwhile":        {`{"items":[{"key":"0"},{"key":"1","body":{"name":"a"}}]}`, map[string]string{"0": `{"error":{"type":"ResourceNotFound"}}`}, []string{"a"}, nil},
		"another object":           {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"key":"2","body":{"name":"b"}}`}, nil, sps.ErrBadAnswer},
		"refused":                  {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"error":{"type":"Unauthorized"}}`}, nil, sps.Unauthorized},
		"a sibling as next":        {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/configuration/policies/backup_policies"}}`, nil, []string{"a"}, nil},
		"one with a query as next": {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/configuration/policies/backup_policies?page=2"}}`, nil, []string{"a"}, nil},
		"the list itself as next":  {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/` + path + `"}}`, nil, []string{"a"}, nil},
		"next is itself":           {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/` + path + `?page=2"}}`, nil, []string{"a", "a"}, sps.ErrBadAnswer},
		"an empty page, and more":  {`{"items":[],"meta":{"next":"/api/` + path + `?page=2"}}`, nil, nil, sps.ErrBadAnswer},
		"no items":                 {`{"body":{}}`, nil, nil, sps.ErrBadAnswer},
		"an item without key":      {`{"items":[{"body":{}}]}`, nil, nil, sps.ErrBadAnswer},
		"an item with a path":      {`{"items":[{"key":"../x"}]}`, nil, nil, sps.ErrBadAnswer},
		"a body that does not fit": {`{"items":[{"key":"1","body":{"name":{}}}]}`, nil, nil, sps.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := connect(t, a)
			a.Inject(spstest.Fault{Path: path, Times: -1, Mutate: func([]byte) []byte { return []byte(test.list) }})
			for key, answer := range test.item {
				a.Inject(spstest.Fault{Path: path + "/" + key, Times: -1, Status: 200, Body: answer})
			}
			var names []string
			var failed error
			for o, err := range sps.NewCollection[policy](c, path).All(t.Context()) {
				if err != nil {
					failed = err
					continue
				}
				names = append(names, o.Body.Name)
			}
			diff(t, "names", test.want, names)
			if !errors.Is(failed, test.err) || failed != nil && test.err == nil {
				t.Errorf("error %v, want %v", failed, test.err)
			}
		})
	}
}

// TestPages follows the pages of a list, and stops when the caller does.
func TestPages(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	a := spstest.NewServer(t)
	c := connect(t, a)
	for page := range 5 {
		next := fmt.Sprintf(`"/api/%s?page=%d"`, path, page+1)
		if page == 4 {
			next = "null"
		}
		a.Inject(spstest.Fault{Path: path, Mutate: func([]byte) []byte {
			return fmt.Appendf(nil, `{"items":[{"key":"%d","body":{"name":"p%d"}}],"meta":{"next":%s}}`, page, page, next)
		}})
	}
	a.ResetJournal()
	all, err := sps.NewCollection[policy](c, path).List(t.Context())
	if err != nil || len(all) != 5 {
		t.Errorf("%d objects, %v; want 5", len(all), err)
	}
	diff(t, "query of the last page", "page=4", a.Journal()[4].RawQuery)

	a.ResetJournal()
	for range sps.NewCollection[policy](c, path).All(t.Context()) {
		break
	}
	diff(t, "requests", 1, len(requests(a)))
}

// TestListOptions sends the query with the first page and the header with all, and
// goes on by the appliance's links.
func TestListOptions(t *testing.T) {
	t.Parallel()
	const path = "audit/sessions"
	type session struct {
		User string `json:"user"`
	}
	for name, test := range map[string]struct {
		next []string // of the pages
		want []string // queries that are sent
		err  error
	}{
		"one page":            {[]string{""}, []string{"fields=user&q=user%3Ax"}, nil},
		"pages with it":       {[]string{"?q=user%3Ax&fields=user&offset=1", "?q=user%3Ax&fields=user&offset=2", ""}, []string{"fields=user&q=user%3Ax", "fields=user&offset=1&q=user%3Ax", "fields=user&offset=2&q=user%3Ax"}, nil},
		"pages without":       {[]string{"?cursor=a", ""}, []string{"fields=user&q=user%3Ax", "cursor=a"}, nil},
		"the first once more": {[]string{"?q=user%3Ax&fields=user"}, []string{"fields=user&q=user%3Ax"}, sps.ErrBadAnswer},
		"a circle":            {[]string{"?cursor=a", "?q=user%3Ax&fields=user", "?cursor=a", "?q=user%3Ax&fields=user"}, nil, sps.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := connect(t, a)
			list := func(what string, all func(...sps.RequestOption) ([]*sps.Object[session], error)) {
				for i, next := range test.next {
					link := "null"
					if next != "" {
						link = `"/api/` + path + next + `"`
					}
					a.Inject(spstest.Fault{Path: path, Status: 200, Body: fmt.Sprintf(`{"items":[{"key":"%d","body":{"user":"x"}}],"meta":{"next":%s}}`, i, link)})
				}
				a.ResetJournal()
				objects, err := all(sps.WithQuery("q", "user:x"), sps.WithQuery("fields", "user"), nil, sps.WithHeader("Accept-Language", "en"))
				if !errors.Is(err, test.err) || err != nil && test.err == nil || err == nil && len(objects) != len(test.next) {
					t.Errorf("%s: %d objects, %v; want %v", what, len(objects), err, test.err)
				}
				var queries []string
				for _, r := range a.Journal() {
					if r.Path == "/api/"+path || r.Path == path {
						queries = append(queries, r.RawQuery)
						diff(t, what+": header", "en", r.Header.Get("Accept-Language"))
					}
				}
				if test.want != nil {
					diff(t, what+": queries", test.want, queries)
				}
				a.ClearFaults()
			}
			sessions := sps.NewCollection[session](c, path)
			list("client", func(options ...sps.RequestOption) ([]*sps.Object[session], error) {
				return sessions.List(t.Context(), options...)
			})
			err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				list("transaction", func(options ...sps.RequestOption) ([]*sps.Object[session], error) {
					return sessions.In(tx).List(ctx, options...)
				})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestListOptionsRefused refuses what does not fit a list, and sends nothing.
func TestListOptionsRefused(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := connect(t, a)
	a.ResetJournal()
	for name, option := range map[string]sps.RequestOption{
		"another format":    sps.WithHeader("Accept", "text/csv"),
		"a reserved header": sps.WithHeader("Cookie", "x"),
	} {
		if _, err := c.TrustStores.List(t.Context(), sps.WithQuery("a", "b"), option); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
	}
	diff(t, "requests", []string(nil), requests(a))
	// The same iteration twice sends the same twice.
	all := c.TrustStores.All(t.Context(), sps.WithQuery("a", "b"))
	for range 2 {
		a.ResetJournal()
		for _, err := range all {
			if err != nil {
				t.Fatal(err)
			}
		}
		diff(t, "query", "a=b", a.Journal()[0].RawQuery)
	}
}

// TestSecretsInBodies writes secrets truly, and refuses one that was printed.
func TestSecretsInBodies(t *testing.T) {
	t.Parallel()
	const hidden = "s3cret \"☃\""
	a := spstest.NewServer(t)
	a.SetConfiguration("passwords_test", json.RawMessage(`{"plain":"old","user":"x"}`))
	c := connect(t, a)
	type password struct {
		Plain sps.Secret `json:"plain"`
	}
	handle := sps.NewSingleton[password](c, "configuration/passwords_test")
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return handle.In(tx).Update(ctx, func(p *password) error {
			if p.Plain.ExposeString() != "old" {
				t.Errorf("read %q", p.Plain.ExposeString())
			}
			p.Plain = sps.NewSecretString(hidden)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	stored, _ := a.Configuration("passwords_test")
	diff(t, "stored", parsed(t, []byte(`{"plain":"s3cret \"☃\"","user":"x"}`)), parsed(t, stored))

	secret := sps.NewSecretString(hidden)
	printed, _ := json.Marshal(map[string]any{"plain": secret})
	a.ResetJournal()
	for name, body := range map[string]any{
		"encoding/json": printed, "raw": json.RawMessage(printed), "fmt": map[string]string{"plain": fmt.Sprint(secret)},
		"String": map[string]string{"plain": "x" + secret.String() + "y"}, "deep": []any{map[string]any{"a": []string{secret.String()}}},
	} {
		if _, err := c.Invoke(t.Context(), "POST", "passwords", body); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewSingleton[any](c, "configuration/passwords_test").In(tx).Replace(ctx, body)
		})
		if !errors.Is(err, sps.ErrInvalidInput) {
			// Bytes are no JSON to a typed handle: they are encoded as one more text.
			if _, isBytes := body.([]byte); !isBytes {
				t.Errorf("%s in a transaction: %v, want ErrInvalidInput", name, err)
			}
		}
	}
	for _, r := range a.Journal() {
		if strings.Contains(string(r.Body), secret.String()) {
			t.Errorf("a placeholder was sent: %s", r.Body)
		}
	}
}

// TestPagesInACircle notices pages that never end, however long the circle is.
func TestPagesInACircle(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 2, 3, 7} {
		asked := 0
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
			roundTrip(func(r *http.Request) (*http.Response, error) {
				asked++
				return answer(r, 200, http.Header{}, fmt.Sprintf(`{"items":[{"key":"k","body":{}}],"meta":{"next":"/api/x?page=%d"}}`, asked%length)), nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sps.NewCollection[policy](c, "x").List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("a circle of %d: %v, want ErrBadAnswer", length, err)
		}
		if asked > 40 {
			t.Errorf("a circle of %d: noticed after %d pages", length, asked)
		}
	}
}

// TestMisspeltMember refuses what the appliance would ignore without an error.
func TestMisspeltMember(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := connect(t, a)
	type email struct {
		Address string `json:"adminAddress"`
	}
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return sps.NewSingleton[email](c, "configuration/management/email").In(tx).Update(ctx, func(e *email) error {
			e.Address = after
			return nil
		})
	})
	if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "adminAddress") {
		t.Errorf("error %v, want ErrInvalidInput with the name", err)
	}
}

// TestMemberOfTheSDK writes a member that the SDK knows where the appliance does not
// show it.
func TestMemberOfTheSDK(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := connect(t, a)
	a.SetConfiguration("management/email", []byte(`{"reporting_address":"r@example.com"}`))
	if err := c.Transaction(t.Context(), setAdmin(after)); err != nil {
		t.Error(err)
	}
	settled(t, a, after)
}

// TestNameTwice gives none of two objects with the same name.
func TestNameTwice(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	a := spstest.NewServer(t)
	c := connect(t, a)
	a.Inject(spstest.Fault{Path: path, Mutate: func([]byte) []byte {
		return []byte(`{"items":[{"key":"1","body":{"name":"x"}},{"key":"2","body":{"name":"x"}}]}`)
	}})
	if o, err := sps.NewCollection[policy](c, path).GetByName(t.Context(), "x"); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("%+v, %v, want ErrBadAnswer", o, err)
	}
}

// TestEmptyPages ends at the first of those that lead on without showing anything: there
// may be no end to them, and the caller could not tell.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	asked := 0
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
		roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; asked > 10 {
				return answer(r, 404, http.Header{}, ""), nil
			}
			return answer(r, 200, http.Header{}, fmt.Sprintf(`{"items":[],"meta":{"next":"/api/x?page=%d"}}`, asked)), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sps.NewCollection[policy](c, "x").List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("error %v, want ErrBadAnswer", err)
	}
	diff(t, "pages", 1, asked)
}

// TestCreatedKey finds the key of what was created wherever an answer names it.
func TestCreatedKey(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	for name, test := range map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"key":               {nil, `{"key":"k1"}`, "k1"},
		"number":            {nil, `{"key":7}`, "7"},
		"href":              {nil, `{"meta":{"href":"/api/` + path + `/a%20b"}}`, "a b"},
		"Location":          {http.Header{"Location": {"/api/" + path + "/k2"}}, ``, "k2"},
		"absolute Location": {http.Header{"Location": {"https://sps1.example.com/api/" + path + "/k3/"}}, ``, "k3"},
		"an empty key":      {nil, `{"key":"","meta":{"href":"/api/` + path + `/k5"}}`, "k5"},
		"an empty segment":  {nil, `{"meta":{"href":"/api/` + path + `//"}}`, ""},
		"of another list":   {http.Header{"Location": {"/api/configuration/policies/time_policies/k4"}}, ``, ""},
		"nothing":           {nil, `{}`, ""},
	} {
		a := spstest.NewServer(t)
		c := connect(t, a)
		a.Inject(spstest.Fault{Method: "POST", Path: path, Status: 201, Body: orSpace(test.body), Header: test.header})
		var got string
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) (err error) {
			got, err = sps.NewCollection[policy](c, path).In(tx).Create(ctx, policy{"x"})
			if err == nil {
				err = errRollback
			}
			return err
		})
		if test.want == "" && !errors.Is(err, sps.ErrBadAnswer) || test.want != "" && !errors.Is(err, errRollback) {
			t.Errorf("%s: %v", name, err)
		}
		diff(t, name, test.want, got)
	}
}

var errRollback = errors.New("enough seen")

// orSpace keeps an empty answer from being replaced by a page.
func orSpace(body string) string {
	if body == "" {
		return "{}"
	}
	return body
}
