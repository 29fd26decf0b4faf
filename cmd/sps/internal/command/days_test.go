package command

import (
	"testing"
	"time"
)

// TestParseDays checks which durations with days parseDays accepts, and how a flag shows them.
func TestParseDays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value string
		want  time.Duration // -1 if value is refused
		shown string
	}{
		{"365d", 365 * day24, "365d"},
		{"1.5d", 36 * time.Hour, "36h0m0s"},
		{"7d12h", 180 * time.Hour, "180h0m0s"},
		{"720h", 720 * time.Hour, "30d"},
		{"30m", 30 * time.Minute, "30m0s"},
		{"0", 0, "0s"},
		{"0d", 0, "0s"},
		{"", -1, ""},
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
		got, err := parseDays(test.value)
		if (err != nil) != (test.want < 0) || err == nil && got != test.want {
			t.Errorf("parseDays(%q) = %s, error %v, want %s", test.value, got, err, test.want)
		}
		var flag daysValue
		if err := flag.Set(test.value); err == nil && flag.String() != test.shown {
			t.Errorf("a flag shows %q as %s, want %s", test.value, flag.String(), test.shown)
		}
	}
	if got, err := parseDays("-2d"); err != nil || got != -2*day24 {
		t.Errorf("parseDays(-2d) = %s, error %v: commands refuse negative durations themselves", got, err)
	}
}

// TestMoment checks that moment accepts days as a duration before now.
func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"":                     {},
		"7d":                   now.AddDate(0, 0, -7),
		"1d6h":                 now.Add(-30 * time.Hour),
		"24h":                  now.AddDate(0, 0, -1),
		"2027-01-31":           time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		"2027-01-31T10:00:00Z": time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := moment("since", value, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, error %v, want %s", value, got, err, want)
		}
	}
	for _, value := range []string{"-1d", "soon", "31.1.2027"} {
		if got, err := moment("since", value, now); err == nil {
			t.Errorf("%q is %s, want an error", value, got)
		}
	}
}

// TestStamp checks that times in the data are in UTC.
func TestStamp(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 1, 31, 12, 0, 0, 0, time.FixedZone("", 2*60*60))
	if got := stamp(at); got != "2027-01-31T10:00:00Z" {
		t.Errorf("stamp gives %s", got)
	}
	if got := stamp(time.Time{}); got != "" {
		t.Errorf("stamp of no time gives %s", got)
	}
}
