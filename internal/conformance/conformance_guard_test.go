package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// errGuard marks a request that the guard refused to send.
var errGuard = errors.New("the guard of the conformance suite refuses the request")

// guard is a RoundTripper between the conformance suite and an appliance. It sends reads,
// logins with a credential that was not rejected before, log-outs, and the requests that open
// and roll back transactions. If writes is true, it also sends changes of the configuration in
// a transaction that this run has opened. It refuses every other request of a check or of the
// SDK: commits, firmware actions, uploads, support bundles and joins. It also stores the
// responses, so that the checks can read them.
type guard struct {
	writes bool

	mu      sync.Mutex
	base    http.RoundTripper
	host    string
	refused bool                       // a login was rejected, so the guard sends no further login
	logins  []string                   // the Cookie headers of the sessions, in order
	live    map[string]bool            // the Cookie headers of sessions that are not logged out
	open    map[string]bool            // the Cookie headers of sessions in which this run has opened a transaction
	created map[string]map[string]bool // by Cookie header, the paths of the objects that the transaction has created
	heard   []heard
}

// heard is a response, with the method and the path of its request.
type heard struct {
	method, path string // path is relative to /api/
	status       int
	header       http.Header
	body         []byte
}

// wrap returns an option that puts the guard into a client. All clients with this option use
// the connections and the trust settings of the first client.
func (g *guard) wrap() sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.base == nil {
			g.base = base
		}
		return g
	})
}

// allow returns nil if the guard may send a request, and otherwise an error that says why not.
func (g *guard) allow(r *http.Request) error {
	refuse := func(why string) error { return fmt.Errorf("%s %s: %w: %s", r.Method, r.URL.Path, errGuard, why) }
	p, below := strings.CutPrefix(r.URL.Path, "/api/")
	escaped := strings.ToLower(r.URL.EscapedPath())
	switch {
	case r.URL.Scheme != "https" || g.host != "" && r.URL.Host != g.host || r.Host != "" && r.Host != r.URL.Host:
		return refuse("it goes to another host")
	case !below && r.URL.Path != "/api":
		return refuse("it is not below /api/")
	case below && (path.Clean("/"+p) != "/"+p || strings.ContainsAny(p, "\\;") ||
		strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%2e") || strings.Contains(escaped, "%5c")):
		return refuse("its path is not plain")
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Http-Method") || strings.HasPrefix(name, "X-Method") {
			return refuse("it names another method")
		}
	}
	cookie := r.Header.Get("Cookie")
	if r.Header.Get("Authorization") != "" {
		switch {
		case r.Method != http.MethodGet || p != "authentication":
			return refuse("it carries a credential to where none belongs")
		case g.refused:
			return refuse("the credential was refused before, and another attempt may lock the account")
		}
	}
	switch {
	case r.Method == http.MethodGet && (r.Body == nil || r.Body == http.NoBody):
		return nil
	case r.Method == http.MethodDelete && p == "authentication" && r.URL.RawQuery == "":
		return nil
	case (r.Method == http.MethodPost || r.Method == http.MethodDelete) && p == "transaction" && r.URL.RawQuery == "":
		return nil
	case !strings.HasPrefix(p, "configuration/") || r.URL.RawQuery != "":
	case !g.writes:
		return refuse("it writes, which was not asked for")
	case !g.open[cookie]:
		return refuse("it writes outside of a transaction of this run")
	case r.Method == http.MethodPut, r.Method == http.MethodPost:
		return nil
	case r.Method == http.MethodDelete && g.created[cookie][p]:
		return nil
	case r.Method == http.MethodDelete:
		return refuse("it deletes what this run has not made")
	}
	return refuse("it is not on the list")
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	err := g.allow(r)
	base := g.base
	g.mu.Unlock()
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	response, err := base.RoundTrip(r)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(response.Body, 32<<20))
		response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(r, response, body, err)
	if err != nil {
		return nil, err
	}
	return response, nil
}

// note records what a request and its response change: sessions, transactions, created objects
// and rejected logins.
func (g *guard) note(r *http.Request, response *http.Response, body []byte, err error) {
	p := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/")
	cookie := r.Header.Get("Cookie")
	status := 0
	if err == nil {
		status = response.StatusCode
		g.heard = append(g.heard, heard{r.Method, p, status, response.Header.Clone(), body})
	}
	success := status >= 200 && status < 300 && !bytes.Contains(body, []byte(`"error"`))
	if err == nil && cookie != "" {
		for _, c := range response.Cookies() {
			if renewed := c.Name + "=" + c.Value; c.Name == "session_id" && c.Value != "" && renewed != cookie && g.live[cookie] {
				g.live[renewed], g.open[renewed], g.created[renewed] = true, g.open[cookie], g.created[cookie]
				delete(g.live, cookie)
				delete(g.open, cookie)
				cookie = renewed
			}
		}
	}
	switch r.Method + " " + p {
	case "GET authentication":
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			g.refused = r.Header.Get("Authorization") != "" || g.refused
		}
		if err != nil {
			return
		}
		for _, c := range response.Cookies() {
			if c.Name == "session_id" && r.Header.Get("Authorization") != "" {
				pair := c.Name + "=" + c.Value
				g.logins = append(g.logins, pair)
				g.live[pair] = true
			}
		}
	case "DELETE authentication":
		if status >= 200 && status < 300 || status == 401 || status == 404 || status == 405 {
			delete(g.live, cookie)
			delete(g.open, cookie)
		}
	case "POST transaction":
		// If the response to the opening was lost, the guard does not know whether the
		// transaction is open. The guard then does not record it, and the SDK rolls it back.
		if success {
			g.open[cookie], g.created[cookie] = true, map[string]bool{}
		}
	case "DELETE transaction":
		if success {
			delete(g.open, cookie)
		}
	default:
		var made struct {
			Key string `json:"key"`
		}
		if r.Method == http.MethodPost && success && json.Unmarshal(body, &made) == nil && made.Key != "" {
			g.created[cookie][p+"/"+made.Key] = true
		}
	}
}

// left describes the sessions and transactions that the run has left on the appliance, or
// returns "" if there are none.
func (g *guard) left() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var left []string
	if n := len(g.live); n > 0 {
		left = append(left, fmt.Sprintf("%d sessions", n))
	}
	n := 0
	for _, open := range g.open {
		if open {
			n++
		}
	}
	if n > 0 {
		left = append(left, fmt.Sprintf("%d open transactions", n))
	}
	return strings.Join(left, " and ")
}

// session returns the Cookie header of the latest login.
func (g *guard) session() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.logins) == 0 {
		return ""
	}
	return g.logins[len(g.logins)-1]
}

// last returns the latest response to a request with this method and path. It returns false if
// there is none.
func (g *guard) last(method, p string) (heard, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range slices.Backward(g.heard) {
		if h.method == method && h.path == p {
			return h, true
		}
	}
	return heard{}, false
}

func newGuard(writes bool) *guard {
	return &guard{writes: writes, live: map[string]bool{}, open: map[string]bool{}, created: map[string]map[string]bool{}}
}

// TestConformanceGuard checks which requests the guard sends: each request that the simulated
// appliance implements, and disguised requests that must not reach an appliance.
func TestConformanceGuard(t *testing.T) {
	t.Parallel()
	const cookie = "session_id=1"
	type attempt struct {
		method, url string
		header      http.Header
		body        string
		allowed     string // "" for never, or the first mode that permits it: "reads", "writes" or "transaction" (a write in a transaction)
	}
	attempts := []attempt{
		{method: "GET", url: "/api/authentication", header: http.Header{"Authorization": {"Basic eDp5"}}, allowed: "reads"},
		{method: "GET", url: "/api/audit/sessions?limit=1", allowed: "reads"},
		{method: "PUT", url: "/api/transaction", body: `{"status":"commit"}`},
		{method: "PUT", url: "/api/transaction/", body: `{"status":"commit"}`},
		{method: "PUT", url: "/api/configuration/../transaction", body: `{"status":"commit"}`},
		{method: "PUT", url: "/api/configuration/%2e%2e/transaction", body: `{"status":"commit"}`},
		{method: "PUT", url: "/api/configuration%2f..%2ftransaction", body: `{"status":"commit"}`},
		{method: "PUT", url: "/api//configuration/datetime/timezone", body: `"UTC"`},
		{method: "PUT", url: "/API/configuration/datetime/timezone", body: `"UTC"`},
		{method: "POST", url: "/api/transaction?x=1"},
		{method: "POST", url: "/api/transaction", allowed: "reads"},
		{method: "DELETE", url: "/api/transaction", allowed: "reads"},
		{method: "DELETE", url: "/api/authentication", allowed: "reads"},
		{method: "GET", url: "/api/firmware/slots", header: http.Header{"X-Http-Method-Override": {"DELETE"}}},
		{method: "GET", url: "/api/firmware/slots", header: http.Header{"X-Method-Override": {"DELETE"}}},
		{method: "GET", url: "/api/firmware/slots", header: http.Header{"Authorization": {"Basic eDp5"}}},
		{method: "GET", url: "/api/firmware/slots", body: `{}`},
		{method: "POST", url: "/api/authentication", header: http.Header{"Authorization": {"Basic eDp5"}}},
		{method: "GET", url: "https://elsewhere.example.com/api/info"},
		{method: "GET", url: "http://appliance.test/api/info"},
		{method: "GET", url: "/rpc/"},
		{method: "POST", url: "/api/setup", body: `{}`},
		{method: "POST", url: "/api/cluster/promote"},
		{method: "POST", url: "/api/cluster/spp", body: `{}`},
		{method: "POST", url: "/api/upload/plugins", body: `PK`},
		{method: "PATCH", url: "/api/configuration/datetime/timezone", body: `"UTC"`},
		{method: "DELETE", url: "/api/starling/join?force=true"},
		{method: "DELETE", url: "/api/configuration/trust_stores/made", allowed: "transaction"},
		{method: "DELETE", url: "/api/configuration/trust_stores/other"},
		{method: "DELETE", url: "/api/configuration"},
	}
	for _, route := range spstest.Implemented() {
		method, p, _ := strings.Cut(route, " ")
		a := attempt{method: method, url: strings.ReplaceAll(p, "*", "x")}
		switch {
		case method == "GET", p == "/api/transaction" && method != "PUT", route == "DELETE /api/authentication":
			a.allowed = "reads"
		case strings.HasPrefix(p, "/api/configuration/") && method != "DELETE":
			a.allowed, a.body = "transaction", "{}"
		}
		attempts = append(attempts, a)
	}
	for _, mode := range []string{"reads", "writes", "transaction"} {
		for _, a := range attempts {
			t.Run(mode+"/"+a.method+" "+a.url, func(t *testing.T) {
				t.Parallel()
				sent := false
				g := newGuard(mode != "reads")
				g.host = "appliance.test"
				g.base = testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
					sent = true
					return testkit.Answer(r, 200, http.Header{}, "{}"), nil
				})
				if mode == "transaction" {
					g.open[cookie], g.created[cookie] = true, map[string]bool{"configuration/trust_stores/made": true}
				}
				url := a.url
				if strings.HasPrefix(url, "/") {
					url = "https://appliance.test" + url
				}
				r, err := http.NewRequest(a.method, url, strings.NewReader(a.body))
				if err != nil {
					t.Fatal(err)
				}
				if a.body == "" {
					r.Body = http.NoBody
				}
				for name, values := range a.header {
					r.Header[name] = values
				}
				r.Header.Set("Cookie", cookie)
				response, err := g.RoundTrip(r)
				want := a.allowed == "reads" || a.allowed == mode
				if response != nil {
					response.Body.Close()
				}
				testkit.Diff(t, "sent", want, sent)
				testkit.Diff(t, "an error", !want, errors.Is(err, errGuard))
			})
		}
	}
}

// TestConformanceGuardLogin checks that the guard sends a rejected credential only once.
func TestConformanceGuardLogin(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	g := newGuard(false)
	for range 3 {
		_, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString("wrong")),
			sps.WithCABundle(a.CA()), testkit.Quick, g.wrap())
		if err == nil {
			t.Fatal("the appliance accepted a wrong password")
		}
	}
	testkit.Diff(t, "requests", []string{"GET /api/authentication"}, testkit.Requests(a))
}

// TestConformanceGuardOfTheSDK calls methods of the SDK that change an appliance, with a client
// whose requests go through a guard that permits writes. It checks that the guard refuses each
// change, and that the appliance receives only reads, logins, log-outs, and a transaction that
// is rolled back.
func TestConformanceGuardOfTheSDK(t *testing.T) {
	t.Parallel()
	g := newGuard(true)
	synctest.Test(t, func(t *testing.T) {
		a := spstest.NewServer(nil, spstest.WithoutListener(), spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}))
		defer a.Close()
		untouched(t, a, a.State())
		ctx := t.Context()
		c, err := sps.Connect(ctx, a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a), g.wrap())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		image := "SPS-FIRMWARE 9.0.0\n"
		for name, do := range map[string]func() error{
			"commit": func() error {
				return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
					return tx.Alerting.TrafficAlerts.Update(ctx, func(alerts *sps.TrafficAlerts) error { return alerts.EnableAll(sps.ChannelSNMP) })
				})
			},
			"upgrade":     func() error { _, err := c.Firmware.StartUpgrade(ctx, "2"); return err },
			"test":        func() error { _, err := c.Firmware.Test(ctx, "2"); return err },
			"delete slot": func() error { return c.Firmware.Slots.Delete(ctx, "4") },
			"upload": func() error {
				_, err := c.Firmware.Upload(ctx, strings.NewReader(image), int64(len(image)))
				return err
			},
			"fetch": func() error {
				_, err := c.Firmware.Fetch.Start(ctx, "https://example.com/a.iso", strings.Repeat("0", 64))
				return err
			},
			"bundle": func() error { _, err := c.Troubleshooting.SupportBundle.Start(ctx); return err },
			"join": func() error {
				return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: sps.NewSecretString("x")})
			},
			"unjoin": func() error { return c.Starling.ForceUnjoin(ctx) },
		} {
			// Join returns nil if it finds the appliance joined. It then does not return the
			// error of the guard.
			if err := do(); !errors.Is(err, errGuard) && name != "join" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, r := range a.Journal() {
			known := r.Method == "GET" || r.Path == "/api/authentication" || r.Path == "/api/transaction" && r.Method != "PUT" ||
				r.Method == "PUT" && r.Path == "/api/configuration/alerting/traffic_alerts"
			if !known {
				t.Errorf("the appliance received %s %s", r.Method, r.Path)
			}
		}
	})
	testkit.Diff(t, "left", "", g.left())
}
