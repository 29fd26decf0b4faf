package sps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
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
	// 1 changes [replace /api/configuration/management/email: alerting_address: "alerts@example.com" -> "soc@example.com"]
	// 0 changes []
}

func ExampleWithOneSession() {
	ctx := context.Background()
	appliance, err := spstest.Start()
	if err != nil {
		log.Fatal(err)
	}
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
	// replace /api/configuration/management/email: alerting_address: "alerts@example.com" -> "soc@example.com"
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
	// Output: replace /api/configuration/alerting/traffic_alerts
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
