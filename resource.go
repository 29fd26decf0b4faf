package sps

import (
	"context"
	"iter"
)

// The handles in this file have type parameters. They call the code in endpoint.go, which
// works for bodies of any type.

// Singleton reads an endpoint that holds one object, such as
// configuration/management/email. Use a field of a [Client], or call [NewSingleton] for
// an endpoint without a field. The field with the same name in a [Transaction] is a
// [SingletonTx], which writes the endpoint.
//
// T is the type of the body. The methods of the zero value return [ErrInvalidInput].
type Singleton[T any] struct {
	client   *Client
	endpoint *endpoint
}

// NewSingleton returns a handle for an endpoint below /api/ for which the SDK has no
// field:
//
//	email := sps.NewSingleton[Email](client, "configuration/management/email")
//
// The path may begin with /api/, as in links. Do not escape it, with one exception: write
// a slash within a key as %2F. Methods that take a key return [ErrInvalidInput] for a key
// with a slash. If the path is invalid, the methods of the handle return ErrInvalidInput.
// The client checks the rules before it sends a body.
//
// T is your type for the body. Give its fields json tags, because member names are
// case-sensitive, and because the appliance ignores a member with an unknown name without
// an error. To detect a wrong name, an update returns ErrInvalidInput if it would add a
// member that the object does not have, at any depth. There are two exceptions. If an
// update changes a member named enabled, selection or type, it may add members to the
// object that contains this member, and to the objects below. In a list, a new element
// may have any members, and an existing element may get members that another element of
// the list has. Create and Replace send the body without this check.
//
// An update keeps the members that T does not have. Avoid omitempty, because the
// appliance expects empty members to be present. Use json.Number for a number that must
// keep all of its digits.
func NewSingleton[T any](c *Client, path string, rules ...Rule[T]) Singleton[T] {
	e := newEndpoint(path)
	for _, r := range rules {
		e.rules = append(e.rules, r.ruling)
	}
	return Singleton[T]{c, e}
}

// Get reads the object (GET). It returns [ResourceNotFound] if the appliance does not
// have the endpoint.
func (s Singleton[T]) Get(ctx context.Context) (*Object[T], error) {
	o := new(Object[T])
	return o.or(s.endpoint.get(ctx, s.client, o.parts()))
}

// In returns a handle that reads and writes the same endpoint in a transaction.
func (s Singleton[T]) In(tx *Transaction) SingletonTx[T] {
	return SingletonTx[T]{tx, s.endpoint.in(tx, s.client)}
}

// SingletonTx reads and writes an endpoint with one object in a transaction.
type SingletonTx[T any] struct {
	tx       *Transaction
	endpoint *endpoint
}

// Get reads the object, including the changes that the transaction has staged.
func (s SingletonTx[T]) Get(ctx context.Context) (*Object[T], error) {
	o := new(Object[T])
	return o.or(s.endpoint.get(ctx, s.tx, o.parts()))
}

// Update changes the object (GET, then PUT). It reads the object, calls change with the
// body, and writes the members that change has modified. It keeps the other members,
// including those that T does not have. If change modifies nothing or returns an error,
// Update writes nothing. It returns the error of change. If the object has changed
// between the read and the write, Update may call change again with the current body.
//
// List elements keep the members that T does not have, even if change adds, removes or
// moves elements. If Update cannot match the new elements with the old elements and would
// lose data, it returns [ErrInvalidInput] and writes nothing.
//
// The appliance may refuse the write with [SyntacticError], [SemanticError] or
// [Unauthorized].
func (s SingletonTx[T]) Update(ctx context.Context, change func(*T) error) error {
	return s.endpoint.update(ctx, s.tx, editing(change))
}

// Replace writes the whole object (PUT). The object loses the members that body does not
// have, including those that T does not have. Use [SingletonTx.Update] to keep these
// members.
func (s SingletonTx[T]) Replace(ctx context.Context, body T) error {
	return s.endpoint.replace(ctx, s.tx, &body)
}

// Collection reads an endpoint that holds a list of objects, such as
// configuration/trust_stores. Use a field of a [Client], or call [NewCollection] for an
// endpoint without a field. The field with the same name in a [Transaction] is a
// [CollectionTx], which writes the endpoint.
//
// T is the type of the bodies. The methods of the zero value return [ErrInvalidInput].
type Collection[T any] struct {
	client   *Client
	endpoint *endpoint
}

// NewCollection returns a handle for a list endpoint below /api/ for which the SDK has no
// field. See [NewSingleton] for the path, for T and for the rules.
func NewCollection[T any](c *Client, path string, rules ...Rule[T]) Collection[T] {
	return Collection[T](NewSingleton(c, path, rules...))
}

// All iterates over the objects in the order of the appliance, page by page if the list
// is paged. If the list contains an item without its body, All reads the item with a
// request of its own. It leaves out the item if it was deleted meanwhile. Some lists
// outside of the configuration have records without keys, such as the events of a
// session. All returns such a record as the body of an object with an empty key.
//
// An error ends the iteration, with one exception: for an item with text that is not
// valid UTF-8, All returns [ErrBadAnswer] and then continues with the next item.
//
// All follows the links in the responses from page to page. It returns ErrBadAnswer if a
// link leads to another endpoint although the response reports that the list has more
// items (match_count). It also returns ErrBadAnswer if the pages do not end: after three
// pages that repeat the items of an earlier page, after a link to an earlier page, or
// after 25,000 pages.
//
// [WithQuery] sets query parameters, such as q or fields, in the request for the first
// page; the links in the responses contain the parameters for the other pages.
// [WithHeader] applies to all pages. All returns [ErrInvalidInput] for an Accept header
// other than application/json.
func (c Collection[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return objects[T](ctx, c.endpoint, c.client, options)
}

// List returns all objects of [Collection.All] in one slice. If the text of some objects
// is not valid UTF-8, it returns the other objects, and an error that names the objects
// with invalid text.
func (c Collection[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return list[T](ctx, c.endpoint, c.client, options)
}

// Get reads one object by its key. It returns [ResourceNotFound] if the object does not
// exist, and [ErrInvalidInput] if the key is invalid.
func (c Collection[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getItem(ctx, c.client, key, o.parts()))
}

// GetByName reads the object whose body has the given name. If no object has the name,
// the error is both [ErrNoSuchName] and [ResourceNotFound]. If the appliance does not
// have the list, the error is ResourceNotFound but not ErrNoSuchName.
func (c Collection[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getByName(ctx, c.client, name, o.parts()))
}

// In returns a handle that reads and writes the same list in a transaction.
func (c Collection[T]) In(tx *Transaction) CollectionTx[T] {
	return CollectionTx[T]{tx, c.endpoint.in(tx, c.client)}
}

// CollectionTx reads and writes a list of objects in a transaction.
type CollectionTx[T any] struct {
	tx       *Transaction
	endpoint *endpoint
}

// All iterates like [Collection.All], including the changes that the transaction has
// staged.
func (c CollectionTx[T]) All(ctx context.Context, options ...RequestOption) iter.Seq2[*Object[T], error] {
	return objects[T](ctx, c.endpoint, c.tx, options)
}

// List returns all objects of [CollectionTx.All] in one slice.
func (c CollectionTx[T]) List(ctx context.Context, options ...RequestOption) ([]*Object[T], error) {
	return list[T](ctx, c.endpoint, c.tx, options)
}

// Get reads one object like [Collection.Get], including the changes that the transaction
// has staged.
func (c CollectionTx[T]) Get(ctx context.Context, key string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getItem(ctx, c.tx, key, o.parts()))
}

// GetByName reads the object with the given name like [Collection.GetByName], including
// the changes that the transaction has staged.
func (c CollectionTx[T]) GetByName(ctx context.Context, name string) (*Object[T], error) {
	o := new(Object[T])
	return o.or(c.endpoint.getByName(ctx, c.tx, name, o.parts()))
}

// Create adds an object (POST) and returns the key that the appliance has assigned. The
// client does not repeat a POST that the appliance may have executed. The errors are
// those of [SingletonTx.Update].
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

// Delete deletes one object (DELETE). It returns [ResourceNotFound] if the object does
// not exist. The appliance refuses to delete objects that are built in or in use.
func (c CollectionTx[T]) Delete(ctx context.Context, key string) error {
	return c.endpoint.delete(ctx, c.tx, key)
}

// Rule is a check of the objects of one endpoint: [CheckBody], [CheckChange], [CheckKey]
// or [UniqueName]. The client checks the rules before it sends a write. If a rule fails,
// the call returns the error of the rule and does not send the write. The zero value, and
// a rule with a nil function, check nothing.
type Rule[T any] struct{ ruling }

// CheckBody returns a rule that calls check with each body before it is sent.
func CheckBody[T any](check func(body *T) error) Rule[T] {
	if check == nil {
		return Rule[T]{}
	}
	return Rule[T]{ruling{change: func(_, body any) error { return check(body.(*T)) }}}
}

// CheckChange returns a rule that calls check with the body of an object before and after
// a change. was is the body on the appliance, or nil for a new object. body is the body
// to be sent. With this rule, Replace reads the object first.
func CheckChange[T any](check func(was, body *T) error) Rule[T] {
	if check == nil {
		return Rule[T]{}
	}
	return Rule[T]{ruling{compares: true, change: func(was, body any) error {
		old, _ := was.(*T)
		return check(old, body.(*T))
	}}}
}

// CheckKey returns a rule that calls check with the key of an object before the client
// changes or deletes the object.
func CheckKey[T any](check func(key string) error) Rule[T] { return Rule[T]{ruling{key: check}} }

// UniqueName returns a rule that refuses an object if another object of the list has the
// same name. name must return the value of the member "name" of a body. The rule does not
// compare the objects of concurrent calls with each other.
func UniqueName[T any](name func(body *T) string) Rule[T] {
	if name == nil {
		return Rule[T]{}
	}
	return Rule[T]{ruling{compares: true, name: func(body any) string { return name(body.(*T)) }}}
}

// logWarnings returns a rule that logs the warnings about a body before it is sent. It
// does not log a warning that also applies to the body on the appliance.
func logWarnings[T any](warnings func(body *T) []string) Rule[T] {
	return Rule[T]{ruling{compares: true, warnings: func(body any) []string { return warnings(body.(*T)) }}}
}

// keepSpelling returns a rule for updates that calls respell. If a value differs from the
// value on the appliance in its spelling only, respell restores the spelling of the
// appliance.
func keepSpelling[T any](respell func(was, body *T)) Rule[T] {
	return Rule[T]{ruling{respell: func(was, body any) { respell(was.(*T), body.(*T)) }}}
}

// spec is an endpoint of this package, with the type of its bodies as T.
type spec[T any] struct{ endpoint *endpoint }

// checked returns the spec with additional rules.
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

// editing makes an edit from a function that changes a body.
func editing[T any](change func(*T) error) *edit {
	if change == nil {
		return nil
	}
	return &edit{(*T)(nil), func(body any) error { return change(body.(*T)) }}
}

// parts returns pointers to the parts of an object, where a read stores its result.
func (o *Object[T]) parts() parts { return parts{&o.Key, &o.Meta, &o.Body} }

// or returns the object if err is nil. Otherwise it returns the error.
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

// list returns a list in one slice.
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
