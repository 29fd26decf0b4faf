// Command transaction changes which alerts an SPS appliance sends by e-mail. It previews the
// change, commits it in a transaction, and runs it again, which changes nothing. At the end
// it shows a rollback.
//
// It uses a simulated appliance in its own process. For a real appliance, see "sps alerts".
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

	// Update reads the current state each time the function runs.
	change := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied, sps.AlertAuthFailure)
		})
	}

	// Preview is a dry run: it lists what would change, and rolls back.
	changes, err := client.Preview(ctx, change)
	if err != nil {
		return err
	}
	for _, c := range changes {
		fmt.Println("would change:", c)
	}

	// Transaction commits the same change. This appliance requires a commit message.
	err = client.Transaction(ctx, change)
	fmt.Println("without a message:", errors.Is(err, sps.ErrCommitMessageRequired))
	var committed sps.CommittedChanges
	err = client.Transaction(ctx, change, sps.WithMessage("CHG-1234"), sps.WithChanges(&committed))
	switch {
	case errors.Is(err, sps.ErrOutcomeUnknown):
		return fmt.Errorf("check the configuration of the appliance before you run this again: %w", err)
	case err != nil: // the appliance applied nothing
		return err
	}
	fmt.Println("changed:", len(committed.Changes))

	// The alerts are on already, so the function writes nothing. The transaction then needs no
	// lock, no message and no commit.
	if err := client.Transaction(ctx, change, sps.WithChanges(&committed)); err != nil {
		return err
	}
	fmt.Println("changed the second time:", len(committed.Changes))

	// If the function returns an error, the client rolls back the changes that it has made.
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
