package spstest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func basic(name, password string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(name, password)
	return req.Header.Get("Authorization")
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	c := inProcess(t, newInProcess(t, spstest.WithUser("jürgen", "pässword: ✓")))
	c.header.Set("Authorization", basic("jürgen", "pässword: ✓"))
	r := c.want(200, "GET", "/api/authentication", "")
	wantJSON(t, `{"meta":{"href":"/api/authentication","parent":"/api"}}`, r.raw)
	cookies := r.header.Values("Set-Cookie")
	format := regexp.MustCompile(`^session_id=[0-9a-f]{40}; expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; HttpOnly; Max-Age=43200; Path=/; Secure$`)
	if len(cookies) != 2 || !format.MatchString(cookies[1]) {
		t.Errorf("cookies %q: want two, the second like %s", cookies, format)
	}
}

func TestLogInRefused(t *testing.T) {
	t.Parallel()
	type want struct {
		Status    int
		Kind      string
		Challenge bool
	}
	for _, test := range []struct {
		name, variant, authorization, query string
		want                                want
	}{
		{"wrong password", "", basic("admin", "b"), "", want{401, "AuthenticationFailure", true}},
		{"unknown user", "", basic("nobody", "a"), "", want{401, "AuthenticationFailure", true}},
		{"no credentials", "", "", "", want{401, "Unauthenticated", true}},
		{"unknown method", "", basic("admin", "a"), "?login_method=radius", want{401, "AuthenticationFailure", true}},
		{"no certificate", "", "", "?type=x509", want{401, "AuthenticationFailure", true}},
		{"other variant", "wrong-password=403:Unauthorized", basic("admin", "b"), "", want{403, "Unauthorized", true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var opts []spstest.Option
			if test.variant != "" {
				opts = variants(t, test.variant)
			}
			a := newInProcess(t, opts...)
			c := inProcess(t, a)
			if test.authorization != "" {
				c.header.Set("Authorization", test.authorization)
			}
			r := c.do("GET", "/api/authentication"+test.query, "")
			kind, _ := r.errorOf()
			got := want{r.status, kind, regexp.MustCompile("^Basic").MatchString(r.header.Get("WWW-Authenticate"))}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if n := a.Sessions(); n != 0 {
				t.Errorf("%d sessions after a refused login", n)
			}
		})
	}
}

func TestBasicAuthOnlyAtLogin(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a)
	c.header.Set("Authorization", basic("admin", "a"))
	wantError(t, c.do("GET", "/api/firmware", ""), 401, "Unauthenticated", "/api/firmware")
	c.logIn("admin", "a")
	c.header.Set("Authorization", basic("admin", "wrong"))
	c.want(200, "GET", "/api/firmware", "")
}

func TestLoginMethods(t *testing.T) {
	t.Parallel()
	for profile, path := range map[string][2]string{
		"6.0": {"types", "login_methods"}, "6.9": {"types", "login_methods"},
		"7.4": {"login_methods", "types"}, "8.0": {"login_methods", "types"},
	} {
		c := inProcess(t, newInProcess(t, spstest.WithProfile(profile)))
		c.want(404, "GET", "/api/authentication/"+path[1], "")
		r := c.want(200, "GET", "/api/authentication/"+path[0], "")
		if path[0] == "types" {
			wantJSON(t, `{"types":["basic"],"meta":{"href":"/api/authentication/types","parent":"/api/authentication"}}`, r.raw)
			continue
		}
		wantJSON(t, `{"login_methods":[{"name":"local","authentication":"local","credential":"password"}],
			"meta":{"href":"/api/authentication/login_methods","parent":"/api/authentication"}}`, r.raw)
		c.header.Set("Authorization", basic("admin", "a"))
		c.want(200, "GET", "/api/authentication?return=/api/authentication&login_method=local", "")
	}
}

func TestLogOut(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string][2]int{"200": {200, 0}, "204": {204, 0}, "404": {404, 1}, "405": {405, 1}} {
		a := newInProcess(t, variants(t, "logout="+variant)...)
		c := inProcess(t, a).logIn("admin", "a")
		c.want(200, "POST", "/api/transaction", "")
		r := c.do("DELETE", "/api/authentication", "")
		if diff := cmp.Diff(want, [2]int{r.status, a.Sessions()}); diff != "" {
			t.Errorf("%s: status and sessions (-want +got):\n%s", variant, diff)
		}
		if open := a.TransactionOpen(); open != (want[1] == 1) {
			t.Errorf("%s: transaction open: %t", variant, open)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	public := []string{"domainname", "hostname", "nickname", "plugin_sdk_version", "support_link"}
	full := append([]string{"analytics_enabled", "build_date", "config_hash", "firmware_version", "roles", "version"}, public...)
	members := func(r response) map[string]bool {
		names := make(map[string]bool)
		for name := range r.body["body"].(map[string]any) {
			names[name] = true
		}
		return names
	}
	set := func(names []string) map[string]bool {
		m := make(map[string]bool)
		for _, name := range names {
			m[name] = true
		}
		return m
	}
	a := newInProcess(t)
	c := inProcess(t, a)
	if diff := cmp.Diff(set(public), members(c.want(200, "GET", "/api/info", ""))); diff != "" {
		t.Errorf("anonymous (-want +got):\n%s", diff)
	}
	c.logIn("admin", "a")
	if diff := cmp.Diff(set(full), members(c.want(200, "GET", "/api/info", ""))); diff != "" {
		t.Errorf("logged in (-want +got):\n%s", diff)
	}
	a.ExpireSessions()
	if diff := cmp.Diff(set(public), members(c.want(200, "GET", "/api/info", ""))); diff != "" {
		t.Errorf("expired (-want +got):\n%s", diff)
	}
	old := inProcess(t, newInProcess(t, spstest.WithProfile("6.0"))).want(200, "GET", "/api/info", "")
	if diff := cmp.Diff(set([]string{"domainname", "hostname", "nickname", "support_link"}), members(old)); diff != "" {
		t.Errorf("6.0 (-want +got):\n%s", diff)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variant string
		status  int // the status after two waits of 15 minutes, with a lifetime of 20 minutes
	}{{"idle", 200}, {"absolute", 401}} {
		synctest.Test(t, func(t *testing.T) {
			a := newInProcess(t, append(variants(t, "session-limit="+test.variant), spstest.WithSessionLifetime(20*time.Minute))...)
			c := inProcess(t, a).logIn("admin", "a")
			time.Sleep(15 * time.Minute)
			meta := c.want(200, "POST", "/api/transaction", "").body["meta"].(map[string]any)
			if diff := cmp.Diff(300.0, meta["remaining_seconds"]); diff != "" {
				t.Errorf("%s: remaining_seconds (-want +got):\n%s", test.variant, diff)
			}
			time.Sleep(15 * time.Minute)
			c.want(test.status, "GET", "/api/firmware", "")
			time.Sleep(20 * time.Minute)
			wantError(t, c.do("GET", "/api/firmware", ""), 401, "Unauthenticated", "/api/firmware")
			if a.Sessions() != 0 || a.TransactionOpen() || a.LockedBy() != "" {
				t.Errorf("%s: a session, a transaction or the lock remained after the session ended", test.variant)
			}
		})
	}
}

func TestReadOnlyUser(t *testing.T) {
	t.Parallel()
	a := newInProcess(t, spstest.WithUser("auditor", "b", spstest.ReadOnly))
	c := inProcess(t, a).logIn("auditor", "b")
	c.want(200, "GET", "/api/configuration/management/email", "")
	wantError(t, c.do("POST", "/api/transaction", ""), 403, "Unauthorized", "/api/transaction")
	wantError(t, c.do("PUT", "/api/configuration/datetime/timezone", `"UTC"`), 403, "Unauthorized", "/api/configuration/datetime/timezone")
	c.want(200, "DELETE", "/api/authentication", "")
}

func TestBrowsersNeedTheToken(t *testing.T) {
	t.Parallel()
	for profile, status := range map[string]int{"6.0": 200, "6.9": 200, "7.4": 200, "8.0": 403} {
		c := inProcess(t, newInProcess(t, spstest.WithProfile(profile))).logIn("admin", "a")
		c.header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
		r := c.do("POST", "/api/transaction", "")
		if r.status != status {
			t.Errorf("%s: status %d, want %d", profile, r.status, status)
		}
		if profile == "8.0" {
			token, _ := c.want(200, "GET", "/api/user_info", "").body["token"].(string)
			c.header.Set("X-Token", token)
			c.want(200, "POST", "/api/transaction", "")
		}
	}
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	old := inProcess(t, newInProcess(t, spstest.WithProfile("6.9"))).logIn("admin", "a")
	wantJSON(t, `{"user":{"name":"admin"},"endpoints":[{"methods":["DELETE","GET","POST","PUT"],"url":"/api"}],
		"meta":{"href":"/api/user_info","parent":"/api"}}`, old.want(200, "GET", "/api/user/info", "").raw)
	now := inProcess(t, newInProcess(t)).logIn("admin", "a").want(200, "GET", "/api/user_info", "")
	if diff := cmp.Diff(map[string]any{"name": "local", "authentication": "local", "credential": "password"}, now.body["login_method"]); diff != "" {
		t.Errorf("login method (-want +got):\n%s", diff)
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	a.SetPassword("admin", "b")
	c.want(200, "GET", "/api/firmware", "")
	if got := a.Password(); got != "b" {
		t.Errorf("Password() = %q, want b", got)
	}
	inProcess(t, a).logIn("admin", "b")
	c.header.Set("Authorization", basic("admin", "a"))
	c.want(401, "GET", "/api/authentication", "")
}

func TestCertificateLogin(t *testing.T) {
	t.Parallel()
	ca, certificate := clientCertificate(t, "operator")
	_, foreign := clientCertificate(t, "operator")
	a := spstest.NewServer(t, spstest.WithClientCA(ca))
	c := overTLS(t, a, certificate)
	c.cookie = sessionCookie(t, c.want(200, "GET", "/api/authentication?type=x509&login_method=x509", ""))
	user := c.want(200, "GET", "/api/user_info", "").body["user"]
	if diff := cmp.Diff(map[string]any{"name": "operator"}, user); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	// This client sends its certificate even though the appliance requests certificates of
	// another CA.
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CA())
	stranger := overTLS(t, a)
	stranger.transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &foreign, nil
	}}}
	wantError(t, stranger.do("GET", "/api/authentication?type=x509", ""), 401, "AuthenticationFailure", nil)
}

// clientCertificate returns a CA and a client certificate that the CA signed.
func clientCertificate(t *testing.T, name string) (caPEM []byte, certificate tls.Certificate) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Clients"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}), tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}
}
