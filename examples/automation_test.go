package examples

// This file shows how to test your own code against a simulated appliance.

import (
	"context"
	"errors"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// enableAlert is the code under test. In your program it is in another file.
func enableAlert(ctx context.Context, client *sps.Client, alert sps.TrafficAlert, ticket string) error {
	return client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			return a.Enable(sps.ChannelEmail, alert)
		})
	}, sps.WithMessage(ticket))
}

// connect logs in to the simulated appliance, and logs out at the end of the test.
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

// TestEnableAlert checks the configuration of the appliance and its change log after the
// call, for each release that can be simulated.
func TestEnableAlert(t *testing.T) {
	t.Parallel()
	for _, profile := range spstest.Profiles() { // the releases of the appliance differ
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

// TestLocked checks that enableAlert returns ErrLocked if somebody else holds the
// configuration lock.
func TestLocked(t *testing.T) {
	t.Parallel()
	appliance := spstest.NewServer(t)
	defer appliance.LockConfiguration("somebody else")()
	err := enableAlert(t.Context(), connect(t, appliance), sps.AlertAuthFailure, "CHG-1")
	if !errors.Is(err, sps.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
}

// TestLostAnswer cuts the connection after the appliance has executed the write, and checks
// that enableAlert rolls back. The test also fails if the fault does not apply to a request.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	appliance := spstest.NewServer(t)
	appliance.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", CutAfter: true})
	err := enableAlert(t.Context(), connect(t, appliance), sps.AlertAuthFailure, "CHG-1")
	if err == nil || len(appliance.Commits()) != 0 || appliance.LockedBy() != "" {
		t.Errorf("error %v, %d commits, locked by %q: want a rolled-back transaction", err, len(appliance.Commits()), appliance.LockedBy())
	}
}
