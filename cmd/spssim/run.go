package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-sps/sps/spstest"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 2
)

// cookieFile is where the printed curl calls keep their cookies.
const cookieFile = "cookies"

type config struct {
	options    []spstest.Option
	caOut      string
	addressOut string
	trace      bool
	list       bool
}

// run serves an appliance until ctx is done.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err == nil && c.list:
		err = list(stdout)
	case err == nil:
		err = serve(ctx, c, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "spssim:", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "spstest: "), "\n", " "))
		return exitError
	}
	return exitOK
}

func parse(args []string, help io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("spssim", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one line per error, printed by run
	listen := flags.String("listen", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	username := flags.String("username", "admin", "`name` of the administrator")
	password := flags.String("password", "a", "`password` of the administrator")
	profile := flags.String("profile", "8.0", "release to behave like: "+strings.Join(spstest.Profiles(), ", "))
	flags.StringVar(&c.caOut, "ca-out", "", "`file` for the PEM of the CA that signed the certificate")
	flags.StringVar(&c.addressOut, "address-out", "", "`file` for host:port, written once connections are accepted")
	flags.BoolVar(&c.trace, "trace", false, "print each request to standard error")
	flags.BoolVar(&c.list, "list", false, "list endpoints and variants, and stop")
	flags.Func("variant", "`name=alternative` of something that is undocumented; may be repeated, see -list", func(s string) error {
		option, err := spstest.ParseVariant(s)
		c.options = append(c.options, option)
		return err
	})
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(help, "usage: spssim [flags]")
		flags.SetOutput(help)
		flags.PrintDefaults()
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c.options = append(c.options,
		spstest.WithListenAddress(*listen),
		spstest.WithCredentials(*username, *password),
		spstest.WithProfile(*profile))
	return c, err
}

func serve(ctx context.Context, c config, stdout, stderr io.Writer) error {
	if c.trace {
		c.options = append(c.options, tracer(stderr))
	}
	appliance, err := spstest.Start(c.options...)
	if err != nil {
		return err
	}
	defer appliance.Close()

	caFile := c.caOut
	if caFile == "" {
		caFile = "ca.pem" // what the curl calls need; the reader sees that -ca-out writes it
	}
	// The address comes last: who waits for its file finds the CA there.
	if err := publish(c.caOut, appliance.CA()); err != nil {
		return err
	}
	if err := publish(c.addressOut, []byte(appliance.Addr()+"\n")); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "address: %s\n", appliance.Addr())
	fmt.Fprintf(&b, "fingerprint: %s\n", appliance.Fingerprint())
	if c.caOut == "" {
		fmt.Fprintf(&b, "# the calls need the CA: start with -ca-out %s\n", caFile)
	}
	for _, line := range spstest.CurlLines(appliance, cookieFile, caFile) {
		fmt.Fprintln(&b, line)
	}
	if _, err := io.WriteString(stdout, b.String()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// tracer prints method, path and status of each request; nothing of its
// headers, query or body.
func tracer(w io.Writer) spstest.Option {
	var mu sync.Mutex
	return spstest.WithTrace(func(r spstest.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s %s %d\n", r.Method, r.Path, r.Status)
	})
}

func list(w io.Writer) error {
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, endpoint := range spstest.Implemented() {
		fmt.Fprintf(&b, "  %s\n", endpoint)
	}
	b.WriteString("variants (default first):\n")
	for _, v := range spstest.Variants() {
		fmt.Fprintf(&b, "  %s=%s\n      %s\n", v.Name, strings.Join(append([]string{v.Default}, v.Alternatives...), "|"), v.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// publish writes a file that is complete as soon as it exists; no name, no
// file.
func publish(name string, content []byte) (err error) {
	if name == "" {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Chmod(0o644)
	}
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
