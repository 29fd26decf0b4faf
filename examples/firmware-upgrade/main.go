// Command firmware-upgrade upgrades an SPS appliance: it transfers a firmware image to
// the appliance if necessary, tests it, starts the upgrade, waits for the restart, and
// verifies the running version.
//
//	SPS_PASSWORD=… firmware-upgrade -appliance sps1.example.com -username admin -ca ca.pem -image sps-8.1.0.iso
//	SPS_PASSWORD=… firmware-upgrade -appliance sps1.example.com -username admin -ca ca.pem -slot 2 -dry-run
//
// Without -appliance it runs a demonstration on a simulated appliance, in its own
// process. With -appliance, one of these flags must say where the image comes from:
//
//	-slot KEY              it is in this slot already
//	-image FILE            it is uploaded from this file
//	-url URL -sha256 HEX   the appliance downloads it
//
// With -dry-run it stops after the test; the image stays on the appliance.
//
// The password is read from the file that -password-file names, or otherwise from the
// environment variable SPS_PASSWORD.
//
// The first Ctrl-C stops the program, which then prints the state of the appliance. A
// second one kills the program. An upgrade that was started continues on the appliance.
//
// # Output
//
// With -output text, the default, the result is text for people. With -output json,
// standard output is one JSON object and nothing else, even if the appliance cannot be
// reached. It is empty only after wrong usage. It has all of these members:
//
//	appliance  the host, as it was given
//	from       the version that ran before; "" if it is unknown
//	to         the version of the image; "" if it is unknown
//	slot       the key of the slot of the image; "" if it got into none
//	status     "upgraded", "tested" (by a dry run), "failed" (the firmware test) or "error"
//	step       the last step that was begun: connect, prepare, upload, fetch, test,
//	           upgrade, wait or verify
//	summary    the appliance's summary of the test; else ""
//	error      what went wrong, if the status is error; else ""
//	left       what is left on the appliance, in words; "" if it was upgraded
//
// Progress is shown on standard error if that is a terminal.
//
// # Exit status
//
// The status is 0 if the appliance runs the new version, or the dry run passed; 1 if the
// firmware test failed; and 2 for anything else: wrong usage, no connection, no image, no
// restart, another version than the image's, Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "firmware-upgrade: ", 0)
	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		warn.Printf("%s (-h shows the usage)", cli.Line(err.Error()))
		return exitError
	}
	printResult, story := printText, stdout
	if c.output == "json" {
		printResult, story = printJSON, stderr
	}

	details := cli.Progress(stderr)
	var t target
	if c.Appliance == "" {
		simulated, appliance, err := startDemo(story)
		if err != nil {
			warn.Print(err)
			return exitError
		}
		defer appliance.Close()
		t = simulated
		t.progress = newProgress(log.New(story, "", 0), details)
	} else if t, err = c.target(getenv); err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	} else {
		t.progress = newProgress(details, details)
	}
	t.message, t.dryRun = c.message, c.dryRun
	if c.wait > 0 {
		t.waiting = append(t.waiting, sps.WithWaitLimit(c.wait))
	}
	if c.Insecure {
		warn.Print(cli.InsecureWarning)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the time that -timeout allows, %s, is over", c.timeout))
	defer cancel()
	r, logOut := upgrade(ctx, t)
	status := r.exitStatus()
	if c.Appliance == "" {
		fmt.Fprintln(story)
	}
	if err := printResult(stdout, r); err != nil {
		warn.Printf("the result could not be printed: %v", err)
		status = exitError
	}
	// An appliance that is just restarting makes this slow: the result comes first.
	if err := logOut(); err != nil {
		warn.Printf("%s: %s", r.Appliance, cli.Line(err.Error()))
	}
	return status
}

// config has the values of the flags.
type config struct {
	cli.Connection
	slot, image, url, sha256 string
	message                  string
	dryRun                   bool
	timeout, wait            time.Duration
	output                   string
}

// parse reads the flags. If help is requested, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("firmware-upgrade", flag.ContinueOnError)
	c.Define(flags)
	flags.StringVar(&c.slot, "slot", "", "`key` of the slot with the image")
	flags.StringVar(&c.image, "image", "", "`file` with the image, to upload")
	flags.StringVar(&c.url, "url", "", "`URL` of the image, for the appliance to download; needs -sha256")
	flags.StringVar(&c.sha256, "sha256", "", "SHA-256 of the image at -url, in `hex`")
	flags.StringVar(&c.message, "message", "", "`text` for the appliance's change log")
	flags.BoolVar(&c.dryRun, "dry-run", false, "stop after the firmware test")
	flags.DurationVar(&c.timeout, "timeout", 4*time.Hour, "the `time` that the whole run may take")
	flags.DurationVar(&c.wait, "wait", 0, "the `time` to wait for the restart, and with -url for the download; without it, 30m and 2h")
	flags.StringVar(&c.output, "output", "text", "`format` of the result: text or json")
	if err := cli.Parse(flags, args, stdout); err != nil {
		return nil, err
	}
	return c, c.check(flags)
}

// check refuses flags that cannot be combined.
func (c *config) check(flags *flag.FlagSet) error {
	named := ""
	if c.Appliance != "" {
		named = "appliance"
	}
	faults := c.Check(flags, named, "message", "dry-run", "timeout", "wait", "output")
	sources := 0
	for _, source := range []string{c.slot, c.image, c.url} {
		if source != "" {
			sources++
		}
	}
	if c.Appliance != "" && sources != 1 {
		faults = append(faults, "-appliance needs one of -slot, -image and -url")
	}
	if (c.url == "") != (c.sha256 == "") {
		faults = append(faults, "-url and -sha256 need each other")
	}
	if c.output != "text" && c.output != "json" {
		faults = append(faults, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	if c.timeout <= 0 {
		faults = append(faults, "-timeout must be positive")
	}
	if c.wait < 0 {
		faults = append(faults, "-wait must not be negative")
	}
	return cli.Faults(faults)
}

// target makes what the flags and the environment say about the appliance and the
// image.
func (c *config) target(getenv func(string) string) (t target, err error) {
	t.host = c.Appliance
	if t.credential, err = c.Credential(getenv); err != nil {
		return target{}, err
	}
	if t.options, err = c.Options("firmware-upgrade"); err != nil {
		return target{}, err
	}
	switch {
	case c.slot != "":
		t.source = sps.FromSlot(c.slot)
	case c.image != "":
		t.source = sps.FromFile(c.image)
	default:
		t.source = sps.FromURL(c.url, c.sha256)
	}
	return t, nil
}
