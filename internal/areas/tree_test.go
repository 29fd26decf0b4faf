package areas

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
	"github.com/go-sps/sps/spstest"
)

func TestWalk(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		nodes := map[string]*sps.WalkNode{}
		var order []string
		for node, err := range c.Walk(t.Context(), "configuration") {
			if err != nil {
				t.Fatal(err)
			}
			if nodes[node.Path] != nil {
				t.Errorf("the walk returned %s twice", node.Path)
			}
			nodes[node.Path] = node
			order = append(order, node.Path)
		}
		for _, path := range []string{
			"configuration", "configuration/alerting", "configuration/alerting/traffic_alerts", "configuration/management/email",
			"configuration/management/snmp/trap", "configuration/trust_stores", "configuration/trust_stores/-7001",
			"configuration/policies/audit_policies/78101850949e47437dd91d", "configuration/network/routing",
		} {
			if nodes[path] == nil {
				t.Errorf("the walk lacks %s", path)
			} else if parent, _, ok := strings.Cut(path, "/"); ok && slices.Index(order, path) < slices.Index(order, parent) {
				t.Errorf("the walk returned %s before %s", path, parent)
			}
		}
		for _, path := range []string{"configuration/passwords", "configuration/private_keys"} {
			var refused *sps.Error
			if node := nodes[path]; node == nil || !errors.As(node.Err, &refused) || node.Body != nil {
				t.Errorf("%s: %+v, want a refusal", path, node)
			}
		}
		for path, node := range nodes {
			if node.Err != nil && path != "configuration/passwords" && path != "configuration/private_keys" {
				t.Errorf("%s: %v", path, node.Err)
			}
			if want := "/api/" + path; node.Meta.Href != want && node.Meta.Href != "" && node.Err == nil {
				t.Errorf("%s has the href %q", path, node.Meta.Href)
			}
			raw, known := a.Configuration(strings.TrimPrefix(path, "configuration/"))
			switch {
			case known && node.Err == nil:
				testkit.Diff(t, path, raw, node.Body, testkit.AsJSON)
			case node.Body != nil:
				t.Errorf("%s has a body: %s", path, node.Body)
			}
		}
	})
}

func TestWalkPart(t *testing.T) {
	t.Parallel()
	c := testkit.Connect(t, spstest.NewServer(t))
	for root, want := range map[string][]string{
		"configuration/alerting":                {"configuration/alerting", "configuration/alerting/system_alerts", "configuration/alerting/traffic_alerts"},
		"/api/configuration/management/snmp/":   {"configuration/management/snmp", "configuration/management/snmp/trap"},
		"configuration/alerting/traffic_alerts": {"configuration/alerting/traffic_alerts"},
		"firmware/slots":                        {"firmware/slots", "firmware/slots/1", "firmware/slots/2", "firmware/slots/3", "firmware/slots/4", "firmware/slots/5"},
	} {
		var got []string
		for node, err := range c.Walk(t.Context(), root) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, node.Path)
		}
		testkit.Diff(t, root, want, got)
	}
	for node, err := range c.Walk(t.Context(), "configuration") { // the loop can stop early
		if err != nil || node.Path != "configuration" {
			t.Errorf("%+v, %v", node, err)
		}
		break
	}
}

// TestWalkFailures checks which failures end a walk, and which are stored in a node while the
// walk continues.
func TestWalkFailures(t *testing.T) {
	t.Parallel()
	item := func(href string) string { return `{"key":"x","meta":{"href":"` + href + `"}}` }
	list := func(items ...string) string {
		return `{"items":[` + strings.Join(items, ",") + `],"meta":{"href":"/api/configuration/alerting"}}`
	}
	const root, inner = "configuration/alerting", "configuration/alerting/traffic_alerts"
	for name, test := range map[string]struct {
		fault  spstest.Fault
		end    error // the error that ends the walk
		inside error // the error in the Err field of a node
	}{
		"root refused":              {spstest.Fault{Path: root, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, sps.Unauthorized, nil},
		"root not found":            {spstest.Fault{Path: root, Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`}, sps.ResourceNotFound, nil},
		"node refused":              {spstest.Fault{Path: inner, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}, nil, sps.Unauthorized},
		"node with status 500":      {spstest.Fault{Path: inner, Status: 500, Times: -1}, nil, sps.Status(500)},
		"node with status 503":      {spstest.Fault{Path: inner, Status: 503, Times: -1}, sps.Status(503), nil},
		"node is not JSON":          {spstest.Fault{Path: inner, Status: 200, Body: `{"body":`}, nil, sps.ErrBadAnswer},
		"node without a body":       {spstest.Fault{Path: inner, Status: 200, Body: `{"meta":{}}`}, nil, sps.ErrBadAnswer},
		"connection broken":         {spstest.Fault{Path: inner, CutAfter: true, Times: -1}, new(sps.TransportError), nil},
		"list item is a number":     {spstest.Fault{Path: root, Status: 200, Body: `{"items":[1]}`}, nil, sps.ErrBadAnswer},
		"invalid key":               {spstest.Fault{Path: root, Status: 200, Body: `{"items":[{"key":"../x","body":{}}]}`}, nil, sps.ErrInvalidInput},
		"links in a circle":         {spstest.Fault{Path: root, Status: 200, Body: list(item("/api/"+root), item("/api/configuration"), item("/api/"+inner), item("/api/"+inner))}, nil, sps.ResourceNotFound},
		"links outside of the root": {spstest.Fault{Path: root, Status: 200, Body: list(item("https://evil.example/api/"+root+"/y"), item("/api/"+root+"/../../firmware"), item("/api/"+root+"%2f..%2fx"))}, nil, sps.ResourceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			a.ResetJournal()
			test.fault.Method = "GET"
			a.Inject(test.fault)
			var end, inside error
			seen := map[string]int{}
			for node, err := range c.Walk(t.Context(), root) {
				if err != nil {
					end = err
					continue
				}
				seen[node.Path]++
				inside = errors.Join(inside, node.Err)
			}
			for _, got := range []struct{ err, want error }{{end, test.end}, {inside, test.inside}} {
				var broken *sps.TransportError
				if _, transport := got.want.(*sps.TransportError); transport && errors.As(got.err, &broken) {
					continue
				}
				if (got.err == nil) != (got.want == nil) || got.want != nil && !errors.Is(got.err, got.want) {
					t.Errorf("error %v, want %v", got.err, got.want)
				}
			}
			for _, r := range a.Journal() {
				if !strings.HasPrefix(r.Path, "/api/"+root) {
					t.Errorf("requested %s, which is outside of the root", r.Path)
				}
			}
			if seen[inner] > 1 {
				t.Errorf("a path was visited more than once: %v", seen)
			}
		})
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	// A link is ignored if the list contains the object itself.
	a.Inject(spstest.Fault{Method: "GET", Path: root, Status: 200, Body: `{"items":[
		{"key":"mine","meta":{"href":"/api/configuration/trust_stores/-7001"},"body":{"a":1}},{"key":"../x","body":{"b":2}}]}`})
	var nodes []sps.WalkNode
	for node, err := range c.Walk(t.Context(), root) {
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, *node)
	}
	testkit.Diff(t, "nodes", []sps.WalkNode{
		{Path: root, Key: "alerting"},
		{Path: root + "/mine", Parent: root, Key: "mine", Body: json.RawMessage(`{"a":1}`)},
		{Parent: root, Key: "../x", Body: json.RawMessage(`{"b":2}`), Err: sps.ErrInvalidInput},
	}, nodes, testkit.AsJSON, cmpopts.IgnoreFields(sps.WalkNode{}, "Meta"), cmpopts.EquateErrors())
	var kept []string
	for node, err := range c.Walk(t.Context(), root, sps.WithSkippedPaths("/api/"+inner)) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, node.Path)
	}
	testkit.Diff(t, "paths without the skipped subtree", []string{root, root + "/system_alerts"}, kept)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var end error
	for _, err := range c.Walk(ctx, "configuration") {
		cancel()
		end = err
	}
	if !errors.Is(end, context.Canceled) {
		t.Errorf("the walk with a cancelled context: %v", end)
	}
	for _, err := range c.Walk(t.Context(), "configuration#x") {
		end = err
	}
	if !errors.Is(end, sps.ErrInvalidInput) {
		t.Errorf("walking an invalid path: %v, want ErrInvalidInput", end)
	}
}

// TestRawHandles checks that handles with the body types json.RawMessage and map read and write
// any endpoint.
func TestRawHandles(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	const path = "configuration/local_services/snmp_agent"
	raw := sps.NewSingleton[json.RawMessage](c, path)
	email := sps.NewSingleton[map[string]any](c, "configuration/management/email")
	zone := sps.NewSingleton[json.RawMessage](c, "configuration/datetime/timezone")
	want := testkit.Committed(t, a, "local_services/snmp_agent")
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		err := raw.In(tx).Update(ctx, func(body *json.RawMessage) error {
			*body = json.RawMessage(strings.Replace(string(*body), "mycontact", "our contact", 1))
			return nil
		})
		return errors.Join(err,
			email.In(tx).Update(ctx, func(body *map[string]any) error { (*body)["admin_address"] = testkit.AdminAfter; return nil }),
			zone.In(tx).Replace(ctx, json.RawMessage(`"UTC"`)))
	})
	if err != nil {
		t.Fatal(err)
	}
	want["system_contact"] = "our contact"
	testkit.Diff(t, "the raw body", want, testkit.Committed(t, a, "local_services/snmp_agent"))
	testkit.Settled(t, a, testkit.AdminAfter)
	if got, err := zone.Get(t.Context()); err != nil || string(got.Body) != `"UTC"` {
		t.Errorf("time zone %v, %v", got, err)
	}
	for _, bad := range []string{`{"a":`, `{"a":1,"a":2}`, ``} {
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return raw.In(tx).Replace(ctx, json.RawMessage(bad))
		})
		if err == nil || errors.Is(err, sps.SyntacticError) {
			t.Errorf("%q: %v, want an error before a request is sent", bad, err)
		}
	}
}

// TestCallerDefinedRules checks that a rule that a user of the SDK adds to an endpoint can
// reject a write, and that rules without a function check nothing.
func TestCallerDefinedRules(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	limits := sps.NewSingleton(c, "configuration/management/health_monitoring", sps.CheckBody((*diskLimits).validate),
		sps.CheckBody[diskLimits](nil), sps.CheckChange[diskLimits](nil), sps.CheckKey[diskLimits](nil), sps.UniqueName[diskLimits](nil), sps.Rule[diskLimits]{})
	for _, write := range []func(context.Context, *sps.Transaction) error{
		func(ctx context.Context, tx *sps.Transaction) error {
			return limits.In(tx).Update(ctx, func(l *diskLimits) error { l.Disk = 101; return nil })
		},
		func(ctx context.Context, tx *sps.Transaction) error {
			return limits.In(tx).Replace(ctx, diskLimits{Disk: 101})
		},
	} {
		if err := c.Transaction(t.Context(), write); !errors.Is(err, errTooMuch) {
			t.Errorf("error %v", err)
		}
	}
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return limits.In(tx).Update(ctx, func(l *diskLimits) error { l.Disk = 99; return nil })
	}); err != nil {
		t.Error(err)
	}
}

var errTooMuch = errors.New("more than all")

// diskLimits is a body type that a user of the SDK could define, with a validation rule.
type diskLimits struct {
	Disk int `json:"maximum_disk_utilization_ratio"`
}

func (l *diskLimits) validate() error {
	if l.Disk > 100 {
		return fmt.Errorf("%d%%: %w", l.Disk, errTooMuch)
	}
	return nil
}
