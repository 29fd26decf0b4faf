// Command trust-store finds the certificate authorities that expire in the trust stores of
// an SPS appliance, and puts a new one in the place of an old one.
//
// It works on a simulated appliance in its own process, with certificates that are made up.
// "sps trust-stores" does the same for yours.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		return err
	}
	defer client.Close(ctx)

	// A program of yours reads them from PEM files, with sps.ParseCertificates.
	old, young := makeCA("Root 1", time.Now().AddDate(0, 0, 20)), makeCA("Root 2", time.Now().AddDate(10, 0, 0))
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Directory", old))
		return err
	})
	if err != nil {
		return err
	}
	if err := printExpiring(ctx, client); err != nil {
		return err
	}

	// Both in one transaction: there is no moment in which neither is trusted.
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		store, err := tx.TrustStores.GetByName(ctx, "Directory")
		if err != nil {
			return err
		}
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error {
			return s.SetAuthorities(young)
		})
	}, sps.WithMessage("CHG-1234"), sps.WithLockWait(time.Minute))
	if err != nil {
		return err
	}
	fmt.Println("Root 2 has taken the place of Root 1.")
	return printExpiring(ctx, client)
}

// printExpiring prints the authorities that expire within 30 days.
func printExpiring(ctx context.Context, client *sps.Client) error {
	for store, err := range client.TrustStores.All(ctx) {
		if err != nil {
			return err
		}
		expiring, err := store.Body.ExpiringBefore(time.Now().AddDate(0, 0, 30))
		if err != nil { // one that cannot be read may have expired
			return err
		}
		fmt.Printf("%s: %d of %d authorities expire soon\n", store.Body.Name, len(expiring), len(store.Body.Authorities))
	}
	return nil
}

func makeCA(name string, expires time.Time) *x509.Certificate {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: expires.AddDate(-20, 0, 0), NotAfter: expires,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, public, private)
	certificate, _ := x509.ParseCertificate(der)
	return certificate
}
