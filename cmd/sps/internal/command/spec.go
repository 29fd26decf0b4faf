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
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// spec describes a command that works on appliances.
type spec struct {
	use, short, long string
	examples         []string // command lines for the help
	args             cobra.PositionalArgs
	valid            cobra.CompletionFunc
	flags            func(flags *pflag.FlagSet)
	columns          []string // the columns of the table
	data             any      // a zero value of the data for JSON; nil if the data is the JSON that the appliance sends
	stream           bool     // the command prints items as they arrive
	csv              bool     // the command supports -o csv; it then works on one appliance
	// offline reports whether the command needs no appliance with these arguments.
	offline func(args []string) bool
	// plan is called with the appliances before the command runs on any of them.
	plan     func(ctx context.Context, targets []*conn.Target) error
	single   bool // the command refuses more than one appliance
	singleIf func(args []string) bool
	change   bool   // the command has --dry-run
	dryUsage string // the usage of --dry-run, if it is not the usual one
	commit   bool   // the command has --message and --wait-for-lock
	confirm  bool   // the command has --yes
	// check validates the arguments and flags before anything is sent.
	check func(args []string) error
	// ask returns the question to confirm before the command runs, or "" if there is none.
	ask func(args []string) string
	// run runs the command on one appliance.
	run func(ctx context.Context, j *job) (out.Report, error)
}

// job is a run of a command on one appliance.
type job struct {
	*app
	client  *sps.Client // nil if the command needs no appliance
	target  *conn.Target
	name    string // the name of the appliance, safe to print
	args    []string
	several bool // the run has more than one appliance
}

// command makes the cobra command of a spec.
func (a *app) command(s spec) *cobra.Command {
	if s.args == nil {
		s.args = cobra.NoArgs
	}
	if s.single {
		s.long += "\n\nThe command works on one appliance at a time."
	}
	c := &cobra.Command{
		Use: s.use, Short: s.short, Long: s.long, Args: namedArgs(s.args), ValidArgsFunction: s.valid,
		Example: "  " + strings.Join(s.examples, "\n  "),
		RunE: func(c *cobra.Command, args []string) error {
			return a.runSpec(c, s, args)
		},
	}
	c.Annotations = map[string]string{dataAnnotation: skeleton(s.data)}
	if s.valid == nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	flags := c.Flags()
	if s.flags != nil {
		s.flags(flags)
	}
	a.completeLocal(c)
	if s.change {
		usage := s.dryUsage
		if usage == "" {
			usage = "show what would change, and change nothing"
		}
		flags.BoolVar(&a.dryRun, "dry-run", false, usage)
	}
	if s.commit {
		flags.StringVarP(&a.message, "message", "m", "", "`text` for the appliance's change log")
		days.Var(flags, &a.lockWait, "wait-for-lock", 0, "longest `duration` to wait while another session changes the configuration (default no wait)")
	}
	if s.confirm {
		flags.BoolVarP(&a.yes, "yes", "y", false, "do not ask for confirmation")
	}
	return c
}

// namedArgs returns a check of the arguments whose errors name the missing arguments of Use, or the
// arguments that are too many.
func namedArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err == nil {
			return nil
		}
		usage := strings.TrimSuffix(c.UseLine(), " [flags]")
		words := strings.Fields(c.Use)[1:]
		required := slices.DeleteFunc(slices.Clone(words), func(word string) bool { return strings.HasPrefix(word, "[") })
		switch {
		case len(args) < len(required):
			missing, verb := required[len(args):], "is"
			if len(missing) > 1 {
				verb = "are"
			}
			return usagef("%s %s missing: the usage is %q", strings.TrimSuffix(strings.Join(missing, " and "), "..."), verb, usage)
		case len(words) > 0 && len(args) > len(words):
			return usagef("there are too many arguments: the usage is %q", usage)
		}
		return err
	}
}

// runSpec checks the flags and arguments, finds the appliances, and runs the command on them.
func (a *app) runSpec(c *cobra.Command, s spec, args []string) error {
	if a.output == formatCSV && !s.csv {
		return usagef("%s does not support -o csv: only sps sessions search does", c.CommandPath())
	}
	if a.output != formatCSV && !slices.Contains(out.Formats, a.output) {
		return usagef("--output %q is not a format: use one of %s", a.output, strings.Join(out.Formats, ", "))
	}
	if err := emptyFlag(c); err != nil {
		return err
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
		return usagef("%s works on one appliance at a time, and %d are named: name one with --host or --appliance", c.CommandPath(), len(targets))
	}
	if len(targets) > 1 && a.output == formatCSV {
		return usagef("-o csv works on one appliance at a time, and %d are named: name one with --host or --appliance, or use -o jsonl", len(targets))
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
		limited, cancel := context.WithTimeoutCause(ctx, a.timeout, &timeoutError{"--timeout", a.timeout})
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

// emptyFlag returns an error if a string flag is set to an empty string. In most cases that is
// an unset variable of the calling script: without this check, "--hosts=$FILE" would work on the
// appliance of the environment.
func emptyFlag(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			err = usagef("--%s is empty: give a value, or leave the flag out", f.Name)
		}
	})
	return err
}

// runOffline runs a command that needs no appliance.
func (a *app) runOffline(ctx context.Context, name string, s spec, args []string) error {
	if a.flags.Demo || len(a.flags.Hosts)+len(a.flags.Appliances) > 0 || a.flags.HostsFile != "" {
		return usagef("with these arguments %s needs no appliance, and some are named: leave out --demo, --host, --hosts and --appliance", name)
	}
	start := time.Now()
	report, err := s.run(ctx, &job{app: a, name: "local", args: args})
	o := a.outcome(nil, "local", time.Since(start), report, withCause(ctx, err))
	if o.Error != nil && a.output == "table" {
		a.warnf("%s", o.Error.Text())
	}
	return a.printOne(a.newPrinter(name, []string{"local"}, s.columns), o)
}

// runAll runs a command on the appliances, on at most --parallel of them at the same time. It
// prints the outcomes in the order of the appliances, each as soon as it and all outcomes before
// it are known.
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
	// If an outcome cannot be printed, no work on further appliances is started.
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
	b := &bar{now: time.Now}
	if len(targets) > 1 {
		b = a.newBar()
	}
	for i := range outcomes {
		b.say(i == 0, fmt.Sprintf("%d of %d appliances", i, len(targets)))
		o := <-outcomes[i]
		b.end()
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

// maxChecks is the maximum number of concurrent checks of checkAlive. It does not depend on
// --parallel.
const maxChecks = 256

// alive returns a channel of the indexes of the appliances that pass checkAlive, and calls dead
// for the other appliances. So an appliance that cannot be reached does not use one of the
// --parallel workers.
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

// summary prints how many appliances have each result.
func (a *app) summary(counts [len(out.Results)]int) {
	var parts []string
	for status, count := range counts {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, out.Results[status]))
		}
	}
	a.warnf("appliances: %s", strings.Join(parts, ", "))
}

// writeError returns the error for output that could not be written. The exit status becomes at
// least 2; a status of 3 stays.
func (a *app) writeError(err error) error {
	a.status = max(a.status, out.Failed)
	return fmt.Errorf("the results could not be written: %w: the command itself may have been carried out", err)
}

// one runs a command on one appliance, and returns its outcome.
func (a *app) one(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) out.Outcome {
	start := time.Now()
	report, err := a.try(ctx, s, t, name, args, several)
	return a.outcome(t, name, time.Since(start), report, err)
}

// hostOf returns the name of an appliance in the errors of the SDK.
func (a *app) hostOf(t *conn.Target) string {
	switch {
	case t != nil:
		return text.Line(t.Host)
	case a.demo != nil:
		return a.demo.Addr()
	}
	return ""
}

// outcome makes the outcome of an appliance from the report and the error of the command.
func (a *app) outcome(t *conn.Target, name string, elapsed time.Duration, report out.Report, err error) out.Outcome {
	o := out.Outcome{Appliance: name, Report: report, Data: report.Data, Elapsed: elapsed}
	switch {
	case err != nil:
		o.Status, o.Error = statusOf(err), a.problemAt(t, err)
		var shown *shownError
		o.Shown = errors.As(err, &shown)
	case report.No:
		o.Status = out.No
	}
	o.Result = out.Results[o.Status]
	return o
}

// problemAt describes an error of an appliance. The output has the name of the appliance, so the
// message does not repeat its host.
func (a *app) problemAt(t *conn.Target, err error) *out.Problem {
	p := problemOf(err)
	host := a.hostOf(t) + ": "
	p.Message = strings.ReplaceAll(strings.TrimPrefix(p.Message, host), ": "+host, ": ")
	return p
}

// try logs in to an appliance, runs the command, and logs out.
func (a *app) try(ctx context.Context, s spec, t *conn.Target, name string, args []string, several bool) (out.Report, error) {
	if ctx.Err() != nil {
		return out.Report{}, fmt.Errorf("not started: %w", context.Cause(ctx))
	}
	if a.applianceTimeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, a.applianceTimeout, &timeoutError{"--appliance-timeout", a.applianceTimeout})
		defer cancel()
		ctx = limited
	}
	client, err := a.connect(ctx, t)
	if err != nil {
		return out.Report{}, withCause(ctx, err)
	}
	report, err := s.run(ctx, &job{app: a, client: client, target: t, name: name, args: args, several: several})
	// Close sends the logout even if ctx is done, so that no session stays on the appliance.
	if closed := client.Close(ctx); closed != nil {
		a.warnf("%s: the logout failed: %s", name, a.problemAt(t, closed).Text())
	}
	return report, withCause(ctx, err)
}

// withCause adds the cause of the context's end to an error, if the context has ended.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &endedError{context.Cause(ctx), err}
}

// timeoutError is the cause of a context that --timeout or --appliance-timeout ended.
type timeoutError struct {
	flag  string
	limit time.Duration
}

func (e *timeoutError) Error() string { return fmt.Sprintf("stopped by %s after %s", e.flag, e.limit) }

// endedError is an error of a command whose context has ended.
type endedError struct{ cause, err error }

func (e *endedError) Error() string {
	if errors.Is(e.cause, context.Canceled) {
		return "interrupted: " + e.err.Error()
	}
	cause := e.cause.Error()
	return cause + ": " + strings.TrimSuffix(e.err.Error(), ": "+cause)
}

func (e *endedError) Unwrap() []error { return []error{e.err, e.cause} }

// options returns the options of a transaction.
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

// transaction runs a change in a transaction. With --dry-run it rolls the transaction back.
func (j *job) transaction(ctx context.Context, change func(context.Context, *sps.Transaction) error) error {
	if j.dryRun {
		_, err := j.client.Preview(ctx, change, j.options()...)
		return err
	}
	return j.client.Transaction(ctx, change, j.options()...)
}
