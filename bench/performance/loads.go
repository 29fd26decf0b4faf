package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// row is a row of the table of targets.
type row struct {
	what, target, measured string
	met                    bool
}

const mib = 1 << 20

// files measures an upload and a download with the SDK, and compares each with the same
// transfer by curl. The SDK and curl run in turns.
func files(rounds int) ([]row, error) {
	var servers []address
	server, err := run("serve-files", struct{}{}, &servers)
	if err != nil {
		return nil, err
	}
	defer server.finish()
	dir, err := os.MkdirTemp("", "sps-performance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "firmware.iso")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, uploadSize); err != nil {
		return nil, err
	}
	base := "https://" + servers[0].Host + "/api/"
	var rows []row
	for _, kind := range []struct {
		name, part string
		size       int64
		curl       []string
	}{
		{"2 GiB firmware upload", "upload", uploadSize, []string{"-H", "Expect:", "-F", "firmware=@" + image, base + "upload/firmware"}},
		{"1 GiB support bundle download", "download", downloadSize, []string{base + "troubleshooting/support-bundle/1/download"}},
	} {
		var grown, allocated int64
		var ratios, rates []float64
		for range rounds {
			var m moved
			p, err := run(kind.part, map[string]any{"Addresses": servers, "File": image}, &m)
			if err != nil {
				return nil, err
			}
			peak, err := status(p.cmd.Process.Pid, "VmHWM")
			if err != nil {
				return nil, err
			}
			if err := p.finish(); err != nil {
				return nil, err
			}
			grown = max(grown, peak-m.Resident)
			allocated = max(allocated, int64(m.Allocated))
			rates = append(rates, float64(kind.size)/mib/m.Seconds)
			seconds, err := curl(kind.curl)
			if err != nil {
				return nil, err
			}
			if seconds > 0 {
				ratios = append(ratios, seconds/m.Seconds)
			}
		}
		rows = append(rows,
			row{kind.name + ": growth of the resident memory", "at most 16 MiB", fmt.Sprintf("%.1f MiB", float64(grown)/mib), grown <= 16*mib},
			row{kind.name + ": allocated memory", "at most 4 MiB", fmt.Sprintf("%.2f MiB", float64(allocated)/mib), allocated <= 4*mib})
		speed := row{kind.name + ": rate, relative to curl", "at least 0.95", "curl is not installed", false}
		if len(ratios) > 0 {
			speed.measured = fmt.Sprintf("%s (%.0f MiB/s)", summary(ratios), summary(rates).Center)
			speed.met = summary(ratios).Center >= 0.95
		}
		rows = append(rows, speed)
	}
	return rows, nil
}

// curl runs the same transfer with curl, and returns the time that curl reports. It
// returns 0 if curl is not installed.
func curl(arguments []string) (seconds float64, err error) {
	program, err := exec.LookPath("curl")
	if err != nil {
		return 0, nil
	}
	arguments = append([]string{"--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--cookie", "session_id=" + session, "--output", os.DevNull, "--write-out", "%{time_total}"}, arguments...)
	out, err := exec.Command(program, arguments...).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("curl: %s", failed.Stderr)
		}
		return 0, err
	}
	return strconv.ParseFloat(string(out), 64)
}

// fleet measures a process that runs a firmware precheck on many appliances.
func fleet(n, parallel int, latency time.Duration) ([]row, error) {
	var servers []address
	server, err := run("serve-fleet", map[string]any{"N": n, "Latency": latency}, &servers)
	if err != nil {
		return nil, err
	}
	var r fleetReport
	p, err := run("fleet", map[string]any{"Addresses": servers, "Parallel": parallel}, &r)
	if err != nil {
		server.finish()
		return nil, err
	}
	if err := errors.Join(p.finish(), server.finish()); err != nil {
		return nil, err
	}
	sent, err := strconv.Atoi(strings.TrimSpace(server.errors.String()))
	if err != nil {
		return nil, err
	}
	each := sent/n - 1 // the log-out is sent after the measured time
	bound := math.Ceil(float64(n)/float64(parallel)) * float64(each) * latency.Seconds()
	name := fmt.Sprintf("precheck of %d appliances by one process, %d at a time, each response after %v", n, parallel, latency)
	return []row{
		{name + ": heap while all are connected", "at most 64 KiB for each appliance", fmt.Sprintf("%d KiB", r.HeapEach>>10), r.HeapEach <= 64<<10},
		{name + ": goroutines while all are connected", "at most 2 for each appliance", fmt.Sprintf("%.2f", r.Goroutines), r.Goroutines <= 2.01},
		{name + ": goroutines that are left after Close", "none", strconv.Itoa(max(r.Left, 0)), r.Left <= 0},
		{name + ": elapsed time, relative to the shortest possible time with this delay and this limit", "at most 1.2", fmt.Sprintf("%.2f (%.1f s)", r.Seconds/bound, r.Seconds), r.Seconds/bound <= 1.2},
	}, nil
}

// simulator measures the start of a simulated appliance, and the rate of concurrent
// requests to a simulated appliance in another process.
func simulator() ([]row, error) {
	var starts []float64
	for range 50 {
		start := time.Now()
		a := spstest.NewServer(nil)
		starts = append(starts, time.Since(start).Seconds()*1000)
		a.Close()
	}
	var servers []address
	server, err := run("serve-appliance", struct{}{}, &servers)
	if err != nil {
		return nil, err
	}
	defer server.finish()
	ctx := context.Background()
	c, err := dial(ctx, servers[0])
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	const clients, each = 8, 2500
	errs := make([]error, clients)
	var group sync.WaitGroup
	start := time.Now()
	for i := range clients {
		group.Go(func() {
			for range each {
				if _, err := c.Firmware.Slots.Get(ctx, "1"); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	group.Wait()
	rate := clients * each / time.Since(start).Seconds()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	took := summary(starts).Center
	return []row{
		{"start of a simulated appliance, spstest.NewServer", "under 5 ms", fmt.Sprintf("%.2f ms", took), took < 5},
		{"simulated appliance: requests per second over TLS, with the client on the same machine", "at least 5,000", fmt.Sprintf("%.0f", rate), rate >= 5000},
	}, nil
}

// sequence counts the connections of 1,000 calls, some of which fail or are cancelled.
func sequence() ([]row, error) {
	a := spstest.NewServer(nil)
	defer a.Close()
	ctx := context.Background()
	dials := &dialCounter{}
	c, err := sps.Connect(ctx, a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithCABundle(a.CA()), sps.WithTransport(dials.wrap), sps.WithRetry(sps.RetryPolicy{Attempts: 1, MinWait: time.Millisecond, MaxWait: time.Millisecond}))
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	failed, cut := 0, 0
	for i := range 1000 {
		switch {
		case i%100 == 99: // cancelled in flight
			a.Inject(spstest.Fault{Path: "firmware/slots/1", Delay: time.Second})
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			if _, err := c.Firmware.Slots.Get(short, "1"); !errors.Is(err, context.DeadlineExceeded) {
				cancel()
				return nil, fmt.Errorf("the call did not end with its deadline: %w", err)
			}
			cancel()
			cut++
			continue
		case i%10 == 5:
			a.Inject(spstest.Fault{Path: "firmware/slots/1", Status: 500 + i%4})
		case i%10 == 7:
			if _, err := c.TrustStores.Get(ctx, "no-such-store"); !errors.Is(err, sps.ResourceNotFound) {
				return nil, fmt.Errorf("reading a trust store that does not exist: %w", err)
			}
			failed++
			continue
		}
		if _, err := c.Firmware.Slots.Get(ctx, "1"); err != nil {
			failed++
		}
	}
	made := int(dials.n.Load())
	return []row{{
		fmt.Sprintf("1,000 calls in sequence, of which %d fail and %d are cancelled in flight: TCP connections", failed, cut),
		fmt.Sprintf("1, and 1 for each cancelled call: at most %d", 1+cut), strconv.Itoa(made), made <= 1+cut,
	}}, nil
}

// binaries compares the sizes of two programs that link the same libraries, with and
// without the SDK.
func binaries() ([]row, error) {
	dir, err := os.MkdirTemp("", "sps-performance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	size := map[string]int64{}
	for _, name := range []string{"bare", "sdk"} {
		out := filepath.Join(dir, name)
		if text, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./binary/"+name).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			return nil, err
		}
		size[name] = info.Size()
	}
	grown := float64(size["sdk"]-size["bare"]) / mib
	return []row{{
		"stripped binary: growth over a program that uses net/http, the JSON library and the retry library of the SDK",
		"at most 0.3 MiB", fmt.Sprintf("%.2f MiB (%.2f instead of %.2f)", grown, float64(size["sdk"])/mib, float64(size["bare"])/mib), grown <= 0.3,
	}}, nil
}
