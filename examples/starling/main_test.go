package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

// program is the program under test.
var program = clitest.Program{Main: run}

// reach returns the flags that reach an appliance and print JSON, and adds others.
func reach(t *testing.T, a *spstest.Appliance, more ...string) []string {
	t.Helper()
	return clitest.Reach(t, a, append([]string{"-output", "json"}, more...)...)
}

// The states of an appliance that is joined.
var (
	joined       = spstest.WithStarling(spstest.Starling{Joined: true})
	remoteAccess = spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true})
)

// decode reads the JSON output: one object with nothing around it, and all members
// in it.
func decode(t *testing.T, got clitest.Outcome) result {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(got.Stdout), &members); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s%s", err, got.Stdout, got.Stderr)
	}
	for _, name := range []string{
		"appliance", "status", "joined", "product_instance", "product_tims", "remote_access", "products", "warnings", "reasons", "error",
	} {
		if members[name] == nil {
			t.Errorf("the result lacks %s:\n%s", name, got.Stdout)
		}
	}
	var r result
	decoder := json.NewDecoder(strings.NewReader(got.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// comes checks what a run came to without an error.
func comes(t *testing.T, exit int, status string, isJoined, remote bool, got clitest.Outcome) result {
	t.Helper()
	r := decode(t, got)
	if got.Status != exit || r.Status != status || r.Error != "" || r.Joined != isJoined || r.RemoteAccess != remote {
		t.Errorf("exit status %d, %s %q, joined %t, remote access %t; want %d, %s, %t, %t; standard error:\n%s",
			got.Status, r.Status, r.Error, r.Joined, r.RemoteAccess, exit, status, isJoined, remote, got.Stderr)
	}
	return r
}

// fails checks that a run ended with an error that says something.
func fails(t *testing.T, got clitest.Outcome, want string) result {
	t.Helper()
	r := decode(t, got)
	if got.Status != exitError || r.Status != errored || !strings.Contains(r.Error, want) || strings.Contains(r.Error, "\n") {
		t.Errorf("exit status %d, %s %q, want %d and one line with %q", got.Status, r.Status, r.Error, exitError, want)
	}
	return r
}

// is checks the state of the appliance, and that nothing is left behind.
func is(t *testing.T, a *spstest.Appliance, isJoined, remote bool, commits int) {
	t.Helper()
	body, _ := a.Configuration("starling")
	var configuration struct {
		RemoteAccess struct {
			Enabled bool `json:"enabled"`
		} `json:"remote_access"`
	}
	if err := json.Unmarshal(body, &configuration); err != nil {
		t.Fatal(err)
	}
	if a.Starling().Joined != isJoined || configuration.RemoteAccess.Enabled != remote || len(a.Commits()) != commits {
		t.Errorf("joined %t, remote access %t, %d commits; want %t, %t, %d",
			a.Starling().Joined, configuration.RemoteAccess.Enabled, len(a.Commits()), isJoined, remote, commits)
	}
	if a.TransactionOpen() || a.LockedBy() != "" || a.Sessions() != 0 {
		t.Errorf("left behind: transaction open %t, lock of %q, %d sessions", a.TransactionOpen(), a.LockedBy(), a.Sessions())
	}
}

// asked reports whether the appliance was asked to unjoin.
func asked(a *spstest.Appliance) bool {
	return slices.ContainsFunc(a.Journal(), func(r spstest.Request) bool { return r.Method == "DELETE" && r.Path == "/api/starling/join" })
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context())
	want := `No -appliance is given, so this is a demonstration: a simulated appliance was
started in this process, at ADDRESS. It is joined to Starling,
and remote access is on.

Its state:

joined          yes
instance        starling-joiner-11111111-1111-1111-1111-111111111111
license (TIMS)  123-456-789
remote access   on
products        Defender, at https://2fa.cloud.oneidentity.com
                Connect, at https://connect.cloud.oneidentity.com
                Governance, not integrated

What "-check-unjoin" says, with exit status 1:

ADDRESS: an unjoin would be refused:
    remote access is on: -disable-remote-access switches it off before the unjoin, -force unjoins nonetheless

What "-unjoin -disable-remote-access -dry-run" says:

ADDRESS: remote access would be switched off, and still is on.
ADDRESS: the appliance would be unjoined, and still is joined.

The same without -dry-run:

ADDRESS: the appliance is not joined to Starling any more.
`
	_, rest, _ := strings.Cut(got.Stdout, ", at ")
	addr, _, _ := strings.Cut(rest, ". ")
	got.Stdout = strings.ReplaceAll(got.Stdout, addr, "ADDRESS")
	if d := cmp.Diff(clitest.Outcome{Stdout: want}, got); d != "" {
		t.Errorf("demonstration (-want +got):\n%s", d)
	}
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-output", "json")
	comes(t, exitOK, unjoined, false, false, got)
	if !strings.Contains(got.Stderr, "The same without -dry-run") {
		t.Errorf("the story is not on standard error:\n%s", got.Stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "-remote-access on or off") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	full := []string{"-appliance", "127.0.0.1:1", "-username", clitest.Username}
	with := func(more ...string) []string { return slices.Concat(full, more) }
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-join"}, "not defined: -join"},
		{"argument", []string{"sps1"}, `unexpected argument "sps1"`},
		{"empty appliance", []string{"-appliance", ""}, "-appliance is empty"},
		{"no username", full[:2], "-appliance needs -username"},
		{"no appliance", []string{"-unjoin"}, "-unjoin needs -appliance"},
		{"neither on nor off", with("-remote-access", "true"), `-remote-access "true" is neither on nor off`},
		{"empty", with("-remote-access", ""), "-remote-access is empty"},
		{"two jobs", with("-remote-access", "off", "-unjoin"), "exclude each other"},
		{"two other jobs", with("-check-unjoin", "-unjoin"), "exclude each other"},
		{"force nothing", with("-force"), "-disable-remote-access and -force need -unjoin"},
		{"disable nothing", with("-disable-remote-access", "-check-unjoin"), "-disable-remote-access and -force need -unjoin"},
		{"disable and force", with("-unjoin", "-disable-remote-access", "-force"), "-force excludes -disable-remote-access"},
		{"dry run of nothing", with("-dry-run"), "-dry-run needs something to change"},
		{"dry run of a check", with("-check-unjoin", "-dry-run"), "-dry-run needs something to change"},
		{"message of nothing", with("-message", "x"), "-message needs something to change"},
		{"message of an unjoin", with("-unjoin", "-message", "x"), "-message and -wait are about a transaction"},
		{"wait of an unjoin", with("-unjoin", "-force", "-wait", "1m"), "-message and -wait are about a transaction"},
		{"negative wait", with("-remote-access", "on", "-wait", "-1s"), "-wait must not be negative"},
		{"output", []string{"-output", "xml"}, `-output "xml" is neither text nor json`},
		{"no such ca", with("-ca", "testdata/none"), "-ca: open testdata/none"},
	} {
		got := program.Run(t, t.Context(), test.args...)
		if got.Status != exitError || got.Stdout != "" {
			t.Errorf("%s: status %d and standard output %q, want %d and none", test.name, got.Status, got.Stdout, exitError)
		}
		if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("%s: standard error %q, want one line with %q", test.name, got.Stderr, test.want)
		}
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	fails(t, program.Run(t, t.Context(), "-appliance", nobody, "-username", clitest.Username, "-output", "json"), nobody)
}

func TestShow(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, remoteAccess, spstest.WithProducts(spstest.ProductsStarlingIntegrated()...))
	r := comes(t, exitOK, shown, true, true, program.Run(t, t.Context(), reach(t, a)...))
	if r.ProductInstance != "starling-joiner-11111111-1111-1111-1111-111111111111" || r.ProductTIMS != "123-456-789" {
		t.Errorf("instance %q, TIMS %q", r.ProductInstance, r.ProductTIMS)
	}
	want := []product{
		{"Defender", "https://2fa.cloud.oneidentity.com", true}, {"Connect", "https://connect.cloud.oneidentity.com", true}, {"Governance", "", false},
	}
	if d := cmp.Diff(want, r.Products); d != "" {
		t.Errorf("products (-want +got):\n%s", d)
	}
	is(t, a, true, true, 0)

	a = clitest.Start(t)
	comes(t, exitOK, shown, false, false, program.Run(t, t.Context(), reach(t, a)...))
	got := program.Run(t, t.Context(), reach(t, a, "-output", "text")...)
	if !strings.Contains(got.Stdout, "Basic Settings > Starling Integration > Start join") {
		t.Errorf("it does not say how to join:\n%s", got.Stdout)
	}
}

// Whatever happens to the products, the state counts.
func TestProductWarnings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*spstest.Appliance)
		option  spstest.Option
		want    string
	}{
		{"warning", func(a *spstest.Appliance) { a.SetProducts(nil, spstest.StarlingUnavailable) }, joined, "cannot be retrieved"},
		{"other warning", func(a *spstest.Appliance) {
			a.SetProducts(spstest.ProductsStarling(), spstest.StarlingCredentialsInvalid)
		}, joined, "credentials used for accessing Starling are invalid"},
		{"refused", func(a *spstest.Appliance) { a.SetProducts(nil, spstest.StarlingUnavailable) },
			spstest.WithVariant("product-warnings", "error:503"), "cannot be retrieved"},
		{"no answer", func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Path: "integrated_products", Status: 500, Times: -1})
		}, joined, "500"},
		{"no right", func(*spstest.Appliance) {},
			spstest.WithUser(clitest.Username, clitest.Password, spstest.NoAccessTo("integrated_products")), "the user lacks the right to do this"},
	} {
		a := clitest.Start(t, joined, test.option)
		test.prepare(a)
		r := comes(t, exitOK, shown, true, false, program.Run(t, t.Context(), reach(t, a)...))
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], test.want) {
			t.Errorf("%s: warnings %q, want one with %q", test.name, r.Warnings, test.want)
		}
		got := program.Run(t, t.Context(), reach(t, a, "-output", "text")...)
		if _, warning, _ := strings.Cut(got.Stdout, "Warning:\n    "); !strings.Contains(warning, test.want) {
			t.Errorf("%s: the output lacks the warning:\n%s", test.name, got.Stdout)
		}
		is(t, a, true, false, 0)
	}
}

func TestRemoteAccess(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, joined, spstest.WithCommitMessageRequired())
	comes(t, exitOK, wouldChange, true, false, program.Run(t, t.Context(), reach(t, a, "-remote-access", "on", "-dry-run")...))
	is(t, a, true, false, 0)
	fails(t, program.Run(t, t.Context(), reach(t, a, "-remote-access", "on")...), "give one with -message")
	is(t, a, true, false, 0)
	comes(t, exitOK, changed, true, true, program.Run(t, t.Context(), reach(t, a, "-remote-access", "on", "-message", "CHG-1")...))
	is(t, a, true, true, 1)
	if got := a.Commits()[0].Message; got != "CHG-1" {
		t.Errorf("message %q", got)
	}
	comes(t, exitOK, unchanged, true, true, program.Run(t, t.Context(), reach(t, a, "-remote-access", "on", "-message", "CHG-1")...))
	is(t, a, true, true, 1)
	comes(t, exitOK, changed, true, false, program.Run(t, t.Context(), reach(t, a, "-remote-access", "off", "-message", "CHG-2")...))
	is(t, a, true, false, 2)
}

// TestRefused is about runs that fail, and change nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	readOnly := spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnly)
	for _, test := range []struct {
		name   string
		option spstest.Option
		args   []string
		want   string
	}{
		{"remote access without a join", spstest.WithCredentials(clitest.Username, clitest.Password), []string{"-remote-access", "on"},
			"remote access needs a join; to join, use the web interface"},
		{"the same in a dry run", spstest.WithCredentials(clitest.Username, clitest.Password), []string{"-remote-access", "on", "-dry-run"},
			"remote access needs a join"},
		{"read-only user", readOnly, []string{"-remote-access", "on"}, "the user lacks the right to do this"},
		{"read-only configuration", spstest.WithUser(clitest.Username, clitest.Password, spstest.ReadOnlyAt("configuration")),
			[]string{"-remote-access", "on"}, "the user lacks the right to do this"},
		{"no access", spstest.WithUser(clitest.Username, clitest.Password, spstest.NoAccessTo("starling")), nil, "the user lacks the right to do this"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, test.option)
			fails(t, program.Run(t, t.Context(), reach(t, a, test.args...)...), test.want)
			is(t, a, false, false, 0)
		})
	}
	t.Run("read-only user unjoins", func(t *testing.T) {
		t.Parallel()
		a := clitest.Start(t, joined, readOnly)
		fails(t, program.Run(t, t.Context(), reach(t, a, "-unjoin")...), "the user lacks the right to do this")
		is(t, a, true, false, 0)
	})
}

func TestCheckUnjoin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		option           spstest.Option
		isJoined, remote bool
		exit             int
		want             string // the reason
	}{
		{"not joined", spstest.WithCredentials(clitest.Username, clitest.Password), false, false, exitRefused, "the appliance is not joined to Starling"},
		{"joined", joined, true, false, exitOK, ""},
		{"remote access", remoteAccess, true, true, exitRefused, "remote access is on"},
	} {
		a := clitest.Start(t, test.option)
		status := allowed
		if test.exit == exitRefused {
			status = refused
		}
		for _, flag := range []string{"-check-unjoin", "-unjoin"} {
			if flag == "-unjoin" && test.exit == exitOK {
				continue
			}
			r := comes(t, test.exit, status, test.isJoined, test.remote, program.Run(t, t.Context(), reach(t, a, flag)...))
			if got := strings.Join(r.Reasons, "; "); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("%s: reasons %q, want %q", test.name, got, test.want)
			}
		}
		if asked(a) {
			t.Errorf("%s: the appliance was asked nonetheless", test.name)
		}
		is(t, a, test.isJoined, test.remote, 0)
	}
}

func TestUnjoin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		option  spstest.Option
		remote  bool
		args    []string
		commits int
	}{
		{"plain", joined, false, nil, 0},
		{"nothing to disable", joined, false, []string{"-disable-remote-access"}, 0},
		{"nothing to force", joined, false, []string{"-force"}, 0},
		{"disable", remoteAccess, true, []string{"-disable-remote-access", "-message", "CHG-1"}, 1},
		{"force", remoteAccess, true, []string{"-force"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, test.option)
			flags := reach(t, a, append([]string{"-unjoin"}, test.args...)...)
			comes(t, exitOK, wouldChange, true, test.remote, program.Run(t, t.Context(), append(flags, "-dry-run")...))
			if asked(a) {
				t.Error("a dry run asked to unjoin")
			}
			is(t, a, true, test.remote, 0)
			comes(t, exitOK, unjoined, false, false, program.Run(t, t.Context(), flags...))
			is(t, a, false, false, test.commits)
			// What is not joined cannot be forced.
			comes(t, exitRefused, refused, false, false, program.Run(t, t.Context(), flags...))
		})
	}
}

// The two halves of an unjoin are no transaction: the error says how far it came.
func TestHalfUnjoined(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, remoteAccess)
	a.Inject(spstest.Fault{Method: "DELETE", Path: "starling/join", Status: 403, Body: `{"error":{"type":"ForbiddenActionError","message":"No"}}`})
	r := fails(t, program.Run(t, t.Context(), reach(t, a, "-unjoin", "-disable-remote-access")...), "remote access is off already")
	if !strings.Contains(r.Error, "ForbiddenActionError") || !r.Joined || r.RemoteAccess {
		t.Errorf("error %q, joined %t, remote access %t", r.Error, r.Joined, r.RemoteAccess)
	}
	is(t, a, true, false, 1)

	for _, test := range []struct {
		path    string // of the PUT during which Ctrl-C comes
		commits int
		want    string
	}{
		{"configuration/**", 0, "interrupt signal received"},
		{"transaction", 1, "remote access is off already"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		a := clitest.Start(t, remoteAccess)
		a.Inject(spstest.Fault{Method: "PUT", Path: test.path, Mutate: func(body []byte) []byte {
			cancel(errors.New("interrupt signal received"))
			return body
		}})
		r := fails(t, program.Run(t, ctx, reach(t, a, "-unjoin", "-disable-remote-access")...), test.want)
		if on := test.commits == 0; r.RemoteAccess != on || asked(a) {
			t.Errorf("%s: remote access %t, asked to unjoin %t", test.path, r.RemoteAccess, asked(a))
		}
		is(t, a, true, test.commits == 0, test.commits)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t, remoteAccess)
	release := a.LockConfiguration("somebody else")
	flags := reach(t, a, "-unjoin", "-disable-remote-access")
	fails(t, program.Run(t, t.Context(), flags...), "-wait says how long to wait")
	if asked(a) || !a.Starling().Joined {
		t.Error("it was unjoined nonetheless")
	}
	// Somebody else ends as soon as the first attempt is refused.
	a.Inject(spstest.Fault{Method: "POST", Path: "transaction", Mutate: func(body []byte) []byte { release(); return body }})
	comes(t, exitOK, unjoined, false, false, program.Run(t, t.Context(), append(flags, "-wait", "1m")...))
	is(t, a, false, false, 1)
}

// Every answer that the API's documentation leaves open will do, and every release.
func TestVariants(t *testing.T) {
	t.Parallel()
	try := func(name string, option spstest.Option) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := clitest.Start(t, remoteAccess, option)
			comes(t, exitOK, shown, true, true, program.Run(t, t.Context(), reach(t, a)...))
			comes(t, exitOK, changed, true, false, program.Run(t, t.Context(), reach(t, a, "-remote-access", "off")...))
			comes(t, exitOK, changed, true, true, program.Run(t, t.Context(), reach(t, a, "-remote-access", "on")...))
			comes(t, exitRefused, refused, true, true, program.Run(t, t.Context(), reach(t, a, "-unjoin")...))
			comes(t, exitOK, unjoined, false, false, program.Run(t, t.Context(), reach(t, a, "-unjoin", "-disable-remote-access")...))
			comes(t, exitRefused, refused, false, false, program.Run(t, t.Context(), reach(t, a, "-check-unjoin")...))
			if a.TransactionOpen() || a.LockedBy() != "" { // some do not log out
				t.Error("the configuration is locked")
			}
		})
	}
	for _, profile := range spstest.Profiles() {
		try(profile, spstest.WithProfile(profile))
	}
	for name, option := range clitest.Variants(t, "transaction", "configuration", "starling", "appliance") {
		try(name, option)
	}
}
