package spstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

const (
	configurationPath = "configuration"
	accountingPath    = "configuration/management/accounting"
)

// store is one state of the configuration.
type store struct {
	bodies map[string]json.RawMessage // the bodies by path, in the form of responses
	keys   map[string][]string        // the keys of the objects of each collection, in order
}

func (s *store) clone() *store {
	c := &store{bodies: maps.Clone(s.bodies), keys: make(map[string][]string, len(s.keys))}
	for p, keys := range s.keys {
		c.keys[p] = slices.Clone(keys)
	}
	return c
}

func (s *store) add(collection, key string, body json.RawMessage) {
	p := collection + "/" + key
	if _, ok := s.bodies[p]; !ok {
		s.keys[collection] = append(s.keys[collection], key)
	}
	s.bodies[p] = body
}

func (s *store) remove(collection, key string) {
	delete(s.bodies, collection+"/"+key)
	s.keys[collection] = slices.DeleteFunc(s.keys[collection], func(k string) bool { return k == key })
}

func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// configurationMeta returns the meta object of a path below configuration. Its first,
// last, next and previous are the links of sibling paths.
func (a *Appliance) configurationMeta(p string, s *store) object {
	meta := object{"href": href(p), "transaction": href("transaction"), "next": nil, "previous": nil}
	if p == configurationPath {
		// In the guide's sample, the parent is null here.
		meta["parent"], meta["first"], meta["last"] = nil, href(p), href(p)
		return meta
	}
	parent := parentOf(p)
	meta["parent"] = href(parent)
	var siblings []string
	if n := a.nodes[parent]; n != nil && n.collection {
		for _, key := range s.keys[parent] {
			siblings = append(siblings, parent+"/"+key)
		}
	} else {
		siblings = children(a.nodes, parent)
	}
	if len(siblings) == 0 {
		meta["first"], meta["last"] = href(p), href(p)
		return meta
	}
	meta["first"], meta["last"] = href(siblings[0]), href(siblings[len(siblings)-1])
	i := slices.Index(siblings, p)
	if i > 0 {
		meta["previous"] = href(siblings[i-1])
	}
	if i >= 0 && i < len(siblings)-1 {
		meta["next"] = href(siblings[i+1])
	}
	return meta
}

// view returns the configuration with the staged changes of a session.
func (a *Appliance) view(s *session) *store {
	if s.pending != nil && s.pending.staged != nil {
		return s.pending.staged
	}
	return a.committed
}

func (a *Appliance) getListing(x *exchange) answer {
	items := []object{}
	for _, child := range children(a.nodes, x.path) {
		items = append(items, object{"key": path.Base(child), "meta": object{"href": href(child)}})
	}
	return reply(http.StatusOK, object{"items": items, "meta": a.configurationMeta(x.path, a.view(x.session))})
}

func (a *Appliance) getCollection(x *exchange) answer {
	s := a.view(x.session)
	items := []object{}
	for _, key := range s.keys[x.path] {
		p := x.path + "/" + key
		item := object{"key": key, "meta": object{"href": href(p)}}
		if !a.profile.thinLists {
			item["body"] = s.bodies[p]
		}
		items = append(items, item)
	}
	list := object{"items": items}
	if x.path != trustStoresPath || a.variant("trust-store-list-meta") == "present" {
		list["meta"] = a.configurationMeta(x.path, s)
	}
	return reply(http.StatusOK, list)
}

func (a *Appliance) getSingleton(x *exchange) answer { return a.show(x) }

func (a *Appliance) getItem(x *exchange) answer { return a.show(x) }

func (a *Appliance) show(x *exchange) answer {
	s := a.view(x.session)
	body, ok := s.bodies[x.path]
	if !ok {
		return a.notFound(x)
	}
	return reply(http.StatusOK, object{"body": body, "key": x.last(), "meta": a.configurationMeta(x.path, s)})
}

// writable checks whether a session may write. If not, it returns the error response and
// false.
func (a *Appliance) writable(x *exchange) (answer, bool) {
	switch {
	case x.session.pending == nil && !a.opensByItself(), x.under != nil && x.under != x.session.pending:
		return a.refuseWithout(x), false
	case a.variant("lock-taken") != "commit" && a.locked(x.session):
		return a.refuseLocked(x), false
	}
	return answer{}, true
}

// opensByItself reports whether a change opens a transaction if none is open.
func (a *Appliance) opensByItself() bool {
	if picked, ok := a.variants["no-transaction"]; ok {
		return picked == "opens"
	}
	return a.profile.autoOpen
}

// refuseWithout refuses a change without a transaction. If changes open a transaction,
// this happens only to a change whose transaction ended while the change was being
// executed.
func (a *Appliance) refuseWithout(x *exchange) answer {
	const message = "No open transaction is available, open one first"
	if a.variant("no-transaction") == "opens" {
		return x.fail(http.StatusConflict, "Conflict", message, nil)
	}
	return a.refuse(x, "no-transaction", message, nil)
}

// read checks the body of a write and converts it to the form of responses.
func (a *Appliance) read(x *exchange, n *node) (json.RawMessage, answer, bool) {
	v, err := decode(x.body)
	if err != nil {
		return nil, a.invalidBody(x), false
	}
	x.ignored = n.shape.ignored(v, "")
	shown, bad := n.shape.accept(v, nil)
	if bad != nil {
		return nil, a.syntacticError(x, memberPath(x.path, bad.where), bad.message), false
	}
	if n.check != nil {
		var refusal answer
		var ok bool
		if shown, refusal, ok = n.check(a, x, shown); !ok {
			return nil, refusal, false
		}
	}
	return encode(shown), answer{}, true
}

// memberPath returns the link to a member of an object: the link of the object, "#" and
// the path of the member.
func memberPath(p string, where []string) string {
	if len(where) == 0 {
		return href(p)
	}
	return href(p) + "#" + strings.Join(where, "/")
}

// stage adds a change to the staged changes of the session. The first change opens the
// transaction and takes the lock, unless the variant lock-taken makes the commit take it.
func (a *Appliance) stage(x *exchange, changed string, change func(*store)) (answer, bool) {
	if a.variant("semantic-check") == "write" {
		candidate := a.view(x.session).clone()
		change(candidate)
		if found := a.inconsistencies(candidate); len(found) > 0 {
			return a.semanticError(x, found), false
		}
	}
	if x.holds() {
		x.under = x.session.pending
		return answer{}, false
	}
	a.open(x.session, true)
	t := x.session.pending
	change(t.staged)
	if !slices.Contains(t.paths, changed) {
		t.paths = append(t.paths, changed)
	}
	return answer{}, true
}

func (a *Appliance) putSingleton(x *exchange) answer {
	return a.put(x, a.nodes[x.path])
}

func (a *Appliance) putItem(x *exchange) answer {
	if _, ok := a.view(x.session).bodies[x.path]; !ok {
		return a.notFound(x)
	}
	return a.put(x, a.nodes[parentOf(x.path)])
}

func (a *Appliance) put(x *exchange, n *node) answer {
	if ans, ok := a.writable(x); !ok {
		return ans
	}
	if a.nodes[x.path] == nil && builtIn(x.last()) {
		return a.refuseBuiltIn(x)
	}
	body, ans, ok := a.read(x, n)
	if !ok {
		return ans
	}
	if ans, ok := a.stage(x, x.path, func(s *store) { s.bodies[x.path] = body }); !ok {
		return ans
	}
	meta := a.configurationMeta(x.path, a.view(x.session))
	switch a.variant("put-answer") {
	case "201":
		return reply(http.StatusCreated, object{"meta": meta})
	case "204":
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": meta})
}

func (a *Appliance) createItem(x *exchange) answer {
	if ans, ok := a.writable(x); !ok {
		return ans
	}
	n := a.nodes[x.path]
	body, ans, ok := a.read(x, n)
	if !ok {
		return ans
	}
	if nameOf(body) == "" && !n.secrets {
		return a.syntacticError(x, memberPath(x.path, []string{"name"}), "The object needs a name")
	}
	if x.key == "" {
		x.key = a.newKey(n)
	}
	key := x.key
	p := x.path + "/" + key
	if ans, ok := a.stage(x, p, func(s *store) { s.add(x.path, key, body) }); !ok {
		return ans
	}
	created := object{"key": key, "meta": a.configurationMeta(p, a.view(x.session))}
	if a.variant("create-answer") == "body" {
		created["body"] = body
	}
	return reply(http.StatusCreated, created)
}

func (a *Appliance) newKey(n *node) string {
	if !n.uuids {
		return a.id("object", 22)
	}
	s := a.id("uuid", 32)
	return strings.Join([]string{s[:8], s[8:12], "4" + s[13:16], "a" + s[17:20], s[20:]}, "-")
}

func (a *Appliance) deleteItem(x *exchange) answer {
	s := a.view(x.session)
	if _, ok := s.bodies[x.path]; !ok {
		return a.notFound(x)
	}
	if ans, ok := a.writable(x); !ok {
		return ans
	}
	if builtIn(x.last()) {
		return a.refuseBuiltIn(x)
	}
	if users := s.usersOf(href(x.path)); len(users) > 0 {
		return a.refuse(x, "delete-refused", "The object is in use",
			a.semanticDetails([]inconsistency{{"The object is in use", append([]string{href(x.path)}, users...)}}))
	}
	meta := a.configurationMeta(x.path, s)
	if ans, ok := a.stage(x, x.path, func(s *store) { s.remove(parentOf(x.path), path.Base(x.path)) }); !ok {
		return ans
	}
	if a.variant("delete-answer") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": meta})
}

// builtIn reports whether an object is built in: its key is a negative number.
func builtIn(key string) bool { return strings.HasPrefix(key, "-") }

func (a *Appliance) refuseBuiltIn(x *exchange, where ...string) answer {
	return a.refuse(x, "built-in-refused", "Built-in objects cannot be created, changed or deleted", a.pathDetails(memberPath(x.path, where)))
}

// Configuration returns the committed body at a path below configuration, such as
// "management/email" or "policies/audit_policies/<key>". It returns false if there is no
// such body.
func (a *Appliance) Configuration(p string) (json.RawMessage, bool) {
	a.enter()
	defer a.mu.Unlock()
	body, ok := a.committed.bodies[configurationNode(p)]
	return bytes.Clone(body), ok
}

// SetConfiguration replaces the committed body at a path below configuration, as if
// another user had changed it. Write references in the form of responses: an object with
// key and meta. The appliance does not check the body or derive members from it, and from
// then on it accepts the members of the new body from clients, too. If the path does not
// exist, it is added: as an object if it is below a collection, otherwise as a new
// endpoint.
//
// SetConfiguration panics if the body is not JSON.
func (a *Appliance) SetConfiguration(p string, body json.RawMessage) {
	v, err := decode(body)
	if err != nil {
		panic(fmt.Sprintf("spstest: SetConfiguration of %s: %v", p, err))
	}
	body = bytes.Clone(body)
	p = configurationNode(p)
	a.enter()
	defer a.mu.Unlock()
	collection := ""
	switch parent := a.nodes[parentOf(p)]; {
	case parent != nil && parent.collection:
		collection = parentOf(p)
		parent.shape = merge(parent.shape, infer(v))
	case a.nodes[p] != nil:
		a.nodes[p].shape = merge(a.nodes[p].shape, infer(v))
	default:
		a.nodes[p] = &node{shape: infer(v)}
	}
	set := func(s *store) {
		if collection != "" {
			s.add(collection, path.Base(p), body)
			return
		}
		s.bodies[p] = body
	}
	set(a.committed)
	for _, t := range a.stagedTransactions() {
		if !slices.Contains(t.paths, p) {
			set(t.staged)
		}
	}
}

func configurationNode(p string) string {
	p = strings.Trim(strings.TrimPrefix(strings.TrimPrefix(p, "/"), "api/"), "/")
	return configurationPath + "/" + strings.TrimPrefix(p, configurationPath+"/")
}
