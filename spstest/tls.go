package spstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// prepareTLS makes the appliance's own CA and certificate, unless a
// certificate was given.
func (a *Appliance) prepareTLS() error {
	if len(a.certificate.Certificate) == 0 {
		certificate, err := issueCertificate()
		if err != nil {
			return fmt.Errorf("spstest: server certificate: %w", err)
		}
		a.certificate = certificate
	}
	a.useCertificate(a.certificate)
	return nil
}

// showTLS prepares TLS where an appliance that does not listen is asked for its
// certificate: most never are.
func (a *Appliance) showTLS() {
	if a.tlsConfig != nil {
		return
	}
	if err := a.prepareTLS(); err != nil {
		panic(err) // the system has no random numbers
	}
}

// useCertificate makes new connections see a certificate.
func (a *Appliance) useCertificate(certificate tls.Certificate) {
	chain := certificate.Certificate
	sum := sha256.Sum256(chain[0])
	a.fingerprint = hex.EncodeToString(sum[:])
	a.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[len(chain)-1]})
	a.tlsConfig = a.newTLSConfig(certificate)
}

func (a *Appliance) newTLSConfig(certificate tls.Certificate) *tls.Config {
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	if a.clientCAs != nil {
		// Asked for, checked by the login only: a foreign certificate is a
		// failed login, not a failed handshake.
		config.ClientAuth = tls.RequestClientCert
		config.ClientCAs = a.clientCAs
	}
	return config
}

// issueCertificate makes a server certificate and the CA that signs it. It
// uses the real time, not the appliance's clock: clients check it against
// theirs.
func issueCertificate() (tls.Certificate, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	// Without names and key identifiers of their own, many CAs in one bundle would be
	// candidates for each certificate, and crypto/x509 tries no more than a hundred.
	id := rand.Text()
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Simulated SPS CA " + id},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	if authority, err = x509.ParseCertificate(ca); err != nil { // with its key identifier
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: inProcessAddr, SerialNumber: id},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", inProcessAddr},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	leaf, err := x509.CreateCertificate(rand.Reader, server, authority, key.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf, ca}, PrivateKey: key}, nil
}
