// Command firmware-precheck tests whether an SPS appliance can be upgraded to the firmware in
// its slots. It changes nothing.
//
// If SPS_HOST is set, it connects to that appliance with the environment variables SPS_HOST,
// SPS_USERNAME, SPS_PASSWORD, and SPS_CA_BUNDLE or SPS_FINGERPRINT. Otherwise it uses a
// simulated appliance in its own process. The exit status is 0 if no firmware test failed, 1
// if at least one failed, and 2 if a test could not be carried out. "sps firmware precheck"
// does the same for many appliances.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func main() {
	// Ctrl-C ends the context. The calls then return, and the program logs out.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	failed, err := run(ctx)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case failed > 0:
		os.Exit(1)
	}
}

// run tests the slots of the appliance, and returns the number of failed tests.
func run(ctx context.Context) (failed int, err error) {
	client, end, err := connect(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	defer client.Close(ctx) // logs out, even if ctx is done

	slots, err := client.Firmware.Slots.List(ctx)
	if err != nil {
		return 0, err
	}
	running, _ := slots.Slot(slots.CurrentSlot)
	for _, slot := range slots.Slots {
		order, comparable := sps.CompareVersions(slot.Body.Version, running.Body.Version)
		switch {
		case slot.Body.Empty():
			fmt.Printf("slot %s is empty\n", slot.Key)
			continue
		case comparable && order <= 0: // versions that cannot be compared are tested
			fmt.Printf("slot %s: %s is not higher than the running version %s\n", slot.Key, slot.Body.Version, running.Body.Version)
			continue
		}
		passed, err := precheck(ctx, client, slot)
		if err != nil {
			return failed, err
		}
		if !passed {
			failed++
		}
	}
	return failed, nil
}

// precheck tests one slot. The test passed if Test returns no error.
func precheck(ctx context.Context, client *sps.Client, slot sps.FirmwareSlot) (passed bool, err error) {
	report, err := client.Firmware.Test(ctx, slot.Key)
	var failure *sps.FirmwareTestFailedDetails
	switch {
	case err == nil:
		fmt.Printf("slot %s: %s passed:\n%s\n", slot.Key, slot.Body.Version, report.TestSummary)
		return true, nil
	case errors.As(err, &failure): // the appliance tested the firmware and found a problem
		fmt.Printf("slot %s: %s failed:\n%s\n", slot.Key, slot.Body.Version, failure.TestSummary)
		return false, nil
	}
	return false, err // the test could not be carried out
}

// connect connects to the appliance of SPS_HOST, or to a simulated one.
func connect(ctx context.Context) (*sps.Client, func(), error) {
	if os.Getenv("SPS_HOST") != "" {
		client, err := sps.ConnectFromEnv(ctx)
		return client, func() {}, err
	}
	fmt.Println("SPS_HOST is not set: using a simulated appliance.")
	appliance := spstest.NewServer(nil)
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	return client, appliance.Close, err
}
