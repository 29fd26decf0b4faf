package spstest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// valueKind is the kind of value that a field holds.
type valueKind uint8

const (
	noValue valueKind = iota
	nullValue
	textValue
	numberValue
	boolValue
	timeValue
	zonedTimeValue // a time in fieldZone, in whole seconds
	listValue      // a list of texts
	rawValue       // JSON that cannot be searched
)

// auditValue is the value of a field in a session.
type auditValue struct {
	kind   valueKind
	text   string   // a text, or raw JSON
	number float64  // a number, 1 for true, or milliseconds since 1970
	list   []string // the texts of a list
}

func textOf(s string) auditValue { return auditValue{kind: textValue, text: s} }
func numberOf[N int | int64](n N) auditValue {
	return auditValue{kind: numberValue, number: float64(n)}
}
func timeOf(ms int64) auditValue       { return auditValue{kind: timeValue, number: float64(ms)} }
func textsOf(all ...string) auditValue { return auditValue{kind: listValue, list: all} }
func rawOf(s string) auditValue        { return auditValue{kind: rawValue, text: s} }

func boolOf(b bool) auditValue {
	v := auditValue{kind: boolValue}
	if b {
		v.number = 1
	}
	return v
}

// unless returns v or, if the argument nothing is true, the zero value, which means that the
// session does not have the field.
func unless(nothing bool, v auditValue) auditValue {
	if nothing {
		return auditValue{}
	}
	return v
}

// auditField is a field of the body of a session.
type auditField struct {
	name string // the names of the path, joined by dots
	path []string
	kind valueKind
	get  func(*auditView) auditValue
}

// fieldZone is the time zone of some end times of 6.x. The other times are in UTC.
var fieldZone = time.FixedZone("", 5*60*60)

// auditTime is the format of times in UTC.
const auditTime = "2006-01-02T15:04:05.000Z"

// fieldsOf returns the fields of 6.x, or of later releases, in the order in which they
// are written.
func fieldsOf(old bool) []auditField {
	var fields []auditField
	add := func(name string, kind valueKind, get func(*auditView) auditValue) {
		fields = append(fields, auditField{name, strings.Split(name, "."), kind, get})
	}
	if old {
		addOldFields(add)
	} else {
		add("trail_download_link", textValue, func(v *auditView) auditValue {
			if !v.hasTrail() {
				return auditValue{kind: nullValue}
			}
			link := v.href() + "/audit_trail"
			if host := v.store.forms.host; host != nil {
				link = "https://" + host() + link
			}
			return textOf(link)
		})
	}
	addSessionFields(add)
	addAnalyticsFields(add)
	addRecordingFields(add)
	addUserFields(add)
	slices.SortFunc(fields, func(l, r auditField) int { return slices.Compare(l.path, r.path) })
	return fields
}

type addField = func(name string, kind valueKind, get func(*auditView) auditValue)

// addOldFields adds the fields that only 6.x has.
func addOldFields(add addField) {
	for _, name := range []string{"alerts", "channels", "events", "indexing"} {
		add(name+".href", rawValue, func(v *auditView) auditValue { return rawOf(strconv.Quote(v.href() + "/" + name)) })
	}
	add("hidden", boolValue, func(*auditView) auditValue { return boolOf(false) })
	add("phantom", boolValue, func(*auditView) auditValue { return boolOf(false) })
	add("analytics.scripted_results", rawValue, func(v *auditView) auditValue { return unless(!v.analyzed(), rawOf("{}")) })
	add("recording.audit_trail.archive", rawValue, func(v *auditView) auditValue { return unless(!v.hasTrail(), rawOf("null")) })
	add("recording.audit_trail.download.href", rawValue, func(v *auditView) auditValue {
		return unless(!v.hasTrail(), rawOf(strconv.Quote(v.href()+"/audit_trail")))
	})
}

func addSessionFields(add addField) {
	add("active", boolValue, func(v *auditView) auditValue { return boolOf(v.record.active()) })
	add("client.ip", textValue, func(v *auditView) auditValue { return textOf(v.clientIP()) })
	add("client.name", textValue, func(v *auditView) auditValue { return textOf(v.clientName()) })
	add("client.port", numberValue, func(v *auditView) auditValue { return numberOf(1024 + v.pick(traitClientPort, 64000)) })
	add("creation_time", timeValue, func(v *auditView) auditValue { return timeOf(v.record.start + int64(v.pick(traitCreated, 3))) })
	add("start_time", timeValue, func(v *auditView) auditValue { return timeOf(v.record.start) })
	add("end_time", timeValue, func(v *auditView) auditValue {
		switch {
		case v.record.active():
			return v.running()
		case v.store.forms.old && v.pick(traitZone, 3) == 0:
			return auditValue{kind: zonedTimeValue, number: float64(v.record.end)}
		}
		return timeOf(v.record.end)
	})
	add("duration", numberValue, func(v *auditView) auditValue {
		if v.record.active() {
			return v.running()
		}
		return numberOf((v.record.end - v.record.start) / 1000)
	})
	add("mfa", rawValue, func(v *auditView) auditValue {
		return unless(v.pick(traitUnknown, 9) > 0, rawOf(`{"provider":"defender","rounds":1,"verified":true}`))
	})
	add("node_id", textValue, func(v *auditView) auditValue { return textOf(nodeIDs[v.pick(traitNode, len(nodeIDs))]) })
	add("origin", textValue, func(v *auditView) auditValue { return textOf(origins[v.recorded()]) })
	add("protocol", textValue, func(v *auditView) auditValue { return textOf(v.protocol()) })
	add("server.id", textValue, func(v *auditView) auditValue { return textOf(v.server().ip) })
	add("server.ip", textValue, func(v *auditView) auditValue { return textOf(v.server().ip) })
	add("server.name", textValue, func(v *auditView) auditValue { return textOf(v.server().name) })
	add("server.address", textValue, func(v *auditView) auditValue {
		return unless(v.pick(traitServerAddress, 4) > 0, textOf(v.server().name))
	})
	add("server.port", numberValue, func(v *auditView) auditValue { return numberOf(ports[v.protocol()]) })
	add("vault", rawValue, (*auditView).vault)
	add("verdict", textValue, func(v *auditView) auditValue { return textOf(v.verdict()) })
	logged := func(name string, kind valueKind, get func(*auditView) auditValue) {
		add("log."+name, kind, func(v *auditView) auditValue { return unless(v.recorded(), get(v)) })
	}
	logged("adapter_name", textValue, func(*auditView) auditValue { return textOf("sshd") })
	logged("auth_method", textValue, func(*auditView) auditValue { return textOf("publickey") })
	logged("syslog_time", timeValue, func(v *auditView) auditValue { return timeOf(v.record.start) })
}

func addAnalyticsFields(add addField) {
	analyzed := func(name string, kind valueKind, get func(*auditView) auditValue) {
		add("analytics."+name, kind, func(v *auditView) auditValue {
			if !v.analyzed() {
				return auditValue{}
			}
			return get(v)
		})
	}
	analyzed("bucketed_duration", textValue, func(v *auditView) auditValue {
		minutes := (v.record.end - v.record.start) / 60_000
		switch {
		case minutes < 5:
			return textOf("short")
		case minutes < 60:
			return textOf("medium")
		}
		return textOf("long")
	})
	analyzed("bucketed_starting_hour", textValue, func(v *auditView) auditValue {
		return textOf(strconv.Itoa(time.UnixMilli(v.record.start).UTC().Hour()))
	})
	analyzed("interesting_events", listValue, func(v *auditView) auditValue { return textsOf(v.interesting()...) })
	analyzed("score.aggregated", numberValue, func(v *auditView) auditValue { return numberOf(v.score(0)) })
	for i, name := range []string{"command", "fis", "hostlogin", "keystroke", "logintime", "mouse", "windowtitle"} {
		analyzed("score.details."+name+".score", numberValue, func(v *auditView) auditValue {
			return unless(v.pick(traitScored+trait(i), 3) == 0, numberOf(v.score(1+i)))
		})
	}
	analyzed("score.time", timeValue, func(v *auditView) auditValue { return timeOf(v.record.end + 90_000) })
	analyzed("scripted", boolValue, func(v *auditView) auditValue { return boolOf(v.pick(traitScripted, 20) == 0) })
	analyzed("similar_sessions", listValue, func(*auditView) auditValue { return textsOf() })
	analyzed("tags", listValue, func(*auditView) auditValue { return textsOf() })
}

func addRecordingFields(add addField) {
	recorded := func(name string, kind valueKind, get func(*auditView) auditValue) {
		add("recording."+name, kind, func(v *auditView) auditValue {
			if !v.recorded() {
				return auditValue{}
			}
			return get(v)
		})
	}
	archive := func(name string, kind valueKind, get func(*auditView) auditValue) {
		recorded("archive."+name, kind, func(v *auditView) auditValue {
			if v.record.flags&flagArchived == 0 {
				return auditValue{}
			}
			return get(v)
		})
	}
	archive("date", timeValue, func(v *auditView) auditValue { return timeOf(v.archivedAt()) })
	archive("path", textValue, func(v *auditView) auditValue {
		return textOf(time.UnixMilli(v.record.start).UTC().Format("2006/01/02/") + v.id() + ".zat")
	})
	archive("policy", textValue, func(*auditView) auditValue { return textOf("archive-nfs") })
	archive("server", textValue, func(*auditView) auditValue { return textOf("10.30.0.9") })
	recorded("archived", boolValue, func(v *auditView) auditValue { return boolOf(v.record.flags&flagArchived != 0) })
	recorded("auth_method", textValue, func(v *auditView) auditValue { return textOf(authMethods[v.pick(traitAuth, len(authMethods))]) })
	recorded("channel_policy", textValue, func(v *auditView) auditValue {
		return textOf(channelPolicies[v.pick(traitChannelPolicy, len(channelPolicies))])
	})
	recorded("command_extracted", boolValue, func(v *auditView) auditValue { return boolOf(v.indexed() && v.textual()) })
	recorded("connection_policy", textValue, func(v *auditView) auditValue { return textOf(v.policy()) })
	recorded("connection_policy_id", textValue, func(v *auditView) auditValue { return textOf(policyIDs[v.protocol()]) })
	recorded("content_reference_id", numberValue, func(v *auditView) auditValue { return unless(!v.indexed(), numberOf(4000+int(v.index))) })
	recorded("deny_reason", textValue, func(v *auditView) auditValue {
		return unless(v.verdict() != verdictFail, textOf("Connection denied by the connection policy"))
	})
	recorded("index_status", textValue, func(v *auditView) auditValue { return textOf(indexStatuses[v.indexed()]) })
	recorded("network_id", textValue, func(v *auditView) auditValue { return unless(v.pick(traitNetwork, 4) > 0, textOf("nic1")) })
	recorded("server_local.ip", textValue, func(v *auditView) auditValue { return unless(!v.connected(), textOf("10.30.0.1")) })
	recorded("server_local.name", textValue, func(v *auditView) auditValue { return unless(!v.connected(), textOf("10.30.0.1")) })
	recorded("server_local.port", numberValue, func(v *auditView) auditValue {
		return unless(!v.connected(), numberOf(32768+v.pick(traitLocalPort, 28000)))
	})
	recorded("session_id", textValue, func(v *auditView) auditValue {
		return textOf("svc/" + v.id() + "/" + strings.ReplaceAll(v.policy(), "-", "_"))
	})
	recorded("target.ip", textValue, func(v *auditView) auditValue { return textOf(v.server().ip) })
	recorded("target.name", textValue, func(v *auditView) auditValue { return textOf(v.server().ip) })
	recorded("target.port", numberValue, func(v *auditView) auditValue { return numberOf(ports[v.protocol()]) })
	recorded("verdict", textValue, func(v *auditView) auditValue { return textOf(v.verdict()) })
	recorded("window_title_extracted", boolValue, func(v *auditView) auditValue { return boolOf(v.indexed() && !v.textual()) })
}

func addUserFields(add addField) {
	domain := func(v *auditView) auditValue {
		return unless(v.pick(traitDomain, 3) > 0, textOf("example.com"))
	}
	add("user.gateway_username", textValue, func(v *auditView) auditValue { return unless(v.pick(traitGateway, 3) > 0, textOf(v.user())) })
	add("user.gateway_username_domain", textValue, func(v *auditView) auditValue { return unless(v.pick(traitGateway, 3) > 0, domain(v)) })
	add("user.id", textValue, func(v *auditView) auditValue { return textOf(v.user()) })
	add("user.name", textValue, func(v *auditView) auditValue { return textOf(v.user()) })
	add("user.name_domain", textValue, domain)
	add("user.server_username", listValue, func(v *auditView) auditValue {
		switch v.pick(traitServerUser, 6) {
		case 0:
			return textsOf()
		case 1:
			return textsOf(v.user(), "root")
		case 2:
			return textsOf("root")
		}
		return textsOf(v.user())
	})
}

// running returns the value of a field that a running session does not have yet, such as
// end_time.
func (v *auditView) running() auditValue {
	if v.store.forms.nullEnd {
		return auditValue{kind: nullValue}
	}
	return auditValue{}
}

// field returns the field with the given name, or nil if no field has that name.
func (s *auditStore) field(name string) *auditField {
	i, found := slices.BinarySearchFunc(s.forms.fields, strings.Split(name, "."), func(f auditField, path []string) int { return slices.Compare(f.path, path) })
	if !found {
		return nil
	}
	return &s.forms.fields[i]
}

// value returns the value of a field in a session.
func (v *auditView) value(f *auditField) auditValue {
	if v.change != nil && v.change.body != nil {
		if laid, ok := valueAt(v.change.body, f); ok {
			return laid
		}
		if v.change.exact {
			return auditValue{}
		}
	}
	return f.get(v)
}

// valueAt returns the value of a field in a JSON object. ok is false if the object does
// not contain the field.
func valueAt(in any, f *auditField) (_ auditValue, ok bool) {
	for _, name := range f.path {
		o, isObject := in.(object)
		if !isObject {
			return auditValue{}, true // the object has another value in place of the group
		}
		if in, ok = o[name]; !ok {
			return auditValue{}, false
		}
	}
	return valueOf(in, f.kind), true
}

// valueOf converts a JSON value to the value of a field of the given kind.
func valueOf(in any, kind valueKind) auditValue {
	switch in := in.(type) {
	case nil:
		return auditValue{kind: nullValue}
	case bool:
		return boolOf(in)
	case json.Number:
		return auditValue{kind: numberValue, number: floatOf(in)}
	case string:
		if kind == timeValue {
			if from, _, ok := readTime(in); ok {
				return timeOf(from)
			}
		}
		return textOf(in)
	case []any:
		v := auditValue{kind: listValue}
		for _, element := range in {
			if s, ok := element.(string); ok {
				v.list = append(v.list, s)
			}
		}
		return v
	}
	return rawOf(string(encode(in)))
}

// append appends a value as JSON.
func (x auditValue) append(b []byte) []byte {
	switch x.kind {
	case textValue:
		return appendText(b, x.text)
	case numberValue:
		return strconv.AppendFloat(b, x.number, 'f', -1, 64)
	case boolValue:
		return strconv.AppendBool(b, x.number != 0)
	case timeValue:
		b = append(b, '"')
		b = time.UnixMilli(int64(x.number)).UTC().AppendFormat(b, auditTime)
		return append(b, '"')
	case zonedTimeValue:
		b = append(b, '"')
		b = time.UnixMilli(int64(x.number)).In(fieldZone).AppendFormat(b, time.RFC3339)
		return append(b, '"')
	case listValue:
		b = append(b, '[')
		for i, s := range x.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, s)
		}
		return append(b, ']')
	case rawValue:
		return append(b, x.text...)
	}
	return append(b, "null"...)
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return append(b, encode(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// selection is the set of fields that a response shows.
type selection struct {
	names  []string // the names in the request
	fields []*auditField
	all    bool
	dotted bool // the fields have dotted names instead of being in groups
}

// selectFields returns the selection for the names in a request. The name of a group
// selects the fields in it. An unknown name selects nothing.
func (s *auditStore) selectFields(names []string, dotted bool) selection {
	sel := selection{names: names, dotted: dotted}
	for i := range s.forms.fields {
		f := &s.forms.fields[i]
		for _, name := range names {
			if name == "*" || name == f.name || strings.HasPrefix(f.name, name+".") {
				sel.fields = append(sel.fields, f)
				break
			}
		}
	}
	sel.all = slices.Contains(names, "*")
	sel.dotted = sel.dotted && !sel.all
	return sel
}

// appendBody appends the selected fields of a session as a JSON object.
func (v *auditView) appendBody(b []byte, sel *selection) []byte {
	if v.change != nil && v.change.body != nil {
		return append(b, encode(sel.of(v.object()))...)
	}
	if sel.dotted {
		return v.appendDotted(b, sel)
	}
	var open []string // the groups whose braces are open
	b = append(b, '{')
	first := true
	for _, f := range sel.fields {
		value := f.get(v)
		if value.kind == noValue {
			continue
		}
		groups := f.path[:len(f.path)-1]
		same := 0
		for same < min(len(open), len(groups)) && open[same] == groups[same] {
			same++
		}
		for range open[same:] {
			b = append(b, '}')
			first = false
		}
		for _, group := range groups[same:] {
			b = append(appendName(b, group, first), '{')
			first = true
		}
		open = groups
		b = value.append(appendName(b, f.path[len(f.path)-1], first))
		first = false
	}
	for range open {
		b = append(b, '}')
	}
	return append(b, '}')
}

func (v *auditView) appendDotted(b []byte, sel *selection) []byte {
	b = append(b, '{')
	first := true
	for _, f := range sel.fields {
		if value := f.get(v); value.kind != noValue {
			b = value.append(appendName(b, f.name, first))
			first = false
		}
	}
	return append(b, '}')
}

func appendName(b []byte, name string, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// object returns the whole body of a session that has a body from [AuditSession].
func (v *auditView) object() object {
	laid := deepCopy(v.change.body).(object)
	if v.change.exact {
		return laid
	}
	plain, all := *v, v.store.selectFields([]string{"*"}, false)
	change := *v.change
	change.body = nil
	plain.change = &change
	under, _ := decode(plain.appendBody(nil, &all))
	return layOver(under.(object), laid)
}

func deepCopy(in any) any {
	switch in := in.(type) {
	case object:
		out := make(object, len(in))
		for name, value := range in {
			out[name] = deepCopy(value)
		}
		return out
	case []any:
		out := make([]any, len(in))
		for i, value := range in {
			out[i] = deepCopy(value)
		}
		return out
	}
	return in
}

// of returns the selected part of a body.
func (sel *selection) of(whole object) object {
	if sel.all {
		return whole
	}
	out := object{}
	for _, name := range sel.names {
		path := strings.Split(name, ".")
		var in any = whole
		for _, step := range path {
			o, _ := in.(object)
			value, ok := o[step]
			if !ok {
				in, path = nil, nil
				break
			}
			in = value
		}
		switch {
		case path == nil:
		case sel.dotted:
			out[name] = in
		default:
			for _, step := range slices.Backward(path) {
				in = object{step: in}
			}
			out = layOver(out, in.(object))
		}
	}
	return out
}
