// Command export-config writes the configuration of an SPS appliance to a folder of JSON
// files, to keep in git, to look at, or to compare with diff-config.
//
//	SPS_PASSWORD=… export-config -appliance sps1.example.com -username admin -ca ca.pem -out sps1
//	SPS_PASSWORD=… export-config -appliance sps1.example.com -username admin -ca ca.pem -out sps1 -replace
//
// Without -appliance it runs a demonstration on a simulated appliance, in its own
// process. It writes to a temporary folder, or to the folder of -out, which it keeps.
//
// The password is read from the file that -password-file names, or otherwise from the
// environment variable SPS_PASSWORD.
//
// The program only reads, and it reads committed values only. The export is not a backup:
// it lacks the secrets that the appliance never shows, and an appliance cannot be
// restored from it.
//
// # The folder
//
// Everything with a body is a file, at its path: configuration/management/email is
// configuration/management/email.json. What the path has beside small letters, digits, -
// and _ is written as %xx. The file is the body as the appliance shows it, indented, its
// members in order, so that two exports differ only where the configuration does.
//
// The file _export.json has these members:
//
//	format             1
//	host               the appliance
//	firmware_version   the firmware that it runs
//	config_hash        the appliance's own mark of its configuration
//	changed_meanwhile  whether the configuration was changed during the export, so
//	                   that its parts may not fit together
//	root               the path of what was exported, see -root
//	listings           the paths that only list others
//	objects            the paths with a file, in the order of the appliance
//	refused            what could not be read, each with its path, the error, and
//	                   whether that is documented; an object whose key cannot be
//	                   part of a path has a member key, and the path of its list
//
// The configuration may hold secrets: the folder and its files are for their owner only.
//
// The folder gets its name when it is complete. Until then it has another one beside it,
// beginning with a dot, that is removed if anything goes wrong. A folder that exists is
// replaced only with -replace, as a whole, and only if it is an export: one with any
// other file, such as a repository in it, is left alone.
//
// # Exit status
//
// The status is 0 if everything was exported; 1 if the folder was written, but something
// refused to be read, or the configuration was changed meanwhile; and 2 if it failed:
// wrong usage, no connection, no login, a folder that must stay, Ctrl-C.
//
// The appliance does not allow anybody to read the lists of passwords and private keys.
// This is documented and does not cause status 1.
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
	"github.com/go-sps/sps/examples/internal/export"
)

// The exit statuses.
const (
	exitOK      = 0 // everything was exported
	exitPartial = 1 // the folder was written, but lacks something
	exitError   = 2 // it failed
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "export-config: ", 0)
	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		warn.Printf("%s (-h shows the usage)", cli.Line(err.Error()))
		return exitError
	}
	t := target{root: c.root, out: c.out, replace: c.replace, progress: cli.Progress(stderr), warn: warn}
	if c.Appliance == "" {
		return demo(ctx, c, t, stdout)
	}
	if err := c.reach(&t, getenv); err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}
	if c.Insecure {
		warn.Print(cli.InsecureWarning)
	}
	e, err := c.export(ctx, t)
	if err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}
	if err := printResult(stdout, e, c.out); err != nil {
		warn.Printf("the export is complete, but the result could not be printed: %v", err)
		return exitError
	}
	return exitStatus(e)
}

// export is the export within the time that it may take.
func (c *config) export(ctx context.Context, t target) (*export.Export, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the time that -timeout allows, %s, is over", c.timeout))
	defer cancel()
	return exportTo(ctx, t)
}

// config has the values of the flags.
type config struct {
	cli.Connection
	out, root string
	replace   bool
	timeout   time.Duration
}

// parse reads the flags. If help is requested, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("export-config", flag.ContinueOnError)
	c.Define(flags)
	flags.StringVar(&c.out, "out", "", "`folder` to write")
	flags.BoolVar(&c.replace, "replace", false, "replace the folder of an earlier export")
	flags.StringVar(&c.root, "root", export.Configuration, "`path` of the part to export, such as configuration/management")
	flags.DurationVar(&c.timeout, "timeout", time.Hour, "the `time` that the whole run may take")
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
	faults := c.Check(flags, named, "out", "replace", "root", "timeout")
	if c.Appliance != "" && c.out == "" {
		faults = append(faults, "-appliance needs -out")
	}
	if c.replace && c.out == "" {
		faults = append(faults, "-replace needs -out")
	}
	if c.timeout <= 0 {
		faults = append(faults, "-timeout must be positive")
	}
	root, err := export.CheckRoot(c.root)
	if err != nil {
		faults = append(faults, fmt.Sprintf("-root: %v", err))
	}
	c.root = root
	return cli.Faults(faults)
}

// reach completes the target by what the flags and the environment say about the
// appliance.
func (c *config) reach(t *target, getenv func(string) string) (err error) {
	t.host = c.Appliance
	if t.credential, err = c.Credential(getenv); err != nil {
		return err
	}
	t.options, err = c.Options("export-config")
	return err
}
