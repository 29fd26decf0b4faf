// Command performance measures the SDK beside what its users would write by hand and
// beside other SDKs, and writes docs/explanation/performance.md and the chart beside it.
// Run it in the folder bench:
//
//	go run ./performance
//
// It takes about half an hour. The statistics are those of golang.org/x/perf: medians,
// with the interval in which the true one is with a confidence of 95 %.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	part := flag.String("part", "", "run one part, for the use of this program itself")
	rounds := flag.Int("rounds", 10, "rounds of the benchmarks, which alternate")
	benchTime := flag.Duration("benchtime", 200*time.Millisecond, "time of each benchmark in each round")
	newest := flag.String("newest", "go1.27.4", "the newest Go, to report its ratios too; empty for none")
	out := flag.String("out", "../docs/explanation/performance.md", "the file to write; - prints it only")
	only := flag.String("only", "", "measure one of the loads, such as recordings, and print its rows")
	redraw := flag.Bool("chart", false, "measure nothing, and draw the chart of the page anew")
	flag.Parse()
	if *part != "" {
		result, err := child(*part, []byte(flag.Arg(0)))
		if err == nil && result != nil {
			err = report(result)
		}
		exit(err)
		return
	}
	if *redraw {
		exit(writeChart(*out))
		return
	}
	if *only != "" {
		exit(measureOnly(*only))
		return
	}
	exit(measure(*rounds, *benchTime, *newest, *out))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(2)
	}
}

// report prints what a part measured, and stays until that was read.
func report(result any) error {
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	_, err := os.Stdin.Read(make([]byte, 1))
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

func measure(rounds int, benchTime time.Duration, newest, out string) error {
	if rounds < 6 {
		return errors.New("fewer than 6 rounds have no interval of confidence")
	}
	if _, err := os.Stat("byhand_test.go"); err != nil {
		return errors.New("run it in the folder bench")
	}
	dir, err := os.MkdirTemp("", "sps-performance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	note("benchmarks, %d rounds", rounds)
	flags := []string{"-test.bench", ".", "-test.skip", "Sessions", "-test.benchtime", benchTime.String()}
	oldest, err := benchmark(filepath.Join(dir, "bench.test"), "", rounds, flags...)
	if err != nil {
		return err
	}
	var newer *results
	if newest != "" {
		note("benchmarks with %s", newest)
		if newer, err = benchmark(filepath.Join(dir, "newest.test"), newest, rounds, flags...); err != nil {
			return err
		}
	}
	targets := oldest.targets()
	for _, load := range loads {
		note("%s", load.name)
		rows, err := load.run()
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		targets = append(targets, rows...)
	}
	page, err := render(oldest, newer, targets, rounds)
	if err != nil {
		return err
	}
	fmt.Print(page)
	if out == "-" {
		return nil
	}
	if err := write(out, page); err != nil {
		return err
	}
	return writeChart(out)
}

func note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// loads are what is measured beside the benchmarks.
var loads = []struct {
	name string
	run  func() ([]row, error)
}{
	{"logging", logging},
	{"connections", sequence},
	{"iteration", iteration},
	{"sessions", func() ([]row, error) { return sessionCost(12) }},
	{"memory of sessions", sessionMemory},
	{"export of sessions", func() ([]row, error) { return exports(3) }},
	{"recordings", func() ([]row, error) { return trails(5) }},
	{"files", func() ([]row, error) { return files(5) }},
	{"fleet", func() ([]row, error) { return fleet(1000, 50, 100*time.Millisecond) }},
	{"simulator", simulator},
	{"binaries", binaries},
}

func measureOnly(name string) error {
	for _, load := range loads {
		if load.name != name {
			continue
		}
		rows, err := load.run()
		for _, r := range rows {
			fmt.Printf("%s: %s (%s; met: %t)\n", r.what, r.measured, r.target, r.met)
		}
		return err
	}
	return fmt.Errorf("there is no load %q", name)
}
