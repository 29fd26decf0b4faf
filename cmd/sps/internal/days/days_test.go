package days

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestParse checks which durations Parse accepts, and how a flag shows them.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value string
		want  time.Duration // -1 if value is refused
		shown string
	}{
		{"365d", 365 * Day, "365d"},
		{"1.5d", 36 * time.Hour, "36h0m0s"},
		{"7d12h", 180 * time.Hour, "180h0m0s"},
		{"720h", 720 * time.Hour, "30d"},
		{"30m", 30 * time.Minute, "30m0s"},
		{"0", 0, "0"},
		{"0d", 0, "0"},
		{"", -1, ""},
		{"5", -1, ""},
		{"5x", -1, ""},
		{"d", -1, ""},
		{"365", -1, ""},
		{"1d1d", -1, ""},
		{"1d-1h", -1, ""},
		{"-1d1h", -1, ""},
		{"NaNd", -1, ""},
		{"999999999d", -1, ""},
		{"106751d24h", -1, ""},
		{"one year", -1, ""},
	} {
		t.Run(test.value, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(test.value)
			if (err != nil) != (test.want < 0) || err == nil && got != test.want {
				t.Errorf("Parse gives %s, error %v, want %s", got, err, test.want)
			}
			if err != nil && err.Error() != "give a number with a unit, such as 90s, 2h or 7d" {
				t.Errorf("error %v", err)
			}
			var flag flagValue
			if err := flag.Set(test.value); err == nil && flag.String() != test.shown {
				t.Errorf("a flag shows %s, want %s", flag.String(), test.shown)
			}
		})
	}
	if got, err := Parse("-2d"); err != nil || got != -2*Day {
		t.Errorf("Parse(-2d) = %s, error %v", got, err)
	}
}

// TestVar checks the default of a flag, its value, and its error for a negative duration.
func TestVar(t *testing.T) {
	t.Parallel()
	var got time.Duration
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	Var(flags, &got, "wait", time.Minute, "")
	if got != time.Minute || flags.Lookup("wait").DefValue != "1m0s" {
		t.Errorf("the default is %s, shown as %s", got, flags.Lookup("wait").DefValue)
	}
	if err := flags.Parse([]string{"--wait", "2d"}); err != nil || got != 2*Day {
		t.Errorf("the value is %s, error %v", got, err)
	}
	if err := flags.Parse([]string{"--wait", "-1s"}); err == nil || !strings.Contains(err.Error(), `"--wait" flag: the duration must not be negative`) {
		t.Errorf("error %v", err)
	}
}
