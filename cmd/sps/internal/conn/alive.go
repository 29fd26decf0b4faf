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

// AliveError is the error of CheckAlive. Advice says what to do about it.
type AliveError struct {
	Err    error
	Advice string
}

// Error returns the text of the error, without the advice.
func (e *AliveError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *AliveError) Unwrap() error { return e.Err }

// CheckAlive checks within limit whether the host accepts a connection and answers a TLS
// handshake. It sends no credential and does not verify the certificate. If the host does not
// answer, the error is an AliveError.
func CheckAlive(ctx context.Context, host string, limit time.Duration) error {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(trimBrackets(host), "443")
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(limited, "tcp", host)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return &AliveError{fmt.Errorf("no connection within %s", limit), "check the address, or give more time with --connect-timeout"}
		}
		return &AliveError{err, "check the host and the port"}
	}
	defer connection.Close()
	// This handshake only checks that the host speaks TLS. The login verifies the certificate.
	err = tls.Client(connection, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(limited) //nolint:gosec // see above
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return &AliveError{fmt.Errorf("the connection was accepted, but the TLS handshake did not end within %s", limit), "check the port, or give more time with --connect-timeout"}
	case errors.Is(err, io.EOF):
		return &AliveError{errors.New("the connection was accepted and then closed during the TLS handshake"), "check the port"}
	}
	return nil // the login reports other errors
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
