// Package days parses durations that may have days, and has the flags with such a duration.
package days

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Day is the length of a day in a duration.
const Day = 24 * time.Hour

var (
	errForm     = errors.New("give a number with a unit, such as 90s, 2h or 7d")
	errNegative = errors.New("the duration must not be negative: give a number with a unit, such as 90s, 2h or 7d")
)

// Parse parses a duration that may start with a number of days, such as 365d, 7d12h or 30m. A day
// has 24 hours. The result may be negative.
func Parse(value string) (time.Duration, error) {
	number, rest, found := strings.Cut(value, "d")
	if !found {
		duration, err := time.ParseDuration(value)
		if err != nil {
			return 0, errForm
		}
		return duration, nil
	}
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(days) || math.Abs(days) > float64(math.MaxInt64/Day) {
		return 0, errForm
	}
	total := time.Duration(days * float64(Day))
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || days < 0 || total > math.MaxInt64-more {
		return 0, errForm
	}
	return total + more, nil
}

// Var adds a flag with a duration to a set. The flag accepts the durations that Parse accepts,
// except negative ones.
func Var(flags *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	flags.Var((*flagValue)(p), name, usage)
}

// flagValue is the value of a flag with a duration.
type flagValue time.Duration

// Set parses the value of the flag.
func (d *flagValue) Set(value string) error {
	parsed, err := Parse(value)
	switch {
	case err != nil:
		return err
	case parsed < 0:
		return errNegative
	}
	*d = flagValue(parsed)
	return nil
}

// Type returns the type of the flag, which the help shows.
func (*flagValue) Type() string { return "duration" }

// String returns the duration. It uses the unit d if the duration is a number of whole days. The
// result for no duration is "0", which the help does not show as a default.
func (d *flagValue) String() string {
	duration := time.Duration(*d)
	switch {
	case duration == 0:
		return "0"
	case duration%Day == 0:
		return strconv.FormatInt(int64(duration/Day), 10) + "d"
	}
	return duration.String()
}
