package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

func TestReadHosts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, content string
		want          []string
		fault         string
	}{
		{name: "one", content: "sps1", want: []string{"sps1"}},
		{name: "in order", content: "b:8443\na\n[2001:db8::5]:443\n", want: []string{"b:8443", "a", "[2001:db8::5]:443"}},
		{name: "comments", content: "# all\n\n  \t\nsps1 # the first\n\t# none\nsps2# the second\n", want: []string{"sps1", "sps2"}},
		{name: "of Windows", content: "\ufeffsps1\r\n\r\nsps2\r\n", want: []string{"sps1", "sps2"}},
		{name: "malformed ones are for later", content: "https://sps1/\nsps2 sps3\n::::\n", want: []string{"https://sps1/", "sps2 sps3", "::::"}},
		{name: "ports differ", content: "sps1:1\nsps1:2\nsps1", want: []string{"sps1:1", "sps1:2", "sps1"}},
		{name: "twice", content: "sps1\n\nsps2\nsps1 # again\n", fault: "line 4: sps1 is already in line 1"},
		{name: "in another case", content: "sps1\nSPS1", fault: "line 2"},
		{name: "with the port", content: "sps1\nsps1:443", fault: "line 2"},
		{name: "an address", content: "2001:db8::5\n[2001:DB8:0::5]:443", fault: "line 2"},
		{name: "a malformed one", content: "a b\na b", fault: "line 2"},
		{name: "empty", content: "", fault: "names no appliance"},
		{name: "comments only", content: "# none\n\n", fault: "names no appliance"},
	} {
		got, err := readHosts(clitest.File(t, []byte(test.content)))
		if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.fault)
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, d)
		}
	}
}

// fleet returns the flags that reach several appliances, and adds others. Hosts before
// the first flag come at the end of the file.
func fleet(t *testing.T, appliances []*spstest.Appliance, more ...string) []string {
	t.Helper()
	var hosts, pins []string
	for _, a := range appliances {
		hosts, pins = append(hosts, a.Addr()), append(pins, a.Fingerprint())
	}
	for len(more) > 0 && !strings.HasPrefix(more[0], "-") {
		hosts, more = append(hosts, more[0]), more[1:]
	}
	return append([]string{
		"-appliances", clitest.File(t, []byte(strings.Join(hosts, "\n"))),
		"-username", clitest.Username, "-fingerprint", strings.Join(pins, ","),
	}, more...)
}

// several starts appliances whose only slot to test is 2.
func several(t *testing.T, n int) []*spstest.Appliance {
	t.Helper()
	appliances := make([]*spstest.Appliance, n)
	for i := range appliances {
		appliances[i] = clitest.Start(t)
	}
	return appliances
}

func passing(a *spstest.Appliance) result {
	return result{Appliance: a.Addr(), Slot: "2", Version: "8.0.0", Status: passed, ExitCode: new(0), Summary: passedSummary}
}

func TestAppliancesUsage(t *testing.T) {
	t.Parallel()
	a := clitest.Start(t)
	twice := clitest.File(t, []byte(a.Addr()+"\n"+a.Addr()))
	user := []string{"-username", clitest.Username}
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"both", append(user, "-appliance", a.Addr(), "-appliances", twice), "-appliances excludes -appliance"},
		{"no username", []string{"-appliances", twice}, "-appliances needs -username"},
		{"empty", append(user, "-appliances", ""), "-appliances is empty"},
		{"no such file", append(user, "-appliances", "testdata/none"), "-appliances: open testdata/none"},
		{"a duplicate", append(user, "-appliances", twice), "line 2: " + a.Addr() + " is already in line 1"},
		{"parallel", append(user, "-appliances", twice, "-parallel", "0"), "-parallel must be at least 1"},
		{"parallel alone", []string{"-parallel", "2"}, "-parallel needs -appliance"},
		{"limit", append(user, "-appliances", twice, "-appliance-timeout", "-1s"), "-appliance-timeout must not be negative"},
	} {
		got := program.Run(t, t.Context(), test.args...)
		if got.Status != exitError || got.Stdout != "" {
			t.Errorf("%s: status %d and standard output %q, want %d and none", test.name, got.Status, got.Stdout, exitError)
		}
		if !strings.Contains(got.Stderr, test.want) || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("%s: standard error %q, want one line with %q", test.name, got.Stderr, test.want)
		}
	}
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// One that fails, is malformed or cannot be reached does not stop the others.
func TestAppliances(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	for _, parallel := range []string{"1", "2", "50"} {
		t.Run(parallel, func(t *testing.T) {
			t.Parallel()
			all := several(t, 4)
			broken := spstest.NotEnoughStorage()
			all[1].SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: broken})
			all[2].Inject(spstest.Fault{Path: "firmware/slots", Status: 500, Times: -1})
			args := fleet(t, all, nobody, "https://sps1/", "-output", "json", "-slot", "2", "-parallel", parallel)
			diff(t, exitError, []result{
				passing(all[0]),
				{Appliance: all[1].Addr(), Slot: "2", Version: "8.0.0", Status: failed, ExitCode: new(1), Summary: broken.Summary},
				{Appliance: all[2].Addr(), Status: errored, Error: anyText},
				passing(all[3]),
				{Appliance: nobody, Status: errored, Error: anyText},
				{Appliance: "https://sps1/", Status: errored, Error: anyText},
			}, program.Run(t, t.Context(), args...))
			for _, a := range all {
				noSession(t, a)
			}
		})
	}
}

// A failure is status 1 if there is no error.
func TestAppliancesFail(t *testing.T) {
	t.Parallel()
	all := several(t, 2)
	all[0].SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.TaintedFirmware()})
	got := program.Run(t, t.Context(), fleet(t, all)...)
	if got.Status != exitFailed || strings.Count(got.Stdout, "APPLIANCE") != 1 || strings.Count(got.Stdout, "passed") != 1 {
		t.Errorf("status %d, want %d and one table:\n%s", got.Status, exitFailed, got.Stdout)
	}
}

// As many as -parallel says are tested at a time: each waits for the others.
func TestParallel(t *testing.T) {
	t.Parallel()
	const parallel = 3
	all := several(t, 2*parallel)
	var mu sync.Mutex
	together, arrived := make(chan struct{}), 0
	for _, a := range all {
		a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func(body []byte) []byte {
			mu.Lock()
			if arrived++; arrived == parallel {
				close(together)
			}
			mu.Unlock()
			<-together
			return body
		}})
	}
	got := program.Run(t, t.Context(), fleet(t, all, "-output", "json", "-slot", "2", "-parallel", fmt.Sprint(parallel))...)
	var want []result
	for _, a := range all {
		want = append(want, passing(a))
	}
	diff(t, exitOK, want, got)
}

// No more than -parallel says are tested at a time: when all of these hang, the
// next one is not begun; the end of the run gives each its result.
func TestParallelEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	const parallel = 2
	all := several(t, parallel+2)
	over, arrived := make(chan struct{}), make(chan struct{}, parallel)
	for i, a := range all {
		a.Inject(spstest.Fault{Path: "firmware/test", MayMiss: i >= parallel, Mutate: func(body []byte) []byte {
			arrived <- struct{}{}
			<-over // there is no answer before the program has ended
			return body
		}})
	}
	go func() {
		for range parallel {
			<-arrived
		}
		cancel(errors.New("the power is going"))
	}()
	got := program.Run(t, ctx, fleet(t, all, "-output", "json", "-slot", "2", "-parallel", fmt.Sprint(parallel))...)
	close(over)
	diff(t, exitError, []result{
		{Appliance: all[0].Addr(), Slot: "2", Version: "8.0.0", Status: errored, Error: anyText},
		{Appliance: all[1].Addr(), Slot: "2", Version: "8.0.0", Status: errored, Error: anyText},
		{Appliance: all[2].Addr(), Status: errored, Error: "not tested: the power is going"},
		{Appliance: all[3].Addr(), Status: errored, Error: "not tested: the power is going"},
	}, got)
	for i, a := range all {
		noSession(t, a)
		if n := len(a.Journal()); i >= parallel && n != 0 {
			t.Errorf("%d requests to an appliance that was not begun", n)
		}
	}
}

// One that hangs does not hold up the others, and gets its result when the run
// ends.
func TestHanging(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	all := several(t, 4)
	var others sync.WaitGroup
	others.Add(len(all) - 1)
	over := make(chan struct{})
	all[0].Inject(spstest.Fault{Path: "firmware/test", Mutate: func(body []byte) []byte {
		others.Wait()
		cancel(errors.New("the time is over"))
		<-over
		return body
	}})
	for _, a := range all[1:] {
		a.Inject(spstest.Fault{Path: "authentication", Method: "DELETE", Mutate: func(body []byte) []byte {
			others.Done()
			return body
		}})
	}
	got := program.Run(t, ctx, fleet(t, all, "-output", "json", "-slot", "2", "-parallel", "2")...)
	close(over)
	diff(t, exitError, []result{
		{Appliance: all[0].Addr(), Slot: "2", Version: "8.0.0", Status: errored, Error: anyText},
		passing(all[1]), passing(all[2]), passing(all[3]),
	}, got)
	if !strings.Contains(got.Stdout, "the time is over") {
		t.Errorf("the error does not tell why:\n%s", got.Stdout)
	}
}

// Where all places are taken by appliances that hang, -appliance-timeout makes
// room.
func TestApplianceTimeout(t *testing.T) {
	t.Parallel()
	all := several(t, 2)
	all[0].Inject(spstest.Fault{Path: "firmware/test", Delay: time.Hour})
	got := program.Run(t, t.Context(), fleet(t, all, "-output", "json", "-slot", "2", "-parallel", "1", "-appliance-timeout", "2s")...)
	diff(t, exitError, []result{
		{Appliance: all[0].Addr(), Slot: "2", Version: "8.0.0", Status: errored, Error: anyText}, passing(all[1]),
	}, got)
	if !strings.Contains(got.Stdout, "-appliance-timeout allows, 2s") {
		t.Errorf("the error does not name the flag:\n%s", got.Stdout)
	}
}

// TestManyAppliances is not parallel: it counts goroutines, and takes the time.
func TestManyAppliances(t *testing.T) {
	const n, limit = 200, time.Minute
	before := runtime.NumGoroutine()
	all := make([]*spstest.Appliance, n)
	want := make([]result, n)
	for i := range all {
		a := spstest.NewServer(t, spstest.WithCredentials(clitest.Username, clitest.Password))
		defer a.Close()
		all[i], want[i] = a, passing(a)
	}
	args := fleet(t, all, "-output", "json", "-slot", "2", "-parallel", "50")
	begin := time.Now()
	got := program.Run(t, t.Context(), args...)
	took := time.Since(begin)
	t.Logf("%d appliances in %s", n, took)
	if took > limit {
		t.Errorf("%d appliances take %s, more than %s", n, took, limit)
	}
	diff(t, exitOK, want, got)
	for _, a := range all {
		noSession(t, a)
		a.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if left := runtime.NumGoroutine(); left > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", left, before, stacks[:runtime.Stack(stacks, true)])
	}
}
