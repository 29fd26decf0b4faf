package sps_test

import (
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
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied) // SNMP and all other alerts stay
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
	// sps: invalid input: there is no alert "scbconnectiondenied": is it "scbConnectionDenied"?
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

func ExampleTrustStore_AddAuthority() {
	appliance, _, end := example()
	defer end()
	certificates, err := sps.ParseCertificates(appliance.CA()) // or a file of yours
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
	fmt.Println(len(store.Warnings())) // about certificates that are no authority's
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
	wanted, err := sps.ParseCertificates(appliance.CA()) // or a file of yours
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
			return s.SetAuthorities(wanted...) // where it has these, nothing is sent
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
	appliance.SetStarling(spstest.Starling{Joined: true, RemoteAccess: true}) // with remote access
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
	// replace /api/configuration/management/snmp/trap
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
