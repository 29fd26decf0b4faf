package sps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// Object is what the API shows of one object: its key, its meta and its body.
type Object[T any] struct {
	// Key names the object within its collection; for an endpoint with one
	// object it is the last segment of its path.
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

// Singleton reads an endpoint that holds one object, such as
// configuration/management/email. Its writes hang on [Singleton.In].
//
// T is your type for the body. Names must match exactly, so give its fields json
// tags; the appliance ignores a member whose name it does not know, without an
// error. An update that sets a member of the body that the object does not have is
// refused, unless it also switches what brings new members with it: one that is
// called enabled, selection or type. Members that it lacks are not lost by an update; avoid omitempty, because
// the appliance wants empty members to be present. Where *T has a method
// Validate() error, that is asked before a body is sent, and what it returns is
// returned.
type Singleton[T any] struct {
	client *Client
	path   apiPath
	own    bool // T is the user's
	err    error
}

// NewSingleton types an endpoint below /api/ that the SDK does not:
//
//	email := sps.NewSingleton[Email](client, "configuration/management/email")
//
// The path is plain, not escaped, with or without the /api/ of links. One that cannot
// be right is reported by the first use.
func NewSingleton[T any](c *Client, path string) *Singleton[T] {
	p, err := handlePath(c, path)
	return &Singleton[T]{c, p, true, err}
}

func handlePath(c *Client, path string) (apiPath, error) {
	if c == nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(path), invalid("no client"))
	}
	return newPath(path)
}

func newSingleton[T any](c *Client, path apiPath) *Singleton[T] {
	return &Singleton[T]{client: c, path: path}
}

// Get reads the object (GET). It gives [ResourceNotFound] where the appliance does not
// have the endpoint.
func (s *Singleton[T]) Get(ctx context.Context) (*Object[T], error) {
	if s.err != nil {
		return nil, s.err
	}
	return readObject[T](ctx, s.client, s.path)
}

// In returns the endpoint as the transaction sees it, for reading and writing.
func (s *Singleton[T]) In(tx *Transaction) *SingletonTx[T] {
	return &SingletonTx[T]{tx, s.path, s.own, tx.admit(s.client, s.path, s.err)}
}

// SingletonTx reads and writes an endpoint with one object in a transaction.
type SingletonTx[T any] struct {
	tx   *Transaction
	path apiPath
	own  bool
	err  error
}

// Get reads the object, with the changes that the transaction has staged.
func (s *SingletonTx[T]) Get(ctx context.Context) (*Object[T], error) {
	if s.err != nil {
		return nil, s.err
	}
	return readObject[T](ctx, s.tx, s.path)
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
func (s *SingletonTx[T]) Update(ctx context.Context, change func(*T) error) error {
	if s.err != nil {
		return s.err
	}
	return updateObject(ctx, s.tx, s.path, s.own, false, change, checkChange[T])
}

// Replace writes the whole object (PUT): whatever the appliance has and body lacks is
// lost, members that T does not know included. [SingletonTx.Update] is usually
// what you want.
func (s *SingletonTx[T]) Replace(ctx context.Context, body T) error {
	if s.err != nil {
		return s.err
	}
	return replaceObject(ctx, s.tx, s.path, false, body, checkChange[T])
}

// Collection reads an endpoint that holds a list of objects, such as
// configuration/trust_stores. Its writes hang on [Collection.In].
type Collection[T any] struct {
	client *Client
	path   apiPath
	own    bool // T is the user's
	err    error
}

// NewCollection types a list endpoint below /api/ that the SDK does not. See
// [NewSingleton] for the path and [Singleton] for T.
func NewCollection[T any](c *Client, path string) *Collection[T] {
	p, err := handlePath(c, path)
	return &Collection[T]{c, p, true, err}
}

func newCollection[T any](c *Client, path apiPath) *Collection[T] {
	return &Collection[T]{client: c, path: path}
}

// All iterates over the objects in the order of the appliance, page by page
// where the list is paged. An item that the list shows without its body is read
// on its own; one that is deleted meanwhile is left out. After an error the
// iteration ends.
//
// [WithQuery] goes with the request of the first page, for what an endpoint filters
// or chooses by, such as q or fields; the others are asked for as the appliance's
// links say. [WithHeader] goes with each page. Other options, and an Accept that asks
// for something else than a list, are [ErrInvalidInput].
func (c *Collection[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return allObjects[T](ctx, c.client, c.path, c.err, options)
}

// List returns the objects of [Collection.All] at once.
func (c *Collection[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return collect(c.All(ctx, options...))
}

// Get reads one object by its key. It gives [ResourceNotFound] for one that
// does not exist, and [ErrInvalidInput] for a key that cannot be one.
func (c *Collection[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	path, err := itemPath(c.path, key, c.err)
	if err != nil {
		return nil, err
	}
	return readKeyed[T](ctx, c.client, path)
}

// GetByName reads the object whose body has that name. It gives [ErrNoSuchName] and
// [ResourceNotFound] where there is none, and ResourceNotFound alone where the
// appliance has no such list.
func (c *Collection[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	return objectByName[T](ctx, c.client, c.path, c.err, name)
}

// In returns the list as the transaction sees it, for reading and writing.
func (c *Collection[T]) In(tx *Transaction) *CollectionTx[T] {
	return &CollectionTx[T]{tx, c.path, c.own, tx.admit(c.client, c.path, c.err)}
}

// CollectionTx reads and writes a list of objects in a transaction.
type CollectionTx[T any] struct {
	tx   *Transaction
	path apiPath
	own  bool
	err  error
}

// All iterates like [Collection.All], with the changes that the transaction has
// staged.
func (c *CollectionTx[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return allObjects[T](ctx, c.tx, c.path, c.err, options)
}

// List returns the objects of [CollectionTx.All] at once.
func (c *CollectionTx[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return collect(c.All(ctx, options...))
}

// Get reads one object like [Collection.Get], with the changes that the
// transaction has staged.
func (c *CollectionTx[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	path, err := itemPath(c.path, key, c.err)
	if err != nil {
		return nil, err
	}
	return readKeyed[T](ctx, c.tx, path)
}

// GetByName reads the object with that name like [Collection.GetByName], with the
// changes that the transaction has staged.
func (c *CollectionTx[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	return objectByName[T](ctx, c.tx, c.path, c.err, name)
}

// Create adds an object (POST) and returns the key that the appliance gave it. It is
// never sent twice. Expect the errors of [SingletonTx.Update].
func (c *CollectionTx[T]) Create(ctx context.Context, body T) (key string, err error) {
	if c.err != nil {
		return "", c.err
	}
	if err := c.check(ctx, "", nil, &body); err != nil {
		return "", c.tx.client.refusal(http.MethodPost, c.path, err)
	}
	data, secrets, err := encodeBody(c.tx, c.path, body)
	if err != nil {
		return "", err
	}
	a, err := c.tx.write(ctx, http.MethodPost, c.path, data, secrets...)
	if err != nil {
		return "", err
	}
	key, err = a.createdKey(c.path)
	if err != nil {
		c.tx.spoil(err)
		return "", err
	}
	return key, nil
}

// Update changes one object like [SingletonTx.Update].
func (c *CollectionTx[T]) Update(ctx context.Context, key string, change func(*T) error) error {
	path, err := itemPath(c.path, key, c.err)
	if err != nil {
		return err
	}
	if err := checkKey[T](key); err != nil {
		return c.tx.client.refusal(http.MethodPut, path, err)
	}
	return updateObject(ctx, c.tx, path, c.own, true, change, func(was, body *T) error { return c.check(ctx, key, was, body) })
}

// Replace writes one whole object like [SingletonTx.Replace].
func (c *CollectionTx[T]) Replace(ctx context.Context, key string, body T) error {
	path, err := itemPath(c.path, key, c.err)
	if err != nil {
		return err
	}
	if err := checkKey[T](key); err != nil {
		return c.tx.client.refusal(http.MethodPut, path, err)
	}
	return replaceObject(ctx, c.tx, path, true, body, func(was, body *T) error { return c.check(ctx, key, was, body) })
}

// Delete deletes one object (DELETE). It gives [ResourceNotFound] for one that does not
// exist; the appliance refuses to delete what is built in or in use.
func (c *CollectionTx[T]) Delete(ctx context.Context, key string) error {
	path, err := itemPath(c.path, key, c.err)
	if err != nil {
		return err
	}
	if err := checkKey[T](key); err != nil {
		return c.tx.client.refusal(http.MethodDelete, path, err)
	}
	_, err = c.tx.write(ctx, http.MethodDelete, path, nil)
	return err
}

// check asks the rules of T about an object that is to be sent. was is what the
// appliance has, nil for a new object.
func (c *CollectionTx[T]) check(ctx context.Context, key string, was, body *T) error {
	if err := checkChange(was, body); err != nil {
		return err
	}
	rules, ok := any(body).(interface{ uniqueName() string })
	if !ok || was != nil && any(was).(interface{ uniqueName() string }).uniqueName() == rules.uniqueName() {
		return nil
	}
	if err := c.tx.ensureOpen(ctx); err != nil {
		return err
	}
	other, err := c.GetByName(ctx, rules.uniqueName())
	switch {
	case errors.Is(err, ErrNoSuchName):
		return nil
	case err != nil:
		return err
	case other.Key == key:
		return nil
	}
	return rule(SemanticError, "name", "the name %s is taken by the object %s; it must be unique", quoted(rules.uniqueName()), oneLine(other.Key, 60))
}

// comparing is a type whose rules are about what becomes of an object.
type comparing[T any] interface {
	// checkChange refuses a body that must not take the place of was, which is nil
	// for a new object.
	checkChange(was *T) error
}

// compares reports whether T is such a type.
func compares[T any]() bool {
	_, ok := any((*T)(nil)).(comparing[T])
	return ok
}

// checkChange asks the rules of T about a body that is to be sent.
func checkChange[T any](was, body *T) error {
	switch rules := any(body).(type) {
	case comparing[T]:
		return rules.checkChange(was)
	case interface{ Validate() error }:
		return rules.Validate()
	}
	return nil
}

// checkKey asks the rules of T about an object that is to be changed or deleted.
func checkKey[T any](key string) error {
	if rules, ok := any((*T)(nil)).(interface{ checkKey(key string) error }); ok {
		return rules.checkKey(key)
	}
	return nil
}

// reader is what both a client and a transaction can do.
type reader interface {
	read(ctx context.Context, path apiPath, query url.Values) (*answer, error)
	get(ctx context.Context, k *call) (*answer, error)
}

func (c *Client) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	return c.get(ctx, newRead(path, query))
}

// newRead makes a call that reads.
func newRead(path apiPath, query url.Values) *call {
	return &call{class: classRead, method: http.MethodGet, path: path, query: query}
}

// get sends a read. In the function of a transaction, one of the configuration is a
// read of the transaction.
func (c *Client) get(ctx context.Context, k *call) (*answer, error) {
	if tx, ok := ctx.Value(transactionKey{c}).(*Transaction); ok && k.counts() {
		return tx.get(ctx, k)
	}
	return c.call(ctx, k)
}

func itemPath(list apiPath, key string, err error) (apiPath, error) {
	if err != nil {
		return apiPath{}, err
	}
	path, err := list.join(key)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: %s: %w", list.text, err)
	}
	return path, nil
}

// readObject reads one object.
func readObject[T any](ctx context.Context, r reader, path apiPath) (*Object[T], error) {
	o, _, err := readBody[T](ctx, r, path, false)
	return o, err
}

// readKeyed reads one object of a list.
func readKeyed[T any](ctx context.Context, r reader, path apiPath) (*Object[T], error) {
	o, _, err := readBody[T](ctx, r, path, true)
	return o, err
}

// readBody reads one object with the answer that it came in.
func readBody[T any](ctx context.Context, r reader, path apiPath, keyed bool) (*Object[T], *answer, error) {
	a, key, err := readEnvelope(ctx, r, path, keyed)
	if err != nil {
		return nil, nil, err
	}
	o, err := newObject[T](a, a.Envelope, key)
	if err != nil {
		return nil, nil, err
	}
	return o, a, nil
}

// readEnvelope reads an answer with a body. One of a list is keyed: the answer must
// be about the one that was asked for.
func readEnvelope(ctx context.Context, r reader, path apiPath, keyed bool) (a *answer, key string, err error) {
	if a, err = r.read(ctx, path, nil); err != nil {
		return nil, "", err
	}
	_, asked, _ := cutLast(path.text)
	key = asked
	if text, ok := wire.Text(a.Key); ok {
		key = text
	}
	switch {
	case a.Body == nil && a.Items != nil:
		return nil, "", a.unusable("%s is a list, not one object: use NewCollection or Client.Listing", oneLine(asked, 60))
	case a.Body == nil:
		return nil, "", a.unusable("it lacks the body of %s", oneLine(asked, 60))
	case keyed && key != asked:
		return nil, "", a.unusable("it is about %q, not %q", oneLine(key, 60), oneLine(asked, 60))
	}
	return a, key, nil
}

func newObject[T any](a *answer, e wire.Envelope, key string) (*Object[T], error) {
	o := &Object[T]{Key: key, Meta: newMeta(e.Meta)}
	if err := wire.Decode(e.Body, &o.Body); err != nil {
		return nil, a.unusable("the body of %s does not fit into %T: %s", oneLine(key, 60), o.Body, oneLine(err.Error(), 200))
	}
	return o, nil
}

// updateTries is how often an update is made anew when other steps write the object
// between its read and its write.
const updateTries = 100

// updateObject reads an object, runs the change on a copy of its body, and
// writes what was read with the difference laid over it.
func updateObject[T any](ctx context.Context, tx *Transaction, path apiPath, own, keyed bool, change func(*T) error, check func(was, body *T) error) error {
	if change == nil {
		return tx.client.fail("PUT "+path.text, invalid("no function"))
	}
	var again *outdated
	for try := 1; ; try++ {
		err := updateOnce(ctx, tx, path, own, keyed, again, change, check)
		if try == updateTries || !errors.As(err, &again) && !errors.Is(err, errStale) {
			return err
		}
		if !errors.As(err, &again) {
			again = nil
		}
	}
}

// reading is the side of a transaction that an update reads from: what it reads counts
// with the write that follows.
type reading struct {
	*Transaction
	into *version
}

func (r reading) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.own = r.into
	return r.get(ctx, k)
}

// found is the side of a transaction that shows an object as it was found last.
type foundAgain struct {
	*Transaction
	now *answer
}

func (f foundAgain) read(context.Context, apiPath, url.Values) (*answer, error) { return f.now, nil }

func updateOnce[T any](ctx context.Context, tx *Transaction, path apiPath, own, keyed bool, again *outdated, change func(*T) error, check func(was, body *T) error) error {
	read := tx.staged.version(path) // before the read, so that no write is missed
	var from reader = reading{tx, read}
	if again != nil {
		from = foundAgain{tx, again.now}
		tx.staged.reread(path, again.now.Body)
	}
	o, a, err := readBody[T](ctx, from, path, keyed)
	if err != nil {
		return err
	}
	wrote := false
	defer func() {
		if !wrote && read.early { // what it showed decided that nothing is written
			tx.looks.note(newRead(path, nil), read.sum)
		}
	}()
	before, old, err := encodeBody(tx, path, o.Body)
	if err != nil {
		return err
	}
	if err := change(&o.Body); err != nil {
		return err
	}
	after, secrets, err := encodeBody(tx, path, o.Body)
	if err != nil {
		return err
	}
	if string(before) == string(after) && (again == nil || !again.staged) {
		return nil
	}
	var was *T
	if compares[T]() {
		was = new(T) // not a copy of what change was given: that may share lists and maps
		if err := wire.Unmarshal(a.Body, was); err != nil {
			return a.unusable("its body does not fit into %T", *was)
		}
	}
	if err := check(was, &o.Body); err != nil {
		return tx.client.refusal(http.MethodPut, path, err)
	}
	if name, added := wire.Added(a.Body, before, after); own && added {
		return tx.client.refusal(http.MethodPut, path, rule("", name, "the object has no member %s, and the appliance would ignore it: is it the name in a json tag? Replace writes what it does not have", quoted(name)))
	}
	data, err := wire.Update(ctx, a.Body, before, after)
	switch {
	case errors.Is(err, wire.ErrAmbiguous):
		err = invalid("the change of a list could lose what %T does not have of its elements, because they cannot be told apart: change the list in several updates, or type the members that tell its elements", o.Body)
	case errors.Is(err, wire.ErrEffort):
		err = invalid("%s: change less in one update, or use Replace", err)
	}
	if err != nil {
		return tx.client.refusal(http.MethodPut, path, err)
	}
	wrote = true
	_, err = tx.writeFresh(ctx, http.MethodPut, path, data, read, append(secrets, old...)...)
	return err
}

// encodeBody encodes the body of an object, and returns the secrets that it shows, too.
func encodeBody[T any](tx *Transaction, path apiPath, body T) ([]byte, []Secret, error) {
	if raw, ok := any(body).(json.RawMessage); ok {
		if err := wire.Valid(raw); err != nil {
			return nil, nil, tx.client.refusal(http.MethodPut, path, invalid("the body is no proper JSON: %s", oneLine(err.Error(), 200)))
		}
	}
	data, secrets, err := reveal(body)
	if err != nil {
		return nil, nil, tx.client.refusal(http.MethodPut, path, fmt.Errorf("%w: the body cannot be encoded: %w", ErrInvalidInput, err))
	}
	return data, secrets, nil
}

// refusal says which write was refused before it was sent.
func (c *Client) refusal(method string, path apiPath, err error) error {
	about(path, err)
	if strings.HasPrefix(err.Error(), "sps: ") { // it names what it is about
		return err
	}
	return c.fail(method+" "+path.text, err)
}

// replaceObject writes a whole object. Where T has rules about what may become of
// an object, that is read first.
func replaceObject[T any](ctx context.Context, tx *Transaction, path apiPath, keyed bool, body T, check func(was, body *T) error) error {
	var was *T
	if compares[T]() {
		o, _, err := readBody[T](ctx, tx, path, keyed)
		if err != nil {
			return err
		}
		was = &o.Body
	}
	if err := check(was, &body); err != nil {
		return tx.client.refusal(http.MethodPut, path, err)
	}
	data, secrets, err := encodeBody(tx, path, body)
	if err != nil {
		return err
	}
	_, err = tx.write(ctx, http.MethodPut, path, data, secrets...)
	return err
}

// allObjects iterates over a list.
func allObjects[T any](ctx context.Context, r reader, path apiPath, err error, options []RequestOption) iter.Seq2[*Object[T], error] {
	return func(yield func(*Object[T], error) bool) {
		first, err := firstPage(path, err, options)
		if err != nil {
			yield(nil, err)
			return
		}
		for item, err := range allItems(ctx, r, first) {
			var o *Object[T]
			if err == nil {
				o, err = newObject[T](item.a, item.Envelope, item.key)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// firstPage makes the call that asks for a list, with the options that fit one.
func firstPage(path apiPath, err error, options []RequestOption) (*call, error) {
	if err != nil {
		return nil, err
	}
	k := newRead(path, url.Values{})
	k.header = http.Header{}
	if err := k.apply(options); err != nil {
		return nil, err
	}
	if k.raw {
		return nil, fmt.Errorf("sps: GET %s: %w", path.text, invalid("a list takes WithQuery, and WithHeader with another header than Accept"))
	}
	return k, nil
}

// objectByName finds one object of a list. Names are unique where the appliance
// has its way, and one that is not would be a trap for whoever deletes it.
func objectByName[T any](ctx context.Context, r reader, path apiPath, err error, name string) (*Object[T], error) {
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, fmt.Errorf("sps: GET %s: %w", path.text, invalid("the name is empty"))
	}
	var found *item
	for item, err := range allItems(ctx, r, newRead(path, nil)) {
		if err != nil {
			return nil, err
		}
		if text, ok := wire.Text(member(item.Body, "name")); !ok || text != name {
			continue
		}
		if found != nil {
			return nil, item.a.unusable("both %q and %q have the name %s", oneLine(found.key, 60), oneLine(item.key, 60), quoted(name))
		}
		found = item
	}
	if found == nil {
		return nil, &noSuchName{path, name}
	}
	return newObject[T](found.a, found.Envelope, found.key)
}

// noSuchName is both ErrNoSuchName and ResourceNotFound.
type noSuchName struct {
	path apiPath
	name string
}

func (n *noSuchName) Error() string {
	return "sps: GET " + n.path.text + ": " + ErrNoSuchName.Error() + ": " + quoted(n.name)
}

func (n *noSuchName) Unwrap() []error { return []error{ErrNoSuchName, ResourceNotFound} }

// item is one object of a list, with its body and the answer that it came in.
type item struct {
	wire.Envelope
	key string
	a   *answer
}

// allItems iterates over what is in a list, page by page. In the configuration,
// next is the link to a sibling of the list; a page is recognised by the list's
// own path. What the list shows without its body is read on its own.
func allItems(ctx context.Context, r reader, first *call) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		for listed, err := range allEntries(ctx, r, first) {
			if err == nil && listed.Body == nil {
				listed, err = readItem(ctx, r, first.path, listed)
			}
			var gone *goneItem
			if errors.As(err, &gone) {
				continue
			}
			if !yield(listed, err) || err != nil {
				return
			}
		}
	}
}

// allEntries iterates over what a list shows, with or without bodies.
func allEntries(ctx context.Context, r reader, first *call) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, err := r.get(ctx, first)
		if err != nil {
			yield(nil, err)
			return
		}
		entriesFrom(ctx, r, first, a)(yield)
	}
}

// entriesFrom is allEntries from the first page on.
func entriesFrom(ctx context.Context, r reader, first *call, a *answer) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		a, query := a, first.query // of the present page
		seen, pages := "", 0       // one earlier page, to notice a circle
		for {
			entries, err := a.list()
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range entries {
				listed, err := newItem(a, entry)
				if !yield(listed, err) || err != nil {
					return
				}
			}
			next, following, err := parseLink(newMeta(a.Meta).Next)
			if err != nil || next != first.path || len(following) == 0 {
				return
			}
			// The page that is remembered moves on at powers of two, so every
			// circle is noticed without keeping all pages.
			if pages++; pages&(pages-1) == 0 {
				seen = query.Encode()
			}
			if len(entries) == 0 || following.Encode() == seen {
				yield(nil, a.unusable("its pages do not end"))
				return
			}
			query = following
			page := newRead(first.path, query)
			page.header = first.header
			if a, err = r.get(ctx, page); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// list returns the items of an answer.
func (a *answer) list() ([][]byte, error) {
	switch {
	case a.Items == nil && a.Body != nil:
		return nil, a.unusable("it is one object, not a list: use NewSingleton")
	case a.Items == nil:
		return nil, a.unusable("it lacks the list items")
	}
	items, err := wire.Elements(a.Items)
	if err != nil {
		return nil, a.unusable("its items are no list")
	}
	return items, nil
}

// createdKey returns the key of what a POST to a list created.
func (a *answer) createdKey(list apiPath) (string, error) {
	if key, ok := wire.Text(a.Key); ok && key != "" {
		return key, nil
	}
	// The href of what was made ends with its key.
	for _, link := range []string{newMeta(a.Meta).Href, a.header.Get("Location")} {
		if u, err := url.Parse(link); err == nil { // a Location may name the host
			link = strings.TrimSuffix(u.EscapedPath(), "/")
		}
		parent, last, _ := cutLast(link)
		if p, _, err := parseLink(parent); err == nil && p == list {
			if key, err := url.PathUnescape(last); err == nil && key != "" {
				return key, nil
			}
		}
	}
	return "", a.unusable("it lacks the key of what was created")
}

// newItem splits an entry of a list. {} is a body.
func newItem(a *answer, entry []byte) (*item, error) {
	e, err := wire.ParseEnvelope(entry)
	if err != nil {
		return nil, a.unusable("an item is no object")
	}
	key, ok := wire.Text(e.Key)
	if !ok {
		return nil, a.unusable("an item lacks its key")
	}
	return &item{e, key, a}, nil
}

// readItem reads an object that a list shows by its key only.
func readItem(ctx context.Context, r reader, path apiPath, listed *item) (*item, error) {
	own, err := path.join(listed.key)
	if err != nil {
		return nil, listed.a.unusable("an item has the key %q", oneLine(listed.key, 60))
	}
	a, key, err := readEnvelope(ctx, r, own, true)
	if errors.Is(err, ResourceNotFound) {
		return nil, &goneItem{listed.key, err}
	}
	if err != nil {
		return nil, err
	}
	return &item{a.Envelope, key, a}, nil
}

// goneItem is an item that was listed, and is not found.
type goneItem struct {
	key string
	err error
}

func (g *goneItem) Error() string { return g.err.Error() }

func (g *goneItem) Unwrap() error { return g.err }

func (g *goneItem) LogValue() slog.Value { return logged(g) }

func collect[T any](all iter.Seq2[*Object[T], error]) ([]*Object[T], error) {
	var objects []*Object[T]
	for o, err := range all {
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// cutLast splits a path before its last segment.
func cutLast(path string) (before, last string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
