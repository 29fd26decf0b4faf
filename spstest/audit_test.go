package spstest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

const auditSessions = "/api/audit/sessions"

// search returns the path of a search. parameters are the names and values of its query
// parameters, in turn.
func search(parameters ...string) string {
	path, separator := auditSessions, "?"
	for i := 0; i < len(parameters); i += 2 {
		path += separator + parameters[i] + "=" + url.QueryEscape(parameters[i+1])
		separator = "&"
	}
	return path
}

// keysOf returns the keys of the sessions on a page.
func keysOf(t testing.TB, r response) []string {
	t.Helper()
	items, ok := r.body["items"].([]any)
	if !ok {
		t.Fatalf("no items in %s", r.raw)
	}
	keys := []string{}
	for _, item := range items {
		keys = append(keys, item.(map[string]any)["key"].(string))
	}
	return keys
}

func metaOf(r response) map[string]any { return r.body["meta"].(map[string]any) }

func bodyOf(t testing.TB, r response, i int) map[string]any {
	t.Helper()
	body, ok := r.body["items"].([]any)[i].(map[string]any)["body"].(map[string]any)
	if !ok {
		t.Fatalf("item %d has no body in %s", i, r.raw)
	}
	return body
}

// at returns a time on the day of the sessions that fewSessions adds.
func at(hour, minute int) time.Time { return time.Date(2024, 5, 6, hour, minute, 0, 0, time.UTC) }

// fewSessions adds four sessions with known values.
func fewSessions(a *spstest.Appliance) {
	for _, s := range []spstest.AuditSession{
		{Key: "a", Start: at(1, 0), End: at(1, 30), Protocol: "SSH", Verdict: "ACCEPT", User: "yoda",
			Body: json.RawMessage(`{"client":{"ip":"10.0.0.1","name":"one","port":1},"analytics":{"score":{"aggregated":10},"scripted":true,"interesting_events":["sudo","vim"]}}`)},
		{Key: "b", Start: at(2, 0), End: at(2, 10), Protocol: "RDP", Verdict: "AUTH_FAIL", User: "luke skywalker",
			Body: json.RawMessage(`{"client":{"ip":"10.0.0.2","name":"two","port":2},"analytics":{"score":{"aggregated":50},"scripted":false,"interesting_events":[]}}`)},
		{Key: "c", Start: at(3, 0), Protocol: "SSH", Verdict: "ACCEPT", User: `o'br"ien (x)`,
			Body: json.RawMessage(`{"client":{"ip":"10.0.0.3","name":"three","port":3},"analytics":null}`)},
		{Key: "d e/f", Start: at(3, 0), End: at(6, 0), Protocol: "VNC", Verdict: "FAIL", User: "YODA",
			Body: json.RawMessage(`{"client":{"ip":"10.0.1.4","name":"four","port":40},"analytics":{"score":{"aggregated":90},"scripted":false,"interesting_events":["passwd"]}}`)},
	} {
		a.AddAuditSession(s)
	}
}

func TestAuditQueries(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d e/f"}
	none := []string{}
	for _, test := range []struct {
		q    string
		want []string // the keys of the found sessions; nil means that the query is refused
	}{
		{"", all},
		{"  ", all},
		{"protocol:SSH", []string{"a", "c"}},
		{"protocol:ssh", none},
		{"protocol:SSH AND user.name:yoda", []string{"a"}},
		{"protocol:SSH && user.name:yoda", []string{"a"}},
		{"protocol:VNC OR protocol:RDP", []string{"b", "d e/f"}},
		{"protocol:VNC || protocol:RDP", []string{"b", "d e/f"}},
		{"protocol:VNC protocol:RDP", []string{"b", "d e/f"}},
		{"protocol:(VNC OR RDP)", []string{"b", "d e/f"}},
		{"protocol:(VNC RDP) AND verdict:FAIL", []string{"d e/f"}},
		{"NOT protocol:SSH", []string{"b", "d e/f"}},
		{"!protocol:SSH", []string{"b", "d e/f"}},
		{"-protocol:SSH", []string{"b", "d e/f"}},
		{"NOT NOT protocol:SSH", []string{"a", "c"}},
		{"protocol:SSH AND NOT user.name:yoda", []string{"c"}},
		{"protocol:SSH OR NOT verdict:FAIL", []string{"a", "b", "c"}},
		{"(protocol:SSH OR protocol:RDP) AND NOT (verdict:ACCEPT AND user.name:yoda)", []string{"b", "c"}},
		{"+protocol:SSH verdict:FAIL", []string{"a", "c"}},
		{"verdict:ACCEPT -user.name:yoda", []string{"c"}},
		// Words and phrases.
		{`user.name:"luke skywalker"`, []string{"b"}},
		{`user.name:luke\ skywalker`, []string{"b"}},
		{`user.name:"o'br\"ien (x)"`, []string{"c"}},
		{`user.name:o'br\"ien\ \(x\)`, []string{"c"}},
		{`user.name:"skywalker"`, none},
		{"skywalker", []string{"b"}},
		{"LUKE", []string{"b"}},
		{`"luke skywalker"`, []string{"b"}},
		{`"skywalker luke"`, none},
		{"sky*", []string{"b"}},
		{"sky", none},
		{`"luke  SKYWALKER"`, []string{"b"}},
		{`"luke-skywalker"`, []string{"b"}},
		{"luké", none},
		{"analytics.interesting_events:sudo", []string{"a"}},
		{"analytics.interesting_events:(vim passwd)", []string{"a", "d e/f"}},
		{"client.ip:10.0.0.2", []string{"b"}},
		{"client.ip:10.0.0.*", []string{"a", "b", "c"}},
		{"client.ip:10.0.?.4", []string{"d e/f"}},
		{`client.ip:10.0.0.\*`, none},
		{`user.name:"yo*"`, none},
		{"protocol:AND*", none},
		// Numbers.
		{"client.port:2", []string{"b"}},
		{`client.port:"2"`, []string{"b"}},
		{"client.port:[2 TO 3]", []string{"b", "c"}},
		{"client.port:{2 TO 40}", []string{"c"}},
		{"client.port:[2 TO 40}", []string{"b", "c"}},
		{"client.port:{2 TO 40]", []string{"c", "d e/f"}},
		{"client.port:[3 TO *]", []string{"c", "d e/f"}},
		{"client.port:[* TO 2]", []string{"a", "b"}},
		{"client.port:>=3", []string{"c", "d e/f"}},
		{"client.port:<3", []string{"a", "b"}},
		{"duration:1800", []string{"a"}},
		{"duration:>1800", []string{"d e/f"}},
		{"analytics.score.aggregated:[-5 TO 50.5]", []string{"a", "b"}},
		{"client.port:[40 TO 2]", none},
		// Ranges of texts, Booleans, and existing values.
		{"user.name:[a TO p]", []string{"b", "c"}},
		{"user.name:[a TO yoda]", []string{"a", "b", "c"}},
		{"active:true", []string{"c"}},
		{"active:false", []string{"a", "b", "d e/f"}},
		{"end_time:*", []string{"a", "b", "d e/f"}},
		{"_exists_:end_time", []string{"a", "b", "d e/f"}},
		{"NOT _exists_:end_time", []string{"c"}},
		{"end_time:[* TO *]", []string{"a", "b", "d e/f"}},
		{"_exists_:analytics.interesting_events", []string{"a", "d e/f"}},
		// Times.
		{"start_time:[2024-05-06T02:00:00Z TO 2024-05-06T03:00:00Z]", []string{"b", "c", "d e/f"}},
		{"start_time:[2024-05-06T02:00:00.000Z TO 2024-05-06T03:00:00.000Z}", []string{"b"}},
		{"start_time:{2024-05-06T02:00:00.000Z TO *]", []string{"c", "d e/f"}},
		{"start_time:[2024-05-06T02:00:00.0000000+00:00 TO *]", []string{"b", "c", "d e/f"}},
		{"start_time:[2024-05-06T04:00:00+02:00 TO 2024-05-06T02:30]", []string{"b"}},
		{`start_time:["2024-05-06T02:00:00Z" TO *]`, []string{"b", "c", "d e/f"}},
		{"start_time:>=2024\\-05\\-06T03\\:00\\:00Z", []string{"c", "d e/f"}},
		{`start_time:<"2024-05-06T02:00:00Z"`, []string{"a"}},
		{"start_time:2024-05-06", all},
		{"start_time:2024-05", all},
		{"start_time:2023", none},
		{"start_time:[1714964400000 TO 1714964400001]", []string{"c", "d e/f"}},
		{"end_time:[2024-05-06T02:00 TO *] AND active:false", []string{"b", "d e/f"}},
		{"moon:full", none},
		{"moon:[1 TO 2]", none},
		{"NOT moon:full", all},
		{"_exists_:moon", none},
		// Queries that are refused.
		{"*", nil},
		{"*:*", nil},
		{"?x", nil},
		{"user.name:*da", nil},
		{"user.name:?oda", nil},
		{"user.name:", nil},
		{"user.name: yoda", nil},
		{":yoda", nil},
		{"user.*:yoda", nil},
		{"user.name:a:b", nil},
		{"user.name:(a:b)", nil},
		{"AND", nil},
		{"protocol:SSH AND", nil},
		{"AND protocol:SSH", nil},
		{"protocol:SSH OR OR protocol:RDP", nil},
		{"NOT", nil},
		{"(", nil},
		{")", nil},
		{"()", nil},
		{"(protocol:SSH", nil},
		{"protocol:SSH)", nil},
		{`"`, nil},
		{`user.name:"yoda`, nil},
		{`\`, nil},
		{`yoda\`, nil},
		{"client.port:[1 TO 2", nil},
		{"client.port:[1 2]", nil},
		{"client.port:[1 TO ]", nil},
		{"client.port:[TO 2]", nil},
		{"[1 TO 2]", nil},
		{"client.port:x", nil},
		{"client.port:[a TO b]", nil},
		{"client.port:[NaN TO 3]", nil},
		{"client.port:1*", nil},
		{"start_time:yesterday", nil},
		{"start_time:[now-1d TO now]", nil},
		{"active:perhaps", nil},
		{"active:[false TO true]", nil},
		{"yoda~", nil},
		{"user.name:yoda^2", nil},
		{"user.name:/yo.*/", nil},
		{"user.name:y/o", nil},
		{"{", nil},
		{"user.name:\xff", nil},
		{strings.Repeat("(", 10_000), nil},
		{strings.Repeat("NOT ", 2_500) + "a", nil},
		{strings.Repeat("-", 10_000) + "a", nil},
		{strings.Repeat("a ", 5_000), nil},
		{strings.Repeat("a ", 33), nil},
		{strings.Repeat("protocol:SSH OR ", 1_023) + "protocol:RDP", []string{"a", "b", "c"}},
		{strings.Repeat("protocol:SSH OR ", 1_024) + "protocol:RDP", nil},
		{strings.Repeat("a", 10_000), none},
	} {
		t.Run(test.q[:min(len(test.q), 60)], func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t)
			fewSessions(a)
			c := inProcess(t, a).logIn("admin", "a")
			for _, path := range []string{search("q", test.q), auditSessions + "/_count" + strings.TrimPrefix(search("q", test.q), auditSessions),
				search("q", test.q, "snapshot", snapshot(c))} {
				r := c.do("GET", path, "")
				if test.want == nil {
					wantError(t, r, 400, "SyntacticError", strings.SplitN(path, "?", 2)[0])
					continue
				}
				if strings.Contains(path, "_count") {
					wantJSON(t, fmt.Sprintf(`{"count":%d}`, len(test.want)), r.raw)
					continue
				}
				if r.status != 200 {
					t.Fatalf("status %d: %s", r.status, r.raw)
				}
				if diff := cmp.Diff(test.want, keysOf(t, r)); diff != "" {
					t.Errorf("keys (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// snapshot creates a snapshot and returns its id.
func snapshot(c *client) string {
	c.t.Helper()
	return c.want(200, "GET", auditSessions+"/_snapshot", "").body["body"].(map[string]any)["snapshot"].(string)
}

func TestAuditQueryVariants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant, q string
		want       []string // the keys of the found sessions; nil means that the request is refused
	}{
		{"search-operator=AND", "protocol:SSH user.name:yoda", []string{"a"}},
		{"search-operator=AND", "protocol:SSH user.name:yoda OR protocol:RDP", []string{"a", "b"}},
		{"search-operator=AND", "(protocol:SSH user.name:yoda) verdict:ACCEPT", []string{"a"}},
		{"search-only-not=none", "NOT protocol:SSH", []string{}},
		{"search-only-not=none", "verdict:FAIL AND NOT protocol:SSH", []string{"d e/f"}},
		{"search-phrase=words", `user.name:"skywalker"`, []string{"b"}},
		{"search-unknown-field=refused", "moon:full", nil},
		{"search-time-ranges=no-start-time", "start_time:[2024-05-06 TO *]", nil},
		{"search-time-ranges=no-start-time", "protocol:SSH AND NOT start_time:>2024", nil},
		{"search-time-ranges=no-start-time", "end_time:[2024-05-06T05:00 TO *]", []string{"d e/f"}},
		{"search-time-ranges=no-end-time", "end_time:[2024-05-06T05:00 TO *]", nil},
		{"search-time-ranges=no-end-time", "start_time:[2024-05-06T03:00 TO *]", []string{"c", "d e/f"}},
		{"search-time-ranges=refused", "creation_time:[2024 TO *]", nil},
		{"search-time-ranges=refused", "duration:[1800 TO *]", []string{"a", "d e/f"}},
		{"search-time-ranges=refused", "end_time:*", []string{"a", "b", "d e/f"}},
	} {
		t.Run(test.variant+"/"+test.q, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t, variants(t, test.variant)...)
			fewSessions(a)
			c := inProcess(t, a).logIn("admin", "a")
			r := c.do("GET", search("q", test.q), "")
			if test.want == nil {
				wantError(t, r, 400, "SyntacticError", auditSessions)
				return
			}
			if diff := cmp.Diff(test.want, keysOf(t, r)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuditParameters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant    string
		parameters []string
		want       []string // the keys of the found sessions; nil means that the request is refused
	}{
		{"", []string{"start", "2024-05-06T01:00"}, []string{"b", "c", "d e/f"}},
		{"", []string{"start", "2024-05-06T02:59:59.9990000+00:00"}, []string{"c", "d e/f"}},
		{"", []string{"start", "2024-05-06T04:30:00+02:00"}, []string{"c", "d e/f"}},
		{"", []string{"end", "2024-05-06T02:10"}, []string{"a"}},
		{"", []string{"end", "2024-05-07"}, []string{"a", "b", "d e/f"}},
		{"", []string{"start", "2024-05-06T01:30", "end", "2024-05-06T05:00"}, []string{"b"}},
		{"", []string{"start", "2024-05-06T05:00", "end", "2024-05-06T01:30"}, []string{}},
		{"", []string{"start", "", "end", ""}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"start", "yesterday"}, nil},
		{"", []string{"end", "2024-13-01"}, nil},
		{"search-parameter=ignored", []string{"start", "yesterday", "limit", "x"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"sort", "start_time"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"sort", "-start_time"}, []string{"c", "d e/f", "b", "a"}},
		{"", []string{"sort", "end_time"}, []string{"a", "b", "d e/f", "c"}},
		{"", []string{"sort", "-end_time"}, []string{"d e/f", "b", "a", "c"}},
		{"", []string{"sort", "user.name"}, []string{"d e/f", "b", "c", "a"}},
		{"", []string{"sort", "-client.port"}, []string{"d e/f", "c", "b", "a"}},
		{"", []string{"sort", "analytics.interesting_events"}, []string{"d e/f", "a", "b", "c"}},
		{"", []string{"sort", "active"}, []string{"a", "b", "d e/f", "c"}},
		{"", []string{"sort", "moon"}, nil},
		{"", []string{"sort", "-"}, nil},
		{"", []string{"sort", "vault"}, nil},
		{"search-unknown-sort=ignored", []string{"sort", "-moon"}, []string{"a", "b", "c", "d e/f"}},
		{"search-order=newest-first", nil, []string{"c", "d e/f", "b", "a"}},
		{"search-order=newest-first", []string{"sort", "client.ip"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"limit", "2"}, []string{"a", "b"}},
		{"", []string{"limit", "2", "offset", "1"}, []string{"b", "c"}},
		{"", []string{"offset", "4"}, []string{}},
		{"", []string{"offset", "10000"}, []string{}},
		{"", []string{"offset", "10001", "limit", "1"}, []string{"a"}},
		{"", []string{"limit", "1000000"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"limit", "0"}, nil},
		{"", []string{"limit", "-1"}, nil},
		{"", []string{"limit", "x"}, nil},
		{"", []string{"offset", "-1"}, nil},
		{"", []string{"offset", "1.5"}, nil},
		{"", []string{"limit", "99999999999999999999"}, nil},
		{"", []string{"format", "json"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"format", "xml"}, nil},
		{"", []string{"moon", "full"}, []string{"a", "b", "c", "d e/f"}},
		{"", []string{"content", "*"}, nil},
		{"", []string{"content", strings.Repeat("NOT a ", 33)}, nil},
		{"", []string{"content", strings.Repeat("NOT a ", 32)}, []string{}},
		{"", []string{"content", "time:[1 TO 2]"}, nil},
	} {
		t.Run(test.variant+strings.Join(test.parameters, " "), func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			fewSessions(a)
			c := inProcess(t, a).logIn("admin", "a")
			r := c.do("GET", search(test.parameters...), "")
			if test.want == nil {
				wantError(t, r, 400, "SyntacticError", auditSessions)
				return
			}
			if diff := cmp.Diff(test.want, keysOf(t, r)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuditFields(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant, fields, want string // want is the body of session a; "" means that the item has no body
	}{
		{"", "user.name", `{"user":{"name":"yoda"}}`},
		{"", "user.name,client.port,client.ip", `{"client":{"ip":"10.0.0.1","port":1},"user":{"name":"yoda"}}`},
		{"", "client", `{"client":{"ip":"10.0.0.1","name":"one","port":1}}`},
		{"", "analytics.score.aggregated", `{"analytics":{"score":{"aggregated":10}}}`},
		{"", " verdict , protocol ", `{"verdict":"ACCEPT","protocol":"SSH"}`},
		{"", "moon", `{}`},
		{"", "", ""},
		{"search-fields-form=dotted", "user.name,protocol", `{"user.name":"yoda","protocol":"SSH"}`},
	} {
		t.Run(test.variant+test.fields, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			fewSessions(a)
			c := inProcess(t, a).logIn("admin", "a")
			r := c.want(200, "GET", search("limit", "1", "fields", test.fields), "")
			item := r.body["items"].([]any)[0].(map[string]any)
			want := map[string]any{"key": "a", "meta": map[string]any{"href": auditSessions + "/a"}}
			if test.want != "" {
				want["body"] = fromJSON(t, test.want)
			}
			if diff := cmp.Diff(want, item); diff != "" {
				t.Errorf("item (-want +got):\n%s", diff)
			}
		})
	}
	a := newInProcess(t, variants(t, "search-no-fields=all")...)
	fewSessions(a)
	c := inProcess(t, a).logIn("admin", "a")
	if got := bodyOf(t, c.want(200, "GET", auditSessions, ""), 0)["protocol"]; got != "SSH" {
		t.Errorf("without fields: protocol %v", got)
	}
}

// TestAuditSelection checks that a field has the same value in a search with groups, in a
// search with dotted names, and in the response for one session.
func TestAuditSelection(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"6.0", "8.0"} {
		a := newInProcess(t, spstest.WithAuditSessions(300), spstest.WithProfile(profile), frozenClock())
		dotted := newInProcess(t, append(variants(t, "search-fields-form=dotted"), spstest.WithAuditSessions(300), spstest.WithProfile(profile), frozenClock())...)
		c, d := inProcess(t, a).logIn("admin", "a"), inProcess(t, dotted).logIn("admin", "a")
		const some = "user.name,recording.target.ip,verdict,end_time,analytics.interesting_events"
		whole := c.want(200, "GET", search("fields", "*"), "")
		parts := c.want(200, "GET", search("fields", some), "")
		flat := d.want(200, "GET", search("fields", some), "")
		keys := keysOf(t, whole)
		if len(keys) != 300 {
			t.Fatalf("%d sessions", len(keys))
		}
		for i, key := range keys {
			one := c.want(200, "GET", auditSessions+"/"+key, "")
			if diff := cmp.Diff(one.body["body"], any(bodyOf(t, whole, i))); diff != "" {
				t.Fatalf("session %s read by its key (-want +got):\n%s", key, diff)
			}
			for name := range strings.SplitSeq(some, ",") {
				want, inWhole := dig(bodyOf(t, whole, i), name)
				part, inPart := dig(bodyOf(t, parts, i), name)
				plain, inFlat := bodyOf(t, flat, i)[name]
				if inWhole != inPart || inWhole != inFlat || cmp.Diff(want, part) != "" || cmp.Diff(want, plain) != "" {
					t.Errorf("field %s of session %s: %v with all fields, %v in groups, %v with dotted names", name, key, want, part, plain)
				}
			}
		}
	}
}

// dig returns the value at a dotted name in a body with groups.
func dig(body map[string]any, name string) (any, bool) {
	head, rest, nested := strings.Cut(name, ".")
	value, ok := body[head]
	if !nested || !ok {
		return value, ok
	}
	group, _ := value.(map[string]any)
	return dig(group, rest)
}

func TestAuditCSV(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	fewSessions(a)
	c := inProcess(t, a).logIn("admin", "a")
	r := c.want(200, "GET", search("format", "csv", "fields", "user.name,analytics.interesting_events,duration,end_time", "q", "client.port:<=3"), "")
	want := "key,analytics.interesting_events,duration,end_time,user.name\n" +
		"a,sudo;vim,1800,2024-05-06T01:30:00.000Z,yoda\n" +
		"b,,600,2024-05-06T02:10:00.000Z,luke skywalker\n" +
		"c,,,,\"o'br\"\"ien (x)\"\n"
	if diff := cmp.Diff(want, r.raw); diff != "" || r.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%s (-want +got):\n%s", r.header.Get("Content-Type"), diff)
	}
	bare := newInProcess(t, variants(t, "csv-header=absent")...)
	fewSessions(bare)
	if got := inProcess(t, bare).logIn("admin", "a").want(200, "GET", search("format", "csv"), "").raw; got != "a\nb\nc\nd e/f\n" {
		t.Errorf("CSV without a header line: %q", got)
	}
}

// TestAuditCeiling checks that the basic search returns each session at most once up to
// its maximum offset, and how it continues there with each alternative of the variant
// search-ceiling.
func TestAuditCeiling(t *testing.T) {
	t.Parallel()
	const n = 10_700
	for variant, after := range map[string]string{"search-ceiling=ends": "", "search-ceiling=repeats": auditSessions + "?limit=500&offset=10500&fields=&sort=-start_time"} {
		a := newInProcess(t, append(variants(t, variant), spstest.WithAuditSessions(n))...)
		c := inProcess(t, a).logIn("admin", "a")
		seen := map[string]bool{}
		next := search("sort", "-start_time")
		pages := 0
		for ; next != "" && pages < 21; pages++ {
			r := c.want(200, "GET", next, "")
			for _, key := range keysOf(t, r) {
				if seen[key] {
					t.Fatalf("%s: session %s was returned twice", next, key)
				}
				seen[key] = true
			}
			if got := metaOf(r)["match_count"]; got != 10_000. {
				t.Fatalf("match_count %v", got)
			}
			next, _ = metaOf(r)["next"].(string)
		}
		if next != after {
			t.Errorf("%s: the next link after %d pages is %q; want %q", variant, pages, next, after)
		}
		if after == "" {
			continue
		}
		r := c.want(200, "GET", next, "")
		if first := keysOf(t, r)[0]; !seen[first] || metaOf(r)["offset"] != 0. {
			t.Errorf("the first session beyond the ceiling is %s, at the offset %v; want a repeated session at the offset 0", first, metaOf(r)["offset"])
		}
	}
}

// TestAuditBasicMeta checks that the meta object of the basic search has the form of the
// guide's sample.
func TestAuditBasicMeta(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(39), spstest.WithProfile("6.0"))
	c := inProcess(t, a).logIn("admin", "a")
	r := c.want(200, "GET", auditSessions, "")
	want := fromJSON(t, `{"fields":[],"first":"/api/audit/sessions?limit=500&offset=0&fields=","href":"/api/audit/sessions",
		"last":"/api/audit/sessions?limit=500&offset=0&fields=","limit":500,"match_count":39,"next":null,"offset":0,"parent":"/api/audit","previous":null}`)
	if diff := cmp.Diff(want, any(metaOf(r))); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fromJSON(t, `{"key":"2","meta":{"href":"/api/audit/sessions/2"}}`), r.body["items"].([]any)[1]); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
}

// TestGeneratedAuditSessions checks that the generated sessions include all
// protocols, verdicts and kinds of members, that their keys are unique, and that another
// appliance generates the same sessions.
func TestGeneratedAuditSessions(t *testing.T) {
	t.Parallel()
	const n = 5_000
	for _, profile := range spstest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			a := newInProcess(t, spstest.WithAuditSessions(n), spstest.WithProfile(profile), frozenClock())
			again := newInProcess(t, spstest.WithAuditSessions(n), spstest.WithProfile(profile), frozenClock())
			c, c2 := inProcess(t, a).logIn("admin", "a"), inProcess(t, again).logIn("admin", "a")
			seen := map[string]int{}
			keys := map[string]bool{}
			var last string
			for offset := 0; offset < n; offset += 500 {
				path := search("fields", "*", "offset", fmt.Sprint(offset), "sort", "start_time")
				r := c.want(200, "GET", path, "")
				if other := c2.want(200, "GET", path, ""); other.raw != r.raw {
					t.Fatal("two appliances generate different sessions")
				}
				for i, key := range keysOf(t, r) {
					keys[key] = true
					last = noteSession(t, seen, last, bodyOf(t, r, i))
				}
			}
			if len(keys) != n {
				t.Errorf("%d sessions have only %d different keys", n, len(keys))
			}
			want := []string{"SSH", "RDP", "ICA", "VNC", "TELNET", "HTTP", "MSSQL", "ACCEPT", "TERMINATED", "AUTH_FAIL", "FAIL",
				"no analytics", "analytics", "no recording", "recording", "log", "vault object", "vault list", "no vault", "mfa", "active", "ended",
				"over midnight", "same start", "archived", "INDEXED", "NOT_INDEXED"}
			if strings.HasPrefix(profile, "6") {
				want = append(want, "audit_trail", "hidden", "zone")
			} else {
				want = append(want, "trail", "no trail")
			}
			for _, name := range want {
				if seen[name] == 0 {
					t.Errorf("no session has the property %s", name)
				}
			}
		})
	}
}

// noteSession counts the properties of a session in seen, and checks the properties that
// each session must have. It returns the start time of the session.
func noteSession(t *testing.T, seen map[string]int, last string, body map[string]any) string {
	t.Helper()
	seen[body["protocol"].(string)]++
	seen[body["verdict"].(string)]++
	for _, group := range []string{"analytics", "recording", "log", "mfa", "hidden"} {
		if _, ok := body[group]; ok {
			seen[group]++
		} else {
			seen["no "+group]++
		}
	}
	switch body["vault"].(type) {
	case map[string]any:
		seen["vault object"]++
	case []any:
		seen["vault list"]++
	default:
		seen["no vault"]++
	}
	if recording, ok := body["recording"].(map[string]any); ok {
		seen[recording["index_status"].(string)]++
		if recording["archived"] == true {
			seen["archived"]++
		}
		if recording["audit_trail"] != nil {
			seen["audit_trail"]++
		}
		if recording["verdict"] != body["verdict"] {
			t.Errorf("the verdicts of the session and of its recording differ: %v", body)
		}
	}
	if link, ok := body["trail_download_link"]; ok {
		if link == nil {
			seen["no trail"]++
		} else {
			seen["trail"]++
		}
	}
	start := body["start_time"].(string)
	if start == last {
		seen["same start"]++
	}
	if start < last {
		t.Errorf("the session that started at %s follows the one that started at %s", start, last)
	}
	end, ended := body["end_time"].(string)
	if ended == (body["active"] == true) {
		t.Errorf("active %v, end %q", body["active"], end)
	}
	if !ended {
		seen["active"]++
		return start
	}
	seen["ended"]++
	if strings.HasSuffix(end, "+05:00") {
		seen["zone"]++
	}
	from, err := time.Parse(time.RFC3339, start)
	to, err2 := time.Parse(time.RFC3339, end)
	if err != nil || err2 != nil || to.Before(from.Truncate(time.Second)) {
		t.Errorf("start %s, end %s", start, end)
	}
	if from.UTC().Day() != to.UTC().Day() {
		seen["over midnight"]++
	}
	return start
}

// TestAuditChanges checks that searches and AuditSessions show sessions that were added,
// ended and archived, and that an older snapshot does not.
func TestAuditChanges(t *testing.T) {
	t.Parallel()
	now := at(12, 0)
	a := newInProcess(t, spstest.WithAuditSessions(20), spstest.WithClock(func() time.Time { return now }))
	c := inProcess(t, a).logIn("admin", "a")
	id := snapshot(c)
	first := a.AddAuditSession(spstest.AuditSession{})
	now = now.Add(3 * time.Minute)
	second := a.AddAuditSession(spstest.AuditSession{Key: "own", Start: at(1, 0), End: at(2, 0), TrailSize: -1, Archived: true})
	if first == "" || first == second || second != "own" {
		t.Errorf("keys %q and %q", first, second)
	}
	if a.EndAuditSession("own", time.Time{}) || a.EndAuditSession("none", time.Time{}) || !a.EndAuditSession(first, time.Time{}) || a.EndAuditSession(first, time.Time{}) {
		t.Error("EndAuditSession returned the wrong result")
	}
	if a.ArchiveAuditSession("none") || !a.ArchiveAuditSession(first) {
		t.Error("ArchiveAuditSession returned the wrong result")
	}
	var running string
	listed := slices.Collect(a.AuditSessions())
	for _, s := range listed {
		if s.End.IsZero() {
			running = s.Key
		}
	}
	if !a.EndAuditSession(running, at(12, 1)) {
		t.Errorf("session %q is not running", running)
	}
	if len(listed) != 22 {
		t.Errorf("AuditSessions lists %d sessions; want 22", len(listed))
	}
	type span struct {
		Key        string
		Start, End time.Time
		Trail      int64
		Archived   bool
	}
	var got []span
	for _, s := range listed[20:] {
		got = append(got, span{s.Key, s.Start, s.End, min(s.TrailSize, 0), s.Archived})
	}
	want := []span{{first, at(12, 0), at(12, 3), got[0].Trail, true}, {"own", at(1, 0), at(2, 0), -1, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	// The snapshot still has the state from before the changes.
	r := c.want(200, "GET", search("snapshot", id, "q", "active:true"), "")
	if keys := keysOf(t, r); !slices.Contains(keys, running) || slices.Contains(keys, first) {
		t.Errorf("running sessions in the snapshot: %v", keys)
	}
	if keys := keysOf(t, c.want(200, "GET", search("q", "active:true"), "")); slices.Contains(keys, running) {
		t.Errorf("the sessions %v are running, although %s has ended", keys, running)
	}
	if n := len(keysOf(t, c.want(200, "GET", search("snapshot", id), ""))); n != 20 {
		t.Errorf("the snapshot has %d sessions", n)
	}
	if keys := keysOf(t, c.want(200, "GET", search("q", "end_time:[2024-05-06T12:02:00.000Z TO *]"), "")); !slices.Equal(keys, []string{first}) {
		t.Errorf("the sessions %v ended after the snapshot; want only %s", keys, first)
	}
	one := c.want(200, "GET", auditSessions+"/"+first, "").body["body"].(map[string]any)
	if one["duration"] != 180. || one["end_time"] != "2024-05-06T12:03:00.000Z" {
		t.Errorf("duration %v, end %v", one["duration"], one["end_time"])
	}
}

func TestAuditUnusualBodies(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	a.AddAuditSession(spstest.AuditSession{Key: "1%2 ü", Exact: true, Body: json.RawMessage(`{"vault":null,"duration":"60","start_time":"2020-01-01T00:00:00","x":{"y":[1]}}`)})
	path := auditSessions + "/" + url.PathEscape("1%2 ü")
	r := c.want(200, "GET", path, "")
	wantJSON(t, `{"body":{"vault":null,"duration":"60","start_time":"2020-01-01T00:00:00","x":{"y":[1]}},"key":"1%2 ü",
		"meta":{"href":"/api/audit/sessions/1%252%20%C3%BC","parent":"/api/audit/sessions"}}`, r.raw)
	r = c.want(200, "GET", search("fields", "x.y,moon", "q", "start_time:2020 AND NOT _exists_:vault"), "")
	wantJSON(t, `{"x":{"y":[1]}}`, string(encodeJSON(t, bodyOf(t, r, 0))))
	for _, bad := range []spstest.AuditSession{{Key: "1%2 ü"}, {Body: json.RawMessage(`7`)}, {Body: json.RawMessage(`{`)}, {Exact: true}, {TrailSize: -2}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the invalid session %+v was added", bad)
				}
			}()
			a.AddAuditSession(bad)
		}()
	}
}

func TestAuditOptions(t *testing.T) {
	t.Parallel()
	for _, opt := range []spstest.Option{spstest.WithAuditSessions(-1), spstest.WithAuditSessions(1 << 40), spstest.WithAuditTrailSize(0), spstest.WithAuditTrailSize(-1)} {
		if err := startError(opt); err == nil {
			t.Error("NewServer accepted an invalid option")
		}
	}
}

// TestAuditKeys checks that each session can be read by its key, and that other keys
// return 404.
func TestAuditKeys(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"6.9", "7.4"} {
		a := newInProcess(t, spstest.WithAuditSessions(2_000), spstest.WithProfile(profile))
		c := inProcess(t, a).logIn("admin", "a")
		var some string
		for s := range a.AuditSessions() {
			if some = s.Key; c.want(200, "GET", auditSessions+"/"+s.Key, "").body["key"] != s.Key {
				t.Fatalf("the response is not the session %s", s.Key)
			}
		}
		for _, key := range []string{"0", "-1", "01", "2001", "x", strings.Repeat("0", 22), strings.Repeat("z", 22), some + "0", "svc-" + some, "%2F", "%25", "_moon"} {
			for _, tail := range []string{"", "/events", "/alerts", "/channels", "/channels/1", "/content?q=a", "/indexing", "/indexer", "/trail_downloads", "/audit_trail"} {
				if r := c.do("GET", auditSessions+"/"+key+tail, ""); r.status != 404 {
					t.Errorf("%s/%s: status %d", key, tail, r.status)
				}
			}
		}
	}
}

func TestAuditRight(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(3), spstest.WithUser("guest", "g", spstest.NoSearch))
	c := inProcess(t, a)
	wantError(t, c.do("GET", auditSessions, ""), 401, "Unauthenticated", auditSessions)
	c.logIn("guest", "g")
	for _, path := range []string{"", "/_snapshot", "/_count", "/stats?field=protocol", "/histogram?field=start_time", "/x", "/x/audit_trail"} {
		p, _, _ := strings.Cut(auditSessions+path, "?")
		wantError(t, c.do("GET", auditSessions+path, ""), 403, "Unauthorized", p)
	}
	c.want(200, "GET", "/api/info", "")
	c.want(200, "GET", "/api/audit", "")
	wantError(t, inProcess(t, a).logIn("admin", "a").do("POST", auditSessions, "{}"), 405, "MethodNotAllowed", nil)
}

// agent returns a copy of a client that uses the same session and sends the given User-Agent.
func agent(c *client, name string) *client {
	other := *c
	other.header = http.Header{"User-Agent": {name}}
	return &other
}
