package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/bench/hand"
	"github.com/go-sps/sps/spstest"
)

// exported is the number of sessions in an export.
const exported = 1_500_000

// cpuTime returns the CPU time that this process has used, in seconds.
func cpuTime() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// export runs an export of all sessions of an appliance as JSON Lines into io.Discard, and
// measures it.
func export(a address, lines func(context.Context, address, io.Writer) (int, error)) (*moved, error) {
	m := &moved{}
	var err error
	if m.Resident, err = status(os.Getpid(), "VmRSS"); err != nil {
		return nil, err
	}
	out := bufio.NewWriter(io.Discard)
	start, cpu := time.Now(), cpuTime()
	n, err := lines(context.Background(), a, out)
	if err != nil {
		return nil, err
	}
	m.Seconds, m.CPU = time.Since(start).Seconds(), cpuTime()-cpu
	if n != exported {
		return nil, fmt.Errorf("%d sessions, want %d", n, exported)
	}
	return m, out.Flush()
}

func exportLines(ctx context.Context, a address, w io.Writer) (n int, err error) {
	c, err := dial(ctx, a)
	if err != nil {
		return 0, err
	}
	defer c.Close(ctx)
	for session, err := range c.Audit.Sessions.Search(ctx, audit.Query{}).All() {
		if err != nil {
			return n, err
		}
		if err := writeLine(w, session.Raw); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func writeLine(w io.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func exportByHand(ctx context.Context, a address, w io.Writer) (n int, err error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.CA))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.Host+"/api/authentication", nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth("admin", a.Password)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	h := &hand.Sessions{Client: client, URL: "https://" + a.Host}
	for _, cookie := range resp.Cookies() {
		if cookie.Name == "session_id" {
			h.Session = cookie.Value
		}
	}
	err = h.EachLine(ctx, func(_ *hand.Session, line []byte) error {
		n++
		return writeLine(w, line)
	})
	return n, err
}

// exports compares an export of sessions with the SDK and an export with code written by hand.
// Each export runs in its own process, and the two run in turns.
func exports(rounds int) ([]row, error) {
	var servers []address
	server, err := run("serve-sessions", map[string]any{"N": exported}, &servers)
	if err != nil {
		return nil, err
	}
	defer server.finish()
	var ratios, seconds []float64
	var resident int64
	for range rounds {
		var cpu [2]float64
		for i, part := range []string{"export", "export-by-hand"} {
			var m moved
			p, err := run(part, map[string]any{"Addresses": servers}, &m)
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
			if cpu[i] = m.CPU; i == 0 {
				resident = max(resident, peak)
				seconds = append(seconds, m.Seconds)
			}
		}
		ratios = append(ratios, cpu[0]/cpu[1])
	}
	ratio := summary(ratios)
	return []row{
		{"export of 1.5 million sessions as JSON Lines: CPU time, relative to the new JSON by hand", "at most 1.3",
			fmt.Sprintf("%s (%.0f s elapsed)", ratio, summary(seconds).Center), ratio.Center <= 1.3},
		{"export of 1.5 million sessions as JSON Lines: resident memory", "at most 64 MiB", fmt.Sprintf("%.1f MiB", float64(resident)/mib), resident <= 64*mib},
	}, nil
}

func trail(a address) (*moved, error) {
	return move(a, func(ctx context.Context, c *sps.Client) error {
		n, err := c.Audit.Sessions.DownloadTrail(ctx, "1", io.Discard)
		if err == nil && n != trailSize {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
}

// trails compares the download of a recording with the SDK and with curl. They run in
// turns.
func trails(rounds int) ([]row, error) {
	var servers []address
	server, err := run("serve-files", struct{}{}, &servers)
	if err != nil {
		return nil, err
	}
	defer server.finish()
	var grown int64
	var ratios, each []float64
	for range rounds {
		var m moved
		p, err := run("trail", map[string]any{"Addresses": servers}, &m)
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
		each = append(each, m.CPU/(trailSize>>30))
		program, err := exec.LookPath("curl")
		if err != nil {
			continue
		}
		curl := exec.Command(program, "--silent", "--fail", "--insecure", "--http1.1", "--cookie", "session_id="+session, "--output", os.DevNull,
			"https://"+servers[0].Host+"/api/audit/sessions/1/audit_trail")
		if err := curl.Run(); err != nil {
			return nil, fmt.Errorf("curl: %w", err)
		}
		ratios = append(ratios, m.CPU/(curl.ProcessState.UserTime()+curl.ProcessState.SystemTime()).Seconds())
	}
	rows := []row{{"download of a 2 GiB recording: growth of the resident memory", "at most 16 MiB", fmt.Sprintf("%.1f MiB", float64(grown)/mib), grown <= 16*mib}}
	beside := row{"download of a 2 GiB recording: CPU time, relative to curl", "at most 1.2", "curl is not installed", false}
	if len(ratios) > 0 {
		beside.measured = fmt.Sprintf("%s (%.2f s for each GiB)", summary(ratios), summary(each).Center)
		beside.met = summary(ratios).Center <= 1.2
	}
	return append(rows, beside), nil
}

// sessionCost measures an iteration over sessions. It has its own rounds, because one round
// takes seconds. It compares CPU time, because other load affects CPU time least.
func sessionCost(rounds int) ([]row, error) {
	dir, err := os.MkdirTemp("", "sps-performance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r, err := benchmark(filepath.Join(dir, "bench.test"), "", rounds, "-test.bench", "Sessions", "-test.benchtime", "2x")
	if err != nil {
		return nil, err
	}
	const ours, byHand = "Sessions/sps", "Sessions/new-json"
	cpu, passed := r.ratioOf("cpu/op", ours, byHand), r.ratio(ours, byHand)
	allocs := r.median(ours, "allocs/op") / r.median(byHand, "allocs/op")
	return []row{
		{"iterating 100,000 sessions in pages of 500, all fields, in memory: CPU time, relative to the new JSON by hand", "at most 1.3",
			fmt.Sprintf("%s (elapsed %s)", cpu, passed), cpu.Center <= 1.3},
		{"iterating 100,000 sessions in pages of 500, all fields, in memory: allocations, relative to the new JSON by hand", "at most 1.2", fmt.Sprintf("%.2f", allocs), allocs <= 1.2},
	}, nil
}

// sessionMemory measures the heap during an iteration over sessions.
func sessionMemory() ([]row, error) {
	const each, pages = 500, 200
	a := spstest.NewServer(nil, spstest.WithoutListener(), spstest.WithAuditSessions(each*pages))
	defer a.Close()
	ctx := context.Background()
	c, err := sps.Connect(ctx, a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return a }))
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // a sync.Pool keeps its values for one collection
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	n, start, early, late := 0, heap(), int64(0), int64(0)
	for _, err := range c.Audit.Sessions.Search(ctx, audit.Query{}).All() {
		if err != nil {
			return nil, err
		}
		switch n++; n {
		case 10*each - each/2:
			early = heap()
		case pages*each - each/2:
			late = heap()
		}
	}
	if n != pages*each {
		return nil, fmt.Errorf("%d sessions, want %d", n, pages*each)
	}
	return []row{
		{"iterating 100,000 sessions in pages of 500: growth of the heap from the 10th to the 200th page", "no growth with the pages", fmt.Sprintf("%+d KiB", (late-early)>>10), late-early <= 256<<10},
		{"iterating 100,000 sessions in pages of 500: heap within a page, above the heap at the start; the value includes the memory that the simulated appliance uses for the search", "at most 8 MiB", fmt.Sprintf("%.1f MiB", float64(max(early, late)-start)/mib), max(early, late)-start <= 8*mib},
	}, nil
}
