package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// spec is a command that works on appliances.
type spec struct {
	use, short, long string
	examples         []string // command lines, without and with output formats
	args             cobra.PositionalArgs
	valid            cobra.CompletionFunc
	flags            func(flags *pflag.FlagSet)
	columns          []string // of the table
	stream           bool     // it prints as it goes
	// offline says that the arguments need no appliance, and plan sees the appliances before
	// they are worked on.
	offline  func(args []string) bool
	plan     func(ctx context.Context, targets []*conn.Target) error
	single   bool // it works on one appliance at a time
	singleIf func(args []string) bool
	change   bool // it has --dry-run
	commit   bool // it has --message and --wait-for-lock, too
	confirm  bool // it has --yes
	// check finds what is wrong with the arguments before anything is sent.
	check func(args []string) error
	// ask is the question before the command does something, "" for none.
	ask func(args []string) string
	run func(ctx context.Context, j *job) (out.Report, error)
}

// job is a run of a command on one appliance.
type job struct {
	*app
	client  *sps.Client // nil where the command needs no appliance
	target  *conn.Target
	name    string // of the appliance, fit to print
	args    []string
	several bool // there are other appliances, too
}

// command makes the command.
func (a *app) command(s spec) *cobra.Command {
	if s.args == nil {
		s.args = cobra.NoArgs
	}
	c := &cobra.Command{
		Use: s.use, Short: s.short, Long: s.long, Args: s.args, ValidArgsFunction: s.valid,
		Example: "  " + strings.Join(s.examples, "\n  "),
		RunE: func(c *cobra.Command, args []string) error {
			return a.runSpec(c, s, args)
		},
	}
	if s.valid == nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	flags := c.Flags()
	if s.flags != nil {
		s.flags(flags)
	}
	a.completeLocal(c)
	if s.change {
		flags.BoolVar(&a.dryRun, "dry-run", false, "tell what would change, and change nothing")
	}
	if s.commit {
		flags.StringVarP(&a.message, "message", "m", "", "`text` for the appliance's change log")
		flags.DurationVar(&a.lockWait, "wait-for-lock", 0, "`time` to wait while somebody else changes the configuration")
	}
	if s.confirm {
		flags.BoolVarP(&a.yes, "yes", "y", false, "do not ask for a confirmation")
	}
	return c
}

func (a *app) runSpec(c *cobra.Command, s spec, args []string) error {
	if !slices.Contains(out.Formats, a.output) {
		return usagef("--output %q is none of %s", a.output, strings.Join(out.Formats, ", "))
	}
	for name, value := range map[string]time.Duration{"timeout": a.timeout, "appliance-timeout": a.applianceTimeout, "wait-for-lock": a.lockWait} {
		if value < 0 {
			return usagef("--%s must not be negative", name)
		}
	}
	if s.check != nil {
		if err := s.check(args); err != nil {
			return usageError{err}
		}
	}
	if s.offline != nil && s.offline(args) {
		return a.runOffline(c.Context(), c.CommandPath(), s, args)
	}
	targets, err := a.targets()
	if err != nil {
		return err
	}
	if targets == nil {
		targets = []*conn.Target{nil} // the demonstration
	}
	if len(targets) > 1 && (s.single || s.singleIf != nil && s.singleIf(args)) {
		return usagef("%s works on one appliance at a time, and %d are named", c.CommandPath(), len(targets))
	}
	if s.ask != nil {
		question := s.ask(args)
		if question != "" {
			if t := targets[0]; t != nil {
				question = text.Line(t.Name) + ": " + question
			}
			if err := a.confirm(question); err != nil {
				return err
			}
		}
	}
	ctx := c.Context()
	if a.timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("the time that --timeout allows, %s, is over", a.timeout))
		defer cancel()
		ctx = limited
	}
	if s.plan != nil {
		if err := s.plan(ctx, targets); err != nil {
			return err
		}
	}
	if s.stream {
		return a.runStream(ctx, c.CommandPath(), s, targets, args)
	}
	return a.runAll(ctx, c.CommandPath(), s, targets, args)
}

// runOffline runs a command that needs no appliance.
func (a *app) runOffline(ctx context.Context, name string, s spec, args []string) error {
	if a.flags.Demo || len(a.flags.Hosts)+len(a.flags.Appliances) > 0 || a.flags.HostsFile != "" {
		return usagef("with these arguments %s needs no appliance, and some are named", name)
	}
	start := time.Now()
	report, err := s.run(ctx, &job{app: a, name: "local", args: args})
	o := a.outcome(nil, "local", time.Since(start), report, withCause(ctx, err))
	if o.Error != nil && a.output == "table" {
		a.warnf("%s", o.Error.Text())
	}
	return a.printOne(a.newPrinter(name, []string{"local"}, s.columns), o)
}

// runAll runs a command on all appliances, so many at a time, and prints the outcomes in
// their order, each when it and those before it are there.
func (a *app) runAll(ctx context.Context, name string, s spec, targets []*conn.Target, args []string) error {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = "demo"
		if t != nil {
			names[i] = text.Line(t.Name)
		}
	}
	if a.flags.Demo {
		a.startDemo()
	}
	printer := a.newPrinter(name, names, s.columns)
	if err := printer.Begin(); err != nil {
		return a.writeError(err)
	}
	// Who cannot print need not go on, but for what was begun.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	outcomes := make([]chan out.Outcome, len(targets))
	for i := range targets {
		outcomes[i] = make(chan out.Outcome, 1)
	}
	next := a.alive(ctx, targets, func(i int, err error) {
		outcomes[i] <- a.outcome(targets[i], names[i], 0, out.Report{}, err)
	})
	var workers sync.WaitGroup
	for range min(a.flags.Parallel, len(targets)) {
		workers.Go(func() {
			for i := range next {
				outcomes[i] <- a.one(ctx, s, targets[i], names[i], args, len(targets) > 1)
			}
		})
	}
	var failed error
	counts := [len(out.Results)]int{}
	for i := range outcomes {
		o := <-outcomes[i]
		a.status = max(a.status, o.Status)
		counts[o.Status]++
		if failed != nil {
			continue
		}
		if failed = printer.Print(o); failed != nil {
			stop(errOutputLost)
		}
		if o.Error != nil && !o.Shown && a.output == "table" && len(targets) == 1 {
			a.warnf("%s: %s", names[i], o.Error.Text())
		}
	}
	workers.Wait()
	if failed == nil {
		failed = printer.End(a.status)
	}
	if failed != nil {
		return a.writeError(failed)
	}
	if len(targets) > 1 && a.output == "table" {
		a.summary(counts)
	}
	return nil
}

// maxChecks is how many appliances are checked at a time, whatever --parallel says.
const maxChecks = 256

// alive gives the indexes of the appliances that accept connections and speak TLS, as that
// is found out. The others go to dead. So a dead appliance costs no place among those that
// are worked on.
func (a *app) alive(ctx context.Context, targets []*conn.Target, dead func(i int, err error)) <-chan int {
	all, next := make(chan int, len(targets)), make(chan int, len(targets))
	for i := range targets {
		all <- i
	}
	close(all)
	var checkers sync.WaitGroup
	for range min(maxChecks, len(targets)) {
		checkers.Go(func() {
			for i := range all {
				if err := a.checkAlive(ctx, targets[i]); err != nil {
					dead(i, err)
				} else {
					next <- i
				}
			}
		})
	}
	go func() {
		checkers.Wait()
		close(next)
	}()
	return next
}

// summary tells of a fleet how many there were of each result.
func (a *app) summary(counts [len(out.Results)]int) {
	var parts []string
	for status, count := range counts {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, out.Results[status]))
		}
	}
	a.warnf("appliances: %s", strings.Join(parts, ", "))
}

// writeError says that the output was lost. What was done is done, and so it keeps an
// outcome that is unknown.
func (a *app) writeError(err error) error {
	a.status = max(a.status, out.Failed)
	return fmt.Errorf("the results could not be written: %w", err)
}

// one runs a command on one appliance.
func (a *app) one(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) out.Outcome {
	start := time.Now()
	report, err := a.try(ctx, s, t, name, args, several)
	return a.outcome(t, name, time.Since(start), report, err)
}

// hostOf is how the SDK names an appliance in its errors.
func (a *app) hostOf(t *conn.Target) string {
	switch {
	case t != nil:
		return text.Line(t.Host)
	case a.demo != nil:
		return a.demo.Addr()
	}
	return ""
}

func (a *app) outcome(t *conn.Target, name string, elapsed time.Duration, report out.Report, err error) out.Outcome {
	o := out.Outcome{Appliance: name, Report: report, Data: report.Data, Elapsed: elapsed}
	switch {
	case err != nil:
		o.Status, o.Error = statusOf(err), problemOf(err)
		o.Error.Message = strings.TrimPrefix(o.Error.Message, a.hostOf(t)+": ") // the outcome names it
		var shown *shownError
		o.Shown = errors.As(err, &shown)
	case report.No:
		o.Status = out.No
	}
	o.Result = out.Results[o.Status]
	return o
}

func (a *app) try(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) (out.Report, error) {
	if ctx.Err() != nil {
		return out.Report{}, fmt.Errorf("not begun: %w", context.Cause(ctx))
	}
	if a.applianceTimeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, a.applianceTimeout, fmt.Errorf("the time that --appliance-timeout allows, %s, is over", a.applianceTimeout))
		defer cancel()
		ctx = limited
	}
	client, err := a.connect(ctx, t)
	if err != nil {
		return out.Report{}, withCause(ctx, err)
	}
	report, err := s.run(ctx, &job{app: a, client: client, target: t, name: name, args: args, several: several})
	// Close goes out although ctx may be done: no session stays behind.
	if closed := client.Close(ctx); closed != nil {
		a.warnf("%s: the session was not closed: %s", name, problemOf(closed).Text())
	}
	return report, withCause(ctx, err)
}

// withCause names what ended the context, where that ended the work.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &endedError{context.Cause(ctx), err}
}

type endedError struct{ cause, err error }

func (e *endedError) Error() string {
	if e.cause == context.Canceled {
		return "interrupted: " + e.err.Error()
	}
	return e.cause.Error() + ": " + e.err.Error()
}

func (e *endedError) Unwrap() error { return e.err }

// options are those of a transaction.
func (a *app) options() []sps.TransactionOption {
	var options []sps.TransactionOption
	if a.message != "" {
		options = append(options, sps.WithMessage(a.message))
	}
	if a.lockWait > 0 {
		options = append(options, sps.WithLockWait(a.lockWait))
	}
	return options
}

// transaction runs a change, or with --dry-run a preview of it.
func (j *job) transaction(ctx context.Context, change func(context.Context, *sps.Transaction) error) error {
	if j.dryRun {
		_, err := j.client.Preview(ctx, change, j.options()...)
		return err
	}
	return j.client.Transaction(ctx, change, j.options()...)
}
