package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// decoded decodes JSON into a new value.
func decoded[T any](t testing.TB, text string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// encoded encodes a value.
func encoded(t testing.TB, v any) string {
	t.Helper()
	text, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// encode encodes a value without escaping HTML characters.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// session decodes a session with the key "1" and the given members in its body.
func session(t testing.TB, body string) *audit.Session {
	t.Helper()
	return decoded[audit.Session](t, `{"key":"1","meta":{"href":"/api/audit/sessions/1"},"body":{`+body+`}}`)
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// typedSession is the decoded form of the sample session of the vendor's Power BI
// connector.
var typedSession = audit.Session{
	Key: "qbDgP4YB6q61cSrUGJic", Origin: audit.OriginRecording, Protocol: audit.ProtocolSSH, Verdict: audit.VerdictAuthFail,
	NodeID:       "e5c31a9b-54c7-448d-a203-2bef339f8591",
	CreationTime: at("2019-11-25T23:59:28Z"), StartTime: at("2019-11-25T23:59:28Z"), EndTime: at("2019-11-25T23:59:28Z"),
	Client: &audit.Address{IP: "10.10.0.39", Name: "10.10.0.39", Port: 2370},
	Server: &audit.Server{ID: "10.110.100.26", IP: "10.110.100.26", Name: "10.110.100.26", Port: 2205},
	User:   &audit.User{ID: "yoda", Name: "yoda", ServerUsername: []string{"yoda"}},
	Recording: &audit.Recording{
		AuthMethod: "password", ChannelPolicy: "all_with_content", CommandExtracted: true, ConnectionPolicy: "demo-con-pol",
		ConnectionPolicyID: "9676364645a0c050b39861", ContentReferenceID: 4231, IndexStatus: audit.IndexIndexed,
		SessionID: "svc/CrDjie4Cpb1Bhzxg7AcHpo/demo_con_pol", Verdict: audit.VerdictAuthFail,
	},
	Analytics: &audit.Analytics{
		InterestingEvents: []string{"sudo", "vim"}, Score: &audit.Score{Aggregated: 26},
		SimilarSessions: []json.RawMessage{}, Tags: []json.RawMessage{},
	},
	Vault: typedVault,
}

var typedVault = []audit.Vault{{
	AccessRequestType: "REMOTEDESKTOP", AccountID: 13, AccountName: "example", ApplianceID: "0123456789abcdef0123456789abcdef", ApplianceName: "QWERT",
	AssetPartitionID: -1, AssetPartitionName: "Macrocosm", AutoApproved: at("2023-05-25T09:07:26.424Z"), Available: at("2023-05-25T09:07:26.428Z"),
	Created: &audit.VaultEvent{
		Timestamp: at("2023-05-25T09:07:26.424Z"),
		User:      &audit.VaultUser{ClientIPAddress: "10.10.93.136", UserDisplayName: "Example User", UserID: 8, UserName: "example"},
	},
	Expired: at("2023-05-25T10:07:26.037Z"), SystemID: 4, SystemName: "POWERBI-TESTER",
}}

var typedSamples = map[string]any{
	"audit_sessions.list":          []audit.Session{{Key: "2"}},
	"audit_sessions.one":           typedSession,
	"audit_sessions.snapshot_page": []audit.Session{typedSession},
	"audit_sessions.snapshot_end":  []audit.Session{},
	"audit_sessions.vault_list":    audit.Session{Key: "qbDgP4YB6q61cSrUGJic", Vault: typedVault},
	"audit_sessions.one_6_0": audit.Session{
		Key: "1", Origin: audit.OriginRecording, Protocol: audit.ProtocolSSH, NodeID: "6fed7872-2c3d-4e1f-a0b9-c8d7e6f5a4b3",
		CreationTime: at("2018-11-14T12:26:59.244Z"), EndTime: at("2018-09-15T09:22:00Z"), Duration: 57 * time.Second,
		Client: &audit.Address{IP: "10.20.30.40", Name: "10.20.30.40", Port: 59125},
		Alerts: &audit.Link{Href: "/api/audit/sessions/1/alerts"}, Channels: &audit.Link{Href: "/api/audit/sessions/1/channels"},
		Events: &audit.Link{Href: "/api/audit/sessions/1/events"}, Indexing: &audit.Link{Href: "/api/audit/sessions/1/indexing"},
		Analytics: &audit.Analytics{
			InterestingEvents: []string{}, ScriptedResults: json.RawMessage(`{}`), SimilarSessions: []json.RawMessage{}, Tags: []json.RawMessage{},
		},
		Recording: &audit.Recording{
			AuditTrail: &audit.AuditTrail{Download: &audit.Link{Href: "/api/audit/sessions/1/audit_trail"}},
			AuthMethod: "password", ChannelPolicy: "shell-only",
		},
	},
	"audit_sessions_events.list": []audit.Event{{
		Action: "ls", ChannelID: "0", Content: "user@host:~$ ls", RecordID: 46, Time: at("2017-04-11T09:21:10.832Z"), Type: "command",
	}},
	"audit_sessions_alerts.list": []audit.Alert{{
		AlertType: "adp.event.command", ChannelID: "0", MatchedAction: "ls", MatchedContent: "user@host:~$ ls", MatchedRegexp: "ls", RecordID: 94,
		RuleName: "PatternMatcherRule", Time: at("2017-04-25T13:26:39.144356Z"),
	}},
	"audit_sessions_channels.list": []audit.Channel{{
		Key: "2", Type: audit.ChannelSessionExec, Verdict: audit.ChannelVerdictAccept, StartTime: at("2016-01-04T10:09:01Z"), EndTime: at("2016-01-04T10:09:05Z"),
		Duration: 4 * time.Second, Command: "ls",
	}},
	"audit_sessions_indexing.list": []audit.Indexing{{
		Config: &audit.IndexingConfig{
			Command: &audit.IndexingSource{Enabled: true}, Title: &audit.IndexingSource{Enabled: true},
			Keyboard: &audit.IndexingBufferSource{BufferInterval: 3}, Mouse: &audit.IndexingBufferSource{BufferInterval: 1},
			Screen: &audit.IndexingScreen{Enabled: true, OmnipageTradeOff: "TO_ACCURATE"}, OCRLanguages: []string{},
		},
		Statistics: &audit.IndexingStatistics{CPUTime: 5, Duration: 149, StartTime: at("2018-11-13T13:42:04.143Z")},
		Status:     audit.IndexingCompleted, Version: &audit.IndexingVersion{ADP: "6.0.20", Worker: "4.0.26"},
	}},
	"audit_sessions_trail_downloads.list": []audit.Download{{IPAddress: "10.20.30.40", Time: at("2018-11-20T11:10:19Z"), Username: "admin"}},
	"audit_sessions__count.get":           nil, // decoded by package sps
	"audit_sessions__snapshot.get":        nil,
}

// TestSamples decodes each sample of the guide. It checks that each member has a field,
// and that encoding returns the sample unchanged.
func TestSamples(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join("..", "testdata", "audit*.json"))
	if err != nil || len(names) != len(typedSamples) {
		t.Errorf("%d samples, %d expected, %v", len(names), len(typedSamples), err)
	}
	for name, want := range typedSamples {
		data, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			continue
		}
		items := json.RawMessage(data)
		if list := reflect.TypeOf(want).Kind() == reflect.Slice; list {
			items = decoded[struct{ Items json.RawMessage }](t, string(data)).Items
		}
		into := reflect.New(reflect.TypeOf(want))
		if err := json.Unmarshal(items, into.Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := into.Elem().Interface()
		if d := cmp.Diff(want, got, withoutRaw); d != "" {
			t.Errorf("%s mismatch (-want +got):\n%s", name, d)
		}
		diff(t, name+" encoded", compact(items), compact([]byte(encoded(t, got))))
		each := []any{into.Interface()}
		if into.Elem().Kind() == reflect.Slice {
			each = nil
			for i := range into.Elem().Len() {
				each = append(each, into.Elem().Index(i).Addr().Interface())
			}
		}
		for _, one := range each {
			diff(t, name+" unknown", map[string]json.RawMessage{}, one.(interface {
				Unknown() map[string]json.RawMessage
			}).Unknown())
		}
	}
}

// withoutRaw excludes the fields named Raw from a comparison.
var withoutRaw = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Raw" }, cmp.Ignore())

// TestTimes checks the decoding of times in each supported form, and that Unknown returns
// members with other texts.
func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // "" means the zero time
		`"2019-11-25T23:59:28.000Z"`:          "2019-11-25T23:59:28Z",
		`"2018-09-15T14:22:00+05:00"`:         "2018-09-15T09:22:00Z",
		`"2018-09-15T14:22:00.5-05:30"`:       "2018-09-15T19:52:00.5Z",
		`"2017-04-11T09:21:10.832"`:           "2017-04-11T09:21:10.832Z",
		`"2017-04-25T13:26:39.144356"`:        "2017-04-25T13:26:39.144356Z",
		`"2017-04-25T13:26:39"`:               "2017-04-25T13:26:39Z",
		`"2022-12-12T00:00:00.1234567+00:00"`: "2022-12-12T00:00:00.1234567Z",
		`"2022-12-12T00:00:00.1234567"`:       "2022-12-12T00:00:00.1234567Z",
		`"2022-12-12T00:00:00.123456789Z"`:    "2022-12-12T00:00:00.123456789Z",
		`"2017-01-25T10:00"`:                  "2017-01-25T10:00:00Z",
		`"2017-01-25"`:                        "2017-01-25T00:00:00Z",
		`1451902141`:                          "2016-01-04T10:09:01Z",
		`"1451902141"`:                        "2016-01-04T10:09:01Z",
		`1451902141.25`:                       "2016-01-04T10:09:01.25Z",
		`1542116524143`:                       "2018-11-13T13:42:04.143Z",
		`"1542116524143"`:                     "2018-11-13T13:42:04.143Z",
		`1542116524143.5`:                     "2018-11-13T13:42:04.1435Z",
		`1.451902141e9`:                       "2016-01-04T10:09:01Z",
		`0`:                                   "1970-01-01T00:00:00Z",
		`-1`:                                  "1969-12-31T23:59:59Z",
		`"0001-01-01T00:00:00Z"`:              "",
		`"2017\u002d01-25"`:                   "unknown",
		`null`:                                "",
		`""`:                                  "",
		`"yesterday"`:                         "unknown",
		`"2019-02-30T00:00:00Z"`:              "unknown",
		`"2019-11-25T24:00:00Z"`:              "unknown",
		`"2019-11-25 23:59:28"`:               "unknown",
		`"9999-12-31T23:59:59-05:00"`:         "unknown",
		`"0000-01-01T00:00:00+05:00"`:         "unknown",
		`"2019-11-25T23:59:28.` + strings.Repeat("0", 100) + `Z"`: "unknown",
		`1e300`:           "unknown",
		`999999999999999`: "unknown",
		`"NaN"`:           "unknown",
		`true`:            "unknown",
		`{}`:              "unknown",
		`[1]`:             "unknown",
	} {
		s := session(t, `"start_time":`+text)
		unknown := map[string]json.RawMessage{}
		var start time.Time
		switch want {
		case "":
		case "unknown":
			unknown["start_time"] = json.RawMessage(text)
		default:
			start = at(want)
		}
		diff(t, text, start, s.StartTime)
		diff(t, text+" unknown", unknown, s.Unknown())
		if zone := s.StartTime.Location(); zone != time.UTC {
			t.Errorf("the time %s was decoded in the zone %s, not in UTC", text, zone)
		}
	}
}

// TestForms checks the decoding of members in forms that the samples do not have.
func TestForms(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body    string
		want    audit.Session
		unknown map[string]string
	}{
		"nothing":          {``, audit.Session{}, nil},
		"vault null":       {`"vault":null`, audit.Session{}, nil},
		"vault object":     {`"vault":{"account_id":13}`, audit.Session{Vault: []audit.Vault{{AccountID: 13}}}, nil},
		"vault list":       {`"vault":[{"account_id":13},{"account_name":"a"}]`, audit.Session{Vault: []audit.Vault{{AccountID: 13}, {AccountName: "a"}}}, nil},
		"vault longer":     {`"vault":[{"account_name":"first"},{"account_name":"second","system_name":"s2"},{"account_name":"third"}]`, audit.Session{Vault: []audit.Vault{{AccountName: "first"}, {AccountName: "second", SystemName: "s2"}, {AccountName: "third"}}}, nil},
		"long texts":       {`"protocol":"` + strings.Repeat("x", 70) + `","verdict":"` + strings.Repeat("y", 300) + `","trail_download_link":"` + strings.Repeat("z", 300) + `","origin":"","node_id":"n"`, audit.Session{Protocol: strings.Repeat("x", 70), Verdict: strings.Repeat("y", 300), TrailDownloadLink: strings.Repeat("z", 300), NodeID: "n"}, nil},
		"vault empty":      {`"vault":[]`, audit.Session{Vault: []audit.Vault{}}, nil},
		"vault text":       {`"vault":"x"`, audit.Session{}, map[string]string{"vault": `"x"`}},
		"vault of others":  {`"vault":[1,null,{"system_id":4,"a":{}}]`, audit.Session{Vault: []audit.Vault{{SystemID: 4}}}, map[string]string{"vault.0": `1`, "vault.2.a": `{}`}},
		"groups null":      {`"client":null,"server":null,"user":null,"recording":null,"analytics":null,"log":null,"alerts":null`, audit.Session{}, nil},
		"groups text":      {`"client":"x","server":1,"user":[],"recording":true`, audit.Session{}, map[string]string{"client": `"x"`, "server": `1`, "user": `[]`, "recording": `true`}},
		"groups empty":     {`"client":{},"analytics":{"score":{}}`, audit.Session{Client: &audit.Address{}, Analytics: &audit.Analytics{Score: &audit.Score{}}}, nil},
		"members null":     {`"active":null,"duration":null,"protocol":null,"client":{"ip":null,"port":null},"user":{"server_username":null}`, audit.Session{Client: &audit.Address{}, User: &audit.User{}}, nil},
		"numbers as text":  {`"duration":"57","client":{"port":"2370"},"recording":{"content_reference_id":"4231"},"analytics":{"score":{"aggregated":"26.5"}},"vault":{"account_id":"-1"}`, audit.Session{Duration: 57 * time.Second, Client: &audit.Address{Port: 2370}, Recording: &audit.Recording{ContentReferenceID: 4231}, Analytics: &audit.Analytics{Score: &audit.Score{Aggregated: 26.5}}, Vault: []audit.Vault{{AccountID: -1}}}, nil},
		"numbers spelt":    {`"duration":5.7e1,"client":{"port":22.0},"recording":{"content_reference_id":9007199254740993}`, audit.Session{Duration: 57 * time.Second, Client: &audit.Address{Port: 22}, Recording: &audit.Recording{ContentReferenceID: 9007199254740993}}, nil},
		"parts of seconds": {`"duration":"0.25"`, audit.Session{Duration: 250 * time.Millisecond}, nil},
		"no numbers":       {`"duration":"1h","client":{"port":""},"server":{"port":22.5},"recording":{"content_reference_id":1e300},"analytics":{"score":{"aggregated":"NaN"}}`, audit.Session{Client: &audit.Address{}, Server: &audit.Server{}, Recording: &audit.Recording{}, Analytics: &audit.Analytics{Score: &audit.Score{}}}, map[string]string{"duration": `"1h"`, "client.port": `""`, "server.port": `22.5`, "recording.content_reference_id": `1e300`, "analytics.score.aggregated": `"NaN"`}},
		"no duration":      {`"duration":1e10`, audit.Session{}, map[string]string{"duration": `1e10`}},
		"texts as numbers": {`"protocol":1,"user":{"id":8,"server_username":["a",2]}`, audit.Session{Protocol: "1", User: &audit.User{ID: "8", ServerUsername: []string{"a", "2"}}}, nil},
		"one text":         {`"user":{"server_username":"root"}`, audit.Session{User: &audit.User{ServerUsername: []string{"root"}}}, nil},
		"no texts":         {`"protocol":true,"user":{"server_username":[{},null,"a"],"name":[]}`, audit.Session{User: &audit.User{ServerUsername: []string{"a"}}}, map[string]string{"protocol": `true`, "user.server_username.0": `{}`, "user.name": `[]`}},
		"many texts":       {`"analytics":{"interesting_events":["1","2","3","4","5"]},"user":{"server_username":["6","7"],"server_username_domain":["8"]}`, audit.Session{Analytics: &audit.Analytics{InterestingEvents: []string{"1", "2", "3", "4", "5"}}, User: &audit.User{ServerUsername: []string{"6", "7"}, ServerUsernameDomain: []string{"8"}}}, nil},
		"no booleans":      {`"active":"true","recording":{"archived":1}`, audit.Session{Recording: &audit.Recording{}}, map[string]string{"active": `"true"`, "recording.archived": `1`}},
		"escapes":          {`"proto\u0063ol":"\u0053S\"H","user":{"name":"\ud83d\ude00"}`, audit.Session{Protocol: `SS"H`, User: &audit.User{Name: "😀"}}, nil},
		"unknown":          {`"new":{"a":[1]},"user":{"new":"x"},"recording":{"archive":{"new":null,"other":2}}`, audit.Session{User: &audit.User{}, Recording: &audit.Recording{Archive: &audit.Archive{}}}, map[string]string{"new": `{"a":[1]}`, "user.new": `"x"`, "recording.archive.other": `2`}},
		"all else": {
			fullBody,
			audit.Session{
				Hidden: true, Phantom: true, Active: true, TrailDownloadLink: "/api/audit/sessions/1/audit_trail",
				Log:    &audit.Log{AdapterName: "a", AuthMethod: "b", SyslogTime: at("2016-01-04T10:09:01Z")},
				Server: &audit.Server{Address: "c"}, User: &audit.User{GatewayUsername: "d", GatewayUsernameDomain: "e", NameDomain: "f"},
				Recording: &audit.Recording{
					Archived: true, Archive: &audit.Archive{Date: at("2017-01-25T00:00:00Z"), Path: "g", Policy: "h", Server: "i"}, DenyReason: "j", NetworkID: "k",
					ServerLocal: &audit.Address{IP: "l", Name: "m", Port: 1}, Target: &audit.Address{IP: "n"}, WindowTitleExtracted: true,
					AuditTrail: &audit.AuditTrail{Archive: json.RawMessage(`{"x":1}`)},
				},
				Analytics: &audit.Analytics{
					Scripted: true, SimilarSessions: []json.RawMessage{json.RawMessage(`{"a":1}`)}, Tags: []json.RawMessage{json.RawMessage(`"t"`)},
					BucketedDuration: "o", BucketedStartingHour: "p",
					Score: &audit.Score{Time: at("2018-11-13T13:42:04.143Z"), Details: &audit.ScoreDetails{
						Command: &audit.AlgorithmScore{Score: 1}, FIS: &audit.AlgorithmScore{Score: 2}, HostLogin: &audit.AlgorithmScore{Score: 3}, LoginTime: &audit.AlgorithmScore{Score: 4},
						Keystroke: &audit.AlgorithmScore{Score: 5}, Mouse: &audit.AlgorithmScore{Score: 6}, WindowTitle: &audit.AlgorithmScore{Score: 7.5},
					}},
				},
			}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := session(t, test.body)
			test.want.Key = "1"
			if d := cmp.Diff(test.want, *s, withoutRaw); d != "" {
				t.Errorf("mismatch (-want +got):\n%s", d)
			}
			unknown := map[string]string{}
			for name, value := range s.Unknown() {
				unknown[name] = string(value)
			}
			if test.unknown == nil {
				test.unknown = map[string]string{}
			}
			diff(t, "unknown", test.unknown, unknown)
			again(t, s)
		})
	}
}

// again encodes and decodes a session, and checks that the result is the same session.
func again(t testing.TB, s *audit.Session) {
	t.Helper()
	diff(t, "encoded and decoded", s, decoded[audit.Session](t, encoded(t, s)), compactRaw)
	bare := *s // without Raw, like a session that a program builds itself
	bare.Raw = nil
	if d := cmp.Diff(bare, *decoded[audit.Session](t, encoded(t, bare)), withoutRaw); d != "" {
		t.Errorf("session without Raw, mismatch (-want +got):\n%s", d)
	}
}

// compactRaw makes cmp ignore white space between the JSON tokens of the fields named Raw.
var compactRaw = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Raw" }, cmp.Transformer("compact", func(raw json.RawMessage) string { return compact(raw) }))

// TestSelections checks the decoding of the sessions that a search with selected fields
// may return.
func TestSelections(t *testing.T) {
	t.Parallel()
	name := audit.Session{Key: "1", User: &audit.User{Name: "yoda"}, Analytics: &audit.Analytics{Score: &audit.Score{Aggregated: 26}}}
	for text, want := range map[string]audit.Session{
		`{"key":"1","meta":{}}`:             {Key: "1"},
		`{"key":"1","body":null}`:           {Key: "1"},
		`{"key":"1","body":{}}`:             {Key: "1"},
		`{"body":{"protocol":"SSH"}}`:       {Protocol: "SSH"},
		`{"key":null,"body":{}}`:            {},
		`{"key":2}`:                         {Key: "2"},
		`{"key":"svc/a b?%2F#ü\u0000\"\\"}`: {Key: "svc/a b?%2F#ü\x00\"\\"},
		`{"key":"1","body":{"user":{"name":"yoda"},"analytics":{"score":{"aggregated":26}}}}`:                                                  name,
		`{"key":"1","body":{"user.name":"yoda","analytics.score.aggregated":26}}`:                                                              name,
		`{"body":{"analytics.score":{"aggregated":26},"user.name":"yoda"},"key":"1"}`:                                                          name,
		`{"key":"1","body":{"user":null,"analytics":{"score.aggregated":26},"user.name":"yoda"}}`:                                              {Key: "1", Analytics: &audit.Analytics{}},
		`{"key":"1","body":{"user":{"id":"8"},"user.name":"yoda","vault.created.user.user_id":"7","server.":1,".client":2,"new.client.ip":3}}`: {Key: "1", User: &audit.User{ID: "8", Name: "yoda"}, Vault: []audit.Vault{{Created: &audit.VaultEvent{User: &audit.VaultUser{UserID: 7}}}}},
	} {
		s := decoded[audit.Session](t, text)
		if d := cmp.Diff(want, *s, withoutRaw); d != "" {
			t.Errorf("%s mismatch (-want +got):\n%s", text, d)
		}
		diff(t, "raw", text, string(s.Raw))
		again(t, s)
	}
	s := session(t, `"user":{"id":"8"},"user.name":"yoda","server.":1,"client.new":{"a":1},"new.client.ip":3,"log":"x","log.auth_method":"y"`)
	diff(t, "unknown", map[string]json.RawMessage{"server.": json.RawMessage(`1`), "client.new": json.RawMessage(`{"a":1}`), "new.client.ip": json.RawMessage(`3`), "log": json.RawMessage(`"x"`), "log.auth_method": json.RawMessage(`"y"`)}, s.Unknown())
	// A changed value must not remain under its dotted name.
	s.User.Name = "hidden"
	diff(t, "changed", `{"key":"1","meta":{"href":"/api/audit/sessions/1"},"body":{"user":{"id":"8","name":"hidden"},"server.":1,"new.client.ip":3,"log":"x","client":{"new":{"a":1}},"log.auth_method":"y"}}`, encoded(t, s))
	// A name with many dots must not take long to decode.
	s = session(t, `"user`+strings.Repeat(".a", 100_000)+`":1,"user.name":"yoda"`)
	diff(t, "name", "yoda", s.User.Name)
}

// TestNoSessions checks that values that are not sessions or records are refused, with
// json.Unmarshal and with a direct call of UnmarshalJSON.
func TestNoSessions(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`null`, `1`, `"x"`, `[]`, `[{}]`, `{"body":1}`, `{"body":[]}`, `{"body":"x"}`, `{"key":{}}`, `{"key":true,"body":{}}`, `{"key":["1"]}`} {
		if err := json.Unmarshal([]byte(text), new(audit.Session)); err == nil && text != "null" {
			t.Errorf("%s was decoded as a session", text)
		}
		s := audit.Session{Key: "old"}
		err := s.UnmarshalJSON([]byte(text))
		var unfit wire.Unfit
		if !errors.As(err, &unfit) {
			t.Errorf("%s: %v", text, err)
		}
		diff(t, text, audit.Session{}, s)
	}
	// json.Unmarshal calls UnmarshalJSON with valid JSON only, but a direct call with
	// invalid JSON must not panic.
	for _, text := range []string{``, ` `, `{`, `{"body"`, `{"body":{`, `{"body":{"client":{"ip":`, `{"body":{"vault":[{`, `{"body":{"vault":[}]}}`, `{"body":{}}{}`, `{"key":"a`, `{"body":{"start_time":"}}`, `{"body":{"user":{"server_username":["a" "b"]}}}`} {
		var s audit.Session
		if err := s.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%q was decoded as a session", text)
		}
	}
	for _, into := range []any{new(audit.Event), new(audit.Alert), new(audit.Channel), new(audit.Indexing), new(audit.Download)} {
		for _, text := range []string{`1`, `[]`, `"x"`} {
			if err := json.Unmarshal([]byte(text), into); err == nil {
				t.Errorf("%s was decoded as a %T", text, into)
			}
		}
	}
}

// TestCopies checks that a decoded session does not refer to the memory of its input or
// of another session.
func TestCopies(t *testing.T) {
	t.Parallel()
	data := []byte(" " + compact(readSample("audit_sessions.one")) + "\n")
	want := string(bytes.TrimSpace(data))
	var one, two audit.Session
	for _, s := range []*audit.Session{&one, &two} {
		if err := s.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range data {
		data[i] = 'x'
	}
	diff(t, "raw", want, string(one.Raw))
	diff(t, "session", typedSession, one, withoutRaw)
	one.Analytics.InterestingEvents = append(one.Analytics.InterestingEvents[:1], "changed")
	one.User.ServerUsername = append(one.User.ServerUsername, "new")
	one.Client.IP, one.Raw[1] = "changed", 'x'
	diff(t, "the other session", typedSession, two, withoutRaw)
	diff(t, "the other list", []string{"yoda", "new"}, one.User.ServerUsername)
}

// TestChanges checks that encoding a changed session replaces the changed members of Raw
// and keeps the others.
func TestChanges(t *testing.T) {
	t.Parallel()
	body := `"new":1,"protocol":"SSH","duration":"57","start_time":1451902141,"client":{"ip":"10.0.0.1","port":"22","new":[1]},"server":null,"user":{"name":"yoda","server_username":"yoda"},"vault":[{"account_id":"13","new":2}]`
	for name, test := range map[string]struct {
		change func(*audit.Session)
		want   [2]string // text of the JSON that is replaced, and its replacement
	}{
		"nothing":       {func(*audit.Session) {}, [2]string{}},
		"the same":      {func(s *audit.Session) { s.Protocol = "SSH"; s.Client = &audit.Address{IP: "10.0.0.1", Port: 22} }, [2]string{}},
		"a text":        {func(s *audit.Session) { s.Client.IP = "" }, [2]string{`"ip":"10.0.0.1",`, ``}},
		"another text":  {func(s *audit.Session) { s.User.Name = "<hidden>" }, [2]string{`"name":"yoda"`, `"name":"<hidden>"`}},
		"a group":       {func(s *audit.Session) { s.Client = nil }, [2]string{`"client":{"ip":"10.0.0.1","port":"22","new":[1]},`, ``}},
		"a new group":   {func(s *audit.Session) { s.Server = &audit.Server{Name: "x"} }, [2]string{`"server":null`, `"server":{"name":"x"}`}},
		"a duration":    {func(s *audit.Session) { s.Duration = 1500 * time.Millisecond }, [2]string{`"57"`, `1.5`}},
		"a time":        {func(s *audit.Session) { s.StartTime = s.StartTime.Add(time.Millisecond) }, [2]string{`1451902141`, `"2016-01-04T10:09:01.001Z"`}},
		"a list":        {func(s *audit.Session) { s.User.ServerUsername = []string{"a"} }, [2]string{`"server_username":"yoda"`, `"server_username":["a"]`}},
		"a vault":       {func(s *audit.Session) { s.Vault[0].AccountID = 1 }, [2]string{`"account_id":"13"`, `"account_id":1`}},
		"another vault": {func(s *audit.Session) { s.Vault = append(s.Vault, audit.Vault{SystemID: 1}) }, [2]string{`"new":2}]`, `"new":2},{"system_id":1}]`}},
		"the key":       {func(s *audit.Session) { s.Key = "é" }, [2]string{`"key":"1"`, `"key":"é"`}},
		"a new member":  {func(s *audit.Session) { s.Hidden = true }, [2]string{`"new":2}]`, `"new":2}],"hidden":true`}},
	} {
		s := session(t, body)
		test.change(s)
		data, err := s.MarshalJSON()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		whole := `{"key":"1","meta":{"href":"/api/audit/sessions/1"},"body":{` + body + `}}`
		if !strings.Contains(whole, test.want[0]) {
			t.Fatalf("%s: no %s", name, test.want[0])
		}
		diff(t, name, strings.Replace(whole, test.want[0], test.want[1], 1), string(data))
		diff(t, name+", decoded", s, decoded[audit.Session](t, string(data)), withoutRaw)
	}
	for text, change := range map[string]func(*audit.Session){
		`{"key":"2","body":{"protocol":"SSH"}}`: func(s *audit.Session) { s.Key, s.Protocol = "2", "SSH" },
		`{"body":{}}`:                           func(*audit.Session) {},
		`{"body":{"vault":{"account_id":1}}}`:   func(s *audit.Session) { s.Vault = []audit.Vault{{AccountID: 1}} },
		`{"body":{"vault":[]}}`:                 func(s *audit.Session) { s.Vault = []audit.Vault{} },
		`{"body":{"duration":57}}`:              func(s *audit.Session) { s.Duration = 57 * time.Second },
	} {
		var s audit.Session
		change(&s)
		diff(t, "made by hand", text, encoded(t, s))
	}
	for text, change := range map[string]func(*audit.Session){
		`{"key":"2","body":{"active":true},"meta":null}`: func(s *audit.Session) { s.Active = true },
		`{"key":"3","body":{},"meta":null}`:              func(s *audit.Session) { s.Key = "3" },
	} {
		s := decoded[audit.Session](t, `{"key":"2","body":null,"meta":null}`)
		change(s)
		diff(t, "without body", text, encoded(t, s))
	}
	for name, s := range map[string]audit.Session{
		"Raw is not JSON":        {Raw: json.RawMessage(`{`)},
		"Raw is not a session":   {Raw: json.RawMessage(`[]`)},
		"a score that is NaN":    {Analytics: &audit.Analytics{Score: &audit.Score{Aggregated: nan}}},
		"a year after 9999":      {StartTime: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"a changed, invalid Raw": {Key: "1", Raw: json.RawMessage(`{"key":"2"}}`)},
	} {
		if data, err := json.Marshal(s); err == nil {
			t.Errorf("%s: %s", name, data)
		}
	}
}

// TestRecords checks the decoding, the encoding and the change of events, alerts,
// channels, indexing jobs and downloads.
func TestRecords(t *testing.T) {
	t.Parallel()
	event := decoded[audit.Event](t, `{"action":"ls","channel_id":3,"time":"2017-04-11T09:21:10.832","record_id":"46","new":1,"type":[]}`)
	diff(t, "event", audit.Event{Action: "ls", ChannelID: "3", Time: at("2017-04-11T09:21:10.832Z"), RecordID: 46}, *event, withoutRaw)
	diff(t, "event's unknown", map[string]json.RawMessage{"new": json.RawMessage(`1`), "type": json.RawMessage(`[]`)}, event.Unknown())
	diff(t, "event unchanged", string(event.Raw), encoded(t, event))
	event.ChannelID, event.Action = "4", ""
	diff(t, "event changed", `{"channel_id":"4","time":"2017-04-11T09:21:10.832","record_id":"46","new":1,"type":[]}`, encoded(t, event))
	event = decoded[audit.Event](t, `{"channels_id":"0","content":null}`)
	event.ChannelID = "1"
	diff(t, "event changed", `{"channels_id":"1","content":null}`, encoded(t, event))
	diff(t, "event by hand", `{"channels_id":"1","type":"command"}`, canonical(encoded(t, audit.Event{ChannelID: "1", Type: "command"})))

	alert := decoded[audit.Alert](t, `{"rule_name":"a","record_id":null,"new":{}}`)
	diff(t, "alert's unknown", map[string]json.RawMessage{"new": json.RawMessage(`{}`)}, alert.Unknown())
	alert.RuleName = "b"
	diff(t, "alert changed", `{"rule_name":"b","record_id":null,"new":{}}`, encoded(t, alert))

	for text, want := range map[string]audit.Channel{
		`{"key":2,"meta":{},"body":{"type":"local forward","start_time":"1451902141","originator":{"a":1}}}`: {Key: "2", Type: audit.ChannelLocalForward, StartTime: at("2016-01-04T10:09:01Z")},
		`{"type":"session shell","duration":4.5,"originator":{"a":1}}`:                                       {Type: audit.ChannelSessionShell, Duration: 4500 * time.Millisecond},
		`{"key":"3","scp_path":"/a","subsystem_name":"sftp","originator":{"a":1}}`:                           {Key: "3", SCPPath: "/a", SubsystemName: "sftp"},
	} {
		c := decoded[audit.Channel](t, text)
		diff(t, text, want, *c, withoutRaw)
		if got := string(c.Unknown()["originator"]); got != `{"a":1}` {
			t.Errorf("%s: the originator is %q", text, got)
		}
		diff(t, text, text, encoded(t, c))
		c.Key, c.Verdict = "4", "deny"
		diff(t, "channel changed", c, decoded[audit.Channel](t, encoded(t, c)), withoutRaw)
		if changed := decoded[audit.Channel](t, encoded(t, c)); string(changed.Unknown()["originator"]) != `{"a":1}` {
			t.Errorf("%s: the originator was lost: %s", text, changed.Raw)
		}
	}
	diff(t, "a channel that was not decoded", `{"key":"1","body":{"duration":4}}`, encoded(t, audit.Channel{Key: "1", Duration: 4 * time.Second}))
	diff(t, "channel without body", audit.Channel{Key: "1"}, *decoded[audit.Channel](t, `{"key":"1","body":null}`), withoutRaw)
	diff(t, "a channel with an invalid key", audit.Channel{}, *decoded[audit.Channel](t, `{"key":{}}`), withoutRaw)

	indexing := decoded[audit.Indexing](t, `{"config":{"keyboard":{"buffer_interval":"3","enabled":true},"near_realtime":true,"ocr_languages":["en"],"new":1},"statistics":{"cpu_time":5,"duration":149,"start_time":1542116524143},"status":"COMPLETED","version":{"adp":"6.0.20","worker":"4.0.26"}}`)
	diff(t, "indexing", audit.Indexing{
		Config: &audit.IndexingConfig{Keyboard: &audit.IndexingBufferSource{BufferInterval: 3, Enabled: true}, NearRealtime: true, OCRLanguages: []string{"en"}}, Status: audit.IndexingCompleted,
		Statistics: &audit.IndexingStatistics{CPUTime: 5, Duration: 149, StartTime: at("2018-11-13T13:42:04.143Z")}, Version: &audit.IndexingVersion{ADP: "6.0.20", Worker: "4.0.26"},
	}, *indexing, withoutRaw)
	diff(t, "the unknown members of indexing", map[string]json.RawMessage{"config.new": json.RawMessage(`1`)}, indexing.Unknown())
	indexing.Version = nil
	diff(t, "indexing changed", `{"config":{"keyboard":{"buffer_interval":"3","enabled":true},"near_realtime":true,"ocr_languages":["en"],"new":1},"statistics":{"cpu_time":5,"duration":149,"start_time":1542116524143},"status":"COMPLETED"}`, encoded(t, indexing))

	download := decoded[audit.Download](t, `{"from_api":true,"ip_address":"10.0.0.1","time":"2018-11-20T11:10:19.000Z","username":"a","new":1}`)
	diff(t, "download", audit.Download{FromAPI: true, IPAddress: "10.0.0.1", Time: at("2018-11-20T11:10:19Z"), Username: "a"}, *download, withoutRaw)
	diff(t, "the unknown members of a download", map[string]json.RawMessage{"new": json.RawMessage(`1`)}, download.Unknown())
	download.Username = "b"
	diff(t, "download changed", `{"from_api":true,"ip_address":"10.0.0.1","time":"2018-11-20T11:10:19.000Z","username":"b","new":1}`, encoded(t, download))
	if got := new(audit.Download).Unknown(); len(got) > 0 {
		t.Errorf("a download that was not decoded has %v", got)
	}
}

// TestMembers checks that each constant of fields.go is a member of Session.
func TestMembers(t *testing.T) {
	t.Parallel()
	var paths func(typ reflect.Type, prefix string) []string
	paths = func(typ reflect.Type, prefix string) (all []string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return []string{prefix}
		}
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				name = map[string]string{"Duration": "duration", "Vault": "vault"}[field.Name]
			}
			if name != "" {
				all = append(all, paths(field.Type, strings.TrimPrefix(prefix+"."+name, "."))...)
			}
		}
		return all
	}
	typed := paths(reflect.TypeFor[audit.Session](), "")
	for _, field := range slices.Sorted(maps.Keys(fieldConstants(t))) {
		if !slices.Contains(typed, field) {
			t.Errorf("%s is not a member of a session", field)
		}
	}
	if len(typed) < 90 {
		t.Errorf("only %d members: %q", len(typed), typed)
	}
}

// fullBody has the members of a session that the sample lacks.
const fullBody = `"hidden":true,"phantom":true,"active":true,"trail_download_link":"/api/audit/sessions/1/audit_trail","log":{"adapter_name":"a","auth_method":"b","syslog_time":1451902141},
			"server":{"address":"c"},"user":{"gateway_username":"d","gateway_username_domain":"e","name_domain":"f"},
			"recording":{"archived":true,"archive":{"date":"2017-01-25","path":"g","policy":"h","server":"i"},"deny_reason":"j","network_id":"k","server_local":{"ip":"l","name":"m","port":1},"target":{"ip":"n"},"window_title_extracted":true,"audit_trail":{"archive":{"x":1}}},
			"analytics":{"scripted":true,"similar_sessions":[{"a":1}],"tags":["t"],"bucketed_duration":"o","bucketed_starting_hour":"p","score":{"time":1542116524143,"details":{"command":{"score":1},"fis":{"score":2},"hostlogin":{"score":3},"logintime":{"score":4},"keystroke":{"score":5},"mouse":{"score":6},"windowtitle":{"score":7.5}}}}`

// TestEveryField changes each field separately. It checks that the change is encoded and
// that no other field changes.
func TestEveryField(t *testing.T) {
	t.Parallel()
	links := `"alerts":{"href":"a"},"channels":{"href":"b"},"events":{"href":"c"},"indexing":{"href":"d"}`
	sample := compact(readSample("audit_sessions.one"))
	full := `{"key":"1","body":{` + links + `,` + fullBody + `}}`
	everyField[audit.Session](t, sample, 60)
	everyField[audit.Session](t, full, 60)
	everyField[audit.Session](t, compact(readSample("audit_sessions.one_6_0")), 15)
	everyField[audit.Event](t, itemOf(t, "audit_sessions_events.list"), 6)
	everyField[audit.Alert](t, itemOf(t, "audit_sessions_alerts.list"), 8)
	everyField[audit.Channel](t, itemOf(t, "audit_sessions_channels.list"), 9)
	everyField[audit.Indexing](t, `{"config":{"command":{},"title":{},"keyboard":{},"mouse":{},"screen":{}},"statistics":{},"version":{}}`, 14)
	everyField[audit.Download](t, itemOf(t, "audit_sessions_trail_downloads.list"), 4)
}

func itemOf(t testing.TB, sample string) string {
	t.Helper()
	return string(decoded[struct{ Items []json.RawMessage }](t, string(readSample(sample))).Items[0])
}

func everyField[T any](t *testing.T, text string, least int) {
	t.Helper()
	var paths []string
	eachLeaf(reflect.ValueOf(decoded[T](t, text)), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	if len(paths) < least {
		t.Errorf("only %d fields: %q", len(paths), paths)
	}
	original := encoded(t, decoded[T](t, text))
	for _, want := range paths {
		v := decoded[T](t, text)
		eachLeaf(reflect.ValueOf(v), "", func(path string, leaf reflect.Value) {
			if path == want {
				changeLeaf(t, path, leaf)
			}
		})
		after := encoded(t, v)
		if after == original {
			t.Errorf("%T%s: a change is not encoded", *v, want)
		}
		if d := cmp.Diff(v, decoded[T](t, after), withoutRaw); d != "" {
			t.Errorf("%T%s mismatch (-want +got):\n%s", *v, want, d)
		}
	}
}

// eachLeaf visits each field, and the fields of each group that is not nil.
func eachLeaf(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		visit(path, v)
	case v.Kind() == reflect.Pointer:
		eachLeaf(v.Elem(), path, visit)
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for field, value := range v.Fields() {
			if field.Name != "Raw" {
				eachLeaf(value, path+"."+field.Name, visit)
			}
		}
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type() != reflect.TypeFor[json.RawMessage]():
		for i := range v.Len() {
			eachLeaf(v.Index(i), path+"."+strconv.Itoa(i), visit)
		}
	default:
		visit(path, v)
	}
}

func changeLeaf(t *testing.T, path string, v reflect.Value) {
	switch value := v.Addr().Interface().(type) {
	case *string:
		*value += "changed"
	case *bool:
		*value = !*value
	case *int:
		*value++
	case *int64:
		*value++
	case *float64:
		*value += 0.5
	case *time.Time:
		*value = at("2026-11-27T12:00:00Z")
	case *time.Duration:
		*value += time.Millisecond
	case *json.RawMessage:
		*value = json.RawMessage(`{"changed":true}`)
	case *[]string:
		*value = []string{"changed"}
	case *[]json.RawMessage:
		*value = []json.RawMessage{json.RawMessage(`"changed"`)}
	case *[]audit.Vault:
		*value = []audit.Vault{{AccountID: 1}}
	default:
		if v.Kind() != reflect.Pointer {
			t.Fatalf("%s is a %s", path, v.Type())
		}
		v.Set(reflect.New(v.Type().Elem()))
	}
}

// TestRawIsOneLine checks that Raw has no line breaks and is otherwise unchanged.
func TestRawIsOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{\"key\": \"a\",\r\n\t\"body\": {\n\"user\":{\"name\":\"x\\ny\"}}\n}\n": "{\"key\": \"a\",\t\"body\": {\"user\":{\"name\":\"x\\ny\"}}}",
		`{"key":"a" }`: `{"key":"a" }`,
	} {
		var session audit.Session
		if err := session.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := string(session.Raw); got != want || session.Key != "a" {
			t.Errorf("%q, want %q", got, want)
		}
		if text, err := session.MarshalJSON(); err != nil || string(text) != want {
			t.Errorf("encoded %q, %v", text, err)
		}
	}
}
