// Command traffic-alerts shows which alerts an SPS appliance sends by e-mail and SNMP,
// and switches them on and off.
//
//	SPS_PASSWORD=… traffic-alerts -appliance sps1.example.com -username admin -ca ca.pem
//	SPS_PASSWORD=… traffic-alerts -appliance sps1.example.com -username admin -ca ca.pem \
//		-enable email -alert scbConnectionDenied,scbAuthFailure -message CHG-1234
//
// Without -appliance it runs a demonstration on a simulated appliance, in its own
// process.
//
// Without -enable and -disable it shows all alerts. With one of them, or both, it
// switches these channels, email or snmp, for the alerts that -alert names or for -all of
// them; the other channel and the other alerts stay as they are. The alerts are the
// traffic alerts, or with -system the system alerts. If the appliance does not have one
// of the alerts, that is an error and nothing is switched.
//
// With -dry-run the program makes the change in a transaction and rolls it back. -message
// is the text for the change log, which some appliances require. -wait is how long to
// wait while somebody else holds the configuration lock; without it, a held lock is an
// error at once.
//
// The password is read from the file that -password-file names, or otherwise from the
// environment variable SPS_PASSWORD.
//
// The first Ctrl-C stops the program and rolls back what is not committed. A second one
// kills the program.
//
// # Output
//
// With -output text, the default, the alerts are a table, and so are the changes. With
// -output json, standard output is one JSON object and nothing else, even if the
// appliance cannot be reached. It is empty only after wrong usage. It has all of these
// members:
//
//	appliance  the host, as it was given
//	status     "shown", "changed", "unchanged" (there was nothing to change),
//	           "would-change" (by a dry run) or "error"
//	alerts     [{"alert", "email", "snmp"}]: all alerts, as they are in the end; with
//	           an error as far as they are known, and after a dry run as they would be
//	email_to   the address of the e-mail alerts; "" if it cannot be read
//	snmp_to    the server of the SNMP alerts; "" if it cannot be read, or is off
//	changes    [{"alert", "channel", "from", "to"}]: what was or would be switched
//	error      what went wrong, if the status is error; else ""
//
// # Exit status
//
// The status is 0 if everything was done or there was nothing to do, and 2 for anything
// else: wrong usage, no connection, an unknown alert, no right to change the
// configuration, a lock that somebody else holds. 1 is not used.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"slices"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "traffic-alerts: ", 0)
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

	var target cli.Target
	scenes := []scene{{job: c.job}}
	if c.Appliance == "" {
		appliance, err := startDemo(story)
		if err != nil {
			warn.Print(err)
			return exitError
		}
		defer appliance.Close()
		target, scenes = cli.Simulated(appliance), demo
	} else if target, err = c.Target("traffic-alerts", getenv); err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}
	if c.Insecure {
		warn.Print(cli.InsecureWarning)
	}

	r := play(ctx, target, scenes, story, warn)
	if err := printResult(stdout, r); err != nil {
		warn.Printf("the result could not be printed: %v", err)
		return exitError
	}
	return r.exitStatus()
}

// play logs in, does one job after the other, and logs out. It tells about all but
// the last one, and returns the result of that.
func play(ctx context.Context, target cli.Target, scenes []scene, story io.Writer, warn *log.Logger) result {
	client, err := sps.Connect(ctx, target.Host, target.Credential, target.Options...)
	if err != nil {
		r := newResult(target.Host)
		return r.fail(err)
	}
	// Close logs out even if ctx is done, so that no session remains.
	defer func() {
		if err := client.Close(ctx); err != nil {
			warn.Printf("%s: %s", cli.Line(target.Host), cli.Line(err.Error()))
		}
	}()
	var r result
	for i, s := range scenes {
		if i > 0 {
			printText(story, r)
			fmt.Fprintln(story)
		}
		fmt.Fprint(story, s.caption)
		if r = do(ctx, client, target.Host, s.job); r.Status == errored {
			break
		}
	}
	return r
}

// config has the values of the flags.
type config struct {
	cli.Connection
	job
	output string
}

// parse reads the flags. If help is requested, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("traffic-alerts", flag.ContinueOnError)
	c.Connection.Define(flags)
	flags.Var(&c.enable, "enable", "`channel` to switch on: email or snmp; may be repeated")
	flags.Var(&c.disable, "disable", "`channel` to switch off: email or snmp; may be repeated")
	flags.Var(&c.alerts, "alert", "`id` of an alert to switch; may be repeated")
	flags.BoolVar(&c.all, "all", false, "switch all alerts")
	flags.BoolVar(&c.system, "system", false, "the alerts about the appliance itself, instead of those about the traffic")
	c.Change.Define(flags)
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
	faults := c.Connection.Check(flags, named, "output")
	faults = append(faults, c.Change.Check(flags, c.changes())...)
	for _, channel := range slices.Concat(c.enable, c.disable) {
		if channel != string(sps.ChannelEmail) && channel != string(sps.ChannelSNMP) {
			faults = append(faults, fmt.Sprintf("%q is no channel: use email or snmp", channel))
		}
	}
	if slices.ContainsFunc(c.enable, func(channel string) bool { return slices.Contains(c.disable, channel) }) {
		faults = append(faults, "-enable and -disable have the same channel")
	}
	chosen := c.all || len(c.alerts) > 0
	switch {
	case c.all && len(c.alerts) > 0:
		faults = append(faults, "-all excludes -alert")
	case c.changes() && !chosen:
		faults = append(faults, "-enable and -disable need -alert or -all")
	case chosen && !c.changes():
		faults = append(faults, "-alert and -all need -enable or -disable")
	}
	if c.output != "text" && c.output != "json" {
		faults = append(faults, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	return cli.Faults(faults)
}
