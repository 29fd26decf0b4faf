package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// bar shows the progress of a long command in one line of a terminal, which it overwrites.
type bar struct {
	w     io.Writer // nil if nothing is shown
	now   func() time.Time
	mu    sync.Mutex
	last  time.Time
	width int // the width of the current line

	columns int // the width of the terminal, or 0 if it is not known
}

// barInterval is the minimum time between two lines, except for lines that must be shown.
const barInterval = 100 * time.Millisecond

// newBar makes a bar on standard error. It shows nothing if standard error is no terminal.
func (a *app) newBar() *bar {
	b := &bar{now: time.Now}
	if file, ok := terminal(a.Stderr); ok && !a.verbose { // the records would break the line
		b.w = a.Stderr
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			b.columns = columns
		}
	}
	return b
}

// newBar makes the bar for one appliance. It shows nothing if the run has several appliances,
// because runAll shows one bar for all of them.
func (j *job) newBar() *bar {
	if j.several {
		return &bar{now: time.Now}
	}
	return j.app.newBar()
}

// say shows a line. Unless must is true, it skips a line that follows the last line within
// barInterval.
func (b *bar) say(must bool, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w == nil || !must && b.now().Sub(b.last) < barInterval {
		return
	}
	b.last = b.now()
	line = text.Cell(line)
	if runes := []rune(line); b.columns > 1 && len(runes) >= b.columns {
		line = string(runes[:b.columns-1]) // a second line could not be overwritten
	}
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

// report returns a function for the option sps.WithProgress.
func (b *bar) report(what string) func(sps.Progress) {
	return func(p sps.Progress) {
		if step := stepWords[p.Step]; step != "" {
			what = step
		}
		b.say(p.State == "begun", progressLine(what, p))
	}
}

// stepWords has the text that the bar shows for each step of an upgrade.
var stepWords = map[sps.FirmwareUpgradeStep]string{
	sps.StepPrepare: "reading the version and the slots",
	sps.StepUpload:  "uploading the image",
	sps.StepFetch:   "the appliance downloads the image",
	sps.StepTest:    "testing the image",
	sps.StepUpgrade: "starting the upgrade",
	sps.StepWait:    "waiting for the restart",
	sps.StepVerify:  "verifying the running version",
}

// progressLine returns the line that the bar shows for a progress report.
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
