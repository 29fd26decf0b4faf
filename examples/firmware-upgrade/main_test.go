package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

const (
	imageSize = 3 << 20
	imageURL  = "https://mirror:url-secret@images.example.com/sps.iso"

	passedSummary = "HA check started\nHA check finished"
)

// program is the program under test.
var program = clitest.Program{Main: run, Hidden: []string{"url-secret"}}

// start starts an appliance whose restart is over at once: the program looks every
// ten seconds.
func start(t *testing.T, options ...spstest.Option) *spstest.Appliance {
	t.Helper()
	return clitest.Start(t, append([]spstest.Option{spstest.WithRestart(spstest.Restart{})}, options...)...)
}

// reach gives the flags that reach an appliance and print JSON, and adds others.
func reach(t *testing.T, a *spstest.Appliance, more ...string) []string {
	t.Helper()
	return clitest.Reach(t, a, append([]string{"-output", "json"}, more...)...)
}

func image(t *testing.T, version string) string {
	t.Helper()
	content, err := io.ReadAll(io.NewSectionReader(spstest.Image(version, imageSize), 0, imageSize))
	if err != nil {
		t.Fatal(err)
	}
	return clitest.File(t, content)
}

// anyText stands in a wanted Error or Left for a text that is not the program's
// own.
const anyText = "any text"

// diff compares what a run came to with the wanted status and result: one JSON
// object with all members, and nothing around it.
func diff(t *testing.T, status int, want result, got clitest.Outcome) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status %d, want %d; standard error:\n%s", got.Status, status, got.Stderr)
	}
	var members map[string]string
	if err := json.Unmarshal([]byte(got.Stdout), &members); err != nil {
		t.Fatalf("standard output is not one JSON object of texts: %v\n%s", err, got.Stdout)
	}
	var r result
	decoder := json.NewDecoder(strings.NewReader(got.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"appliance", "from", "to", "slot", "status", "step", "summary", "error", "left"} {
		if _, ok := members[name]; !ok {
			t.Errorf("the result lacks %s:\n%s", name, got.Stdout)
		}
	}
	if want.Error == anyText && r.Error != "" {
		r.Error = anyText
	}
	if want.Left == anyText && r.Left != "" {
		r.Left = anyText
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
}

// says checks what an error or the rest of the output holds.
func says(t *testing.T, got clitest.Outcome, want string) {
	t.Helper()
	if !strings.Contains(got.Stdout+got.Stderr, want) {
		t.Errorf("the output lacks %q:\n%s%s", want, got.Stdout, got.Stderr)
	}
}

// noSession checks that the program logged in and out.
func noSession(t *testing.T, a *spstest.Appliance) {
	t.Helper()
	if n := a.Sessions(); n != 0 {
		t.Errorf("%d sessions are left on the appliance", n)
	}
}

// runs checks how often the appliance restarted, and what it runs.
func runs(t *testing.T, a *spstest.Appliance, restarts int, version string) {
	t.Helper()
	if n := a.Restarts(); n != restarts {
		t.Errorf("%d restarts, want %d", n, restarts)
	}
	for _, slot := range a.Slots() {
		if slot.Current && slot.Version != version {
			t.Errorf("%s runs, want %s", slot.Version, version)
		}
	}
}

// anonymous replaces the address of the demonstration's appliance by one of the
// same width in every run.
func anonymous(t *testing.T, o clitest.Outcome) clitest.Outcome {
	t.Helper()
	_, rest, _ := strings.Cut(o.Stdout+o.Stderr, ", at ")
	addr, _, found := strings.Cut(rest, ". ")
	if !found {
		t.Fatalf("the demonstration names no address:\n%s%s", o.Stdout, o.Stderr)
	}
	o.Stdout = strings.ReplaceAll(o.Stdout, addr, "ADDRESS")
	o.Stderr = strings.ReplaceAll(o.Stderr, addr, "ADDRESS")
	return o
}

const demoStory = `No -appliance is given, so this is a demonstration: a simulated appliance was
started in this process, at ADDRESS. It runs 7.4.0 from slot 1, and slot 2
is empty. The image is made up, of 16 MiB and with version 8.1.0; the restart of an
upgrade is a real one.

Logging in.
Looking at the appliance.
Uploading the image.
Testing the image, which changes nothing.
`

func TestDemo(t *testing.T) {
	t.Parallel()
	const upgrade = "Beginning the upgrade.\nWaiting for the appliance to restart.\nVerifying what runs now.\n"
	for _, test := range []struct {
		name string
		args []string
		want clitest.Outcome
	}{
		{"text", nil, clitest.Outcome{Stdout: demoStory + upgrade + "\nADDRESS: upgraded from 7.4.0 to 8.1.0, which is in slot 2.\n"}},
		{"dry run", []string{"-dry-run", "-message", "CHG-1"}, clitest.Outcome{Stdout: demoStory +
			"\nADDRESS: 8.1.0 in slot 2 passed the firmware test.\nWhat is left: no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2.\n"}},
		{"json", []string{"-output", "json"}, clitest.Outcome{Stdout: `{
  "appliance": "ADDRESS",
  "from": "7.4.0",
  "to": "8.1.0",
  "slot": "2",
  "status": "upgraded",
  "step": "verify",
  "summary": "HA check started\nHA check finished",
  "error": "",
  "left": ""
}
`, Stderr: demoStory + upgrade + "\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := program.RunWithPassword(t, t.Context(), "", test.args...)
			if d := cmp.Diff(test.want, anonymous(t, got)); d != "" {
				t.Errorf("demonstration (-want +got):\n%s", d)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := program.Run(t, t.Context(), "-h")
	if got.Status != exitOK || !strings.Contains(got.Stdout, "usage: firmware-upgrade") || got.Stderr != "" {
		t.Errorf("-h gives %+v", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	a := start(t)
	full := reach(t, a)
	with := func(more ...string) []string { return append(full[:len(full):len(full)], more...) }
	const sum = "0000000000000000000000000000000000000000000000000000000000000000"
	for _, test := range []struct {
		name     string
		password string
		args     []string
		want     string
	}{
		{"unknown flag", clitest.Password, []string{"-force"}, "not defined: -force"},
		{"argument", clitest.Password, with("-slot", "2", "image.iso"), `unexpected argument "image.iso"`},
		{"empty appliance", clitest.Password, []string{"-appliance", ""}, "-appliance is empty"},
		{"no username", clitest.Password, []string{"-appliance", a.Addr(), "-slot", "2"}, "-appliance needs -username"},
		{"no source", clitest.Password, full, "-appliance needs one of -slot, -image and -url"},
		{"no source in a dry run", clitest.Password, with("-dry-run"), "-appliance needs one of"},
		{"an empty source", clitest.Password, with("-slot", ""), "-slot is empty"},
		{"slot and image", clitest.Password, with("-slot", "2", "-image", "x"), "-appliance needs one of"},
		{"slot and url", clitest.Password, with("-slot", "2", "-url", imageURL, "-sha256", sum), "-appliance needs one of"},
		{"all sources", clitest.Password, with("-slot", "2", "-image", "x", "-url", imageURL, "-sha256", sum), "-appliance needs one of"},
		{"url alone", clitest.Password, with("-url", imageURL), "-url and -sha256 need each other"},
		{"sum alone", clitest.Password, with("-slot", "2", "-sha256", sum), "-url and -sha256 need each other"},
		{"an empty sum", clitest.Password, with("-url", imageURL, "-sha256", ""), "-sha256 is empty"},
		{"slot without appliance", clitest.Password, []string{"-slot", "2"}, "-slot needs -appliance"},
		{"image without appliance", clitest.Password, []string{"-image", "x"}, "-image needs -appliance"},
		{"url without appliance", clitest.Password, []string{"-url", imageURL, "-sha256", sum}, "-url needs -appliance"},
		{"output", clitest.Password, []string{"-output", "junit"}, `-output "junit" is neither`},
		{"timeout", clitest.Password, []string{"-timeout", "0s"}, "-timeout must be positive"},
		{"wait", clitest.Password, []string{"-wait", "-1s"}, "-wait must not be negative"},
		{"no password", "", with("-slot", "2"), "no password"},
		{"no such ca", clitest.Password, with("-slot", "2", "-ca", "testdata/none"), "-ca: open testdata/none"},
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

func TestSources(t *testing.T) {
	t.Parallel()
	sum := spstest.ImageSHA256("8.1.0", imageSize)
	for _, test := range []struct {
		name     string
		flags    func(t *testing.T) []string
		slot, to string
	}{
		{"slot", func(*testing.T) []string { return []string{"-slot", "2"} }, "2", "8.0.0"},
		{"image", func(t *testing.T) []string { return []string{"-image", image(t, "8.1.0")} }, "3", "8.1.0"},
		{"url", func(*testing.T) []string { return []string{"-url", imageURL, "-sha256", strings.ToUpper(sum)} }, "3", "8.1.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, spstest.WithFetchPolls(0))
			a.ServeImage(imageURL, "8.1.0", sum)
			want := result{
				Appliance: a.Addr(), From: "7.4.0", To: test.to, Slot: test.slot,
				Status: upgraded, Step: sps.StepVerify, Summary: passedSummary,
			}
			got := program.Run(t, t.Context(), reach(t, a, test.flags(t)...)...)
			diff(t, exitOK, want, got)
			runs(t, a, 1, test.to)
			noSession(t, a)
			if got.Stderr != "" {
				t.Errorf("standard error:\n%s", got.Stderr)
			}
		})
		t.Run(test.name+", dry run", func(t *testing.T) {
			t.Parallel()
			a := start(t, spstest.WithFetchPolls(0))
			a.ServeImage(imageURL, "8.1.0", sum)
			want := result{
				Appliance: a.Addr(), From: "7.4.0", To: test.to, Slot: test.slot,
				Status: tested, Step: sps.StepTest, Summary: passedSummary,
				Left: "no upgrade was started; the appliance ran 7.4.0; the image stays in slot " + test.slot,
			}
			diff(t, exitOK, want, program.Run(t, t.Context(), reach(t, a, append(test.flags(t), "-dry-run")...)...))
			runs(t, a, 0, "7.4.0")
			noSession(t, a)
		})
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	a := start(t, spstest.WithCommitMessageRequired())
	got := program.Run(t, t.Context(), reach(t, a, "-slot", "2")...)
	diff(t, exitError, result{Appliance: a.Addr(), From: "7.4.0", Status: errored, Step: sps.StepPrepare, Error: anyText, Left: anyText}, got)
	runs(t, a, 0, "7.4.0")

	got = program.Run(t, t.Context(), reach(t, a, "-slot", "2", "-message", "CHG-1")...)
	if got.Status != exitOK {
		t.Errorf("with a message: %+v", got)
	}
	sent := ""
	for _, r := range a.Journal() {
		if r.Path == "/api/firmware/upgrade" {
			sent += string(r.Body)
		}
	}
	if d := cmp.Diff(`{"slot_id":2,"message":"CHG-1"}`, sent); d != "" {
		t.Errorf("upgrades sent (-want +got):\n%s", d)
	}
}

// The firmware test of the appliance is status 1, also where the upgrade runs it.
func TestFails(t *testing.T) {
	t.Parallel()
	broken := spstest.NotEnoughStorage()
	bad := spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: broken}
	want := func(a *spstest.Appliance, step sps.FirmwareUpgradeStep) result {
		return result{
			Appliance: a.Addr(), From: "7.4.0", To: "8.0.0", Slot: "2", Status: failed, Step: step, Summary: broken.Summary,
			Left: "no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2",
		}
	}
	for _, flags := range [][]string{{"-slot", "2"}, {"-slot", "2", "-dry-run"}} {
		a := start(t)
		a.SetSlot(bad)
		diff(t, exitFailed, want(a, sps.StepTest), program.Run(t, t.Context(), reach(t, a, flags...)...))
		runs(t, a, 0, "7.4.0")
		noSession(t, a)
	}

	a := start(t)
	a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func(body []byte) []byte {
		a.SetSlot(bad) // the disk fills between the test and the upgrade
		return body
	}})
	diff(t, exitFailed, want(a, sps.StepUpgrade), program.Run(t, t.Context(), reach(t, a, "-slot", "2")...))
	runs(t, a, 0, "7.4.0")

	got := program.Run(t, t.Context(), reach(t, a, "-slot", "2", "-output", "text")...)
	text := a.Addr() + ": 8.0.0 in slot 2 failed the firmware test.\n" +
		"    " + strings.ReplaceAll(broken.Summary, "\n", "\n    ") + "\n" +
		"What is left: no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2.\n"
	if d := cmp.Diff(clitest.Outcome{Status: exitFailed, Stdout: text}, got); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	sum := spstest.ImageSHA256("8.1.0", imageSize)
	inject := func(fault spstest.Fault) func(*spstest.Appliance) {
		return func(a *spstest.Appliance) { a.Inject(fault) }
	}
	for _, test := range []struct {
		name     string
		prepare  func(*spstest.Appliance)
		flags    []string
		want     result // without what is always the same
		says     string
		restarts int
	}{
		{"a wrong fingerprint", nil, []string{"-slot", "2", "-fingerprint", strings.Repeat("0", 64)}, result{Step: stepConnect}, "certificate is not trusted", 0},
		{"an unknown slot", nil, []string{"-slot", "9"}, result{Step: sps.StepPrepare, From: "7.4.0"}, "ResourceNotFound", 0},
		{"an empty slot", nil, []string{"-slot", "3"}, result{Step: sps.StepTest, From: "7.4.0", Slot: "3"}, "ResourceNotFound", 0},
		{"no such file", nil, []string{"-image", "testdata/none"}, result{Step: sps.StepUpload, From: "7.4.0"}, "testdata/none", 0},
		{"an image that is none", nil, []string{"-image", os.Args[0]}, result{Step: sps.StepUpload, From: "7.4.0"}, "InvalidFirmwareImage", 0},
		{"no such URL", nil, []string{"-url", imageURL, "-sha256", sum}, result{Step: sps.StepFetch, From: "7.4.0"}, "failed", 0},
		{"another image", func(a *spstest.Appliance) { a.ServeImage(imageURL, "8.1.0", strings.Repeat("0", 64)) },
			[]string{"-url", imageURL, "-sha256", sum}, result{Step: sps.StepFetch, From: "7.4.0"}, "failed", 0},
		{"no SHA-256", nil, []string{"-url", imageURL, "-sha256", "0123"}, result{Step: sps.StepPrepare}, "no SHA-256", 0},
		{"the test breaks", inject(spstest.Fault{Path: "firmware/test", Status: 500}), []string{"-slot", "2"},
			result{Step: sps.StepTest, From: "7.4.0", To: "8.0.0", Slot: "2"}, "500", 0},
		{"refused", inject(spstest.Fault{Path: "firmware/upgrade", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`}), []string{"-slot", "2"},
			result{Step: sps.StepUpgrade, From: "7.4.0", To: "8.0.0", Slot: "2", Summary: passedSummary}, "Unauthorized", 0},
		{"never back", func(a *spstest.Appliance) { a.AfterRestart(spstest.OutcomeNeverBack) }, []string{"-slot", "2", "-wait", "50ms"},
			result{Step: sps.StepWait, From: "7.4.0", To: "8.0.0", Slot: "2", Summary: passedSummary}, "not seen within 50ms", 1},
		{"the old version", func(a *spstest.Appliance) { a.AfterRestart(spstest.OutcomeOldVersion) }, []string{"-slot", "2", "-wait", "50ms"},
			result{Step: sps.StepWait, From: "7.4.0", To: "8.0.0", Slot: "2", Summary: passedSummary}, "not seen within 50ms", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, spstest.WithFetchPolls(0))
			if test.prepare != nil {
				test.prepare(a)
			}
			test.want.Appliance, test.want.Status, test.want.Error, test.want.Left = a.Addr(), errored, anyText, anyText
			got := program.Run(t, t.Context(), reach(t, a, test.flags...)...)
			diff(t, exitError, test.want, got)
			says(t, got, test.says)
			runs(t, a, test.restarts, "7.4.0")
			if test.restarts == 0 {
				noSession(t, a)
			}
		})
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	flags := []string{"-username", clitest.Username, "-slot", "2"}
	want := result{Status: errored, Step: stepConnect, Error: anyText, Left: "the appliance is as it was: nothing was started"}
	for _, host := range []string{nobody, "https://sps1/"} {
		want.Appliance = host
		diff(t, exitError, want, program.Run(t, t.Context(), append(flags, "-appliance", host, "-output", "json")...))
	}
	a := start(t)
	want.Appliance = a.Addr()
	got := program.RunWithPassword(t, t.Context(), "not-the-password", reach(t, a, "-slot", "2")...)
	diff(t, exitError, want, got)
	says(t, got, "AuthenticationFailure")

	got = program.Run(t, t.Context(), append(flags, "-appliance", "a b")...)
	if got.Status != exitError || !strings.HasPrefix(got.Stdout, "a b: stopped at connect: ") || !strings.Contains(got.Stdout, "\nWhat is left: ") {
		t.Errorf("text:\n%s", got.Stdout)
	}
}

// The program relies on nothing that is open in the API.
func TestVariants(t *testing.T) {
	t.Parallel()
	for name, option := range clitest.Variants(t, "firmware", "transaction") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, option)
			diff(t, exitOK, result{
				Appliance: a.Addr(), From: "7.4.0", To: "8.1.0", Slot: "3",
				Status: upgraded, Step: sps.StepVerify, Summary: passedSummary,
			}, program.Run(t, t.Context(), reach(t, a, "-image", image(t, "8.1.0"))...))
			runs(t, a, 1, "8.1.0")
			if !strings.HasPrefix(name, "logout=") { // some appliances have none
				noSession(t, a)
			}
		})
	}
}

func TestInsecureWarns(t *testing.T) {
	t.Parallel()
	a := start(t)
	got := program.Run(t, t.Context(), "-appliance", a.Addr(), "-username", clitest.Username, "-insecure", "-slot", "2")
	if got.Status != exitOK {
		t.Errorf("-insecure gives %+v", got)
	}
	says(t, got, "not verified")
}

// Whatever an appliance says, it cannot drive a terminal.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	slots := spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0\x1b[31m", Current: true},
		spstest.Slot{Key: "2", Version: "8.0.0\u009b31m\n", TestFailure: &spstest.TestFailure{
			ExitCode: 1, Summary: "\x1b]0;title\x07first\r\n\u009b2Jsecond\u202e\x7f\tthird",
		}},
	)
	for _, output := range []string{"text", "json"} {
		a := start(t, slots)
		got := program.Run(t, t.Context(), reach(t, a, "-slot", "2", "-output", output)...)
		if got.Status != exitFailed {
			t.Errorf("status %d, want %d:\n%s", got.Status, exitFailed, got.Stdout)
		}
		if strings.ContainsFunc(got.Stdout+got.Stderr, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Errorf("control characters are printed: %q", got.Stdout+got.Stderr)
		}
		if output == "json" {
			diff(t, exitFailed, result{
				Appliance: a.Addr(), From: "7.4.0[31m", To: "8.0.031m ", Slot: "2", Status: failed, Step: sps.StepTest,
				Summary: "]0;titlefirst\n2Jsecond third", Left: anyText,
			}, got)
		}
	}
}

// An interrupt ends each step and says what is left on the appliance.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		at    spstest.Fault
		flags func(t *testing.T) []string
		want  result // without what is always the same
		says  string
	}{
		{"login", spstest.Fault{Method: "GET", Path: "authentication"}, slot2, result{Step: stepConnect, Left: "the appliance is as it was: nothing was started"}, ""},
		{"prepare", spstest.Fault{Path: "firmware/slots"}, slot2,
			result{Step: sps.StepPrepare, From: "7.4.0", Left: "no upgrade was started; the appliance ran 7.4.0"}, ""},
		{"fetch", spstest.Fault{Method: "GET", Path: "firmware/fetch/*"}, func(*testing.T) []string {
			return []string{"-url", imageURL, "-sha256", spstest.ImageSHA256("8.1.0", imageSize)}
		}, result{Step: sps.StepFetch, From: "7.4.0", Left: anyText}, "its record stays"},
		{"test", spstest.Fault{Path: "firmware/test"}, slot2,
			result{Step: sps.StepTest, From: "7.4.0", To: "8.0.0", Slot: "2", Left: "no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2"}, ""},
		{"upgrade", spstest.Fault{Path: "firmware/upgrade"}, slot2,
			result{Step: sps.StepUpgrade, From: "7.4.0", To: "8.0.0", Slot: "2", Summary: passedSummary, Left: anyText}, "it is not known whether the upgrade was started"},
		{"wait", spstest.Fault{Path: "info", Skip: 1}, slot2,
			result{Step: sps.StepWait, From: "7.4.0", To: "8.0.0", Slot: "2", Summary: passedSummary, Left: anyText}, "the upgrade was started"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			a := start(t)
			over := make(chan struct{})
			test.at.Mutate = func(body []byte) []byte {
				cancel(errors.New("somebody interrupts"))
				if test.name != "login" { // what it opens is waited for
					<-over // there is no answer before the program has ended
				}
				return body
			}
			a.Inject(test.at)
			got := program.Run(t, ctx, reach(t, a, test.flags(t)...)...)
			close(over)
			test.want.Appliance, test.want.Status, test.want.Error = a.Addr(), errored, anyText
			diff(t, exitError, test.want, got)
			says(t, got, test.says)
			if test.name != "login" {
				says(t, got, "somebody interrupts")
			}
		})
	}
}

// interrupting is an image whose reading interrupts the program.
type interrupting struct {
	io.ReaderAt
	interrupt func()
}

func (i interrupting) ReadAt(p []byte, off int64) (int, error) {
	i.interrupt()
	return i.ReaderAt.ReadAt(p, off)
}

func TestCancelledUpload(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := start(t)
	const size = 1 << 30 // too much to be through before the interrupt is noticed
	image := interrupting{spstest.Image("8.1.0", size), func() { cancel(errors.New("somebody interrupts")) }}
	silent := log.New(io.Discard, "", 0)
	got, logOut := upgrade(ctx, target{
		host:       a.Addr(),
		credential: sps.UsernamePassword(clitest.Username, sps.NewSecretString(clitest.Password)),
		options:    []sps.Option{sps.WithCABundle(a.CA())},
		source:     sps.FromImage(image, size),
		progress:   newProgress(silent, silent),
	})
	if err := logOut(); err != nil {
		t.Error(err)
	}
	noSession(t, a)
	if !strings.Contains(got.Error, "somebody interrupts") {
		t.Errorf("the error does not tell why: %s", got.Error)
	}
	got.Error = anyText
	if d := cmp.Diff(result{
		Appliance: a.Addr(), From: "7.4.0", Status: errored, Step: sps.StepUpload, Error: anyText,
		Left: "no upgrade was started; the appliance ran 7.4.0; the image was not uploaded",
	}, got); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
	if len(a.Uploads()) != 0 {
		t.Error("the appliance has the image")
	}
}

// An upload whose answer is lost leaves the image on the appliance, or nobody
// knows.
func TestUploadAnswerLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		slots bool // they can be listed afterwards
		want  result
	}{
		{"known", true, result{Slot: "3", To: "8.1.0", Left: "no upgrade was started; the appliance ran 7.4.0; the image is in slot 3, unless somebody else filled that slot"}},
		{"unknown", false, result{Left: "no upgrade was started; the appliance ran 7.4.0; it is not known whether the appliance has the image"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			a.Inject(spstest.Fault{Path: "upload/firmware", CutAfter: true})
			if !test.slots { // the upgrade and the upload list them once each before
				a.Inject(spstest.Fault{Path: "firmware/slots", Skip: 2, Times: -1, Status: 500})
			}
			test.want.Appliance, test.want.From, test.want.Status, test.want.Step, test.want.Error = a.Addr(), "7.4.0", errored, sps.StepUpload, anyText
			silent := log.New(io.Discard, "", 0)
			got, logOut := upgrade(t.Context(), target{
				host:       a.Addr(),
				credential: sps.UsernamePassword(clitest.Username, sps.NewSecretString(clitest.Password)),
				options:    []sps.Option{sps.WithCABundle(a.CA()), sps.WithTimeouts(sps.Timeouts{Outcome: time.Second})},
				source:     sps.FromFile(image(t, "8.1.0")),
				progress:   newProgress(silent, silent),
			})
			if err := logOut(); err != nil {
				t.Error(err)
			}
			noSession(t, a)
			got.Error = anyText
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

func slot2(*testing.T) []string { return []string{"-slot", "2"} }

func TestTimeout(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "GET", Delay: time.Hour, MayMiss: true}) // missed where the time is over before
	got := program.Run(t, t.Context(), reach(t, a, "-slot", "2", "-timeout", "20ms")...)
	diff(t, exitError, result{Appliance: a.Addr(), Status: errored, Step: stepConnect, Error: anyText, Left: anyText}, got)
	says(t, got, "-timeout allows, 20ms")
}

// A log-out that fails says nothing about the upgrade, but must not get lost.
func TestLogOutFails(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Status: 500, Times: -1})
	got := program.Run(t, t.Context(), reach(t, a, "-slot", "2")...)
	if got.Status != exitOK || !strings.Contains(got.Stderr, "sps: "+a.Addr()+": close") {
		t.Errorf("a log-out that fails gives %+v", got)
	}
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutputLost(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"text", "json"} {
		var stderr bytes.Buffer
		status := run(t.Context(), []string{"-dry-run", "-output", output}, os.Getenv, brokenPipe{}, &stderr)
		if status != exitError || !strings.Contains(stderr.String(), "could not be printed") {
			t.Errorf("%s: status %d, want %d; standard error:\n%s", output, status, exitError, stderr.String())
		}
	}
}
