// Command trust-store shows the trust stores of an SPS appliance, finds the certificate
// authorities in them that expire, and replaces them.
//
//	SPS_PASSWORD=… trust-store -appliance sps1.example.com -username admin -ca ca.pem
//	SPS_PASSWORD=… trust-store -appliance sps1.example.com -username admin -ca ca.pem -expiring 720h
//	SPS_PASSWORD=… trust-store -appliance sps1.example.com -username admin -ca ca.pem \
//		-store LDAP -rotate-in new.pem -rotate-out old.pem -message CHG-1234
//
// Without -appliance it runs a demonstration on a simulated appliance, in its own
// process.
//
// Without other flags it lists all trust stores; with -store alone, that one with its
// authorities. With -expiring it lists the authorities that expire within a time, such as
// 720h, or before a date, such as 2027-01-01, which begins in UTC; with -store, those of
// that store.
//
// To change a store, -store names it, and there is at least one of:
//
//	-rotate-in FILE      adds the certificates of this PEM file
//	-rotate-out FILE     removes the certificates of this PEM file
//	-remove FINGERPRINT  removes the certificate with this SHA-256, instead of -rotate-out
//
// Everything happens in one transaction: nothing is removed unless everything is added.
// The program may be run again: it does not add a certificate that the store already has,
// and it ignores a certificate of -rotate-out that the store does not have. An unknown
// fingerprint is an error, because it may be misspelt. With -create, a store that does
// not exist is created, without a revocation check. A PEM file with a private key is
// refused before anything is sent.
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
// With -output text, the default, the stores and authorities are tables. With -output
// json, standard output is one JSON object and nothing else, even if the appliance cannot
// be reached. It is empty only after wrong usage. It has all of these members:
//
//	appliance  the host, as it was given
//	status     "shown", "expiring" (some do), "not-expiring", "changed", "unchanged"
//	           (there was nothing to change), "would-change" (by a dry run) or "error"
//	stores     the stores that were listed, each with key, name, type,
//	           revocation_check, authorities and earliest_expiry; the built-in one
//	           does not tell its authorities
//	expiring   the authorities that expire
//	created    whether the store was or would be made
//	added      the authorities that were or would be added
//	removed    the authorities that were or would be removed
//	note       what to look at, in words; else ""
//	error      what went wrong, if the status is error; else ""
//
// An authority has the members store (a name), subject, fingerprint (SHA-256) and
// expires; of one that cannot be read, the last one is "".
//
// # Exit status
//
// The status is 0 if everything was done or there was nothing to do; 1 if -expiring found
// an authority; and 2 for anything else: wrong usage, no connection, no such store, a
// certificate that cannot be read, no right to change the configuration, a lock that
// somebody else holds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "trust-store: ", 0)
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
		appliance, demo, err := startDemo(story, time.Now())
		if err != nil {
			warn.Print(err)
			return exitError
		}
		defer appliance.Close()
		target, scenes = cli.Simulated(appliance), demo
	} else if target, err = c.Target("trust-store", getenv); err != nil {
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
	expiring, rotateIn, rotateOut string
	output                        string
}

// parse reads the flags, and the files that they name. If help is asked for, it is
// written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("trust-store", flag.ContinueOnError)
	c.Connection.Define(flags)
	flags.StringVar(&c.store, "store", "", "`name` of the trust store")
	flags.StringVar(&c.expiring, "expiring", "", "list the authorities that expire within this `time` (720h) or before this date (2027-01-01)")
	flags.StringVar(&c.rotateIn, "rotate-in", "", "PEM `file` of certificates to add")
	flags.StringVar(&c.rotateOut, "rotate-out", "", "PEM `file` of certificates to remove")
	flags.Var(&c.remove, "remove", "SHA-256 of a certificate to remove, in `hex`; may be repeated")
	flags.BoolVar(&c.create, "create", false, "make the store if it does not exist")
	c.Change.Define(flags)
	flags.StringVar(&c.output, "output", "text", "`format` of the result: text or json")
	if err := cli.Parse(flags, args, stdout); err != nil {
		return nil, err
	}
	if err := c.check(flags); err != nil {
		return nil, err
	}
	var err error
	if c.before, err = moment(c.expiring, time.Now()); err != nil {
		return nil, fmt.Errorf("-expiring: %w", err)
	}
	if c.in, err = readPEM(c.rotateIn); err != nil {
		return nil, fmt.Errorf("-rotate-in: %w", err)
	}
	if c.out, err = readPEM(c.rotateOut); err != nil {
		return nil, fmt.Errorf("-rotate-out: %w", err)
	}
	return c, c.contradiction()
}

// check refuses flags that cannot be combined.
func (c *config) check(flags *flag.FlagSet) error {
	named := ""
	if c.Appliance != "" {
		named = "appliance"
	}
	changes := c.rotateIn != "" || c.rotateOut != "" || len(c.remove) > 0
	faults := c.Connection.Check(flags, named, "output")
	faults = append(faults, c.Change.Check(flags, changes)...)
	if changes && c.store == "" {
		faults = append(faults, "-rotate-in, -rotate-out and -remove need -store")
	}
	if changes && c.expiring != "" {
		faults = append(faults, "-expiring excludes -rotate-in, -rotate-out and -remove")
	}
	if c.rotateOut != "" && len(c.remove) > 0 {
		faults = append(faults, "-rotate-out excludes -remove")
	}
	if c.create && c.rotateIn == "" {
		faults = append(faults, "-create needs -rotate-in")
	}
	if c.output != "text" && c.output != "json" {
		faults = append(faults, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	return cli.Faults(faults)
}

// contradiction finds a certificate that is to be added and removed.
func (c *config) contradiction() error {
	added := sps.NewTrustStore("", c.in...)
	for _, certificate := range c.out {
		if _, err := added.Authority(sps.CertificateFingerprint(certificate)); err == nil {
			return fmt.Errorf("-rotate-in and -rotate-out both have the certificate %s", certificate.Subject)
		}
	}
	for _, fingerprint := range c.remove {
		if _, err := added.Authority(fingerprint); err == nil {
			return fmt.Errorf("-rotate-in has the certificate that -remove names, %s", fingerprint)
		}
	}
	return nil
}

// moment reads a time from now, or a date. Nothing is the zero time.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if date, err := time.Parse(time.DateOnly, text); err == nil {
		return date, nil
	}
	within, err := time.ParseDuration(text)
	if err != nil || within < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time such as 720h nor a date such as 2027-01-01", text)
	}
	return now.Add(within), nil
}

// readPEM reads the certificates of a file, none without a name.
func readPEM(name string) (certificates, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	found, err := sps.ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return found, nil
}
