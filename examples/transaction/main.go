// Command transaction changes which alerts an SPS appliance sends by e-mail: it shows what
// would change, changes it in one transaction, and finds the second time nothing to do.
//
// It changes a simulated appliance in its own process, and no other one. "sps alerts" does
// the same for yours.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	appliance := spstest.NewServer(nil, spstest.WithCommitMessageRequired())
	defer appliance.Close()
	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		return err
	}
	defer client.Close(ctx)

	// The function reads and decides by itself each time that it is run.
	change := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied, sps.AlertAuthFailure)
		})
	}

	// A dry run: the appliance lists what would change, and it is rolled back.
	changes, err := client.Preview(ctx, change)
	if err != nil {
		return err
	}
	for _, c := range changes {
		fmt.Println("would change:", c)
	}

	// The same, committed. Some appliances demand a message.
	err = client.Transaction(ctx, change)
	fmt.Println("without a message:", errors.Is(err, sps.ErrCommitMessageRequired))
	var committed sps.CommittedChanges
	err = client.Transaction(ctx, change, sps.WithMessage("CHG-1234"), sps.WithChanges(&committed))
	switch {
	case errors.Is(err, sps.ErrOutcomeUnknown):
		return fmt.Errorf("look at the appliance before you run this again: %w", err)
	case err != nil: // nothing was applied
		return err
	}
	fmt.Println("changed:", len(committed.Changes))

	// Where there is nothing to change, nothing is written: no lock, no message, no commit.
	if err := client.Transaction(ctx, change, sps.WithChanges(&committed)); err != nil {
		return err
	}
	fmt.Println("changed the second time:", len(committed.Changes))

	// A function that fails is rolled back, whatever it has written.
	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		if err := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.DisableAll(sps.ChannelEmail)
		}); err != nil {
			return err
		}
		return errors.New("something else went wrong")
	}, sps.WithMessage("CHG-1235"))
	fmt.Println("rolled back:", err)
	return nil
}
