package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// bar shows on a terminal how far long work is, in one line that is drawn anew.
type bar struct {
	w     io.Writer // nil: nowhere
	now   func() time.Time
	mu    sync.Mutex
	last  time.Time
	width int // of what is drawn
}

// barInterval is the time between two drawings.
const barInterval = 100 * time.Millisecond

// newBar makes a bar on standard error, which shows nothing unless that is a terminal.
func (a *app) newBar() *bar {
	b := &bar{now: time.Now}
	if _, ok := terminal(a.Stderr); ok {
		b.w = a.Stderr
	}
	return b
}

// say draws a line. One that comes soon after another one is left out, unless it must be
// seen.
func (b *bar) say(must bool, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w == nil || !must && b.now().Sub(b.last) < barInterval {
		return
	}
	b.last = b.now()
	line = text.Cell(line)
	length := len([]rune(line))
	fmt.Fprintf(b.w, "\r%s%s", line, strings.Repeat(" ", max(0, b.width-length)))
	b.width = length
}

// end removes the line.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w != nil && b.width > 0 {
		fmt.Fprintf(b.w, "\r%s\r", strings.Repeat(" ", b.width))
		b.width = 0
	}
}

// report is for the option sps.WithProgress.
func (b *bar) report(what string) func(sps.Progress) {
	return func(p sps.Progress) {
		if step := stepWords[p.Step]; step != "" {
			what = step
		}
		b.say(p.State == "begun", progressLine(what, p))
	}
}

var stepWords = map[sps.FirmwareUpgradeStep]string{
	sps.StepPrepare: "looking at the appliance",
	sps.StepUpload:  "uploading the image",
	sps.StepFetch:   "the appliance downloads the image",
	sps.StepTest:    "testing the image",
	sps.StepUpgrade: "beginning the upgrade",
	sps.StepWait:    "waiting for the restart",
	sps.StepVerify:  "verifying what runs",
}

func progressLine(what string, p sps.Progress) string {
	const cells = 20
	line := what
	if p.Percent >= 0 && (p.Total > 0 || p.Percent > 0) {
		full := min(cells, max(0, int(p.Percent*cells/100)))
		line += fmt.Sprintf(" [%s%s] %3.0f %%", strings.Repeat("#", full), strings.Repeat(".", cells-full), p.Percent)
	}
	if p.Done > 0 {
		line += fmt.Sprintf(", %d MiB", p.Done>>20)
	}
	if p.State != "" && p.State != "begun" {
		line += ": " + p.State
	}
	if p.Elapsed > 0 {
		line += ", " + p.Elapsed.Round(time.Second).String()
	}
	return line
}
