package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) firmwareCommands() *cobra.Command {
	return group("firmware", "Test, upload and upgrade the firmware",
		a.slotsCommand(), a.testCommand(), a.precheckCommand(), a.uploadCommand(), a.fetchCommand(),
		a.upgradeCommand(), a.deleteSlotCommand())
}

type slotsData struct {
	Slots []slotData `json:"slots"`
	Empty int        `json:"empty"`
}

type slotData struct {
	Slot        string `json:"slot"`
	Version     string `json:"version"`
	Current     bool   `json:"current"`
	AfterReboot bool   `json:"after_reboot"`
	Notes       string `json:"upgrade_notes"`
	News        string `json:"upgrade_news"`
}

func (a *app) slotsCommand() *cobra.Command {
	columns := []string{"SLOT", "VERSION", "USE"}
	return a.command(spec{
		use: "slots", short: "List the firmware slots", long: "List the firmware slots, with the version and the use of the firmware in each slot.",
		examples: []string{"sps --host sps1.example.com firmware slots", "sps --hosts hosts.txt -o jsonl firmware slots"},
		columns:  columns, data: slotsData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			list, err := j.client.Firmware.Slots.List(ctx)
			if err != nil {
				return out.Report{}, err
			}
			slots, rows := []slotData{}, []out.Row(nil)
			for _, s := range list.Slots {
				slots = append(slots, slotData{s.Key, s.Body.Version, s.Body.Current, s.Body.AfterReboot, s.Body.UpgradeNotes, s.Body.UpgradeNews})
				rows = append(rows, out.Row{Cells: []string{s.Key, text.OrDash(s.Body.Version), slotUse(s.Body)}})
			}
			return out.Report{Columns: columns, Rows: rows, Data: slotsData{slots, list.EmptySlots}}, nil
		},
	})
}

// slotUse returns the text of the table column for the use of a slot.
func slotUse(i sps.FirmwareImage) string {
	switch {
	case i.Empty():
		return "empty"
	case i.Current && i.AfterReboot:
		return "running"
	case i.Current:
		return "running until the next boot"
	case i.AfterReboot:
		return "running after the next boot"
	}
	return "-"
}

// verdictsData has the verdicts on the slots of an appliance.
type verdictsData struct {
	Slots []*verdict `json:"slots"`
}

// verdict is the result of the firmware test of one slot.
type verdict struct {
	Slot     string `json:"slot"`
	Version  string `json:"version"`
	Status   string `json:"status"` // passed, failed, error or skipped
	ExitCode *int   `json:"exit_code"`
	Summary  string `json:"summary"`
	Error    string `json:"error"`

	kind    string
	elapsed time.Duration
}

// test runs the firmware test of one slot. If the test finds a problem, the verdict is failed and
// test returns nil.
func (v *verdict) test(ctx context.Context, client *sps.Client) error {
	start := time.Now()
	report, err := client.Firmware.Test(ctx, v.Slot)
	v.elapsed = time.Since(start)
	var failure *sps.FirmwareTestFailedDetails
	switch {
	case err == nil:
		v.Status, v.ExitCode, v.Summary = out.Passed, new(0), report.TestSummary
		return nil
	case errors.As(err, &failure):
		v.Status, v.Summary, v.kind = out.Failure, failure.TestSummary, string(sps.FirmwareTestFailed)
		if failure.ExitCode != sps.ExitCodeUnknown {
			v.ExitCode = &failure.ExitCode
		}
		return nil
	case errors.Is(err, sps.ResourceNotFound):
		err = fmt.Errorf("slot %s is empty or does not exist; see \"sps firmware slots\"", v.Slot)
		v.kind = string(sps.ResourceNotFound)
	default:
		v.kind = problemOf(err).Type
	}
	v.Status, v.Error = out.Errored, message(err)
	return err
}

// why returns the reason of the verdict in one line.
func (v *verdict) why() string {
	switch v.Status {
	case out.Errored:
		return v.Error
	case out.Failure:
		return failureReason(v)
	}
	return text.Line(strings.Join(strings.FieldsFunc(v.Summary, func(c rune) bool { return c == '\n' }), "; "))
}

// failureReason returns the line of the summary that says what failed: the last line with a word
// such as "fail", or else the last line.
func failureReason(v *verdict) string {
	reason := ""
	for line := range strings.Lines(v.Summary) {
		line = strings.TrimSpace(text.Line(line))
		if line != "" && (reason == "" || !speaksOfFailure(reason) || speaksOfFailure(line)) {
			reason = line
		}
	}
	if reason == "" {
		reason = "the appliance gave no reason"
	}
	return reason
}

// speaksOfFailure reports whether a line has a word for a failure.
func speaksOfFailure(line string) bool {
	line = strings.ToLower(line)
	return slices.ContainsFunc([]string{"fail", "error", "not enough", "incompatible", "tainted"}, func(word string) bool {
		return strings.Contains(line, word)
	})
}

// row returns the row of a verdict in the table. The summary is printed below the row if the test
// failed, or if the summary of a passed test is too long for its cell.
func (v *verdict) row() out.Row {
	r := out.Row{Cells: []string{v.Slot, text.OrDash(v.Version), v.Status, text.OrDash(v.why())}}
	if v.Status == out.Failure || v.Status == out.Passed && len(v.why()) > text.MaxCell {
		r.Below = v.Summary
	}
	return r
}

// junit returns the verdict as a test case of JUnit XML.
func (v *verdict) junit() out.Case {
	c := out.Case{Name: "slot " + v.Slot, Status: v.Status, Type: v.kind, Text: v.Summary, Elapsed: v.elapsed}
	if v.Version != "" {
		c.Name += " (" + v.Version + ")"
	}
	switch v.Status {
	case out.Failure:
		c.Message = "slot " + v.Slot + ": " + v.why()
	case out.Errored:
		c.Message, c.Text = v.Error, v.Error
	case out.Skipped:
		c.Message = v.Summary
	}
	return c
}

var verdictColumns = []string{"SLOT", "VERSION", "STATUS", "DETAIL"}

// verdictsReport returns the report of verdicts.
func verdictsReport(verdicts []*verdict) out.Report {
	r := out.Report{Columns: verdictColumns, Data: verdictsData{verdicts}}
	for _, v := range verdicts {
		r.No = r.No || v.Status == out.Failure
		r.Rows = append(r.Rows, v.row())
		r.Cases = append(r.Cases, v.junit())
	}
	return r
}

func (a *app) testCommand() *cobra.Command {
	return a.command(spec{
		use: "test SLOT...", short: "Test whether an upgrade to a slot is possible",
		long: `Test whether an appliance can be upgraded to the firmware in the named slots. A test changes
nothing on the appliance. The status is 1 if a test failed.`,
		examples: []string{"sps --host sps1.example.com firmware test 2", "sps --hosts hosts.txt -o junit firmware test 2"},
		args:     cobra.MinimumNArgs(1), valid: a.completeSlots, columns: verdictColumns, data: verdictsData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			list, err := j.client.Firmware.Slots.List(ctx)
			if err != nil {
				return out.Report{}, err
			}
			return j.testAll(ctx, named(list, j.args))
		},
	})
}

// testAll runs the firmware test of each slot whose verdict is not skipped.
func (j *job) testAll(ctx context.Context, verdicts []*verdict) (out.Report, error) {
	b := j.newBar()
	defer b.end()
	var first error
	for _, v := range verdicts {
		if v.Status == out.Skipped {
			continue
		}
		if ctx.Err() != nil {
			v.Status, v.Error = out.Errored, "not tested: "+context.Cause(ctx).Error()
			if first == nil {
				first = &shownError{context.Cause(ctx)}
			}
			continue
		}
		b.say(true, fmt.Sprintf("%s: testing slot %s %s", j.name, v.Slot, v.Version))
		if err := v.test(ctx, j.client); err != nil && first == nil {
			first = &shownError{err}
		}
	}
	return verdictsReport(verdicts), first
}

// shownError marks an error that the report of the command already contains.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }
func (e *shownError) Unwrap() error { return e.err }

// named returns a verdict for each key, without duplicates. It accepts keys of slots that are
// empty or do not exist: the test on the appliance reports these.
func named(list *sps.FirmwareSlotList, keys []string) []*verdict {
	var verdicts []*verdict
	for _, key := range keys {
		if !slices.ContainsFunc(verdicts, func(v *verdict) bool { return v.Slot == key }) {
			slot, _ := list.Slot(key)
			verdicts = append(verdicts, &verdict{Slot: key, Version: slot.Body.Version})
		}
	}
	return verdicts
}

// newer returns a verdict for each slot that holds a firmware. The verdict is skipped if the slot
// is the running one, or if its version is not higher than the running version. A slot whose
// version cannot be compared is not skipped. Some is true if there is a slot to test.
func newer(list *sps.FirmwareSlotList) (verdicts []*verdict, some bool) {
	verdicts = []*verdict{} // [] in JSON, not null
	running, _ := list.Slot(list.CurrentSlot)
	for _, slot := range list.Slots {
		if slot.Body.Empty() {
			continue
		}
		v := &verdict{Slot: slot.Key, Version: slot.Body.Version}
		order, comparable := sps.CompareVersions(v.Version, running.Body.Version)
		switch {
		case slot.Key == list.CurrentSlot:
			v.Summary = "the running firmware"
		case comparable && order < 0:
			v.Summary = "older than the running " + running.Body.Version
		case comparable && order == 0:
			v.Summary = "the same version as the running " + running.Body.Version
		}
		if v.Summary != "" {
			v.Status = out.Skipped
		}
		some = some || v.Status == ""
		verdicts = append(verdicts, v)
	}
	return verdicts, some
}

func (a *app) precheckCommand() *cobra.Command {
	var keys []string
	return a.command(spec{
		use: "precheck", short: "Test the slots that hold a higher version",
		long: `Test whether an appliance can be upgraded to the firmware in its slots. The command tests a
slot if its version is higher than the running version or cannot be compared with it, and
skips the other slots. A test changes nothing on the appliance. The status is 1 if a test
failed, and 2 if there is no slot to test.`,
		examples: []string{"sps --demo firmware precheck", "sps --hosts hosts.txt --parallel 20 -o junit firmware precheck"},
		columns:  verdictColumns, data: verdictsData{},
		flags: func(f *pflag.FlagSet) {
			f.StringArrayVar(&keys, "slot", nil, "`key` of a slot to test, instead of the slots with a higher version; may be repeated")
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			list, err := j.client.Firmware.Slots.List(ctx)
			if err != nil {
				return out.Report{}, err
			}
			if len(keys) > 0 {
				return j.testAll(ctx, named(list, keys))
			}
			verdicts, some := newer(list)
			if !some {
				return verdictsReport(verdicts), errors.New("firmware precheck: no slot to test: no slot holds a version higher than the running one: upload an image with \"sps firmware upload\", or name a slot with --slot")
			}
			return j.testAll(ctx, verdicts)
		},
	})
}

func (a *app) uploadCommand() *cobra.Command {
	return a.command(spec{
		use: "upload FILE", short: "Upload a firmware image",
		long:     "Upload a firmware image into an empty slot.",
		examples: []string{"sps --host sps1.example.com firmware upload sps-8.1.0.iso", "sps --host sps1.example.com firmware upload sps-8.1.0.iso --dry-run"},
		args:     cobra.ExactArgs(1), single: true, change: true, valid: files, data: slotOnly{},
		check: func(args []string) error { return checkImage("firmware upload", args[0]) },
		run: func(ctx context.Context, j *job) (out.Report, error) {
			if j.dryRun {
				list, err := j.client.Firmware.Slots.List(ctx)
				if err == nil && list.EmptySlots == 0 {
					err = sps.ErrNoEmptySlot
				}
				if err != nil {
					return out.Report{}, err
				}
				r := said("dry run, nothing was uploaded: the appliance has an empty slot for %s", j.args[0])
				r.Data = slotOnly{DryRun: true}
				return r, nil
			}
			b := j.newBar()
			slot, err := j.client.Firmware.UploadFile(ctx, j.args[0], sps.WithProgress(b.report("uploading")))
			b.end()
			if err != nil {
				return out.Report{}, err
			}
			r := said("version %s is in slot %s", slot.Body.Version, slot.Key)
			r.Data = slotOnly{slot.Key, slot.Body.Version, false}
			return r, nil
		},
	})
}

// checkImage returns an error if a file with an image does not exist or is not a regular file. The
// error starts with what.
func checkImage(what, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("%s: %w: name the file with the image", what, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is not a regular file: name the file with the image", what, name)
	}
	return nil
}

type slotOnly struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
	DryRun  bool   `json:"dry_run"`
}

// said returns a report with one line of text.
func said(format string, args ...any) out.Report {
	return out.Report{Text: text.Line(fmt.Sprintf(format, args...)) + "\n"}
}

// files completes names of files.
func files(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func (a *app) fetchCommand() *cobra.Command {
	var sum string
	var wait time.Duration
	return a.command(spec{
		use: "fetch URL", short: "Let the appliance download a firmware image",
		long: `Let an appliance download a firmware image into an empty slot, and wait for the end of the
download. If the command is interrupted, the download continues.`,
		examples: []string{
			"sps --host sps1.example.com firmware fetch https://example.com/sps.iso --sha256 " + demoSHA256,
			"sps --host sps1.example.com firmware fetch https://example.com/sps.iso --sha256 " + demoSHA256 + " --dry-run",
		},
		args: cobra.ExactArgs(1), single: true, change: true, data: fetchData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&sum, "sha256", "", "SHA-256 checksum of the image in `hex`; required")
			days.Var(f, &wait, "wait", 0, "longest `duration` to wait for the download (default 2h)")
		},
		check: func([]string) error {
			if sum == "" {
				return errors.New("--sha256 is missing: give the SHA-256 checksum of the image")
			}
			return nil
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			if j.dryRun {
				list, err := j.client.Firmware.Slots.List(ctx)
				if err == nil && list.EmptySlots == 0 {
					err = sps.ErrNoEmptySlot
				}
				if err != nil {
					return out.Report{}, err
				}
				r := said("dry run, nothing was downloaded: the appliance has an empty slot")
				r.Data = fetchData{DryRun: true}
				return r, nil
			}
			key, err := j.client.Firmware.Fetch.Start(ctx, j.args[0], sum)
			if err != nil {
				return out.Report{}, err
			}
			b := j.newBar()
			fetch, err := j.client.Firmware.Fetch.Wait(ctx, key, sps.WithWaitLimit(wait), sps.WithPollInterval(j.Poll), sps.WithProgress(b.report("the appliance downloads")))
			b.end()
			if err != nil {
				var failed *sps.FirmwareFetchError
				if !errors.As(err, &failed) { // the download continues without this command
					err = &maybeAppliedError{err: fmt.Errorf("firmware fetch: the download %s continues on the appliance: %w: \"sps firmware slots\" shows when the image has arrived", key, err)}
				}
				return out.Report{}, err
			}
			r := said("the download %s has finished", key)
			r.Data = fetchData{fetch.Key, string(fetch.Status), false}
			return r, nil
		},
	})
}

type fetchData struct {
	Fetch  string `json:"fetch"`
	Status string `json:"status"`
	DryRun bool   `json:"dry_run"`
}

// demoSHA256 is the checksum in the examples of the help.
var demoSHA256 = strings.Repeat("0f", 32)

func (a *app) deleteSlotCommand() *cobra.Command {
	return a.command(spec{
		use: "delete SLOT", short: "Delete the firmware in a slot",
		long:     "Delete the firmware in a slot. The running firmware and the firmware of the next boot cannot be deleted.",
		examples: []string{"sps --host sps1.example.com firmware delete 3 --yes", "sps --host sps1.example.com firmware delete 3 --dry-run"},
		args:     cobra.ExactArgs(1), valid: a.completeSlots, single: true, change: true, confirm: true, data: slotOnly{},
		ask: func(args []string) string { return fmt.Sprintf("delete the firmware in slot %s?", args[0]) },
		run: func(ctx context.Context, j *job) (out.Report, error) {
			key := j.args[0]
			slot, err := j.client.Firmware.Slots.Get(ctx, key)
			switch {
			case errors.Is(err, sps.ResourceNotFound):
				return out.Report{}, fmt.Errorf("firmware delete: there is no slot %s: %w", key, err)
			case err != nil:
				return out.Report{}, err
			}
			data := slotOnly{key, slot.Body.Version, j.dryRun}
			if j.dryRun {
				if slot.Body.Current || slot.Body.AfterReboot {
					return out.Report{}, fmt.Errorf("firmware delete %s: %w", key, sps.ErrSlotInUse)
				}
				r := said("dry run: slot %s would be emptied; it holds %s", key, text.OrDash(slot.Body.Version))
				r.Data = data
				return r, nil
			}
			if err := j.client.Firmware.Slots.Delete(ctx, key); err != nil {
				return out.Report{}, err
			}
			r := said("slot %s is empty; it held %s", key, text.OrDash(slot.Body.Version))
			r.Data = data
			return r, nil
		},
	})
}
