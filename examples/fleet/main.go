// Command fleet reads the firmware versions of many SPS appliances at the same time. If an
// appliance cannot be reached, it continues with the others. It prints the results in the
// order of the list of appliances.
//
// It uses three simulated appliances in its own process, one of which returns errors. For
// real appliances, see "sps --hosts FILE info".
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// target is an appliance, with the credential and the options to connect to it.
type target struct {
	host       string
	credential sps.Credential
	options    []sps.Option
}

// answer is the result for one appliance: its firmware version, or an error.
type answer struct {
	host, version string
	err           error
}

func main() {
	appliances := make([]*spstest.Appliance, 3)
	targets := make([]target, 3)
	for i, profile := range []string{"6.0", "7.4", "8.0"} {
		a := spstest.NewServer(nil, spstest.WithProfile(profile))
		defer a.Close()
		appliances[i] = a
		targets[i] = target{
			host:       a.Addr(),
			credential: sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
			options:    []sps.Option{sps.WithPinnedCertificates(a.Fingerprint())},
		}
	}
	appliances[1].Inject(spstest.Fault{Path: "info", Status: 503, Times: -1})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, a := range ask(ctx, targets, 2) {
		if a.err != nil {
			fmt.Fprintf(table, "%s\tfailed: %v\n", a.host, a.err)
		} else {
			fmt.Fprintf(table, "%s\t%s\n", a.host, a.version)
		}
	}
	if err := table.Flush(); err != nil {
		log.Print(err)
	}
}

// ask reads the versions of the appliances, at most parallel of them at the same time.
func ask(ctx context.Context, targets []target, parallel int) []answer {
	answers := make([]answer, len(targets))
	places := make(chan struct{}, parallel)
	var group sync.WaitGroup
	for i, t := range targets {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			answers[i].host = t.host
			answers[i].version, answers[i].err = version(ctx, t)
		})
	}
	group.Wait()
	return answers
}

// version reads the firmware version of one appliance. It takes at most twenty seconds.
func version(ctx context.Context, t target) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, err := sps.Connect(ctx, t.host, t.credential, append(t.options, sps.WithRetry(sps.RetryPolicy{Attempts: 2}))...)
	if err != nil {
		return "", err
	}
	defer client.Close(ctx)
	info, err := client.Info(ctx)
	if err != nil {
		return "", err
	}
	return info.FirmwareVersion, nil
}
