package spstest

import (
	"encoding/json"
	"net/http"
	"slices"
)

func (a *Appliance) getChanges(x *exchange) answer {
	meta := x.meta()
	meta["transaction"] = href("transaction")
	body := object{"meta": meta}
	changes := []object{}
	if x.session.pending != nil {
		changes = append(changes, a.changes(x.session.pending)...)
	}
	if len(changes) > 0 || a.variant("empty-changes") == "list" {
		body["changes"] = changes
	}
	return reply(http.StatusOK, body)
}

// changes compares the staged changes of a transaction with the committed configuration,
// which others may have changed since the transaction was opened.
func (a *Appliance) changes(t *transaction) []object {
	if t.staged == nil {
		return nil
	}
	var changes []object
	for _, p := range t.paths {
		before, had := a.committed.bodies[p]
		after, has := t.staged.bodies[p]
		switch {
		case had && !has:
			changes = append(changes, object{"type": "delete", "path": href(p), "old_value": before})
		case !had && has:
			changes = append(changes, object{"type": "create", "path": href(p), "new_value": after})
		case had && !sameJSON(before, after):
			if moved := a.reorders(p, before, after); moved != nil {
				changes = append(changes, moved...)
				continue
			}
			changes = append(changes, a.replacements(p, before, after)...)
		}
	}
	return changes
}

// orderMember is the member of an object that lists the order of its other members.
const orderMember = "@order"

// reorders returns changes of the type reorder if the two values differ only in the order
// of members, and nil otherwise.
func (a *Appliance) reorders(p string, before, after json.RawMessage) []object {
	was, errWas := decode(before)
	is, errIs := decode(after)
	if errWas != nil || errIs != nil || a.variant("reorder") == "replace" {
		return nil
	}
	moves, ok := moved(was, is, nil)
	if !ok {
		return nil
	}
	var changes []object
	for _, m := range moves {
		where := href(p)
		if a.variant("change-path") == "member" {
			where = memberPath(p, m.where)
		}
		changes = append(changes, object{"type": "reorder", "path": where, "old_order": m.before, "new_order": m.after})
	}
	return changes
}

// move is a changed order: the list in orderMember has the same elements in another
// order.
type move struct {
	where         []string
	before, after []any
}

// moved returns the changed orders between two values. ok is false if the values differ
// in anything else.
func moved(was, is any, where []string) (moves []move, ok bool) {
	before, isObject := was.(object)
	after, stays := is.(object)
	if !isObject || !stays {
		return nil, sameJSON(encode(was), encode(is))
	}
	for _, name := range unionOfKeys(before, after) {
		_, had := before[name]
		_, has := after[name]
		if !had || !has {
			return nil, false
		}
		old, isList := before[name].([]any)
		now, staysList := after[name].([]any)
		if name == orderMember && isList && staysList && sameElements(old, now) {
			if !sameJSON(encode(old), encode(now)) {
				moves = append(moves, move{where, old, now})
			}
			continue
		}
		inner, ok := moved(before[name], after[name], append(where[:len(where):len(where)], name))
		if !ok {
			return nil, false
		}
		moves = append(moves, inner...)
	}
	return moves, true
}

func sameElements(l, r []any) bool {
	spell := func(list []any) []string {
		all := make([]string, len(list))
		for i, e := range list {
			all[i] = string(encode(e))
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(spell(l), spell(r))
}

func (a *Appliance) replacements(p string, before, after json.RawMessage) []object {
	whole := []object{{"type": "replace", "path": href(p), "old_value": before, "new_value": after}}
	if a.variant("change-path") != "member" {
		return whole
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil {
		return whole
	}
	var changes []object
	for _, name := range unionOfKeys(was, is) {
		old, had := was[name]
		now, has := is[name]
		if had && has && sameJSON(old, now) {
			continue
		}
		change := object{"type": "replace", "path": href(p) + "#" + name}
		if had {
			change["old_value"] = old
		}
		if has {
			change["new_value"] = now
		}
		changes = append(changes, change)
	}
	return changes
}
