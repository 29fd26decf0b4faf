package contract

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// This file tests the SDK with every sample of the guide. It decodes each response into the
// type that the SDK has for it. It also updates each object in the samples, and checks that the
// request differs from the sample only by the update.

// allSamples returns the contents of the samples by their names.
func allSamples(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(testkit.Root(t), "testdata", "*.json"))
	if err != nil || len(names) < 100 {
		t.Fatalf("%d samples, %v", len(names), err)
	}
	samples := make(map[string][]byte, len(names))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		samples[strings.TrimSuffix(filepath.Base(name), ".json")] = data
	}
	return samples
}

// sampleRead is a call of the SDK that receives a sample as its response.
type sampleRead struct {
	path string // the path of the request
	call func(context.Context, *sps.Client) (any, error)
	want error // nil for success
}

func read[T any](path string, call func(*sps.Client, context.Context) (T, error)) sampleRead {
	return sampleRead{path: path, call: func(ctx context.Context, c *sps.Client) (any, error) { return call(c, ctx) }}
}

func object[T any](path string, handle func(*sps.Client) sps.Singleton[T]) sampleRead {
	return sampleRead{path: path, call: func(ctx context.Context, c *sps.Client) (any, error) { return handle(c).Get(ctx) }}
}

func (r sampleRead) fails(err error) sampleRead {
	r.want = err
	return r
}

// sampleReads lists the samples that are decoded into a type of the SDK, or that are errors.
var sampleReads = map[string]sampleRead{
	"cluster_status.get":                        read("cluster/status", func(c *sps.Client, ctx context.Context) (*sps.ClusterStatus, error) { return c.Cluster.Status(ctx) }),
	"configuration_alerting_system_alerts.get":  object("configuration/alerting/system_alerts", func(c *sps.Client) sps.Singleton[sps.SystemAlerts] { return c.Alerting.SystemAlerts }),
	"configuration_alerting_traffic_alerts.get": object("configuration/alerting/traffic_alerts", func(c *sps.Client) sps.Singleton[sps.TrafficAlerts] { return c.Alerting.TrafficAlerts }),
	"configuration_management_disk_fillup_prevention.get": object("configuration/management/disk_fillup_prevention", func(c *sps.Client) sps.Singleton[sps.DiskFillUpPrevention] {
		return c.Management.DiskFillUpPrevention
	}),
	"configuration_management_email.get":     object("configuration/management/email", func(c *sps.Client) sps.Singleton[sps.EmailSettings] { return c.Management.Email }),
	"configuration_management_snmp_trap.get": object("configuration/management/snmp/trap", func(c *sps.Client) sps.Singleton[sps.SNMPTrap] { return c.Management.SNMP.Trap }),
	"configuration_starling.joined":          object("configuration/starling", func(c *sps.Client) sps.Singleton[sps.StarlingConfiguration] { return c.Starling.Configuration }),
	"configuration_starling.not_joined":      object("configuration/starling", func(c *sps.Client) sps.Singleton[sps.StarlingConfiguration] { return c.Starling.Configuration }),
	"configuration_trust_stores.list": read("configuration/trust_stores", func(c *sps.Client, ctx context.Context) ([]*sps.Object[sps.TrustStore], error) {
		return c.TrustStores.List(ctx)
	}),
	"health_status.get":                       read("health_status", (*sps.Client).HealthStatus),
	"info.logged_in":                          read("info", (*sps.Client).Info),
	"info.logged_in_old":                      read("info", (*sps.Client).Info),
	"info.anonymous":                          read("info", (*sps.Client).Info).fails(sps.Unauthenticated),
	"info.anonymous_old":                      read("info", (*sps.Client).Info).fails(sps.Unauthenticated),
	"integrated_products.empty":               read("integrated_products", (*sps.Client).IntegratedProducts),
	"integrated_products.spp":                 read("integrated_products", (*sps.Client).IntegratedProducts),
	"integrated_products.starling":            read("integrated_products", (*sps.Client).IntegratedProducts),
	"integrated_products.starling_integrated": read("integrated_products", (*sps.Client).IntegratedProducts),
	"starling_join.joined":                    read("starling/join", func(c *sps.Client, ctx context.Context) (*sps.StarlingJoin, error) { return c.Starling.JoinStatus(ctx) }),
	"starling_join.not_joined":                read("starling/join", func(c *sps.Client, ctx context.Context) (*sps.StarlingJoin, error) { return c.Starling.JoinStatus(ctx) }),
	"transaction.closed":                      {path: "transaction", call: statusSample},
	"transaction.closed_old":                  {path: "transaction", call: statusSample},
	"transaction.open":                        {path: "transaction", call: statusSample},
	"transaction.open_old":                    {path: "transaction", call: statusSample},
	"user_info.new":                           read("user_info", (*sps.Client).UserInfo),
	"user_info.old":                           read("user_info", (*sps.Client).UserInfo),
	"firmware_slots.list": read("firmware/slots", func(c *sps.Client, ctx context.Context) (*sps.FirmwareSlotList, error) {
		return c.Firmware.Slots.List(ctx)
	}),
	"troubleshooting_support-bundle.finished": {path: "troubleshooting/support-bundle/1", call: bundleSample},
	"transaction_changes.filled":              {path: "transaction/changes", call: changesSample},
	"transaction_changes.empty":               {path: "transaction/changes", call: changesSample},
	"authentication.failure":                  raw("x").fails(sps.AuthenticationFailure),
	"cluster_spp.already_joined":              raw("x").fails(new(sps.Error)),
	"firmware_test.empty_slot":                raw("x").fails(sps.ResourceNotFound),
	"firmware_test.empty_slot_short":          raw("x").fails(sps.ResourceNotFound),
	"firmware_test.failed":                    raw("x").fails(sps.FirmwareTestFailed),
	"firmware_test.failed_short":              raw("x").fails(sps.FirmwareTestFailed),
	"firmware_test.missing_slot_id":           raw("x").fails(sps.IncompleteRequestBodyError),
	"firmware_test.missing_slot_id_short":     raw("x").fails(sps.IncompleteRequestBodyError),
	"firmware_upgrade.empty_slot_short":       raw("x").fails(sps.ResourceNotFound),
	"firmware_upgrade.failed_short":           raw("x").fails(sps.FirmwareTestFailed),
	"firmware_upgrade.missing_slot_id_short":  raw("x").fails(sps.IncompleteRequestBodyError),
}

// raw returns a call that decodes its response as any JSON.
func raw(path string) sampleRead {
	return sampleRead{path: path, call: func(ctx context.Context, c *sps.Client) (any, error) {
		response, err := c.Invoke(ctx, "GET", path, nil)
		if err != nil {
			return nil, err
		}
		var v any
		return v, response.Decode(&v)
	}}
}

// listing returns a call that decodes its response as a list of endpoints.
func listing(path string) sampleRead {
	return sampleRead{path: path, call: func(ctx context.Context, c *sps.Client) (any, error) {
		list, err := c.Listing(ctx, path)
		if err == nil && len(list.Entries) == 0 {
			err = errors.New("it lists nothing")
		}
		return list, err
	}}
}

func changesSample(ctx context.Context, c *sps.Client) (changes any, err error) {
	err = c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) (err error) {
		changes, err = tx.Changes(ctx)
		return err
	}, sps.WithLockFirst())
	return changes, err
}

// statusSample reads the status inside a transaction. Outside of a transaction, the client
// would return it without a request.
func statusSample(ctx context.Context, c *sps.Client) (status any, err error) {
	err = c.Transaction(ctx, func(ctx context.Context, _ *sps.Transaction) (err error) {
		status, err = c.TransactionStatus(ctx)
		return err
	}, sps.WithLockFirst(), sps.WithMessage("CHG-1234"))
	return status, err
}

func bundleSample(ctx context.Context, c *sps.Client) (any, error) {
	bundle, err := c.Troubleshooting.SupportBundle.Get(ctx, "1")
	if err == nil && bundle.Status != sps.JobFinished {
		err = errors.New("it is not finished")
	}
	return bundle, err
}

func TestSamplesDecode(t *testing.T) {
	t.Parallel()
	for name, sample := range allSamples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test, typed := sampleReads[name]
			switch {
			case typed:
			case strings.Contains(name, ".listing"):
				test = listing("configuration/x")
			default:
				test = raw("x")
			}
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			a.Inject(spstest.Fault{Method: "GET", Path: test.path, Status: 200, Body: string(sample), Times: -1, Unimplemented: true})
			_, err := test.call(t.Context(), c)
			var refused *sps.Error
			switch {
			case test.want == nil && err != nil:
				t.Error(err)
			case test.want != nil && !errors.Is(err, test.want) && !(errors.As(test.want, &refused) && errors.As(err, &refused)):
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	for name := range sampleReads {
		if _, ok := allSamples(t)[name]; !ok {
			t.Errorf("there is no sample %s", name)
		}
	}
}

// bodiesOf returns the bodies in a sample. These are the body of an object, the bodies of the
// items of a list, or the whole sample if it is a request.
func bodiesOf(t *testing.T, name string, sample []byte) []any {
	t.Helper()
	var envelope struct {
		Body  any `json:"body"`
		Error any `json:"error"`
		Meta  any `json:"meta"`
		Items []struct {
			Body any `json:"body"`
		} `json:"items"`
	}
	var whole any
	if err := json.Unmarshal(sample, &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(sample, &envelope); err != nil {
		return []any{whole} // a list or a text
	}
	switch {
	case envelope.Body != nil:
		return []any{envelope.Body}
	case envelope.Items != nil:
		var bodies []any
		for _, item := range envelope.Items {
			if item.Body != nil {
				bodies = append(bodies, item.Body)
			}
		}
		return bodies
	case envelope.Error != nil, envelope.Meta != nil:
		return nil // a response without a body
	}
	return []any{whole}
}

// store is a RoundTripper that returns one body and records what the client writes to it. It
// does not validate the body.
type store struct {
	path string
	body []byte
	put  []byte
}

func (s *store) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	ok := func(body string) (*http.Response, error) { return testkit.Answer(r, 200, header, body), nil }
	switch path := strings.TrimPrefix(r.URL.Path, "/api/"); {
	case path == "authentication":
		header.Set("Set-Cookie", "session_id="+contractSession)
		return ok(`{}`)
	case path == s.path && r.Method == "GET":
		return ok(`{"key":"` + s.path[strings.LastIndexByte(s.path, '/')+1:] + `","body":` + string(s.body) + `,"meta":{}}`)
	case path == s.path:
		s.put, _ = io.ReadAll(r.Body)
		return ok(`{"meta":{}}`)
	case path == "transaction" && r.Method == "POST":
		return ok(`{"body":{"status":"open"},"meta":{}}`)
	case path == "transaction":
		return ok(`{"body":{"status":"closed"},"meta":{}}`)
	}
	return ok(`{"items":[],"meta":{}}`)
}

// bareReferences replaces each reference in decoded JSON by its key, as requests must do.
func bareReferences(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = bareReferences(v[i])
		}
	case map[string]any:
		meta, _ := v["meta"].(map[string]any)
		href, _ := meta["href"].(string)
		if key, ok := v["key"]; ok && len(v) == 2 && strings.HasPrefix(href, "/api/") {
			return key
		}
		for name := range v {
			v[name] = bareReferences(v[name])
		}
	}
	return v
}

// plant adds members that the SDK does not know to each object: a null, an empty list, an
// object with a list and a number such as 1.50, and a reference.
func plant(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plant(v[i])
		}
	case map[string]any:
		if _, isReference := bareReferences(copied(v)).(map[string]any); !isReference {
			return v
		}
		for name := range v {
			v[name] = plant(v[name])
		}
		maps.Copy(v, map[string]any{
			"x_null": nil, "x_empty": []any{}, "x_object": map[string]any{"list": []any{map[string]any{"n": json.Number("1.50"), "none": nil}}},
			"x_reference": map[string]any{"key": "-100", "meta": map[string]any{"href": "/api/configuration/policies/time_policies/-100"}},
		})
	}
	return v
}

func copied(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var c any
	if err := json.Unmarshal(data, &c); err != nil {
		panic(err)
	}
	return c
}

// bodyEdit is one change of a body, made in two ways: change modifies a Go value of type T, and
// same makes the same modification to the decoded JSON.
type bodyEdit[T any] struct {
	what   string
	change func(*T) error
	same   func(any) any
}

// updates runs each edit as an update of body, and compares the sent body with the edited JSON.
// It also checks that an update that changes nothing sends nothing.
func updates[T any](t *testing.T, path string, body any, edits func(body any) []bodyEdit[T]) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{path: path, body: data}
	c, err := sps.Connect(t.Context(), contractHost, sps.UsernamePassword("admin", sps.NewSecretString("secret")),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return s }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	handle := sps.NewSingleton[T](c, path)
	write := func(change func(*T) error) error {
		s.put = nil
		return c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error { return handle.In(tx).Update(ctx, change) })
	}
	if err := write(func(*T) error { return nil }); err != nil || s.put != nil {
		t.Errorf("%T, no change: %v, sent %s", *new(T), err, s.put)
	}
	for _, e := range edits(copied(body)) {
		if err := write(e.change); err != nil {
			t.Errorf("%T, %s: %v", *new(T), e.what, err)
			continue
		}
		var got any
		if err := json.Unmarshal(s.put, &got); err != nil {
			t.Errorf("%T, %s: sent %q", *new(T), e.what, s.put)
			continue
		}
		if d := cmp.Diff(bareReferences(e.same(copied(body))), got); d != "" {
			t.Errorf("%T, %s: mismatch (-want +got):\n%s", *new(T), e.what, d)
		}
	}
}

// anyEdits returns edits for a body of any form: one that changes its first simple value, and
// one that removes the first element of its first list.
func anyEdits(body any) []bodyEdit[any] {
	var edits []bodyEdit[any]
	for what, do := range map[string]func(any) (any, bool){"one member": changeLeaf, "one element less": dropElement} {
		if _, ok := do(copied(body)); ok {
			edits = append(edits, bodyEdit[any]{
				what, func(v *any) error { *v, _ = do(*v); return nil }, func(v any) any { v, _ = do(v); return v },
			})
		}
	}
	return edits
}

func changeLeaf(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if changed, ok := changeLeaf(v[name]); ok {
				v[name] = changed
				return v, true
			}
		}
	case []any:
		for i := range v {
			if changed, ok := changeLeaf(v[i]); ok {
				v[i] = changed
				return v, true
			}
		}
	case string:
		return v + " changed", true
	case bool:
		return !v, true
	case float64:
		return v + 1, true
	}
	return v, false
}

func dropElement(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if changed, ok := dropElement(v[name]); ok {
				v[name] = changed
				return v, true
			}
		}
	case []any:
		if len(v) > 0 {
			return v[1:], true
		}
	}
	return v, false
}

// set returns a function that sets the value at a place in decoded JSON. A place is a sequence
// of member names and list indexes.
func set(value any, place ...any) func(any) any {
	return func(v any) any {
		at := v
		for _, step := range place[:len(place)-1] {
			switch step := step.(type) {
			case string:
				at = at.(map[string]any)[step]
			case int:
				at = at.([]any)[step]
			}
		}
		switch step := place[len(place)-1].(type) {
		case string:
			at.(map[string]any)[step] = value
		case int:
			at.([]any)[step] = value
		}
		return v
	}
}

// typedUpdates runs edits on a body with the SDK's type for it. It does nothing if the SDK has
// no type for the body.
func typedUpdates(t *testing.T, name string, body any) {
	t.Helper()
	switch endpoint, _, _ := strings.Cut(name, "."); endpoint {
	case "configuration_alerting_traffic_alerts":
		updates(t, "configuration/alerting/traffic_alerts", body, func(any) []bodyEdit[sps.TrafficAlerts] {
			return []bodyEdit[sps.TrafficAlerts]{
				{"one channel", func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelSNMP, sps.AlertAuthFailure) }, set(true, "scbAuthFailure", "snmp")},
			}
		})
	case "configuration_alerting_system_alerts":
		updates(t, "configuration/alerting/system_alerts", body, func(any) []bodyEdit[sps.SystemAlerts] {
			return []bodyEdit[sps.SystemAlerts]{
				{"one channel", func(a *sps.SystemAlerts) error { return a.Enable(sps.ChannelEmail, sps.SystemAlertAlert) }, set(true, "xcbAlert", "email")},
			}
		})
	case "configuration_management_email":
		updates(t, "configuration/management/email", body, func(any) []bodyEdit[sps.EmailSettings] {
			sender := "sps@example.com"
			return []bodyEdit[sps.EmailSettings]{
				{"one member", func(e *sps.EmailSettings) error { e.AdminAddress = "x"; return nil }, set("x", "admin_address")},
				{"a null", func(e *sps.EmailSettings) error { e.SenderAddress = &sender; return nil }, set(sender, "sender_address")},
				{"a nested member", func(e *sps.EmailSettings) error { e.SMTPServer.Value = "10.0.0.1"; return nil }, set("10.0.0.1", "smtp_server", "value")},
				{"the encryption", func(e *sps.EmailSettings) error { e.SMTPEncryption.Selection = "x"; return nil }, set("x", "smtp_encryption", "selection")},
				{"the login", func(e *sps.EmailSettings) error { e.SMTPAuth.Enabled = true; return nil }, set(true, "smtp_auth", "enabled")},
			}
		})
	case "configuration_management_snmp_trap":
		updates(t, "configuration/management/snmp/trap", body, func(any) []bodyEdit[sps.SNMPTrap] {
			return []bodyEdit[sps.SNMPTrap]{
				{"one member", func(s *sps.SNMPTrap) error { s.Enabled = false; return nil }, set(false, "enabled")},
				{"a nested member", func(s *sps.SNMPTrap) error { s.Version.Value.Server.Value = "10.0.0.1"; return nil }, set("10.0.0.1", "version", "value", "server", "value")},
			}
		})
	case "configuration_starling":
		if _, ok := body.(map[string]any)["remote_access"]; !ok {
			return
		}
		updates(t, "configuration/starling", body, func(body any) []bodyEdit[sps.StarlingConfiguration] {
			on := !body.(map[string]any)["remote_access"].(map[string]any)["enabled"].(bool)
			return []bodyEdit[sps.StarlingConfiguration]{
				{"remote access", func(s *sps.StarlingConfiguration) error { s.RemoteAccess.Enabled = on; return nil }, set(on, "remote_access", "enabled")},
			}
		})
	case "configuration_trust_stores":
		updates(t, "configuration/trust_stores", body, func(body any) []bodyEdit[sps.TrustStore] {
			members := body.(map[string]any)
			if members["trust_store_type"] == "built-in" {
				return nil // the SDK rejects updates of a built-in store
			}
			edits := []bodyEdit[sps.TrustStore]{
				{"one member", func(s *sps.TrustStore) error { s.Name = "x"; return nil }, set("x", "name")},
			}
			if urls := members["crl_urls"].([]any); len(urls) > 0 {
				edits = append(edits,
					bodyEdit[sps.TrustStore]{"one element", func(s *sps.TrustStore) error { s.CRLURLs[0] = "http://x"; return nil }, set("http://x", "crl_urls", 0)},
					bodyEdit[sps.TrustStore]{"one element more", func(s *sps.TrustStore) error { s.CRLURLs = append(s.CRLURLs, "http://x"); return nil }, set(append(urls, "http://x"), "crl_urls")})
			}
			return append(edits, bodyEdit[sps.TrustStore]{
				"one element less", func(s *sps.TrustStore) error { s.Authorities = s.Authorities[1:]; return nil },
				set(members["authorities"].([]any)[1:], "authorities"),
			})
		})
	}
}

func TestSamplesUpdate(t *testing.T) {
	t.Parallel()
	bodies := 0
	for name, sample := range allSamples(t) {
		for _, body := range bodiesOf(t, name, sample) {
			bodies++
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, body := range []any{body, plant(copied(body))} {
					updates(t, "configuration/x", body, anyEdits)
					updates(t, "configuration/x", body, func(any) []bodyEdit[json.RawMessage] { return nil })
					typedUpdates(t, name, body)
				}
			})
		}
	}
	if bodies < 100 {
		t.Errorf("only %d bodies were found", bodies)
	}
}
