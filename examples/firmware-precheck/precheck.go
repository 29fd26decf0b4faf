package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// target is how to reach an appliance, and what to test on it.
type target struct {
	credential sps.Credential
	options    []sps.Option
	slots      []string      // keys; none: every slot with a higher version than the running one
	limit      time.Duration // for each appliance; 0: none
}

// The statuses of a result.
const (
	passed  = "passed"
	failed  = "failed"  // the appliance tested the slot and found a problem
	errored = "error"   // the slot could not be tested
	skipped = "skipped" // there was no need to test the slot
)

// result is what became of one slot, or with an empty Slot of the appliance as a whole.
// Its texts are safe to print.
type result struct {
	Appliance string `json:"appliance"`
	Slot      string `json:"slot"`
	Version   string `json:"version"`
	Status    string `json:"status"`
	ExitCode  *int   `json:"exit_code"`
	Summary   string `json:"summary"`
	Error     string `json:"error"`

	// Elapsed is the time that the test took, or what went wrong instead.
	Elapsed time.Duration `json:"-"`
}

// candidate is a slot, with the reason if it is not to be tested.
type candidate struct {
	key, version string
	skip         string
}

// precheckAll tests several appliances, so many at a time. The results are in the
// order of the hosts.
func precheckAll(ctx context.Context, t target, hosts []string, parallel int, progress, warn *log.Logger) []result {
	results := make([][]result, len(hosts))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(parallel, len(hosts)) {
		workers.Go(func() {
			for i := range next {
				results[i] = precheck(ctx, t, hosts[i], progress, warn)
			}
		})
	}
	for i := range hosts {
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.Concat(results...)
}

// precheck tests the slots of one appliance. There is always at least one result.
// Messages that are not results go to warn.
func precheck(ctx context.Context, t target, address string, progress, warn *log.Logger) []result {
	host, start := cli.Line(address), time.Now()
	whole := func(err error) result {
		return result{Appliance: host, Status: errored, Error: cli.Line(err.Error()), Elapsed: time.Since(start)}
	}
	if ctx.Err() != nil {
		return []result{whole(notTested(ctx))}
	}
	if t.limit > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, t.limit, fmt.Errorf("the time that -appliance-timeout allows, %s, is over", t.limit))
		defer cancel()
		ctx = limited
	}

	progress.Printf("%s: logging in", host)
	client, err := sps.Connect(ctx, address, t.credential, t.options...)
	if err != nil {
		return []result{whole(err)}
	}
	// Close logs out even if ctx is done, so that no session remains.
	defer func() {
		if err := client.Close(ctx); err != nil {
			warn.Printf("%s: %s", host, cli.Line(err.Error()))
		}
	}()

	list, err := client.Firmware.Slots.List(ctx)
	if err != nil {
		return []result{whole(err)}
	}
	candidates := named(list, t.slots)
	if len(t.slots) == 0 {
		candidates = newer(list)
	}

	var results []result
	for _, c := range candidates {
		r := result{Appliance: host, Slot: cli.Line(c.key), Version: cli.Line(c.version)}
		switch {
		case c.skip != "":
			r.Status, r.Summary = skipped, cli.Line(c.skip)
		case ctx.Err() != nil:
			r.Status, r.Error = errored, cli.Line(notTested(ctx).Error())
		default:
			progress.Printf("%s: testing slot %s %s", host, r.Slot, r.Version)
			r.test(ctx, client, c.key)
			progress.Printf("%s: slot %s %s", host, r.Slot, r.Status)
		}
		results = append(results, r)
	}
	if !slices.ContainsFunc(candidates, func(c candidate) bool { return c.skip == "" }) {
		results = append(results, whole(errors.New("no slot to test: none holds a version higher than the running one")))
	}
	return results
}

// notTested says why there is no time for a test.
func notTested(ctx context.Context) error { return fmt.Errorf("not tested: %w", context.Cause(ctx)) }

// test runs the precheck of one slot. A test that found a problem is not an
// error here: it did its job.
func (r *result) test(ctx context.Context, client *sps.Client, key string) {
	start := time.Now()
	report, err := client.Firmware.Test(ctx, key)
	r.Elapsed = time.Since(start)
	var failure *sps.FirmwareTestFailedDetails
	switch {
	case err == nil:
		r.Status, r.ExitCode, r.Summary = passed, new(0), cli.Lines(report.TestSummary)
	case errors.As(err, &failure):
		r.Status, r.Summary = failed, cli.Lines(failure.TestSummary)
		if failure.ExitCode != sps.ExitCodeUnknown {
			r.ExitCode = &failure.ExitCode
		}
	default:
		r.Status, r.Error = errored, cli.Line(err.Error())
	}
}

// named returns the slots with these keys, each once, whatever is in them: the appliance
// itself says what is wrong with one that is empty or unknown.
func named(list *sps.FirmwareSlotList, keys []string) []candidate {
	var candidates []candidate
	for _, key := range keys {
		if !slices.ContainsFunc(candidates, func(c candidate) bool { return c.key == key }) {
			candidates = append(candidates, candidate{key: key, version: version(list, key)})
		}
	}
	return candidates
}

// newer returns every slot that holds a firmware, and skips those to which an upgrade
// makes no sense. Where versions cannot be compared, a test too many is better than one
// too few.
func newer(list *sps.FirmwareSlotList) []candidate {
	running := version(list, list.CurrentSlot)
	var candidates []candidate
	for _, slot := range list.Slots {
		if slot.Body.Empty() {
			continue
		}
		c := candidate{key: slot.Key, version: slot.Body.Version}
		order, comparable := sps.CompareVersions(c.version, running)
		switch {
		case c.key == list.CurrentSlot:
			c.skip = "the running firmware"
		case comparable && order < 0:
			c.skip = "older than the running " + running
		case comparable && order == 0:
			c.skip = "the same version as the running " + running
		}
		candidates = append(candidates, c)
	}
	return candidates
}

// version returns the version in a slot, "" for none.
func version(list *sps.FirmwareSlotList, key string) string {
	slot, _ := list.Slot(key)
	return slot.Body.Version
}
