package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// upgradeData is the result of an upgrade.
type upgradeData struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Slot    string `json:"slot"`
	State   string `json:"state"` // upgraded, tested, failed or error
	Step    string `json:"step"`
	Summary string `json:"summary"`
	Left    string `json:"left"`
}

// upgradeFlags are the flags of the upgrade.
type upgradeFlags struct {
	slot, image, url, sha256, expect string
	wait                             time.Duration
}

func (u *upgradeFlags) check([]string) error {
	sources := 0
	for _, source := range []string{u.slot, u.image, u.url} {
		if source != "" {
			sources++
		}
	}
	switch {
	case sources == 0:
		return errors.New("firmware upgrade needs an image: give one of --slot, --image and --url")
	case sources > 1:
		return errors.New("firmware upgrade needs only one image: give only one of --slot, --image and --url")
	case (u.url == "") != (u.sha256 == ""):
		return errors.New("--url and --sha256 belong together: give both")
	case u.image != "":
		return checkImage("--image", u.image)
	}
	return nil
}

// source returns the source of the image for the SDK.
func (u *upgradeFlags) source() sps.UpgradeSource {
	switch {
	case u.slot != "":
		return sps.FromSlot(u.slot)
	case u.image != "":
		return sps.FromFile(u.image)
	}
	return sps.FromURL(u.url, u.sha256)
}

// name returns a name of the image for the question to confirm.
func (u *upgradeFlags) name() string {
	switch {
	case u.slot != "":
		return "the firmware in slot " + u.slot
	case u.image != "":
		return u.image
	}
	return u.url
}

func (a *app) upgradeCommand() *cobra.Command {
	var u upgradeFlags
	return a.command(spec{
		use: "upgrade", short: "Upgrade an appliance and wait for the restart",
		long: `Upgrade an appliance, and wait until it runs the new firmware. The image comes from a slot
(--slot), from a file to upload (--image), or from a URL (--url). The command runs the
firmware test on the image, starts the upgrade, waits for the restart, and verifies the
running version. With --dry-run the command stops after the test, and the image stays on the
appliance. The command refuses a slot that is empty or holds the running firmware.

The status is 1 if the firmware test failed. The status is 3 if the upgrade may have been
started and the command could not verify that it succeeded. If the command is interrupted
after the start of the upgrade, the upgrade continues.`,
		examples: []string{
			"sps --host sps1.example.com firmware upgrade --slot 2 --yes",
			"sps --host sps1.example.com firmware upgrade --image sps-8.1.0.iso --dry-run",
		},
		single: true, change: true, confirm: true, data: upgradeData{},
		dryUsage: "stop after the firmware test; an image that was uploaded or downloaded stays on the appliance",
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&u.slot, "slot", "", "`key` of the slot that has the image")
			f.StringVar(&u.image, "image", "", "`file` with the image to upload")
			f.StringVar(&u.url, "url", "", "`URL` of the image that the appliance downloads; needs --sha256")
			f.StringVar(&u.sha256, "sha256", "", "SHA-256 checksum of the image at --url in `hex`")
			f.StringVar(&u.expect, "expect-version", "", "stop before the upgrade unless the image has this `version`")
			f.StringVarP(&a.message, "message", "m", "", "`text` for the appliance's change log")
			days.Var(f, &u.wait, "wait", 0, "longest `duration` to wait for the restart (default 30m), and for the download of --url (default 2h)")
		},
		check: u.check,
		ask:   func([]string) string { return fmt.Sprintf("upgrade to %s, and restart the appliance?", u.name()) },
		run:   func(ctx context.Context, j *job) (out.Report, error) { return j.upgrade(ctx, &u) },
	})
}

// upgrade upgrades an appliance, and reports the result.
func (j *job) upgrade(ctx context.Context, u *upgradeFlags) (out.Report, error) {
	if u.slot != "" {
		if err := j.checkSlot(ctx, u.slot); err != nil {
			return out.Report{Data: upgradeData{Slot: u.slot, State: "error", Step: string(sps.StepPrepare)}}, err
		}
	}
	b := j.newBar()
	options := []sps.UpgradeOption{sps.WithMessage(j.message), sps.WithProgress(b.report("upgrading")), sps.WithPollInterval(j.Poll)}
	if u.wait > 0 {
		options = append(options, sps.WithWaitLimit(u.wait))
	}
	if u.expect != "" {
		options = append(options, sps.WithExpectedVersion(u.expect))
	}
	if j.dryRun {
		options = append(options, sps.WithTestOnly())
	}
	report, err := j.client.Firmware.Upgrade(ctx, u.source(), options...)
	b.end()
	d := upgradeData{From: report.From, To: report.To, Slot: report.SlotKey, Summary: report.TestSummary}
	var stopped *sps.FirmwareUpgradeError
	if errors.As(err, &stopped) {
		d.Step, d.Left, err = string(stopped.Step), inFlags.Replace(stopped.Left), stopped.Err
	}
	var upload *sps.FirmwareUploadError
	if errors.As(err, &upload) && upload.Stored != nil { // the image was stored despite the error
		d.Slot, d.To = upload.Stored.Key, upload.Stored.Body.Version
	}
	var failure *sps.FirmwareTestFailedDetails
	r := out.Report{}
	switch {
	case errors.As(err, &failure):
		v := &verdict{Slot: d.Slot, Version: d.To, Status: out.Failure, Summary: failure.TestSummary, kind: string(sps.FirmwareTestFailed)}
		d.State, d.Summary = "failed", failure.TestSummary
		r.No, r.Cases, err = true, []out.Case{v.junit()}, nil
		r.Text = text.Line(fmt.Sprintf("%s in slot %s failed the firmware test: %s", d.To, d.Slot, v.why())) + "\n" + text.Indent(d.Summary)
	case err != nil:
		d.State = "error"
		err = upgradeError(stopped, err)
	case j.dryRun:
		d.State, d.Step = "tested", string(sps.StepTest)
		d.Left = "no upgrade was started; the appliance runs " + d.From + "; the image stays in slot " + d.Slot
		r.Text = text.Line(fmt.Sprintf("%s in slot %s passed the firmware test", d.To, d.Slot)) + "\n"
	default:
		d.State, d.Step = "upgraded", string(sps.StepVerify)
		r.Text = text.Line(fmt.Sprintf("upgraded from %s to %s, the image in slot %s", d.From, d.To, d.Slot)) + "\n"
	}
	if d.Left != "" {
		r.Text += "state of the appliance: " + text.Line(d.Left) + "\n"
	}
	r.Data = d
	return r, err
}

// checkSlot returns an error if a slot is empty, does not exist, or holds the running firmware: an
// upgrade to the running firmware would restart the appliance for nothing.
func (j *job) checkSlot(ctx context.Context, key string) error {
	list, err := j.client.Firmware.Slots.List(ctx)
	if err != nil {
		return err
	}
	slot, ok := list.Slot(key)
	switch {
	case !ok || slot.Body.Empty():
		return &advisedError{fmt.Sprintf("firmware upgrade: slot %s is empty or does not exist", text.Line(key)), "see \"sps firmware slots\"", sps.KindNotFound}
	case slot.Body.Current:
		return &advisedError{
			fmt.Sprintf("firmware upgrade: slot %s holds the running firmware %s, so no upgrade was started", text.Line(key), text.Line(slot.Body.Version)),
			"choose another slot; \"sps firmware slots\" lists them", sps.ErrSlotInUse,
		}
	}
	return nil
}

// upgradeError adds the step to an error of an upgrade. In the steps after the start of the
// upgrade, it marks the error as one after which a change may have been applied.
func upgradeError(stopped *sps.FirmwareUpgradeError, err error) error {
	if stopped == nil {
		return err
	}
	wrapped := fmt.Errorf("firmware upgrade stopped in the step %q: %w", string(stopped.Step), err)
	switch stopped.Step {
	case sps.StepWait, sps.StepVerify:
		return &maybeAppliedError{wrapped, "check the appliance with \"sps info\" and \"sps firmware slots\" before you run the command again"}
	}
	return wrapped
}
