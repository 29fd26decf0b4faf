package main

import (
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// progress tells how an upgrade goes. It is called from several goroutines.
type progress struct {
	steps, details *log.Logger

	mu      sync.Mutex
	percent float64 // of the upload, when it was told last
	state   string  // of the wait, when it was told last
}

func newProgress(steps, details *log.Logger) *progress {
	return &progress{steps: steps, details: details}
}

// words are the steps in words.
var words = map[sps.FirmwareUpgradeStep]string{
	stepConnect:     "Logging in.",
	sps.StepPrepare: "Looking at the appliance.",
	sps.StepUpload:  "Uploading the image.",
	sps.StepFetch:   "Letting the appliance download the image.",
	sps.StepTest:    "Testing the image, which changes nothing.",
	sps.StepUpgrade: "Beginning the upgrade.",
	sps.StepWait:    "Waiting for the appliance to restart.",
	sps.StepVerify:  "Verifying what runs now.",
}

// step tells that a step begins.
func (p *progress) step(step sps.FirmwareUpgradeStep) { p.steps.Print(words[step]) }

// percentStep is by how much an upload has to grow to be told about.
const percentStep = 10

// report is called by the upgrade.
func (p *progress) report(now sps.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case now.State == "begun":
		p.percent, p.state = 0, ""
		p.step(now.Step)
	case now.Step == sps.StepUpload:
		if now.Percent < p.percent { // it is tried again
			p.percent = 0
		}
		if now.Percent >= p.percent+percentStep || now.Percent >= 100 {
			p.percent = now.Percent
			p.details.Printf("  %.0f %% uploaded", now.Percent)
		}
	default:
		state := cli.Line(now.State)
		if now.Percent >= 0 {
			state += fmt.Sprintf(", %.0f %%", now.Percent)
		}
		if state != p.state {
			p.state = state
			p.details.Printf("  after %s: %s", now.Elapsed.Round(time.Second), state)
		}
	}
}
