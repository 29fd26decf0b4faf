package sps_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

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
	// the CRL URL "ldap://crl.example/b" is no http or https URL
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
