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

// CheckAlive finds out within a short time whether something accepts connections at a
// host and speaks TLS. It sends no credential and trusts nothing.
func CheckAlive(ctx context.Context, host string, limit time.Duration) error {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(trimBrackets(host), "443")
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(limited, "tcp", host)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("it accepts no connection within %s", limit)
		}
		return err
	}
	defer connection.Close()
	// What is verified here is only that there is TLS; the login verifies the certificate.
	err = tls.Client(connection, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(limited) //nolint:gosec // see above
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return fmt.Errorf("it accepts connections and says nothing in TLS within %s", limit)
	case errors.Is(err, io.EOF):
		return errors.New("it accepts connections and closes them before it says anything in TLS")
	}
	return nil // whatever else is wrong, the login tells
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
