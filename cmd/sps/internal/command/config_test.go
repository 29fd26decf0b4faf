package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

func set(a *spstest.Appliance, path, body string) { a.SetConfiguration(path, json.RawMessage(body)) }

// edit replaces a text in a body of the appliance.
func edit(t *testing.T, a *spstest.Appliance, path, old, new string) {
	t.Helper()
	body, ok := a.Configuration(path)
	if !ok || !strings.Contains(string(body), old) {
		t.Fatalf("%s is %s, without %s", path, body, old)
	}
	set(a, path, strings.Replace(string(body), old, new, 1))
}

func TestExportAndDiff(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	dir := t.TempDir()
	monday, friday := filepath.Join(dir, "monday"), filepath.Join(dir, "friday")
	c.want(t, out.OK, []string{"monday has ", " objects of 127.0.0.1"}, "config", "export", monday)
	c.want(t, out.Failed, []string{"exists already: --replace"}, "config", "export", monday)
	c.want(t, out.OK, nil, "config", "export", monday, "--replace")
	c.want(t, out.OK, []string{"No difference.\n"}, "config", "diff", monday)
	edit(t, a, "configuration/management/email", "alerts@example.com", "soc@example.com")
	edit(t, a, "configuration/management/snmp/trap", `"public"`, `"not-so-public"`)
	c.want(t, out.OK, nil, "config", "export", friday)
	got := c.want(t, out.No, []string{
		`configuration/management/email#alerting_address: "alerts@example.com" -> "soc@example.com"`,
		"configuration/management/snmp/trap#version/value/community: differs, not shown", "2 differences.\n", "Not compared, because no appliance shows it",
	}, "config", "diff", monday, friday)
	if strings.Contains(got.stdout, "not-so-public") {
		t.Error("a secret was shown")
	}
	c.want(t, out.No, []string{"not-so-public"}, "config", "diff", monday, "--show-secrets")
	c.want(t, out.OK, []string{"No difference."}, "config", "diff", monday, friday, "--exclude", "configuration/management/email", "--exclude", "configuration/management/snmp")
	c.want(t, out.OK, []string{"No difference."}, "config", "diff", monday, friday, "--root", "configuration/datetime")
	c.want(t, out.No, []string{`message="2 differences between`, `type="Different"`}, "-o", "junit", "config", "diff", monday, friday)
	d := c.json(t, out.No, "config", "diff", monday)
	var data diffData
	if err := json.Unmarshal(d.Results[0].Data, &data); err != nil || len(data.Differences) != 2 || !data.Differences[1].Hidden {
		t.Errorf("%s, error %v", d.Results[0].Data, err)
	}
	c.want(t, out.Failed, []string{"is neither configuration nor a path below it"}, "config", "diff", monday, "--root", "firmware")
	c.want(t, out.Failed, []string{"no such file"}, "config", "diff", monday, filepath.Join(dir, "nowhere"))
	c.want(t, out.Failed, []string{"needs no appliance, and some are named"}, "--host", "x", "config", "diff", monday, friday)
	c.want(t, out.Failed, []string{"name two folders"}, "config", "diff")
}

// TestExportRefused has a part that cannot be read.
func TestExportRefused(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	a.Inject(spstest.Fault{Path: "configuration/management/email", Status: 500, Times: -1})
	c := reach(t, a)
	folder := filepath.Join(t.TempDir(), "x")
	c.want(t, out.Failed, []string{"refused: configuration/management/email", "1 parts refused"}, "config", "export", folder)
	c.want(t, out.Failed, []string{"could not be compared"}, "config", "diff", folder, folder)
}

// TestBrokenExports are folders that are no export, or are none any more.
func TestBrokenExports(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t))
	good := filepath.Join(t.TempDir(), "good")
	c.want(t, out.OK, nil, "config", "export", good, "--root", "configuration/management")
	for name, test := range map[string]struct {
		breakIt func(folder string) error
		want    string
	}{
		"torn": {func(f string) error { return os.Remove(filepath.Join(f, "configuration/management/email.json")) }, "email.json"},
		"index torn": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "_export.json"), []byte(`{"format": 1, "ho`), 0o600)
		}, "_export.json"},
		"no index": {func(f string) error { return os.Remove(filepath.Join(f, "_export.json")) }, "is no export: it lacks _export.json"},
		"newer": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "_export.json"), []byte(`{"format": 2}`), 0o600)
		}, "it has the format 2, and this tool reads 1"},
		"hand-broken": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "configuration/management/email.json"), []byte(`{"a": 1,}`), 0o600)
		}, "email.json"},
		"foreign file": {func(f string) error { return os.WriteFile(filepath.Join(f, "README.md"), nil, 0o600) }, "README.md"},
		"windows name": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "configuration/con.json"), []byte("{}"), 0o600)
		}, "con"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(folder, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			if err := test.breakIt(folder); err != nil {
				t.Fatal(err)
			}
			c.want(t, out.Failed, []string{test.want}, "config", "diff", folder, good)
		})
	}
}

func TestDiffAppliances(t *testing.T) {
	t.Parallel()
	one, same, other := startAppliance(t), startAppliance(t), startAppliance(t)
	edit(t, other, "configuration/management/email", "alerts@example.com", "soc@example.com")
	c, hosts := fleet(t, one, same, other)
	args := []string{"--hosts", c.env["HOSTS"]}
	d := c.json(t, out.No, append(args, "--parallel", "1", "config", "diff", "--by-name")...)
	for i, want := range []int{out.OK, out.OK, out.No} {
		if d.Results[i].Status != want || d.Results[i].Appliance != hosts[i] {
			t.Errorf("%d: %+v", i, d.Results[i])
		}
	}
	dir := filepath.Join(t.TempDir(), "all")
	c.want(t, out.OK, nil, append(args, "config", "export", dir, "--root", "configuration/management")...)
	if folders, err := os.ReadDir(dir); err != nil || len(folders) != 3 {
		t.Errorf("%v, error %v", folders, err)
	}
	for _, a := range []*spstest.Appliance{one, same, other} {
		if n := a.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}
}

func TestConfigGetSet(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	c.want(t, out.OK, []string{`"alerting_address": "alerts@example.com"`}, "config", "get", "management/email")
	c.want(t, out.OK, []string{"traffic_alerts"}, "config", "get", "configuration/alerting")
	c.want(t, out.Failed, []string{"ResourceNotFound"}, "config", "get", "nothing")
	c.want(t, out.OK, []string{"this would change", "soc@example.com"}, "config", "set", "management/email", "alerting_address=soc@example.com", "--dry-run")
	if len(a.Commits()) != 0 {
		t.Fatal("the dry run was committed")
	}
	c.want(t, out.OK, []string{"changed:", "soc@example.com"}, "config", "set", "management/email", "alerting_address=soc@example.com", "-m", "CHG")
	c.want(t, out.OK, []string{"nothing to change"}, "config", "set", "management/email", "alerting_address=soc@example.com")
	for _, test := range []struct{ args, want string }{
		{"management/email", "say what to set"},
		{"management/email x", "not of the form MEMBER=VALUE"},
		{"management/email nothing=1", `there is no member "nothing"; there are `},
		{"management/email alerting_address/x=1", "there is nothing below"},
		{"management/email smtp_server/value=1 --data x", "say what to set"},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"config", "set"}, strings.Fields(test.args)...)...)
	}
	c.stdin = `"UTC"`
	c.want(t, out.OK, nil, "config", "set", "datetime/timezone", "--data", "-")
	if body, _ := a.Configuration("configuration/datetime/timezone"); string(body) != `"UTC"` {
		t.Errorf("%s", body)
	}
}
