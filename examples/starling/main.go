// Command starling shows whether an SPS appliance is joined to One Identity Starling,
// switches remote access, and takes the appliance out of Starling.
//
//	SPS_PASSWORD=… starling -appliance sps1.example.com -username admin -ca ca.pem
//	SPS_PASSWORD=… starling -appliance sps1.example.com -username admin -ca ca.pem -remote-access off -message CHG-1234
//	SPS_PASSWORD=… starling -appliance sps1.example.com -username admin -ca ca.pem -unjoin -disable-remote-access
//
// Without -appliance it runs a demonstration on a simulated appliance, in its own
// process.
//
// Without other flags it shows the state of the join. These flags select something else:
//
//	-remote-access on|off  switches remote access, in a transaction
//	-check-unjoin          checks whether an unjoin would be refused, and why
//	-unjoin                checks that, and unjoins the appliance if it would not be
//
// While remote access is on, the appliance refuses an unjoin. -disable-remote-access
// switches it off first; -force unjoins the appliance anyway.
//
// It does not join an appliance. The guide recommends the web interface for that (Basic
// Settings > Starling Integration > Start join), because Starling issues the credentials
// to a browser.
//
// With -dry-run it shows what would be done; a transaction is run and rolled back.
// -message is the text for the change log, which some appliances require. -wait is how
// long to wait while somebody else holds the configuration lock; without it, a held lock
// is an error at once. Both apply to transactions only, so -unjoin uses them only with
// -disable-remote-access.
//
// The password is read from the file that -password-file names, or otherwise from the
// environment variable SPS_PASSWORD.
//
// The first Ctrl-C stops the program and rolls back what is not committed. A second one
// kills the program.
//
// # Output
//
// With -output text, the default, the result is text for people. With -output json,
// standard output is one JSON object and nothing else, even if the appliance cannot be
// reached. It is empty only after wrong usage. It has all of these members:
//
//	appliance         the host, as it was given
//	status            "shown", "changed", "unchanged" (there was nothing to change),
//	                  "would-change" (by a dry run), "allowed" (the unjoin would not
//	                  be refused), "refused" (it would, and was not tried),
//	                  "unjoined" or "error"
//	joined            whether the appliance is joined, in the end
//	product_instance  its name at Starling; "" if it is unknown
//	product_tims      its license number; "" if it is unknown
//	remote_access     whether remote access is on, in the end
//	products          [{"name", "link", "activated"}]: what it is integrated with, if
//	                  the state is shown
//	warnings          what the appliance says about that list, and if it cannot be
//	                  read, why; texts
//	reasons           why an unjoin would be refused; texts
//	error             what went wrong, if the status is error; else ""
//
// # Exit status
//
// The status is 0 if everything was done or there was nothing to do; 1 if an unjoin would
// be refused, and so was not tried; and 2 for anything else: wrong usage, no connection,
// no right to do it, a lock that somebody else holds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "starling: ", 0)
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
	} else if target, err = c.Target("starling", getenv); err != nil {
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
		return newResult(target.Host).fail(err)
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
	flags := flag.NewFlagSet("starling", flag.ContinueOnError)
	c.Connection.Define(flags)
	flags.StringVar(&c.remoteAccess, "remote-access", "", "switch remote access `on or off`")
	flags.BoolVar(&c.checkUnjoin, "check-unjoin", false, "tell whether an unjoin would be refused")
	flags.BoolVar(&c.unjoin, "unjoin", false, "unjoin the appliance, unless that would be refused")
	flags.BoolVar(&c.disable, "disable-remote-access", false, "switch remote access off before the unjoin")
	flags.BoolVar(&c.force, "force", false, "unjoin also while remote access is on")
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
	faults = append(faults, c.Change.Check(flags, c.remoteAccess != "" || c.unjoin)...)
	jobs := 0
	for _, asked := range []bool{c.remoteAccess != "", c.checkUnjoin, c.unjoin} {
		if asked {
			jobs++
		}
	}
	if jobs > 1 {
		faults = append(faults, "-remote-access, -check-unjoin and -unjoin exclude each other")
	}
	if c.remoteAccess != "" && c.remoteAccess != on && c.remoteAccess != off {
		faults = append(faults, fmt.Sprintf("-remote-access %q is neither on nor off", c.remoteAccess))
	}
	if (c.disable || c.force) && !c.unjoin {
		faults = append(faults, "-disable-remote-access and -force need -unjoin")
	}
	if c.disable && c.force {
		faults = append(faults, "-force excludes -disable-remote-access")
	}
	if c.unjoin && !c.disable && (c.Message != "" || c.Wait != 0) {
		faults = append(faults, "-message and -wait are about a transaction, which -unjoin alone is not")
	}
	if c.output != "text" && c.output != "json" {
		faults = append(faults, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	return cli.Faults(faults)
}
