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

// prepareTLS makes the CA and the server certificate, unless [WithCertificate] set a
// certificate.
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

// showTLS prepares TLS if this has not happened yet. An appliance that does not listen
// needs TLS only if a test calls [Appliance.CA] or [Appliance.Fingerprint].
func (a *Appliance) showTLS() {
	if a.tlsConfig != nil {
		return
	}
	if err := a.prepareTLS(); err != nil {
		panic(err) // the system has no source of random numbers
	}
}

// useCertificate sets the server certificate for new connections.
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
		// The handshake requests a certificate but does not verify it. The login
		// verifies it, so that a wrong certificate fails the login, not the handshake.
		config.ClientAuth = tls.RequestClientCert
		config.ClientCAs = a.clientCAs
	}
	return config
}

// issueCertificate makes a CA and a server certificate that the CA signed. Both are valid
// for ten years of real time, not of the appliance's clock, because clients check them by
// real time.
func issueCertificate() (tls.Certificate, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	// Each CA has a unique name and key identifier. Otherwise, if a bundle had many CAs,
	// each of them could be the issuer of a certificate, and crypto/x509 tries at most a
	// hundred.
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
	if authority, err = x509.ParseCertificate(ca); err != nil { // the parsed certificate has its key identifier
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
