package sps_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// example returns a client of a simulated appliance, and how to end both.
func example() (*spstest.Appliance, *sps.Client, func()) {
	appliance := spstest.NewServer(nil)
	client, err := sps.Connect(context.Background(), appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	return appliance, client, func() {
		client.Close(context.Background())
		appliance.Close()
	}
}

func ExampleConnect() {
	ctx := context.Background()
	appliance := spstest.NewServer(nil) // in place of an appliance of yours
	defer appliance.Close()

	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	info, err := client.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion)
	// Output: 7.4.0
}

func ExampleConnect_refused() {
	appliance, _, end := example()
	defer end()
	_, err := sps.Connect(context.Background(), appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("wrong")),
		sps.WithPinnedCertificates(appliance.Fingerprint()))
	fmt.Println(errors.Is(err, sps.AuthenticationFailure))
	// Output: true
}

func ExampleNewClient() {
	appliance, _, end := example()
	defer end()
	client, err := sps.NewClient(appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err) // an argument that cannot be right
	}
	ctx := context.Background()
	defer client.Close(ctx)

	info, err := client.Info(ctx) // logs in
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion)
	// Output: 7.4.0
}

func ExampleClient_WaitReady() {
	appliance, _, end := example()
	defer end()
	client, err := sps.NewClient(appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer client.Close(ctx)

	appliance.SetSetupStatus("booting")
	started := false
	err = client.WaitReady(ctx, sps.WithPollInterval(time.Millisecond), sps.WithProgress(func(p sps.Progress) {
		if !started {
			fmt.Println(p.State)
			appliance.SetSetupStatus("completed") // in place of waiting
			started = true
		}
	}))
	fmt.Println(err)
	// Output:
	// the setup is booting
	// <nil>
}

func ExampleWithLoginRetry() {
	appliance, _, end := example()
	defer end()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()), sps.WithLoginRetry(5*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	appliance.ExpireSessions() // it restarts, and refuses the password while it starts
	appliance.Inject(spstest.Fault{Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`})
	_, err = client.Info(ctx)
	fmt.Println(errors.Is(err, sps.AuthenticationFailure))
	fmt.Println(client.Err()) // a call after five minutes tries again
	// Output:
	// true
	// <nil>
}

func ExampleClient_Err() {
	appliance, client, end := example()
	defer end()
	appliance.SetPassword("admin", "changed behind our back")
	appliance.ExpireSessions()
	for range 3 { // a program that goes on after errors
		if _, err := client.Info(context.Background()); err == nil {
			continue
		}
		if err := client.Err(); err != nil {
			fmt.Println("no call can succeed any more:", errors.Is(err, sps.AuthenticationFailure))
			break
		}
	}
	// Output: no call can succeed any more: true
}

func ExampleConnectFromEnv() {
	appliance, _, end := example()
	defer end()
	for name, value := range map[string]string{
		"SPS_HOST":        appliance.Addr(),
		"SPS_USERNAME":    appliance.Username(),
		"SPS_PASSWORD":    appliance.Password(),
		"SPS_FINGERPRINT": appliance.Fingerprint(),
	} {
		os.Setenv(name, value) // in place of your shell or your pipeline
		defer os.Unsetenv(name)
	}

	ctx := context.Background()
	client, err := sps.ConnectFromEnv(ctx, sps.WithUserAgent("precheck/1.2"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	fmt.Println(client.Host() == appliance.Addr())
	// Output: true
}

func ExampleWithPinnedCertificates() {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	ctx := context.Background()
	admin := sps.UsernamePassword("admin", sps.NewSecretString("a"))

	_, err := sps.Connect(ctx, appliance.Addr(), admin)
	var untrusted *sps.CertificateError
	if !errors.As(err, &untrusted) {
		log.Fatal(err)
	}
	// Compare the fingerprint with what the appliance itself shows before you go on.
	client, err := sps.Connect(ctx, appliance.Addr(), admin, sps.WithPinnedCertificates(untrusted.Fingerprint))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Close(ctx))
	// Output: <nil>
}

func ExamplePasswordFunc() {
	appliance, _, end := example()
	defer end()
	vault := "a"
	credential := sps.PasswordFunc("admin", func(context.Context) (sps.Secret, error) {
		fmt.Println("the vault is asked")
		return sps.NewSecretString(vault), nil
	})

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), credential, sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	vault = "b" // the password is rotated, and the session expires
	appliance.SetPassword("admin", "b")
	appliance.ExpireSessions()
	info, err := client.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion)
	// Output:
	// the vault is asked
	// the vault is asked
	// 7.4.0
}

func ExampleClientCertificate() {
	authority, certificate := identity("automation") // or tls.LoadX509KeyPair("client.pem", "client.key")
	appliance := spstest.NewServer(nil, spstest.WithClientCA(authority))
	defer appliance.Close()

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.ClientCertificate(certificate), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	user, err := client.UserInfo(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name)
	// Output: automation
}

// identity makes a certificate for a user, which is its own authority.
func identity(user string) (authority []byte, certificate tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: user},
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ExampleExistingSession() {
	appliance, other, end := example()
	defer end()
	ctx := context.Background()
	if _, err := other.Info(ctx); err != nil {
		log.Fatal(err)
	}
	// In place of what somebody else hands over: the cookie of that request.
	_, id, _ := strings.Cut(appliance.Journal()[1].Header.Get("Cookie"), "session_id=")

	client, err := sps.Connect(ctx, appliance.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx) // which does not log out
	user, err := client.UserInfo(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name, appliance.Sessions())
	// Output: admin 1
}

func ExampleWithRootCAs() {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	pool := x509.NewCertPool() // or x509.SystemCertPool, to add to what the machine trusts
	pool.AppendCertsFromPEM(appliance.CA())
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")), sps.WithRootCAs(pool))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Close(ctx))
	// Output: <nil>
}

func ExampleLoginMethods() {
	appliance, _, end := example()
	defer end()
	methods, err := sps.LoginMethods(context.Background(), appliance.Addr(), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	for _, method := range methods {
		fmt.Println(method.Name)
	}
	// Output: local
}

func ExampleWithLoginMethod() {
	appliance, _, end := example()
	defer end()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a"), sps.WithLoginMethod("local")),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	user, err := client.UserInfo(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.LoginMethod.Name, user.LoginMethod.Authentication)
	// Output: local local
}

func ExampleSecret() {
	password := sps.NewSecretString("correct-horse-battery")
	fmt.Println(password, fmt.Sprintf("%#v", struct{ P sps.Secret }{password}))
	fmt.Println(password.ExposeString(), len(password.Expose()))
	fmt.Println(password.Equal(sps.NewSecret([]byte("correct-horse-battery"))), password.IsZero())
	// Output:
	// [sps.Secret] struct { P sps.Secret }{P:[sps.Secret]}
	// correct-horse-battery 21
	// true false
}

type jobKey struct{}

// withJob is a slog.Handler that adds what the context of a call knows, such as the
// number of a job or the id of a trace.
type withJob struct{ slog.Handler }

func (h withJob) Handle(ctx context.Context, record slog.Record) error {
	if job, ok := ctx.Value(jobKey{}).(int); ok {
		record.AddAttrs(slog.Int("job", job))
	}
	return h.Handler.Handle(ctx, record)
}

func ExampleWithLogger() {
	appliance, _, end := example()
	defer end()
	logger := slog.New(withJob{slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "host", "duration": // different each time
				return slog.Attr{}
			}
			return a
		},
	})})

	ctx := context.WithValue(context.Background(), jobKey{}, 42)
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()), sps.WithLogger(logger))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	if _, err := client.Starling.JoinStatus(ctx, sps.WithProductTIMS("222-333-444")); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=DEBUG msg="sps request" method=GET path=authentication attempt=1 status=200 job=42
	// level=DEBUG msg="sps request" method=GET path=starling/join attempt=1 query=product_tims status=200 job=42
	// level=DEBUG msg="sps request" method=DELETE path=authentication attempt=1 status=200 job=42
}

// tripper is an http.RoundTripper made of a function.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ExampleWithTransport() {
	appliance, _, end := example()
	defer end()
	traced := sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(r) // or otelhttp.NewTransport(base)
			if err == nil {
				fmt.Println(r.Method, r.URL.Path, resp.StatusCode)
			}
			return resp, err
		})
	})

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()), traced)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	appliance.Inject(spstest.Fault{Path: "info", Status: 503}) // so that there is a second attempt
	if _, err := client.Info(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GET /api/authentication 200
	// GET /api/info 503
	// GET /api/info 200
	// DELETE /api/authentication 200
}

func ExampleWithRetry() {
	appliance, _, end := example()
	defer end()
	policy := sps.DefaultRetryPolicy()
	policy.Attempts, policy.MinWait = 2, time.Millisecond

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()), sps.WithRetry(policy))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	appliance.Inject(spstest.Fault{Path: "info", Status: 503, Times: -1})
	appliance.ResetJournal()
	_, err = client.Info(ctx)
	fmt.Println(errors.Is(err, sps.Status(503)), len(appliance.Journal()), "attempts")
	// Output: true 2 attempts
}

func ExampleWithTimeouts() {
	appliance, _, end := example()
	defer end()
	limits, once := sps.DefaultTimeouts(), sps.DefaultRetryPolicy()
	limits.Read, once.Attempts = 20*time.Millisecond, 1

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()), sps.WithTimeouts(limits), sps.WithRetry(once))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	appliance.Inject(spstest.Fault{Path: "info", Delay: time.Hour})
	_, err = client.Info(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

func ExampleError() {
	_, client, end := example()
	defer end()
	_, err := client.Firmware.Slots.Get(context.Background(), "9")
	fmt.Println(errors.Is(err, sps.ResourceNotFound), errors.Is(err, sps.Status(404)))
	var refused *sps.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Method, refused.Path, refused.Type, refused.Status)
	}
	var missing *sps.ResourceNotFoundDetails
	if errors.As(err, &missing) {
		fmt.Println(missing.MountPoint, missing.Resource)
	}
	// Output:
	// true true
	// GET firmware/slots/9 ResourceNotFound 404
	// firmware/slots 9
}

func ExampleTransportError() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	// The appliance carries the request out, and the connection breaks before its answer.
	appliance.Inject(spstest.Fault{Method: "POST", Path: "troubleshooting/support-bundle", CutAfter: true})
	_, err := client.Troubleshooting.SupportBundle.Start(ctx)
	var broken *sps.TransportError
	if errors.As(err, &broken) {
		fmt.Println(broken.Method, broken.Path, "was tried", broken.Attempts, "time")
	}
	if errors.Is(err, sps.ErrOutcomeUnknown) { // so look before you repeat it
		bundles, err := client.Troubleshooting.SupportBundle.List(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the appliance has", len(bundles))
	}
	// Output:
	// POST troubleshooting/support-bundle was tried 1 time
	// the appliance has 1
}

func ExampleNewCollection() {
	_, client, end := example()
	defer end()
	type Policy struct {
		Name string `json:"name"`
	}
	policies := sps.NewCollection[Policy](client, "configuration/policies/audit_policies")
	for policy, err := range policies.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(policy.Body.Name)
	}
	// Unordered output:
	// default
	// remote-timestamping
}

func ExampleCollection_List() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	stores, err := client.TrustStores.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, store := range stores {
		fmt.Println(store.Body.Name, len(store.Body.Authorities))
	}
	builtIn, err := client.TrustStores.Get(ctx, sps.BuiltInTrustStoreKey)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(builtIn.Body.Type)
	// Output:
	// Built-in 0
	// My_Custom_Trust_Store 1
	// LDAP_CAs 1
	// built-in
}

func ExampleCollection_GetByName() {
	_, client, end := example()
	defer end()
	store, err := client.TrustStores.GetByName(context.Background(), "My_Custom_Trust_Store")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(store.Body.Type, store.Body.RevocationCheck, store.Body.CRLURLs)
	_, err = client.TrustStores.GetByName(context.Background(), "No such store")
	fmt.Println(errors.Is(err, sps.ResourceNotFound))
	// Output:
	// custom full [http://crl.it/sec]
	// true
}

func ExampleMeta_Link() {
	_, client, end := example()
	defer end()
	email, err := client.Management.Email.Get(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(email.Key, email.Meta.Href)
	fmt.Println(email.Meta.Link("parent") == email.Meta.Parent)
	// Output:
	// email /api/configuration/management/email
	// true
}

func ExampleClient_Walk() {
	_, client, end := example()
	defer end()
	for node, err := range client.Walk(context.Background(), "configuration/alerting") {
		switch {
		case err != nil:
			log.Fatal(err)
		case node.Err != nil:
			fmt.Println(node.Path, "cannot be read:", node.Err)
		default:
			fmt.Println(node.Path, len(node.Body) > 0)
		}
	}
	// Output:
	// configuration/alerting false
	// configuration/alerting/system_alerts true
	// configuration/alerting/traffic_alerts true
}

func ExampleWithSkippedPaths() {
	_, client, end := example()
	defer end()
	for node, err := range client.Walk(context.Background(), "configuration/alerting", sps.WithSkippedPaths("configuration/alerting/system_alerts")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(node.Path)
	}
	// Output:
	// configuration/alerting
	// configuration/alerting/traffic_alerts
}

func ExampleClient_Listing() {
	_, client, end := example()
	defer end()
	list, err := client.Listing(context.Background(), "firmware")
	if err != nil {
		log.Fatal(err)
	}
	for _, link := range list.Entries {
		fmt.Println(link.Key, link.Href)
	}
	// Output:
	// fetch /api/firmware/fetch
	// slots /api/firmware/slots
	// test /api/firmware/test
	// upgrade /api/firmware/upgrade
}

func ExampleClient_Invoke() {
	_, client, end := example()
	defer end()
	response, err := client.Invoke(context.Background(), "GET", "integrated_products", nil)
	if err != nil {
		log.Fatal(err)
	}
	var products struct {
		Items []struct {
			Name      string `json:"name"`
			Activated bool   `json:"activated"`
		} `json:"items"`
	}
	if err := response.Decode(&products); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(products.Items))

	_, err = client.Invoke(context.Background(), "PUT", "configuration/management/email", products)
	fmt.Println(errors.Is(err, sps.ErrTransactionOnly))
	// Output:
	// 0
	// true
}

func ExampleWithQuery() {
	appliance, client, end := example()
	defer end()
	response, err := client.Invoke(context.Background(), "GET", "starling/join", nil,
		sps.WithQuery("product_tims", "222-333-444"), sps.WithHeader("X-Request-Id", "CHG-1234"))
	if err != nil {
		log.Fatal(err)
	}
	journal := appliance.Journal()
	last := journal[len(journal)-1]
	fmt.Println(response.StatusCode, last.RawQuery, last.Header.Get("X-Request-Id"))
	// Output: 200 product_tims=222-333-444 CHG-1234
}

func ExampleClient_Download() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	key, err := client.Troubleshooting.SupportBundle.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Troubleshooting.SupportBundle.Wait(ctx, key, sps.WithPollInterval(time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer // or an *os.File
	n, err := client.Download(ctx, "troubleshooting/support-bundle/"+key+"/download", &file,
		sps.WithProgress(func(p sps.Progress) { fmt.Println("all of it:", p.Done == p.Total) }))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n == int64(file.Len()))
	// Output:
	// all of it: true
	// true
}

func ExampleKindOf() {
	_, client, end := example()
	defer end()
	_, err := client.TrustStores.Get(context.Background(), "12345")
	switch sps.KindOf(err) {
	case sps.KindNotFound:
		fmt.Println("it is gone")
	case sps.KindUnavailable, sps.KindLocked, sps.KindConflict:
		fmt.Println("another time, perhaps")
	}
	fmt.Println(errors.Is(err, sps.KindNotFound))
	// Output:
	// it is gone
	// true
}

func ExampleSafeToRetry() {
	appliance, client, end := example()
	defer end()
	release := appliance.LockConfiguration("somebody else")
	defer release()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
			s.Enabled = !s.Enabled
			return nil
		})
	})
	after, ok := sps.SafeToRetry(err)
	fmt.Println(after, ok)
	_, ok = sps.SafeToRetry(fmt.Errorf("%w, and %w", err, sps.ErrOutcomeUnknown))
	fmt.Println(ok)
	// Output:
	// 0s true
	// false
}

func ExampleFaults() {
	_, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		store := sps.NewTrustStore("Ours")
		store.RevocationCheck, store.CRLURLs = sps.RevocationLeaf, []string{"http://crl.example/a", "ldap://crl.example/b"}
		_, err := tx.TrustStores.Create(ctx, store)
		return err
	})
	for _, fault := range sps.Faults(err) {
		fmt.Println(fault.Object, fault.Member)
		fmt.Println(fault.Message)
	}
	fmt.Println(errors.Is(err, sps.SyntacticError), errors.Is(err, sps.ErrInvalidInput))
	// Output:
	// configuration/trust_stores crl_urls/1
	// the CRL URL "ldap://crl.example/b" is not an http or https URL
	// true true
}

func ExampleWithRerun() {
	appliance, client, end := example()
	defer end()
	appliance.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 503})
	runs := 0
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		runs++
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com"
			return nil
		})
	}, sps.WithRerun(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(runs, "runs")
	// Output: 2 runs
}
