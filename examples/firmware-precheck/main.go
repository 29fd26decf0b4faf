// Command firmware-precheck asks an SPS appliance whether it could be upgraded
// to the firmware in its slots. It changes nothing on the appliance.
//
//	SPS_PASSWORD=… firmware-precheck -appliance sps1.example.com -username admin -ca ca.pem
//
// Without -appliance it shows what it does on a simulated appliance, in its own
// process.
//
// Without -slot it tests every slot whose version is higher than the running
// one, or cannot be compared with it, and skips the other ones. With -slot it
// tests these slots, whatever they hold.
//
// The password is read from the environment variable SPS_PASSWORD or from the
// file that -password-file names, which counts more.
//
// # Output
//
// With -output text, the default, the results are a table, with the summary of
// a failed test below its row. With -output json, standard output is one object
// {"results": [...]} and nothing else, also when the appliance cannot be reached;
// only wrong usage leaves it empty. Every result has all of these members:
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
// Progress is shown on standard error where that is a terminal.
//
// # Exit status
//
// The status is 0 if no precheck failed, 1 if at least one did, and 2 if
// something could not be carried out: wrong usage, no connection, no login, no
// slot to test, a slot that could not be tested. 2 wins over 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-sps/sps"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal logs out and ends, a second one kills
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program, and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	warn := log.New(stderr, "firmware-precheck: ", 0)
	progress := log.New(io.Discard, "", 0)
	if isTerminal(stderr) {
		progress.SetOutput(stderr)
	}

	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		warn.Printf("%s (-h shows the usage)", line(err.Error()))
		return exitError
	}
	printResults, story := printText, stdout
	if c.output == "json" {
		printResults, story = printJSON, stderr
	}

	var t target
	demo := c.appliance == ""
	if demo {
		simulated, appliance, err := startDemo(story)
		if err != nil {
			warn.Print(err)
			return exitError
		}
		defer appliance.Close()
		t = simulated
	} else if t, err = c.target(getenv); err != nil {
		warn.Print(line(err.Error()))
		return exitError
	}
	t.slots = c.slots
	if demo && len(t.slots) == 0 {
		fmt.Fprint(story, "Only a version higher than the running one is worth a test:\n\n")
	}
	if c.insecure {
		warn.Print("-insecure: the appliance's certificate is not verified; the password goes to whoever answers")
	}

	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the time that -timeout allows, %s, is over", c.timeout))
	defer cancel()
	results := precheck(ctx, t, progress, warn)
	if err := printResults(stdout, results); err != nil {
		warn.Printf("the results could not be printed: %v", err)
		return exitError
	}
	if demo {
		fmt.Fprintf(story, "\nThe verdict: %s.\n", verdict(results))
	}
	return exitStatus(results)
}

// config is what the flags say.
type config struct {
	appliance, username, loginMethod string
	passwordFile, caFile             string
	fingerprints, slots              values
	insecure                         bool
	timeout                          time.Duration
	output                           string
}

// values is a flag that may be repeated, or have several values with commas.
type values []string

func (v *values) String() string { return strings.Join(*v, ",") }

func (v *values) Set(text string) error {
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value == "" {
			return errors.New("a value is empty")
		}
		*v = append(*v, value)
	}
	return nil
}

// parse reads the flags. If help is asked for, it is written to stdout.
func parse(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("firmware-precheck", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are printed by run, in one line
	flags.StringVar(&c.appliance, "appliance", "", "`host[:port]` of the appliance; without it, a simulated one is shown")
	flags.StringVar(&c.username, "username", "", "`name` to log in with; the password comes from SPS_PASSWORD or -password-file")
	flags.StringVar(&c.passwordFile, "password-file", "", "`file` with the password")
	flags.StringVar(&c.loginMethod, "login-method", "", "`name` of the appliance's login method, such as local")
	flags.StringVar(&c.caFile, "ca", "", "PEM `file` of the CAs to trust instead of the system's")
	flags.Var(&c.fingerprints, "fingerprint", "SHA-256 of the appliance's certificate in `hex`, to trust it by; may be repeated")
	flags.BoolVar(&c.insecure, "insecure", false, "trust any certificate; for experiments only")
	flags.Var(&c.slots, "slot", "`key` of a slot to test, instead of those with a higher version; may be repeated")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Hour, "the `time` that the whole run may take")
	flags.StringVar(&c.output, "output", "text", "`format` of the results: text or json")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stdout, "usage: firmware-precheck [flags]")
			flags.SetOutput(stdout)
			flags.PrintDefaults()
		}
		return nil, err
	}
	return c, c.check(flags)
}

// check finds flags that do not fit together.
func (c *config) check(flags *flag.FlagSet) error {
	var errs []string
	flags.Visit(func(f *flag.Flag) {
		switch {
		case f.Value.String() == "":
			// A variable of the calling script that is not set, mostly. It must
			// not lead to the demonstration, which passes.
			errs = append(errs, fmt.Sprintf("-%s is empty", f.Name))
		case c.appliance == "" && !demoFlags[f.Name]:
			errs = append(errs, fmt.Sprintf("-%s needs -appliance", f.Name))
		}
	})
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	}
	if c.appliance != "" && c.username == "" {
		errs = append(errs, "-appliance needs -username")
	}
	if c.insecure && (c.caFile != "" || len(c.fingerprints) > 0) {
		errs = append(errs, "-insecure excludes -ca and -fingerprint")
	}
	if c.output != "text" && c.output != "json" {
		errs = append(errs, fmt.Sprintf("-output %q is neither text nor json", c.output))
	}
	if c.timeout <= 0 {
		errs = append(errs, "-timeout must be positive")
	}
	if errs != nil {
		return errors.New(strings.Join(errs, "; "))
	}
	return nil
}

// demoFlags are the flags that mean something without -appliance.
var demoFlags = map[string]bool{"slot": true, "timeout": true, "output": true}

// target makes what the flags and the environment say about the appliance.
func (c *config) target(getenv func(string) string) (target, error) {
	password, err := c.password(getenv)
	if err != nil {
		return target{}, err
	}
	var method []sps.CredentialOption
	if c.loginMethod != "" {
		method = append(method, sps.WithLoginMethod(c.loginMethod))
	}
	options := []sps.Option{sps.WithUserAgent("firmware-precheck")}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return target{}, fmt.Errorf("-ca: %w", err)
		}
		options = append(options, sps.WithCABundle(pem))
	}
	if len(c.fingerprints) > 0 {
		options = append(options, sps.WithPinnedCertificates(c.fingerprints...))
	}
	if c.insecure {
		options = append(options, sps.WithInsecureTLS())
	}
	return target{
		host:       c.appliance,
		credential: sps.UsernamePassword(c.username, password, method...),
		options:    options,
	}, nil
}

// password reads the password. There is no flag for it, because command lines
// are seen by every user of the machine.
func (c *config) password(getenv func(string) string) (sps.Secret, error) {
	if c.passwordFile == "" {
		if text := getenv("SPS_PASSWORD"); text != "" {
			return sps.NewSecretString(text), nil
		}
		return sps.Secret{}, errors.New("no password: set SPS_PASSWORD or give -password-file")
	}
	content, err := os.ReadFile(c.passwordFile)
	if err != nil {
		return sps.Secret{}, fmt.Errorf("-password-file: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return sps.Secret{}, fmt.Errorf("-password-file: %s holds no password", c.passwordFile)
	}
	return sps.NewSecretString(text), nil
}
