package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// conformance lists the checks in the order in which they run. If the appliance lacks an
// endpoint or an object that a check needs, the check is skipped, or logs that the endpoint or
// the object is missing.
var conformance = []check{
	// Checks of logins and sessions.
	{
		name:     "session/login",
		verifies: "GET authentication with Basic answers 200 with JSON and a cookie session_id (guide, Authenticate to the SPS REST API)",
		variants: []string{"login-body"},
		run: func(v *visit) {
			h, _ := v.target.guard.last("GET", "authentication")
			v.logf("%s", h)
			v.want("status", 200, h.status)
			body := "empty"
			if h.has("meta") {
				body = "meta"
			}
			v.observe("login-body", body)
			for _, line := range h.header["Set-Cookie"] {
				cookie, err := http.ParseSetCookie(line)
				if err != nil {
					v.errorf("a cookie cannot be read")
					continue
				}
				v.logf("cookie %s: %d characters, Max-Age %d, an expiry %t, Path %q, Secure %t, HttpOnly %t, SameSite %d",
					cookie.Name, len(cookie.Value), cookie.MaxAge, !cookie.Expires.IsZero(), cookie.Path, cookie.Secure, cookie.HttpOnly, cookie.SameSite)
			}
		},
	},
	{
		name:     "session/cookie",
		verifies: "the session is the cookie session_id; whether later responses set it again is open",
		variants: []string{"cookie-renewal"},
		run: func(v *visit) {
			h := v.get("transaction")
			renewed := "never"
			if slices.ContainsFunc(h.header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, "session_id=") }) {
				renewed = "always"
			}
			v.observe("cookie-renewal", renewed)
		},
	},
	{
		name:     "session/none",
		verifies: "without a session the answer is 401 Unauthenticated, with the path in its details (guide, response code tables)",
		variants: []string{"path-details"},
		run: func(v *visit) {
			h := v.ask("", "GET", "transaction", "")
			v.want("answer", "401:Unauthenticated", h.refusal())
			v.observe("path-details", kindOf(h.at("error.details")))
			v.logf("WWW-Authenticate: %t", h.header.Get("WWW-Authenticate") != "")
		},
	},
	{
		name:     "session/login-methods",
		verifies: "authentication/login_methods is read without a login from 7.0 on, authentication/types before (guide 7.0.5 and 6.0; safeguard-ps)",
		guesses:  []string{"Login methods"},
		run: func(v *visit) {
			h := v.ask("", "GET", "authentication/login_methods", "")
			if !h.success() {
				v.want("answer", "404:ResourceNotFound", h.refusal())
				if types := v.ask("", "GET", "authentication/types", ""); !types.has("types") {
					v.errorf("there are neither login methods nor types")
				}
				return
			}
			methods, ok := h.at("login_methods").([]any)
			if !ok {
				v.fatalf("the answer has no list login_methods")
			}
			for _, m := range methods {
				v.guess("Login methods", "an entry is %s", shapeOf("", m))
			}
			listed, err := sps.LoginMethods(v.ctx, v.target.guard.host, v.target.guard.wrap())
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			for _, m := range listed {
				if m.Name == "" {
					v.errorf("the SDK found no name in one")
				}
			}
		},
	},
	{
		name:     "session/user-info",
		verifies: "user_info, user/info and userinfo return the same; up to 7.2 the response has endpoints, later the login method (guide 7.2 and 7.4)",
		variants: []string{"user-info-place"},
		guesses:  []string{"User info and health"},
		run: func(v *visit) {
			h := v.get("user_info")
			for _, alias := range []string{"user/info", "userinfo"} {
				v.want(alias, shapeOf("", h.value()), shapeOf("", v.get(alias).value()))
			}
			place := "top"
			if !h.has("user") && h.has("body.user") {
				place = "body"
			}
			if !h.has("endpoints") && !h.has("body.endpoints") {
				v.observe("user-info-place", place)
			}
			v.guess("User info and health", "user is found at %s, a token: %t", place, h.has("token") || h.has("body.token"))
			if _, err := v.target.client.UserInfo(v.ctx); err != nil {
				v.errorf("the SDK cannot read it: %v", err)
			}
		},
	},
	{
		name:     "session/remaining-seconds",
		verifies: "meta.remaining_seconds is the time until the session ends (safeguard-ps, transaction status); which responses have it is open",
		variants: []string{"remaining-seconds"},
		run: func(v *visit) {
			has := map[string]bool{}
			for _, p := range []string{"transaction", "info", "firmware", "firmware/slots", "configuration/alerting/traffic_alerts", "health_status"} {
				h, err := v.send(v.ctx, v.target.cookie, "GET", p, "")
				if err != nil {
					v.fatalf("%s: %v", p, err)
				}
				has[p] = h.has("meta.remaining_seconds")
				v.logf("%s: %v", p, h.at("meta.remaining_seconds"))
			}
			switch some := slices.Contains(slices.Collect(maps.Values(has)), true); {
			case !some:
				v.observe("remaining-seconds", "none")
			case !has["firmware"] || !has["firmware/slots"]:
				v.observe("remaining-seconds", "some")
			default:
				v.observe("remaining-seconds", "all")
			}
		},
	},
	{
		name:     "session/log-out",
		verifies: "DELETE authentication ends a session (assumed: no page of the guide and no published client shows it)",
		variants: []string{"logout"},
		guesses:  []string{"Log-out"},
		run: func(v *visit) {
			c, cookie := v.target.login(v.ctx, v.T)
			if err := c.Close(v.ctx); err != nil {
				v.errorf("the SDK cannot log out: %v", err)
			}
			h, ok := v.target.guard.last("DELETE", "authentication")
			if !ok {
				v.fatalf("no log-out was sent")
			}
			v.logf("%s", h)
			answered := fmt.Sprint(h.status)
			v.observe("logout", answered)
			after := v.ask(cookie, "GET", "transaction", "")
			v.guess("Log-out", "it returns %s, and a later request of the session returns %s", h.refusal(), after.refusal())
			if h.success() {
				v.want("the session after it", "401:Unauthenticated", after.refusal())
			}
		},
	},

	// Checks of error responses and headers.
	{
		name:     "errors/not-found",
		verifies: "a path that does not exist returns 404, with mount_point and resource in the details (guide 7.4, Testing new SPS firmware before upgrade)",
		variants: []string{"not-found-type"},
		run: func(v *visit) {
			h := v.get("no-such-endpoint")
			v.want("status", 404, h.status)
			v.observe("not-found-type", h.kind())
			if h = v.get("configuration/trust_stores/no-such-store"); h.status != 404 {
				v.errorf("an object that does not exist is answered %s", h.refusal())
			}
			_, err := v.target.client.Firmware.Slots.Get(v.ctx, "99")
			v.want("a slot that does not exist is ResourceNotFound", true, errors.Is(err, sps.ResourceNotFound))
		},
	},
	{
		name:     "errors/method",
		verifies: "a method that a resource does not have is 405 MethodNotAllowed (guide 7.0.5.1, Delete a transaction)",
		run: func(v *visit) {
			h := v.get("upload/firmware")
			v.want("answer", "405:MethodNotAllowed", h.refusal())
		},
	},
	{
		name:     "errors/headers",
		verifies: "each response has Allow, Content-Language and Content-Type (guide 6.0.1, 6.9.2 and 7.0.5.1, introduction)",
		run: func(v *visit) {
			h := v.get("transaction")
			media, _, _ := strings.Cut(h.header.Get("Content-Type"), ";")
			v.want("Content-Type", "application/json", media)
			v.want("Content-Language", "en", h.header.Get("Content-Language"))
			v.want("an Allow", true, h.header.Get("Allow") != "")
			v.logf("Allow: %s", h.header.Get("Allow"))
		},
	},
	{
		name:     "errors/secret-list",
		verifies: "passwords cannot be listed (guide 6.2, passwords); the response to an attempt is open",
		variants: []string{"secret-list"},
		run: func(v *visit) {
			h := v.ask(v.target.cookie, "GET", "configuration/passwords", "")
			if h.success() {
				v.errorf("passwords can be listed")
				return
			}
			v.observe("secret-list", h.refusal())
		},
	},

	// Transactions: these checks open transactions and roll them back without a change.
	{
		name:     "transaction/status",
		verifies: "the status is in body.status with body.commit_message (guide 8.0; safeguard-ps), in transaction.status before (guide 6.0)",
		run: func(v *visit) {
			h := v.get("transaction")
			old, present := h.at("transaction.status"), h.at("body.status")
			if old != "closed" && present != "closed" {
				v.errorf("the status is neither %v nor %v", old, present)
			}
			if present != nil && h.at("body.commit_message") != "optional" && h.at("body.commit_message") != "required" {
				v.errorf("commit_message is neither optional nor required")
			}
			status, err := v.target.client.TransactionStatus(v.ctx)
			if err != nil || status.Open() {
				v.errorf("the SDK finds it open, or cannot read it: %v", err)
			}
		},
	},
	{
		name:     "transaction/open-and-roll-back",
		verifies: "POST opens a transaction, DELETE answers 200 with a meta object and closes it (guide, Open a transaction; guide 7.0.5.1, Delete a transaction)",
		variants: []string{"open-answer"},
		run: func(v *visit) {
			v.observe("open-answer", v.open().transactionKind())
			if s, err := v.target.client.TransactionStatus(v.ctx); err != nil || !s.Open() {
				v.errorf("it is not open: %v", err)
			}
			h := v.ask(v.target.cookie, "DELETE", "transaction", "")
			v.want("answer", "200-meta", h.transactionKind())
			if s, err := v.target.client.TransactionStatus(v.ctx); err != nil || s.Open() {
				v.errorf("it is still open: %v", err)
			}
		},
	},
	{
		name:     "transaction/open-twice",
		verifies: "opening a transaction twice in one session (assumed)",
		variants: []string{"open-twice"},
		run: func(v *visit) {
			v.open()
			h := v.ask(v.target.cookie, "POST", "transaction", "")
			answer := h.refusal()
			if h.success() {
				answer = "200"
			}
			v.observe("open-twice", answer)
		},
	},
	{
		name:     "transaction/roll-back-closed",
		verifies: "a rollback without an open transaction (assumed); the guide's table has 200 and no row for this case (guide 7.0.5.1)",
		variants: []string{"rollback-closed"},
		guesses:  []string{"Rollback"},
		run: func(v *visit) {
			h := v.ask(v.target.cookie, "DELETE", "transaction", "")
			v.guess("Rollback", "%s", h.refusal())
			v.observe("rollback-closed", h.refusal())
		},
	},
	{
		name:     "transaction/no-changes",
		verifies: "transaction/changes has its list at the top level (safeguard-ps); its form without changes is open (guide 6.x, Review the changelog)",
		variants: []string{"empty-changes"},
		run: func(v *visit) {
			v.open()
			h := v.get("transaction/changes")
			shown := "absent"
			if h.has("changes") {
				shown = kindOf(h.at("changes"))
			}
			v.observe("empty-changes", shown)
			v.want("meta.changes without a change", nil, v.get("transaction").at("meta.changes"))
		},
	},
	{
		name:     "transaction/lock",
		verifies: "one session changes the configuration at a time (guide 6.0, Open a transaction); when the lock is taken, and how other sessions are refused, is open",
		variants: []string{"lock-taken", "lock-error"},
		guesses:  []string{"Lock"},
		run: func(v *visit) {
			v.open()
			h := v.ask(v.second(), "POST", "transaction", "")
			if h.success() {
				v.guess("Lock", "another session of the same user can open one meanwhile")
				return
			}
			v.observe("lock-taken", "opening")
			v.observe("lock-error", h.refusal())
			v.guess("Lock", "another session of the same user is refused with %s", h.refusal())
			err := v.target.other.Transaction(v.ctx, func(context.Context, *sps.Transaction) error { return nil }, sps.WithLockFirst())
			v.want("ErrLocked of the SDK", true, errors.Is(err, sps.ErrLocked))
		},
	},

	// Changes: these checks stage changes, read them and roll them back.
	{
		name:     "changes/replace",
		verifies: "a change is listed with type, path, old and new value (guide 6.x, Review the changelog), and gone after the rollback",
		variants: []string{"put-answer", "change-path"},
		guesses:  []string{"Changes"},
		writes:   true,
		run: func(v *visit) {
			const p = "configuration/alerting/traffic_alerts"
			before := v.get(p).value()
			changes, err := v.target.client.Preview(v.ctx, func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, func(alerts *sps.TrafficAlerts) error {
					id := slices.Sorted(maps.Keys(*alerts))[0]
					setting := (*alerts)[id]
					setting.SNMP = !setting.SNMP
					(*alerts)[id] = setting
					return nil
				})
			})
			v.previewed(err)
			h, _ := v.target.guard.last("PUT", p)
			v.logf("%s", h)
			v.observe("put-answer", fmt.Sprint(h.status))
			for _, c := range changes {
				v.want("type", sps.ChangeReplace, c.Type)
				switch rest, ok := strings.CutPrefix(c.Path, p); {
				case !ok:
					v.errorf("the path is not that of the endpoint: %s", anonymous(c.Path))
				case rest == "":
					v.observe("change-path", "object")
				case strings.HasPrefix(rest, "#"):
					v.observe("change-path", "member")
				default:
					v.observe("change-path", rest)
				}
				v.guess("Changes", "the path is %s, the values are of the kinds %s and %s", anonymous(c.Path), rawKind(c.OldValue), rawKind(c.NewValue))
			}
			if len(changes) == 0 {
				v.errorf("no change is listed")
			}
			v.want("what is there after the rollback", shown(before, "body"), shown(v.get(p).value(), "body"))
		},
	},
	{
		name:     "changes/lock",
		verifies: "if two sessions can have an open transaction, the first change or the commit takes the lock (assumed: new guides do not say that opening takes it)",
		variants: []string{"lock-taken", "lock-error"},
		writes:   true,
		run: func(v *visit) {
			const p = "configuration/alerting/traffic_alerts"
			v.open()
			if h := v.ask(v.second(), "POST", "transaction", ""); !h.success() {
				v.observe("lock-taken", "opening")
				return
			}
			body, _ := toggled(v.get(p))
			if h := v.ask(v.target.cookie, "PUT", p, body); !h.success() {
				v.fatalf("the change is refused: %s", h.refusal())
			}
			h := v.ask(v.second(), "PUT", p, body)
			if h.success() {
				v.observe("lock-taken", "commit")
				return
			}
			v.observe("lock-taken", "first-change")
			v.observe("lock-error", h.refusal())
		},
	},
	{
		name:     "changes/others",
		verifies: "a staged change is visible in its own session only (assumed: the guide describes the view of that session only)",
		writes:   true,
		run: func(v *visit) {
			const p = "configuration/alerting/traffic_alerts"
			before := shown(v.get(p).value(), "body")
			v.open()
			body, id := toggled(v.get(p))
			if h := v.ask(v.target.cookie, "PUT", p, body); !h.success() {
				v.fatalf("the change is refused: %s", h.refusal())
			}
			own := v.get(p)
			theirs := v.ask(v.second(), "GET", p, "")
			v.want("seen by its session", false, before == shown(own.value(), "body"))
			v.want("seen by another", before, shown(theirs.value(), "body"))
			v.want("meta.changes", "/api/transaction/changes", v.get("transaction").at("meta.changes"))
			v.logf("alert %s was switched", id)
		},
	},
	{
		name:     "changes/unknown-member",
		verifies: "members that an object does not have are ignored, without an error (guide 7.5, Change an object)",
		writes:   true,
		run: func(v *visit) {
			const p = "configuration/alerting/traffic_alerts"
			v.open()
			body := v.get(p).at("body").(map[string]any)
			body["scbNoSuchAlert"] = map[string]any{"email": false, "snmp": false}
			h := v.ask(v.target.cookie, "PUT", p, string(encoded(body)))
			v.want("success", true, h.success())
			v.want("shown afterwards", false, v.get(p).has("body.scbNoSuchAlert"))
		},
	},
	{
		name:     "changes/create-and-delete",
		verifies: "POST creates an object and returns 201 with its key, and DELETE removes it (guide 7.1.1, trust stores; guide 6.9, Delete an object)",
		variants: []string{"create-answer", "delete-answer"},
		writes:   true,
		run: func(v *visit) {
			v.open()
			h := v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance", `[]`, `[]`, "none"))
			v.want("status", 201, h.status)
			key, _ := h.at("key").(string)
			if key == "" {
				v.fatalf("the answer has no key")
			}
			body := "key"
			if h.has("body") {
				body = "body"
			}
			v.observe("create-answer", body)
			v.want("the new object", true, v.get(trustStoresURL+"/"+key).success())
			gone := v.ask(v.target.cookie, "DELETE", trustStoresURL+"/"+key, "")
			v.observe("delete-answer", fmt.Sprint(gone.status))
			v.want("status after the deletion", 404, v.get(trustStoresURL+"/"+key).status)
		},
	},
	{
		name:     "changes/syntactic",
		verifies: "CRL URLs without a revocation check are SyntacticError, with the path in the details (guide 7.1.1, trust stores)",
		variants: []string{"path-details"},
		guesses:  []string{"Paths in details"},
		writes:   true,
		run: func(v *visit) {
			v.open()
			h := v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance", `[]`, `["http://crl.example.com/"]`, "none"))
			v.want("answer", "400:SyntacticError", h.refusal())
			v.observe("path-details", kindOf(h.at("error.details")))
			v.guess("Paths in details", "%s", shapeOf("", h.at("error.details")))
			h = v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance", `[]`, `[]`, "full"))
			v.want("a check without CRL URLs", "400:SyntacticError", h.refusal())
			h = v.ask(v.target.cookie, "POST", trustStoresURL, `{"name":`)
			v.want("broken JSON", "400:InvalidRequestBody", h.refusal())
		},
	},
	{
		name:     "changes/semantic",
		verifies: "two trust stores of one name are SemanticError (guide 7.1.1, trust stores); whether the write or the commit reports it is open",
		variants: []string{"semantic-check", "semantic-details"},
		guesses:  []string{"Semantic errors"},
		writes:   true,
		run: func(v *visit) {
			v.open()
			body := storeBody("sps-go conformance", `[]`, `[]`, "none")
			if h := v.ask(v.target.cookie, "POST", trustStoresURL, body); !h.success() {
				v.fatalf("the first one is refused: %s", h.refusal())
			}
			h := v.ask(v.target.cookie, "POST", trustStoresURL, body)
			if h.success() {
				v.observe("semantic-check", "commit")
				// The details are in the response to the commit, and this suite sends no commit.
				// For a simulated appliance, count the variant semantic-details as observed.
				if v.target.picked != nil {
					v.target.found["semantic-details"] = true
				}
				return
			}
			v.observe("semantic-check", "write")
			v.want("answer", "400:SemanticError", h.refusal())
			details := h.at("error.details")
			v.guess("Semantic errors", "details are %s", shapeOf("", details))
			if list, ok := details.([]any); ok && len(list) > 0 {
				v.observe("semantic-details", kindOf(list[0])+"s")
			}
		},
	},
	{
		name:     "changes/built-in",
		verifies: "the built-in trust store cannot be changed: SyntacticError (guide 7.1.1, trust stores)",
		variants: []string{"built-in-refused"},
		writes:   true,
		run: func(v *visit) {
			v.open()
			h := v.ask(v.target.cookie, "PUT", trustStoresURL+"/"+sps.BuiltInTrustStoreKey, storeBody("Built-in", `[]`, `[]`, "none"))
			v.observe("built-in-refused", h.refusal())
		},
	},
	{
		name:     "changes/members",
		verifies: "empty members have to be sent (guide 7.5, Change an object); the response without them is open",
		variants: []string{"trust-store-members"},
		writes:   true,
		run: func(v *visit) {
			v.open()
			h := v.ask(v.target.cookie, "POST", trustStoresURL, `{"name":"sps-go conformance"}`)
			answer := h.refusal()
			if h.success() {
				answer = "defaulted"
			}
			v.observe("trust-store-members", answer)
		},
	},
	{
		name:     "changes/authorities",
		verifies: "an authority is written as an object with its PEM, and the appliance adds the other members (assumed: the guide prints no request)",
		variants: []string{"authority-text", "authority-derived"},
		writes:   true,
		run: func(v *visit) {
			pem := testkit.PEM(testkit.Authority(v.T, "conformance"))
			v.open()
			h := v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance 1", `[{"pem":`+quote(pem)+`}]`, `[]`, "none"))
			if !h.success() {
				v.fatalf("an object with a PEM is refused: %s", h.refusal())
			}
			made := v.get(trustStoresURL + "/" + h.at("key").(string))
			authorities, _ := made.at("body.authorities").([]any)
			if len(authorities) != 1 {
				v.fatalf("%d authorities", len(authorities))
			}
			v.logf("the appliance makes of it %s", shapeOf("", authorities[0]))
			outcome := func(success bool, yes, no string) string {
				if success {
					return yes
				}
				return no
			}
			h = v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance 2", `[`+quote(pem)+`]`, `[]`, "none"))
			v.observe("authority-text", outcome(h.success(), "accepted", "refused"))
			h = v.ask(v.target.cookie, "POST", trustStoresURL, storeBody("sps-go conformance 3", `[{"pem":`+quote(pem)+`,"subject":"C=HU/CN=somebody else"}]`, `[]`, "none"))
			v.observe("authority-derived", outcome(h.success(), "ignored", "checked"))
		},
	},

	// Checks of the configuration endpoints.
	{
		name:     "configuration/root",
		verifies: "configuration lists its parts with key and meta.href; its meta.first and meta.last are itself, and it has no parent (guide 7.4, /api/configuration)",
		run: func(v *visit) {
			h := v.get("configuration")
			for _, member := range []string{"first", "href", "last"} {
				v.want("meta."+member, "/api/configuration", h.at("meta."+member))
			}
			v.want("meta.parent", nil, h.at("meta.parent"))
			v.want("meta.transaction", "/api/transaction", h.at("meta.transaction"))
			listing, err := v.target.client.Listing(v.ctx, "configuration")
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			for _, link := range listing.Entries {
				v.logf("lists %s", anonymous(link.Key))
			}
		},
	},
	{
		name:     "configuration/links",
		verifies: "first, last, next and previous are the siblings, in the order of their names (guide, Message format)",
		run: func(v *visit) {
			h := v.get("configuration/alerting/system_alerts")
			const parent = "/api/configuration/alerting"
			for member, want := range map[string]any{
				"href": parent + "/system_alerts", "parent": parent, "transaction": "/api/transaction",
				"first": parent + "/system_alerts", "last": parent + "/traffic_alerts", "next": parent + "/traffic_alerts", "previous": nil,
			} {
				v.want("meta."+member, want, h.at("meta."+member))
			}
			v.want("key", "system_alerts", h.at("key"))
		},
	},
	{
		name:     "configuration/lists",
		verifies: "lists have the bodies of their objects from 6.1 on, and only keys and links before (guide 7.5, on lists; guide 6.0, samples)",
		run: func(v *visit) {
			for _, p := range []string{"configuration/policies/audit_policies", "configuration/policies/time_policies", trustStoresURL} {
				h := v.get(p)
				items, _ := h.at("items").([]any)
				fat := 0
				for _, item := range items {
					if _, isText := at(item, "key").(string); !isText {
						v.errorf("%s: a key is no text", p)
					}
					if at(item, "body") != nil {
						fat++
					}
				}
				v.logf("%s: %d of %d items have a body", p, fat, len(items))
				n := 0
				for _, err := range sps.NewCollection[json.RawMessage](v.target.client, p).All(v.ctx) {
					if err != nil {
						v.fatalf("the SDK cannot read %s: %v", p, err)
					}
					n++
				}
				v.want("objects of "+p, len(items), n)
			}
		},
	},
	{
		name:     "configuration/objects",
		verifies: "the bodies of the objects have the members of the guide's samples, as the simulated appliance has",
		run:      compareObjects,
	},

	// Checks of alerts.
	{
		name:     "alerts/traffic",
		verifies: "traffic_alerts has 16 alerts with email and snmp (guide 7.1.1, Traffic alerts)",
		run: func(v *visit) {
			alerts, err := v.target.client.Alerting.TrafficAlerts.Get(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			known := sampleAlerts(v, "configuration/alerting/traffic_alerts")
			for _, id := range known {
				if _, ok := alerts.Body[sps.TrafficAlert(id)]; !ok {
					v.errorf("there is no alert %s", id)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(alerts.Body)) {
				if !slices.Contains(known, string(id)) {
					v.logf("an alert that the guide does not have: %s", id)
				}
			}
		},
	},
	{
		name:     "alerts/system",
		verifies: "system_alerts has the traps of the platform's MIB with email and snmp (assumed: the guide's sample is not readable)",
		variants: []string{"system-alerts"},
		run: func(v *visit) {
			alerts, err := v.target.client.Alerting.SystemAlerts.Get(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			known := sampleAlerts(v, "configuration/alerting/system_alerts")
			for _, id := range known {
				if _, ok := alerts.Body[sps.SystemAlert(id)]; !ok {
					v.logf("an alert of the MIB that is not there: %s", id)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(alerts.Body)) {
				if !slices.Contains(known, string(id)) {
					v.logf("an alert that is not in the MIB: %s", id)
				}
			}
			all := "without-health"
			if _, ok := alerts.Body["xcbDiskFull"]; ok {
				all = "all"
			}
			v.observe("system-alerts", all)
		},
	},
	{
		name:     "alerts/targets",
		verifies: "management/email and management/snmp/trap have the members of the guide's samples (guide 6.0, email; guide 6.0.3, SNMP)",
		run: func(v *visit) {
			email, err := v.target.client.Management.Email.Get(v.ctx)
			if err != nil {
				v.errorf("the SDK cannot read configuration/management/email: %v", err)
			} else {
				v.want("key", "email", email.Key)
			}
			v.get("configuration/management/email")
			trap, err := v.target.client.Management.SNMP.Trap.Get(v.ctx)
			if err != nil {
				v.errorf("the SDK cannot read configuration/management/snmp/trap: %v", err)
			} else {
				v.want("key", "trap", trap.Key)
			}
			v.get("configuration/management/snmp/trap")
		},
	},

	// Checks of trust stores.
	{
		name:     "trust-stores/list",
		verifies: "the built-in store has the key -7001, its type, and neither authorities nor CRL URLs (guide 7.1.1, trust stores)",
		variants: []string{"trust-store-list-meta"},
		run: func(v *visit) {
			h := v.get(trustStoresURL)
			meta := "absent"
			if h.has("meta") {
				meta = "present"
			}
			v.observe("trust-store-list-meta", meta)
			builtIn, err := v.target.client.TrustStores.Get(v.ctx, sps.BuiltInTrustStoreKey)
			if err != nil {
				v.fatalf("the SDK cannot read the built-in store: %v", err)
			}
			v.want("type", "built-in", builtIn.Body.Type)
			v.want("authorities", 0, len(builtIn.Body.Authorities))
			stores, err := v.target.client.TrustStores.List(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read the list: %v", err)
			}
			for _, s := range stores {
				v.logf("a store of type %s with %d authorities, %d CRL URLs, revocation check %s", word(string(s.Body.Type)), len(s.Body.Authorities), len(s.Body.CRLURLs), word(string(s.Body.RevocationCheck)))
			}
		},
	},
	{
		name:     "trust-stores/authorities",
		verifies: "a fingerprint is the SHA-256 of the certificate in pairs of lower-case hex digits, names are one line with C= first, PEM ends with a line break (guide 7.1.1, trust stores)",
		run: func(v *visit) {
			stores, err := v.target.client.TrustStores.List(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read the list: %v", err)
			}
			n := 0
			for _, s := range stores {
				for _, a := range s.Body.Authorities {
					n++
					c, err := a.Certificate()
					if err != nil {
						v.errorf("a certificate cannot be read: %v", err)
						continue
					}
					v.want("hash algorithm", "sha256", a.Fingerprint.HashAlgorithm)
					v.want("form of a fingerprint", true, regexp.MustCompile(`^([0-9a-f]{2}:){31}[0-9a-f]{2}$`).MatchString(a.Fingerprint.Digest))
					v.want("a fingerprint is that of its certificate", true, sps.CertificateFingerprint(c) == a.Fingerprint.Digest)
					v.logf("names begin with C=: %t, %t; PEM ends with a line break: %t", strings.HasPrefix(a.Issuer, "C="), strings.HasPrefix(a.Subject, "C="), strings.HasSuffix(a.PEM, "\n"))
				}
			}
			if n == 0 {
				v.skipf("no trust store has an authority")
			}
		},
	},

	// Checks of Starling and the integrated products.
	{
		name:     "starling/join-status",
		verifies: "starling/join has joined, product_instance, product_name and product_tims in its body (guide 7.1.1, Retrieving Starling Join information)",
		variants: []string{"starling-join-meta", "starling-not-joined"},
		guesses:  []string{"Starling"},
		run: func(v *visit) {
			h := v.get("starling/join")
			if !h.success() {
				v.skipf("there is none: %s", h.refusal())
			}
			meta := "absent"
			if h.has("meta") {
				meta = "present"
			}
			v.observe("starling-join-meta", meta)
			join, err := v.target.client.Starling.JoinStatus(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			shown := "absent"
			if h.has("body.joined") {
				shown = fmt.Sprint(h.at("body.joined"))
			}
			v.guess("Starling", "joined is %s", shown)
			if !join.Joined {
				v.observe("starling-not-joined", shown)
			}
			v.want("an instance", true, join.ProductInstance != "")
		},
	},
	{
		name:     "starling/page",
		verifies: "a browser can request starling/join (guide 7.1.1, Retrieving Starling Join information); whether it gets a page or a redirect is open",
		variants: []string{"starling-join-html"},
		run: func(v *visit) {
			h := v.ask(v.target.cookie, "GET", "starling/join", "", "Accept", "text/html")
			if h.kind() != "" {
				v.skipf("there is none: %s", h.refusal())
			}
			got := fmt.Sprint(h.status)
			if h.status < 300 && strings.HasPrefix(h.header.Get("Content-Type"), "text/html") {
				got = "page"
			}
			v.observe("starling-join-html", got)
		},
	},
	{
		name:     "starling/configuration",
		verifies: "configuration/starling has join_info, null without a join, and remote_access.enabled (guide 7.1.1, Enabling SRA)",
		run: func(v *visit) {
			h := v.get("configuration/starling")
			if !h.success() {
				v.skipf("there is none: %s", h.refusal())
			}
			configured, err := v.target.client.Starling.Configuration.Get(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			v.want("remote_access.enabled is a boolean", "bool", shapeOf("", h.at("body.remote_access.enabled")))
			join, err := v.target.client.Starling.JoinStatus(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read the join: %v", err)
			}
			v.want("joined", join.Joined, configured.Body.JoinInfo != nil)
		},
	},
	{
		name:     "products/list",
		verifies: "integrated_products has items with name, link and activated, and no key (guide 7.4, Listing integrated products); the place of its warnings is open",
		variants: []string{"product-warnings"},
		guesses:  []string{"Product warnings"},
		run: func(v *visit) {
			h := v.get("integrated_products")
			if h.kind() == string(sps.ResourceNotFound) || h.kind() == string(sps.NotFound) {
				v.skipf("there is none: %s", h.refusal())
			}
			products, err := v.target.client.IntegratedProducts(v.ctx)
			warned := h.has("error")
			if err == nil {
				warned = len(products.Warnings) > 0
				v.logf("%d products", len(products.Products))
			}
			if !warned {
				v.guess("Product warnings", "there is none at present")
				return
			}
			place := fmt.Sprintf("error:%d", h.status)
			for _, name := range []string{"warnings", "warning", "message", "issues", "meta.warnings", "meta.warning", "meta.message"} {
				if h.has(name) {
					place = name
				}
			}
			v.guess("Product warnings", "there is one at %s", place)
			v.observe("product-warnings", place)
		},
	},

	// Checks of the firmware endpoints.
	{
		name:     "firmware/listing",
		verifies: "firmware lists fetch, slots, test and upgrade, also in its meta (guide 7.4, Firmware management)",
		run: func(v *visit) {
			h := v.get("firmware")
			listing, err := v.target.client.Listing(v.ctx, "firmware")
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			var keys []string
			for _, link := range listing.Entries {
				keys = append(keys, link.Key)
				v.want("meta."+link.Key, link.Href, h.at("meta."+link.Key))
			}
			for _, key := range []string{"slots", "test", "upgrade"} {
				v.want("lists "+key, true, slices.Contains(keys, key))
			}
			v.logf("lists %s", strings.Join(keys, ", "))
		},
	},
	{
		name:     "firmware/slots",
		verifies: "slots have keys, bodies with five members or {}, and links to the current slot and to the slot that runs after the reboot (guide 7.0.5.1 and 7.4, firmware slots)",
		variants: []string{"slot-key", "slot-version", "slots-body"},
		run: func(v *visit) {
			h := v.get("firmware/slots")
			v.observe("slots-body", map[bool]string{true: "present", false: "absent"}[h.has("body")])
			items, _ := h.at("items").([]any)
			kinds := map[string]bool{}
			empty := 0
			for _, item := range items {
				v.observe("slot-key", kindOf(at(item, "key")))
				body, ok := at(item, "body").(map[string]any)
				if !ok {
					v.errorf("a slot has no body")
				}
				if len(body) == 0 {
					empty++
					continue
				}
				for _, member := range []string{"after_reboot", "current", "upgrade_news", "upgrade_notes", "version"} {
					if _, ok := body[member]; !ok {
						v.errorf("a slot has no %s", member)
					}
				}
				kinds[kindOf(body["version"])] = true
			}
			version := "string"
			if kinds["number"] {
				version = "number"
			}
			v.observe("slot-version", version)
			v.want("number_of_empty_slots", float64(empty), h.at("meta.number_of_empty_slots"))
			slots, err := v.target.client.Firmware.Slots.List(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			current := 0
			for _, s := range slots.Slots {
				if s.Body.Current {
					current++
					one, err := v.target.client.Firmware.Slots.Get(v.ctx, s.Key)
					if err != nil {
						v.errorf("the SDK cannot read one slot: %v", err)
					} else {
						v.want("a slot alone", s.Body.Version, one.Body.Version)
					}
				}
			}
			v.want("current slots", 1, current)
			v.logf("%d slots, %d empty", len(items), empty)
		},
	},
	{
		name:     "firmware/fetches",
		verifies: "firmware/fetch lists downloads with their statuses (guide 7.0.5.1, firmware fetch); the guide prints no response",
		variants: []string{"fetch-key", "fetch-status-place"},
		guesses:  []string{"Firmware fetch"},
		run: func(v *visit) {
			h := v.get("firmware/fetch")
			if !h.success() {
				v.skipf("there is none: %s", h.refusal())
			}
			fetches, err := v.target.client.Firmware.Fetch.List(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			items, _ := h.at("items").([]any)
			for i, item := range items {
				v.guess("Firmware fetch", "a record is %s", shapeOf("", item))
				v.observe("fetch-key", kindOf(at(item, "key")))
				switch {
				case at(item, "body", "status") != nil:
					v.observe("fetch-status-place", "body")
				case at(item, "status") != nil:
					v.observe("fetch-status-place", "top")
				}
				if i < len(fetches) && fetches[i].Status == "" {
					v.errorf("the SDK finds no status")
				}
			}
			if len(items) == 0 {
				v.guess("Firmware fetch", "there is no record at present")
			}
		},
	},

	// Checks of info, health and cluster.
	{
		name:     "info/logged-in",
		verifies: "info has firmware_version, version, build_date, config_hash and roles for a logged-in user (guide 6.9.3 and 7.0.5.1, /api/info)",
		run: func(v *visit) {
			h := v.get("info")
			info, err := v.target.client.Info(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			for _, member := range []string{"firmware_version", "version", "build_date", "config_hash", "hostname", "domainname"} {
				v.want("body has "+member, true, h.has("body."+member))
			}
			v.want("key", "about_info", h.at("key"))
			v.want("form of config_hash", true, regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(info.ConfigHash))
			v.logf("THE APPLIANCE RUNS %s, the SDK is %s", word(strings.ReplaceAll(info.FirmwareVersion, ".", "_")), sps.Version)
		},
	},
	{
		name:     "info/anonymous",
		verifies: "info can be read without a session, and then has no firmware_version (guide 6.0 and 6.9.3, /api/info)",
		run: func(v *visit) {
			h := v.ask("", "GET", "info", "")
			v.want("status", 200, h.status)
			v.want("body has firmware_version", false, h.has("body.firmware_version"))
			v.want("body has hostname", true, h.has("body.hostname"))
		},
	},
	{
		name:     "info/health",
		verifies: "health_status returns its values below the member health_status (guide 7.1 and 7.0.5.1, /api/health_status)",
		guesses:  []string{"User info and health"},
		run: func(v *visit) {
			h := v.get("health_status")
			if !h.success() {
				v.skipf("there is none: %s", h.refusal())
			}
			v.want("at the top", true, h.has("health_status"))
			v.guess("User info and health", "differences from the simulated appliance: %s", orNone(differences("health_status", h.value(), reference(v, "health_status").value())))
			health, err := v.target.client.HealthStatus(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			v.want("integrity of the firmware is reported", true, len(health.Integrity) > 0)
		},
	},
	{
		name:     "info/cluster",
		verifies: "cluster/status returns an error on an appliance without a cluster (safeguard-ps, joining a cluster), and otherwise the nodes (guide 6.0.9, cluster status)",
		variants: []string{"cluster-status"},
		run: func(v *visit) {
			h := v.get("cluster/status")
			if !h.success() {
				v.observe("cluster-status", h.refusal())
				return
			}
			status, err := v.target.client.Cluster.Status(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			v.logf("%d nodes", len(status.Nodes))
			v.want("meta.self", true, h.has("meta.self"))
		},
	},

	// Checks of support bundles, the setup status and the root of the API.
	{
		name:     "bundle/list",
		verifies: "support bundles are listed with body.status (safeguard-ps, support bundle); the only known status is finished",
		variants: []string{"bundle-finished", "bundle-running"},
		guesses:  []string{"Support bundles"},
		run: func(v *visit) {
			h := v.get("troubleshooting/support-bundle")
			if !h.success() {
				v.skipf("there is none: %s", h.refusal())
			}
			bundles, err := v.target.client.Troubleshooting.SupportBundle.List(v.ctx)
			if err != nil {
				v.fatalf("the SDK cannot read them: %v", err)
			}
			for _, b := range bundles {
				var raw struct{ Status string } // the status as the appliance spells it
				if err := json.Unmarshal(b.Raw, &raw); err != nil {
					v.fatalf("the body of a bundle: %v", err)
				}
				v.guess("Support bundles", "one has the status %s and %s", word(raw.Status), rawShape(b.Raw))
				switch {
				case b.Status == sps.JobFinished:
					v.observe("bundle-finished", raw.Status)
				case !b.Status.Done():
					v.observe("bundle-running", raw.Status)
				}
			}
			if len(bundles) == 0 {
				v.guess("Support bundles", "there is none at present")
			}
		},
	},
	{
		name:     "setup/status",
		verifies: "setup can be read without a session, and has status and meta.eula (guide 7.4, Completing the Welcome Wizard)",
		run: func(v *visit) {
			h := v.ask("", "GET", "setup", "")
			v.want("status", "completed", h.at("status"))
			setup, err := sps.SetupStatus(v.ctx, v.target.guard.host, v.target.guard.wrap())
			if err != nil {
				v.fatalf("the SDK cannot read it: %v", err)
			}
			v.want("a license agreement", true, setup.EULA != "")
		},
	},
	{
		name:     "root/list",
		verifies: "GET /api lists the endpoints below it with key and meta (safeguard-ps); which endpoints it lists is open",
		run: func(v *visit) {
			h := v.get("")
			items, _ := h.at("items").([]any)
			for _, item := range items {
				key, _ := at(item, "key").(string)
				v.logf("lists %s", anonymous(key))
			}
			v.want("lists something", true, len(items) > 0)
		},
	},
}

const trustStoresURL = "configuration/trust_stores"

// storeBody returns the JSON body of a trust store.
func storeBody(name, authorities, crls, check string) string {
	return fmt.Sprintf(`{"name":%s,"authorities":%s,"crl_urls":%s,"revocation_check":%s,"trust_store_type":"custom"}`,
		quote(name), authorities, crls, quote(check))
}

func quote(text string) string { return string(encoded(text)) }

func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// toggled inverts the SNMP setting of one alert in the response h. It returns the JSON body
// with all alerts, and the name of the changed alert, or "" if no alert has that setting.
func toggled(h heard) (body, id string) {
	alerts, _ := h.at("body").(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(alerts)) {
		if alert, ok := alerts[id].(map[string]any); ok {
			if on, ok := alert["snmp"].(bool); ok {
				alert["snmp"] = !on
				return string(encoded(alerts)), id
			}
		}
	}
	return string(encoded(alerts)), ""
}

// shown returns the JSON of the member at a path of names, so that it can be compared.
func shown(v any, names ...string) string { return string(encoded(at(v, names...))) }

// previewed skips the check if a preview failed because of the lock or missing rights, and
// fails the check for any other error.
func (v *visit) previewed(err error) {
	v.Helper()
	switch {
	case errors.Is(err, sps.ErrLocked):
		v.skipf("somebody else holds the configuration")
	case errors.Is(err, sps.Unauthorized):
		v.skipf("the user has no right to: %v", err)
	case err != nil:
		v.fatalf("the SDK cannot preview a change: %v", err)
	}
}

func rawKind(raw json.RawMessage) string {
	var v any
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		return "nothing"
	}
	return kindOf(v)
}

func rawShape(raw json.RawMessage) string {
	var v any
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		return "nothing"
	}
	return shapeOf("", v)
}

// word returns text if it looks like a word of the API, such as "string" or "custom", and "<no
// word>" otherwise.
func word(text string) string {
	if wordLike.MatchString(text) {
		return text
	}
	return "<no word>"
}

func orNone(lines []string) string {
	if len(lines) == 0 {
		return "none"
	}
	return strings.Join(lines, "; ")
}

// reference returns the response of a simulated appliance to a GET of p.
func reference(v *visit, p string) heard {
	v.Helper()
	if v.target.reference == nil {
		a := spstest.NewServer(nil, spstest.WithoutListener())
		request, err := http.NewRequest("GET", "https://"+a.Addr()+"/api/authentication", nil)
		if err != nil {
			v.fatalf("%v", err)
		}
		request.SetBasicAuth(a.Username(), a.Password())
		response, err := a.RoundTrip(request)
		if err != nil {
			v.fatalf("%v", err)
		}
		v.target.reference = func(p string) (heard, error) {
			request := request.Clone(v.ctx)
			request.URL.Path = "/api/" + p
			for _, cookie := range response.Cookies() {
				request.AddCookie(cookie)
			}
			response, err := a.RoundTrip(request)
			if err != nil {
				return heard{}, err
			}
			body, err := io.ReadAll(response.Body)
			return heard{"GET", p, response.StatusCode, response.Header, body}, err
		}
	}
	h, err := v.target.reference(p)
	if err != nil || !h.success() {
		v.fatalf("the simulated appliance: %s, %v", h, err)
	}
	return h
}

func sampleAlerts(v *visit, p string) []string {
	alerts, _ := reference(v, p).at("body").(map[string]any)
	return slices.Sorted(maps.Keys(alerts))
}

// differences lists the members that only one of two JSON values has, and the members whose
// types differ.
func differences(place string, here, there any) (lines []string) {
	if here == nil || there == nil {
		return nil // null has no members to compare
	}
	switch h := here.(type) {
	case map[string]any:
		t, ok := there.(map[string]any)
		if !ok {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(h)) {
			if idLike.MatchString(name) || !memberLike.MatchString(name) {
				continue // a key of a map, not a member
			}
			if _, ok := t[name]; !ok {
				lines = append(lines, place+"."+name+" (only on the appliance)")
				continue
			}
			lines = append(lines, differences(place+"."+name, h[name], t[name])...)
		}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if _, ok := h[name]; !ok && !idLike.MatchString(name) && memberLike.MatchString(name) {
				lines = append(lines, place+"."+name+" (only on the simulated appliance)")
			}
		}
		return lines
	case []any:
		t, ok := there.([]any)
		if ok && len(h) > 0 && len(t) > 0 {
			return differences(place+"[]", h[0], t[0])
		}
		if ok {
			return nil
		}
	}
	if here, there := kindOf(here), kindOf(there); here != there {
		lines = append(lines, fmt.Sprintf("%s is %s, on the simulated appliance %s", place, word(here), word(there)))
	}
	return lines
}

// compareObjects compares each configuration object that the simulated appliance implements
// with the same object of the target, by the names and types of its members.
func compareObjects(v *visit) {
	for _, route := range spstest.Implemented() {
		p, ok := strings.CutPrefix(route, "GET /api/")
		if !ok || !strings.HasPrefix(p, "configuration/") || strings.Contains(p, "*") || strings.HasPrefix(p, "configuration/alerting/") {
			continue
		}
		h, err := v.send(v.ctx, v.target.cookie, "GET", p, "")
		if err != nil {
			v.fatalf("%s: %v", p, err)
		}
		if !h.success() {
			v.logf("%s: %s", p, h.refusal())
			continue
		}
		here, there := h.value(), reference(v, p).value()
		if h.has("body") {
			found := differences("body", at(here, "body"), at(there, "body"))
			v.logf("%s: %s", p, orNone(found))
			if v.target.picked != nil {
				v.want("differences at "+p, "none", orNone(found))
			}
			continue
		}
		v.logf("%s: %s", p, orNone(itemDifferences(here, there)))
	}
}

// itemDifferences compares two lists. It compares the body of the first item that has a body in
// each list. If one of the lists has no such item, it compares the keys of the items.
func itemDifferences(here, there any) []string {
	items := func(v any) []any { list, _ := at(v, "items").([]any); return list }
	body := func(v any) any {
		for _, item := range items(v) {
			if b := at(item, "body"); b != nil {
				return b
			}
		}
		return nil
	}
	if h, t := body(here), body(there); h != nil && t != nil {
		return differences("items[].body", h, t)
	}
	keys := func(v any) map[string]any {
		all := map[string]any{}
		for _, item := range items(v) {
			if key, ok := at(item, "key").(string); ok && memberLike.MatchString(key) && !idLike.MatchString(key) {
				all[key] = true
			}
		}
		return all
	}
	return differences("items", keys(here), keys(there))
}
