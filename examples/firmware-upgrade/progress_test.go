package main

import (
	"bytes"
	"log"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	p := newProgress(log.New(&got, "", 0), log.New(&got, "", 0))
	p.step(stepConnect)
	p.report(sps.Progress{Step: sps.StepUpload, State: "begun", Percent: -1})
	for _, percent := range []float64{1, 9, 10.4, 15, 99, 100, 2, 50, 100} { // it is tried again once
		p.report(sps.Progress{Step: sps.StepUpload, State: "some bytes", Percent: percent})
	}
	p.report(sps.Progress{Step: sps.StepFetch, State: "begun", Percent: -1})
	for _, percent := range []float64{-1, -1, 40, 40, 80} {
		p.report(sps.Progress{Step: sps.StepFetch, State: "in-progress", Percent: percent})
	}
	p.report(sps.Progress{Step: sps.StepWait, State: "begun", Percent: -1})
	for i, state := range []string{"still runs 7.4.0", "still runs 7.4.0", "\x1b[2Jrefused", "\x1b[2Jrefused", "runs 8.0.0"} {
		p.report(sps.Progress{Step: sps.StepWait, State: state, Percent: -1, Elapsed: time.Duration(i) * 10 * time.Second})
	}
	want := `Logging in.
Uploading the image.
  10 % uploaded
  99 % uploaded
  100 % uploaded
  50 % uploaded
  100 % uploaded
Letting the appliance download the image.
  after 0s: in-progress
  after 0s: in-progress, 40 %
  after 0s: in-progress, 80 %
Waiting for the appliance to restart.
  after 0s: still runs 7.4.0
  after 20s: [2Jrefused
  after 40s: runs 8.0.0
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
}

// Every step has words.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, step := range []sps.FirmwareUpgradeStep{stepConnect, sps.StepPrepare, sps.StepUpload, sps.StepFetch, sps.StepTest, sps.StepUpgrade, sps.StepWait, sps.StepVerify} {
		if words[step] == "" {
			t.Errorf("the step %s has no words", step)
		}
	}
}
