package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// begin and end mark the part of the page that this program replaces. The text outside
// them is written by hand.
const (
	begin = "<!-- measured: begin -->\n"
	end   = "<!-- measured: end -->\n"
)

// works are the benchmarks in the tables that compare the SDK with code written by hand.
var works = []struct{ name, title string }{
	{"TrafficAlerts", "typed read of `traffic_alerts`, 1.1 KB"},
	{"Slots", "list of five firmware slots"},
	{"TrustStores", "list of 1,000 trust stores with certificates, 1.7 MB"},
	{"TestFailed", "error response, decoded to `FirmwareTestFailed`"},
	{"Transaction", "whole transaction with one update"},
}

// render returns the tables of the page.
func render(oldest, newest *results, targets []row, rounds int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s/%s, %s", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, oldest.version)
	if newest != nil {
		fmt.Fprintf(&b, " and %s", newest.version)
	}
	fmt.Fprintf(&b, ", %s. A ratio is the median of %d alternating rounds. The\nparentheses contain its 95 %% confidence interval.\n", time.Now().Format("2 January 2006"), rounds)

	b.WriteString("\n### Targets, " + oldest.version + "\n\n| What | Target | Measured | |\n| --- | --- | --- | --- |\n")
	for _, t := range targets {
		word := "met"
		if !t.met {
			word = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.what, t.target, t.measured, word)
	}

	for _, r := range []*results{oldest, newest} {
		if r == nil {
			continue
		}
		fmt.Fprintf(&b, "\n### Compared with code by hand, %s\n\n", r.version)
		b.WriteString("| Work | Where | Time, relative to encoding/json | Time, relative to the new JSON | Allocations: SDK, encoding/json, new JSON | Bytes: SDK, encoding/json, new JSON |\n| --- | --- | --- | --- | --- | --- |\n")
		for _, w := range works {
			for _, where := range []string{"memory", "tls"} {
				name := w.name + "/" + where + "/"
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", w.title, where,
					r.ratio(name+"sps", name+"encoding-json"), r.ratio(name+"sps", name+"new-json"), r.three(name, "allocs/op"), r.three(name, "B/op"))
			}
		}
		fmt.Fprintf(&b, "\n### Compared with other SDKs, %s\n\nThe typed read of each SDK, of 250 bytes in memory, relative to a plain read into the same type.\n\n", r.version)
		b.WriteString("| SDK | Time, relative to the plain read | Allocations: SDK, plain read | Bytes: SDK, plain read |\n| --- | --- | --- | --- |\n")
		for _, name := range append([]string{"sps"}, rivals...) {
			sdk, bare := peers+name+"/sdk", peers+name+"/bare"
			fmt.Fprintf(&b, "| %s | %s | %.0f, %.0f | %.0f, %.0f |\n", name, r.ratio(sdk, bare),
				r.median(sdk, "allocs/op"), r.median(bare, "allocs/op"), r.median(sdk, "B/op"), r.median(bare, "B/op"))
		}
	}
	return b.String(), nil
}

// three formats the medians of a unit for the SDK and for both versions written by hand:
// encoding/json and the new JSON package.
func (r *results) three(name, unit string) string {
	return fmt.Sprintf("%.0f, %.0f, %.0f", r.median(name+"sps", unit), r.median(name+"encoding-json", unit), r.median(name+"new-json", unit))
}

// processor returns the name of the processor.
func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	if out, err := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return "an unknown processor"
}

// write replaces the tables in the page.
func write(file, tables string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		return fmt.Errorf("%s must contain the lines %q and %q", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(file, []byte(before+begin+tables+end+after), 0o644)
}
