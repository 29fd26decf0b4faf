package audit

import (
	"encoding/json"
	"reflect"

	"github.com/go-sps/sps/internal/wire"
)

// UnmarshalJSON decodes an element of the list of events. The result does not refer to
// the memory of data.
func (e *Event) UnmarshalJSON(data []byte) error { return decode(e, data) }

// Unknown returns the members without a field, like [Session.Unknown].
func (e *Event) Unknown() map[string]json.RawMessage { return unknown(e) }

func (e *Event) raw() *json.RawMessage { return &e.Raw }

func (e *Event) equal(o *Event) bool { return reflect.DeepEqual(e, o) }

func (e *Event) scratch(*decoder) *Event { return new(Event) }

func (e *Event) read(d *decoder, _ []byte) error { return d.bare(func() { d.event(e) }) }

// UnmarshalJSON decodes an element of the list of alerts. The result does not refer to
// the memory of data.
func (a *Alert) UnmarshalJSON(data []byte) error { return decode(a, data) }

// Unknown returns the members without a field, like [Session.Unknown].
func (a *Alert) Unknown() map[string]json.RawMessage { return unknown(a) }

func (a *Alert) raw() *json.RawMessage { return &a.Raw }

func (a *Alert) equal(o *Alert) bool { return reflect.DeepEqual(a, o) }

func (a *Alert) scratch(*decoder) *Alert { return new(Alert) }

func (a *Alert) read(d *decoder, _ []byte) error { return d.bare(func() { d.alert(a) }) }

// UnmarshalJSON decodes an object with key, meta and body, or only the body. The result
// does not refer to the memory of data.
func (c *Channel) UnmarshalJSON(data []byte) error { return decode(c, data) }

// Unknown returns the members without a field, like [Session.Unknown].
func (c *Channel) Unknown() map[string]json.RawMessage { return unknown(c) }

func (c *Channel) raw() *json.RawMessage { return &c.Raw }

func (c *Channel) equal(o *Channel) bool { return reflect.DeepEqual(c, o) }

func (c *Channel) scratch(*decoder) *Channel { return new(Channel) }

func (c *Channel) read(d *decoder, _ []byte) error { return d.bare(func() { d.channel(c) }) }

// UnmarshalJSON decodes an element of the list of a session's indexing jobs. The result
// does not refer to the memory of data.
func (i *Indexing) UnmarshalJSON(data []byte) error { return decode(i, data) }

// Unknown returns the members without a field, like [Session.Unknown].
func (i *Indexing) Unknown() map[string]json.RawMessage { return unknown(i) }

func (i *Indexing) raw() *json.RawMessage { return &i.Raw }

func (i *Indexing) equal(o *Indexing) bool { return reflect.DeepEqual(i, o) }

func (i *Indexing) scratch(*decoder) *Indexing { return new(Indexing) }

func (i *Indexing) read(d *decoder, _ []byte) error { return d.bare(func() { d.indexing(i) }) }

// UnmarshalJSON decodes an element of the list of downloads. The result does not refer to
// the memory of data.
func (l *Download) UnmarshalJSON(data []byte) error { return decode(l, data) }

// Unknown returns the members without a field, like [Session.Unknown].
func (l *Download) Unknown() map[string]json.RawMessage { return unknown(l) }

func (l *Download) raw() *json.RawMessage { return &l.Raw }

func (l *Download) equal(o *Download) bool { return reflect.DeepEqual(l, o) }

func (l *Download) scratch(*decoder) *Download { return new(Download) }

func (l *Download) read(d *decoder, _ []byte) error { return d.bare(func() { d.download(l) }) }

// bare reads an object that is not wrapped in an object with key and body.
func (d *decoder) bare(read func()) error {
	if d.Kind() != wire.Object {
		return wire.Unfit("a record of a session is not a JSON object")
	}
	read()
	d.settle()
	return d.Close()
}

func (d *decoder) event(e *Event) {
	if !d.enter() {
		return
	}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "action":
			d.ownText(&e.Action)
		case eventChannel, otherEventChannel:
			d.text(&e.ChannelID)
		case "content":
			d.ownText(&e.Content)
		case "record_id":
			d.integer(&e.RecordID)
		case "time":
			d.time(&e.Time)
		case "type":
			d.text(&e.Type)
		default:
			d.other()
		}
	}
}

func (d *decoder) alert(a *Alert) {
	if !d.enter() {
		return
	}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "alert_type":
			d.text(&a.AlertType)
		case "channel_id":
			d.text(&a.ChannelID)
		case "matched_action":
			d.ownText(&a.MatchedAction)
		case "matched_content":
			d.ownText(&a.MatchedContent)
		case "matched_regexp":
			d.text(&a.MatchedRegexp)
		case "record_id":
			d.integer(&a.RecordID)
		case "rule_name":
			d.text(&a.RuleName)
		case "time":
			d.time(&a.Time)
		default:
			d.other()
		}
	}
}

// channel reads a channel: an object with key and body, or the body alone.
func (d *decoder) channel(c *Channel) {
	start, keyed := d.Scanner, false
	if !d.Enter(wire.Object) {
		return
	}
	for name, ok := d.Member(); ok; name, ok = d.Member() {
		switch {
		case string(name) == keyName:
			if !d.key(&c.Key) {
				d.Value()
			}
		case string(name) == bodyName && d.Kind() == wire.Object:
			keyed = true
			d.channelBody(c)
		default:
			d.Value()
		}
	}
	if !keyed {
		d.Scanner = start
		d.channelBody(c)
	}
}

func (d *decoder) channelBody(c *Channel) {
	if !d.enter() {
		return
	}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "type":
			d.text(&c.Type)
		case "verdict":
			d.text(&c.Verdict)
		case "start_time":
			d.time(&c.StartTime)
		case "end_time":
			d.time(&c.EndTime)
		case "duration":
			d.seconds(&c.Duration)
		case "command":
			d.ownText(&c.Command)
		case "scp_path":
			d.ownText(&c.SCPPath)
		case "subsystem_name":
			d.text(&c.SubsystemName)
		default:
			d.other()
		}
	}
}

func (d *decoder) indexing(i *Indexing) {
	if !d.enter() {
		return
	}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "config":
			i.Config = d.indexingConfig()
		case "statistics":
			i.Statistics = d.indexingStatistics()
		case "status":
			d.text(&i.Status)
		case "version":
			i.Version = d.indexingVersion()
		default:
			d.other()
		}
	}
}

func (d *decoder) indexingConfig() *IndexingConfig {
	if !d.enter() {
		return nil
	}
	c := new(IndexingConfig)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "command":
			c.Command = d.indexingSource()
		case "title":
			c.Title = d.indexingSource()
		case "keyboard":
			c.Keyboard = d.indexingBufferSource()
		case "mouse":
			c.Mouse = d.indexingBufferSource()
		case "screen":
			c.Screen = d.indexingScreen()
		case "near_realtime":
			d.bool(&c.NearRealtime)
		case "ocr_languages":
			d.texts(&c.OCRLanguages)
		default:
			d.other()
		}
	}
	return c
}

func (d *decoder) indexingSource() *IndexingSource {
	if !d.enter() {
		return nil
	}
	s := new(IndexingSource)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "enabled":
			d.bool(&s.Enabled)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) indexingBufferSource() *IndexingBufferSource {
	if !d.enter() {
		return nil
	}
	s := new(IndexingBufferSource)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "enabled":
			d.bool(&s.Enabled)
		case "buffer_interval":
			d.float(&s.BufferInterval)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) indexingScreen() *IndexingScreen {
	if !d.enter() {
		return nil
	}
	s := new(IndexingScreen)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "enabled":
			d.bool(&s.Enabled)
		case "omnipage_trade_off":
			d.text(&s.OmnipageTradeOff)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) indexingStatistics() *IndexingStatistics {
	if !d.enter() {
		return nil
	}
	s := new(IndexingStatistics)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "cpu_time":
			d.float(&s.CPUTime)
		case "duration":
			d.float(&s.Duration)
		case "start_time":
			d.time(&s.StartTime)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) indexingVersion() *IndexingVersion {
	if !d.enter() {
		return nil
	}
	v := new(IndexingVersion)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "adp":
			d.text(&v.ADP)
		case "worker":
			d.text(&v.Worker)
		default:
			d.other()
		}
	}
	return v
}

func (d *decoder) download(l *Download) {
	if !d.enter() {
		return
	}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "from_api":
			d.bool(&l.FromAPI)
		case "ip_address":
			d.text(&l.IPAddress)
		case "time":
			d.time(&l.Time)
		case "username":
			d.text(&l.Username)
		default:
			d.other()
		}
	}
}
