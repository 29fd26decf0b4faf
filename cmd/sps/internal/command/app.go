// Package command implements the commands of sps.
package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
	"github.com/go-sps/sps/spstest"
)

// Env is the environment of a run of the tool.
type Env struct {
	Args           []string
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Options are added to the options of each connection. Tests set them.
	Options []sps.Option
	// Poll is the time between two polls while a command waits for the appliance; 0 means the
	// default of the SDK. Tests set it.
	Poll time.Duration
}

// app is one run of the tool.
type app struct {
	Env
	input                     *input
	flags                     conn.Flags
	output                    string
	timeout, applianceTimeout time.Duration
	verbose, yes, dryRun      bool
	message                   string
	lockWait                  time.Duration
	logOnce                   sync.Once
	logger                    *slog.Logger // for --verbose; it writes one record at a time
	demo                      *spstest.Appliance
	status                    int
	headed                    bool // the header of a streamed table has been printed
}

// usageError is an error in the command line. The message is followed by a hint at --help.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run runs the tool and returns its exit status.
func Run(ctx context.Context, env Env) int {
	a := &app{Env: env, input: &input{ctx, env.Stdin}}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if a.demo != nil {
		a.demo.Close()
	}
	if err != nil {
		problem := problemOf(err)
		a.warnf("%s", suggested(problem.Text(), err))
		var usage usageError
		if !errors.Is(err, errInterrupted) && (errors.As(err, &usage) || isCobra(err)) {
			fmt.Fprintf(env.Stderr, "sps: run \"%s --help\" for the usage\n", usedCommand(root, env.Args))
		}
		return max(a.status, statusOf(err))
	}
	return a.status
}

// suggested returns the text of an error. The text of cobra has the suggestions for an unknown
// command on lines of their own, which suggested replaces by one line.
func suggested(words string, err error) string {
	head, list, found := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !found {
		return words
	}
	return head + ": did you mean " + strings.Join(strings.Fields(list), " or ") + "?"
}

// isCobra reports whether cobra found the error in the command line.
func isCobra(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "flag needs", "invalid argument", "accepts ", "requires ", "required flag", "if any flags"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// usedCommand returns the command that the arguments name.
func usedCommand(root *cobra.Command, args []string) string {
	if used, _, err := root.Find(args); err == nil {
		return used.CommandPath()
	}
	return root.Name()
}

// warnf prints a line to standard error.
func (a *app) warnf(format string, args ...any) {
	fmt.Fprintf(a.Stderr, "sps: %s\n", text.Line(fmt.Sprintf(format, args...)))
}

// terminal returns the file of a stream, and reports whether it is a terminal.
func terminal(stream any) (*os.File, bool) {
	file, ok := stream.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// width returns the number of columns of standard output, or 0 if it is no terminal.
func (a *app) width() int {
	file, ok := terminal(a.Stdout)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// color reports whether standard output is a terminal that shows colours.
func (a *app) color() bool {
	_, ok := terminal(a.Stdout)
	return ok && a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb"
}

// prompter returns a function that prompts for a password on the terminal. It returns nil if
// standard input is no terminal.
func (a *app) prompter() func(string) (string, error) {
	file, ok := terminal(a.Stdin)
	if !ok {
		return nil
	}
	var turn sync.Mutex
	return func(question string) (string, error) {
		turn.Lock()
		defer turn.Unlock()
		fmt.Fprint(a.Stderr, text.Line(question))
		answer, err := a.input.password(file)
		fmt.Fprintln(a.Stderr)
		if err != nil {
			return "", fmt.Errorf("no password was entered: %w", err)
		}
		return answer, nil
	}
}

// confirm asks for a confirmation on the terminal before a command restarts an appliance, deletes
// something, or joins or unjoins Starling.
func (a *app) confirm(question string) error {
	if a.yes || a.dryRun {
		return nil
	}
	if _, ok := terminal(a.Stdin); !ok {
		return usagef("%s not confirmed, because standard input is no terminal: give --yes to confirm", question)
	}
	yes, err := a.agreed(question)
	switch {
	case err != nil:
		return fmt.Errorf("%s not confirmed, so nothing was done: %w", question, err)
	case !yes:
		return fmt.Errorf("%s not confirmed, so nothing was done: answer y, or give --yes", question)
	}
	return nil
}

// agreed prints a question to standard error, and reports whether the answer is yes.
func (a *app) agreed(question string) (bool, error) {
	fmt.Fprintf(a.Stderr, "%s [y/N] ", text.Line(question))
	answer, err := bufio.NewReader(a.input).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(a.Stderr)
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// targets returns the appliances of a run. It returns nil for --demo.
func (a *app) targets() ([]*conn.Target, error) {
	if a.flags.Demo {
		return nil, a.checkDemo()
	}
	targets, err := a.flags.Targets(conn.Sources{Getenv: a.Getenv, Stdin: a.input, Prompt: a.prompter()})
	if err != nil {
		return nil, usageError{err}
	}
	if a.flags.Insecure {
		a.warnf("%s", conn.InsecureWarning)
	}
	return targets, nil
}

// checkDemo returns an error if --demo is combined with flags that name appliances, so that
// nobody takes the results of the simulated appliance for those of a real one.
func (a *app) checkDemo() error {
	if len(a.flags.Hosts) > 0 || len(a.flags.Appliances) > 0 || a.flags.HostsFile != "" {
		return usagef("--demo excludes --host, --hosts and --appliance: leave out --demo to work on these appliances")
	}
	return nil
}

// startDemo starts the simulated appliance of --demo.
func (a *app) startDemo() *spstest.Appliance {
	if a.demo == nil {
		a.demo = demoAppliance()
		if a.Poll == 0 {
			a.Poll = 200 * time.Millisecond // a demonstration should be quick
		}
		a.warnf("--demo: this is a simulated appliance in this process, at %s", a.demo.Addr())
	}
	return a.demo
}

// demoAppliance returns a new simulated appliance with firmware, sessions, a join to Starling and
// a cluster.
func demoAppliance() *spstest.Appliance {
	return spstest.NewServer(nil,
		spstest.WithSlots(
			spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
			spstest.Slot{Key: "2", Version: "8.0.0"},
			spstest.Slot{Key: "3", Version: "7.0.5.1"},
			spstest.Slot{Key: "4"},
			spstest.Slot{Key: "5"},
		),
		spstest.WithAuditSessions(1_000),
		spstest.WithStarling(spstest.Starling{Joined: true}),
		spstest.WithCluster(),
	)
}

// connect logs in to an appliance.
func (a *app) connect(ctx context.Context, t *conn.Target) (*sps.Client, error) {
	if t == nil {
		appliance := a.startDemo()
		options := a.connectOptions("demo", sps.WithCABundle(appliance.CA()), sps.WithUserAgent("sps/"+sps.Version))
		return sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())), options...)
	}
	credential, err := t.Credential()
	if err != nil {
		return nil, err
	}
	client, err := sps.Connect(ctx, t.Host, credential, a.connectOptions(text.Line(t.Name), t.Options...)...)
	if errors.Is(err, sps.AuthenticationFailure) && t.PasswordFrom != "" {
		err = &loginError{t.PasswordFrom, err}
	}
	return client, err
}

// loginError is the error of a login with a password from the source from.
type loginError struct {
	from string
	err  error
}

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// connectOptions returns the options of the connection to an appliance together with those of all
// connections.
func (a *app) connectOptions(name string, own ...sps.Option) []sps.Option {
	all := slices.Concat(own, a.Options)
	if a.lockWait > 0 {
		all = append(all, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
			return &lockNotice{RoundTripper: base, notify: func() {
				a.warnf("%s: the configuration is locked: waiting up to %s for the lock", name, a.lockWait)
			}}
		}))
	}
	if a.verbose {
		a.logOnce.Do(func() {
			a.logger = slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		all = append(all, sps.WithLogger(a.logger))
	}
	return all
}

// checkAlive checks quickly whether an appliance can be reached, before the login. It does not
// check appliances behind a proxy.
func (a *app) checkAlive(ctx context.Context, t *conn.Target) error {
	if t == nil || !t.Direct || ctx.Err() != nil {
		return nil // the login reports the error, or the cancelled context
	}
	if err := conn.CheckAlive(ctx, t.Host, a.flags.ConnectTimeout); err != nil && ctx.Err() == nil {
		advice := ""
		var dead *conn.AliveError
		if errors.As(err, &dead) {
			advice = dead.Advice
		}
		return unreachable(t.Host, err, advice)
	}
	return nil
}

// unreachable returns the error for an appliance that cannot be reached.
func unreachable(host string, err error, advice string) error {
	return &advisedError{host + ": connect: the appliance cannot be reached: " + err.Error(), advice, errors.Join(err, sps.KindUnavailable)}
}

// newPrinter returns the printer for the format of -o.
func (a *app) newPrinter(command string, names, columns []string) out.Printer {
	return out.New(a.output, a.Stdout, out.Options{Command: command, Appliances: names, Columns: columns, Width: a.width(), Color: a.color()})
}
