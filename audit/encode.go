package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// codec encodes and decodes JSON without special treatment of any type.
var codec = wire.NewCodec(func(struct{}) string { return "" })

// encode returns Raw if no field was changed since the value was decoded; otherwise it
// returns the result of the function overlay. encoding/json checks the result, so encode
// checks Raw only before it calls overlay.
func encode[T any, R record[T]](now R, overlay func(was R) ([]byte, error)) ([]byte, error) {
	raw := *now.raw()
	if len(raw) == 0 {
		return overlay(new(T))
	}
	d := newDecoder(raw)
	defer d.giveBack()
	was := R(now.scratch(d))
	if err := was.read(d, raw); err != nil {
		return nil, err
	}
	*was.raw() = raw
	if now.equal(was) {
		return raw, nil
	}
	if err := wire.Valid(raw); err != nil {
		return nil, err
	}
	return overlay(was)
}

// overlay applies the differences between the values was and now to body and returns the
// result. If body is nil, overlay returns the encoded value now.
func overlay(body []byte, was, now any) ([]byte, error) {
	after, err := codec.Marshal(now)
	if err != nil || body == nil {
		return after, err
	}
	before, err := codec.Marshal(was)
	if err != nil {
		return nil, err
	}
	return wire.Update(context.Background(), body, before, after)
}

// overlayItem applies overlay to the member body of an object that has the members key
// and body.
func overlayItem(raw, body []byte, was, now any) ([]byte, error) {
	body, err := overlay(body, was, now)
	if err != nil {
		return nil, err
	}
	return with(raw, bodyName, body)
}

// member returns a member of an object, or nil.
func member(object []byte, name string) []byte {
	members, err := wire.Members(object)
	if err != nil {
		return nil
	}
	return wire.Find(members, name)
}

// bodyOf returns the value of the member "body" of an object, or nil if the object has no
// such member.
func bodyOf(raw []byte) []byte {
	if body := member(raw, bodyName); wire.Kind(body) == wire.Object {
		return body
	}
	return nil
}

// with returns an object with one member set. The object may be nil.
func with(object []byte, name string, value []byte) ([]byte, error) {
	var members []wire.Member
	if object != nil {
		var err error
		if members, err = wire.Members(object); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(members, func(m wire.Member) bool { return m.Name == name })
	if i < 0 {
		members = append(members, wire.Member{Name: name, Value: value})
	} else {
		members[i].Value = value
	}
	return wire.Join(members), nil
}

// withKey sets the member key of an object if the key changed.
func withKey(object []byte, was, now string) ([]byte, error) {
	if was == now {
		return object, nil
	}
	text, err := codec.Marshal(now)
	if err != nil {
		return nil, err
	}
	return with(object, keyName, text)
}

// inSeconds returns a duration in the form of the API, a number of seconds. It returns
// nil for zero.
func inSeconds(d time.Duration) json.RawMessage {
	if d == 0 {
		return nil
	}
	sign, whole, fraction := "", d/time.Second, d%time.Second
	if d < 0 {
		sign, whole, fraction = "-", -whole, -fraction
	}
	text := fmt.Sprintf("%s%d.%09d", sign, whole, fraction)
	return json.RawMessage(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

// MarshalJSON returns Raw if no field was changed since the session was decoded.
// Otherwise it returns Raw with the changed fields replaced; all other members are kept.
// A session that was not decoded is encoded in the same form, with the members that are
// not zero. MarshalJSON returns an error if Raw is not a session.
func (s Session) MarshalJSON() ([]byte, error) {
	return encode(&s, func(was *Session) ([]byte, error) {
		body := nest(bodyOf(s.Raw))
		list := wire.Kind(member(body, "vault")) == wire.Array
		item, err := withKey(s.Raw, was.Key, s.Key)
		if err != nil {
			return nil, err
		}
		return overlayItem(item, body, was.plain(list), s.plain(list))
	})
}

// plain returns the value to encode as the body. If list is true, vault is encoded as a
// list even if it has one element.
func (s *Session) plain(list bool) any {
	type plain Session
	var vault any
	switch {
	case len(s.Vault) == 1 && !list:
		vault = s.Vault[0]
	case s.Vault != nil:
		vault = s.Vault
	}
	return struct {
		plain
		Duration json.RawMessage `json:"duration,omitzero"`
		Vault    any             `json:"vault,omitzero"`
	}{plain(*s), inSeconds(s.Duration), vault}
}

// MarshalJSON encodes like [Session.MarshalJSON].
func (e Event) MarshalJSON() ([]byte, error) {
	return encode(&e, func(was *Event) ([]byte, error) {
		other := member(e.Raw, otherEventChannel) != nil
		return overlay(e.Raw, was.plain(other), e.plain(other))
	})
}

// plain returns the value to encode. If other is true, the member for the channel is
// named channel_id instead of channels_id.
func (e *Event) plain(other bool) any {
	type plain Event
	if other {
		return struct {
			plain
			Channel string `json:"channel_id,omitzero"`
		}{plain(*e), e.ChannelID}
	}
	return struct {
		plain
		Channel string `json:"channels_id,omitzero"`
	}{plain(*e), e.ChannelID}
}

// MarshalJSON encodes like [Session.MarshalJSON].
func (a Alert) MarshalJSON() ([]byte, error) {
	type plain Alert
	return encode(&a, func(was *Alert) ([]byte, error) { return overlay(a.Raw, plain(*was), plain(a)) })
}

// MarshalJSON encodes like [Session.MarshalJSON]. A channel that was not decoded is
// encoded with a member body.
func (c Channel) MarshalJSON() ([]byte, error) {
	return encode(&c, func(was *Channel) ([]byte, error) {
		item, err := withKey(c.Raw, was.Key, c.Key)
		if err != nil {
			return nil, err
		}
		body := bodyOf(c.Raw)
		if len(c.Raw) > 0 && body == nil {
			return overlay(item, was.plain(), c.plain())
		}
		return overlayItem(item, body, was.plain(), c.plain())
	})
}

// plain returns the value to encode as the body.
func (c *Channel) plain() any {
	type plain Channel
	return struct {
		plain
		Duration json.RawMessage `json:"duration,omitzero"`
	}{plain(*c), inSeconds(c.Duration)}
}

// MarshalJSON encodes like [Session.MarshalJSON].
func (i Indexing) MarshalJSON() ([]byte, error) {
	type plain Indexing
	return encode(&i, func(was *Indexing) ([]byte, error) { return overlay(i.Raw, plain(*was), plain(i)) })
}

// MarshalJSON encodes like [Session.MarshalJSON].
func (d Download) MarshalJSON() ([]byte, error) {
	type plain Download
	return encode(&d, func(was *Download) ([]byte, error) { return overlay(d.Raw, plain(*was), plain(d)) })
}
