package sps_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func ExampleAlerts_Enable() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	err := client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.Email, sps.AlertConnectionDenied) // SNMP and all other alerts stay
		})
	}, sps.CommitMessage("CHG-1234"))
	if err != nil {
		log.Fatal(err)
	}
	alerts, err := client.TrafficAlerts.Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", alerts.Body[sps.AlertConnectionDenied])
	fmt.Println(alerts.Body.Enable(sps.SNMP, "scbconnectiondenied"))
	// Output:
	// {Email:true SNMP:false}
	// sps: invalid input: there is no alert "scbconnectiondenied": is it "scbConnectionDenied"?
}

func ExampleAlerts_Diff() {
	before := sps.TrafficAlerts{sps.AlertAuthFailure: {}, sps.AlertAuthSuccess: {}}
	after := sps.TrafficAlerts{sps.AlertAuthFailure: {Email: true}, sps.AlertAuthSuccess: {}}
	for _, d := range before.Diff(after) {
		fmt.Println(d)
	}
	// Output: scbAuthFailure: email off -> on
}

func ExampleClient_Preview() {
	appliance, client, end := example()
	defer end()
	changes, err := client.Preview(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Email.Update(ctx, func(e *sps.EmailSettings) error {
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
	// replace /api/configuration/management/email
	// 0 commits
}

func ExampleTransaction_Changes() {
	_, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		err := tx.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.SNMP) })
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
	// Output: replace /api/configuration/alerting/traffic_alerts
}

func ExampleClient_TransactionStatus() {
	_, client, end := example()
	defer end()
	status, err := client.TransactionStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Open(), status.CommitMessageRequired)
	// Output: false false
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

func ExampleNewTrustStore() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	authorities, err := sps.ParseCertificates(appliance.CA()) // or a file of yours
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
	appliance.JoinStarling(true) // with remote access
	ctx := context.Background()

	check, err := client.Starling.CheckUnjoin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(check.Refused(), check.Reasons)
	if check.RemoteAccess {
		err := client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.StarlingConfiguration.Update(ctx, func(s *sps.StarlingConfiguration) error {
				s.RemoteAccess.Enabled = false
				return nil
			})
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(client.Starling.Unjoin(ctx), appliance.StarlingJoined())
	// Output:
	// true [remote access is enabled: StarlingJoinIsInUseByRemoteAccessError]
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

func ExampleStarling_Join() {
	appliance, client, end := example()
	defer end()
	err := client.Starling.Join(context.Background(), sps.StarlingJoinRequest{
		CredentialString: sps.NewSecretString(os.Getenv("STARLING_CREDENTIAL") + "demo"),
		TokenEndpoint:    "https://sts.example.com/token",
	})
	fmt.Println(err, appliance.StarlingJoined())
	// Output: <nil> true
}

func ExampleClient_IntegratedProducts() {
	appliance, client, end := example()
	defer end()
	appliance.SetProducts(spstest.ProductsStarlingIntegrated(), spstest.StarlingUnavailable)
	products, err := client.IntegratedProducts(context.Background())
	if err != nil { // errors.Is(err, sps.StarlingUnavailable), where the appliance refuses
		log.Fatal(err)
	}
	for _, product := range products.Products {
		fmt.Printf("%s: %t %q\n", product.Name, product.Activated, product.Link)
	}
	fmt.Println(products.Warned(sps.StarlingUnavailable))
	// Output:
	// Defender: true "https://2fa.cloud.oneidentity.com"
	// Connect: true "https://connect.cloud.oneidentity.com"
	// Governance: false ""
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

func ExampleClient_Listing() {
	_, client, end := example()
	defer end()
	list, err := client.Listing(context.Background(), "firmware")
	if err != nil {
		log.Fatal(err)
	}
	for _, link := range list.Links {
		fmt.Println(link.Key, link.Href)
	}
	// Output:
	// fetch /api/firmware/fetch
	// slots /api/firmware/slots
	// test /api/firmware/test
	// upgrade /api/firmware/upgrade
}

func ExampleSupportBundles_Start() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	key, err := client.SupportBundles.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.SupportBundles.Wait(ctx, key, sps.PollEvery(time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer // or an *os.File
	if _, err := client.SupportBundles.Download(ctx, key, &file); err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Len() > 0, client.SupportBundles.Delete(ctx, key))
	// Output: true <nil>
}

func ExampleClient_Health() {
	_, client, end := example()
	defer end()
	health, err := client.Health(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(health.RAIDStatus, health.Integrity["core"], health.TaintedFiles["core"])
	// Output: OK OK 0
}

func ExampleClient_UserInfo() {
	_, client, end := example()
	defer end()
	user, err := client.UserInfo(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name, user.LoginMethod.Name)
	// Output: admin local
}

func ExampleClient_ClusterStatus() {
	appliance, err := spstest.Start(spstest.WithCluster())
	if err != nil {
		log.Fatal(err)
	}
	defer appliance.Close()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	cluster, err := client.ClusterStatus(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		fmt.Println(node.FQDN, node.SyncStatus, node.Key == cluster.Self)
	}
	// Output:
	// sps.example.com n/a true
	// managed-host.cluster pending false
}

func ExampleSetupStatus() {
	appliance, err := spstest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer appliance.Close()
	setup, err := sps.SetupStatus(context.Background(), appliance.Addr(), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(setup.Status)
	// Output: completed
}
