package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/spstest"
)

// scene is a job with what is told before it.
type scene struct {
	caption string
	job     job
}

// startDemo starts a simulated appliance in this process, and describes it. The caller
// must close it. The scenes are what the demonstration does.
func startDemo(story io.Writer, now time.Time) (*spstest.Appliance, []scene, error) {
	const name, month = "Directory", 30 * 24 * time.Hour
	old, err := makeCA("Example Root 1", now.Add(20*24*time.Hour))
	if err != nil {
		return nil, nil, err
	}
	young, err := makeCA("Example Root 2", now.Add(3650*24*time.Hour))
	if err != nil {
		return nil, nil, err
	}
	change := cli.Change{Message: "CHG-1234"}
	scenes := []scene{
		{"A store of our own, as of \"-store Directory -create -rotate-in old.pem\":\n\n",
			job{store: name, create: true, in: certificates{old}, Change: change}},
		{"All trust stores:\n\n", job{}},
		{"What \"-expiring 720h\" finds, with exit status 1:\n\n", job{before: now.Add(month)}},
		{"What \"-store Directory -rotate-in new.pem -rotate-out old.pem -dry-run\" says:\n\n",
			job{store: name, in: certificates{young}, out: certificates{old}, Change: cli.Change{DryRun: true}}},
		{"The same without -dry-run, in one transaction:\n\n",
			job{store: name, in: certificates{young}, out: certificates{old}, Change: change}},
		{"And \"-expiring 720h\" again:\n\n", job{before: now.Add(month)}},
	}
	appliance := spstest.NewServer(nil)
	fmt.Fprintf(story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. The certificates are made up.\n\n", appliance.Addr())
	return appliance, scenes, nil
}

// makeCA makes the certificate of an authority.
func makeCA(name string, expires time.Time) (*x509.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: name},
		NotBefore:             expires.AddDate(-10, 0, -1),
		NotAfter:              expires,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
