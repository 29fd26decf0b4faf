// Package sessions tests how a client connects to an appliance: trust, proxies, logins,
// sessions, retries, timeouts, and waiting.
package sessions

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// awkward is a password with characters that an encoder could get wrong.
const awkward = "Jelszó:日本 ☃ \"\\%41"

func TestLogin(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithCredentials("ügyeletes", awkward))...)
		c, err := testkit.Dial(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		for i, r := range a.Journal() {
			if sent := r.Header.Get("Authorization") != ""; sent != (i == 0) {
				t.Errorf("request %d, %s %s: credentials sent: %t", i, r.Method, r.Path, sent)
			}
			if agent := r.Header.Get("User-Agent"); !strings.HasPrefix(agent, "go-sps/") {
				t.Errorf("User-Agent %q", agent)
			}
		}
	})
}

func TestLogOut(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(done); err != nil {
		t.Errorf("Close with a done context: %v", err)
	}
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	a.ResetJournal()
	if _, err := c.Info(t.Context()); !errors.Is(err, sps.ErrClosed) {
		t.Errorf("Info after Close: %v, want ErrClosed", err)
	}
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrClosed) {
		t.Errorf("Transaction after Close: %v, want ErrClosed", err)
	}
	testkit.Diff(t, "requests after Close", []string(nil), testkit.Requests(a))
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCredentials("admin", "right"))
	_, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("admin", sps.NewSecretString(awkward)), sps.WithCABundle(a.CA()), testkit.Quick)
	if !errors.Is(err, sps.AuthenticationFailure) || !errors.Is(err, sps.Status(401)) {
		t.Fatalf("error %v, want AuthenticationFailure", err)
	}
	if errors.Is(err, sps.Unauthenticated) {
		t.Error("a wrong password is treated as an expired session")
	}
	for _, secret := range []string{awkward, base64.StdEncoding.EncodeToString([]byte("admin:" + awkward))} {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
			t.Errorf("the error shows the password: %s", text)
		}
	}
	testkit.Diff(t, "requests", []string{"GET /api/authentication"}, testkit.Requests(a))
}

// TestSecretsQuoted checks that errors and results do not contain the session ID or the
// password, even if the appliance repeats them in a response.
func TestSecretsQuoted(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCredentials("admin", awkward))
	c := testkit.Connect(t, a)
	c.Info(t.Context())
	session := testkit.SessionID(a)
	a.Inject(spstest.Fault{Path: "firmware/test", Status: 400, Body: `{"error":{"type":"SyntacticError","message":"bad cookie ` + session + `","details":"` + session + `"}}`})
	_, err := c.Firmware.Test(t.Context(), "2")
	if !errors.Is(err, sps.SyntacticError) {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, session) {
		t.Errorf("the error shows the session: %s", text)
	}

	a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func([]byte) []byte { return []byte(`{"key":"2","body":{"test_summary":"cookie ` + session + `"}}`) }})
	if report, err := c.Firmware.Test(t.Context(), "2"); err != nil || strings.Contains(report.TestSummary, session) {
		t.Errorf("report %+v, %v", report, err)
	}

	// This response contains the password with every character escaped.
	var escaped strings.Builder
	for _, r := range awkward {
		fmt.Fprintf(&escaped, `\u%04x`, r)
	}
	a.Inject(spstest.Fault{Path: "firmware/test", Status: 400, Body: `{"error":{"type":"FirmwareTestFailed","message":"` + escaped.String() + `","details":{"test_summary":"` + escaped.String() + `"}}}`})
	_, err = c.Firmware.Test(t.Context(), "2")
	var failed *sps.FirmwareTestFailedDetails
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", err, err, err, failed.TestSummary); strings.Contains(text, awkward) {
		t.Errorf("the error shows the password: %s", text)
	}
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		a.ExpireSessions()
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Errorf("Slots after the session expired: %v", err)
		}
		a.ExpireSessions()
		info, err := c.Info(t.Context())
		if err != nil || info.FirmwareVersion == "" {
			t.Errorf("Info after the session expired: %+v, %v", info, err)
		}
		a.ExpireSessions()
		if _, err := c.Firmware.Test(t.Context(), "2"); err != nil {
			t.Errorf("Test after the session expired: %v", err)
		}
		logins := 0
		for _, r := range a.Journal() {
			if r.Path == "/api/authentication" {
				logins++
			}
		}
		testkit.Diff(t, "logins", 4, logins)
	})
}

// TestOneLogin checks that many concurrent calls cause one new login when their session
// expires.
func TestOneLogin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rotate bool
		want   int
	}{"expired": {false, 2}, "expired and the password rotated": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c, err := testkit.Dial(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			a.ExpireSessions()
			if test.rotate {
				a.SetPassword(a.Username(), "another")
			}
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					_, err := c.Firmware.Slots.List(t.Context())
					if test.rotate && !errors.Is(err, sps.AuthenticationFailure) {
						t.Errorf("error %v, want AuthenticationFailure", err)
					} else if !test.rotate && err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			logins := 0
			for _, r := range a.Journal() {
				if r.Path == "/api/authentication" {
					logins++
				}
			}
			testkit.Diff(t, "logins", test.want, logins)
			if test.rotate {
				// The client does not log in again after the rejection, even if the password
				// would now be accepted.
				a.SetPassword(a.Username(), "a")
				if _, err := c.Info(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
					t.Errorf("a later call: %v, want AuthenticationFailure", err)
				}
			}
		})
	}
}

// TestRenewalOutlivesItsCaller cancels the call that started a login. It checks that another
// call that waits for the same login still succeeds.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ExpireSessions()
		a.Inject(spstest.Fault{Path: "authentication", Delay: time.Second})
		first, cancel := context.WithCancel(t.Context())
		var firstErr, secondErr error
		var wg sync.WaitGroup
		wg.Go(func() { _, firstErr = c.Firmware.Slots.List(first) })
		synctest.Wait()
		wg.Go(func() { _, secondErr = c.Firmware.Slots.List(t.Context()) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if !errors.Is(firstErr, context.Canceled) {
			t.Errorf("the cancelled caller: %v", firstErr)
		}
		if secondErr != nil {
			t.Errorf("the other caller: %v", secondErr)
		}
	})
}

// TestTransientLoginFailure checks that the client logs in again at the next call if a login
// failed for a reason other than the credential.
func TestTransientLoginFailure(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.ExpireSessions()
		a.Inject(spstest.Fault{Path: "authentication", Status: 500})
		if _, err := c.Info(t.Context()); !errors.Is(err, sps.Status(500)) {
			t.Errorf("error %v, want status 500", err)
		}
		if _, err := c.Info(t.Context()); err != nil {
			t.Errorf("after the appliance recovered: %v", err)
		}
	})
}

// TestRefusedLogins checks after which responses to a login the client makes no further login
// attempt. These are the responses that reject the credential.
func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		logins int
	}{
		"wrong password":     {401, `{"error":{"type":"AuthenticationFailure"}}`, 1},
		"Unauthenticated":    {401, `{"error":{"type":"Unauthenticated"}}`, 1},
		"no rights":          {400, `{"error":{"type":"Unauthorized"}}`, 1},
		"401 of a gateway":   {401, "", 1},
		"403 of a gateway":   {403, "", 2}, // an HTML page of a gateway does not reject the credential
		"another error type": {400, `{"error":{"type":"SemanticError"}}`, 2},
		"no such endpoint":   {404, "", 2},
		"500":                {500, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.ExpireSessions()
				a.Inject(spstest.Fault{Path: "authentication", Status: test.status, Body: test.body, Times: -1})
				a.ResetJournal()
				for range 2 {
					if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.Status(test.status)) {
						t.Errorf("error %v, want status %d", err, test.status)
					}
				}
				testkit.Diff(t, "logins", test.logins, logins(a))
			})
		})
	}
}

// TestRejectedLoginIsFinalAfterWait checks that a rejected login is final after WaitForVersion
// has returned. WaitForVersion itself may repeat rejected logins.
func TestRejectedLoginIsFinalAfterWait(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		info, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Firmware.WaitForVersion(t.Context(), info.FirmwareVersion); err != nil {
			t.Fatal(err)
		}
		a.SetPassword(a.Username(), "rotated")
		a.ExpireSessions()
		a.ResetJournal()
		for range 3 {
			if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
				t.Errorf("error %v, want AuthenticationFailure", err)
			}
		}
		testkit.Diff(t, "logins", 1, logins(a))
	})
}

// TestLoginAttempts checks that the client repeats a login with a fixed password after
// temporary failures. A password function may return one-time codes, so the client repeats such
// a login only if the appliance cannot have checked the code.
func TestLoginAttempts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault             spstest.Fault
		password, oneTime int
	}{
		"429":               {spstest.Fault{Status: 429}, 2, 2},
		"502":               {spstest.Fault{Status: 502}, 2, 1},
		"503":               {spstest.Fault{Status: 503}, 2, 2},
		"504":               {spstest.Fault{Status: 504}, 2, 1},
		"connection breaks": {spstest.Fault{CutBefore: true}, 2, 1},
	} {
		for kind, want := range map[string]int{"a password": test.password, "a code": test.oneTime} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := spstest.NewServer(t, spstest.WithoutListener())
					defer a.Close()
					credential := sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
					if kind == "a code" {
						credential = sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) { return sps.NewSecretString(a.Password()), nil })
					}
					fault := test.fault
					fault.Path = "authentication"
					a.Inject(fault)
					c, err := sps.Connect(t.Context(), a.Addr(), credential, testkit.InProcess(a))
					if (err == nil) != (want > 1) {
						t.Errorf("error %v", err)
					}
					testkit.Diff(t, "logins", want, logins(a))
					if err == nil {
						c.Close(t.Context())
					}
				})
			})
		}
	}
}

// TestLoginLimit checks that Timeouts.Login ends a login whose password function takes too
// long.
func TestLoginLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := sps.Connect(t.Context(), "appliance.test", sps.PasswordFunc("u", func(ctx context.Context) (sps.Secret, error) {
			select {
			case <-ctx.Done():
				return sps.Secret{}, ctx.Err()
			case <-time.After(time.Hour): // ends the test if the client does not cancel the context
				return sps.Secret{}, errors.New("no limit")
			}
		}))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the time limit", err)
		}
		testkit.Diff(t, "time", sps.DefaultTimeouts().Login, time.Since(start))
	})
}

// TestCloseTimeLimit checks that Close returns within its time limit if a log-out or a login
// does not end.
func TestCloseTimeLimit(t *testing.T) {
	t.Parallel()
	limit := sps.DefaultTimeouts().Close
	for name, test := range map[string]struct {
		fault spstest.Fault
		deaf  time.Duration // if not 0, the duration of a login that ignores its context
		login bool          // whether Close is called during a login
		took  time.Duration
		ok    bool
	}{
		"log-out does not end": {spstest.Fault{Method: "DELETE", Delay: time.Hour}, 0, false, limit, false},
		"login does not end":   {spstest.Fault{Method: "GET", Delay: time.Hour}, 0, true, limit / 2, false},
		"login ends in time":   {spstest.Fault{Method: "GET", Delay: time.Second}, 0, true, time.Second, true},
		"login ignores its context and does not end in time": {spstest.Fault{}, 3 * limit, true, limit/2 + 500*time.Millisecond, false},
		"login ignores its context and ends after Close":     {spstest.Fault{}, limit + time.Second, true, limit/2 + 500*time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				var deaf time.Duration
				c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
					testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
						if deaf > 0 && r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/authentication") {
							time.Sleep(deaf) // simulated time
							r = r.WithContext(context.WithoutCancel(r.Context()))
						}
						return a.RoundTrip(r)
					}))
				if err != nil {
					t.Fatal(err)
				}
				test.fault.Path = "authentication"
				if test.fault.Method != "" {
					test.fault.Times = -1
					a.Inject(test.fault)
				}
				deaf = test.deaf
				if test.login {
					a.ExpireSessions()
					go c.Firmware.Slots.List(context.Background())
					synctest.Wait()
				}
				start := time.Now()
				if err := c.Close(t.Context()); (err == nil) != test.ok {
					t.Errorf("Close: %v", err)
				}
				testkit.Diff(t, "time", test.took, time.Since(start))
				time.Sleep(time.Hour) // simulated time, in which delayed requests end
				if test.login {
					testkit.Diff(t, "sessions", 0, a.Sessions())
				}
			})
		})
	}
}

// TestLogOutRepeated checks that Close repeats a log-out that failed earlier.
func TestLogOutRepeated(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "info", Mutate: func([]byte) []byte { return []byte(`{"body":{}}`) }, Times: 2})
		a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 500})
		c.Info(t.Context()) // the client treats its first session as expired, and the log-out of that session fails
		testkit.Diff(t, "sessions", 2, a.Sessions())
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		testkit.Diff(t, "sessions after Close", 0, a.Sessions())
	})
}

// TestInfoAlwaysAnonymous checks that Info returns Unauthenticated after one new login if the
// appliance never returns firmware_version.
func TestInfoAlwaysAnonymous(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "info", Times: -1, Mutate: func([]byte) []byte { return []byte(`{"body":{"hostname":"x"}}`) }})
	a.ResetJournal()
	if _, err := c.Info(t.Context()); !errors.Is(err, sps.Unauthenticated) {
		t.Errorf("error %v, want Unauthenticated", err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/info", "GET /api/authentication", "GET /api/info", "DELETE /api/authentication"}, testkit.Requests(a))
	testkit.Diff(t, "sessions", 1, a.Sessions())
}

func TestExistingSession(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	owner := testkit.Connect(t, a)
	owner.Info(t.Context())
	id := testkit.SessionID(a)
	c, err := sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, id) {
		t.Error("the formatted client contains its session ID")
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := a.Sessions(); n != 1 {
		t.Errorf("%d sessions; Close must not log out a session that the caller provided", n)
	}

	c, _ = sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(a.CA()))
	a.ExpireSessions()
	for range 2 {
		if _, err := c.Info(t.Context()); !errors.Is(err, sps.Unauthenticated) || !strings.Contains(err.Error(), "cannot be renewed") {
			t.Errorf("error %v, want one that says that the session cannot be renewed", err)
		}
	}
}

func TestPasswordFunc(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var calls atomic.Int32
	credential := sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) {
		if calls.Add(1) == 3 {
			return sps.Secret{}, errors.New("the vault is sealed")
		}
		return sps.NewSecretString(a.Password()), nil
	})
	c, err := sps.Connect(t.Context(), a.Addr(), credential, sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	a.SetPassword(a.Username(), "rotated")
	a.ExpireSessions()
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("after a change of the password: %v", err)
	}
	a.ExpireSessions()
	if _, err := c.Info(t.Context()); err == nil || !strings.Contains(err.Error(), "the vault is sealed") {
		t.Errorf("error %v, want the error of the vault", err)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("after the vault recovered: %v", err)
	}
}

func TestLoginMethods(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	methods, err := sps.LoginMethods(t.Context(), a.Addr(), sps.WithCABundle(a.CA()))
	if err != nil || len(methods) == 0 || methods[0].Name != "local" {
		t.Fatalf("methods %+v, %v", methods, err)
	}
	if r := a.Journal()[0]; r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		t.Error("the request contains credentials")
	}
	secret := sps.NewSecretString(a.Password())
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), secret, sps.WithLoginMethod("local")), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	testkit.Diff(t, "query", "login_method=local", a.Journal()[1].RawQuery)
	_, err = sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), secret, sps.WithLoginMethod("nowhere")), sps.WithCABundle(a.CA()))
	if !errors.Is(err, sps.AuthenticationFailure) {
		t.Errorf("an unknown login method: %v", err)
	}
	for _, body := range []string{`{}`, `{"login_methods":{}}`, `{"login_methods":null}`} {
		a.Inject(spstest.Fault{Path: "authentication/login_methods", Mutate: func([]byte) []byte { return []byte(body) }})
		if _, err := sps.LoginMethods(t.Context(), a.Addr(), sps.WithCABundle(a.CA())); !errors.Is(err, sps.ErrBadAnswer) {
			t.Errorf("%s: %v, want ErrBadAnswer", body, err)
		}
	}
	old := spstest.NewServer(t, spstest.WithProfile("6.0"))
	if _, err := sps.LoginMethods(t.Context(), old.Addr(), sps.WithCABundle(old.CA())); !errors.Is(err, sps.ResourceNotFound) {
		t.Errorf("LoginMethods with 6.0: %v, want ResourceNotFound", err)
	}
}

// TestCookies checks which session cookies the client accepts.
func TestCookies(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("ab", 20)
	past := "Thu, 01 Jan 1970 00:00:00 GMT"
	for name, test := range map[string]struct {
		cookies []string
		want    string
	}{
		"expired cookie":            {[]string{"session_id=" + id + "; expires=" + past + "; Path=/; Secure"}, id},
		"cookie for /ui deleted":    {[]string{"session_id=" + id, "session_id=deleted; Max-Age=0; Path=/ui"}, id},
		"cookie for / deleted":      {[]string{"session_id=" + id, "session_id=deleted; Max-Age=0; Path=/"}, id},
		"cookie of the web pages":   {[]string{"session_id=" + id + "; Path=/api", "session_id=web; Path=/ui"}, id},
		"several cookies":           {[]string{"ticket=x; Path=/", "session_id=" + id + "; Path=/", "session_idx=y"}, id},
		"two session cookies":       {[]string{"session_id=old", "session_id=" + id}, id},
		"own domain":                {[]string{"session_id=" + id + "; Domain=appliance.test"}, id},
		"another domain":            {[]string{"session_id=" + id + "; Domain=evil.example"}, ""},
		"empty":                     {[]string{"session_id="}, ""},
		"huge":                      {[]string{"session_id=" + strings.Repeat("a", 5000)}, ""},
		"none":                      {nil, ""},
		"another name":              {[]string{"SESSION_ID=" + id}, ""},
		"invalid characters":        {[]string{"session_id=a b\x7f"}, ""},
		"quoted value with a comma": {[]string{`session_id="a,b"`}, ""},
		"malformed cookie":          {[]string{";;;=;"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen string
			transport := testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				header := http.Header{}
				if r.URL.Path == "/api/authentication" && r.Method == http.MethodGet {
					header["Set-Cookie"] = test.cookies
				}
				if cookie := r.Header.Get("Cookie"); cookie != "" {
					seen = cookie
				}
				return testkit.Answer(r, 200, header, `{"meta":{},"body":{"firmware_version":"1"}}`), nil
			})
			c, err := sps.Connect(t.Context(), "appliance.test", sps.UsernamePassword("u", sps.NewSecretString("p")), transport)
			if test.want == "" {
				if !errors.Is(err, sps.ErrBadAnswer) {
					t.Errorf("error %v, want ErrBadAnswer", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.Info(t.Context())
			testkit.Diff(t, "cookie", "session_id="+test.want, seen)
			c.Close(t.Context())
		})
	}
}

func TestCredentialsRefused(t *testing.T) {
	t.Parallel()
	secret := sps.NewSecretString("p")
	for name, credential := range map[string]sps.Credential{
		"nil":                          nil,
		"no password":                  sps.UsernamePassword("admin", sps.Secret{}),
		"no user":                      sps.UsernamePassword("", secret),
		"a colon":                      sps.UsernamePassword("a:b", secret),
		"invalid UTF-8":                sps.UsernamePassword("admin", sps.NewSecretString("\xff")),
		"no function":                  sps.PasswordFunc("admin", nil),
		"no certificate":               sps.ClientCertificate(tls.Certificate{}),
		"no session":                   sps.ExistingSession(sps.Secret{}),
		"header injection":             sps.ExistingSession(sps.NewSecretString("a\r\nX: y")),
		"two cookies":                  sps.ExistingSession(sps.NewSecretString("a; b=c")),
		"empty method":                 sps.UsernamePassword("admin", secret, sps.WithLoginMethod(" ")),
		"function returns no password": sps.PasswordFunc("admin", func(context.Context) (sps.Secret, error) { return sps.Secret{}, nil }),
	} {
		sent := false
		transport := testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
			sent = true
			return nil, errors.New("nobody there")
		})
		if _, err := sps.Connect(t.Context(), "appliance.test", credential, transport); !errors.Is(err, sps.ErrInvalidInput) || sent {
			t.Errorf("%s: error %v, sent %t; want ErrInvalidInput and nothing sent", name, err, sent)
		}
	}
}

// TestInvisibleCredentials checks that the client rejects credentials with invisible
// characters, which a file or a clipboard may add. A login with such a credential would be
// rejected, and could lock the account.
func TestInvisibleCredentials(t *testing.T) {
	t.Parallel()
	byFunction := func(name, password string) sps.Credential {
		return sps.PasswordFunc(name, func(context.Context) (sps.Secret, error) { return sps.NewSecretString(password), nil })
	}
	byPassword := func(name, password string) sps.Credential {
		return sps.UsernamePassword(name, sps.NewSecretString(password))
	}
	for _, test := range []struct{ name, password, want string }{
		{"admin", "s3cret\n", "the password ends with an invisible character (a line feed)"},
		{"admin", "s3cret\r\n", "the password ends with an invisible character (a carriage return)"},
		{"admin", "\ufeffs3cret", "the password begins with an invisible character (a byte order mark)"},
		{"admin", "s3\tcret", "the password has an invisible character (a tab)"},
		{"admin", "s3cret\u200b", "the password ends with an invisible character (U+200B)"},
		{"admin", "s3cret\x00", "the password ends with an invisible character (U+0000)"},
		{"admin", "s3cret\u2028", "the password ends with an invisible character (U+2028)"},
		{"admin\n", "s3cret", "the user name ends with an invisible character (a line feed)"},
		{"ad\u00admin", "s3cret", "the user name has an invisible character (U+00AD)"},
		{"admin", " s3cret with spaces ", ""},
		{"ádmin", "pässwörd ☃ 👩\u200d💻 می\u200cخواهم", ""},
	} {
		for kind, credential := range map[string]sps.Credential{"password": byPassword(test.name, test.password), "function": byFunction(test.name, test.password)} {
			sent := false
			_, err := sps.Connect(t.Context(), "appliance.test", credential, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				sent = true
				return testkit.Answer(r, 401, http.Header{}, ""), nil
			}))
			switch {
			case test.want == "" && (!sent || !errors.Is(err, sps.Status(401))):
				t.Errorf("%q, %q by %s: %v, want the credentials to be sent", test.name, test.password, kind, err)
			case test.want != "" && (sent || !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("%q, %q by %s: %v, sent %t, want %q", test.name, test.password, kind, err, sent, test.want)
			}
		}
	}
	method := sps.UsernamePassword("admin", sps.NewSecretString("s3cret"), sps.WithLoginMethod("local\n"))
	if _, err := sps.Connect(t.Context(), "appliance.test", method); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "the login method ends with") {
		t.Errorf("an invalid login method: %v", err)
	}
}

func TestCertificateLogin(t *testing.T) {
	t.Parallel()
	ca, certificate := testkit.ClientCertificate(t, "robot")
	a := spstest.NewServer(t, spstest.WithClientCA(ca))
	c, err := sps.Connect(t.Context(), a.Addr(), sps.ClientCertificate(certificate, sps.WithLoginMethod("certs")), sps.WithCABundle(a.CA()))
	if err != nil && !errors.Is(err, sps.AuthenticationFailure) {
		t.Fatal(err)
	}
	if err == nil {
		c.Close(t.Context())
	}
	testkit.Diff(t, "query", "login_method=certs&type=x509", a.Journal()[0].RawQuery)
	a.ResetJournal()
	if c, err = sps.Connect(t.Context(), a.Addr(), sps.ClientCertificate(certificate), sps.WithCABundle(a.CA())); err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	a.ExpireSessions()
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("after the session expired: %v", err)
	}
	for _, r := range a.Journal() {
		if r.Header.Get("Authorization") != "" {
			t.Error("an Authorization header was sent")
		}
	}
}

func TestConnectFromEnv(t *testing.T) {
	a := spstest.NewServer(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, a.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	full := map[string]string{"SPS_HOST": a.Addr(), "SPS_USERNAME": a.Username(), "SPS_PASSWORD": a.Password(), "SPS_CA_BUNDLE": file, "SPS_FINGERPRINT": "", "SPS_LOGIN_METHOD": "local"}
	set := func(changes map[string]string) {
		for name, value := range full {
			if changed, ok := changes[name]; ok {
				value = changed
			}
			t.Setenv(name, value)
		}
	}
	for name, test := range map[string]struct {
		changes map[string]string
		want    error
	}{
		"complete":         {nil, nil},
		"fingerprint":      {map[string]string{"SPS_CA_BUNDLE": "", "SPS_FINGERPRINT": strings.Repeat("0", 64) + "," + a.Fingerprint()}, nil},
		"no host":          {map[string]string{"SPS_HOST": ""}, sps.ErrInvalidInput},
		"no password":      {map[string]string{"SPS_PASSWORD": ""}, sps.ErrInvalidInput},
		"no such file":     {map[string]string{"SPS_CA_BUNDLE": file + "x"}, os.ErrNotExist},
		"bad fingerprint":  {map[string]string{"SPS_FINGERPRINT": "12:34"}, sps.ErrInvalidInput},
		"wrong password":   {map[string]string{"SPS_PASSWORD": "wrong"}, sps.AuthenticationFailure},
		"unknown method":   {map[string]string{"SPS_LOGIN_METHOD": "x"}, sps.AuthenticationFailure},
		"no trust":         {map[string]string{"SPS_CA_BUNDLE": ""}, new(sps.CertificateError)},
		"host with scheme": {map[string]string{"SPS_HOST": "https://" + a.Addr()}, sps.ErrInvalidInput},
	} {
		set(test.changes)
		c, err := sps.ConnectFromEnv(t.Context(), testkit.Quick)
		if err == nil {
			c.Close(t.Context())
		}
		var untrusted *sps.CertificateError
		if _, ok := test.want.(*sps.CertificateError); ok {
			if !errors.As(err, &untrusted) {
				t.Errorf("%s: %v, want a CertificateError", name, err)
			}
		} else if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestPasswordFuncMisbehaves checks that a password function that panics, ends its goroutine or
// returns an error makes its call fail, and that a later call can log in.
func TestPasswordFuncMisbehaves(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var calls atomic.Int32
	credential := sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) {
		switch calls.Add(1) {
		case 2:
			panic("boom")
		case 3:
			runtime.Goexit()
		case 4:
			return sps.Secret{}, fmt.Errorf("vault: %w", &sps.Error{Status: 403, Type: sps.Unauthorized})
		}
		return sps.NewSecretString(a.Password()), nil
	})
	c, err := sps.Connect(t.Context(), a.Addr(), credential, sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	a.ExpireSessions()
	for range 3 {
		if _, err := c.Firmware.Slots.List(t.Context()); err == nil {
			t.Error("no error")
		}
	}
	if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
		t.Errorf("after the password function works again: %v", err)
	}
}

// TestOneTimeCodes checks that a login with a password function uses a new connection, because
// net/http may repeat a request on a reused one, which would use a one-time code twice.
func TestOneTimeCodes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		credential func(*spstest.Appliance) sps.Credential
		dials      int32
	}{
		"a function": {func(a *spstest.Appliance) sps.Credential {
			return sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) { return sps.NewSecretString(a.Password()), nil })
		}, 2},
		"a password": {func(a *spstest.Appliance) sps.Credential {
			return sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password()))
		}, 1},
	} {
		a := spstest.NewServer(t)
		var dials atomic.Int32
		c, err := sps.Connect(t.Context(), a.Addr(), test.credential(a), sps.WithCABundle(a.CA()), testkit.CountDials(&dials))
		if err != nil {
			t.Fatal(err)
		}
		a.ExpireSessions()
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close(t.Context())
		testkit.Diff(t, name+": connections", test.dials, dials.Load())
	}
}

// TestCodeSentAgain checks after which failures the client repeats a login whose password may be
// a one-time code: only after a status that says that the appliance did not use the code.
func TestCodeSentAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault spstest.Fault
		want  int // requests
	}{
		"429":        {spstest.Fault{Status: 429}, 2},
		"503":        {spstest.Fault{Status: 503}, 2},
		"502":        {spstest.Fault{Status: 502}, 1},
		"504":        {spstest.Fault{Status: 504}, 1},
		"cut before": {spstest.Fault{CutBefore: true}, 1},
		"cut after":  {spstest.Fault{CutAfter: true}, 1},
	} {
		a := spstest.NewServer(t)
		test.fault.Path = "authentication"
		a.Inject(test.fault)
		c, err := sps.Connect(t.Context(), a.Addr(),
			sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) { return sps.NewSecretString(a.Password()), nil }),
			sps.WithCABundle(a.CA()), testkit.Quick)
		if err == nil {
			defer c.Close(t.Context())
		}
		if (err == nil) != (test.want > 1) {
			t.Errorf("%s: error %v", name, err)
		}
		testkit.Diff(t, name+": logins", test.want, logins(a))
	}
}

// TestCookieRenewed checks that the client uses a new session ID from a response, even from an
// error response, but not from a 401.
func TestCookieRenewed(t *testing.T) {
	t.Parallel()
	var seen []string
	status, next := 200, ""
	transport := testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.Header.Get("Cookie"))
		header := http.Header{}
		if next != "" {
			header.Set("Set-Cookie", "session_id="+next)
		}
		body := `{"items":[]}`
		if status >= 300 {
			body = `{"error":{"type":"AuthenticationFailure"}}`
		}
		return testkit.Answer(r, status, header, body), nil
	})
	c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("first")), transport)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		status int
		next   string
	}{{200, "second"}, {404, "third"}, {401, "anonymous"}, {200, ""}} {
		status, next = step.status, step.next
		c.Firmware.Slots.List(t.Context())
	}
	testkit.Diff(t, "cookies", []string{"session_id=first", "session_id=second", "session_id=third", "session_id=third"}, seen)
}

// Test401WithoutErrorType checks that the client treats a 401 without an error type as an expired
// session.
func Test401WithoutErrorType(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Status: 401})
		if _, err := c.Firmware.Slots.List(t.Context()); err != nil {
			t.Error(err)
		}
		testkit.Diff(t, "logins", 2, logins(a))
	})
}

// TestAuthenticationFailureElsewhere checks that AuthenticationFailure in response to another
// request than a login is not treated as an expired session.
func TestAuthenticationFailureElsewhere(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`})
	a.ResetJournal()
	if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.AuthenticationFailure) {
		t.Errorf("error %v, want AuthenticationFailure", err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/firmware/slots"}, testkit.Requests(a))
}
