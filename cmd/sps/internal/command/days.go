package command

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day24 = 24 * time.Hour

// parseDays parses a duration that may start with a number of days, such as 365d, 7d12h or 30m.
// A day has 24 hours.
func parseDays(value string) (time.Duration, error) {
	number, rest, found := strings.Cut(value, "d")
	if !found {
		return time.ParseDuration(value)
	}
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(days) || math.Abs(days) > float64(math.MaxInt64/day24) {
		return 0, errBadDays
	}
	total := time.Duration(days * float64(day24))
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || days < 0 || total > math.MaxInt64-more {
		return 0, errBadDays
	}
	return total + more, nil
}

var errBadDays = errors.New("want a duration such as 365d, 7d12h or 30m")

// daysValue is the value of a flag with a duration that parseDays parses.
type daysValue time.Duration

// Set parses the value of the flag.
func (d *daysValue) Set(value string) error {
	parsed, err := parseDays(value)
	if err != nil {
		return errBadDays
	}
	*d = daysValue(parsed)
	return nil
}

// Type returns the type of the flag, which the help shows.
func (*daysValue) Type() string { return "duration" }

// String returns the duration. It uses the unit d if the duration is a number of whole days.
func (d *daysValue) String() string {
	duration := time.Duration(*d)
	if duration != 0 && duration%day24 == 0 {
		return strconv.FormatInt(int64(duration/day24), 10) + "d"
	}
	return duration.String()
}
