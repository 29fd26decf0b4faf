// Package conformance checks that an appliance, simulated or real, behaves as
// docs/explanation/fidelity.md says.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// This file runs the conformance suite. Its checks compare an appliance with what the SDK and
// the simulated appliance assume about the API. Every go test runs them against a simulated
// appliance. They run against a real appliance only with SPS_LIVE=1:
//
//	SPS_LIVE=1 SPS_HOST=… SPS_USERNAME=… SPS_PASSWORD=… go test ./internal/conformance -run TestConformanceLive -count=1 -v
//
// The variables are those of sps.ConnectFromEnv. The checks log in, read, open transactions and
// roll them back, and log out. With SPS_LIVE_WRITES=1 they also stage changes in these
// transactions. The guard in conformance_guard_test.go refuses every other request. The checks are in
// conformance_checks_test.go, and docs/explanation/fidelity.md says what each check verifies.

// check verifies one fact about an appliance.
type check struct {
	name string
	// verifies describes the fact and names its source.
	verifies string
	// variants lists the variants of the simulated appliance whose alternatives the check can
	// tell apart.
	variants []string
	// guesses lists the entries of assumptions.go that the check can confirm or refute.
	guesses []string
	// writes is true if the check stages changes.
	writes bool
	run    func(*visit)
}

// target is an appliance that the suite checks.
type target struct {
	writes  bool
	connect func(ctx context.Context, options ...sps.Option) (*sps.Client, error)
	// picked contains the variants with which a simulated appliance was started. It is nil for
	// a real appliance.
	picked map[string]string
	// private lists texts that the log must not show.
	private []string
	// said receives each logged line, if it is not nil.
	said func(string)
	// faults receives the failures of the checks instead of the test, if it is not nil. Tests
	// that expect failures use it.
	faults func(string)

	guard         *guard
	client, other *sps.Client
	cookie, their string // the Cookie headers of client and other
	found         map[string]bool
	reference     func(p string) (heard, error) // reads from a simulated appliance, for comparison
}

// visit is one run of a check against a target.
type visit struct {
	*testing.T
	ctx    context.Context
	target *target
	check  *check
}

// begin logs in to the target.
func (target *target) begin(ctx context.Context, t *testing.T) {
	t.Helper()
	target.guard, target.found = newGuard(target.writes), map[string]bool{}
	target.client, target.cookie = target.login(ctx, t)
	target.guard.host = target.client.Host()
	host, _, _ := strings.Cut(target.guard.host, ":")
	target.private = append(target.private, target.guard.host, host)
}

// login returns a new client of the target, which is closed at the end of the test, and the
// Cookie header of its session.
func (target *target) login(ctx context.Context, t *testing.T) (*sps.Client, string) {
	t.Helper()
	// The client uses one session, because the checks send their own requests in that session.
	c, err := target.connect(ctx, target.guard.wrap(), sps.WithUserAgent("sps-conformance"), sps.WithOneSession())
	if err != nil {
		t.Fatal(target.clean("the login failed: %v", err))
	}
	t.Cleanup(func() {
		err := c.Close(context.Background())
		switch {
		case err == nil:
		case target.faults != nil:
			target.faults(err.Error())
		default:
			t.Error(target.clean("the log-out failed: %v", err))
		}
	})
	cookie := target.guard.session()
	target.private = append(target.private, strings.TrimPrefix(cookie, "session_id="))
	return c, cookie
}

// run runs the checks one after another.
func (target *target) run(ctx context.Context, t *testing.T, checks []check) {
	t.Helper()
	for i := range checks {
		t.Run(checks[i].name, func(t *testing.T) {
			v := &visit{t, ctx, target, &checks[i]}
			v.logf("verifies: %s", v.check.verifies)
			switch {
			case v.check.writes && !target.writes:
				v.skipf("it stages changes, which are rolled back: set SPS_LIVE_WRITES=1")
			case ctx.Err() != nil:
				v.fatalf("%v", context.Cause(ctx))
			}
			defer v.rollBack()
			v.check.run(v)
		})
	}
}

// rollBack rolls back the transactions that the check has left open.
func (v *visit) rollBack() {
	for _, cookie := range []string{v.target.cookie, v.target.their} {
		v.target.guard.mu.Lock()
		open := v.target.guard.open[cookie]
		v.target.guard.mu.Unlock()
		if !open {
			continue
		}
		h, err := v.send(context.WithoutCancel(v.ctx), cookie, "DELETE", "transaction", "")
		if err != nil || h.status >= 300 {
			v.errorf("the transaction could not be rolled back: %d, %v", h.status, err)
		}
	}
}

// clean formats a line and removes private texts and addresses from it.
func (target *target) clean(format string, args ...any) string {
	line := fmt.Sprintf(format, args...)
	for _, private := range target.private {
		if len(private) >= 4 { // shorter texts also occur in ordinary words
			line = regexp.MustCompile(`\b`+regexp.QuoteMeta(private)+`\b`).ReplaceAllLiteralString(line, "<private>")
		}
	}
	line = addressLike.ReplaceAllLiteralString(line, "<address>")
	if target.said != nil {
		target.said(line)
	}
	return line
}

var addressLike = regexp.MustCompile(`\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b|\[[0-9a-fA-F:]+\]`)

func (v *visit) logf(format string, args ...any) { v.Helper(); v.Log(v.target.clean(format, args...)) }
func (v *visit) errorf(format string, args ...any) {
	v.Helper()
	v.fault(v.target.clean(format, args...))
}
func (v *visit) fatalf(format string, args ...any) {
	v.Helper()
	v.fault(v.target.clean(format, args...))
	if v.target.faults != nil {
		v.SkipNow()
	}
	v.FailNow()
}

// fault reports a failure of the check.
func (v *visit) fault(line string) {
	v.Helper()
	if v.target.faults != nil {
		v.target.faults(line)
		return
	}
	v.Error(line)
}
func (v *visit) skipf(format string, args ...any) {
	v.Helper()
	v.Skip(v.target.clean(format, args...))
}

// want fails the check if got and want differ.
func (v *visit) want(what string, want, got any) {
	v.Helper()
	if fmt.Sprint(want) != fmt.Sprint(got) {
		v.errorf("%s: %v, want %v", what, got, want)
	}
}

// observe reports which alternative of a variant the appliance has. For a simulated appliance,
// it must be the alternative in picked or the default. For a real appliance, observe logs the
// result.
func (v *visit) observe(variant, got string) {
	v.Helper()
	if !slices.Contains(v.check.variants, variant) {
		v.errorf("the check does not list the variant %s", variant)
	}
	v.target.found[variant] = true
	for _, known := range spstest.Variants() {
		if known.Name != variant {
			continue
		}
		switch {
		case v.target.picked != nil:
			want := known.Default
			if picked, ok := v.target.picked[variant]; ok {
				want = picked
			}
			v.want("assumption "+variant, want, got)
		case got == known.Default:
			v.logf("assumption %s: CONFIRMED, the appliance has %q", variant, got)
		case slices.Contains(known.Alternatives, got):
			v.logf("assumption %s: ANOTHER, the appliance has %q and not %q; it is an alternative of the simulated appliance", variant, got, known.Default)
		default:
			v.logf("assumption %s: NEW, the appliance has %q, which is neither %q nor an alternative of it", variant, got, known.Default)
		}
	}
}

// guess logs how the appliance behaves in a case for which assumptions.go has an entry with
// this name.
func (v *visit) guess(name, format string, args ...any) {
	v.Helper()
	if !slices.Contains(v.check.guesses, name) {
		v.errorf("the check does not list the guess %s", name)
	}
	v.logf("assumptions.go, %s: %s", name, fmt.Sprintf(format, args...))
}

// send sends a request through the guard, with the given Cookie header. cookie is "" for a
// request without a session.
func (v *visit) send(ctx context.Context, cookie, method, p, body string, header ...string) (heard, error) {
	url := "https://" + v.target.guard.host + strings.TrimSuffix("/api/"+p, "/")
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return heard{}, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sps-conformance")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := v.target.guard.RoundTrip(r)
	if err != nil {
		return heard{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	p, _, _ = strings.Cut(p, "?")
	return heard{method, p, response.StatusCode, response.Header, content}, err
}

// ask is like send. It fails the check if there is no response, and logs the shape of the
// response.
func (v *visit) ask(cookie, method, p, body string, header ...string) heard {
	v.Helper()
	h, err := v.send(v.ctx, cookie, method, p, body, header...)
	if err != nil {
		v.fatalf("%s %s: %v", method, p, err)
	}
	v.logf("%s", h)
	return h
}

// get sends a GET of p in the session of the target. It skips the check if the user has no
// right to read p.
func (v *visit) get(p string) heard {
	v.Helper()
	h := v.ask(v.target.cookie, "GET", p, "")
	if h.status == http.StatusForbidden && h.kind() == string(sps.Unauthorized) {
		v.skipf("the user has no right to read %s", p)
	}
	return h
}

// second returns the Cookie header of a second session of the same user.
func (v *visit) second() string {
	v.Helper()
	if v.target.their == "" {
		v.fatalf("there is no second session")
	}
	return v.target.their
}

// open opens a transaction in the session of the target. It skips the check if the appliance
// refuses, for example because somebody else holds the lock.
func (v *visit) open() heard {
	v.Helper()
	h := v.ask(v.target.cookie, "POST", "transaction", "")
	if !h.success() {
		v.skipf("no transaction can be opened at present: %s", h)
	}
	return h
}

// value returns the decoded JSON body of the response, or nil.
func (h heard) value() any {
	var v any
	if json.Unmarshal(h.body, &v) != nil {
		return nil
	}
	return v
}

// at returns the member of the response at a place such as "body.status", or nil if there is
// none.
func (h heard) at(place string) any { return at(h.value(), strings.Split(place, ".")...) }

func at(v any, names ...string) any {
	for _, name := range names {
		o, _ := v.(map[string]any)
		v = o[name]
	}
	return v
}

// has reports whether the response has a member at a place. The member may be null.
func (h heard) has(place string) bool {
	names := strings.Split(place, ".")
	o, _ := at(h.value(), names[:len(names)-1]...).(map[string]any)
	_, ok := o[names[len(names)-1]]
	return ok
}

// kind returns the error type of the response, or "".
func (h heard) kind() string {
	kind, _ := h.at("error.type").(string)
	return kind
}

// success reports whether the response is a success: its status is below 300, and it has no
// error member.
func (h heard) success() bool { return h.status < 300 && !h.has("error") }

// refusal returns the response as variants of the simulated appliance are written, for example
// "403:SomeType". For a success, it returns only the status. It writes the error type NotFound
// as ResourceNotFound.
func (h heard) refusal() string {
	if h.success() {
		return strconv.Itoa(h.status)
	}
	kind := h.kind()
	if kind == string(sps.NotFound) {
		kind = string(sps.ResourceNotFound)
	}
	return fmt.Sprintf("%d:%s", h.status, kind)
}

// transactionKind describes the response in the notation of the variants for transactions: for
// example "403:SomeType" for a refusal, "204" for an empty body, "200-transaction" for a body
// with the status of the transaction, and "200-meta" for any other body.
func (h heard) transactionKind() string {
	switch {
	case !h.success():
		return h.refusal()
	case len(h.body) == 0:
		return strconv.Itoa(h.status)
	case h.has("body.status") || h.has("transaction.status"):
		return fmt.Sprintf("%d-transaction", h.status)
	}
	return fmt.Sprintf("%d-meta", h.status)
}

// String returns the status, the error type and the shape of the response, without values that
// may be private.
func (h heard) String() string {
	text := fmt.Sprintf("%s %s: %d", h.method, anonymous(h.path), h.status)
	if kind := h.kind(); kind != "" {
		text += " " + kind
	}
	switch v := h.value(); {
	case len(h.body) == 0:
		return text + ", no body"
	case v == nil && string(bytes.TrimSpace(h.body)) != "null":
		media, _, _ := strings.Cut(h.header.Get("Content-Type"), ";")
		return text + ", a body of " + media
	default:
		text += ", " + shapeOf("", v)
	}
	if len(text) > 3000 {
		text = text[:3000] + "…"
	}
	return text
}

var (
	idLike     = regexp.MustCompile(`^(-?[0-9]+|[0-9a-fA-F]{12,}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|.*[0-9]{5,}.*)$`)
	memberLike = regexp.MustCompile(`^[@_A-Za-z][A-Za-z0-9_@-]{0,47}$`)
	wordLike   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,23}$`)
)

// anonymous returns a path in which the keys of objects are replaced by "<key>".
func anonymous(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		if segment == "" || segment == sps.BuiltInTrustStoreKey {
			continue
		}
		if !memberLike.MatchString(segment) || idLike.MatchString(segment) {
			segments[i] = "<key>"
		}
	}
	return strings.Join(segments, "/")
}

// words contains the names of members whose values are words of the API and may be logged.
var words = map[string]bool{
	"status": true, "selection": true, "commit_message": true, "revocation_check": true, "trust_store_type": true,
	"sync_status": true, "authentication": true, "credential": true,
}

// shapeOf describes a value by the names of its members and the types of their values. It shows
// values only for the members in words.
func shapeOf(name string, v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case float64:
		return "number"
	case string:
		if words[name] && wordLike.MatchString(v) {
			return strconv.Quote(v)
		}
		return "string"
	case []any:
		var shapes []string
		for _, e := range v {
			if s := shapeOf("", e); !slices.Contains(shapes, s) {
				shapes = append(shapes, s)
			}
		}
		return fmt.Sprintf("[%s]*%d", strings.Join(shapes, " | "), len(v))
	case map[string]any:
		var members []string
		for _, member := range slices.Sorted(maps.Keys(v)) {
			shown := member
			if !memberLike.MatchString(member) || idLike.MatchString(member) {
				shown = "<key>"
			}
			if s := shown + ": " + shapeOf(member, v[member]); !slices.Contains(members, s) {
				members = append(members, s)
			}
		}
		return "{" + strings.Join(members, ", ") + "}"
	}
	return "?"
}

// kindOf returns the type of a JSON value.
func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "list"
	}
	return shapeOf("", v)
}

// TestConformanceLive runs the suite against the appliance that the environment names.
func TestConformanceLive(t *testing.T) {
	if os.Getenv("SPS_LIVE") != "1" {
		t.Skip("set SPS_LIVE=1 and the variables of sps.ConnectFromEnv to run this against an appliance; see docs/explanation/fidelity.md")
	}
	// An interrupt and the time limit of go test must not leave a session on the appliance.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if deadline, ok := t.Deadline(); ok {
		limit := time.Until(deadline) * 3 / 4
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errors.New("three quarters of go test's -timeout are over"))
		defer cancel()
	}
	live := &target{
		writes:  os.Getenv("SPS_LIVE_WRITES") == "1",
		connect: sps.ConnectFromEnv,
		private: []string{os.Getenv("SPS_HOST"), os.Getenv("SPS_USERNAME"), os.Getenv("SPS_PASSWORD")},
	}
	visitTarget(ctx, t, live, conformance)
}

// visitTarget runs checks against a target, logs out, and fails the test if sessions or
// transactions are left on the appliance.
func visitTarget(ctx context.Context, t *testing.T, target *target, checks []check) {
	t.Helper()
	t.Cleanup(func() {
		if target.guard == nil {
			return
		}
		if left := target.guard.left(); left != "" {
			t.Errorf("the run left %s on the appliance, until they time out", left)
		}
	})
	target.begin(ctx, t)
	if slices.ContainsFunc(checks, func(c check) bool { return strings.HasPrefix(c.name, "transaction/") || c.writes }) {
		target.other, target.their = target.login(ctx, t)
	}
	target.run(ctx, t, checks)
}

// simulated returns a target with a simulated appliance that has data for the checks.
func simulated(t *testing.T, writes bool, picked map[string]string, options ...spstest.Option) (*target, *spstest.Appliance) {
	t.Helper()
	for name, alternative := range picked {
		options = append(options, spstest.WithVariant(name, alternative))
	}
	a := spstest.NewServer(nil, append([]spstest.Option{spstest.WithoutListener()}, options...)...)
	t.Cleanup(a.Close)
	prepareConformance(t, a)
	if picked == nil {
		picked = map[string]string{}
	}
	return &target{
		writes: writes,
		picked: picked,
		connect: func(ctx context.Context, options ...sps.Option) (*sps.Client, error) {
			credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
			return sps.Connect(ctx, a.Addr(), credential, append([]sps.Option{testkit.InProcess(a)}, options...)...)
		},
		private: []string{a.Username(), a.Password()},
	}, a
}

// prepareConformance creates data for the checks on a simulated appliance: a fetch, support
// bundles, a slot whose firmware version looks like a number, and a warning.
func prepareConformance(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	ctx := t.Context()
	a.SetSlot(spstest.Slot{Key: "3", Version: "7.5"})
	a.SetProducts(spstest.ProductsStarling(), spstest.StarlingUnavailable)
	c, err := sps.Connect(ctx, a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Firmware.Fetch.Start(ctx, "https://example.com/sps.iso", strings.Repeat("0", 64)); err != nil {
		t.Fatal(err)
	}
	key, err := c.Troubleshooting.SupportBundle.Start(ctx)
	for range 3 {
		if err == nil {
			_, err = c.Troubleshooting.SupportBundle.Get(ctx, key)
		}
	}
	if err == nil {
		_, err = c.Troubleshooting.SupportBundle.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// untouched fails the test if the state of the appliance at the end of the test differs from
// before.
func untouched(t *testing.T, a *spstest.Appliance, before []byte) {
	t.Helper()
	t.Cleanup(func() { // runs after the log-out
		var was, is map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal(before, &was), json.Unmarshal(a.State(), &is)); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"configuration", "collections", "slots", "users", "products"} {
			testkit.Diff(t, part, string(was[part]), string(is[part]))
		}
		testkit.Diff(t, "open transaction", false, a.TransactionOpen())
		testkit.Diff(t, "commits", 0, len(a.Commits()))
		testkit.Diff(t, "uploads", 0, len(a.Uploads()))
		testkit.Diff(t, "restarts", 0, a.Restarts())
		if !strings.Contains(t.Name(), "logout=40") { // this appliance has no log-out
			testkit.Diff(t, "sessions", 0, a.Sessions())
		}
	})
}

// TestConformance runs the suite against simulated appliances of every profile, with and
// without staged changes, over TLS, and with each alternative of each variant that a check
// observes.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() {
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			target, a := simulated(t, true, nil, spstest.WithProfile(profile))
			untouched(t, a, a.State())
			visitTarget(t.Context(), t, target, conformance)
		})
	}
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		target, a := simulated(t, false, nil)
		untouched(t, a, a.State())
		began := len(a.Journal())
		visitTarget(t.Context(), t, target, conformance)
		for _, r := range a.Journal()[began:] {
			if r.Method != "GET" && r.Path != "/api/transaction" && r.Path != "/api/authentication" || r.Method == "PUT" {
				t.Errorf("the appliance received %s %s", r.Method, r.Path)
			}
		}
	})
	t.Run("over TLS", func(t *testing.T) {
		t.Parallel()
		a := spstest.NewServer(t)
		prepareConformance(t, a)
		untouched(t, a, a.State())
		visitTarget(t.Context(), t, &target{
			writes:  true,
			picked:  map[string]string{},
			private: []string{a.Username(), a.Password()},
			connect: func(ctx context.Context, options ...sps.Option) (*sps.Client, error) {
				return testkit.Dial(ctx, a, options...)
			},
		}, conformance)
	})
	for _, variant := range spstest.Variants() {
		checks := slices.DeleteFunc(slices.Clone(conformance), func(c check) bool { return !slices.Contains(c.variants, variant.Name) })
		if len(checks) == 0 {
			continue
		}
		for _, alternative := range append([]string{variant.Default}, variant.Alternatives...) {
			t.Run(variant.Name+"="+alternative, func(t *testing.T) {
				t.Parallel()
				target, a := simulated(t, true, map[string]string{variant.Name: alternative})
				untouched(t, a, a.State())
				visitTarget(t.Context(), t, target, checks)
				if !target.found[variant.Name] && !t.Failed() {
					t.Errorf("%d checks list the variant %s, and none of them observed it", len(checks), variant.Name)
				}
			})
		}
	}
}

// TestConformanceEnvironment checks the error text if the environment variables do not name the
// appliance.
func TestConformanceEnvironment(t *testing.T) {
	t.Setenv("SPS_HOST", "")
	t.Setenv("SPS_USERNAME", "admin")
	t.Setenv("SPS_PASSWORD", "secret")
	_, err := sps.ConnectFromEnv(t.Context(), newGuard(false).wrap())
	if err == nil || err.Error() != "sps: connect: invalid input: these environment variables are not set: SPS_HOST" {
		t.Errorf("error %v", err)
	}
}

// TestConformanceLog stores private values on an appliance and checks that no line of the log
// contains one of them.
func TestConformanceLog(t *testing.T) {
	t.Parallel()
	const planted = "zq7planted"
	var lines []string
	t.Run("run", func(t *testing.T) {
		target, a := simulated(t, true, nil, spstest.WithCredentials("root-"+planted, "password-"+planted), spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}),
			spstest.WithCluster(json.RawMessage(`{"key":"`+planted+`","fqdn":"`+planted+`.example.com","sync_status":"n/a","health_status":null}`)))
		a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"`+planted+`@example.com","alerting_address":"x@`+planted+`",
			"reporting_address":"x@`+planted+`","sender_address":null,"smtp_auth":{"enabled":false},"smtp_encryption":{"selection":"disabled"},
			"smtp_server":{"selection":"fqdn","value":"mail.`+planted+`"}}`))
		a.SetConfiguration("management/snmp/trap", json.RawMessage(`{"enabled":true,"version":{"selection":"2c","value":{"community":"`+planted+`",
			"server":{"selection":"ip","value":"`+planted+`"}}}}`))
		a.SetConfiguration("trust_stores/"+planted, json.RawMessage(`{"name":"`+planted+`","authorities":[],"crl_urls":[],"revocation_check":"none","trust_store_type":"custom"}`))
		a.SetConfiguration("policies/audit_policies/"+planted, json.RawMessage(`{"name":"`+planted+`"}`))
		link := "https://" + planted + ".example.com"
		a.SetProducts([]spstest.Product{{Name: "Defender", Link: &link, Activated: true}}, "a warning about "+planted)
		a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", UpgradeNotes: planted})
		target.said = func(line string) { lines = append(lines, line) }
		visitTarget(t.Context(), t, target, conformance)
	})
	if len(lines) < len(conformance) {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		for _, private := range []string{planted, "appliance.test", "BEGIN CERTIFICATE"} {
			if strings.Contains(line, private) {
				t.Errorf("%s is in the line %q", private, line)
			}
		}
	}
}

// TestConformanceFails modifies responses of a simulated appliance. It checks that the check
// that verifies the modified behaviour fails.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		check    string
		request  string
		old, new string
		status   int // replaces the appliance's status
		picked   map[string]string
		want     string // a part of one of the failures
	}{
		{check: "session/none", request: "GET transaction", old: "Unauthenticated", new: "Unauthorized", want: "answer: 401:Unauthorized"},
		{check: "session/login-methods", request: "GET authentication/login_methods", old: `"login_methods"`, new: `"methods"`, want: "no list login_methods"},
		{check: "session/user-info", request: "GET userinfo", old: `"user"`, new: `"person"`, want: "userinfo: "},
		{check: "session/log-out", request: "DELETE authentication", status: 500, want: "cannot log out"},
		{check: "errors/not-found", request: "GET no-such-endpoint", status: 400, want: "status: 400"},
		{check: "errors/method", request: "GET upload/firmware", old: "MethodNotAllowed", new: "NotAllowed", want: "answer: 405:NotAllowed"},
		{check: "transaction/status", request: "GET transaction", old: `"closed"`, new: `"shut"`, want: "the status is neither"},
		{check: "transaction/open-and-roll-back", request: "DELETE transaction", old: `"meta"`, new: `"mata"`, status: 204, want: "answer: 204-meta"},
		{check: "transaction/no-changes", request: "GET transaction/changes", old: `"meta"`, new: `"changes":{},"meta"`, want: "empty-changes"},
		{check: "changes/replace", request: "PUT configuration/alerting/traffic_alerts", status: 202, want: "put-answer"},
		{check: "changes/replace", request: "GET transaction/changes", old: `"replace"`, new: `"create"`, want: "type: create"},
		{check: "changes/replace", picked: map[string]string{"change-path": "member"}, want: "assumption change-path: object, want member"},
		{check: "changes/unknown-member", request: "PUT configuration/alerting/traffic_alerts", status: 400, want: "success: false"},
		{check: "changes/create-and-delete", request: "POST configuration/trust_stores", status: 200, want: "status: 200"},
		{check: "changes/syntactic", request: "POST configuration/trust_stores", old: "SyntacticError", new: "SemanticError", want: "answer: 400:SemanticError"},
		{check: "configuration/links", request: "GET configuration/alerting/system_alerts", old: `"next":"`, new: `"next":"x`, want: "meta.next"},
		{check: "configuration/objects", request: "GET configuration/management/email", old: `"admin_address"`, new: `"admin_mail"`, want: "body.admin_mail (only on the appliance)"},
		{check: "alerts/traffic", request: "GET configuration/alerting/traffic_alerts", old: "scbAuthFailure", new: "scbAuthFailed", want: "no alert scbAuthFailure"},
		{check: "trust-stores/authorities", request: "GET configuration/trust_stores", old: `"digest":"01:25`, new: `"digest":"0A:25`, want: "form of a fingerprint"},
		{check: "starling/configuration", request: "GET starling/join", old: `"joined":false`, new: `"joined":true`, want: "joined: false"},
		{check: "firmware/slots", request: "GET firmware/slots", old: `"number_of_empty_slots":1`, new: `"number_of_empty_slots":3`, want: "number_of_empty_slots: 3"},
		{check: "info/anonymous", request: "GET info", old: `"hostname"`, new: `"firmware_version":"7.4.0","hostname"`, want: "body has firmware_version: true"},
		{check: "info/health", request: "GET health_status", old: `"health_status":`, new: `"body":`, want: "at the top: false"},
		{check: "setup/status", request: "GET setup", old: `"completed"`, new: `"done"`, want: "status: done"},
	} {
		t.Run(test.check+" "+test.request, func(t *testing.T) {
			t.Parallel()
			var faults []string
			hit := test.request == ""
			t.Run("run", func(t *testing.T) {
				target, a := simulated(t, true, nil)
				target.faults = func(line string) { faults = append(faults, line) }
				if test.picked != nil {
					target.picked = test.picked // differs from the appliance's variant
				}
				target.connect = func(ctx context.Context, options ...sps.Option) (*sps.Client, error) {
					spoil := sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
						return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
							response, err := a.RoundTrip(r)
							if err != nil || r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/") != test.request {
								return response, err
							}
							body, err := io.ReadAll(response.Body)
							if err != nil {
								return nil, err
							}
							spoilt := body
							if test.old != "" {
								spoilt = bytes.Replace(body, []byte(test.old), []byte(test.new), 1)
							}
							hit = hit || test.status != 0 || !bytes.Equal(body, spoilt)
							status := response.StatusCode
							if test.status != 0 {
								status = test.status
							}
							return testkit.Answer(r, status, response.Header, string(spoilt)), nil
						})
					})
					credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
					return sps.Connect(ctx, a.Addr(), credential, append([]sps.Option{spoil, testkit.Quick}, options...)...)
				}
				target.begin(t.Context(), t)
				target.other, target.their = target.login(t.Context(), t)
				target.run(t.Context(), t, slices.DeleteFunc(slices.Clone(conformance), func(c check) bool { return c.name != test.check }))
			})
			if !hit {
				t.Errorf("no response to %s was modified", test.request)
			}
			if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, test.want) }) {
				t.Errorf("%q is in none of the faults %q", test.want, faults)
			}
		})
	}
}
