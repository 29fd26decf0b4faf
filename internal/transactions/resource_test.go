package transactions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// parsed decodes JSON to Go values, so that two texts can be compared without regard to
// spelling and order.
func parsed(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

// TestUpdateLosesNothing checks that an update keeps members that the SDK does not know, at
// each level of the object.
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
	c := testkit.Connect(t, a)
	a.ResetJournal()
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
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
	testkit.Diff(t, "sent", parsed(t, []byte(wantSent)), parsed(t, []byte(sent)))
	for _, spelling := range []string{"1.50", "12345678901234567890"} {
		if !strings.Contains(sent, spelling) {
			t.Errorf("the number %s is written differently: %s", spelling, sent)
		}
	}
}

// TestNumbers checks that each kind of write keeps the digits of numbers of any size, also of
// numbers that the caller decoded with UseNumber.
func TestNumbers(t *testing.T) {
	t.Parallel()
	const big, precise = "12345678901234567890123", "0.1000000000000000055511151231257827"
	a := spstest.NewServer(t)
	a.SetConfiguration("numbers", json.RawMessage(`{"n":1.50,"big":`+big+`,"text":"42"}`))
	c := testkit.Connect(t, a)
	type numbers struct {
		N    json.Number `json:"n"`
		Big  json.Number `json:"big"`
		Text json.Number `json:"text"`
	}
	typed := sps.NewSingleton[numbers](c, "configuration/numbers")
	open := sps.NewSingleton[map[string]any](c, "configuration/numbers")
	list := sps.NewCollection[map[string]any](c, "configuration/policies/audit_policies")
	o, err := typed.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "read", numbers{"1.50", big, "42"}, o.Body)
	response, err := c.Invoke(t.Context(), "GET", "configuration/numbers", nil)
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Body numbers `json:"body"`
	}
	if err := response.Decode(&whole); err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "decoded", o.Body, whole.Body)
	var exported struct {
		Body map[string]any `json:"body"`
	}
	decoder := json.NewDecoder(bytes.NewReader(response.Body))
	decoder.UseNumber()
	if err := decoder.Decode(&exported); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		write func(context.Context, *sps.Transaction) error
		want  string
	}{
		"Update of a type": {func(ctx context.Context, tx *sps.Transaction) error {
			return typed.In(tx).Update(ctx, func(n *numbers) error { n.N = precise; return nil })
		}, `{"n":` + precise + `,"big":` + big + `,"text":"42"}`},
		"Update of a map": {func(ctx context.Context, tx *sps.Transaction) error {
			return open.In(tx).Update(ctx, func(m *map[string]any) error { (*m)["n"] = json.Number(precise); return nil })
		}, `{"n":` + precise + `,"big":` + big + `,"text":"42"}`},
		"Replace": {func(ctx context.Context, tx *sps.Transaction) error {
			return open.In(tx).Replace(ctx, exported.Body)
		}, `{"big":` + big + `,"n":1.50,"text":"42"}`},
		"Create": {func(ctx context.Context, tx *sps.Transaction) error {
			_, err := list.In(tx).Create(ctx, map[string]any{"name": "x", "n": json.Number("42"), "in": []any{json.Number(big)}})
			return err
		}, `{"in":[` + big + `],"n":42,"name":"x"}`},
		"Invoke": {func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/numbers", map[string]any{"n": json.Number("42")})
			return err
		}, `{"n":42}`},
	} {
		a.ResetJournal()
		if _, err := c.Preview(t.Context(), test.write); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sent := ""
		for _, r := range a.Journal() {
			if r.Method != "GET" && strings.HasPrefix(r.Path, "/api/configuration") {
				sent = string(r.Body)
			}
		}
		testkit.Diff(t, name, test.want, sent)
	}
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return open.In(tx).Replace(ctx, map[string]any{"n": json.Number("four")})
	})
	if !errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("a json.Number that is not a number: %v, want ErrInvalidInput", err)
	}
}

// TestCallerDefinedTypes checks endpoints for which the caller defines the body type.
func TestCallerDefinedTypes(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
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
		t.Errorf("writing an empty reference: %v", err)
	}
	written, _ := a.Configuration("management/system_backup")
	testkit.Diff(t, "no reference", parsed(t, []byte(`{"backup_policy":null}`)), parsed(t, written))
}

func TestWrongPaths(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
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
	testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))

	// A key with special characters is sent escaped.
	sps.NewCollection[string](c, "configuration/policies/audit_policies").Get(t.Context(), "a b%2e?#ü")
	testkit.Diff(t, "requests", []string{"GET /api/configuration/policies/audit_policies/a%20b%252e%3F%23%C3%BC"}, testkit.Requests(a))
}

type policy struct {
	Name string `json:"name"`
}

// TestCollection creates, reads, updates, lists and deletes an object, with each variant of the
// appliance: some lists contain the bodies of the objects, and others only their keys.
func TestCollection(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
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
			t.Errorf("the created object: %+v, %v", made, err)
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
			t.Errorf("reading the deleted object: %v, want ResourceNotFound", err)
		}
		if now, err := policies.List(t.Context()); err != nil {
			t.Error(err)
		} else {
			testkit.Diff(t, "objects after the deletion", old, now, cmpopts.IgnoreTypes(sps.Meta{}))
		}
	})
}

func TestListForms(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	for name, test := range map[string]struct {
		list string
		item map[string]string // responses to reads of single objects, by key
		want []string          // the names of the returned objects
		err  error
	}{
		"list with bodies":                         {`{"items":[{"key":"1","body":{"name":"a"}},{"key":2,"body":{"name":"b"}}]}`, nil, []string{"a", "b"}, nil},
		"list without bodies":                      {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"key":"1","body":{"name":"a"}}`}, []string{"a"}, nil},
		"body {}":                                  {`{"items":[{"key":"1","body":{}}]}`, nil, []string{""}, nil},
		"empty":                                    {`{"items":[]}`, nil, nil, nil},
		"object deleted after the list was read":   {`{"items":[{"key":"0"},{"key":"1","body":{"name":"a"}}]}`, map[string]string{"0": `{"error":{"type":"ResourceNotFound"}}`}, []string{"a"}, nil},
		"response with another object":             {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"key":"2","body":{"name":"b"}}`}, nil, sps.ErrBadAnswer},
		"object refused":                           {`{"items":[{"key":"1"}]}`, map[string]string{"1": `{"error":{"type":"Unauthorized"}}`}, nil, sps.Unauthorized},
		"next leads to another list":               {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/configuration/policies/backup_policies"}}`, nil, []string{"a"}, nil},
		"next leads to another list, with a query": {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/configuration/policies/backup_policies?page=2"}}`, nil, []string{"a"}, nil},
		"next leads to the list without a query":   {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/` + path + `"}}`, nil, []string{"a"}, nil},
		"next leads to the same page":              {`{"items":[{"key":"1","body":{"name":"a"}}],"meta":{"next":"/api/` + path + `?page=2"}}`, nil, []string{"a", "a"}, sps.ErrBadAnswer},
		"empty page with a next link":              {`{"items":[],"meta":{"next":"/api/` + path + `?page=2"}}`, nil, nil, sps.ErrBadAnswer},
		"no items":                                 {`{"body":{}}`, nil, nil, sps.ErrBadAnswer},
		"an item without key":                      {`{"items":[{"body":{}}]}`, nil, nil, sps.ErrBadAnswer},
		"an item with an invalid key":              {`{"items":[{"key":"../x"}]}`, nil, nil, sps.ErrBadAnswer},
		"a body that does not fit":                 {`{"items":[{"key":"1","body":{"name":{}}}]}`, nil, nil, sps.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
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
			testkit.Diff(t, "names", test.want, names)
			if !errors.Is(failed, test.err) || failed != nil && test.err == nil {
				t.Errorf("error %v, want %v", failed, test.err)
			}
		})
	}
}

// TestPages checks that List reads all pages of a list, and that All reads no further page
// after the caller leaves the loop.
func TestPages(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
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
	testkit.Diff(t, "query of the last page", "page=4", a.Journal()[4].RawQuery)

	a.ResetJournal()
	for range sps.NewCollection[policy](c, path).All(t.Context()) {
		break
	}
	testkit.Diff(t, "requests", 1, len(testkit.Requests(a)))
}

// TestEndlessPages checks that the client stops reading pages that do not end, although each
// page links to a new URL.
func TestEndlessPages(t *testing.T) {
	t.Parallel()
	page := func(n int, keys ...any) string {
		var items []string
		for _, key := range keys {
			items = append(items, fmt.Sprintf(`{"key":"%v","body":{}}`, key))
		}
		return fmt.Sprintf(`{"items":[%s],"meta":{"next":"/api/x?offset=%d"}}`, strings.Join(items, ","), n+1)
	}
	for name, test := range map[string]struct {
		page func(n int) string
		most int // the maximum number of requests
		want int // the number of returned objects
		err  error
	}{
		"same two keys on each page":         {func(n int) string { return page(n, "a", "b") }, 4, 8, sps.ErrBadAnswer},
		"same two keys in alternating order": {func(n int) string { return page(n, n%2, 1-n%2) }, 4, 8, sps.ErrBadAnswer},
		"same three pages":                   {func(n int) string { return page(n, n%3) }, 14, 14, sps.ErrBadAnswer},
		"same 1,000 pages":                   {func(n int) string { return page(n, n%1000) }, 4048, 4048, sps.ErrBadAnswer},
		"same 100,000 pages":                 {func(n int) string { return page(n, n%100_000) }, 25_000, 25_000, sps.ErrBadAnswer},
		"new keys without end":               {func(n int) string { return page(n, n) }, 25_000, 25_000, sps.ErrBadAnswer},
		"items repeated once, as if others were added meanwhile": {func(n int) string {
			if n == 9 {
				return `{"items":[{"key":"last","body":{}}]}`
			}
			return page(n, "a", n/2)
		}, 10, 19, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString("session")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				n := asked
				if asked++; asked > test.most {
					return nil, errors.New("one request too many")
				}
				return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, test.page(n)), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			got := 0
			for o, err := range sps.NewCollection[any](c, "x").All(t.Context()) {
				if err == nil && o != nil {
					got++
					continue
				}
				if !errors.Is(err, test.err) || test.err == nil {
					t.Errorf("error %v, want %v", err, test.err)
				}
				test.err = nil
			}
			if test.err != nil {
				t.Errorf("no error, want %v", test.err)
			}
			testkit.Diff(t, "objects", test.want, got)
		})
	}
}

// TestNextPage checks that the client follows the link to the next page if it leads to the
// list, which is the path of the request or the path in the href of the response. A link to
// another path ends the list. It causes ErrBadAnswer if match_count says that items are
// missing.
func TestNextPage(t *testing.T) {
	t.Parallel()
	const list, alias = "audit/sessions/1/indexing", "audit/sessions/1/indexer"
	page := func(name, meta string) string { return fmt.Sprintf(`{"items":[{"status":%q}],"meta":%s}`, name, meta) }
	last := page("b", `{"next":null}`)
	for name, test := range map[string]struct {
		first string
		asked []string
		err   error
	}{
		"list":                                  {page("a", `{"href":"/api/`+list+`","next":"/api/`+list+`?offset=1","match_count":2}`), []string{list, list + "?offset=1"}, nil},
		"path of the href":                      {page("a", `{"href":"/api/`+alias+`?limit=1","next":"/api/`+alias+`?offset=1","match_count":2}`), []string{list, alias + "?offset=1"}, nil},
		"list, response without href":           {page("a", `{"next":"/api/`+list+`?offset=1"}`), []string{list, list + "?offset=1"}, nil},
		"another list":                          {page("a", `{"href":"/api/`+list+`","next":"/api/audit/sessions/1/log"}`), []string{list}, nil},
		"another list, all items returned":      {page("a", `{"href":"/api/`+list+`","next":"/api/audit/sessions/1/log","match_count":1}`), []string{list}, nil},
		"another list, items missing":           {page("a", `{"href":"/api/`+list+`","next":"/api/audit/sessions/1/log?offset=1","match_count":2}`), []string{list}, sps.ErrBadAnswer},
		"same page":                             {page("a", `{"href":"/api/`+list+`","next":"/api/`+list+`","match_count":2}`), []string{list}, sps.ErrBadAnswer},
		"another host":                          {page("a", `{"href":"/api/`+list+`","next":"https://x/?offset=1","match_count":2}`), []string{list}, sps.ErrBadAnswer},
		"no link, items missing":                {page("a", `{"href":"/api/`+list+`","next":null,"match_count":2}`), []string{list}, nil},
		"invalid link on a page from an offset": {page("a", `{"href":"/api/`+list+`","next":"/api/x","match_count":2,"offset":1}`), []string{list}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString("session")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				body := test.first
				if asked = append(asked, strings.TrimPrefix(r.URL.RequestURI(), "/api/")); len(asked) > 1 {
					body = last
				}
				return testkit.Answer(r, 200, http.Header{"Content-Type": {"application/json"}}, body), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			var got []string
			var failed error
			for o, err := range sps.NewCollection[audit.Indexing](c, list).All(t.Context()) {
				if failed = err; err == nil {
					got = append(got, o.Body.Status)
				}
			}
			testkit.Diff(t, "asked for", test.asked, asked)
			testkit.Diff(t, "objects", []string{"a", "b"}[:len(test.asked)], got)
			if !errors.Is(failed, test.err) || test.err == nil && failed != nil {
				t.Errorf("error %v, want %v", failed, test.err)
			}
		})
	}
}

// TestRecords checks lists whose items are the values themselves and have no key and body. The
// client accepts such lists outside of the configuration only.
func TestRecords(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithAuditSessions(100))
	c := testkit.Connect(t, a)
	events, indexing := 0, 0
	for session := range a.AuditSessions() {
		all, err := sps.NewCollection[audit.Event](c, "audit/sessions/"+session.Key+"/events").List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range all {
			if events++; event.Key != "" || event.Body.Type == "" {
				t.Errorf("%+v, want a record without a key", event)
			}
		}
		list := sps.NewCollection[audit.Indexing](c, "audit/sessions/"+session.Key+"/indexing") // in this list, the links to the next page have the path …/indexer
		whole, err := list.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		paged, err := list.List(t.Context(), sps.WithQuery("limit", "1"))
		if err != nil || len(paged) != len(whole) {
			t.Errorf("%d of %d records, %v", len(paged), len(whole), err)
		}
		indexing = max(indexing, len(whole))
	}
	if events == 0 || indexing < 2 {
		t.Errorf("%d events, at most %d records of the indexer", events, indexing)
	}
	for path, items := range map[string]string{
		"configuration/trust_stores":     `{"name":"x"}`,
		"firmware/slots":                 `{"meta":{"href":"/api/firmware/slots/1"}}`,
		"firmware/fetch":                 `{"body":{}}`,
		"troubleshooting/support-bundle": `{}`,
		"integrated_products":            `{"key":null,"name":"x"}`,
	} {
		a.Inject(spstest.Fault{Path: path, Status: 200, Body: `{"items":[` + items + `]}`})
		if _, err := sps.NewCollection[any](c, path).List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) || !strings.Contains(err.Error(), "lacks its key") {
			t.Errorf("%s: %v, want ErrBadAnswer", items, err)
		}
	}
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 200, Body: `{"items":[{"name":"x"}]}`})
	if _, err := c.Listing(t.Context(), "firmware/slots"); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("List: %v, want ErrBadAnswer", err)
	}
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 200, Body: `{"items":[{"name":"x"},{"name":"y"}]}`})
	var bodies []string
	for node, err := range c.Walk(t.Context(), "firmware/slots") {
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(node.Body))
	}
	testkit.Diff(t, "bodies of a walk", []string{"", `{"name":"x"}`, `{"name":"y"}`}, bodies)
}

// TestGarbledText checks a list in which the name of one item contains an invalid character.
// List must return the other items. An update of the damaged object must fail before the client
// sends a PUT.
func TestGarbledText(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	list := `{"items":[{"key":"1","body":{"name":"a"}},{"key":"2","body":{"name":"\ud800"}},{"key":"3","body":{"name":"c"}}]}`
	show := func() {
		a.ClearFaults()
		a.Inject(spstest.Fault{Method: "GET", Path: path, Status: 200, Body: list, Times: -1})
		a.Inject(spstest.Fault{Method: "GET", Path: path + "/2", Status: 200, Body: `{"key":"2","body":{"name":"\ud800"}}`, Times: -1})
	}
	show()
	policies := sps.NewCollection[policy](c, path)
	all, err := policies.List(t.Context())
	if text := fmt.Sprint(err); !errors.Is(err, sps.ErrBadAnswer) || !strings.Contains(text, "the body of 2 has text that is not valid UTF-8") || !strings.Contains(text, "read the bytes of /api/"+path) {
		t.Errorf("error %s, want an error that names the item and the call", text)
	}
	var names []string
	for _, o := range all {
		names = append(names, o.Body.Name)
	}
	testkit.Diff(t, "names", []string{"a", "c"}, names)
	if o, err := policies.GetByName(t.Context(), "c"); err != nil || o.Key != "3" {
		t.Errorf("GetByName: %v, %v", o, err)
	}
	response, err := c.Invoke(t.Context(), "GET", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "bytes", list, string(response.Body))
	var decoded any
	if err := response.Decode(&decoded); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("Decode: %v, want ErrBadAnswer", err)
	}
	for name, update := range map[string]func(context.Context, *sps.Transaction) error{
		"typed": func(ctx context.Context, tx *sps.Transaction) error {
			return policies.In(tx).Update(ctx, "2", func(p *policy) error { p.Name = "b"; return nil })
		},
		"other member": func(ctx context.Context, tx *sps.Transaction) error {
			type other struct {
				Other string `json:"other"`
			}
			return sps.NewCollection[other](c, path).In(tx).Update(ctx, "2", func(o *other) error { o.Other = "b"; return nil })
		},
		"raw": func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewCollection[json.RawMessage](c, path).In(tx).Update(ctx, "2", func(raw *json.RawMessage) error {
				*raw = json.RawMessage(`{"name":"b"}`)
				return nil
			})
		},
	} {
		a.ResetJournal()
		if err := c.Transaction(t.Context(), update); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %v, want ErrBadAnswer", name, err)
		}
		for _, r := range a.Journal() {
			if r.Method == "PUT" {
				t.Errorf("%s: %s %s was sent", name, r.Method, r.Path)
			}
		}
	}
	a.Inject(spstest.Fault{Method: "GET", Path: "configuration/trust_stores", Status: 200, Body: `{"items":[{"key":"\udfff","body":{}},{"key":"2","body":{}}]}`, Times: -1})
	if all, err := sps.NewCollection[any](c, "configuration/trust_stores").List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) || len(all) != 1 {
		t.Errorf("a list with a garbled key: %d objects, %v, want one object and ErrBadAnswer", len(all), err)
	}
	if _, err := sps.NewCollection[any](c, "configuration/trust_stores").GetByName(t.Context(), "x"); !errors.Is(err, sps.ErrNoSuchName) {
		t.Errorf("GetByName in a list with a garbled key: %v, want ErrNoSuchName", err)
	}
}

// TestListOptions checks that the client sends query options with the first page only and
// header options with every page, and that it uses the link of the appliance for each further
// page.
func TestListOptions(t *testing.T) {
	t.Parallel()
	const path = "audit/sessions"
	type session struct {
		User string `json:"user"`
	}
	for name, test := range map[string]struct {
		next []string // the next links of the pages
		want []string // the queries that the client sends
		err  error
	}{
		"one page":                     {[]string{""}, []string{"fields=user&q=user%3Ax"}, nil},
		"next links with the query":    {[]string{"?q=user%3Ax&fields=user&offset=1", "?q=user%3Ax&fields=user&offset=2", ""}, []string{"fields=user&q=user%3Ax", "fields=user&offset=1&q=user%3Ax", "fields=user&offset=2&q=user%3Ax"}, nil},
		"next link without the query":  {[]string{"?cursor=a", ""}, []string{"fields=user&q=user%3Ax", "cursor=a"}, nil},
		"next leads to the first page": {[]string{"?q=user%3Ax&fields=user"}, []string{"fields=user&q=user%3Ax"}, sps.ErrBadAnswer},
		"next links in a circle":       {[]string{"?cursor=a", "?q=user%3Ax&fields=user", "?cursor=a", "?q=user%3Ax&fields=user"}, nil, sps.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			list := func(what string, all func(...sps.RequestOption) ([]*sps.Object[session], error)) {
				for i, next := range test.next {
					link := "null"
					if next != "" {
						link = `"/api/` + path + next + `"`
					}
					a.Inject(spstest.Fault{Path: path, Status: 200, Body: fmt.Sprintf(`{"items":[{"key":"%d","body":{"user":"x"}}],"meta":{"next":%s}}`, i, link), MayMiss: test.err != nil})
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
						testkit.Diff(t, what+": header", "en", r.Header.Get("Accept-Language"))
					}
				}
				if test.want != nil {
					testkit.Diff(t, what+": queries", test.want, queries)
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

// TestListOptionsRefused checks that the client rejects options that are not permitted for a
// list before it sends a request.
func TestListOptionsRefused(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	for name, option := range map[string]sps.RequestOption{
		"another format":    sps.WithHeader("Accept", "text/csv"),
		"a reserved header": sps.WithHeader("Cookie", "x"),
	} {
		if _, err := c.TrustStores.List(t.Context(), sps.WithQuery("a", "b"), option); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
	}
	testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
	// A second loop over the same iterator sends the same requests.
	all := c.TrustStores.All(t.Context(), sps.WithQuery("a", "b"))
	for range 2 {
		a.ResetJournal()
		for _, err := range all {
			if err != nil {
				t.Fatal(err)
			}
		}
		testkit.Diff(t, "query", "a=b", a.Journal()[0].RawQuery)
	}
}

// TestSecretsInBodies checks that a write sends the value of a Secret, and that the client
// rejects a body that contains the placeholder of a printed Secret.
func TestSecretsInBodies(t *testing.T) {
	t.Parallel()
	const hidden = "s3cret \"☃\""
	a := spstest.NewServer(t)
	a.SetConfiguration("passwords_test", json.RawMessage(`{"plain":"old","user":"x"}`))
	c := testkit.Connect(t, a)
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
	testkit.Diff(t, "stored", parsed(t, []byte(`{"plain":"s3cret \"☃\"","user":"x"}`)), parsed(t, stored))

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
			// A typed handle encodes bytes as a string, not as JSON.
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

// TestCircularPages checks that the client stops at pages that link to each other in a circle.
func TestCircularPages(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 2, 3, 7} {
		asked := 0
		c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				asked++
				return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"items":[{"key":"k","body":{}}],"meta":{"next":"/api/x?page=%d"}}`, asked%length)), nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sps.NewCollection[policy](c, "x").List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("a circle of %d pages: %v, want ErrBadAnswer", length, err)
		}
		if asked > 40 {
			t.Errorf("a circle of %d pages: the client stopped after %d pages", length, asked)
		}
	}
}

// TestMisspeltMember checks that the client rejects an update that adds a member that the
// object does not have. The appliance would ignore the member without an error.
func TestMisspeltMember(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	type email struct {
		Address string `json:"adminAddress"`
	}
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return sps.NewSingleton[email](c, "configuration/management/email").In(tx).Update(ctx, func(e *email) error {
			e.Address = testkit.AdminAfter
			return nil
		})
	})
	if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "adminAddress") {
		t.Errorf("error %v, want ErrInvalidInput with the name", err)
	}
}

// TestMisspeltNestedMember checks that an update is rejected if it adds an unknown member at
// any level of the object. A new element of a list may have any members. An object in which the
// update changes selection or enabled may have any members, too.
func TestMisspeltNestedMember(t *testing.T) {
	t.Parallel()
	type server struct {
		Selection string `json:"selection"`
		Value     string `json:"value"`
		Valeu     string `json:"valeu,omitzero"`
	}
	type auth struct {
		Enabled  bool   `json:"enabled"`
		Username string `json:"username,omitzero"`
	}
	type hop struct {
		Address string `json:"address"`
		Weight  int    `json:"weight,omitzero"`
		Wieght  int    `json:"wieght,omitzero"`
	}
	type relay struct {
		Server server `json:"smtp_server"`
		Auth   auth   `json:"smtp_auth"`
		Hops   []hop  `json:"hops"`
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	const path = "configuration/management/email"
	a.Inject(spstest.Fault{Method: "GET", Path: path, Status: 200, Times: -1, Body: `{"key":"x","body":{
		"smtp_server":{"selection":"ip","value":"10.0.0.1"},"smtp_auth":{"enabled":false},"hops":[{"address":"a"},{"address":"b","weight":1}]}}`})
	a.Inject(spstest.Fault{Method: "PUT", Path: path, Status: 200, Times: -1, Body: `{}`})
	for name, test := range map[string]struct {
		change func(r *relay)
		want   string // the path of the rejected member, "" if the update is sent
	}{
		"in an object":                           {func(r *relay) { r.Server.Valeu = "10.0.0.2" }, "smtp_server/valeu"},
		"in an element":                          {func(r *relay) { r.Hops[1].Wieght = 2 }, "hops/1/wieght"},
		"member that another element has":        {func(r *relay) { r.Hops[0].Weight = 2 }, ""},
		"in a new element":                       {func(r *relay) { r.Hops = append(r.Hops, hop{Address: "c", Wieght: 2}) }, ""},
		"with a new selection":                   {func(r *relay) { r.Server = server{Selection: "fqdn", Valeu: "x"} }, ""},
		"in an object that was enabled":          {func(r *relay) { r.Auth = auth{true, "u"} }, ""},
		"in another object than the enabled one": {func(r *relay) { r.Auth = auth{true, "u"}; r.Server.Valeu = "x" }, "smtp_server/valeu"},
		"in an object that stays disabled":       {func(r *relay) { r.Auth.Username = "u" }, "smtp_auth/username"},
	} {
		a.ResetJournal()
		_, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewSingleton[relay](c, path).In(tx).Update(ctx, func(r *relay) error {
				test.change(r)
				return nil
			})
		})
		sent := slices.ContainsFunc(a.Journal(), func(r spstest.Request) bool { return r.Method == "PUT" })
		switch {
		case test.want == "" && (err != nil || !sent):
			t.Errorf("%s: %v, sent %t", name, err, sent)
		case test.want != "" && (!errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), "the object has no member "+strconv.Quote(test.want)) || sent):
			t.Errorf("%s: %v, sent %t, want ErrInvalidInput about %s", name, err, sent, test.want)
		}
	}
}

// TestMisspeltMemberInCreate checks that Create sends a misspelt member, because the client has
// no object to compare it with. The appliance ignores the member, and the simulator lists it in
// its journal.
func TestMisspeltMemberInCreate(t *testing.T) {
	t.Parallel()
	type policy struct {
		Name    string `json:"name"`
		Timeout int    `json:"tiemout"`
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := sps.NewCollection[policy](c, "configuration/policies/audit_policies").In(tx).Create(ctx, policy{"x", 1})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var ignored []string
	for _, r := range a.Journal() {
		ignored = append(ignored, r.Ignored...)
	}
	testkit.Diff(t, "ignored", []string{"tiemout"}, ignored)
}

// TestKnownMemberNotStored checks that a member that the SDK's type has can be written even if the
// stored object lacks it.
func TestKnownMemberNotStored(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.SetConfiguration("management/email", []byte(`{"reporting_address":"r@example.com"}`))
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

// TestDuplicateName checks that GetByName returns ErrBadAnswer if two objects have the name.
func TestDuplicateName(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: path, Mutate: func([]byte) []byte {
		return []byte(`{"items":[{"key":"1","body":{"name":"x"}},{"key":"2","body":{"name":"x"}}]}`)
	}})
	if o, err := sps.NewCollection[policy](c, path).GetByName(t.Context(), "x"); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("%+v, %v, want ErrBadAnswer", o, err)
	}
}

// TestEmptyPages checks that an empty page with a link to a next page ends the list with
// ErrBadAnswer, because such pages may never end.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	asked := 0
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("id")),
		testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; asked > 10 {
				return testkit.Answer(r, 404, http.Header{}, ""), nil
			}
			return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"items":[],"meta":{"next":"/api/x?page=%d"}}`, asked)), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sps.NewCollection[policy](c, "x").List(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("error %v, want ErrBadAnswer", err)
	}
	testkit.Diff(t, "pages", 1, asked)
}

// TestSlashInKey checks that an object whose key has a slash is addressed with %2F in a path.
func TestSlashInKey(t *testing.T) {
	t.Parallel()
	const list, sent = "configuration/x", "/api/configuration/x/a%2Fb"
	var asked []string
	c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString("session")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.EscapedPath())
		header := http.Header{"Content-Type": {"application/json"}}
		switch {
		case r.URL.EscapedPath() == "/api/"+list && r.Method == "POST":
			return testkit.Answer(r, 201, header, `{"meta":{"href":"`+sent+`"}}`), nil
		case r.URL.EscapedPath() == "/api/"+list:
			return testkit.Answer(r, 200, header, `{"items":[{"key":"a/b","meta":{"href":"`+sent+`"}}]}`), nil
		case r.Method == "GET" && r.URL.EscapedPath() == "/api/transaction":
			return testkit.Answer(r, 200, header, `{"body":{"status":"closed"}}`), nil
		}
		return testkit.Answer(r, 200, header, `{"key":"a/b","body":{"name":"x"},"meta":{"href":"`+sent+`"}}`), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	objects := sps.NewCollection[policy](c, list)
	want := func(what, request string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !slices.Contains(asked, request) {
			t.Errorf("%s: requests %q, want %s", what, asked, request)
		}
		asked = nil
	}
	object := sps.NewSingleton[policy](c, list+"/a%2fb")
	_, err = object.Get(t.Context())
	want("by a handle", "GET "+sent, err)
	all, err := objects.List(t.Context())
	want("in a list", "GET "+sent, err)
	for _, o := range all {
		testkit.Diff(t, "key", "a/b", o.Key)
	}
	_, err = c.Invoke(t.Context(), "GET", list+"/a%2Fb", nil)
	want("by Invoke", "GET "+sent, err)
	for node, err := range c.Walk(t.Context(), list) {
		if err != nil || node.Err != nil {
			t.Error(err, node)
		}
		if node.Path != list {
			testkit.Diff(t, "node", []string{list + "/a%2Fb", "a/b"}, []string{node.Path, node.Key})
		}
	}
	want("by a walk", "GET "+sent, nil)
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		key, err := objects.In(tx).Create(ctx, policy{"x"})
		if err != nil {
			return err
		}
		testkit.Diff(t, "created", "a/b", key)
		return object.In(tx).Update(ctx, func(p *policy) error { p.Name = "y"; return nil })
	})
	want("in a transaction", "PUT "+sent, err)
	_, err = sps.NewSingleton[policy](c, list+"/a/b").Get(t.Context())
	want("in a plain path", "GET /api/configuration/x/a/b", err)
	if _, err := objects.Get(t.Context(), "a/b"); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "write it as %2F in the path of NewSingleton or Client.Invoke") {
		t.Errorf("a path as a key: %v, want ErrInvalidInput with the correct call", err)
	}
	for _, key := range []string{"%2F", "%2Fa", "a%2f", "a%2F%2Fb", "a%2F..%2Fb", "..%2Fa", ".%2Fa", "a%2F.", "a%5cb%2Fc", "a%2Fb%3Fc", "a%2Fb%23c", "a%2F%252e%252e", "a%2Fb;c"} {
		if _, err := c.Invoke(t.Context(), "GET", list+"/"+key, nil); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%q: %v, want ErrInvalidInput", key, err)
		}
	}
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		if _, err := c.Invoke(t.Context(), method, list+"/a%2Fb", nil); !errors.Is(err, sps.ErrTransactionOnly) {
			t.Errorf("%s: %v, want ErrTransactionOnly", method, err)
		}
	}
	testkit.Diff(t, "requests", []string(nil), asked)
}

// TestCreatedKey checks where in the response Create finds the key of the new object.
func TestCreatedKey(t *testing.T) {
	t.Parallel()
	const path = "configuration/policies/audit_policies"
	for name, test := range map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"key":                      {nil, `{"key":"k1"}`, "k1"},
		"number":                   {nil, `{"key":7}`, "7"},
		"href":                     {nil, `{"meta":{"href":"/api/` + path + `/a%20b"}}`, "a b"},
		"Location":                 {http.Header{"Location": {"/api/" + path + "/k2"}}, ``, "k2"},
		"absolute Location":        {http.Header{"Location": {"https://sps1.example.com/api/" + path + "/k3/"}}, ``, "k3"},
		"an empty key":             {nil, `{"key":"","meta":{"href":"/api/` + path + `/k5"}}`, "k5"},
		"an empty segment":         {nil, `{"meta":{"href":"/api/` + path + `//"}}`, ""},
		"Location in another list": {http.Header{"Location": {"/api/configuration/policies/time_policies/k4"}}, ``, ""},
		"no key":                   {nil, `{}`, ""},
	} {
		a := spstest.NewServer(t)
		c := testkit.Connect(t, a)
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
		testkit.Diff(t, name, test.want, got)
	}
}

var errRollback = errors.New("enough seen")

// orSpace returns "{}" for an empty body, because the simulator would replace an empty body by
// an HTML page.
func orSpace(body string) string {
	if body == "" {
		return "{}"
	}
	return body
}
