package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// TestTrust checks the report on a certificate, and that --save changes the configuration file
// only if the fingerprint is accepted.
func TestTrust(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	config := filepath.Join(t.TempDir(), "new", "config.yaml")
	c := &tool{env: map[string]string{"SPS_CONFIG": config, "SPS_PASSWORD": testPassword}}
	c.want(t, out.No, []string{"SHA-256", "this system does not trust its authority", "chain 1"}, "trust", a.Addr())
	c.want(t, out.No, []string{`"trusted": false`}, "-o", "json", "trust", a.Addr())
	c.want(t, out.Failed, []string{"give the fingerprint with --accept"}, "trust", a.Addr(), "--save", "lab")
	c.want(t, out.Failed, []string{"--accept needs --save"}, "trust", a.Addr(), "--accept", "12")
	c.want(t, out.Failed, []string{"not the fingerprint of --accept, so nothing was saved"}, "trust", a.Addr(), "--save", "lab", "--accept", exampleFingerprint)
	if _, err := os.Stat(config); err == nil {
		t.Fatal("it was saved")
	}
	c.want(t, out.OK, []string{"use --appliance lab"}, "--username", testUser, "trust", a.Addr(), "--save", "lab", "--accept", a.Fingerprint())
	info, err := os.Stat(config)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, error %v", info.Mode(), err)
	}
	c.want(t, out.OK, []string{"user"}, "--appliance", "lab", "whoami")
	c.want(t, out.OK, []string{testUser}, "-a", "lab", "-o", "yaml", "whoami")
	c.want(t, out.Failed, []string{`no appliance "prod"`, "give --appliance with one of lab"}, "-a", "prod", "whoami")

	// The comments of the file stay. A name with another host is not overwritten.
	content, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append([]byte("# ours\n"), content...), 0o600); err != nil {
		t.Fatal(err)
	}
	other := startAppliance(t)
	c.want(t, out.Failed, []string{`already has an appliance "lab"`}, "trust", other.Addr(), "--save", "lab", "--accept", other.Fingerprint())
	c.want(t, out.OK, []string{"use --appliance other with --username, or add the setting username to it"}, "trust", other.Addr(), "--save", "other", "--accept", other.Fingerprint())
	content, err = os.ReadFile(config)
	if err != nil || !strings.Contains(string(content), "# ours") || !strings.Contains(string(content), "lab:") || !strings.Contains(string(content), "other:") {
		t.Errorf("%s, error %v", content, err)
	}
	c.want(t, out.Failed, []string{"--connect-timeout"}, "trust", a.Addr(), "--connect-timeout", "x")
	c.want(t, out.Failed, []string{"cannot be reached"}, "trust", "127.0.0.1:1")
	c.want(t, out.Failed, []string{"host"}, "trust", "https://x")
}
