package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// results are the results of the benchmarks for one version of Go. The field values is a map
// from the name of a benchmark and a unit to one value for each round.
type results struct {
	version string
	values  map[string]map[string][]float64
}

// benchmark builds the benchmarks, with the given Go toolchain unless it is "", and runs
// them in rounds, so that other load on the machine affects all benchmarks equally.
func benchmark(program, toolchain string, rounds int, flags ...string) (*results, error) {
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	version := exec.Command("go", "env", "GOVERSION")
	for _, cmd := range []*exec.Cmd{build, version} {
		cmd.Env = os.Environ()
		if toolchain != "" {
			cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+toolchain)
		}
	}
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the benchmarks: %w: %s", err, text)
	}
	name, err := version.Output()
	if err != nil {
		return nil, err
	}
	r := &results{version: strings.TrimSpace(string(name)), values: map[string]map[string][]float64{}}
	for range rounds {
		text, err := exec.Command(program, append([]string{"-test.run", "^$"}, flags...)...).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("benchmarks: %w: %s", err, text)
		}
		reader := benchfmt.NewReader(bytes.NewReader(text), "benchmarks")
		for reader.Scan() {
			result, ok := reader.Result().(*benchfmt.Result)
			if !ok {
				continue
			}
			name := strings.TrimSuffix(result.Name.String(), fmt.Sprintf("-%d", runtime.GOMAXPROCS(0)))
			if r.values[name] == nil {
				r.values[name] = map[string][]float64{}
			}
			for _, v := range result.Values {
				r.values[name][v.Unit] = append(r.values[name][v.Unit], v.Value)
			}
		}
		if err := reader.Err(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// measured is a median with its confidence interval.
type measured benchmath.Summary

func summary(values []float64) measured {
	return measured(benchmath.AssumeNothing.Summary(benchmath.NewSample(values, &benchmath.DefaultThresholds), 0.95))
}

// String formats a ratio with its confidence interval. It leaves out the interval if there were
// fewer than six values, because the interval is then infinite.
func (m measured) String() string {
	if m.Lo < 0 || m.Hi > 1e9 {
		return fmt.Sprintf("%.2f", m.Center)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", m.Center, m.Lo, m.Hi)
}

// ratio divides the times of two benchmarks round by round, and summarizes the ratios.
func (r *results) ratio(name, other string) measured { return r.ratioOf("sec/op", name, other) }

func (r *results) ratioOf(unit, name, other string) measured {
	a, b := r.values[name][unit], r.values[other][unit]
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return summary(ratios)
}

func (r *results) median(name, unit string) float64 { return summary(r.values[name][unit]).Center }

// The names of benchmarks in the output of go test.
const (
	alerts = "TrafficAlerts/memory/"
	peers  = "Peers/"
)

// rivals are the other SDKs.
var rivals = []string{"tailscale", "hcloud-go", "go-github"}

// targets compares the results of the benchmarks with their targets.
func (r *results) targets() []row {
	byHand, byNew := r.ratio(alerts+"sps", alerts+"encoding-json"), r.ratio(alerts+"sps", alerts+"new-json")
	allocs := func(name string) float64 { return r.median(alerts+name, "allocs/op") }
	failed := r.ratio("Error/failed", "Error/passed")
	ours := r.ratio(peers+"sps/sdk", peers+"sps/bare")
	lowest := r.ratio(peers+rivals[0]+"/sdk", peers+rivals[0]+"/bare")
	for _, name := range rivals[1:] {
		if other := r.ratio(peers+name+"/sdk", peers+name+"/bare"); other.Center < lowest.Center {
			lowest = other
		}
	}
	standard, newer := r.ratio("Update/sps", "Update/encoding-json"), r.ratio("Update/sps", "Update/new-json")
	return []row{
		{"typed read of traffic_alerts in memory: time, relative to encoding/json by hand", "at most 1.00", byHand.String(), byHand.Center <= 1},
		{"typed read of traffic_alerts in memory: allocations, compared with encoding/json by hand", fmt.Sprintf("fewer than %.0f", allocs("encoding-json")), fmt.Sprintf("%.0f", allocs("sps")), allocs("sps") < allocs("encoding-json")},
		{"typed read of traffic_alerts in memory: time, relative to the new JSON by hand", "at most 1.15", byNew.String(), byNew.Center <= 1.15},
		{"typed read of traffic_alerts in memory: allocations, compared with the new JSON by hand", fmt.Sprintf("at most 12 more than %.0f", allocs("new-json")), fmt.Sprintf("%.0f", allocs("sps")), allocs("sps") <= allocs("new-json")+12},
		{"typed read of 250 bytes: time, relative to a plain read", "less than the fastest other SDK, " + lowest.String(), ours.String(), ours.Center < lowest.Center},
		{"error response: time, relative to a successful response", "at most 1.5", failed.String(), failed.Center <= 1.5},
		{"lossless update of 1 MB with one change: time, relative to decoding and encoding once with encoding/json", "at most 3", standard.String(), standard.Center <= 3},
		{"lossless update of 1 MB with one change: time, relative to decoding and encoding once with the new JSON", "at most 3", newer.String(), newer.Center <= 3},
	}
}
