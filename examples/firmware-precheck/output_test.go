package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		statuses string
		want     int
	}{
		{"passed", exitOK},
		{"skipped passed", exitOK},
		{"passed failed", exitFailed},
		{"failed passed skipped", exitFailed},
		{"error passed", exitError},
		{"failed error", exitError},
		{"error failed", exitError},
		{"unheard-of", exitError},
	} {
		var results []result
		for status := range strings.FieldsSeq(test.statuses) {
			results = append(results, result{Status: status})
		}
		if got := exitStatus(results); got != test.want {
			t.Errorf("exitStatus(%s) = %d, want %d", test.statuses, got, test.want)
		}
	}
}

func TestPrintText(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	err := printText(&got, []result{
		{Appliance: "sps1", Slot: "1", Version: "7.4.0", Status: skipped, Summary: "the running firmware"},
		{Appliance: "sps1", Slot: "2", Version: "8.0.0", Status: failed, ExitCode: new(1), Summary: "one\n\ntwo\n"},
		{Appliance: "sps1", Slot: "3", Version: "8.0.1", Status: failed},
		{Appliance: "sps1", Slot: "4", Version: "8.0.2", Status: passed, ExitCode: new(0), Summary: "HA check started\n\nUpgrade is not allowed\n"},
		{Appliance: "sps1", Slot: "4", Version: "8.0.3", Status: passed, ExitCode: new(0), Summary: strings.Repeat("long ", 30) + "\nsummary"},
		{Appliance: "sps1", Slot: "5", Status: errored, Error: "it is empty"},
		{Appliance: "a-longer-name", Status: errored, Error: "no connection"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
APPLIANCE      SLOT  VERSION  STATUS   DETAIL
sps1           1     7.4.0    skipped  the running firmware
sps1           2     8.0.0    failed   exit code 1
    one

    two
sps1           3     8.0.1    failed   exit code unknown
sps1           4     8.0.2    passed   HA check started; Upgrade is not allowed
sps1           4     8.0.3    passed   see below
    long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long
    summary
sps1           5     -        error    it is empty
a-longer-name  -     -        error    no connection
`
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), got.String()); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}
