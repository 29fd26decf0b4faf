package spstest

import (
	"crypto/x509"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// exchange is a request while the appliance handles it.
type exchange struct {
	method       string
	path         string // the path below /api/, without a slash at its end
	api          bool   // the path is /api or below
	query        url.Values
	header       http.Header
	body         []byte
	hasLength    bool
	certificates []*x509.Certificate
	conn         *accepted // the connection; nil for a request in process
	phase        phase     // the phase of a restart in which the request arrived
	remote       string    // the address of the client
	incoming     *incoming // the body of an upload, which is not read into body
	received     received  // the result of reading incoming

	session  *session // nil without a login
	label    string   // the label of the session that the cookie belongs to, live or ended
	executed bool

	takes   time.Duration // how long the execution lasts
	handler handler       // the function that executes the request, set after the checks
	held    bool          // the effect happens after takes
	ends    bool          // takes is over, and the effect happens now
	under   *transaction  // the transaction of a change whose effect happens later
	key     string        // the key of the object that the request creates
	ignored []string      // the unknown members in the body of the request
	commits *transaction  // the transaction that the request commits
	commit  Commit        // the entry for Commits
}

// last returns the last segment of the path.
func (x *exchange) last() string { return x.path[strings.LastIndexByte(x.path, '/')+1:] }

func (x *exchange) writes() bool {
	return x.method == http.MethodPost || x.method == http.MethodPut || x.method == http.MethodDelete
}

// jsonObject decodes the body as an object. An empty body counts as an empty object. The
// Content-Type is ignored, because the guide's curl commands send that of a form.
func (x *exchange) jsonObject() (object, bool) {
	if len(x.body) == 0 {
		return object{}, true
	}
	v, err := decode(x.body)
	if err != nil {
		return nil, false
	}
	o, ok := v.(object)
	return o, ok
}

type handler func(*Appliance, *exchange) answer

type methods map[string]handler

func (m methods) allow() []string { return slices.Sorted(maps.Keys(m)) }

// route is a path below /api with its methods. "*" in the path stands for one segment.
type route struct {
	path    string
	public  bool // the path needs no session
	methods methods
}

// routes are the endpoints outside the configuration.
var routes = []route{
	{"", false, methods{"GET": (*Appliance).getRoot}},
	{"audit", false, methods{"GET": (*Appliance).getAudit}},
	{auditSessionsPath, false, methods{"GET": (*Appliance).getSessions}},
	{auditSessionsPath + "/_count", false, methods{"GET": (*Appliance).countSessions}},
	{auditSessionsPath + "/_snapshot", false, methods{"GET": (*Appliance).createSnapshot}},
	{auditSessionsPath + "/histogram", false, methods{"GET": (*Appliance).getHistogram}},
	{auditSessionsPath + "/stats", false, methods{"GET": (*Appliance).getStats}},
	{auditSessionsPath + "/*", false, methods{"GET": (*Appliance).getSession}},
	{auditSessionsPath + "/*/alerts", false, methods{"GET": (*Appliance).getAlerts}},
	{auditSessionsPath + "/*/audit_trail", false, methods{"GET": (*Appliance).downloadTrail}},
	{auditSessionsPath + "/*/channels", false, methods{"GET": (*Appliance).getChannels}},
	{auditSessionsPath + "/*/channels/*", false, methods{"GET": (*Appliance).getChannel}},
	{auditSessionsPath + "/*/content", false, methods{"GET": (*Appliance).getContent}},
	{auditSessionsPath + "/*/events", false, methods{"GET": (*Appliance).getEvents}},
	{auditSessionsPath + "/*/indexer", false, methods{"GET": (*Appliance).getIndexings}},
	{auditSessionsPath + "/*/indexing", false, methods{"GET": (*Appliance).getIndexings}},
	{auditSessionsPath + "/*/trail_downloads", false, methods{"GET": (*Appliance).getTrailDownloads}},
	{"authentication", true, methods{"GET": (*Appliance).logIn, "DELETE": (*Appliance).logOut}},
	{"authentication/login_methods", true, methods{"GET": (*Appliance).getLoginMethods}},
	{"authentication/types", true, methods{"GET": (*Appliance).getAuthenticationTypes}},
	{passwordsJoinPath, false, methods{"POST": (*Appliance).joinPasswords}},
	{"cluster/status", false, methods{"GET": (*Appliance).getClusterStatus}},
	{"cluster/status/*", false, methods{"GET": (*Appliance).getNodeStatus}},
	{"firmware", false, methods{"GET": (*Appliance).getFirmware}},
	{"firmware/fetch", false, methods{"GET": (*Appliance).getFetches, "POST": (*Appliance).startFetch}},
	{"firmware/fetch/*", false, methods{"GET": (*Appliance).getFetch, "DELETE": (*Appliance).deleteFetch}},
	{"firmware/slots", false, methods{"GET": (*Appliance).getSlots}},
	{"firmware/slots/*", false, methods{"GET": (*Appliance).getSlot, "DELETE": (*Appliance).deleteSlot}},
	{"firmware/test", false, methods{"POST": (*Appliance).testFirmware}},
	{"firmware/upgrade", false, methods{"POST": (*Appliance).upgradeFirmware}},
	{"health_status", false, methods{"GET": (*Appliance).getHealth}},
	{"info", true, methods{"GET": (*Appliance).getInfo}},
	{"integrated_products", false, methods{"GET": (*Appliance).getProducts}},
	{"setup", true, methods{"GET": (*Appliance).getSetup}},
	{joinPath, false, methods{"GET": (*Appliance).getJoin, "POST": (*Appliance).join, "DELETE": (*Appliance).unjoin}},
	{"transaction", false, methods{
		"GET": (*Appliance).getTransaction, "POST": (*Appliance).openTransaction,
		"PUT": (*Appliance).commitTransaction, "DELETE": (*Appliance).rollBackTransaction,
	}},
	{"transaction/changes", false, methods{"GET": (*Appliance).getChanges}},
	{bundlesPath, false, methods{"GET": (*Appliance).getBundles, "POST": (*Appliance).startBundle}},
	{bundlesPath + "/*", false, methods{"GET": (*Appliance).getBundle, "DELETE": (*Appliance).deleteBundle}},
	{bundlesPath + "/*/download", false, methods{"GET": (*Appliance).downloadBundle}},
	{uploadPath, false, methods{"POST": (*Appliance).uploadFirmware}},
	{"user/info", false, methods{"GET": (*Appliance).getUserInfo}},
	{"user_info", false, methods{"GET": (*Appliance).getUserInfo}},
	{"userinfo", false, methods{"GET": (*Appliance).getUserInfo}},
}

// Implemented returns the implemented endpoints, for example "GET /api/firmware/slots". A
// "*" in a path stands for the key of an object.
func Implemented() []string {
	var all []string
	add := func(p string, allowed []string) {
		for _, method := range allowed {
			all = append(all, method+" "+href(p))
		}
	}
	for _, r := range routes {
		add(r.path, r.methods.allow())
	}
	nodes, _ := defaultConfiguration()
	for p := range nodes {
		add(p, nodeMethods(nodes, p).allow())
		if nodes[p].collection {
			add(p+"/*", nodes[p].itemMethods().allow())
		}
		for parent := parentOf(p); parent != ""; parent = parentOf(parent) {
			if !slices.Contains(all, "GET "+href(parent)) {
				add(parent, nodeMethods(nodes, parent).allow())
			}
		}
	}
	slices.SortFunc(all, func(l, r string) int {
		lm, lp, _ := strings.Cut(l, " ")
		rm, rp, _ := strings.Cut(r, " ")
		if c := strings.Compare(lp, rp); c != 0 {
			return c
		}
		return strings.Compare(lm, rm)
	})
	return all
}

func (r *route) matches(p string) bool {
	pattern := r.path
	for {
		head, tail, wild := strings.Cut(pattern, "*")
		if !wild {
			return p == pattern
		}
		rest, ok := strings.CutPrefix(p, head)
		if !ok {
			return false
		}
		segment, _, _ := strings.Cut(rest, "/")
		if segment == "" {
			return false
		}
		p, pattern = rest[len(segment):], tail
	}
}

// route returns the methods of a path, and whether the path is public. ok is false if
// there is no such endpoint.
func (a *Appliance) route(p string) (m methods, public, ok bool) {
	for i := range routes {
		if routes[i].matches(p) {
			return routes[i].methods, routes[i].public, true
		}
	}
	if m := a.configurationMethods(p); m != nil {
		return m, false, true
	}
	return nil, false, false
}

// atTheDoor answers the requests that do not reach the REST service, because the web
// server refuses them or the appliance is restarting.
func (a *Appliance) atTheDoor(x *exchange) (_ answer, answered bool) {
	switch {
	case x.phase == unavailable:
		return page(http.StatusServiceUnavailable), true
	case x.phase == starting:
		return a.whileStarting(x), true
	case x.header.Get("Expect") != "":
		return page(http.StatusExpectationFailed), true
	case !x.hasLength && (x.method == http.MethodPost || x.method == http.MethodPut):
		return page(http.StatusLengthRequired), true
	case !x.api:
		return page(http.StatusNotFound), true
	}
	return answer{}, false
}

// complete adds the headers that the responses of a path have in common.
func (a *Appliance) complete(x *exchange, ans answer) answer {
	if ans.header == nil { // the response does not exist yet
		return ans
	}
	if m, _, found := a.route(x.path); found && ans.header.Get("Allow") == "" {
		ans.header.Set("Allow", strings.Join(m.allow(), ", "))
	}
	if s := x.session; s != nil && !s.ended && a.variant("cookie-renewal") == "always" && ans.header.Get("Set-Cookie") == "" {
		a.setCookies(ans.header, s)
	}
	return ans
}

func (a *Appliance) dispatch(x *exchange) answer {
	m, public, found := a.route(x.path)
	if x.session == nil && !public {
		return a.unauthenticated(x)
	}
	if x.unjoinsElsewhere() && a.variant("starling-unjoin-elsewhere") != "405:MethodNotAllowed" {
		return a.refuse(x, "starling-unjoin-elsewhere", "The appliance can be unjoined at "+href(joinPath)+" only", nil)
	}
	if !found {
		return a.notFound(x)
	}
	do, ok := m[x.method]
	switch {
	case !ok && x.method == http.MethodGet && a.holdsSecrets(x.path):
		return a.refuseHere(x, "secret-list", "The objects cannot be listed")
	case !ok:
		return a.methodNotAllowed(x, m.allow())
	case a.browserRefused(x):
		return a.refuse(x, "token-refused", "The request needs the token of its session", nil)
	case x.writes() && x.session == nil:
		return a.unauthenticated(x)
	case x.session != nil && !public && !x.session.user.may(x.path, x.writes()):
		return a.unauthorized(x)
	}
	x.handler = do
	if x.method == http.MethodGet && x.holds() {
		return answer{}
	}
	return a.perform(x)
}

// perform calls the handler of a request: to execute it or, if it lasts, to check it at
// its start.
func (a *Appliance) perform(x *exchange) answer {
	ans := x.handler(a, x)
	if x.held && !x.ends {
		return answer{}
	}
	x.executed = true
	if a.variant("remaining-seconds") == "all" && x.session != nil {
		ans.body = withRemaining(ans.body, x.session.remaining())
	}
	return ans
}

// withRemaining adds remaining_seconds to the meta object of a response body.
func withRemaining(body []byte, seconds int) []byte {
	if len(body) == 0 {
		return body
	}
	v, err := decode(body)
	if err != nil {
		return body
	}
	if o, ok := v.(object); ok {
		if meta, ok := o["meta"].(object); ok {
			meta["remaining_seconds"] = seconds
			return encode(o)
		}
	}
	return body
}

func (a *Appliance) methodNotAllowed(x *exchange, allowed []string) answer {
	ans := x.fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not supported on this resource", nil)
	ans.header.Set("Allow", strings.Join(allowed, ", "))
	return ans
}
