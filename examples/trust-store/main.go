// Command trust-store finds certificate authorities that expire soon in the trust stores of
// an SPS appliance, and replaces an old authority by a new one.
//
// It uses a simulated appliance in its own process and certificates that it creates. For a
// real appliance, see "sps trust-stores".
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

	// Your program can read certificates from PEM files with sps.ParseCertificates.
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

	// Remove the old authority and add the new one in one transaction, so that both changes
	// take effect with the same commit.
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		store, err := tx.TrustStores.GetByName(ctx, "Directory")
		if err != nil {
			return err
		}
		return tx.TrustStores.Update(ctx, store.Key, func(s *sps.TrustStore) error {
			if err := s.RemoveAuthority(sps.CertificateFingerprint(old)); err != nil {
				return err
			}
			return s.AddAuthority(young)
		})
	}, sps.WithMessage("CHG-1234"), sps.WithLockWait(time.Minute))
	if err != nil {
		return err
	}
	fmt.Println("Root 1 was replaced by Root 2.")
	return printExpiring(ctx, client)
}

// printExpiring prints the authorities that expire within 30 days.
func printExpiring(ctx context.Context, client *sps.Client) error {
	for store, err := range client.TrustStores.All(ctx) {
		if err != nil {
			return err
		}
		expiring, err := store.Body.ExpiringBefore(time.Now().AddDate(0, 0, 30))
		if err != nil { // a certificate that cannot be parsed may have expired
			return err
		}
		fmt.Printf("%s: %d of %d authorities expire soon\n", store.Body.Name, len(expiring), len(store.Body.Authorities))
	}
	return nil
}

// makeCA creates a self-signed CA certificate that expires at the given time.
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
