// Package cli is what the example programs have in common: the flags that say how
// to reach an appliance, and printing that an appliance cannot misuse.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-sps/sps"
)

// Main runs a program and exits with its status. The first signal ends the
// program's context, so that it logs out and tells how far it got; a second one
// kills it.
func Main(run func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	args := os.Args[1:]
	if fault := forgotten(args, os.Getenv); fault != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), fault)
		os.Exit(2)
	}
	os.Exit(run(ctx, args, os.Getenv, os.Stdout, os.Stderr))
}

// forgotten says what is wrong where the environment names an appliance and the flags
// name none: the demonstration must not pass for a look at that appliance.
func forgotten(args []string, getenv func(string) string) string {
	host := getenv("SPS_HOST")
	if host == "" {
		return ""
	}
	for _, arg := range args {
		name := strings.TrimLeft(arg, "-")
		for _, known := range []string{"appliance", "left", "right", "h"} {
			if strings.HasPrefix(name, known) {
				return ""
			}
		}
	}
	return fmt.Sprintf("SPS_HOST is %s, and the appliance comes from the flags: give -appliance and the others, or unset it for the demonstration", Line(host))
}

// Values is a flag that may be repeated, or have several values with commas.
type Values []string

// String returns the values with commas.
func (v *Values) String() string { return strings.Join(*v, ",") }

// Set adds values.
func (v *Values) Set(text string) error {
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value == "" {
			return errors.New("a value is empty")
		}
		*v = append(*v, value)
	}
	return nil
}

// Parse reads the flags. If help is asked for, it is written to stdout, and the
// error is flag.ErrHelp. Other errors are left to the caller to print.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, "usage: %s [flags]\n", flags.Name())
		flags.SetOutput(stdout)
		flags.PrintDefaults()
	}
	return err
}

// Faults makes one error of what is wrong with the flags, nil of nothing.
func Faults(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// Connection is what the flags say about reaching an appliance.
type Connection struct {
	Appliance, Username, LoginMethod string
	PasswordFile, CAFile             string
	Fingerprints                     Values
	Insecure                         bool
}

// InsecureWarning is to be printed if the connection is insecure.
const InsecureWarning = "-insecure: the appliance's certificate is not verified; the password goes to whoever answers"

// Define adds the flags. There is none for the password, because command lines
// are seen by every user of the machine.
func (c *Connection) Define(flags *flag.FlagSet) {
	flags.StringVar(&c.Appliance, "appliance", "", "`host[:port]` of the appliance; without it, a simulated one is shown")
	flags.StringVar(&c.Username, "username", "", "`name` to log in with; the password comes from SPS_PASSWORD or -password-file")
	flags.StringVar(&c.PasswordFile, "password-file", "", "`file` with the password")
	flags.StringVar(&c.LoginMethod, "login-method", "", "`name` of the appliance's login method, such as local")
	flags.StringVar(&c.CAFile, "ca", "", "PEM `file` of the CAs to trust instead of the system's")
	flags.Var(&c.Fingerprints, "fingerprint", "SHA-256 of the appliance's certificate in `hex`, to trust it by; may be repeated")
	flags.BoolVar(&c.Insecure, "insecure", false, "trust any certificate; for experiments only")
}

// Check finds what is wrong with the flags that were given. Named is the flag that
// names the appliance, "" for none: that is the demonstration, in which only the
// demo flags mean something.
func (c *Connection) Check(flags *flag.FlagSet, named string, demo ...string) (faults []string) {
	flags.Visit(func(f *flag.Flag) {
		switch {
		case f.Value.String() == "":
			// A variable of the calling script that is not set, mostly. It must
			// not lead to the demonstration, which passes.
			faults = append(faults, fmt.Sprintf("-%s is empty", f.Name))
		case named == "" && !slices.Contains(demo, f.Name):
			faults = append(faults, fmt.Sprintf("-%s needs -appliance", f.Name))
		}
	})
	if flags.NArg() > 0 {
		faults = append(faults, fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	}
	if named != "" && c.Username == "" {
		faults = append(faults, fmt.Sprintf("-%s needs -username", named))
	}
	if c.Insecure && (c.CAFile != "" || len(c.Fingerprints) > 0) {
		faults = append(faults, "-insecure excludes -ca and -fingerprint")
	}
	return faults
}

// Credential makes what the flags and the environment say about the login.
func (c *Connection) Credential(getenv func(string) string) (sps.Credential, error) {
	password, err := c.password(getenv)
	if err != nil {
		return nil, err
	}
	var method []sps.CredentialOption
	if c.LoginMethod != "" {
		method = append(method, sps.WithLoginMethod(c.LoginMethod))
	}
	return sps.UsernamePassword(c.Username, password, method...), nil
}

func (c *Connection) password(getenv func(string) string) (sps.Secret, error) {
	if c.PasswordFile == "" {
		if text := getenv("SPS_PASSWORD"); text != "" {
			return sps.NewSecretString(text), nil
		}
		return sps.Secret{}, errors.New("no password: set SPS_PASSWORD or give -password-file")
	}
	content, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return sps.Secret{}, fmt.Errorf("-password-file: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return sps.Secret{}, fmt.Errorf("-password-file: %s holds no password", c.PasswordFile)
	}
	return sps.NewSecretString(text), nil
}

// Options makes what the flags say about trust, for the program of that name.
func (c *Connection) Options(program string) ([]sps.Option, error) {
	options := []sps.Option{sps.WithUserAgent(program)}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("-ca: %w", err)
		}
		options = append(options, sps.WithCABundle(pem))
	}
	if len(c.Fingerprints) > 0 {
		options = append(options, sps.WithPinnedCertificates(c.Fingerprints...))
	}
	if c.Insecure {
		options = append(options, sps.WithInsecureTLS())
	}
	return options, nil
}
