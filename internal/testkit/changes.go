package testkit

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// SetAdmin returns a function for a transaction that changes one member, the
// administrator's address.
func SetAdmin(address string) func(context.Context, *sps.Transaction) error {
	return func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AdminAddress = address
			return nil
		})
	}
}

// Admin returns the committed address of the administrator.
func Admin(t *testing.T, a *spstest.Appliance) string {
	t.Helper()
	raw, _ := a.Configuration("management/email")
	var e struct {
		Address string `json:"admin_address"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Address
}

// The committed address of a new appliance, and the one that most transactions here set.
const AdminBefore, AdminAfter = "admin@example.com", "after@example.com"

// Settled checks that nothing is left on the appliance, and what was applied.
func Settled(t *testing.T, a *spstest.Appliance, want string) {
	t.Helper()
	Diff(t, "applied", want, Admin(t, a))
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Errorf("left: transaction open: %t, locked by %q", a.TransactionOpen(), a.LockedBy())
	}
}

// AllTrafficAlerts are those of the guide.
var AllTrafficAlerts = []sps.TrafficAlert{
	sps.AlertAuthFailure, sps.AlertAuthSuccess, sps.AlertChannelDenied, sps.AlertConnectionDenied, sps.AlertConnectionFailed,
	sps.AlertConnectionTimedout, sps.AlertCredStoreClosed, sps.AlertCredStoreDecryptError, sps.AlertCredStoreUnlockFailure,
	sps.AlertGWAuthFailure, sps.AlertGWAuthSuccess, sps.AlertProtocolViolation, sps.AlertRealTimeAlert,
	sps.AlertSSHHostKeyLearned, sps.AlertSSHHostKeyMismatch, sps.AlertUserMappingFailure,
}

// Committed returns what the appliance has committed at a path, parsed.
func Committed(t *testing.T, a *spstest.Appliance, path string) map[string]any {
	t.Helper()
	raw, ok := a.Configuration(path)
	if !ok {
		t.Fatalf("the appliance has no %s", path)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What the simulated appliance is joined with.
const (
	StarlingInstance = "starling-joiner-11111111-1111-1111-1111-111111111111"
	StarlingTIMS     = "123-456-789"
)

// SetRemoteAccess returns a function for a transaction that switches the remote access
// of Starling.
func SetRemoteAccess(on bool) func(context.Context, *sps.Transaction) error {
	return func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
			s.RemoteAccess.Enabled = on
			return nil
		})
	}
}

// AsJSON compares JSON by its value.
var AsJSON = cmp.Transformer("JSON", func(raw json.RawMessage) any {
	var v any
	if raw != nil && json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
})

// SampleStore is the custom trust store of the guide.
const SampleStore = "My_Custom_Trust_Store"

// ImageURL is where an appliance fetches an image from.
const ImageURL = "https://images.example/sps-8.1.0.iso"

// ImageSum is the checksum of that image.
var ImageSum = strings.Repeat("ab", 32)
