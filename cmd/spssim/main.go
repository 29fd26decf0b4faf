// Command spssim serves a simulated SPS appliance, for people who try the REST
// API by hand or from another language than Go.
//
//	spssim -listen 127.0.0.1:8443 -ca-out ca.pem -env-out env -address-out address &
//	until [ -s address ]; do sleep 0.1; done; . ./env
//
// Once it accepts connections it prints its address, the fingerprint of its
// certificate, and the curl calls to begin with, and it serves until it is
// interrupted or terminated. The file of -env-out exports SPS_HOST, SPS_USERNAME,
// SPS_PASSWORD and SPS_CA_BUNDLE (or, without -ca-out, SPS_FINGERPRINT), which the
// SDK's ConnectFromEnv reads; the same lines are printed. The call that is a
// comment, the upload, needs a file beginning with a line such as
// "SPS-FIRMWARE 8.1.0".
//
// With -profile it behaves like another release, and runs its firmware. With -slot the
// firmware slots are others than the usual ones:
//
//	spssim -slot 2=8.1.0 -slot 4=9.0.0:tainted -slot 5=
//	spssim -test-summary '2=HA check started\nHA check failed: the other node is down'
//
// With -user there are further users, with rights as spstest.Right spells them, and with
// -client-ca the client certificates of a CA may log in, each as the user of its common
// name:
//
//	spssim -user 'viewer:b read-only' -user 'robot:c read-only:configuration none:firmware' -client-ca clients.pem
//
// With -starling the appliance is joined to Starling, with -remote-access in such a way
// that an unjoin is refused. Without it the printed calls join it. With -products and
// -product-warning the integrated products are others than those of a join.
//
// With -sessions it has recorded sessions, millions where one wants them, and with
// -trail-size recordings of that size:
//
//	spssim -sessions 1500000 -trail-size 2147483648
//
// With -state the appliance is what it was when it was last stopped by a
// signal: firmware slots, configuration, downloads, support bundles, users with their
// passwords and rights. -password and -user go before what the file says of that user.
// Sessions, recorded ones too, and the certificate are new each time. The file is replaced
// as a whole and readable by its owner only.
//
// With -fault something goes wrong, see spstest.ParseFault:
//
//	spssim -fault 'POST firmware/test cut-after' -fault 'GET ** status=503 times=2'
//
// A rule with a path that the appliance does not have is an error, and one that no
// request met is named on standard error at a clean stop, unless it says may-miss.
//
// With -takes a request takes that long, goes on although its client leaves, and is seen
// by others as spstest.Fault.Takes says; -fault can make its answer be lost or come late:
//
//	spssim -takes 'PUT transaction=12s' -takes 'POST firmware/*=1m'
//	spssim -fault 'PUT transaction takes=90s detached answer-delay=60s status=504'
//
// The exit code is 0 after a clean stop and 2 after an error. Nothing here is
// secret, the password least of all.
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
