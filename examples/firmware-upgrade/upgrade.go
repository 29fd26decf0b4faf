package main

import (
	"context"
	"errors"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// target is one appliance, how to reach it, and what to upgrade it to.
type target struct {
	host       string
	credential sps.Credential
	options    []sps.Option
	source     sps.UpgradeSource
	message    string
	dryRun     bool
	waiting    []sps.UpgradeOption
	progress   *progress
}

// The statuses of a result.
const (
	upgraded = "upgraded"
	tested   = "tested" // a dry run, and the test passed
	failed   = "failed" // the appliance tested the image and found a problem
	errored  = "error"  // anything else
)

// stepConnect is the step before those of the upgrade.
const stepConnect sps.FirmwareUpgradeStep = "connect"

// result is what became of the appliance. Its texts are fit to print.
type result struct {
	Appliance string                  `json:"appliance"`
	From      string                  `json:"from"`
	To        string                  `json:"to"`
	Slot      string                  `json:"slot"`
	Status    string                  `json:"status"`
	Step      sps.FirmwareUpgradeStep `json:"step"`
	Summary   string                  `json:"summary"`
	Error     string                  `json:"error"`
	Left      string                  `json:"left"`
}

// upgrade upgrades one appliance. The log-out is left to the caller.
func upgrade(ctx context.Context, t target) (r result, logOut func() error) {
	r = result{Appliance: cli.Line(t.host), Step: stepConnect}
	t.progress.step(stepConnect)
	client, err := sps.Connect(ctx, t.host, t.credential, t.options...)
	if err != nil {
		r.Status, r.Error = errored, cli.Line(err.Error())
		r.Left = "the appliance is as it was: nothing was started"
		return r, func() error { return nil }
	}

	options := []sps.UpgradeOption{
		sps.WithMessage(t.message),
		sps.WithProgress(t.progress.report),
	}
	options = append(options, t.waiting...)
	if t.dryRun {
		options = append(options, sps.WithTestOnly())
	}
	report, err := client.Firmware.Upgrade(ctx, t.source, options...)
	r.finish(report, err, t.dryRun)
	// Close goes out although ctx may be done: no session stays behind.
	return r, func() error { return client.Close(ctx) }
}

// finish takes over what the upgrade came to.
func (r *result) finish(report *sps.FirmwareUpgradeReport, err error, dryRun bool) {
	r.From, r.To, r.Slot = cli.Line(report.From), cli.Line(report.To), cli.Line(report.SlotKey)
	r.Summary = cli.Lines(report.TestSummary)
	var stopped *sps.FirmwareUpgradeError
	if errors.As(err, &stopped) {
		r.Step, r.Left, err = stopped.Step, cli.Line(stopped.Left), stopped.Err
	}
	var upload *sps.FirmwareUploadError
	if errors.As(err, &upload) && upload.Stored != nil { // the image got there nonetheless
		r.Slot, r.To = cli.Line(upload.Stored.Key), cli.Line(upload.Stored.Body.Version)
	}
	var failure *sps.FirmwareTestFailedDetails
	switch {
	case errors.As(err, &failure):
		r.Status, r.Summary = failed, cli.Lines(failure.TestSummary)
	case err != nil:
		r.Status, r.Error = errored, cli.Line(err.Error())
	case dryRun:
		r.Status, r.Step = tested, sps.StepTest
		r.Left = "no upgrade was started; the appliance ran " + r.From + "; the image stays in slot " + r.Slot
	default:
		r.Status, r.Step = upgraded, sps.StepVerify
	}
}
