package spstest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The formats of the times of events and alerts. The times are in UTC and have no zone.
const (
	eventTime = "2006-01-02T15:04:05.000"
	alertTime = "2006-01-02T15:04:05.000000"
)

// auditEvent is a command of a session, or the title of a window.
type auditEvent struct {
	number  int
	at      int64
	action  string
	content string
}

var (
	commands = []string{"ls", "cd /var/log", "tail -f messages", "vim app.conf", "systemctl restart nginx", "df -h", "cat /etc/hosts", "ps aux",
		"man iptables", "git pull", "grep error syslog", "exit"}
	titles = []string{"Server Manager", "Services", "Event Viewer", "Command Prompt", "Notepad", "Task Manager"}
)

// alertPattern is the pattern of the content policy that raises alerts.
const alertPattern = "sudo|passwd|vim"

// events returns the indexed events of a session.
func (v *auditView) events() []auditEvent {
	if !v.indexed() {
		return nil
	}
	actions := titles
	if v.textual() {
		actions = commands
	}
	events := make([]auditEvent, 1+v.pick(traitEvents, 12))
	interesting := v.interesting()
	span := max(v.record.end-v.record.start, 1)
	for i := range events {
		e := auditEvent{number: 40 + 3*i, at: v.record.start + span*int64(i+1)/int64(len(events)+1)}
		e.action = actions[v.pick(traitCommand+trait(i), len(actions))]
		if v.textual() && i < len(interesting) {
			e.action = interesting[i] + " " + v.user()
		}
		e.content = e.action
		if v.textual() {
			e.content = v.user() + "@" + v.server().name + ":~$ " + e.action
		}
		events[i] = e
	}
	return events
}

func (a *Appliance) eventObject(v *auditView, e *auditEvent) object {
	kind := "title"
	if v.textual() {
		kind = "command"
	}
	return object{"action": e.action, a.variant("event-channel"): "0", "content": e.content, "record_id": e.number,
		"time": time.UnixMilli(e.at).UTC().Format(eventTime), "type": kind}
}

// contentMatcher returns a matcher for a query about the recorded content, or nil if the
// query is empty.
func (a *Appliance) contentMatcher(content string) (matcher, error) {
	node, err := a.parse(content)
	if node == nil || err != nil {
		return nil, err
	}
	if terms(node) > maxAnywhere {
		return nil, fmt.Errorf("the query about the content has more than %d terms", maxAnywhere)
	}
	has, err := eventMatcher(node)
	return func(v *auditView) bool {
		for _, e := range v.events() {
			if has(&e) {
				return true
			}
		}
		return false
	}, err
}

// terms counts the terms of a query.
func terms(node queryNode) (n int) {
	switch node := node.(type) {
	case queryAll:
		for _, part := range node {
			n += terms(part)
		}
		return n
	case queryAny:
		for _, part := range node {
			n += terms(part)
		}
		return n
	case queryNot:
		return terms(node.node)
	}
	return 1
}

// eventMatcher compiles a query about events. A term without a field is compared with the
// content of the event. A term may have the field content or action.
func eventMatcher(node queryNode) (func(*auditEvent) bool, error) {
	each := func(nodes []queryNode) ([]func(*auditEvent) bool, error) {
		all := make([]func(*auditEvent) bool, len(nodes))
		for i, node := range nodes {
			var err error
			if all[i], err = eventMatcher(node); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	switch node := node.(type) {
	case queryAll:
		all, err := each(node)
		return func(e *auditEvent) bool {
			for _, has := range all {
				if !has(e) {
					return false
				}
			}
			return true
		}, err
	case queryAny:
		any, err := each(node)
		return func(e *auditEvent) bool {
			for _, has := range any {
				if has(e) {
					return true
				}
			}
			return false
		}, err
	case queryNot:
		has, err := eventMatcher(node.node)
		return func(e *auditEvent) bool { return !has(e) }, err
	case queryTerm:
		has := node.finder()
		switch node.field {
		case "", "content":
			return func(e *auditEvent) bool { return has(e.content) }, nil
		case "action":
			return func(e *auditEvent) bool { return has(e.action) }, nil
		}
	}
	return nil, errContent
}

var errContent = errors.New("a query about the content may only have terms without a field or with the field content or action")

// records answers with a page of items that belong to a session. Links use at as the last
// segment of the path.
func (a *Appliance) records(x *exchange, v *auditView, at string, items []object) answer {
	s, err := a.readAuditSearch(x)
	if err != nil {
		return a.parameterRefused(x, err)
	}
	parent := v.href()
	self := parent + "/" + at
	link := func(offset int) string {
		link := self + "?limit=" + strconv.Itoa(s.limit) + "&offset=" + strconv.Itoa(offset)
		if s.q != "" {
			link += "&q=" + escapeParameter(s.q)
		}
		return link
	}
	from := min(s.offset, len(items))
	to := min(from+s.limit, len(items))
	meta := object{
		"first": link(0), "href": self, "last": link(max(len(items)-1, 0) / s.limit * s.limit), "limit": s.limit,
		"match_count": len(items), "next": nil, "offset": s.offset, "parent": parent, "previous": nil,
	}
	if a.variant("remaining-seconds") != "none" {
		meta["remaining_seconds"] = x.session.remaining()
	}
	if to < len(items) {
		meta["next"] = link(to)
	}
	if s.offset > 0 {
		meta["previous"] = link(max(s.offset-s.limit, 0))
	}
	return reply(http.StatusOK, object{"items": append([]object{}, items[from:to]...), "meta": meta})
}

func (a *Appliance) getEvents(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	var items []object
	for _, e := range v.events() {
		items = append(items, a.eventObject(&v, &e))
	}
	return a.records(x, &v, "events", items)
}

// getContent searches the content of one session. Without a query, it returns no items.
func (a *Appliance) getContent(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	node, err := a.parse(x.query.Get("q"))
	if err != nil {
		return a.searchRefused(x, err)
	}
	var items []object
	if node != nil {
		has, err := eventMatcher(node)
		if err != nil {
			return a.searchRefused(x, err)
		}
		for _, e := range v.events() {
			if !has(&e) {
				continue
			}
			item := a.eventObject(&v, &e)
			if a.variant("content-items") == "wrapped" {
				item = object{"body": item, "key": strconv.Itoa(e.number)}
			}
			items = append(items, item)
		}
	}
	return a.records(x, &v, "content", items)
}

func (a *Appliance) getAlerts(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	var items []object
	for _, e := range v.events() {
		first, _, _ := strings.Cut(e.action, " ")
		if !v.textual() || !strings.Contains("|"+alertPattern+"|", "|"+first+"|") {
			continue
		}
		items = append(items, object{
			"alert_type": "adp.event.command", "channel_id": "0", "matched_action": e.action, "matched_content": e.content,
			"matched_regexp": alertPattern, "record_id": e.number, "rule_name": "PatternMatcherRule",
			"time": time.UnixMilli(e.at).UTC().Format(alertTime),
		})
	}
	return a.records(x, &v, "alerts", items)
}

// channelTypes are the channels that a session of each protocol can have.
var channelTypes = map[string][]object{
	"SSH": {
		{"type": "session shell"},
		{"type": "session exec", "command": "uptime"},
		{"type": "session exec scp", "command": "scp -t /tmp", "scp_path": "/tmp"},
		{"type": "session subsystem sftp", "subsystem_name": "sftp"},
		{"type": "local forward", "originator": object{"address": "127.0.0.1", "port": 50022}, "target": object{"address": "10.110.100.21", "port": 5432}},
	},
	"RDP":    {{"type": "#drawing"}, {"type": "cliprdr"}, {"type": "rdpsnd"}},
	"ICA":    {{"type": "CTXTW"}, {"type": "CTXCLIP"}},
	"VNC":    {{"type": "vnc"}},
	"TELNET": {{"type": "telnet"}},
	"HTTP":   {{"type": "http"}, {"type": "websocket"}},
	"MSSQL":  {{"type": "mssql"}},
}

// channels returns the channels of a session.
func (a *Appliance) channels(v *auditView) (items []object) {
	types := channelTypes[v.protocol()]
	if !v.connected() || len(types) == 0 {
		return nil
	}
	first := v.pick(traitChannels, len(types))
	for i := range 1 + v.pick(traitChannels, 2) {
		key := strconv.Itoa(i + 1)
		body := object{"verdict": "accept", "start_time": v.record.start / 1000}
		for name, value := range types[(first+i)%len(types)] {
			body[name] = value
		}
		switch {
		case !v.record.active():
			body["end_time"], body["duration"] = v.record.end/1000, v.record.end/1000-v.record.start/1000
		case v.store.forms.nullEnd:
			body["end_time"], body["duration"] = nil, nil
		}
		items = append(items, object{"body": body, "key": key, "meta": object{"href": v.href() + "/channels/" + url.PathEscape(key)}})
	}
	return items
}

func (a *Appliance) getChannels(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	return a.records(x, &v, "channels", a.channels(&v))
}

func (a *Appliance) getChannel(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	for _, channel := range a.channels(&v) {
		if channel["key"] == x.last() {
			channel["meta"].(object)["parent"] = v.href() + "/channels"
			return reply(http.StatusOK, channel)
		}
	}
	return a.notFound(x)
}

// getIndexings returns the results of the indexer. As in the guide's sample, its links
// have another path than the request.
func (a *Appliance) getIndexings(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	var items []object
	if v.indexed() {
		for i := range 1 + v.pick(traitIndexings, 4)/3 {
			items = append(items, object{
				"config": object{
					"command": object{"enabled": true}, "keyboard": object{"buffer_interval": 3, "enabled": false},
					"mouse": object{"buffer_interval": 1, "enabled": false}, "near_realtime": i > 0, "ocr_languages": []string{},
					"screen": object{"enabled": true, "omnipage_trade_off": "TO_ACCURATE"}, "title": object{"enabled": true},
				},
				"statistics": object{"cpu_time": 5 + i, "duration": 149, "start_time": v.record.end + int64(1000*(i+1))},
				"status":     "COMPLETED",
				"version":    object{"adp": "6.0.20", "worker": "4.0.26"},
			})
		}
	}
	return a.records(x, &v, "indexer", items)
}

// getTrailDownloads returns generated downloads of a recording, followed by the downloads
// from this appliance.
func (a *Appliance) getTrailDownloads(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	var items []object
	add := func(api bool, d trailDownload) {
		items = append(items, object{"from_api": api, "ip_address": d.address, "time": time.UnixMilli(d.at).UTC().Format(auditTime), "username": d.user})
	}
	if n := v.pick(traitDownloads, 4); v.hasTrail() && !v.record.active() {
		for i := range n {
			add(false, trailDownload{v.record.end + int64(i+1)*60_000, "10.20.30.40", "admin"})
		}
	}
	for _, d := range a.audit.downloads[v.index] {
		add(true, d)
	}
	return a.records(x, &v, "trail_downloads", items)
}
