package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// CheckAlive checks within limit whether the host accepts a connection and answers a TLS
// handshake. It sends no credential and does not verify the certificate.
func CheckAlive(ctx context.Context, host string, limit time.Duration) error {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(trimBrackets(host), "443")
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(limited, "tcp", host)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("no connection within %s: check the address, or give more time with --connect-timeout", limit)
		}
		return fmt.Errorf("%w: check the host and the port", err)
	}
	defer connection.Close()
	// This handshake only checks that the host speaks TLS. The login verifies the certificate.
	err = tls.Client(connection, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(limited) //nolint:gosec // see above
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return fmt.Errorf("the connection was accepted, but the TLS handshake did not end within %s: check the port, or give more time with --connect-timeout", limit)
	case errors.Is(err, io.EOF):
		return errors.New("the connection was accepted and then closed during the TLS handshake: check the port")
	}
	return nil // the login reports other errors
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
