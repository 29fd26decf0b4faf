// Command recording runs commands of sps on a simulated appliance, and prints an animated SVG
// that shows these commands and their output in a terminal. Run it in a checkout:
//
//	go run ./tools/recording > docs/precheck.svg
package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// commands are the commands that the recording shows.
var commands = [][]string{
	{"sps", "--demo", "firmware", "precheck"},
	{"sps", "--demo", "alerts", "enable", "scbConnectionDenied", "--channel", "email", "--dry-run"},
	{"sps", "--demo", "info"},
}

// port matches the address of the simulated appliance. Its port differs in each run, so the
// recording shows a fixed one.
var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func main() {
	if err := record(); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

// record runs the commands and writes the SVG to standard output.
func record() error {
	folder, err := os.MkdirTemp("", "recording")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "sps")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/sps").CombinedOutput(); err != nil {
		return fmt.Errorf("building ./cmd/sps: %w\n%s", err, out)
	}
	var p picture
	for _, command := range commands {
		run := exec.Command(program, command[1:]...)
		run.Env = append(os.Environ(), "NO_COLOR=1")
		began := time.Now()
		out, err := run.CombinedOutput()
		if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 {
			err = nil // the command succeeded and reports a negative result
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", strings.Join(command, " "), time.Since(began).Round(time.Millisecond))
		p.line("$ "+strings.Join(command, " "), 900*time.Millisecond)
		for line := range strings.Lines(port.ReplaceAllString(string(out), "127.0.0.1:40443")) {
			p.line(strings.TrimRight(line, "\r\n"), 120*time.Millisecond)
		}
		p.line("", 900*time.Millisecond)
	}
	_, err = os.Stdout.WriteString(p.svg())
	return err
}

// picture is the SVG of a terminal whose lines appear one after the other.
type picture struct {
	body  bytes.Buffer
	lines int
	width int
	at    time.Duration
}

const (
	letter = 8.4 // width of a character at a font size of 14 px
	height = 20  // height of a line
)

// line adds a line, and a pause after it.
func (p *picture) line(text string, pause time.Duration) {
	p.lines++
	p.width = max(p.width, len([]rune(text)))
	colour := "#d8dee9"
	if strings.HasPrefix(text, "$ ") {
		colour = "#a3be8c"
	}
	fmt.Fprintf(&p.body, `<text x="14" y="%d" fill="%s" xml:space="preserve" opacity="1">%s<animate attributeName="opacity" from="0" to="0" dur="%.2fs" begin="0s"/></text>`+"\n",
		14+p.lines*height, colour, html.EscapeString(text), max(p.at.Seconds(), 0.01))
	p.at += pause
}

// svg returns the SVG with the lines so far.
func (p *picture) svg() string {
	width, tall := int(float64(p.width)*letter)+28, (p.lines+1)*height+10
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="sps in a terminal">
<rect width="100%%" height="100%%" rx="8" fill="#2e3440"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">
%s</g>
</svg>
`, width, tall, p.body.String())
}
