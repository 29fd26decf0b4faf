package sps

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Object is what the API shows of one object: its key, its meta and its body.
type Object[T any] struct {
	// Key names the object within its collection; for an endpoint with one
	// object it is the last segment of its path. A record of a list that has no keys, such
	// as an event of a session, has none.
	Key string
	// Meta is what the appliance says about the object.
	Meta Meta
	// Body is its value.
	Body T
}

// Meta is the meta member of an answer. A member that is absent, null or of
// another type than here is the zero value.
type Meta struct {
	// Href is the path of the resource, Parent that of the one above.
	Href, Parent string
	// First, Last, Next and Previous are siblings in the configuration, and
	// pages in a paged list.
	First, Last, Next, Previous string
	// Transaction is the path of the transaction, given in the configuration.
	Transaction string
	// SessionRemaining is the time until the session ends, with its open
	// transaction; 0 where the appliance does not say.
	SessionRemaining time.Duration

	raw string
}

// Link returns any member that is a text or a number, by its name; "" for none.
func (m Meta) Link(name string) string {
	text, _ := wire.Text(member([]byte(m.raw), name))
	return text
}

// UnmarshalJSON decodes a meta member; whatever does not fit stays zero.
func (m *Meta) UnmarshalJSON(data []byte) error {
	*m = newMeta(data)
	return nil
}

func newMeta(data []byte) Meta {
	if wire.Kind(data) != wire.Object {
		return Meta{}
	}
	m := Meta{raw: string(data)}
	at := 0
	err := wire.Each(data, func(name string, value []byte) error {
		var field *string
		switch name {
		case "href":
			field = &m.Href
		case "parent":
			field = &m.Parent
		case "first":
			field = &m.First
		case "last":
			field = &m.Last
		case "next":
			field = &m.Next
		case "previous":
			field = &m.Previous
		case "transaction":
			field = &m.Transaction
		case "remaining_seconds":
			var seconds float64
			if wire.Kind(value) == wire.Number && wire.Unmarshal(value, &seconds) == nil && seconds > 0 && seconds < 1e9 {
				m.SessionRemaining = time.Duration(seconds * float64(time.Second))
			}
			return nil
		default:
			return nil
		}
		if wire.Kind(value) != wire.String {
			return nil
		}
		if bytes.IndexByte(value, '\\') >= 0 {
			*field, _ = wire.Text(value)
			return nil
		}
		// The text stands in raw, beyond the one before: that needs no copy.
		at += bytes.Index(data[at:], value)
		*field = m.raw[at+1 : at+len(value)-1]
		return nil
	})
	if err != nil {
		return Meta{}
	}
	return m
}

// Ref is a reference to another object. Answers show it as an object with key
// and meta, and requests must send the bare key; it decodes from both and
// encodes as the key. The zero value is no reference, and encodes as null.
type Ref struct {
	// Key is the key of the object.
	Key string
	// Href is its path, where the answer gave one.
	Href string
}

// UnmarshalJSON decodes an object with key and meta, a bare key, or null.
func (r *Ref) UnmarshalJSON(data []byte) error {
	*r = Ref{}
	if key, ok := wire.Text(data); ok {
		r.Key = key
		return nil
	}
	switch wire.Kind(data) {
	case wire.Null:
		return nil
	case wire.Object:
		r.Key, _ = wire.Text(member(data, "key"))
		r.Href, _ = wire.Text(member(member(data, "meta"), "href"))
		return nil
	}
	return errors.New("a reference is an object with key and meta, or a key")
}

// MarshalJSON encodes the key, null without one.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.Key == "" {
		return []byte("null"), nil
	}
	return codec.Marshal(r.Key)
}

// The handles: a thin typed shell over what endpoint.go does for all types.

// Singleton reads an endpoint that holds one object, such as
// configuration/management/email, where it is a field of a [Client]. [SingletonTx], the
// field of a [Transaction] with the same name, writes it.
//
// T is the type of the body. Its zero value reads nothing: each call is
// [ErrInvalidInput].
type Singleton[T any] struct {
	client   *Client
	endpoint *endpoint
}

// NewSingleton types an endpoint below /api/ that the SDK does not:
//
//	email := sps.NewSingleton[Email](client, "configuration/management/email")
//
// The path is plain, not escaped, with or without the /api/ of links. A key with a slash is
// named in one way, in every path: with %2F for the slash. Methods that take a key refuse
// one with a slash. A path that cannot be right is reported by the first use. The rules are
// asked before a body is sent.
//
// T is your type for the body. Names must match exactly, so give its fields json
// tags; the appliance ignores a member whose name it does not know, without an
// error. An update that sets a member that the object does not have is refused, at every
// depth, unless it also switches what brings new members with it: one that is called
// enabled, selection or type, there or above. New elements of lists may have any members,
// and the others what one of them has. Create and Replace have nothing to compare with, and
// send what they are given. Members that T lacks are not lost by an update;
// avoid omitempty, because the appliance wants empty members to be present. A json.Number
// is read and written as a number of any size, as it is spelled.
func NewSingleton[T any](c *Client, path string, rules ...Rule[T]) Singleton[T] {
	e := newEndpoint(path)
	for _, r := range rules {
		e.rules = append(e.rules, r.ruling)
	}
	return Singleton[T]{c, e}
}

// Get reads the object (GET). It gives [ResourceNotFound] where the appliance does not
// have the endpoint.
func (s Singleton[T]) Get(ctx context.Context) (*Object[T], error) {
	o := new(Object[T])
	return o.or(s.endpoint.get(ctx, s.client, o.parts()))
}

// In returns the endpoint as the transaction sees it, for reading and writing.
func (s Singleton[T]) In(tx *Transaction) SingletonTx[T] {
	return SingletonTx[T]{tx, s.endpoint.in(tx, s.client)}
}

// SingletonTx reads and writes an endpoint with one object in a transaction.
type SingletonTx[T any] struct {
	tx       *Transaction
	endpoint *endpoint
}

// Get reads the object, with the changes that the transaction has staged.
func (s SingletonTx[T]) Get(ctx context.Context) (*Object[T], error) {
	o := new(Object[T])
	return o.or(s.endpoint.get(ctx, s.tx, o.parts()))
}

// Update reads the object, lets change edit its body, and writes back what
// change made different: every member that T does not know stays as it is. Where
// nothing is different, nothing is written. An error of change is returned and
// nothing is written. Where another goroutine wrote the object in the same
// transaction meanwhile, change is called again, on what is there now.
//
// Elements of lists keep what T does not know of them, also when others are added,
// removed or moved. Where a change leaves it open which element was which, and
// something would be lost, it is [ErrInvalidInput] and nothing is written.
//
// Beside errors of the transport, expect [SyntacticError], [SemanticError] and
// [Unauthorized] of the appliance.
func (s SingletonTx[T]) Update(ctx context.Context, change func(*T) error) error {
	return s.endpoint.update(ctx, s.tx, editing(change))
}

// Replace writes the whole object (PUT): whatever the appliance has and body lacks is
// lost, members that T does not know included. [SingletonTx.Update] is usually
// what you want.
func (s SingletonTx[T]) Replace(ctx context.Context, body T) error {
	return s.endpoint.replace(ctx, s.tx, &body)
}

// Collection reads an endpoint that holds a list of objects, such as
// configuration/trust_stores, where it is a field of a [Client]. [CollectionTx], the
// field of a [Transaction] with the same name, writes it.
//
// T is the type of the bodies. Its zero value reads nothing: each call is
// [ErrInvalidInput].
type Collection[T any] struct {
	client   *Client
	endpoint *endpoint
}

// NewCollection types a list endpoint below /api/ that the SDK does not. See
// [NewSingleton] for the path, for T and for the rules.
func NewCollection[T any](c *Client, path string, rules ...Rule[T]) Collection[T] {
	return Collection[T](NewSingleton(c, path, rules...))
}

// All iterates over the objects in the order of the appliance, page by page
// where the list is paged. An item that the list shows without its body is read
// on its own; one that is deleted meanwhile is left out. Outside of the configuration some
// lists have bare records, such as the events of a session: each is the body of an object
// without a key. After an error the iteration ends, but for one about text that is not
// valid UTF-8: it is [ErrBadAnswer], names the item, and whoever goes on gets the others.
//
// The page after the present one is behind its link to the list, or to what it calls
// itself. Where the link leads elsewhere, although the appliance counts more items
// (match_count), it is ErrBadAnswer. A list whose pages do not end is too: three pages with
// the items of an earlier one, a link to an earlier page, or 25,000 pages.
//
// [WithQuery] goes with the request of the first page, for what an endpoint filters
// or chooses by, such as q or fields; the others are asked for as the appliance's
// links say. [WithHeader] goes with each page. Other options, and an Accept that asks
// for something else than a list, are [ErrInvalidInput].
func (c Collection[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return objects[T](ctx, c.endpoint, c.client, options)
}

// List returns the objects of [Collection.All] at once. Where the text of some is not valid
// UTF-8, it returns the others, and an error that names those.
func (c Collection[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return list[T](ctx, c.endpoint, c.client, options)
}

// Get reads one object by its key. It gives [ResourceNotFound] for one that
// does not exist, and [ErrInvalidInput] for a key that cannot be one.
func (c Collection[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getItem(ctx, c.client, key, o.parts()))
}

// GetByName reads the object whose body has that name. It gives [ErrNoSuchName] and
// [ResourceNotFound] where there is none, and ResourceNotFound alone where the
// appliance has no such list.
func (c Collection[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getByName(ctx, c.client, name, o.parts()))
}

// In returns the list as the transaction sees it, for reading and writing.
func (c Collection[T]) In(tx *Transaction) CollectionTx[T] {
	return CollectionTx[T]{tx, c.endpoint.in(tx, c.client)}
}

// CollectionTx reads and writes a list of objects in a transaction.
type CollectionTx[T any] struct {
	tx       *Transaction
	endpoint *endpoint
}

// All iterates like [Collection.All], with the changes that the transaction has
// staged.
func (c CollectionTx[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return objects[T](ctx, c.endpoint, c.tx, options)
}

// List returns the objects of [CollectionTx.All] at once.
func (c CollectionTx[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return list[T](ctx, c.endpoint, c.tx, options)
}

// Get reads one object like [Collection.Get], with the changes that the
// transaction has staged.
func (c CollectionTx[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getItem(ctx, c.tx, key, o.parts()))
}

// GetByName reads the object with that name like [Collection.GetByName], with the
// changes that the transaction has staged.
func (c CollectionTx[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getByName(ctx, c.tx, name, o.parts()))
}

// Create adds an object (POST) and returns the key that the appliance gave it. It is
// never sent twice. Expect the errors of [SingletonTx.Update].
func (c CollectionTx[T]) Create(ctx context.Context, body T) (key string, err error) {
	return c.endpoint.create(ctx, c.tx, &body)
}

// Update changes one object like [SingletonTx.Update].
func (c CollectionTx[T]) Update(ctx context.Context, key string, change func(*T) error) error {
	return c.endpoint.updateItem(ctx, c.tx, key, editing(change))
}

// Replace writes one whole object like [SingletonTx.Replace].
func (c CollectionTx[T]) Replace(ctx context.Context, key string, body T) error {
	return c.endpoint.replaceItem(ctx, c.tx, key, &body)
}

// Delete deletes one object (DELETE). It gives [ResourceNotFound] for one that does not
// exist; the appliance refuses to delete what is built in or in use.
func (c CollectionTx[T]) Delete(ctx context.Context, key string) error {
	return c.endpoint.delete(ctx, c.tx, key)
}

// Rule is a rule of the objects of one endpoint, which the client checks before it sends
// one: [CheckBody], [CheckChange], [CheckKey] or [UniqueName]. What it returns is returned
// to the caller, and nothing is sent.
type Rule[T any] struct{ ruling }

// CheckBody asks a function about each body that is to be sent.
func CheckBody[T any](check func(body *T) error) Rule[T] {
	return Rule[T]{ruling{change: func(_, body any) error { return check(body.(*T)) }}}
}

// CheckChange asks a function what may become of an object: was is what the appliance
// has, nil for a new object. A Replace reads the object first.
func CheckChange[T any](check func(was, body *T) error) Rule[T] {
	return Rule[T]{ruling{compares: true, change: func(was, body any) error {
		old, _ := was.(*T)
		return check(old, body.(*T))
	}}}
}

// CheckKey asks a function about the key of each object that is to be changed or deleted.
func CheckKey[T any](check func(key string) error) Rule[T] { return Rule[T]{ruling{key: check}} }

// UniqueName refuses a name that another object of the list has. name returns that of a
// body, which is its member "name".
func UniqueName[T any](name func(body *T) string) Rule[T] {
	return Rule[T]{ruling{compares: true, name: func(body any) string { return name(body.(*T)) }}}
}

// logWarnings logs what is unusual about a body that is to be sent, unless it was before.
func logWarnings[T any](warnings func(body *T) []string) Rule[T] {
	return Rule[T]{ruling{compares: true, warnings: func(body any) []string { return warnings(body.(*T)) }}}
}

// keepSpelling takes out of a changed body what differs from the one that was read in
// spelling alone.
func keepSpelling[T any](respell func(was, body *T)) Rule[T] {
	return Rule[T]{ruling{respell: func(was, body any) { respell(was.(*T), body.(*T)) }}}
}

// spec is an endpoint of this package with the type of its bodies.
type spec[T any] struct{ endpoint *endpoint }

// checked adds rules.
func (s spec[T]) checked(rules ...Rule[T]) spec[T] {
	for _, r := range rules {
		s.endpoint.rules = append(s.endpoint.rules, r.ruling)
	}
	return s
}

func (s spec[T]) singleton(c *Client) Singleton[T]           { return Singleton[T]{c, s.endpoint} }
func (s spec[T]) collection(c *Client) Collection[T]         { return Collection[T]{c, s.endpoint} }
func (s spec[T]) singletonTx(tx *Transaction) SingletonTx[T] { return SingletonTx[T]{tx, s.endpoint} }
func (s spec[T]) collectionTx(tx *Transaction) CollectionTx[T] {
	return CollectionTx[T]{tx, s.endpoint}
}

// editing makes an edit of a function that changes a body.
func editing[T any](change func(*T) error) *edit {
	if change == nil {
		return nil
	}
	return &edit{(*T)(nil), func(body any) error { return change(body.(*T)) }}
}

// parts are where the parts of an object are filled in.
func (o *Object[T]) parts() parts { return parts{&o.Key, &o.Meta, &o.Body} }

// or returns the object, or else the error.
func (o *Object[T]) or(err error) (*Object[T], error) {
	if err != nil {
		return nil, err
	}
	return o, nil
}

// objects iterates over a list.
func objects[T any](ctx context.Context, e *endpoint, r reader, options []RequestOption) iter.Seq2[*Object[T], error] {
	return func(yield func(*Object[T], error) bool) {
		e.visit(ctx, r, options, func(i *item, err error) bool {
			o := new(Object[T])
			o, err = o.or(i.into(o.parts(), err))
			return yield(o, err) && (err == nil || isGarbled(err))
		})
	}
}

// list returns a list at once.
func list[T any](ctx context.Context, e *endpoint, r reader, options []RequestOption) (all []*Object[T], err error) {
	err = e.list(ctx, r, options, func(i *item, err error) error {
		o := new(Object[T])
		if err = i.into(o.parts(), err); err == nil {
			all = append(all, o)
		}
		return err
	})
	if err != nil && !isGarbled(err) {
		return nil, err
	}
	return all, err
}
