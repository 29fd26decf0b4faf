package sps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func ExampleClient_Transaction() {
	appliance, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com" // everything else stays
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

	// A long function learns at once that it cannot write, and nobody changes what it reads.
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
		Disk int `json:"maximum_disk_utilization_ratio"` // other members stay as they are
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
		staged, err := limits.In(tx).Get(ctx) // with what was changed, and nobody else sees yet
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
		if err := list.Replace(ctx, key, group.Body); err != nil { // all of it: Update is usually what you want
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
	authorities, err := sps.ParseCertificates(appliance.CA()) // or a file of yours
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
