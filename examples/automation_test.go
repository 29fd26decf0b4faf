package examples

// This file shows how to test automation of your own against a simulated appliance.

import (
	"context"
	"errors"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// enableAlert is what is to be tested; it is in another file of your program.
func enableAlert(ctx context.Context, client *sps.Client, alert sps.TrafficAlert, ticket string) error {
	return client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, alert)
		})
	}, sps.WithMessage(ticket))
}

// connect logs in to an appliance of a test, and logs out at its end.
func connect(t *testing.T, appliance *spstest.Appliance) *sps.Client {
	t.Helper()
	client, err := sps.Connect(t.Context(), appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(context.Background()) })
	return client
}

// TestEnableAlert looks at what the appliance has in the end.
func TestEnableAlert(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() { // releases behave differently
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			appliance := spstest.NewServer(t, spstest.WithProfile(profile))
			client := connect(t, appliance)
			if err := enableAlert(t.Context(), client, sps.AlertAuthFailure, "CHG-1"); err != nil {
				t.Fatal(err)
			}
			commits := appliance.Commits()
			if len(commits) != 1 || commits[0].Message != "CHG-1" {
				t.Errorf("commits %v", commits)
			}
			alerts, err := client.Alerting.TrafficAlerts.Get(t.Context())
			if err != nil || !alerts.Body[sps.AlertAuthFailure].Email {
				t.Errorf("alerts %v, error %v", alerts, err)
			}
		})
	}
}

// TestLocked has somebody else hold the configuration.
func TestLocked(t *testing.T) {
	t.Parallel()
	appliance := spstest.NewServer(t)
	defer appliance.LockConfiguration("somebody else")()
	err := enableAlert(t.Context(), connect(t, appliance), sps.AlertAuthFailure, "CHG-1")
	if !errors.Is(err, sps.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
}

// TestLostAnswer cuts the connection in the middle of the write. The fault must apply, or
// the test fails at its end.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	appliance := spstest.NewServer(t)
	appliance.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", CutAfter: true})
	err := enableAlert(t.Context(), connect(t, appliance), sps.AlertAuthFailure, "CHG-1")
	if err == nil || len(appliance.Commits()) != 0 || appliance.LockedBy() != "" {
		t.Errorf("error %v, %d commits, locked by %q: want it rolled back", err, len(appliance.Commits()), appliance.LockedBy())
	}
}
