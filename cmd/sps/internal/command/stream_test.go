package command

import (
	"testing"
	"time"
)

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
