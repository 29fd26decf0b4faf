// Command spssim serves a simulated SPS appliance, for people who try the REST
// API by hand or from another language than Go.
//
//	spssim -listen 127.0.0.1:8443 -ca-out ca.pem -address-out address
//
// It prints the address, the fingerprint of its certificate and the curl calls
// to begin with, and serves until it is interrupted. Nothing in it is secret,
// its password least of all.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
