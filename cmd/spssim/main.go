// Command spssim serves a simulated SPS appliance, for people who try the REST
// API by hand or from another language than Go.
//
//	spssim -listen 127.0.0.1:8443 -ca-out ca.pem -env-out env -address-out address &
//	until [ -s address ]; do sleep 0.1; done; . ./env
//
// When the appliance accepts connections, the program prints its address, the fingerprint of
// its certificate, and curl commands to start with. It then serves until it is interrupted or
// terminated by a signal. The file of -env-out exports SPS_HOST, SPS_USERNAME, SPS_PASSWORD
// and SPS_CA_BUNDLE (or, without -ca-out, SPS_FINGERPRINT), which ConnectFromEnv of the SDK
// reads. The program also prints these lines. The curl command of the upload is printed as a
// comment, because it needs a firmware image: a file that starts with a line such as
// "SPS-FIRMWARE 8.1.0".
//
// The flag -profile selects the release to simulate. The flag -slot replaces a firmware slot,
// and -test-summary makes the firmware test of a slot fail with a text:
//
//	spssim -slot 2=8.1.0 -slot 4=9.0.0:tainted -slot 5=
//	spssim -test-summary '2=HA check started\nHA check failed: the other node is down'
//
// The flag -user adds a user. Its rights have the form of spstest.Right. With -client-ca, a
// client can log in with a certificate of the CA, as the user that the common name of the
// certificate names:
//
//	spssim -user 'viewer:b read-only' -user 'robot:c read-only:configuration none:firmware' -client-ca clients.pem
//
// With -starling, the appliance is joined to Starling. With -remote-access as well, remote
// access is enabled, so that an unjoin without force=true is refused. Without -starling, the
// printed curl commands join the appliance. The flags -products and -product-warning set the
// integrated products and their warning.
//
// The flag -sessions creates recorded sessions; millions are possible. The flag -trail-size
// sets the size of each recording in bytes:
//
//	spssim -sessions 1500000 -trail-size 2147483648
//
// With -state, the program restores the appliance from a file at the start, and writes the
// file when a signal stops it. The file contains firmware slots, configuration, downloads,
// support bundles, and users with their passwords and rights. The flags -password and -user
// override the file for the user that they name. The file does not contain sessions, recorded
// sessions or the certificate. The program replaces the file atomically. Only its owner can
// read it.
//
// The flag -fault makes requests fail, see spstest.ParseFault:
//
//	spssim -fault 'POST firmware/test cut-after' -fault 'GET ** status=503 times=2'
//
// A rule with a path that the appliance does not have is an error. If a rule applied to no
// request, the program reports it on standard error when it is stopped, unless the rule has
// may-miss.
//
// The flag -takes sets how long requests last. Such a request continues if its client
// disconnects; for its effects, see the field Takes of spstest.Fault. A rule of -fault can
// also make the client lose the response, or get it late:
//
//	spssim -takes 'PUT transaction=12s' -takes 'POST firmware/*=1m'
//	spssim -fault 'PUT transaction takes=90s detached answer-delay=60s status=504'
//
// The exit code is 0 after a clean stop and 2 after an error. Do not use a real password or
// other secrets: the program prints the password.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-sps/sps/internal/simulate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := simulate.Run(ctx, "spssim", os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
