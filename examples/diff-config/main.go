// Command diff-config shows the differences between two configurations of SPS appliances.
// Each is the folder of an export-config, or is read from an appliance.
//
//	diff-config -left monday -right friday
//	SPS_PASSWORD=… diff-config -left monday -appliance sps1.example.com -username admin -ca ca.pem
//	SPS_PASSWORD=… diff-config -appliance sps1.example.com -other sps2.example.com -by-name -username admin -ca ca.pem
//
// Without any of these it runs a demonstration on a simulated appliance, in its own
// process.
//
// With -appliance and -left or -right, the appliance is the other side; with -appliance
// and -other, the first is the left side. The user, the password and the certificates to
// trust are the same for both. The password is read from the file that -password-file
// names, or otherwise from the environment variable SPS_PASSWORD.
//
// # What is compared
//
// An object is compared with the one of the same path. Keys of objects are the
// appliance's own, so between two appliances -by-name is what is wanted: objects of a
// list are the same if they have the same name, and only those without one, or whose name
// is not there on both sides, if they have the same key.
//
// A reference to another object is its key, or with -by-name the object that it refers
// to. What else an answer says about it does not count. With -by-name, references that
// differ and lead to objects that neither configuration has, such as passwords, cannot be
// compared: they are no differences, and with -output text they are counted.
//
// In a list within an object, elements belong together if they are the same text or
// reference, or have the same key or name; where that is not unique, if they have the
// same position. The order counts, that of the objects of a list too, unless
// -ignore-order is given. Ids that stand within an object, such as those of network
// interfaces, are compared as they are, also with -by-name.
//
// With -root only a part is compared. Without it, that is what both folders have, which
// must be the same, or all. -exclude leaves out paths with everything below them, those
// of the left side or of the right.
//
// # Output
//
// With -output text, the default, there is one line for each member that differs, as
// "path#member: old -> new", and for each object that is only on one side; in quotes the
// name of an object that has one. A value that is long is shortened.
//
// With -output json, standard output has one object per line and difference, and nothing
// else. It has all of these members:
//
//	change  "changed", "added", "removed", or "order"
//	left    the path on the left; "" if the object is not there
//	right   the path on the right; "" if the object is not there
//	name    the name of the object; "" if it has none
//	member  where in the object, as a JSON Pointer without its first slash; "" for
//	        the whole
//	old     the value on the left; null if it is not there, or hidden
//	new     the value on the right; null if it is not there, or hidden
//	hidden  whether there are values that are not shown
//
// A reference is a text in it.
//
// Values that may be secret are not shown unless -show-secrets is given, only that they
// differ. Those are all but true, false and null in a place whose name, or any above it,
// has to do with passwords, keys, credentials and the like; and texts that look like key
// material, or like a URL with a password.
//
// # Exit status
//
// The status is 0 if there is no difference, 1 if there are some, and 2 if something
// could not be done: wrong usage, no connection, no login, a folder that is not an
// export, a part that refused to be read; what could be compared is shown anyway. 2 takes
// precedence over 1. That no appliance shows its lists of passwords and private keys is
// documented, and does not count. The demonstration has status 0.
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

// The exit statuses. The greater one wins.
const (
	exitSame      = 0
	exitDifferent = 1
	exitError     = 2 // something could not be carried out
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "diff-config: ", 0)
	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitSame
	}
	if err != nil {
		warn.Printf("%s (-h shows the usage)", cli.Line(err.Error()))
		return exitError
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the time that -timeout allows, %s, is over", c.timeout))
	defer cancel()

	t := target{root: c.root, progress: cli.Progress(stderr), warn: warn}
	var sides [2]*export.Export
	demo := c.demo()
	if demo {
		story := stdout
		if c.output == "json" {
			story = stderr
		}
		sides, err = readDemo(ctx, t, story)
	} else {
		if c.Insecure {
			warn.Print(cli.InsecureWarning)
		}
		sides, err = c.read(ctx, t, getenv)
	}
	if err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}

	r, err := compare(sides, c.options)
	if err != nil {
		warn.Print(cli.Line(err.Error()))
		return exitError
	}
	for _, problem := range r.problems {
		warn.Print(problem)
	}
	if err := printers[c.output](stdout, r); err != nil {
		warn.Printf("the differences could not be printed: %v", err)
		return exitError
	}
	if status := r.exitStatus(); !demo || status == exitError {
		return status
	}
	return exitSame
}

// config has the values of the flags.
type config struct {
	cli.Connection
	left, right, other string
	root               string
	options            options
	output             string
	timeout            time.Duration
}

// options say how to compare.
type options struct {
	root                             string // "": that of both sides
	exclude                          cli.Values
	byName, ignoreOrder, showSecrets bool
}

// parse reads the flags. If help is requested, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("diff-config", flag.ContinueOnError)
	c.Define(flags)
	flags.StringVar(&c.left, "left", "", "`folder` of an export, for the left side")
	flags.StringVar(&c.right, "right", "", "`folder` of an export, for the right side")
	flags.StringVar(&c.other, "other", "", "`host[:port]` of a second appliance, for the right side")
	flags.StringVar(&c.root, "root", "", "`path` of the part to compare, such as configuration/management")
	flags.Var(&c.options.exclude, "exclude", "`path` to leave out, with everything below it; may be repeated")
	flags.BoolVar(&c.options.byName, "by-name", false, "match the objects of a list by their names, not by their keys")
	flags.BoolVar(&c.options.ignoreOrder, "ignore-order", false, "do not compare the order of lists")
	flags.BoolVar(&c.options.showSecrets, "show-secrets", false, "show values that may be secret too")
	flags.DurationVar(&c.timeout, "timeout", time.Hour, "the `time` that the whole run may take")
	flags.StringVar(&c.output, "output", "text", "`format` of the differences: text or json")
	if err := cli.Parse(flags, args, stdout); err != nil {
		return nil, err
	}
	return c, c.check(flags)
}

// demo reports whether the flags name nothing to compare.
func (c *config) demo() bool { return c.left+c.right+c.Appliance+c.other == "" }

// check refuses flags that cannot be combined.
func (c *config) check(flags *flag.FlagSet) error {
	named := ""
	if c.Appliance != "" {
		named = "appliance"
	}
	faults := c.Check(flags, named,
		"left", "right", "root", "exclude", "by-name", "ignore-order", "show-secrets", "timeout", "output")
	sides := 0
	for _, side := range []string{c.left, c.right, c.Appliance, c.other} {
		if side != "" {
			sides++
		}
	}
	if sides != 2 && !c.demo() {
		faults = append(faults, "two of -left, -right, -appliance and -other are needed")
	}
	if c.other != "" && c.left+c.right != "" {
		faults = append(faults, "-other is for two appliances, and excludes -left and -right")
	}
	if c.root != "" {
		root, err := export.CheckRoot(c.root)
		if err != nil {
			faults = append(faults, fmt.Sprintf("-root: %v", err))
		}
		c.root = root
	}
	c.options.root = c.root
	for i, excluded := range c.options.exclude {
		path, err := export.CheckRoot(excluded)
		if err != nil {
			faults = append(faults, fmt.Sprintf("-exclude: %v", err))
		}
		c.options.exclude[i] = path
	}
	if printers[c.output] == nil {
		faults = append(faults, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	if c.timeout <= 0 {
		faults = append(faults, "-timeout must be positive")
	}
	return cli.Faults(faults)
}
