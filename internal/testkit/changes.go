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

// SetAdmin returns a transaction function that sets the administrator's mail address and
// changes nothing else.
func SetAdmin(address string) func(context.Context, *sps.Transaction) error {
	return func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AdminAddress = address
			return nil
		})
	}
}

// Admin returns the administrator's mail address from the committed configuration.
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

// AdminBefore is the administrator's mail address of a new appliance. AdminAfter is the address
// that most transactions in the tests set.
const AdminBefore, AdminAfter = "admin@example.com", "after@example.com"

// Settled checks that the committed address of the administrator is want, that no transaction
// is open, and that nobody holds the configuration lock.
func Settled(t *testing.T, a *spstest.Appliance, want string) {
	t.Helper()
	Diff(t, "applied", want, Admin(t, a))
	if a.TransactionOpen() || a.LockedBy() != "" {
		t.Errorf("a transaction is open: %t, the lock is held by %q; want no transaction and no holder", a.TransactionOpen(), a.LockedBy())
	}
}

// AllTrafficAlerts lists the traffic alerts of the vendor's REST API guide.
var AllTrafficAlerts = []sps.TrafficAlert{
	sps.AlertAuthFailure, sps.AlertAuthSuccess, sps.AlertChannelDenied, sps.AlertConnectionDenied, sps.AlertConnectionFailed,
	sps.AlertConnectionTimedout, sps.AlertCredStoreClosed, sps.AlertCredStoreDecryptError, sps.AlertCredStoreUnlockFailure,
	sps.AlertGWAuthFailure, sps.AlertGWAuthSuccess, sps.AlertProtocolViolation, sps.AlertRealTimeAlert,
	sps.AlertSSHHostKeyLearned, sps.AlertSSHHostKeyMismatch, sps.AlertUserMappingFailure,
}

// Committed returns the committed JSON object at a configuration path, decoded.
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

// StarlingInstance and StarlingTIMS are the product instance and the TIMS license number that
// the simulated appliance uses when it joins Starling.
const (
	StarlingInstance = "starling-joiner-11111111-1111-1111-1111-111111111111"
	StarlingTIMS     = "123-456-789"
)

// SetRemoteAccess returns a transaction function that switches remote access on or off.
func SetRemoteAccess(on bool) func(context.Context, *sps.Transaction) error {
	return func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
			s.RemoteAccess.Enabled = on
			return nil
		})
	}
}

// AsJSON is a cmp option that compares raw JSON by its decoded value, not by its text.
var AsJSON = cmp.Transformer("JSON", func(raw json.RawMessage) any {
	var v any
	if raw != nil && json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
})

// SampleStore is the name of the custom trust store in the samples of the guide.
const SampleStore = "My_Custom_Trust_Store"

// ImageURL is the URL from which an appliance downloads a firmware image in the tests.
const ImageURL = "https://images.example/sps-8.1.0.iso"

// ImageSum is the checksum of the image at ImageURL.
var ImageSum = strings.Repeat("ab", 32)
