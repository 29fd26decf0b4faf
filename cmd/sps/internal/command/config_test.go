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

// set sets an object of the appliance.
func set(a *spstest.Appliance, path, body string) { a.SetConfiguration(path, json.RawMessage(body)) }

// edit replaces a text in the body of an object of the appliance.
func edit(t *testing.T, a *spstest.Appliance, path, old, new string) {
	t.Helper()
	body, ok := a.Configuration(path)
	if !ok || !strings.Contains(string(body), old) {
		t.Fatalf("%s is %s, without %s", path, body, old)
	}
	set(a, path, strings.Replace(string(body), old, new, 1))
}

// TestExportAndDiff checks exports, and the comparison of exports with each other and with an
// appliance.
func TestExportAndDiff(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	dir := t.TempDir()
	monday, friday := filepath.Join(dir, "monday"), filepath.Join(dir, "friday")
	c.want(t, out.OK, []string{"monday has ", " objects of 127.0.0.1"}, "config", "export", monday)
	c.want(t, out.Failed, []string{"already exists: name another folder, or replace an export with --replace"}, "config", "export", monday)
	c.want(t, out.OK, nil, "config", "export", monday, "--replace")
	c.want(t, out.OK, []string{"No difference.\n"}, "config", "diff", monday)
	edit(t, a, "configuration/management/email", "alerts@example.com", "soc@example.com")
	edit(t, a, "configuration/management/snmp/trap", `"public"`, `"not-so-public"`)
	c.want(t, out.OK, nil, "config", "export", friday)
	got := c.want(t, out.No, []string{
		`configuration/management/email#alerting_address: "alerts@example.com" -> "soc@example.com"`,
		"configuration/management/snmp/trap#version/value/community: differs, not shown", "2 differences.\n", "Not compared, because the API does not return these objects: ",
	}, "config", "diff", monday, friday)
	if strings.Contains(got.stdout, "not-so-public") {
		t.Error("a secret was shown")
	}
	c.want(t, out.No, []string{"not-so-public"}, "config", "diff", monday, "--show-secrets")
	c.want(t, out.OK, []string{"No difference."}, "config", "diff", monday, friday, "--exclude", "configuration/management/email", "--exclude", "configuration/management/snmp")
	c.want(t, out.No, []string{"--exclude configuration/management/emial matches no object"}, "config", "diff", monday, friday, "--exclude", "configuration/management/emial")
	if got := c.want(t, out.No, nil, "config", "diff", monday, "--exclude", "configuration/management/email"); strings.Contains(got.stderr, "matches no object") {
		t.Errorf("a warning for a path that exists: %s", got.stderr)
	}
	c.want(t, out.OK, []string{"No difference."}, "config", "diff", monday, friday, "--root", "configuration/datetime")
	c.want(t, out.No, []string{`message="2 differences between ` + monday + ` (` + a.Addr() + `) and ` + friday + ` (` + a.Addr() + `)"`, `type="Different"`}, "-o", "junit", "config", "diff", monday, friday)
	c.want(t, out.No, []string{`message="1 difference between ` + monday + ` (` + a.Addr() + `) and ` + a.Addr() + `"`}, "-o", "junit", "config", "diff", monday, "--root", "configuration/management/email")
	d := c.json(t, out.No, "config", "diff", monday)
	var data diffData
	if err := json.Unmarshal(d.Results[0].Data, &data); err != nil || len(data.Differences) != 2 || !data.Differences[1].Hidden {
		t.Errorf("%s, error %v", d.Results[0].Data, err)
	}
	c.want(t, out.Failed, []string{"is neither configuration nor a path below it"}, "config", "diff", monday, "--root", "firmware")
	c.want(t, out.Failed, []string{"config diff: lstat ", `no such file or directory: name a folder that "sps config export" made`}, "config", "diff", monday, filepath.Join(dir, "nowhere"))
	c.want(t, out.Failed, []string{"needs no appliance, and some are named"}, "--host", "x", "config", "diff", monday, friday)
	c.want(t, out.Failed, []string{"name two folders"}, "config", "diff")
}

// TestExportRefused checks that an export without an object that could not be read has the
// status 2.
func TestExportRefused(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	a.Inject(spstest.Fault{Path: "configuration/management/email", Status: 500, Times: -1})
	c := reach(t, a)
	folder := filepath.Join(t.TempDir(), "x")
	c.want(t, out.Failed, []string{"not read: configuration/management/email", "1 parts could not be read"}, "config", "export", folder)
	c.want(t, out.Failed, []string{"could not be compared"}, "config", "diff", folder, folder)
}

// TestBrokenExports checks that damaged folders and folders with other files are refused.
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
		"no index": {func(f string) error { return os.Remove(filepath.Join(f, "_export.json")) }, "is not an export, because it has no _export.json"},
		"newer": {func(f string) error {
			return os.WriteFile(filepath.Join(f, "_export.json"), []byte(`{"format": 2}`), 0o600)
		}, "the export has format 2, and this tool reads format 1"},
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

// TestDiffAppliances checks the comparison of the first appliance with other appliances, and the
// export of several appliances.
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

// TestExportName checks that the message of an export, its index and a comparison use the same
// name for the appliance as the JSON output.
func TestExportName(t *testing.T) {
	t.Parallel()
	demo := &tool{env: map[string]string{}}
	lab := reach(t, startAppliance(t))
	lab.env["SPS_CONFIG"] = writeFile(t, "config.yaml", "appliances:\n  lab: {host: \""+lab.env["SPS_HOST"]+"\"}\n")
	for name, c := range map[string]*tool{"demo": demo, "lab": lab} {
		flags := []string{"--appliance", name}
		if name == "demo" {
			flags = []string{"--demo"}
		}
		args := func(more ...string) []string { return append(append([]string{}, flags...), more...) }
		folder := filepath.Join(t.TempDir(), "export")
		c.want(t, out.OK, []string{"objects of " + name + "\n"}, args("config", "export", folder, "--root", "configuration/management")...)
		index, err := os.ReadFile(filepath.Join(folder, "_export.json"))
		if err != nil || !strings.Contains(string(index), `"appliance": "`+name+`"`) {
			t.Errorf("the index is %s, error %v", index, err)
		}
		d := c.json(t, out.OK, args("config", "export", folder, "--replace", "--root", "configuration/management")...)
		if got := d.Results[0].Appliance; got != name {
			t.Errorf("the JSON has the appliance %q, want %q", got, name)
		}
		d = c.json(t, out.OK, args("config", "diff", folder, "--root", "configuration/management/email")...)
		var data diffData
		if err := json.Unmarshal(d.Results[0].Data, &data); err != nil || data.Left != name || data.Right != name {
			t.Errorf("the comparison is of %q and %q, error %v", data.Left, data.Right, err)
		}
	}
}

// TestSetMember checks the errors for members that cannot be set.
func TestSetMember(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ value, member, want string }{
		{`{}`, "a", `there is no member "a", because the object has no members: replace the whole object with --data`},
		{`{"b":1,"c":2}`, "a", `there is no member "a": use one of b, c`},
		{`{"b":{}}`, "b/a", `there is no member "a", because the object has no members: replace the whole object with --data`},
		{`[]`, "0", `there is no element "0", because the list is empty: replace the whole object with --data`},
		{`[7]`, "1", `there is no element "1" in the list: use a position from 0 to 0`},
		{`"x"`, "a", `there is no member "a", because the value above it is not an object: replace the whole object with --data`},
	} {
		value, err := decodeJSON([]byte(test.value))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := setMember(value, strings.Split(test.member, "/"), 1); err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: error %v, want %s", test.member, test.value, err, test.want)
		}
	}
}

// TestConfigSetEmpty checks that the error for an object without members lists no members.
func TestConfigSetEmpty(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	set(a, "configuration/management/email", `{}`)
	got := reach(t, a).want(t, out.Failed, []string{"config set configuration/management/email: x: ", "the object has no members: replace the whole object with --data"},
		"config", "set", "management/email", "x=1")
	if strings.Contains(got.stderr, "use one of") {
		t.Errorf("the error lists members: %s", got.stderr)
	}
}

// TestConfigGetSet checks the commands that read and change an object.
func TestConfigGetSet(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	c.want(t, out.OK, []string{`"alerting_address": "alerts@example.com"`}, "config", "get", "management/email")
	c.want(t, out.OK, []string{"traffic_alerts"}, "config", "get", "configuration/alerting")
	c.want(t, out.Failed, []string{"ResourceNotFound"}, "config", "get", "nothing")
	c.want(t, out.OK, []string{"this would change (dry run", "soc@example.com"}, "config", "set", "management/email", "alerting_address=soc@example.com", "--dry-run")
	if len(a.Commits()) != 0 {
		t.Fatal("the dry run was committed")
	}
	c.want(t, out.OK, []string{"changed:", "soc@example.com"}, "config", "set", "management/email", "alerting_address=soc@example.com", "-m", "CHG")
	c.want(t, out.OK, []string{"nothing to change"}, "config", "set", "management/email", "alerting_address=soc@example.com")
	for _, test := range []struct{ args, want string }{
		{"management/email", "give either MEMBER=VALUE or --data"},
		{"management/email x", "does not have the form MEMBER=VALUE"},
		{"management/email nothing=1", `there is no member "nothing": use one of `},
		{"management/email alerting_address/x=1", "because the value above it is not an object"},
		{"management/email smtp_server/value=1 --data x", "give either MEMBER=VALUE or --data"},
	} {
		c.want(t, out.Failed, []string{test.want}, append([]string{"config", "set"}, strings.Fields(test.args)...)...)
	}
	c.stdin = `"UTC"`
	c.want(t, out.OK, nil, "config", "set", "datetime/timezone", "--data", "-")
	if body, _ := a.Configuration("configuration/datetime/timezone"); string(body) != `"UTC"` {
		t.Errorf("%s", body)
	}
}
