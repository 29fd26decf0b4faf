package spstest

import (
	"encoding/json"
	"html"
	"net/http"
	"strings"
)

const (
	starlingPath = "configuration/starling"
	joinPath     = "starling/join"
)

// The values that an appliance without a join shows, and the defaults of a join.
const (
	starlingEnvironment = "prod"
	starlingInstance    = "starling-joiner-11111111-1111-1111-1111-111111111111"
	starlingProduct     = "Safeguard"
	starlingTIMS        = "123-456-789"
)

// joinInfo is the member join_info of configuration/starling.
type joinInfo struct {
	Environment string `json:"environment"`
	Instance    string `json:"product_instance"`
	TIMS        string `json:"product_tims"`
}

type starling struct {
	JoinInfo     *joinInfo `json:"join_info"`
	RemoteAccess struct {
		Enabled bool `json:"enabled"`
	} `json:"remote_access"`
}

func addStarling(t *tree) {
	t.singleton("starling", recordOf(map[string]*shape{
		"join_info": nullable(recordOf(map[string]*shape{
			"environment": textual(), "product_instance": textual(), "product_tims": textual(),
		})),
		"remote_access": recordOf(map[string]*shape{"enabled": flag()}),
	}), `{"join_info":null,"remote_access":{"enabled":false}}`).check = checkStarling
}

// starling returns the join and the remote access in a configuration.
func (s *store) starling() (read starling) {
	_ = json.Unmarshal(s.bodies[starlingPath], &read)
	return read
}

// checkStarling refuses a body that changes the join, which can be changed at [joinPath]
// only, or that enables remote access without a join. A body without join_info counts as
// one with join_info null.
func checkStarling(a *Appliance, x *exchange, body any) (shown any, refusal answer, ok bool) {
	o, _ := body.(object)
	if _, given := o["join_info"]; o != nil && !given {
		o["join_info"] = nil
	}
	var wanted starling
	_ = json.Unmarshal(encode(body), &wanted)
	is := a.view(x.session).starling().JoinInfo
	switch {
	case (wanted.JoinInfo == nil) != (is == nil) || is != nil && *is != *wanted.JoinInfo:
		return nil, x.fail(http.StatusForbidden, "StarlingJoinInfoIsReadOnlyError", "The join can be changed at "+href(joinPath)+" only", nil), false
	case wanted.RemoteAccess.Enabled && is == nil:
		return nil, x.fail(http.StatusForbidden, "RemoteAccessDependsOnStarlingJoinError", "Remote access needs a join to Starling", nil), false
	}
	return body, answer{}, true
}

// changeStarling changes the committed configuration and the staged configurations of
// open transactions.
func (a *Appliance) changeStarling(change func(body object)) {
	states := []*store{a.committed}
	for _, t := range a.stagedTransactions() {
		states = append(states, t.staged)
	}
	for _, s := range states {
		v, err := decode(s.bodies[starlingPath])
		body, ok := v.(object)
		if err != nil || !ok {
			body = object{}
		}
		change(body)
		s.bodies[starlingPath] = encode(body)
	}
}

// Starling is the state of an appliance's join to Starling.
type Starling struct {
	// Joined is true if the appliance is joined.
	Joined bool
	// RemoteAccess is true if remote access is enabled. Without a join, it is false.
	RemoteAccess bool
}

// WithStarling sets the state of the join from the start. By default, the appliance is
// not joined.
func WithStarling(s Starling) Option {
	return func(a *Appliance) error { a.SetStarling(s); return nil }
}

// SetStarling joins or unjoins the appliance and switches remote access on or off, like a
// user of the web interface.
func (a *Appliance) SetStarling(s Starling) {
	a.enter()
	defer a.mu.Unlock()
	a.changeStarling(func(body object) {
		body["join_info"] = nil
		if s.Joined {
			body["join_info"] = joinInfo{starlingEnvironment, starlingInstance, starlingTIMS}
		}
		body["remote_access"] = object{"enabled": s.Joined && s.RemoteAccess}
	})
}

// Starling returns the state of the join to Starling.
func (a *Appliance) Starling() Starling {
	a.enter()
	defer a.mu.Unlock()
	is := a.committed.starling()
	return Starling{is.JoinInfo != nil, is.RemoteAccess.Enabled}
}

// joinObject returns the JSON object of the join. Without a join, it has the values that
// a join would use.
func (a *Appliance) joinObject(x *exchange) object {
	body := object{"product_instance": starlingInstance, "product_name": starlingProduct, "product_tims": starlingTIMS}
	if tims := x.query.Get("product_tims"); tims != "" {
		body["product_tims"] = tims
	}
	if info := a.committed.starling().JoinInfo; info != nil {
		body["joined"], body["product_instance"], body["product_tims"] = true, info.Instance, info.TIMS
	} else if a.variant("starling-not-joined") == "false" {
		body["joined"] = false
	}
	if a.variant("starling-join-meta") == "absent" {
		return object{"body": body}
	}
	return object{"body": body, "key": x.last(), "meta": x.meta()}
}

func (a *Appliance) getJoin(x *exchange) answer {
	shown := a.joinObject(x)
	if !strings.Contains(x.header.Get("Accept"), "text/html") {
		return reply(http.StatusOK, shown)
	}
	body := shown["body"].(object)
	link := "https://account.cloud.oneidentity.com/join/" + starlingProduct + "/" +
		body["product_instance"].(string) + "/" + body["product_tims"].(string)
	if a.variant("starling-join-html") == "303" {
		ans := empty(http.StatusSeeOther)
		ans.header.Set("Location", link)
		return ans
	}
	ans := page(http.StatusOK)
	ans.body = []byte("<html><body><a href=\"" + html.EscapeString(link) + "\">Join to Starling</a></body></html>\n")
	return ans
}

// join joins the appliance to Starling. It replaces an existing join. It does not check
// the credential string.
func (a *Appliance) join(x *exchange) answer {
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	if a.joinWaits(x) {
		return a.refuseOpen(x)
	}
	texts := map[string]string{"environment": starlingEnvironment, "product_tims": starlingTIMS, "credential_string": "", "product_instance": ""}
	for _, name := range []string{"credential_string", "product_instance", "environment", "product_tims"} {
		text, isText := body[name].(string)
		switch {
		case body[name] != nil && !isText:
			return a.syntacticError(x, memberPath(x.path, []string{name}), "The value has a wrong type")
		case text != "":
			texts[name] = text
		}
	}
	switch {
	case texts["credential_string"] == "":
		return x.fail(http.StatusBadRequest, "MissingCredentialStringError", "The credential_string is missing", nil)
	case texts["product_instance"] == "":
		return x.fail(http.StatusBadRequest, "MissingProductInstanceError", "The product_instance is missing", nil)
	}
	if x.holds() {
		return answer{}
	}
	a.changeStarling(func(body object) {
		body["join_info"] = joinInfo{texts["environment"], texts["product_instance"], texts["product_tims"]}
	})
	switch a.variant("starling-join-answer") {
	case "201-body":
		return reply(http.StatusCreated, a.joinObject(x))
	case "200-meta":
		return reply(http.StatusOK, object{"meta": x.meta()})
	case "204":
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, a.joinObject(x))
}

// joinWaits reports whether an open transaction prevents a join or an unjoin: a
// transaction of the same session or, with the default of the variant join-open, of any
// session, or a lock from LockConfiguration. A transaction that is opened during the join
// does not prevent it.
func (a *Appliance) joinWaits(x *exchange) bool {
	if x.ends {
		return false
	}
	return x.session.pending != nil || a.variant("join-open") == "anybody" && (a.anyOpen() || len(a.outside) > 0)
}

func (a *Appliance) refuseOpen(x *exchange) answer {
	return x.fail(http.StatusForbidden, "OpenTransactionError", "The transaction has to be closed first", nil)
}

// unjoinsElsewhere reports whether a request tries to delete the join at
// configuration/starling or at starling instead of [joinPath].
func (x *exchange) unjoinsElsewhere() bool {
	return x.method == http.MethodDelete && (x.path == starlingPath || x.path == parentOf(joinPath))
}

// unjoin ends the join. With force=true, it also disables remote access, which depends on
// the join.
func (a *Appliance) unjoin(x *exchange) answer {
	is := a.committed.starling()
	switch {
	case a.joinWaits(x) && a.variant("starling-unjoin-open") != "200":
		return a.refuseOpen(x)
	case is.JoinInfo == nil && a.variant("starling-unjoin-closed") != "200":
		return a.refuseHere(x, "starling-unjoin-closed", "The appliance is not joined to Starling")
	case is.RemoteAccess.Enabled && x.query.Get("force") != "true":
		return x.fail(http.StatusForbidden, "StarlingJoinIsInUseByRemoteAccessError", "Remote access has to be disabled first", nil)
	}
	if x.holds() {
		return answer{}
	}
	a.changeStarling(func(body object) {
		body["join_info"], body["remote_access"] = nil, object{"enabled": false}
	})
	if a.variant("starling-unjoin-answer") == "204" {
		return empty(http.StatusNoContent)
	}
	return reply(http.StatusOK, object{"meta": x.meta()})
}
