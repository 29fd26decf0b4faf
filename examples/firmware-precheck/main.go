// Command firmware-precheck tests whether SPS appliances can be upgraded to the firmware
// in their slots. It changes nothing on them.
//
//	SPS_PASSWORD=… firmware-precheck -appliance sps1.example.com -username admin -ca ca.pem
//	SPS_PASSWORD=… firmware-precheck -appliances hosts.txt -username admin -ca ca.pem -output junit
//
// Without -appliance and -appliances it runs a demonstration on a simulated appliance, in
// its own process.
//
// Without -slot it tests every slot whose version is higher than the running one or
// cannot be compared with it, and skips the others. With -slot it tests the given slots,
// whatever their versions.
//
// The password is read from the file that -password-file names, or otherwise from the
// environment variable SPS_PASSWORD.
//
// # Several appliances
//
// The file of -appliances has one host[:port] per line. Empty lines, and everything after
// a #, are ignored. A duplicate host is wrong usage. The password and the certificates to
// trust are the same for all. -parallel is how many appliances are tested at a time. An
// appliance that fails, or exceeds -appliance-timeout, gets an error result and does not
// stop the others; appliances that are not finished when -timeout is over get error
// results.
//
// # Output
//
// The results are in the order of the appliances, then of their slots.
//
// With -output text, the default, they are a table, with the summary of a failed test
// below its row. With -output json, standard output is one object {"results": [...]} and
// nothing else, even if no appliance can be reached. It is empty only after wrong usage.
// Every result has all of these members:
//
//	appliance  the host, as it was given
//	slot       the key of the slot; "" if the result is about the whole appliance
//	version    the version in the slot; "" if it is empty or unknown
//	status     "passed", "failed", "error" (could not be tested) or "skipped"
//	exit_code  0 if passed; if failed, the appliance's number, null if it gave
//	           none; else null
//	summary    the appliance's summary of the test; why, if skipped; else ""
//	error      what went wrong, if the status is error; else ""
//
// With -output jsonl, the same results stand on a line each, for tools that read JSON
// Lines.
//
// With -output junit, standard output is JUnit XML, which CI servers read: a test suite
// per appliance, and in it a test case per result, named like "slot 2 (8.0.0)", or
// "appliance" if it is about the whole one. The summary is the text of a failure, and the
// standard output of a case that passed.
//
// Progress is shown on standard error if that is a terminal.
//
// # Exit status
//
// The status is 0 if no precheck failed, 1 if at least one failed, and 2 if something
// could not be done: wrong usage, no connection, no login, no slot to test, a slot that
// could not be tested. 2 takes precedence over 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/go-sps/sps/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "firmware-precheck: ", 0)
	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		warn.Printf("%s (-h shows the usage)", cli.Line(err.Error()))
		return exitError
	}
	story := stdout
	if c.output != "text" {
		story = stderr
	}

	var hosts []string
	var t target
	demo := c.named() == ""
	if demo {
		simulated, appliance, err := startDemo(story)
		if err != nil {
			warn.Print(err)
			return exitError
		}
		defer appliance.Close()
		hosts, t = []string{appliance.Addr()}, simulated
	} else if hosts, t, err = c.targets(getenv); err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}
	t.slots, t.limit = c.slots, c.applianceTimeout
	if demo && len(t.slots) == 0 {
		fmt.Fprint(story, "Only a version higher than the running one is worth a test:\n\n")
	}
	if c.Insecure {
		warn.Print(cli.InsecureWarning)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the time that -timeout allows, %s, is over", c.timeout))
	defer cancel()
	results := precheckAll(ctx, t, hosts, c.parallel, cli.Progress(stderr), warn)
	if err := printers[c.output](stdout, results); err != nil {
		warn.Printf("the results could not be printed: %v", err)
		return exitError
	}
	if demo {
		fmt.Fprintf(story, "\nThe verdict: %s.\n", verdict(results))
	}
	return exitStatus(results)
}

// config has the values of the flags.
type config struct {
	cli.Connection
	appliances                string
	parallel                  int
	slots                     cli.Values
	timeout, applianceTimeout time.Duration
	output                    string
}

// parse reads the flags. If help is requested, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("firmware-precheck", flag.ContinueOnError)
	c.Define(flags)
	flags.StringVar(&c.appliances, "appliances", "", "`file` of several appliances, one host[:port] per line, instead of -appliance")
	flags.IntVar(&c.parallel, "parallel", 4, "`number` of appliances to test at a time")
	flags.Var(&c.slots, "slot", "`key` of a slot to test, instead of those with a higher version; may be repeated")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Hour, "the `time` that the whole run may take")
	flags.DurationVar(&c.applianceTimeout, "appliance-timeout", 0, "the `time` that one appliance may take; without it, only -timeout counts")
	flags.StringVar(&c.output, "output", "text", "`format` of the results: text, json, jsonl or junit")
	if err := cli.Parse(flags, args, stdout); err != nil {
		return nil, err
	}
	return c, c.check(flags)
}

// named is the flag that names the appliance or appliances, "" for none.
func (c *config) named() string {
	switch {
	case c.appliances != "":
		return "appliances"
	case c.Appliance != "":
		return "appliance"
	}
	return ""
}

// check refuses flags that cannot be combined.
func (c *config) check(flags *flag.FlagSet) error {
	faults := c.Check(flags, c.named(), "slot", "timeout", "output")
	if c.Appliance != "" && c.appliances != "" {
		faults = append(faults, "-appliances excludes -appliance")
	}
	if printers[c.output] == nil {
		faults = append(faults, fmt.Sprintf("-output %q is none of text, json, jsonl and junit", c.output))
	}
	if c.parallel < 1 {
		faults = append(faults, "-parallel must be at least 1")
	}
	if c.timeout <= 0 {
		faults = append(faults, "-timeout must be positive")
	}
	if c.applianceTimeout < 0 {
		faults = append(faults, "-appliance-timeout must not be negative")
	}
	return cli.Faults(faults)
}

// targets makes what the flags and the environment say about the appliances.
func (c *config) targets(getenv func(string) string) (hosts []string, t target, err error) {
	hosts = []string{c.Appliance}
	if c.appliances != "" {
		if hosts, err = readHosts(c.appliances); err != nil {
			return nil, target{}, fmt.Errorf("-appliances: %w", err)
		}
	}
	if t.credential, err = c.Credential(getenv); err != nil {
		return nil, target{}, err
	}
	if t.options, err = c.Options("firmware-precheck"); err != nil {
		return nil, target{}, err
	}
	return hosts, t, nil
}
