package sps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// This file reads and writes endpoints of the configuration with bodies of any type. The
// code has no type parameters, so that all endpoints share one copy of it.

// endpoint describes one endpoint.
type endpoint struct {
	path  apiPath
	own   bool     // the bodies have a type of the caller, not of this package
	rules []ruling // the client's checks of the bodies
	err   error    // the reason why the endpoint cannot be used, or nil
}

// ruling is a [Rule] for bodies of any type. The functions receive pointers to bodies. At
// most one of the functions is set.
type ruling struct {
	change   func(was, body any) error // was is nil for a new object
	name     func(body any) string
	key      func(key string) error
	warnings func(body any) []string
	respell  func(was, body any)
	compares bool // the rule needs the object before the change
}

// edit is a change of a body. Its function receives a pointer to the body.
type edit struct {
	like  any // a nil pointer of the body's type
	apply func(body any) error
}

// newEndpoint returns the endpoint for a handle of NewSingleton or NewCollection.
func newEndpoint(path string) *endpoint {
	e := &endpoint{own: true}
	e.path, e.err = newPath(path)
	return e
}

// describe returns an endpoint for which this package has a field.
func describe(path string) *endpoint { return &endpoint{path: mustPath(path)} }

// usable returns the reason why a handle cannot be used, or nil.
func (e *endpoint) usable(r reader) error {
	if e == nil {
		return fmt.Errorf("sps: %w", invalid("this handle is a zero value: use a field of a Client or a Transaction, NewSingleton or NewCollection"))
	}
	if e.err != nil {
		return r.at(e.err)
	}
	return r.made()
}

// in returns the endpoint for a handle of a transaction.
func (e *endpoint) in(tx *Transaction, c *Client) *endpoint {
	err := e.usable(c)
	if err == nil {
		err = tx.admit(c, e.path)
	}
	if err != nil {
		return &endpoint{err: err}
	}
	return e
}

func (e *endpoint) item(r reader, key string) (apiPath, error) {
	if err := e.usable(r); err != nil {
		return apiPath{}, err
	}
	path, err := itemPath(e.path, key)
	return path, r.at(err)
}

// get reads the object of a singleton.
func (e *endpoint) get(ctx context.Context, r reader, into parts) error {
	if err := e.usable(r); err != nil {
		return err
	}
	_, err := readObject(ctx, r, e.path, false, into)
	return err
}

// getItem reads one object of a list.
func (e *endpoint) getItem(ctx context.Context, r reader, key string, into parts) error {
	path, err := e.item(r, key)
	if err != nil {
		return err
	}
	_, err = readObject(ctx, r, path, true, into)
	return err
}

// visit calls see with the items of a list until see returns false. If reading the list
// fails, the last call of see has the error.
func (e *endpoint) visit(ctx context.Context, r reader, options []RequestOption, see func(*item, error) bool) {
	err := e.usable(r)
	var first *call
	if err == nil {
		first, err = firstPage(e.path, options)
	}
	if err != nil {
		see(nil, r.at(err))
		return
	}
	allItems(ctx, r, first)(see)
}

// list calls keep with the items of a list. It continues after an error about invalid
// UTF-8 and stops at any other error.
func (e *endpoint) list(ctx context.Context, r reader, options []RequestOption, keep func(*item, error) error) error {
	var garbled []error
	var broken error
	e.visit(ctx, r, options, func(i *item, err error) bool {
		if err = keep(i, err); isGarbled(err) {
			garbled = append(garbled, err)
			return true
		}
		broken = err
		return err == nil
	})
	if broken != nil {
		return broken
	}
	return garbledOf(garbled)
}

// getByName finds one object of a list. The appliance keeps names unique. A duplicate
// would be dangerous for callers that delete by name, so it is an error.
func (e *endpoint) getByName(ctx context.Context, r reader, name string, into parts) error {
	if err := e.usable(r); err != nil {
		return err
	}
	if name == "" {
		return r.at(fmt.Errorf("sps: GET %s: %w", e.path.Text, invalid("the name is empty")))
	}
	var found *item
	missing := &noSuchName{path: e.path, name: name}
	for item, err := range allItems(ctx, r, newRead(e.path, nil)) {
		if isGarbled(err) { // skip an item whose key is not valid UTF-8
			continue
		}
		if err != nil {
			return err
		}
		text, ok := item.name()
		if ok && text != name {
			missing.others++
			if len(missing.first) < shownNames {
				missing.first = append(missing.first, quoted(text))
			}
		}
		if !ok || text != name {
			continue
		}
		if found != nil {
			return item.a.unusable("both %q and %q have the name %s: use the key", oneLine(found.key, 60), oneLine(item.key, 60), quoted(name))
		}
		found = item
	}
	if found == nil {
		return r.at(missing)
	}
	return found.into(into, nil)
}

// noSuchName is an error that is both ErrNoSuchName and ResourceNotFound.
type noSuchName struct {
	path   apiPath
	name   string
	first  []string // the first names in the list, quoted
	others int      // the number of names in the list
}

// shownNames is the maximum number of names that an error lists.
const shownNames = 5

func (n *noSuchName) Error() string {
	text := "sps: GET " + n.path.Text + ": " + ErrNoSuchName.Error() + ": " + quoted(n.name)
	if n.others == 0 {
		return text + "; the list has no names"
	}
	text += "; the list has " + strings.Join(n.first, ", ")
	if more := n.others - len(n.first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (n *noSuchName) Unwrap() []error { return []error{ErrNoSuchName, ResourceNotFound} }

// create adds an object to a list.
func (e *endpoint) create(ctx context.Context, tx *Transaction, body any) (key string, err error) {
	if err := e.usable(tx); err != nil {
		return "", err
	}
	if err := e.check(ctx, tx, "", nil, body); err != nil {
		return "", tx.client.refusal(http.MethodPost, e.path, err)
	}
	data, secrets, err := encodeBody(tx, e.path, body)
	if err != nil {
		return "", err
	}
	a, err := tx.write(ctx, http.MethodPost, e.path, data, secrets...)
	if err != nil {
		return "", err
	}
	if key, err = a.createdKey(e.path); err != nil {
		tx.spoil(err)
		return "", err
	}
	return key, nil
}

// update changes the object of a singleton.
func (e *endpoint) update(ctx context.Context, tx *Transaction, change *edit) error {
	if err := e.usable(tx); err != nil {
		return err
	}
	return e.updateObject(ctx, tx, e.path, "", change)
}

// updateItem changes one object of a list.
func (e *endpoint) updateItem(ctx context.Context, tx *Transaction, key string, change *edit) error {
	path, err := e.writable(tx, http.MethodPut, key)
	if err != nil {
		return err
	}
	return e.updateObject(ctx, tx, path, key, change)
}

// replace writes the whole object of a singleton.
func (e *endpoint) replace(ctx context.Context, tx *Transaction, body any) error {
	if err := e.usable(tx); err != nil {
		return err
	}
	return e.replaceObject(ctx, tx, e.path, "", body)
}

// replaceItem writes one whole object of a list.
func (e *endpoint) replaceItem(ctx context.Context, tx *Transaction, key string, body any) error {
	path, err := e.writable(tx, http.MethodPut, key)
	if err != nil {
		return err
	}
	return e.replaceObject(ctx, tx, path, key, body)
}

// delete deletes one object of a list.
func (e *endpoint) delete(ctx context.Context, tx *Transaction, key string) error {
	path, err := e.writable(tx, http.MethodDelete, key)
	if err != nil {
		return err
	}
	_, err = tx.write(ctx, http.MethodDelete, path, nil)
	return err
}

// writable returns the path of an object, or an error if a rule about keys forbids
// writing the object.
func (e *endpoint) writable(tx *Transaction, method, key string) (apiPath, error) {
	path, err := e.item(tx, key)
	if err != nil {
		return apiPath{}, err
	}
	for _, r := range e.rules {
		if r.key == nil {
			continue
		}
		if err := r.key(key); err != nil {
			return apiPath{}, tx.client.refusal(method, path, err)
		}
	}
	return path, nil
}

// compares reports whether a rule needs the object before the change.
func (e *endpoint) compares() bool {
	for _, r := range e.rules {
		if r.compares {
			return true
		}
	}
	return false
}

// check applies the rules to a body before it is sent. was is the body on the appliance,
// or nil for a new object. key is "" for a new object and for a singleton.
func (e *endpoint) check(ctx context.Context, tx *Transaction, key string, was, body any) error {
	for _, r := range e.rules {
		if r.change != nil {
			if err := r.change(was, body); err != nil {
				return err
			}
		}
		if r.warnings != nil {
			e.warn(ctx, tx, r.warnings, was, body)
		}
		if r.name == nil || was != nil && r.name(was) == r.name(body) {
			continue
		}
		if err := e.checkName(ctx, tx, key, r.name(body)); err != nil {
			return err
		}
	}
	return nil
}

// warn logs the warnings about a body before it is sent, except warnings that also apply
// to the body on the appliance.
func (e *endpoint) warn(ctx context.Context, tx *Transaction, warnings func(any) []string, was, body any) {
	logger := tx.client.transport.logger
	if logger == nil {
		return
	}
	var known []string
	if was != nil {
		known = warnings(was)
	}
	for _, warning := range warnings(body) {
		if !slices.Contains(known, warning) {
			logger.WarnContext(ctx, "sps: "+warning, "host", tx.client.transport.host, "path", e.path.Text)
		}
	}
}

// checkName returns an error if another object of the list has this name. It opens the
// transaction, so that nobody else can add a name, and reads the names once per
// transaction.
func (e *endpoint) checkName(ctx context.Context, tx *Transaction, key, name string) error {
	if err := tx.ensureOpen(ctx); err != nil {
		return err
	}
	owner, known := tx.staged.nameOf(e.path, name)
	if !known {
		names, since := make(map[string]string), tx.staged.steps()
		for item, err := range allItems(ctx, tx, newRead(e.path, nil)) {
			if isGarbled(err) {
				continue
			}
			if err != nil {
				return err
			}
			if text, ok := item.name(); ok {
				names[text] = item.key
			}
		}
		tx.staged.keepNames(e.path, names, since)
		owner = names[name]
	}
	if owner == "" || owner == key {
		return nil
	}
	return breach(SemanticError, "name", "the name %s is already used by the object %s; it must be unique", quoted(name), oneLine(owner, 60))
}

// updateTries is the maximum number of attempts of an update. An update is repeated if
// other steps write the object between its read and its write.
const updateTries = 100

// updateObject reads an object, decodes its body, calls change with the decoded body, and
// writes the original body with the differences applied.
func (e *endpoint) updateObject(ctx context.Context, tx *Transaction, path apiPath, key string, change *edit) error {
	if change == nil {
		return tx.client.fail("PUT "+path.Text, invalid("the function is nil"))
	}
	var again *outdated
	for try := 1; ; try++ {
		err := e.updateOnce(ctx, tx, path, key, again, change)
		if try == updateTries || !errors.As(err, &again) && !errors.Is(err, errStale) {
			return err
		}
		if !errors.As(err, &again) {
			again = nil
		}
	}
}

// reading is the reader of an update. It stores the version of the object in the field
// into, because the following write depends on this version.
type reading struct {
	*Transaction
	into *version
}

func (r reading) read(ctx context.Context, path apiPath, query url.Values) (*answer, error) {
	k := newRead(path, query)
	k.own = r.into
	return r.get(ctx, k)
}

// foundAgain is the reader of a repeated update. It returns the current object, which the
// client has already read.
type foundAgain struct {
	*Transaction
	now *answer
}

func (f foundAgain) read(context.Context, apiPath, url.Values) (*answer, error) { return f.now, nil }

func (e *endpoint) updateOnce(ctx context.Context, tx *Transaction, path apiPath, key string, again *outdated, change *edit) error {
	read := tx.staged.version(path) // before the read, so that no write is missed
	var from reader = reading{tx, read}
	if again != nil {
		from = foundAgain{tx, again.now}
		tx.staged.reread(path, again.now.Body)
	}
	o := parts{new(string), new(Meta), likeBody(change.like)}
	a, err := readObject(ctx, from, path, key != "", o)
	if err != nil {
		return err
	}
	wrote := false
	defer func() {
		if !wrote && read.early { // the decision to write nothing depends on this read, so record the read for the repetition
			tx.looks.note(newRead(path, nil), read.sum)
		}
	}()
	before, old, err := encodeBody(tx, path, o.body)
	if err != nil {
		return err
	}
	if err := change.apply(o.body); err != nil {
		return err
	}
	for _, r := range e.rules {
		if was := likeBody(o.body); r.respell != nil && wire.Unmarshal(a.Body, was) == nil {
			r.respell(was, o.body)
		}
	}
	after, secrets, err := encodeBody(tx, path, o.body)
	if err != nil {
		return err
	}
	if string(before) == string(after) && (again == nil || !again.staged) {
		return nil
	}
	var was any
	if e.compares() {
		was = likeBody(change.like) // decoded again, because the value that change has modified may share lists and maps with a copy
		if err := wire.Unmarshal(a.Body, was); err != nil {
			return a.unusable("the body does not fit into %s", bodyType(was))
		}
	}
	if err := e.check(ctx, tx, key, was, o.body); err != nil {
		return tx.client.refusal(http.MethodPut, path, err)
	}
	data, unknown, err := wire.Lay(ctx, a.Body, before, after)
	switch {
	case e.own && unknown != "":
		err = breach("", unknown, "the object has no member %s, and the appliance would ignore it: check the name in the json tag, or use Replace to add a member", quoted(unknown))
	case errors.Is(err, wire.ErrAmbiguous):
		err = invalid("the change of a list could lose members that %s does not have, because its elements cannot be told apart: change the list in several updates, or add the members that identify its elements to the type", bodyType(o.body))
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

// replaceObject writes a whole object. It reads the object first if a rule needs it.
func (e *endpoint) replaceObject(ctx context.Context, tx *Transaction, path apiPath, key string, body any) error {
	var was any
	if e.compares() {
		o := parts{new(string), new(Meta), likeBody(body)}
		if _, err := readObject(ctx, tx, path, key != "", o); err != nil {
			return err
		}
		was = o.body
	}
	if err := e.check(ctx, tx, key, was, body); err != nil {
		return tx.client.refusal(http.MethodPut, path, err)
	}
	data, secrets, err := encodeBody(tx, path, body)
	if err != nil {
		return err
	}
	_, err = tx.write(ctx, http.MethodPut, path, data, secrets...)
	return err
}

// likeBody returns an empty body of the same type.
func likeBody(body any) any { return reflect.New(reflect.TypeOf(body).Elem()).Interface() }

// encodeBody encodes the body of an object. It also returns the secrets in the body.
func encodeBody(tx *Transaction, path apiPath, body any) ([]byte, []Secret, error) {
	if raw, ok := body.(*json.RawMessage); ok {
		if err := wire.Valid(*raw); err != nil {
			return nil, nil, tx.client.refusal(http.MethodPut, path, invalid("the body is not valid JSON: %s", oneLine(err.Error(), 200)))
		}
	}
	data, secrets, err := reveal(body)
	if err != nil {
		return nil, nil, tx.client.refusal(http.MethodPut, path, fmt.Errorf("%w: the body cannot be encoded: %w", ErrInvalidInput, err))
	}
	return data, secrets, nil
}

// refusal adds the operation to the error of a write that was refused before it was sent.
func (c *Client) refusal(method string, path apiPath, err error) error {
	about(path, err)
	if strings.HasPrefix(err.Error(), "sps: ") { // it already names its operation
		return err
	}
	return c.fail(method+" "+path.Text, err)
}

// readObject reads one object. If keyed is true, the object is in a list, and the answer
// must contain the requested key.
func readObject(ctx context.Context, r reader, path apiPath, keyed bool, into parts) (*answer, error) {
	a, key, err := readEnvelope(ctx, r, path, keyed)
	if err != nil {
		return nil, err
	}
	return a, (&item{a.Envelope, key, a}).into(into, nil)
}
