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
	"encoding/json"
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

// example returns a client of a simulated appliance, and a function that closes both.
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
	appliance := spstest.NewServer(nil) // a simulated appliance; use the address of your own
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
		log.Fatal(err) // NewClient fails only for an invalid argument
	}
	ctx := context.Background()
	defer client.Close(ctx)

	info, err := client.Info(ctx) // the first call logs in
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
			appliance.SetSetupStatus("completed") // simulates the end of the setup
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

	appliance.ExpireSessions() // the appliance restarts and refuses the password during the restart
	appliance.Inject(spstest.Fault{Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure"}}`})
	_, err = client.Info(ctx)
	fmt.Println(errors.Is(err, sps.AuthenticationFailure))
	fmt.Println(client.Err()) // nil: a call after five minutes logs in again
	// Output:
	// true
	// <nil>
}

func ExampleClient_Err() {
	appliance, client, end := example()
	defer end()
	appliance.SetPassword("admin", "changed behind our back")
	appliance.ExpireSessions()
	for range 3 { // the program continues after errors
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
		os.Setenv(name, value) // your shell or your pipeline sets these variables
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
	// Compare the fingerprint with the one shown on the appliance itself before you
	// continue.
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
		fmt.Println("reading the password from the vault")
		return sps.NewSecretString(vault), nil
	})

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), credential, sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	vault = "b" // simulates a change of the password and the end of the session
	appliance.SetPassword("admin", "b")
	appliance.ExpireSessions()
	info, err := client.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion)
	// Output:
	// reading the password from the vault
	// reading the password from the vault
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

// identity makes a self-signed certificate for a user.
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
	// Take the id of a session that already exists, from the cookie of a recorded
	// request.
	_, id, _ := strings.Cut(appliance.Journal()[1].Header.Get("Cookie"), "session_id=")

	client, err := sps.Connect(ctx, appliance.Addr(), sps.ExistingSession(sps.NewSecretString(id)), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx) // Close does not log out from an existing session
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
	pool := x509.NewCertPool() // or x509.SystemCertPool, to add to the authorities of the operating system
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

// withJob is a slog.Handler that adds a value from the context of the call, such as the
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
			case slog.TimeKey, "host", "duration": // these differ in every run
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
			resp, err := base.RoundTrip(r) // for OpenTelemetry, use otelhttp.NewTransport(base)
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
	appliance.Inject(spstest.Fault{Path: "info", Status: 503}) // to cause a second attempt
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
	// The appliance executes the request, and the connection breaks before the response.
	appliance.Inject(spstest.Fault{Method: "POST", Path: "troubleshooting/support-bundle", CutAfter: true})
	_, err := client.Troubleshooting.SupportBundle.Start(ctx)
	var broken *sps.TransportError
	if errors.As(err, &broken) {
		fmt.Println(broken.Method, broken.Path, "was tried", broken.Attempts, "time")
	}
	if errors.Is(err, sps.ErrOutcomeUnknown) { // check the state of the appliance before you repeat the request
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
	var file bytes.Buffer // any io.Writer, such as an *os.File
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
		fmt.Println("the object does not exist")
	case sps.KindUnavailable, sps.KindLocked, sps.KindConflict:
		fmt.Println("try again later")
	}
	fmt.Println(errors.Is(err, sps.KindNotFound))
	// Output:
	// the object does not exist
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

func ExampleClient_Transaction() {
	appliance, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com" // the other members keep their values
			return nil
		})
	}, sps.WithMessage("CHG-1234"))
	if errors.Is(err, sps.ErrLocked) {
		fmt.Println("somebody else is changing the configuration")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(appliance.Commits()[0].Message)
	// Output: CHG-1234
}

func ExampleClient_Transaction_rollback() {
	appliance, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
			s.Enabled = false
			return nil
		})
		if err != nil {
			return err
		}
		return errors.New("on second thought, no")
	})
	fmt.Println(err)
	fmt.Println(len(appliance.Commits()), "commits")
	// Output:
	// on second thought, no
	// 0 commits
}

func ExampleWithLockWait() {
	appliance, client, end := example()
	defer end()
	release := appliance.LockConfiguration("somebody else")

	change := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelSNMP) })
	}
	err := client.Transaction(context.Background(), change, sps.WithLockWait(50*time.Millisecond))
	fmt.Println(errors.Is(err, sps.ErrLocked))
	release()
	fmt.Println(client.Transaction(context.Background(), change, sps.WithLockWait(time.Minute)))
	// Output:
	// true
	// <nil>
}

func ExampleWithLockFirst() {
	appliance, client, end := example()
	defer end()
	release := appliance.LockConfiguration("somebody else")
	defer release()

	// A long function should take the lock first. It then fails early if somebody else
	// holds the lock, and nobody can change the objects that it reads.
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		fmt.Println("not reached")
		return nil
	}, sps.WithLockFirst())
	fmt.Println(errors.Is(err, sps.ErrLocked))
	// Output: true
}

func ExampleWithChanges() {
	_, client, end := example()
	defer end()
	wanted := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com"
			return nil
		})
	}
	for range 2 {
		var changes sps.CommittedChanges
		if err := client.Transaction(context.Background(), wanted, sps.WithChanges(&changes)); err != nil {
			log.Fatal(err)
		}
		if changes.Err != nil {
			fmt.Println("done, and the list could not be read:", changes.Err)
		}
		fmt.Println(len(changes.Changes), "changes", changes.Changes)
	}
	// Output:
	// 1 changes [replace configuration/management/email: alerting_address: "alerts@example.com" -> "soc@example.com"]
	// 0 changes []
}

func ExampleWithOneSession() {
	ctx := context.Background()
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	for _, options := range [][]sps.Option{nil, {sps.WithOneSession()}} {
		client, err := sps.Connect(ctx, appliance.Addr(),
			sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
			append(options, sps.WithCABundle(appliance.CA()))...)
		if err != nil {
			log.Fatal(err)
		}
		err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			err := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelSNMP) })
			fmt.Println(appliance.Sessions(), "sessions")
			return errors.Join(err, errors.New("rolled back"))
		})
		fmt.Println(err)
		client.Close(ctx)
	}
	// Output:
	// 2 sessions
	// rolled back
	// 1 sessions
	// rolled back
}

func ExampleClient_Preview() {
	appliance, client, end := example()
	defer end()
	changes, err := client.Preview(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com"
			return nil
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range changes {
		fmt.Println(change)
	}
	fmt.Println(len(appliance.Commits()), "commits")
	// Output:
	// replace configuration/management/email: alerting_address: "alerts@example.com" -> "soc@example.com"
	// 0 commits
}

func ExampleTransaction_Changes() {
	_, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelSNMP) })
		if err != nil {
			return err
		}
		changes, err := tx.Changes(ctx)
		for _, change := range changes {
			fmt.Println(change.Type, change.Path)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: replace configuration/alerting/traffic_alerts
}

func ExampleClient_TransactionStatus() {
	_, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		if err := tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error { s.Enabled = false; return nil }); err != nil {
			return err
		}
		status, err := client.TransactionStatus(ctx)
		if err != nil {
			return err
		}
		fmt.Println(status.Open(), status.HasChanges, status.CommitMessageRequired)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: true true false
}

func ExampleNewSingleton() {
	_, client, end := example()
	defer end()
	timezone := sps.NewSingleton[string](client, "configuration/datetime/timezone")
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return timezone.In(tx).Replace(ctx, "Europe/Budapest")
	})
	if err != nil {
		log.Fatal(err)
	}
	now, err := timezone.Get(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(now.Key, now.Body)
	// Output: timezone Europe/Budapest
}

func ExampleSingleton_In() {
	_, client, end := example()
	defer end()
	type Limits struct {
		Disk int `json:"maximum_disk_utilization_ratio"` // the other members keep their values
	}
	limits := sps.NewSingleton[Limits](client, "configuration/management/health_monitoring")
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := limits.In(tx).Update(ctx, func(l *Limits) error {
			l.Disk = 75
			return nil
		})
		if err != nil {
			return err
		}
		staged, err := limits.In(tx).Get(ctx) // includes the uncommitted changes of this transaction
		if err != nil {
			return err
		}
		fmt.Println(staged.Body.Disk)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 75
}

func ExampleCollection_In() {
	_, client, end := example()
	defer end()
	type Group struct {
		Members []string `json:"members"`
		Name    string   `json:"name"`
	}
	groups := sps.NewCollection[Group](client, "configuration/aaa/local_database/groups")
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		list := groups.In(tx)
		key, err := list.Create(ctx, Group{Members: []string{}, Name: "auditors"})
		if err != nil {
			return err
		}
		for group, err := range list.All(ctx) {
			if err != nil {
				return err
			}
			fmt.Println(group.Body.Name)
		}
		group, err := list.Get(ctx, key)
		if err != nil {
			return err
		}
		group.Body.Name = "reviewers"
		if err := list.Replace(ctx, key, group.Body); err != nil { // replaces the whole object; usually, use Update
			return err
		}
		if err := list.Delete(ctx, key); err != nil {
			return err
		}
		left, err := list.List(ctx)
		fmt.Println(len(left), "left")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// http-write
	// auditors
	// 1 left
}

func ExampleCollectionTx_Update() {
	appliance, client, end := example()
	defer end()
	authorities, err := sps.ParseCertificates(appliance.CA()) // or the content of a PEM file
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		store, err := tx.TrustStores.GetByName(ctx, "LDAP_CAs")
		if err != nil {
			return err
		}
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error {
			return s.AddAuthority(authorities[0])
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	store, err := client.TrustStores.GetByName(ctx, "LDAP_CAs")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(store.Body.Authorities), "authorities")
	// Output: 2 authorities
}

func ExampleTransaction_Invoke() {
	_, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		response, err := tx.Invoke(ctx, "PUT", "configuration/datetime/timezone", json.RawMessage(`"Europe/Budapest"`))
		if err != nil {
			return err
		}
		fmt.Println(response.StatusCode)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 200
	// <nil>
}

func ExampleCheckBody() {
	_, client, end := example()
	defer end()
	type diskFillUp struct {
		Percent int `json:"disk_fillup_prevention"`
	}
	endpoint := sps.NewSingleton(client, "configuration/management/disk_fillup_prevention", sps.CheckBody(func(d *diskFillUp) error {
		if d.Percent > 100 {
			return fmt.Errorf("%d%% of a disk", d.Percent)
		}
		return nil
	}))
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return endpoint.In(tx).Replace(ctx, diskFillUp{Percent: 120})
	})
	fmt.Println(strings.HasSuffix(err.Error(), "120% of a disk"))
	// Output: true
}

func ExampleCheckChange() {
	_, client, end := example()
	defer end()
	type policy struct {
		Name string `json:"name"`
		Type string `json:"trust_store_type"`
	}
	stores := sps.NewCollection(client, "configuration/trust_stores",
		sps.UniqueName(func(p *policy) string { return p.Name }),
		sps.CheckKey[policy](func(key string) error {
			if key == sps.BuiltInTrustStoreKey {
				return errors.New("it is built in")
			}
			return nil
		}),
		sps.CheckChange(func(was, now *policy) error {
			if was != nil && was.Type != now.Type {
				return fmt.Errorf("the type stays %s", was.Type)
			}
			return nil
		}))
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return stores.In(tx).Update(ctx, sps.BuiltInTrustStoreKey, func(p *policy) error { p.Name = "mine"; return nil })
	})
	fmt.Println(strings.HasSuffix(err.Error(), "it is built in"))
	// Output: true
}

func ExampleAlerts_Enable() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	err := client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied) // SNMP and the other alerts keep their settings
		})
	}, sps.WithMessage("CHG-1234"))
	if err != nil {
		log.Fatal(err)
	}
	alerts, err := client.Alerting.TrafficAlerts.Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", alerts.Body[sps.AlertConnectionDenied])
	fmt.Println(alerts.Body.Enable(sps.ChannelSNMP, "scbconnectiondenied"))
	// Output:
	// {Email:true SNMP:false}
	// sps: invalid input: there is no alert "scbconnectiondenied": did you mean "scbConnectionDenied"?
}

func ExampleAlerts_Disable() {
	alerts := sps.TrafficAlerts{sps.AlertAuthFailure: {}, sps.AlertAuthSuccess: {}}
	if err := alerts.EnableAll(sps.ChannelEmail); err != nil {
		log.Fatal(err)
	}
	if err := alerts.Disable(sps.ChannelEmail, sps.AlertAuthSuccess); err != nil {
		log.Fatal(err)
	}
	fmt.Println(alerts[sps.AlertAuthFailure].Email, alerts[sps.AlertAuthSuccess].Email)
	fmt.Println(alerts.DisableAll(sps.ChannelEmail), alerts[sps.AlertAuthFailure].Email)
	// Output:
	// true false
	// <nil> false
}

func ExampleAlerts_Diff() {
	before := sps.TrafficAlerts{sps.AlertAuthFailure: {}, sps.AlertAuthSuccess: {}}
	after := sps.TrafficAlerts{sps.AlertAuthFailure: {Email: true}, sps.AlertAuthSuccess: {}}
	for _, d := range before.Diff(after) {
		fmt.Println(d)
	}
	// Output: scbAuthFailure: email off -> on
}

func ExampleNewTrustStore() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	authorities, err := sps.ParseCertificates(appliance.CA()) // or the content of a PEM file
	if err != nil {
		log.Fatal(err)
	}
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Partners", authorities...))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	for store, err := range client.TrustStores.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(store.Body.Name, len(store.Body.Authorities))
	}
	// Output:
	// Built-in 0
	// My_Custom_Trust_Store 1
	// LDAP_CAs 1
	// Partners 1
}

func ExampleTrustStore_AddAuthority() {
	appliance, _, end := example()
	defer end()
	certificates, err := sps.ParseCertificates(appliance.CA()) // or the content of a PEM file
	if err != nil {
		log.Fatal(err)
	}
	fingerprint := sps.CertificateFingerprint(certificates[0])

	store := sps.NewTrustStore("Partners")
	fmt.Println(store.AddAuthority(certificates[0]))
	fmt.Println(errors.Is(store.AddAuthority(certificates[0]), sps.ErrAuthorityExists))
	authority, err := store.Authority(fingerprint)
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := authority.Certificate()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(certificate.Equal(certificates[0]), certificate.IsCA)
	fmt.Println(len(store.Warnings())) // the warnings are about certificates that are not CA certificates
	all, err := store.Certificates()
	fmt.Println(len(all), err)
	fmt.Println(store.RemoveAuthority(fingerprint), len(store.Authorities))
	// Output:
	// <nil>
	// true
	// true true
	// 0
	// 1 <nil>
	// <nil> 0
}

func ExampleTrustStore_SetAuthorities() {
	appliance, client, end := example()
	defer end()
	wanted, err := sps.ParseCertificates(appliance.CA()) // or the content of a PEM file
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	store, err := client.TrustStores.GetByName(ctx, "My_Custom_Trust_Store")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(store.Body.HasAuthority(wanted[0]))
	changes, err := client.Preview(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error {
			return s.SetAuthorities(wanted...) // sends nothing if the store already has these
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(changes))
	// Output:
	// false
	// 1
}

func ExampleTrustStore_Validate() {
	store := sps.NewTrustStore("Partners")
	store.RevocationCheck = sps.RevocationFull
	fmt.Println(store.Validate())
	// Output: sps: invalid input: trust store "Partners": the revocation check "full" needs CRL URLs
}

func ExampleTrustStore_ExpiringBefore() {
	_, client, end := example()
	defer end()
	store, err := client.TrustStores.GetByName(context.Background(), "My_Custom_Trust_Store")
	if err != nil {
		log.Fatal(err)
	}
	expiring, err := store.Body.ExpiringBefore(time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		log.Fatal(err)
	}
	for _, certificate := range expiring {
		fmt.Println(certificate.Subject, certificate.NotAfter.Format(time.DateOnly))
	}
	// Output: O=Internet Widgits Pty Ltd,ST=Budapest,C=HU 2034-06-18
}

func ExampleStarling_CheckUnjoin() {
	appliance, client, end := example()
	defer end()
	appliance.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true})
	ctx := context.Background()

	check, err := client.Starling.CheckUnjoin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(check.Refused(), check.Reasons)
	if check.RemoteAccess {
		err := client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
				s.RemoteAccess.Enabled = false
				return nil
			})
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(client.Starling.Unjoin(ctx), appliance.Starling().Joined)
	// Output:
	// true [remote access is enabled: StarlingJoinIsInUseByRemoteAccessError]
	// <nil> false
}

func ExampleStarling_ForceUnjoin() {
	appliance, client, end := example()
	defer end()
	appliance.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true}) // remote access is enabled
	ctx := context.Background()
	err := client.Starling.Unjoin(ctx)
	fmt.Println(errors.Is(err, sps.StarlingJoinIsInUseByRemoteAccessError))
	fmt.Println(client.Starling.ForceUnjoin(ctx), appliance.Starling().Joined)
	// Output:
	// true
	// <nil> false
}

func ExampleStarling_JoinStatus() {
	_, client, end := example()
	defer end()
	join, err := client.Starling.JoinStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(join.Joined, join.ProductName, join.ProductTIMS)
	// Output: false Safeguard 123-456-789
}

func ExampleStarling_JoinPage() {
	_, client, end := example()
	defer end()
	page, err := client.Starling.JoinPage(context.Background(), sps.WithProductTIMS("222-333-444"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.StatusCode, page.ContentType, page.Location)
	// Output: 200 text/html
}

func ExampleStarling_Join() {
	appliance, client, end := example()
	defer end()
	err := client.Starling.Join(context.Background(), sps.StarlingJoinRequest{
		CredentialString: sps.NewSecretString(os.Getenv("STARLING_CREDENTIAL") + "demo"),
		TokenEndpoint:    "https://sts.example.com/token",
	})
	fmt.Println(err, appliance.Starling().Joined)
	// Output: <nil> true
}

func ExampleChange_String() {
	_, client, end := example()
	defer end()
	changes, err := client.Preview(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
			s.Version.Value.Community = sps.NewSecretString("another one")
			s.Version.Value.Server.Value = "10.20.30.41"
			return nil
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range changes {
		fmt.Println(change.Type, change.Path)
		for _, difference := range change.Differences {
			fmt.Println(difference)
		}
	}
	// Output:
	// replace configuration/management/snmp/trap
	// version/value/community: a secret, changed
	// version/value/server/value: "10.20.30.40" -> "10.20.30.41"
}

func ExampleEqual() {
	wanted := sps.SNMPTarget{Community: sps.NewSecretString("hush"), Server: sps.Selection{Selection: "ip", Value: "10.20.30.40"}}
	actual := sps.Copy(wanted)
	fmt.Println(sps.Equal(wanted, actual))
	actual.Community = sps.NewSecretString("loud")
	fmt.Println(sps.Equal(wanted, actual))
	// Output:
	// true
	// false
}

func ExampleCopy() {
	store := sps.NewTrustStore("Ours")
	store.CRLURLs = []string{"http://crl.example/a"}
	another := sps.Copy(store)
	another.CRLURLs[0] = "http://crl.example/b"
	fmt.Println(store.CRLURLs[0])
	// Output: http://crl.example/a
}
