package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestNewerOfNothing checks that the list of verdicts is not null in JSON if all slots are empty.
func TestNewerOfNothing(t *testing.T) {
	t.Parallel()
	if verdicts, some := newer(&sps.FirmwareSlotList{}); verdicts == nil || some {
		t.Errorf("newer gives %v, %v", verdicts, some)
	}
}

// withSlots returns the option for the firmware slots of these tests.
func withSlots() spstest.Option {
	return spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "HA check started\nHA check failed\nDone"}},
		spstest.Slot{Key: "3"},
		spstest.Slot{Key: "4", Version: "8.1.0"},
		spstest.Slot{Key: "5", Version: "7.0.5"},
	)
}

// TestPrecheck checks which slots the precheck tests, and its table and JSON.
func TestPrecheck(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, withSlots()))
	c.want(t, out.No, []string{
		"SLOT  VERSION  STATUS   DETAIL\n", "2     8.0.0    failed   HA check failed\n    HA check started\n", "5     7.0.5    skipped  older than the running 7.4.0\n",
	}, "firmware", "precheck")
	c.want(t, out.OK, []string{"passed"}, "firmware", "precheck", "--slot", "4")
	c.want(t, out.No, nil, "firmware", "test", "2", "4")
	c.want(t, out.Failed, []string{"slot 3 is empty or does not exist"}, "firmware", "test", "3")

	var data struct{ Slots []verdict }
	d := c.json(t, out.No, "firmware", "test", "2")
	if err := json.Unmarshal(d.Results[0].Data, &data); err != nil {
		t.Fatal(err)
	}
	one := 1
	want := []verdict{{Slot: "2", Version: "8.0.0", Status: out.Failure, ExitCode: &one, Summary: "HA check started\nHA check failed\nDone"}}
	if diff := cmp.Diff(want, data.Slots, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

// TestPrecheckJUnit checks the JUnit XML of a failed test, a missing slot and a passed test.
func TestPrecheckJUnit(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, withSlots()))
	got := c.want(t, out.Failed, []string{
		`<failure message="slot 2: HA check failed" type="FirmwareTestFailed">`,
		`<error message="slot 9 is empty or does not exist; see &#34;sps firmware slots&#34;" type="ResourceNotFound">`,
		`tests="3" failures="1" errors="1"`, `name="slot 4 (8.1.0)"`,
	}, "-o", "junit", "firmware", "test", "2", "9", "4")
	if strings.Contains(got.stdout, "exit code") {
		t.Errorf("the exit code is no reason:\n%s", got.stdout)
	}
}

// TestNothingToTest checks that a precheck without a slot to test has the status 2.
func TestNothingToTest(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, spstest.WithSlots(spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true})))
	c.want(t, out.Failed, []string{"no slot to test"}, "firmware", "precheck")
	c.want(t, out.Failed, []string{"no slot to test", `errors="1"`, `skipped="1"`}, "-o", "junit", "firmware", "precheck")
}

// TestSlots checks the list of slots and the deletion of a firmware.
func TestSlots(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, withSlots())
	c := reach(t, a)
	c.want(t, out.OK, []string{"1     7.4.0    running\n", "3     -        empty\n"}, "firmware", "slots")
	c.want(t, out.Failed, []string{"give --yes"}, "firmware", "delete", "5")
	c.want(t, out.OK, []string{"dry run: slot 5 would be emptied"}, "firmware", "delete", "5", "--dry-run")
	c.want(t, out.Failed, []string{"in use"}, "firmware", "delete", "1", "--dry-run")
	c.want(t, out.Failed, []string{"in use"}, "firmware", "delete", "1", "--yes")
	c.want(t, out.Failed, []string{"there is no slot 9"}, "firmware", "delete", "9", "--yes")
	if len(a.Slots()) != 5 || a.Slots()[4].Version != "7.0.5" {
		t.Fatalf("slots %v", a.Slots())
	}
	c.want(t, out.OK, []string{"slot 5 is empty; it held 7.0.5"}, "firmware", "delete", "5", "--yes")
	if a.Slots()[4].Version != "" {
		t.Errorf("slots %v", a.Slots())
	}
}

// TestUpload checks the upload of an image, and its errors.
func TestUpload(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, withSlots())
	c := reach(t, a)
	image := writeFile(t, "sps.iso", "SPS-FIRMWARE 8.2.0\n")
	c.want(t, out.OK, []string{"nothing was uploaded"}, "firmware", "upload", image, "--dry-run")
	c.want(t, out.OK, []string{"8.2.0 is in slot 3"}, "firmware", "upload", image)
	c.want(t, out.Failed, []string{"no empty firmware slot", "sps firmware delete"}, "firmware", "upload", image)
	c.want(t, out.Failed, []string{"no such file"}, "firmware", "upload", image+"x")
	c.want(t, out.Failed, []string{"is not a regular file"}, "firmware", "upload", t.TempDir())
}

// TestFetch checks the download of an image by the appliance.
func TestFetch(t *testing.T) {
	t.Parallel()
	const url = "https://example.com/sps.iso"
	a := startAppliance(t, withSlots(), spstest.WithFetchPolls(0))
	sum := spstest.ImageSHA256("8.3.0", 1<<20)
	a.ServeImage(url, "8.3.0", sum)
	c := reach(t, a)
	c.want(t, out.Failed, []string{"--sha256 is missing"}, "firmware", "fetch", url)
	c.want(t, out.OK, []string{"nothing was downloaded"}, "firmware", "fetch", url, "--sha256", sum, "--dry-run")
	c.want(t, out.OK, []string{"has finished"}, "firmware", "fetch", url, "--sha256", sum)
	if a.Slots()[2].Version != "8.3.0" {
		t.Errorf("slots %v", a.Slots())
	}
}

// TestUpgrade checks that an upgrade stops after a failed test and after a dry run, and that it
// restarts the appliance otherwise.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	a := startAppliance(t, withSlots())
	c := reach(t, a)
	c.want(t, out.Failed, []string{"one of --slot, --image and --url"}, "firmware", "upgrade", "--yes")
	c.want(t, out.Failed, []string{"give only one of --slot, --image and --url"}, "firmware", "upgrade", "--slot", "4", "--image", "x.iso", "--yes")
	sent := len(a.Journal())
	c.want(t, out.Failed, []string{"--image: stat nowhere.iso: no such file or directory: name the file with the image"}, "firmware", "upgrade", "--image", "nowhere.iso", "--yes")
	if n := len(a.Journal()); n != sent {
		t.Errorf("%d requests were sent for an image that does not exist", n-sent)
	}
	c.want(t, out.Failed, []string{"give --yes"}, "firmware", "upgrade", "--slot", "4")
	c.want(t, out.No, []string{"failed the firmware test: HA check failed", "state of the appliance: no upgrade was started; the appliance runs 7.4.0; the image stays in slot 2\n"}, "firmware", "upgrade", "--slot", "2", "--yes")
	c.want(t, out.OK, []string{"8.1.0 in slot 4 passed", "state of the appliance: no upgrade was started; the appliance runs 7.4.0; the image stays in slot 4\n"}, "firmware", "upgrade", "--slot", "4", "--dry-run")
	c.want(t, out.Failed, []string{"firmware upgrade stopped in the step"}, "firmware", "upgrade", "--slot", "4", "--expect-version", "9.0", "--yes")
	if a.Restarts() != 0 {
		t.Fatal("it restarted")
	}
	c.want(t, out.OK, []string{"upgraded from 7.4.0 to 8.1.0"}, "firmware", "upgrade", "--slot", "4", "--yes")
	if a.Restarts() != 1 {
		t.Errorf("%d restarts", a.Restarts())
	}
}

// TestUpgradeSlot checks that an upgrade to a slot with the running firmware or without a firmware
// is refused before a request that changes something is sent.
func TestUpgradeSlot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"--slot 1 --yes", "slot 1 holds the running firmware 7.4.0, so no upgrade was started (choose another slot; \"sps firmware slots\" lists them)"},
		{"--slot 1 --dry-run", "slot 1 holds the running firmware 7.4.0"},
		{"--slot 3 --yes", "slot 3 is empty or does not exist (see \"sps firmware slots\")"},
		{"--slot 9 --yes", "slot 9 is empty or does not exist"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t, withSlots())
			reach(t, a).want(t, out.Failed, []string{test.want}, append([]string{"firmware", "upgrade"}, strings.Fields(test.args)...)...)
			for _, request := range a.Journal() {
				if request.Method == "POST" && strings.Contains(request.Path, "firmware") {
					t.Errorf("%s %s was sent", request.Method, request.Path)
				}
			}
		})
	}
}

// TestUpgradeUnknown checks that the status is 3 if the result of the upgrade is not known in
// time.
func TestUpgradeUnknown(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, withSlots(), spstest.WithFaults(spstest.Fault{Method: "POST", Path: "firmware/upgrade", Status: 504, MayMiss: true})))
	c.want(t, out.Unknown, []string{`check the appliance with "sps info" and "sps firmware slots" before`}, "firmware", "upgrade", "--slot", "4", "--yes", "--wait", "50ms")
}
