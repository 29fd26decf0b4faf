package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/go-sps/sps"
)

const (
	session      = "0123456789abcdef0123456789abcdef"
	uploadSize   = 2 << 30
	downloadSize = 1 << 30
	trailSize    = 2 << 30
)

// dial connects to a server in another process.
func dial(ctx context.Context, a address) (*sps.Client, error) {
	trust := sps.WithPinnedCertificates(a.Fingerprint)
	if a.CA != "" {
		trust = sps.WithCABundle([]byte(a.CA))
	}
	password := a.Password
	if password == "" {
		password = "a"
	}
	return sps.Connect(ctx, a.Host, sps.UsernamePassword("admin", sps.NewSecretString(password)), trust)
}

// moved is the report of a process that transfers a file.
type moved struct {
	Seconds   float64
	CPU       float64 // CPU seconds of the transfer
	Resident  int64   // resident bytes before the transfer
	Allocated uint64  // bytes that the transfer allocated
}

// move connects, transfers a file, and returns the measurements. The parent process reads
// the peak of the resident memory.
func move(a address, do func(context.Context, *sps.Client) error) (*moved, error) {
	ctx := context.Background()
	c, err := dial(ctx, a)
	if err != nil {
		return nil, err
	}
	if _, err := c.Firmware.Slots.List(ctx); err != nil {
		return nil, err
	}
	m := &moved{}
	runtime.GC()
	if m.Resident, err = status(os.Getpid(), "VmRSS"); err != nil {
		return nil, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, cpu := time.Now(), cpuTime()
	if err := do(ctx, c); err != nil {
		return nil, err
	}
	m.Seconds, m.CPU = time.Since(start).Seconds(), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	m.Allocated = after.TotalAlloc - before.TotalAlloc
	return m, c.Close(ctx)
}

func upload(a address, file string) (*moved, error) {
	return move(a, func(ctx context.Context, c *sps.Client) error {
		_, err := c.Firmware.UploadFile(ctx, file)
		return err
	})
}

func download(a address) (*moved, error) {
	return move(a, func(ctx context.Context, c *sps.Client) error {
		n, err := c.Troubleshooting.SupportBundle.Download(ctx, "1", io.Discard)
		if err == nil && n != downloadSize {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
}

// fleetReport is the report of a process that checks many appliances.
type fleetReport struct {
	Seconds    float64
	HeapEach   int64   // bytes for each appliance, while all are connected
	Goroutines float64 // goroutines for each appliance, while all are connected
	Left       int     // goroutines that are left after all clients were closed
}

// checkFleet connects to all appliances and runs a firmware test on each. It measures
// the heap and the goroutines while all clients are connected, and then closes the clients.
func checkFleet(list []address, parallel int) (*fleetReport, error) {
	ctx := context.Background()
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // a sync.Pool keeps its values for one collection
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	clients := make([]*sps.Client, len(list))
	errs := make([]error, len(list))
	each := func(do func(i int)) {
		var group sync.WaitGroup
		turns := make(chan struct{}, parallel)
		for i := range list {
			turns <- struct{}{}
			group.Go(func() {
				do(i)
				<-turns
			})
		}
		group.Wait()
	}
	goroutines, memory := runtime.NumGoroutine(), heap()
	start := time.Now()
	each(func(i int) {
		if clients[i], errs[i] = dial(ctx, list[i]); errs[i] == nil {
			_, errs[i] = clients[i].Firmware.Test(ctx, "2")
		}
	})
	r := &fleetReport{Seconds: time.Since(start).Seconds()}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.HeapEach = (heap() - memory) / int64(len(list))
	r.Goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(len(list))
	each(func(i int) { errs[i] = clients[i].Close(ctx) })
	for range 100 { // the goroutines of the connections need some time to end
		if r.Left = runtime.NumGoroutine() - goroutines; r.Left <= 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return r, errors.Join(errs...)
}

// child runs the part with the given name. A part has its own process, so that the
// measurement contains nothing else.
func child(name string, argument []byte) (any, error) {
	var given struct {
		Addresses []address
		File      string
		N         int
		Latency   time.Duration
		Parallel  int
	}
	if err := json.Unmarshal(argument, &given); err != nil {
		return nil, err
	}
	switch name {
	case "serve-files":
		return nil, serveFiles()
	case "serve-fleet":
		return nil, serveFleet(given.N, given.Latency)
	case "serve-appliance":
		return nil, serveAppliance()
	case "serve-sessions":
		return nil, serveSessions(given.N)
	case "export":
		return export(given.Addresses[0], exportLines)
	case "export-by-hand":
		return export(given.Addresses[0], exportByHand)
	case "trail":
		return trail(given.Addresses[0])
	case "upload":
		return upload(given.Addresses[0], given.File)
	case "download":
		return download(given.Addresses[0])
	case "fleet":
		return checkFleet(given.Addresses, given.Parallel)
	}
	return nil, errors.New("no such part: " + name)
}
