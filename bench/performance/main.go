// Command performance compares the SDK with code written by hand and with other SDKs. It
// writes the tables of docs/explanation/performance.md and the chart performance.svg. Run
// it in the folder bench:
//
//	go run ./performance
//
// It takes about half an hour. golang.org/x/perf calculates the medians and their
// 95 % confidence intervals.
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
	part := flag.String("part", "", "run one part of a measurement; the program passes this flag when it starts itself as another process")
	rounds := flag.Int("rounds", 10, "number of rounds; each round runs each benchmark once")
	benchTime := flag.Duration("benchtime", 200*time.Millisecond, "time of each benchmark in each round")
	newest := flag.String("newest", "go1.27.4", "a second version of Go to run the benchmarks with; empty for none")
	out := flag.String("out", "../docs/explanation/performance.md", "the page to update; with -, the tables are only printed")
	only := flag.String("only", "", "run one measurement, such as recordings, and print its rows")
	redraw := flag.Bool("chart", false, "measure nothing; draw the chart of the page again")
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

// report prints the result of a part, and waits until the parent process closes standard
// input.
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
		return errors.New("-rounds must be 6 or more: fewer rounds have no confidence interval")
	}
	if _, err := os.Stat("byhand_test.go"); err != nil {
		return errors.New("run this command in the folder bench")
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

// loads are the measurements that are not Go benchmarks.
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
	return fmt.Errorf("there is no measurement %q", name)
}
