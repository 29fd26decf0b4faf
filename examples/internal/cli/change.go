package cli

import (
	"errors"
	"flag"
	"time"

	"github.com/go-sps/sps"
)

// Change is what the flags say about a change of the configuration.
type Change struct {
	Message string
	Wait    time.Duration
	DryRun  bool
}

// Define adds the flags.
func (c *Change) Define(flags *flag.FlagSet) {
	flags.StringVar(&c.Message, "message", "", "`text` for the appliance's change log")
	flags.DurationVar(&c.Wait, "wait", 0, "the `time` to wait while somebody else changes the configuration")
	flags.BoolVar(&c.DryRun, "dry-run", false, "tell what would change, and change nothing")
}

// Check finds what is wrong with the flags. Changes says whether the other flags
// ask for a change, which these are about.
func (c *Change) Check(flags *flag.FlagSet, changes bool) (faults []string) {
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "message", "wait", "dry-run":
			if !changes {
				faults = append(faults, "-"+f.Name+" needs something to change")
			}
		}
	})
	if c.Wait < 0 {
		faults = append(faults, "-wait must not be negative")
	}
	return faults
}

// Options makes the options of the transaction.
func (c *Change) Options() []sps.TransactionOption {
	var options []sps.TransactionOption
	if c.Message != "" {
		options = append(options, sps.WithMessage(c.Message))
	}
	if c.Wait > 0 {
		options = append(options, sps.WithLockWait(c.Wait))
	}
	return options
}

// hints say what to do about an error, in terms of the flags.
var hints = []struct {
	err  error
	hint string
}{
	{sps.ErrLocked, "somebody else is changing the configuration; -wait says how long to wait for them"},
	{sps.ErrCommitMessageRequired, "give one with -message"},
	{sps.Unauthorized, "the user lacks the right to do this"},
	{sps.ErrOutcomeUnknown, "look at the appliance before you run this again"},
}

// Reason is the text of an error in one line, with a hint where there is one.
func Reason(err error) string {
	text := err.Error()
	for _, h := range hints {
		if errors.Is(err, h.err) {
			text += " (" + h.hint + ")"
			break
		}
	}
	return Line(text)
}
