package audit_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// hostileSessions are malformed and unusual sessions.
var hostileSessions = []string{
	`{}`, `{"body":null,"key":2}`, `{"key":{"a":1}}`, `[]`, `null`, `{"body":{"vault":[[],{},null,1,{"created":{"user":{"user_id":"8","new":[1]}}}]}}`,
	`{"body":{"user.name":"a","user":{"id":1,"name":"b"},"client.ip":{},"client":"x","log.new.a":1,"user.":2,"vault.created.user.user_id":3,"vault.created":{"user":[]}},"key":"1"}`,
	`{"body":{"duration":"1.5e3","start_time":1542116524143.25,"end_time":"2017-04-11T09:21:10.832","creation_time":-62135596800,"analytics":{"score":{"aggregated":1e400,"time":"9999-12-31T23:59:59.999999999Z","details":{"fis":{"score":-0.0},"mouse":{}}}}}}`,
	`{"body":{"duration":4123456789.123456789,"hidden":"x","protocol":[1],"proto\u0063ol2":"\u0000","recording":{"content_reference_id":-9223372036854775808,"server_local":{"port":1e3},"archive":{"date":"2017-01-25"}},"user":{"server_username":[1,"a",null,{}],"server_username_domain":"x"}}}`,
	`{"action":1,"channels_id":"a","channel_id":"b","time":1,"type":null,"config":{"keyboard":{"buffer_interval":"3"},"ocr_languages":["a"]},"statistics":{"start_time":1542116524143},"duration":0.000000001,"body":{"type":"x","key":1},"from_api":true}`,
}

// FuzzRecords decodes arbitrary data as sessions and records. It checks that nothing
// panics, that an unchanged value is encoded as it was decoded, and that a change of a
// field changes nothing else.
func FuzzRecords(f *testing.F) {
	names, err := filepath.Glob("../testdata/audit*.json")
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		sample := readSample(strings.TrimSuffix(filepath.Base(name), ".json"))
		f.Add(sample)
		var list struct{ Items []json.RawMessage }
		if json.Unmarshal(sample, &list) == nil {
			for _, item := range list.Items {
				f.Add([]byte(item))
			}
		}
	}
	for _, text := range hostileSessions {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		round(t, data, func(s *audit.Session) { s.Protocol += "changed"; s.Hidden = !s.Hidden; s.Key += "é" }, "protocol", "hidden")
		round(t, data, func(e *audit.Event) { e.Action += "changed"; e.ChannelID += "1" }, "action", "channels_id", "channel_id")
		round(t, data, func(a *audit.Alert) { a.RuleName += "changed"; a.Time = a.Time.Add(time.Second) }, "rule_name", "time")
		round(t, data, func(c *audit.Channel) { c.Type += "changed"; c.Duration++; c.Key += "2" }, "type", "duration", "key")
		round(t, data, func(i *audit.Indexing) { i.Status += "changed" }, "status")
		round(t, data, func(d *audit.Download) { d.FromAPI = !d.FromAPI }, "from_api")
	})
}

// sameValues compares raw JSON values without their white space.
var sameValues = cmp.Transformer("value", func(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	return compact(raw)
})

// round decodes data as a value of one type, encodes the value, changes it, and encodes
// it again.
func round[T any, P interface {
	*T
	json.Unmarshaler
	Unknown() map[string]json.RawMessage
}](t *testing.T, data []byte, change func(P), changed ...string) {
	t.Helper()
	v := P(new(T))
	err := v.UnmarshalJSON(data)
	if wire.Valid(data) != nil {
		return // invalid JSON: it is enough that nothing panicked
	}
	if err != nil {
		var unfit wire.Unfit
		if !errors.As(err, &unfit) {
			t.Fatalf("%T: %v", v, err)
		}
		return
	}
	again := encoded(t, v)
	diff(t, "encoded", compact(data), again)
	twice := P(decoded[T](t, again))
	diff(t, "encoded and decoded", v, twice, withoutRaw, sameValues)
	diff(t, "unknown", v.Unknown(), twice.Unknown(), sameValues)

	byHand := *v
	reflect.ValueOf(&byHand).Elem().FieldByName("Raw").SetZero()
	diff(t, "by hand", v, P(decoded[T](t, encoded(t, byHand))), withoutRaw, sameValues)

	change(v)
	after, err := encode(v)
	if err != nil {
		t.Skip(err) // the change cannot be applied to the raw JSON, for example because a list is not a list there
	}
	if err := wire.Valid([]byte(after)); err != nil {
		t.Fatalf("changed: %v: %s", err, after)
	}
	got := P(decoded[T](t, after))
	diff(t, "changed", v, got, withoutRaw, sameValues)
	before, unknown := v.Unknown(), got.Unknown()
	for _, name := range changed {
		delete(before, name)
		delete(unknown, name)
	}
	diff(t, "unknown of changed", before, unknown, sameValues)
}
