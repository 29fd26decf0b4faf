package command

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestVariants checks that the main commands work in the same way with each profile and with each
// variant of behaviour that the API guide does not document.
func TestVariants(t *testing.T) {
	t.Parallel()
	options := map[string]spstest.Option{}
	for _, profile := range spstest.Profiles() {
		options["profile "+profile] = spstest.WithProfile(profile)
	}
	for _, v := range spstest.Variants() {
		if v.Area == "audit" || v.Area == "appliance" {
			continue // the commands below do not depend on these variants
		}
		for _, alternative := range v.Alternatives {
			options[v.Name+"="+alternative] = spstest.WithVariant(v.Name, alternative)
		}
	}
	pem := writeFile(t, "new.pem", string(makeCA(t, "New", time.Now().AddDate(10, 0, 0))))
	for name, option := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t, withSlots(), option)
			c := reach(t, a)
			c.want(t, out.OK, []string{"firmware"}, "info")
			c.want(t, out.No, []string{"2     8.0.0    failed  "}, "firmware", "test", "2", "4")
			c.want(t, out.Failed, []string{"slot 3 is empty or does not exist"}, "firmware", "test", "3")
			c.want(t, out.OK, []string{"this would change"}, "alerts", "enable", "scbAuthFailure", "--channel", "email", "--dry-run")
			c.want(t, out.OK, []string{"changed:\n    scbAuthFailure: email off -> on\n"}, "alerts", "enable", "scbAuthFailure", "--channel", "email", "-m", "CHG")
			c.want(t, out.OK, []string{"added: CN=New"}, "trust-stores", "rotate", "Mine", "--in", pem, "--create", "-m", "CHG")
			c.want(t, out.OK, []string{"joined"}, "starling", "status")
			c.want(t, out.OK, nil, "config", "export", filepath.Join(t.TempDir(), "x"), "--root", "configuration/management")
			if a.TransactionOpen() || a.LockedBy() != "" {
				t.Errorf("a transaction is open, or the lock is held by %q", a.LockedBy())
			}
		})
	}
}
