package spstest_test

import (
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// start returns an appliance without sockets, a client of it, and a function that closes
// both.
func start(options ...spstest.Option) (*spstest.Appliance, *sps.Client, func()) {
	appliance := spstest.NewServer(nil, append([]spstest.Option{spstest.WithoutListener()}, options...)...)
	client, err := connect(appliance)
	if err != nil {
		log.Fatal(err)
	}
	return appliance, client, func() {
		client.Close(context.Background())
		appliance.Close()
	}
}

func connect(appliance *spstest.Appliance) (*sps.Client, error) {
	return sps.Connect(context.Background(), appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return appliance }),
		sps.WithTimeouts(sps.Timeouts{Outcome: 100 * time.Millisecond}))
}

// disableSNMP is the code under test: it changes the configuration.
func disableSNMP(ctx context.Context, tx *sps.Transaction) error {
	return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
		s.Enabled = false
		return nil
	})
}

func Example() {
	appliance := spstest.NewServer(nil) // in a test: spstest.NewServer(t)
	defer appliance.Close()
	appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})

	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	_, err = client.Firmware.Test(ctx, "2") // the code under test
	fmt.Println(errors.Is(err, sps.FirmwareTestFailed))
	// Output: true
}

func ExampleNew() {
	appliance := spstest.NewServer(nil, spstest.WithoutListener()) // without sockets, for example in a testing/synctest bubble
	defer appliance.Close()
	resp, err := (&http.Client{Transport: appliance}).Get("https://" + appliance.Addr() + "/api/info")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"))
	// Output: 200 application/json
}

func ExampleAppliance_RoundTrip() {
	appliance := spstest.NewServer(nil, spstest.WithoutListener())
	defer appliance.Close()
	appliance.Inject(spstest.Fault{Refuse: true})
	request := httptest.NewRequest("GET", "https://"+appliance.Addr()+"/api/info", http.NoBody)
	_, err := appliance.RoundTrip(request)
	var refused *net.OpError
	fmt.Println(errors.As(err, &refused))
	// Output: true
}

func ExampleAppliance_Handler() {
	appliance := spstest.NewServer(nil, spstest.WithoutListener())
	defer appliance.Close()
	w := httptest.NewRecorder() // or your own server
	appliance.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/setup", http.NoBody))
	fmt.Println(w.Code)
	// Output: 200
}

func ExampleAppliance_Inject() {
	appliance, client, end := start()
	defer end()
	appliance.Inject(spstest.Fault{Method: "POST", Path: "firmware/test", Status: 500, Times: -1})
	rule, err := spstest.ParseFault("GET info status=503 header=Retry-After:0")
	if err != nil {
		log.Fatal(err)
	}
	appliance.Inject(rule)

	ctx := context.Background()
	_, err = client.Firmware.Test(ctx, "2")
	fmt.Println(errors.Is(err, sps.Status(500)))
	appliance.ClearFaults()
	_, err = client.Firmware.Test(ctx, "2")
	fmt.Println(err)
	for _, fault := range appliance.MissedFaults() { // at the end of a test, such a fault fails the test
		fmt.Println("missed:", fault)
	}
	// Output:
	// true
	// <nil>
	// missed: GET info status=503 header=Retry-After:0
}

func ExampleWithFaults() {
	_, client, end := start(spstest.WithFaults(spstest.Fault{Path: "firmware/slots", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}))
	defer end()
	_, err := client.Firmware.Slots.List(context.Background())
	fmt.Println(errors.Is(err, sps.Unauthorized))
	// Output: true
}

func ExampleAppliance_Journal() {
	appliance, client, end := start()
	defer end()
	appliance.ResetJournal() // removes the login from the journal
	if _, err := client.Firmware.Slots.Get(context.Background(), "2"); err != nil {
		log.Fatal(err)
	}
	for _, r := range appliance.Journal() {
		fmt.Println(r.Method, r.Path, r.Status, r.Session, r.Executed)
	}
	// Output: GET /api/firmware/slots/2 200 s1 true
}

func ExampleWithTrace() {
	_, client, end := start(spstest.WithTrace(func(r spstest.Request) { fmt.Println(r.Method, r.Path, r.Status) }))
	if _, err := client.Info(context.Background()); err != nil {
		log.Fatal(err)
	}
	end()
	// Output:
	// GET /api/authentication 200
	// GET /api/info 200
	// DELETE /api/authentication 200
}

func ExampleAppliance_LockConfiguration() {
	appliance, client, end := start()
	defer end()
	release := appliance.LockConfiguration("somebody in the web interface")
	err := client.Transaction(context.Background(), disableSNMP)
	fmt.Println(errors.Is(err, sps.ErrLocked), appliance.LockedBy())

	release()
	err = client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := disableSNMP(ctx, tx) // the first write takes the lock
		fmt.Println(appliance.TransactionOpen(), appliance.LockedBy())
		return err
	})
	fmt.Println(err, appliance.TransactionOpen())
	// Output:
	// true somebody in the web interface
	// true admin
	// <nil> false
}

func ExampleAppliance_ExpireSessions() {
	appliance, client, end := start()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := disableSNMP(ctx, tx)
		appliance.ExpireSessions()
		return err
	})
	fmt.Println(errors.Is(err, sps.ErrTransactionLost), appliance.Sessions())
	// Output: true 0
}

func ExampleAppliance_SetPassword() {
	appliance, client, end := start()
	defer end()
	appliance.SetPassword(appliance.Username(), "rotated")
	appliance.ExpireSessions()
	_, err := client.Info(context.Background())
	fmt.Println(errors.Is(err, sps.AuthenticationFailure))
	// Output: true
}

func ExampleAppliance_Configuration() {
	appliance, client, end := start()
	defer end()
	appliance.SetConfiguration("management/webinterface", json.RawMessage(`{"timeout":15,"theme":"dark"}`))
	type Settings struct {
		Timeout int `json:"timeout"`
	}
	settings := sps.NewSingleton[Settings](client, "configuration/management/webinterface")
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return settings.In(tx).Update(ctx, func(s *Settings) error { s.Timeout = 30; return nil })
	}, sps.WithMessage("CHG-1234"))
	if err != nil {
		log.Fatal(err)
	}
	body, _ := appliance.Configuration("management/webinterface")
	fmt.Printf("%s\n%+v\n", body, appliance.Commits())
	// Output:
	// {"theme":"dark","timeout":30}
	// [{User:admin Message:CHG-1234 Member:commit_message}]
}

func ExampleAppliance_Restart() {
	appliance, client, end := start(spstest.WithRestart(spstest.Restart{Refused: 1, Starting: 1}))
	defer end()
	appliance.AfterRestart(spstest.OutcomeNewVersion) // the default; the other outcomes simulate failed upgrades and a new certificate
	slot := appliance.Slots()[1]
	slot.AfterReboot = true
	appliance.SetSlot(slot)
	appliance.Restart()
	info, err := client.Firmware.WaitForVersion(context.Background(), slot.Version, sps.WithPollInterval(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion, appliance.Restarts())
	// Output: 8.0.0 1
}

func ExampleAppliance_State() {
	appliance, _, end := start()
	defer end()
	appliance.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0"})
	saved := appliance.State()

	another := spstest.NewServer(nil, spstest.WithoutListener(), spstest.WithState(saved), spstest.WithCredentials("operator", "correct-horse"))
	defer another.Close()
	fmt.Println(another.Slots()[4].Version, another.Username())
	// Output: 8.1.0 operator
}

func ExampleAppliance_SetHealth() {
	appliance, client, end := start()
	defer end()
	appliance.SetHealth(json.RawMessage(`{"firmware":{"tainted_files":{"core":2}},"disk":96.5}`))
	health, err := client.HealthStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(health.TaintedFiles["core"], *health.Disk)
	// Output: 2 96.5
}

func ExampleAppliance_SetSetupStatus() {
	appliance, client, end := start()
	defer end()
	appliance.SetSetupStatus("booting")
	response, err := client.Invoke(context.Background(), "GET", "setup", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(response.Body), "booting"))
	// Output: true
}

func ExampleAppliance_FailBundles() {
	appliance, client, end := start(spstest.WithBundlePolls(1))
	defer end()
	appliance.FailBundles(true)
	ctx := context.Background()
	key, err := client.Troubleshooting.SupportBundle.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Troubleshooting.SupportBundle.Wait(ctx, key, sps.WithPollInterval(time.Millisecond))
	var failed *sps.SupportBundleError
	fmt.Println(errors.As(err, &failed))
	// Output: true
}

func ExampleAppliance_ServeImage() {
	appliance, client, end := start(spstest.WithFetchPolls(1))
	defer end()
	const url, size = "https://images.example/sps.iso", 1 << 20
	sum := spstest.ImageSHA256("8.1.0", size)
	appliance.ServeImage(url, "8.1.0", sum)

	ctx := context.Background()
	key, err := client.Firmware.Fetch.Start(ctx, url, sum)
	if err != nil {
		log.Fatal(err)
	}
	fetch, err := client.Firmware.Fetch.Wait(ctx, key, sps.WithPollInterval(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("slot", fetch.SlotKey)
	// Output: slot 3
}

func ExampleImage() {
	appliance, client, end := start()
	defer end()
	const size = 1 << 20
	if _, err := client.Firmware.Upload(context.Background(), spstest.Image("8.1.0", size), size); err != nil {
		log.Fatal(err)
	}
	upload := appliance.Uploads()[0]
	fmt.Println(upload.Version, upload.Size, upload.SHA256 == spstest.ImageSHA256("8.1.0", size))
	// Output: 8.1.0 1048576 true
}

func ExampleWithSlots() {
	appliance, client, end := start(spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.TaintedFirmware()},
		spstest.Slot{Key: "3", Version: "8.1.0", TestFailure: spstest.ConfigurationIncompatible()},
		spstest.Slot{Key: "4", Version: "9.0.0", TestFailure: spstest.VersionIncompatible()},
		spstest.Slot{Key: "5", Version: "9.1.0", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "it is Friday"}},
	))
	defer end()
	for _, slot := range appliance.Slots()[1:] {
		_, err := client.Firmware.Test(context.Background(), slot.Key)
		var failed *sps.FirmwareTestFailedDetails
		if errors.As(err, &failed) {
			lines := strings.Split(failed.TestSummary, "\n")
			fmt.Println(slot.Version, lines[len(lines)-1])
		}
	}
	// Output:
	// 8.0.0 Integrity check failed
	// 8.1.0 Configuration check failed
	// 9.0.0 Version check failed
	// 9.1.0 it is Friday
}

func ExampleWithUser() {
	appliance := spstest.NewServer(nil, spstest.WithoutListener(),
		spstest.WithUser("reader", "a", spstest.ReadOnlyAt("configuration"), spstest.NoAccessTo("configuration/alerting")))
	defer appliance.Close()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("reader", sps.NewSecretString("a")),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return appliance }))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	_, err = client.Alerting.TrafficAlerts.Get(ctx)
	fmt.Println(errors.Is(err, sps.Unauthorized))
	_, err = client.Management.Email.Get(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(client.Transaction(ctx, disableSNMP), sps.Unauthorized))
	// Output:
	// true
	// <nil>
	// true
}

func ExampleWithProfile() {
	for _, release := range spstest.Profiles() {
		_, client, end := start(spstest.WithProfile(release))
		fmt.Println(release, client.Transaction(context.Background(), disableSNMP)) // the code under test
		end()
	}
	// Output:
	// 6.0 <nil>
	// 6.9 <nil>
	// 7.4 <nil>
	// 8.0 <nil>
}

func ExampleWithVariant() {
	for _, variant := range spstest.Variants() {
		for _, alternative := range variant.Alternatives {
			_, client, end := start(spstest.WithVariant(variant.Name, alternative))
			if err := client.Transaction(context.Background(), disableSNMP); err != nil { // the code under test
				fmt.Println(variant.Name, alternative, err)
			}
			end()
		}
	}
	option, err := spstest.ParseVariant("lock-taken=first-change") // for example from a flag of your test program
	if err != nil {
		log.Fatal(err)
	}
	_, client, end := start(option)
	defer end()
	fmt.Println(client.Transaction(context.Background(), disableSNMP))
	// Output: <nil>
}

func ExampleWithClock() {
	now := time.Now()
	appliance, client, end := start(
		spstest.WithClock(func() time.Time { return now }),
		spstest.WithSessionLifetime(10*time.Minute))
	defer end()
	now = now.Add(time.Hour) // the test does not sleep
	appliance.ResetJournal()
	if _, err := client.Firmware.Slots.List(context.Background()); err != nil { // the session has expired, so the client logs in again
		log.Fatal(err)
	}
	for _, r := range appliance.Journal() {
		fmt.Println(r.Path, r.Status)
	}
	// Output:
	// /api/firmware/slots 401
	// /api/authentication 200
	// /api/firmware/slots 200
}

func ExampleWithListener() {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // or a listener in memory
	if err != nil {
		log.Fatal(err)
	}
	appliance := spstest.NewServer(nil, spstest.WithListener(listener))
	defer appliance.Close()
	fmt.Println(appliance.Addr() == listener.Addr().String())
	// Output: true
}

func ExampleWithListenAddress() {
	appliance := spstest.NewServer(nil, spstest.WithListenAddress("127.0.0.1:0")) // or ":8443"
	defer appliance.Close()
	fmt.Println(strings.HasPrefix(appliance.Addr(), "127.0.0.1:"))
	// Output: true
}

func ExampleWithCertificate() {
	_, certificate := identity("sps1.example.com") // the name that clients connect to
	appliance := spstest.NewServer(nil, spstest.WithCertificate(certificate))
	defer appliance.Close()
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		log.Fatal(err)
	}
	shown := strings.ReplaceAll(sps.CertificateFingerprint(leaf), ":", "")
	fmt.Println(strings.EqualFold(appliance.Fingerprint(), shown))
	// Output: true
}

func ExampleWithClientCA() {
	authority, certificate := identity("automation")
	appliance := spstest.NewServer(nil, spstest.WithClientCA(authority))
	defer appliance.Close()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.ClientCertificate(certificate), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	fmt.Println(appliance.Sessions())
	// Output: 1
}

// identity returns a self-signed certificate for a name, and the certificate as PEM.
func identity(name string) (authority []byte, certificate tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ExampleWithCommitMessageRequired() {
	_, client, end := start(spstest.WithCommitMessageRequired())
	defer end()
	err := client.Transaction(context.Background(), disableSNMP)
	fmt.Println(errors.Is(err, sps.ErrCommitMessageRequired))
	fmt.Println(client.Transaction(context.Background(), disableSNMP, sps.WithMessage("CHG-1234")))
	// Output:
	// true
	// <nil>
}

func ExampleWithCluster() {
	_, client, end := start(spstest.WithCluster(json.RawMessage(`{"key":"a"}`), json.RawMessage(`{"key":"b"}`)))
	defer end()
	cluster, err := client.Cluster.Status(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cluster.Nodes), cluster.Self)
	// Output: 2 a
}

func ExampleWithStarling() {
	appliance, client, end := start(spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}))
	defer end()
	err := client.Starling.Unjoin(context.Background())
	fmt.Println(errors.Is(err, sps.StarlingJoinIsInUseByRemoteAccessError), appliance.Starling().Joined)
	appliance.SetStarling(spstest.Starling{Joined: true}) // another user joins the appliance again, without remote access
	fmt.Println(client.Starling.Unjoin(context.Background()), appliance.Starling().Joined)
	// Output:
	// true true
	// <nil> false
}

func ExampleWithProducts() {
	appliance, client, end := start(spstest.WithProducts(spstest.ProductsPasswords()...))
	defer end()
	show := func() {
		products, err := client.IntegratedProducts(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(products.Products[0].Name, products.Products[0].Activated, products.Warned(sps.StarlingCredentialsInvalid))
	}
	show()
	appliance.SetProducts(spstest.ProductsStarling(), spstest.StarlingCredentialsInvalid)
	show()
	appliance.SetProducts(spstest.ProductsStarlingIntegrated(), "")
	show()
	// Output:
	// Safeguard for Privileged Passwords true false
	// Defender false true
	// Defender true false
}

func ExampleImplemented() {
	list := spstest.Implemented()
	fmt.Println(slices.Contains(list, "GET /api/firmware/slots/*"))
	// Output: true
}

func ExampleCurlLines() {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	lines := spstest.CurlLines(appliance, "cookies", "ca.pem")
	fmt.Println(strings.ReplaceAll(lines[0], appliance.Addr(), "ADDRESS"))
	// Output: curl --cacert ca.pem --basic --user admin:a --cookie-jar cookies https://ADDRESS/api/authentication
}

func ExampleWithTakes() {
	appliance := spstest.NewServer(nil, spstest.WithoutListener(), spstest.WithTakes("PUT", "transaction", 20*time.Millisecond)) // a commit takes 20 ms
	defer appliance.Close()
	client, err := connect(appliance)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	began := time.Now()
	err = client.Transaction(context.Background(), disableSNMP)
	fmt.Println(err, time.Since(began) >= 20*time.Millisecond)
	// Output: <nil> true
}

func ExampleAppliance_SetTakes() {
	now := time.Now()
	appliance, client, end := start(spstest.WithClock(func() time.Time { return now }))
	defer end()
	appliance.SetTakes("DELETE", "firmware/slots/*", time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := client.Firmware.Slots.Delete(ctx, "4")
	fmt.Println(errors.Is(err, sps.ErrOutcomeUnknown), appliance.Slots()[3].Version)
	now = now.Add(time.Minute)
	fmt.Printf("%q\n", appliance.Slots()[3].Version)
	// Output:
	// true 6.0.10
	// ""
}

func ExampleAppliance_Busy() {
	appliance, client, end := start()
	defer end()
	appliance.Inject(spstest.Fault{Method: "POST", Path: "firmware/test", Takes: time.Hour, Detached: true, Status: 504})
	_, err := client.Firmware.Test(context.Background(), "2")
	fmt.Println(errors.Is(err, sps.Status(504)), appliance.Busy())
	// Output: true 1
}

func ExampleAppliance_WaitIdle() {
	appliance, client, end := start()
	defer end()
	fault, err := spstest.ParseFault("DELETE firmware/slots/4 takes=20ms detached cut-after") // the client loses the connection, and the deletion continues
	if err != nil {
		log.Fatal(err)
	}
	appliance.Inject(fault)
	ctx := context.Background()
	_, err = client.Invoke(ctx, "DELETE", "firmware/slots/4", nil)
	fmt.Println(errors.Is(err, sps.ErrOutcomeUnknown))
	if err := appliance.WaitIdle(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", appliance.Slots()[3].Version)
	// Output:
	// true
	// ""
}
