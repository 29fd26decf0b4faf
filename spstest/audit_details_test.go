package spstest_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// firstFound returns the key of the first session that a query finds.
func firstFound(t testing.TB, c *client, q string) string {
	t.Helper()
	keys := keysOf(t, c.want(200, "GET", search("q", q, "limit", "1"), ""))
	if len(keys) == 0 {
		t.Fatalf("no session matches %s", q)
	}
	return keys[0]
}

const withSudo = "recording.command_extracted:true AND analytics.interesting_events:sudo"

// shapeOf returns the names and kinds of the values in a JSON value.
func shapeOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shape := map[string]any{}
		for name, value := range v {
			shape[name] = shapeOf(value)
		}
		return shape
	case []any:
		if len(v) == 0 {
			return []any{}
		}
		return []any{shapeOf(v[0])}
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "truth"
	}
	return nil
}

// TestAuditDetailShapes checks that events, alerts, channels and other details of a
// session have the shape of the guide's samples.
func TestAuditDetailShapes(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(1_000), frozenClock())
	c := inProcess(t, a).logIn("admin", "a")
	sudo := firstFound(t, c, withSudo)
	for _, test := range []struct{ path, key, item, last string }{
		{"/events", sudo, `{"action":"ls","channels_id":"0","content":"user@host:~$ ls","record_id":46,"time":"2017-04-11T09:21:10.832","type":"command"}`, "/events"},
		{"/alerts", sudo, `{"alert_type":"adp.event.command","channel_id":"0","matched_action":"ls","matched_content":"x","matched_regexp":"ls","record_id":94,
			"rule_name":"PatternMatcherRule","time":"2017-04-25T13:26:39.144356"}`, "/alerts"},
		{"/content?q=sudo", sudo, `{"action":"ls","channels_id":"0","content":"x","record_id":46,"time":"2017-04-11T09:21:10.832","type":"command"}`, "/content"},
		{"/indexing", sudo, `{"config":{"command":{"enabled":true},"keyboard":{"buffer_interval":3,"enabled":false},"mouse":{"buffer_interval":1,"enabled":false},
			"near_realtime":false,"ocr_languages":[],"screen":{"enabled":true,"omnipage_trade_off":"TO_ACCURATE"},"title":{"enabled":true}},
			"statistics":{"cpu_time":5,"duration":149,"start_time":1542116524143},"status":"COMPLETED","version":{"adp":"6.0.20","worker":"4.0.26"}}`, "/indexer"},
		{"/channels", firstFound(t, c, "protocol:RDP AND verdict:ACCEPT AND active:false"), `{"body":{"duration":4,"end_time":1451902145,"start_time":1451902141,"type":"x","verdict":"accept"},
			"key":"2","meta":{"href":"x"}}`, "/channels"},
	} {
		r := c.want(200, "GET", auditSessions+"/"+test.key+test.path, "")
		items := r.body["items"].([]any)
		if len(items) == 0 {
			t.Errorf("%s: no items", test.path)
			continue
		}
		if diff := cmp.Diff(shapeOf(fromJSON(t, test.item)), shapeOf(items[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
		parent := auditSessions + "/" + test.key
		meta := metaOf(r)
		if meta["parent"] != parent || meta["href"] != parent+test.last || !strings.HasPrefix(meta["first"].(string), parent+test.last+"?limit=500&offset=0") {
			t.Errorf("%s: meta %v", test.path, meta)
		}
	}
}

// TestAuditDetailPages checks that the next links of events, alerts, channels and other
// details of a session lead to all items.
func TestAuditDetailPages(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(1_000))
	c := inProcess(t, a).logIn("admin", "a")
	paged := map[string]bool{}
	for s := range a.AuditSessions() {
		for _, kind := range []string{"events", "alerts", "channels", "indexing", "trail_downloads", "content"} {
			path := auditSessions + "/" + s.Key + "/" + kind
			whole := c.want(200, "GET", path+"?q=s*", "").body["items"].([]any)
			if len(whole) < 2 || paged[kind] {
				continue
			}
			paged[kind] = true
			var parts []any
			for next := path + "?limit=1&q=s*"; next != ""; {
				r := c.want(200, "GET", next, "")
				parts = append(parts, r.body["items"].([]any)...)
				if metaOf(r)["match_count"] != float64(len(whole)) {
					t.Errorf("%s: match_count %v", next, metaOf(r)["match_count"])
				}
				next, _ = metaOf(r)["next"].(string)
			}
			if diff := cmp.Diff(whole, parts); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
	if len(paged) != 6 {
		t.Errorf("only the lists %v have several pages; want 6 lists", paged)
	}
}

func TestAuditContent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant, path string
		status        int
		found         bool
	}{
		{"", "/content", 200, false},
		{"", "/content?q=", 200, false},
		{"", "/content?q=sudo", 200, true},
		{"", "/content/?q=sudo", 200, true},
		{"", "/content?q=SUDO%20AND%20NOT%20nothing", 200, true},
		{"", "/content?q=action:sudo", 200, true},
		{"", "/content?q=su*", 200, true},
		{"", "/content?q=moonshine", 200, false},
		{"", "/content?q=*do", 400, false},
		{"", "/content?q=moon:full", 400, false},
		{"", "/content?q=(", 400, false},
		{"content-items=wrapped", "/content?q=sudo", 200, true},
	} {
		t.Run(test.variant+test.path, func(t *testing.T) {
			t.Parallel()
			opts := []spstest.Option{spstest.WithAuditSessions(1_000)}
			if test.variant != "" {
				opts = append(opts, variants(t, test.variant)...)
			}
			a := newInProcess(t, opts...)
			c := inProcess(t, a).logIn("admin", "a")
			r := c.want(test.status, "GET", auditSessions+"/"+firstFound(t, c, withSudo)+test.path, "")
			items, _ := r.body["items"].([]any)
			if (len(items) > 0) != test.found {
				t.Fatalf("found %v", items)
			}
			if test.found {
				_, wrapped := items[0].(map[string]any)["body"]
				if wrapped != (test.variant != "") {
					t.Errorf("item %v", items[0])
				}
			}
		})
	}
	a := newInProcess(t, spstest.WithAuditSessions(1_000))
	c := inProcess(t, a).logIn("admin", "a")
	all := keysOf(t, c.want(200, "GET", search("q", withSudo), ""))
	found := keysOf(t, c.want(200, "GET", search("q", "_exists_:analytics.scripted", "content", "sudo"), ""))
	if diff := cmp.Diff(all, found); diff != "" || len(all) == 0 {
		t.Errorf("sessions with the command sudo (-found by the field +found by the content):\n%s", diff)
	}
	if n := len(keysOf(t, c.want(200, "GET", search("content", "moonshine"), ""))); n != 0 {
		t.Errorf("%d sessions have the word moonshine in their content; want none", n)
	}
}

func TestAuditChannel(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(100))
	c := inProcess(t, a).logIn("admin", "a")
	key := firstFound(t, c, "protocol:SSH AND verdict:ACCEPT")
	list := c.want(200, "GET", auditSessions+"/"+key+"/channels", "").body["items"].([]any)
	one := c.want(200, "GET", auditSessions+"/"+key+"/channels/1", "").body
	if diff := cmp.Diff(list[0].(map[string]any)["body"], one["body"]); diff != "" || one["key"] != "1" {
		t.Errorf("channel %v (-in the list +read by its key):\n%s", one["key"], diff)
	}
	c.want(404, "GET", auditSessions+"/"+key+"/channels/9", "")
	if n := len(c.want(200, "GET", auditSessions+"/"+firstFound(t, c, "verdict:AUTH_FAIL")+"/channels", "").body["items"].([]any)); n != 0 {
		t.Errorf("a session whose login failed has %d channels; want none", n)
	}
}

func TestAuditDetailVariants(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, append(variants(t, "event-channel=channel_id", "session-running-end=null", "trail-link=url"), spstest.WithAuditSessions(1_000))...)
	c := inProcess(t, a).logIn("admin", "a")
	event := c.want(200, "GET", auditSessions+"/"+firstFound(t, c, withSudo)+"/events", "").body["items"].([]any)[0].(map[string]any)
	if event["channel_id"] != "0" || event["channels_id"] != nil {
		t.Errorf("event %v", event)
	}
	body := bodyOf(t, c.want(200, "GET", search("q", "active:true AND protocol:SSH", "fields", "*"), ""), 0)
	for _, name := range []string{"end_time", "duration"} {
		if value, ok := body[name]; !ok || value != nil {
			t.Errorf("%s %v, there: %v", name, value, ok)
		}
	}
	body = bodyOf(t, c.want(200, "GET", search("q", "_exists_:trail_download_link", "fields", "trail_download_link"), ""), 0)
	if link := body["trail_download_link"].(string); !strings.HasPrefix(link, "https://"+a.Addr()+auditSessions+"/") {
		t.Errorf("link %s", link)
	}
}

func TestAuditTrails(t *testing.T) {
	t.Parallel()
	const size = 200_001
	for _, test := range []struct {
		name, variant string
		session       spstest.AuditSession
		query         string
		status        int
		kind          string
		length        int64
	}{
		{"ended", "", spstest.AuditSession{End: at(2, 0), TrailSize: size}, "", 200, "", size},
		{"zat", "", spstest.AuditSession{End: at(2, 0), TrailSize: size}, "?format=zat", 200, "", size},
		{"srs", "", spstest.AuditSession{End: at(2, 0), TrailSize: size}, "?format=srs", 200, "", size},
		{"a byte", "", spstest.AuditSession{End: at(2, 0), TrailSize: 1}, "", 200, "", 1},
		{"archived", "", spstest.AuditSession{End: at(2, 0), TrailSize: size, Archived: true}, "", 200, "", size},
		{"unknown length", "trail-length=unknown", spstest.AuditSession{End: at(2, 0), TrailSize: size}, "", 200, "", -1},
		{"no such format", "", spstest.AuditSession{End: at(2, 0), TrailSize: size}, "?format=avi", 400, "SyntacticError", 0},
		{"none", "", spstest.AuditSession{End: at(2, 0), TrailSize: -1}, "", 404, "ResourceNotFound", 0},
		{"none, type", "trail-missing=404:AuditTrailNotFound", spstest.AuditSession{End: at(2, 0), TrailSize: -1}, "", 404, "AuditTrailNotFound", 0},
		{"running", "", spstest.AuditSession{TrailSize: size}, "", 200, "", size},
		{"running, refused", "trail-running=refused", spstest.AuditSession{TrailSize: size}, "", 404, "ResourceNotFound", 0},
		{"running, srs", "trail-running=refused", spstest.AuditSession{TrailSize: size}, "?format=srs", 200, "", size},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := spstest.NewServer(t, opts...)
			test.session.Start = at(1, 0)
			key := a.AddAuditSession(test.session)
			for name, c := range map[string]*client{"over TLS": overTLS(t, a), "in process": inProcess(t, a)} {
				c.logIn("admin", "a")
				path := auditSessions + "/" + key + "/audit_trail" + test.query
				if test.status != 200 {
					r := c.want(test.status, "GET", path, "")
					if kind, _ := r.errorOf(); kind != test.kind {
						t.Errorf("%s: %s", name, kind)
					}
					continue
				}
				resp := open(t, c, path)
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.ContentLength != test.length || resp.Header.Get("Content-Type") != "application/octet-stream" {
					t.Errorf("%s: status %d, length %d, %v", name, resp.StatusCode, resp.ContentLength, err)
				}
				content, n, ok := a.AuditTrail(key, strings.TrimPrefix(test.query, "?format="))
				if test.query == "?format=zat" {
					content, n, ok = a.AuditTrail(key, "")
				}
				want, _ := io.ReadAll(content)
				if !ok || n != int64(len(want)) || !bytes.Equal(want, got) {
					t.Errorf("%s: the downloaded recording (%d bytes) differs from AuditTrail (%d bytes)", name, len(got), len(want))
				}
			}
			downloads := inProcess(t, a).logIn("admin", "a").want(200, "GET", auditSessions+"/"+key+"/trail_downloads", "").body["items"].([]any)
			mine := slices.DeleteFunc(downloads, func(d any) bool { return d.(map[string]any)["from_api"] == false })
			if want := map[bool]int{true: 2}[test.status == 200]; len(mine) != want {
				t.Errorf("the session lists %d downloads of this test; want %d", len(mine), want)
			}
		})
	}
	a := newInProcess(t)
	if _, _, ok := a.AuditTrail("none", ""); ok {
		t.Error("AuditTrail returned a recording for a key without a session")
	}
	if _, _, ok := a.AuditTrail(a.AddAuditSession(spstest.AuditSession{TrailSize: -1}), ""); ok {
		t.Error("AuditTrail returned a recording for a session without a recording")
	}
}

// open sends a request and returns the response without reading its body.
func open(t testing.TB, c *client, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "session_id="+c.cookie)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestAuditTrailIsGeneratedWhileRead checks that a client can read the start of a recording
// that is too large for memory, because the content is generated while it is read.
func TestAuditTrailIsGeneratedWhileRead(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithAuditSessions(20), spstest.WithAuditTrailSize(1<<50))
	c := inProcess(t, a).logIn("admin", "a")
	resp := open(t, c, auditSessions+"/"+firstFound(t, c, "_exists_:trail_download_link")+"/audit_trail")
	if resp.ContentLength != 1<<50 {
		t.Errorf("length %d", resp.ContentLength)
	}
	if n, err := io.CopyN(io.Discard, resp.Body, 10<<20); err != nil || n != 10<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	a.Close()
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading after the appliance was closed: error %v; want io.ErrUnexpectedEOF", err)
	}
	resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("reading a closed body returned no error")
	}
}

func TestAuditTrailBreaksOff(t *testing.T) {
	t.Parallel()
	const size, cut = 300_000, 100_000
	for _, listening := range []bool{false, true} {
		t.Run(strconv.FormatBool(listening), func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			key := a.AddAuditSession(spstest.AuditSession{End: time.Now(), TrailSize: size})
			c := inProcess(t, a)
			if listening {
				c = overTLS(t, a)
			}
			c.logIn("admin", "a")
			a.Inject(spstest.Fault{Path: "audit/sessions/*/audit_trail", Truncate: cut})
			resp := open(t, c, auditSessions+"/"+key+"/audit_trail")
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if len(got) != cut || !errors.Is(err, io.ErrUnexpectedEOF) || resp.ContentLength != size {
				t.Errorf("read %d bytes of %d, error %v", len(got), resp.ContentLength, err)
			}
			a.Inject(spstest.Fault{Path: "audit/sessions/*/audit_trail", Mutate: func([]byte) []byte { return []byte("{}") }})
			if r := c.want(200, "GET", auditSessions+"/"+key+"/audit_trail", ""); r.raw != "{}" {
				t.Errorf("the body has %d bytes and is not the body of the fault", len(r.raw))
			}
		})
	}
}

func TestAuditStats(t *testing.T) {
	t.Parallel()
	const stats, histogram = auditSessions + "/stats", auditSessions + "/histogram"
	for _, test := range []struct{ variant, path, want string }{ // want is the response without its meta object; "" means that the request is refused
		{"", stats + "?field=protocol", `{"items":[{"count":2,"value":"SSH"},{"count":1,"value":"RDP"},{"count":1,"value":"VNC"}]}`},
		{"", stats + "?field=protocol&size=1", `{"items":[{"count":2,"value":"SSH"}]}`},
		{"", stats + "?field=protocol&q=verdict:ACCEPT", `{"items":[{"count":2,"value":"SSH"}]}`},
		{"", stats + "?field=protocol&q=verdict:MOON", `{"items":[]}`},
		{"", stats + "?field=analytics.interesting_events", `{"items":[{"count":1,"value":"passwd"},{"count":1,"value":"sudo"},{"count":1,"value":"vim"}]}`},
		{"", stats + "?field=client.port&size=2", `{"items":[{"count":1,"value":"1"},{"count":1,"value":"2"}]}`},
		{"", stats + "?field=active&sub_fields=verdict,protocol", `{"items":[{"count":3,"value":"false","items":[{"count":1,"value":"ACCEPT"},
			{"count":1,"value":"AUTH_FAIL"},{"count":1,"value":"FAIL"}]},{"count":1,"value":"true","items":[{"count":1,"value":"ACCEPT"}]}]}`},
		{"stats-form=name", stats + "?field=protocol&size=1", `{"items":[{"count":2,"name":"SSH"}]}`},
		{"stats-form=key", stats + "?field=protocol&size=1", `{"items":[{"count":2,"key":"SSH"}]}`},
		{"stats-form=buckets", stats + "?field=protocol&size=1", `{"buckets":[{"doc_count":2,"key":"SSH"}]}`},
		{"", histogram + "?field=start_time", `{"items":[{"count":1,"value":"2024-05-06T01:00:00.000Z"},{"count":1,"value":"2024-05-06T02:00:00.000Z"},
			{"count":2,"value":"2024-05-06T03:00:00.000Z"}]}`},
		{"", histogram + "?field=end_time&bin-size=hour", `{"items":[{"count":1,"value":"2024-05-06T01:00:00.000Z"},{"count":1,"value":"2024-05-06T02:00:00.000Z"},
			{"count":0,"value":"2024-05-06T03:00:00.000Z"},{"count":0,"value":"2024-05-06T04:00:00.000Z"},{"count":0,"value":"2024-05-06T05:00:00.000Z"},
			{"count":1,"value":"2024-05-06T06:00:00.000Z"}]}`},
		{"", histogram + "?field=start_time&bin-size=day&q=protocol:SSH", `{"items":[{"count":2,"value":"2024-05-06T00:00:00.000Z"}]}`},
		{"", histogram + "?field=start_time&bin-size=week", `{"items":[{"count":4,"value":"2024-05-06T00:00:00.000Z"}]}`},
		{"", histogram + "?field=start_time&bin-size=month", `{"items":[{"count":4,"value":"2024-05-01T00:00:00.000Z"}]}`},
		{"", histogram + "?field=start_time&q=verdict:MOON", `{"items":[]}`},
		{"stats-form=buckets", histogram + "?field=start_time&bin-size=day", `{"buckets":[{"doc_count":4,"key":"2024-05-06T00:00:00.000Z"}]}`},
		{"", stats, ""},
		{"", stats + "?field=moon", ""},
		{"", stats + "?field=vault", ""},
		{"", stats + "?field=protocol&size=0", ""},
		{"", stats + "?field=protocol&size=x", ""},
		{"", stats + "?field=protocol&sub_fields=moon", ""},
		{"", stats + "?field=protocol&q=*", ""},
		{"", histogram, ""},
		{"", histogram + "?field=protocol", ""},
		{"", histogram + "?field=start_time&bin-size=moon", ""},
		{"", histogram + "?field=start_time&bin-size=second", `second`},
	} {
		t.Run(test.variant+test.path, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			fewSessions(a)
			c := inProcess(t, a).logIn("admin", "a")
			r := c.do("GET", test.path, "")
			p, _, _ := strings.Cut(test.path, "?")
			switch test.want {
			case "":
				wantError(t, r, 400, "SyntacticError", p)
				return
			case "second":
				if n := len(r.body["items"].([]any)); n != 7201 {
					t.Errorf("%d seconds", n)
				}
				return
			}
			if diff := cmp.Diff(fromJSON(t, `{"href":"`+p+`","parent":"/api/audit/sessions"}`), any(metaOf(r))); diff != "" {
				t.Errorf("meta (-want +got):\n%s", diff)
			}
			delete(r.body, "meta")
			if diff := cmp.Diff(fromJSON(t, test.want), any(r.body)); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
	a := newInProcess(t)
	fewSessions(a)
	a.AddAuditSession(spstest.AuditSession{Start: at(9, 0), End: at(9, 1)})
	c := inProcess(t, a).logIn("admin", "a")
	if r := c.do("GET", histogram+"?field=start_time&bin-size=second", ""); r.status != 400 {
		t.Errorf("histogram with a bin for each second of a day: status %d; want 400", r.status)
	}
}
