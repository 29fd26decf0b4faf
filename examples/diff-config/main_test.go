package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/examples/internal/export"
	"github.com/go-sps/sps/spstest"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// reach returns the flags that reach one appliance or two, and adds others.
func reach(t *testing.T, appliances []*spstest.Appliance, more ...string) []string {
	t.Helper()
	var trusted [][]byte
	for _, a := range appliances {
		trusted = append(trusted, a.CA())
	}
	flags := []string{"-username", clitest.Username, "-ca", clitest.File(t, trusted...), "-appliance", appliances[0].Addr()}
	if len(appliances) > 1 {
		flags = append(flags, "-other", appliances[1].Addr())
	}
	return append(flags, more...)
}

// save exports an appliance and gives the folder.
func save(t *testing.T, a *spstest.Appliance, root string) string {
	t.Helper()
	client, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(clitest.Username, sps.NewSecretString(clitest.Password)), sps.WithCABundle(a.CA()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	e, err := export.Read(t.Context(), client, root, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, e)
}

func write(t *testing.T, e *export.Export) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "export")
	folder, err := export.Create(target, false)
	if err == nil {
		err = folder.Write(t.Context(), e)
	}
	if err == nil {
		err = folder.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func set(a *spstest.Appliance, path, body string) { a.SetConfiguration(path, json.RawMessage(body)) }

// edit replaces a text in a body of the appliance.
func edit(t *testing.T, a *spstest.Appliance, path, old, new string) {
	t.Helper()
	body, ok := a.Configuration(path)
	if !ok || !bytes.Contains(body, []byte(old)) {
		t.Fatalf("%s is %s, without %s", path, body, old)
	}
	set(a, path, strings.Replace(string(body), old, new, 1))
}

// lines are what is printed beside the head and the summary.
func lines(o clitest.Outcome) []string {
	found := []string{}
	for line := range strings.Lines(o.Stdout) {
		if strings.HasPrefix(line, "configuration") {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

// shows checks the status and the lines of a run.
func shows(t *testing.T, got clitest.Outcome, status int, want ...string) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status %d, want %d; standard error:\n%s", got.Status, status, got.Stderr)
	}
	if d := cmp.Diff(append([]string{}, want...), lines(got)); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
}

func says(t *testing.T, got clitest.Outcome, want string) {
	t.Helper()
	if !strings.Contains(got.Stdout+got.Stderr, want) {
		t.Errorf("the output lacks %q:\n%s%s", want, got.Stdout, got.Stderr)
	}
}

func noSession(t *testing.T, appliances ...*spstest.Appliance) {
	t.Helper()
	for _, a := range appliances {
		if n := a.Sessions(); n != 0 {
			t.Errorf("%d sessions are left on the appliance", n)
		}
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.RunWithPassword(t, t.Context(), "")
	got.Stdout = regexp.MustCompile(`time_policies/[0-9a-f]+`).ReplaceAllString(got.Stdout, "time_policies/KEY")
	shows(t, got, exitSame,
		`configuration/management/email#alerting_address: "alerts@example.com" -> "soc@example.com"`,
		`configuration/management/health_monitoring#maximum_disk_utilization_ratio: 80 -> 90`,
		`configuration/management/snmp/trap#version/value/community: differs, not shown`,
		`configuration/policies/audit_policies/4110330695c094b5776670 ("remote-timestamping"): removed`,
		`configuration/policies/time_policies/KEY ("weekdays"): added`,
	)
	says(t, got, "this is a demonstration")
	says(t, got, "5 differences.\n")
	if got.Stderr != "" || strings.Contains(got.Stdout, "not-so-public") {
		t.Errorf("standard error %q, standard output:\n%s", got.Stderr, got.Stdout)
	}

	got = program.RunWithPassword(t, t.Context(), "", "-root", "configuration/management/snmp", "-show-secrets")
	shows(t, got, exitSame, `configuration/management/snmp/trap#version/value/community: "public" -> "not-so-public"`)
	got = program.RunWithPassword(t, t.Context(), "", "-exclude", "configuration/management,configuration/policies")
	shows(t, got, exitSame)
	says(t, got, "No difference.\n")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitSame || !strings.Contains(got.Stdout, "usage: diff-config") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	folder := write(t, &export.Export{Root: "configuration", Listings: []string{"configuration"}})
	part := write(t, &export.Export{Root: "configuration/aaa", Listings: []string{"configuration/aaa"}})
	live := reach(t, []*spstest.Appliance{a})
	with := func(more ...string) []string { return append(live[:len(live):len(live)], more...) }
	const two = "two of -left, -right, -appliance and -other are needed"
	for _, test := range []struct {
		name     string
		password string
		args     []string
		want     string
	}{
		{"unknown flag", clitest.Password, []string{"-force"}, "not defined: -force"},
		{"argument", clitest.Password, []string{"-left", folder, folder}, `unexpected argument`},
		{"left alone", clitest.Password, []string{"-left", folder}, two},
		{"right alone", clitest.Password, []string{"-right", folder}, two},
		{"appliance alone", clitest.Password, live, two},
		{"other alone", clitest.Password, []string{"-other", "sps2"}, two},
		{"three", clitest.Password, with("-left", folder, "-right", folder), two},
		{"all", clitest.Password, with("-left", folder, "-right", folder, "-other", "sps2"), two},
		{"a folder and other", clitest.Password, []string{"-left", folder, "-other", "sps2"}, "-other is for two appliances"},
		{"an empty folder", clitest.Password, []string{"-left", "", "-right", folder}, "-left is empty"},
		{"username alone", clitest.Password, []string{"-username", clitest.Username}, "-username needs -appliance"},
		{"no username", clitest.Password, []string{"-appliance", a.Addr(), "-left", folder}, "-appliance needs -username"},
		{"root", clitest.Password, []string{"-root", "firmware"}, `-root: "firmware" is neither`},
		{"exclude", clitest.Password, []string{"-exclude", "x"}, `-exclude: "x" is neither`},
		{"output", clitest.Password, []string{"-output", "junit"}, `-output "junit" is neither`},
		{"timeout", clitest.Password, []string{"-timeout", "0s"}, "-timeout must be positive"},
		{"no password", "", with("-left", folder), "no password"},
		{"no such ca", clitest.Password, with("-left", folder, "-ca", "testdata/none"), "-ca: open testdata/none"},
		{"no such folder", clitest.Password, []string{"-left", folder, "-right", "testdata/none"}, "testdata/none"},
		{"no export", clitest.Password, with("-right", t.TempDir()), "is no export"},
		{"two roots", clitest.Password, []string{"-left", folder, "-right", part}, "name what to compare with -root"},
		{"a root that one lacks", clitest.Password, []string{"-left", folder, "-right", part, "-root", "configuration"}, "has configuration/aaa only"},
		{"a root that is not there", clitest.Password, []string{"-left", folder, "-right", folder, "-root", "configuration/aaa"}, "has no configuration/aaa"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := program.RunWithPassword(t, t.Context(), test.password, test.args...)
			if got.Status != exitError || got.Stdout != "" {
				t.Errorf("status %d and standard output %q, want %d and none", got.Status, got.Stdout, exitError)
			}
			if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
				t.Errorf("standard error %q, want one line with %q", got.Stderr, test.want)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(a.Journal()); n != 0 {
			t.Errorf("wrong usage sent %d requests", n)
		}
	})
}

// What was changed between two exports is what differs, and nothing else, whichever
// way they are read.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"6.0", "8.0"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, spstest.WithProfile(profile))
			all := []*spstest.Appliance{a}
			before := save(t, a, "configuration")
			shows(t, program.Run(t, t.Context(), reach(t, all, "-left", before)...), exitSame)

			edit(t, a, "datetime/timezone", "America/New_York", "Europe/Budapest")
			edit(t, a, "management/email", `"sender_address":null`, `"sender_address":"sps@example.com"`)
			edit(t, a, "management/email", `{"enabled":false}`, `{"enabled":true,"username":"sps","password":"secret"}`)
			edit(t, a, "management/system_backup", `"backup_policy":{`, `"retries":3,"backup_policy":{`)
			edit(t, a, "policies/time_policies/-100", `"Fri":[["0:00","23:59"]]`, `"Fri":[["0:00","12:00"],["13:00","23:59"]]`)
			set(a, "policies/backup_policies/4711", `{"name":"weekly"}`)
			after := save(t, a, "configuration")
			want := []string{
				`configuration/datetime/timezone: "America/New_York" -> "Europe/Budapest"`,
				`configuration/management/email#sender_address: null -> "sps@example.com"`,
				`configuration/management/email#smtp_auth/enabled: false -> true`,
				`configuration/management/email#smtp_auth/password: added, not shown`,
				`configuration/management/email#smtp_auth/username: added, not shown`,
				`configuration/management/system_backup#retries: (none) -> 3`,
				`configuration/policies/backup_policies/4711 ("weekly"): added`,
				`configuration/policies/time_policies/-100#Fri/0/1 ("7x24"): "23:59" -> "12:00"`,
				`configuration/policies/time_policies/-100#Fri/1/0 ("7x24"): (none) -> "13:00"`,
				`configuration/policies/time_policies/-100#Fri/1/1 ("7x24"): (none) -> "23:59"`,
			}
			shows(t, program.Run(t, t.Context(), "-left", before, "-right", after), exitDifferent, want...)
			shows(t, program.Run(t, t.Context(), reach(t, all, "-left", before)...), exitDifferent, want...)
			shows(t, program.Run(t, t.Context(), reach(t, all, "-right", after)...), exitSame)

			got := program.Run(t, t.Context(), reach(t, all, "-right", before)...) // the other way round
			says(t, got, `configuration/datetime/timezone: "Europe/Budapest" -> "America/New_York"`)
			says(t, got, `configuration/policies/backup_policies/4711 ("weekly"): removed`)
			says(t, got, `configuration/management/email#smtp_auth/password: removed, not shown`)
			says(t, got, "\n10 differences.\n")

			// The root of a folder is what is read of the appliance.
			part := save(t, a, "configuration/management")
			a.ResetJournal()
			shows(t, program.Run(t, t.Context(), reach(t, all, "-left", part)...), exitSame)
			for _, r := range a.Journal() {
				if strings.HasPrefix(r.Path, "/api/configuration/policies") {
					t.Errorf("%s is read", r.Path)
				}
			}
			shows(t, program.Run(t, t.Context(), "-left", before, "-right", part, "-root", "configuration/management/system_backup"),
				exitDifferent, `configuration/management/system_backup#retries: (none) -> 3`)
			noSession(t, a)
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := save(t, a, "configuration")
	edit(t, a, "management/snmp/trap", `"public"`, `"other"`)
	edit(t, a, "policies/time_policies/-100", `"name":"7x24"`, `"name":"7x24","a/b~":"x\u009b"`)
	set(a, "policies/backup_policies/4711", `{"name":"weekly"}`)
	got := program.Run(t, t.Context(), reach(t, []*spstest.Appliance{a}, "-left", before, "-output", "json")...)
	const trap, times, backup = "configuration/management/snmp/trap", "configuration/policies/time_policies/-100", "configuration/policies/backup_policies/4711"
	want := `{"change":"changed","left":"` + trap + `","right":"` + trap + `","name":"","member":"version/value/community","old":null,"new":null,"hidden":true}
{"change":"added","left":"","right":"` + backup + `","name":"weekly","member":"","old":null,"new":null,"hidden":false}
{"change":"added","left":"` + times + `","right":"` + times + `","name":"7x24","member":"a~1b~0","old":null,"new":"x\u009b","hidden":false}
`
	if d := cmp.Diff(clitest.Outcome{Status: exitDifferent, Stdout: want}, got); d != "" {
		t.Errorf("output (-want +got):\n%s", d)
	}
}

// Two appliances that are configured the same have different keys.
func TestByName(t *testing.T) {
	t.Parallel()
	a, b := clitest.Start(t), clitest.Start(t)
	both := []*spstest.Appliance{a, b}
	for i, key := range []string{"4711", "4712"} {
		set(both[i], "policies/backup_policies/"+key, `{"name":"weekly","start_times":["10:1`+key[3:]+`"]}`)
		set(both[i], "management/system_backup", `{"backup_policy":{"key":"`+key+`","meta":{"href":"/api/configuration/policies/backup_policies/`+key+`"}},
			"password":{"key":"secret-`+key+`","meta":{"href":"/api/configuration/passwords/secret-`+key+`"}}}`)
	}
	set(b, "policies/time_policies/99", `{"name":"office"}`)
	got := program.Run(t, t.Context(), reach(t, both)...)
	shows(t, got, exitDifferent,
		`configuration/management/system_backup#backup_policy: "4711" -> "4712"`,
		`configuration/management/system_backup#password: differs, not shown`,
		`configuration/policies/backup_policies/4711 ("weekly"): removed`,
		`configuration/policies/backup_policies/4712 ("weekly"): added`,
		`configuration/policies/time_policies/99 ("office"): added`,
	)
	got = program.Run(t, t.Context(), reach(t, both, "-by-name")...)
	shows(t, got, exitDifferent,
		`configuration/policies/backup_policies/4711#start_times/0 ("weekly"): "10:11" -> "10:12"`,
		`configuration/policies/time_policies/99 ("office"): added`,
	)
	says(t, got, "--- "+a.Addr()+", firmware 7.4.0\n+++ "+b.Addr()+", firmware 7.4.0\n")
	says(t, got, "is in neither configuration: 1.")

	edit(t, b, "management/system_backup", "policies/backup_policies/4712", "policies/backup_policies/35603920755b8fb4711d3c")
	got = program.Run(t, t.Context(), reach(t, both, "-by-name", "-root", "configuration")...)
	says(t, got, `#backup_policy: "configuration/policies/backup_policies/weekly" -> "configuration/policies/backup_policies/nightly"`)
	noSession(t, a, b)
}

// One appliance that fails is named, and the other one is logged out of.
func TestApplianceFails(t *testing.T) {
	t.Parallel()
	a, b := clitest.Start(t), clitest.Start(t)
	b.Inject(spstest.Fault{Path: "configuration", Times: -1, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`})
	got := program.Run(t, t.Context(), reach(t, []*spstest.Appliance{a, b})...)
	shows(t, got, exitError)
	says(t, got, "sps: "+b.Addr()+": GET configuration: Unauthorized (403)")
	noSession(t, a, b)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := save(t, a, "configuration")
	edit(t, a, "datetime/timezone", "America/New_York", "UTC")
	edit(t, a, "management/email", "alerts@example.com", "soc@example.com")
	a.Inject(spstest.Fault{Path: "configuration/management", Times: -1, Status: http.StatusForbidden, Body: `{"error":{"type":"Unauthorized"}}`})
	flags := reach(t, []*spstest.Appliance{a}, "-left", before)
	// Nothing below it is said to be removed.
	got := program.Run(t, t.Context(), flags...)
	shows(t, got, exitError, `configuration/datetime/timezone: "America/New_York" -> "UTC"`)
	says(t, got, "configuration/management could not be compared: sps: "+a.Addr()+": GET configuration/management: Unauthorized (403)")
	got = program.Run(t, t.Context(), append(flags, "-exclude", "configuration/management")...)
	shows(t, got, exitDifferent, `configuration/datetime/timezone: "America/New_York" -> "UTC"`)
}

func TestRefusedByDesign(t *testing.T) {
	t.Parallel()
	refused := func(status bool) string {
		return write(t, &export.Export{
			Root: "configuration", Listings: []string{"configuration"},
			Refused: []export.Refusal{{Path: "configuration/passwords", Error: "no", Documented: status}, {Path: "configuration/aaa", Key: "..", Error: "bad", Documented: !status}},
		})
	}
	by, not := refused(true), refused(false)
	got := program.Run(t, t.Context(), "-left", by, "-right", by, "-exclude", "configuration/aaa")
	shows(t, got, exitSame)
	says(t, got, "no appliance shows it: configuration/passwords.")
	got = program.Run(t, t.Context(), "-left", by, "-right", by)
	shows(t, got, exitError)
	says(t, got, `an object of configuration/aaa with the key ".." could not be compared: bad`)
	shows(t, program.Run(t, t.Context(), "-left", by, "-right", not, "-exclude", "configuration/aaa"), exitError)
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	folder := write(t, &export.Export{Host: "sps1", Root: "configuration", Listings: []string{"configuration"}, Changed: true})
	got := program.Run(t, t.Context(), "-left", folder, "-right", folder)
	shows(t, got, exitSame)
	says(t, got, "sps1 was changed while it was read")
}

// Whatever a configuration holds, it cannot drive a terminal.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	side := func(text string) string {
		return write(t, &export.Export{
			Host: "h\x1b[2J", Version: "8\u009b31m", Root: "configuration", Listings: []string{"configuration", "configuration/\u202e"},
			Objects: []export.Object{{Path: "configuration/\u202e/\x1b", Body: map[string]any{"name": "n\u202e\n", "\u009bx": "a\x1b\u009b\x7f" + text}}},
			Refused: []export.Refusal{{Path: "configuration/r\x07", Error: "e\x1b"}},
		})
	}
	for _, output := range []string{"text", "json"} {
		got := program.Run(t, t.Context(), "-left", side("1"), "-right", side("2"), "-output", output)
		if got.Status != exitError || !strings.Contains(got.Stdout, `a\u001b\u009b\u007f1`) {
			t.Errorf("status %d, standard output:\n%s", got.Status, got.Stdout)
		}
		if strings.ContainsFunc(got.Stdout+got.Stderr, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Errorf("control characters are printed: %q", got.Stdout+got.Stderr)
		}
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := save(t, a, "configuration")
	ctx, cancel := context.WithCancelCause(t.Context())
	a.Inject(spstest.Fault{Path: "configuration/policies", Mutate: func(body []byte) []byte {
		cancel(errors.New("somebody interrupts"))
		return body
	}})
	got := program.Run(t, ctx, reach(t, []*spstest.Appliance{a}, "-left", before)...)
	shows(t, got, exitError)
	says(t, got, "somebody interrupts")
	noSession(t, a)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := save(t, a, "configuration")
	a.Inject(spstest.Fault{Path: "authentication", Method: "GET", Delay: time.Hour, MayMiss: true}) // missed where the time is over before
	got := program.Run(t, t.Context(), reach(t, []*spstest.Appliance{a}, "-left", before, "-timeout", "20ms")...)
	shows(t, got, exitError)
	says(t, got, "-timeout allows, 20ms")
}

func TestInsecureWarns(t *testing.T) {
	t.Parallel()
	a, b := clitest.Start(t), clitest.Start(t)
	got := program.Run(t, t.Context(), "-appliance", a.Addr(), "-other", b.Addr(), "-username", clitest.Username, "-insecure")
	shows(t, got, exitSame)
	says(t, got, "not verified")
}

// A log-out that fails says nothing about the differences, but must not get lost.
func TestLogOutFails(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	before := save(t, a, "configuration")
	a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Status: 500, Times: -1})
	got := program.Run(t, t.Context(), reach(t, []*spstest.Appliance{a}, "-left", before)...)
	shows(t, got, exitSame)
	says(t, got, "sps: "+a.Addr()+": close")
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutputLost(t *testing.T) {
	t.Parallel()
	left := write(t, &export.Export{Root: "configuration", Objects: []export.Object{{Path: "configuration/a", Body: "x"}}})
	right := write(t, &export.Export{Root: "configuration", Objects: []export.Object{{Path: "configuration/a", Body: "y"}}})
	for _, args := range [][]string{nil, {"-left", left, "-right", right}, {"-left", left, "-right", right, "-output", "json"}} {
		var stderr bytes.Buffer
		status := run(t.Context(), args, os.Getenv, brokenPipe{}, &stderr)
		if status != exitError || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%q: status %d, want %d; standard error:\n%s", args, status, exitError, stderr.String())
		}
	}
}
