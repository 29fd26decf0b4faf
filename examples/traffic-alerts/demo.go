package main

import (
	"fmt"
	"io"

	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/spstest"
)

// scene is a job with what is told before it.
type scene struct {
	caption string
	job     job
}

var demoAlerts = cli.Values{"scbConnectionDenied", "scbSshHostKeyMismatch"}

// demo is what the demonstration does.
var demo = []scene{
	{"Its alerts about the traffic:\n\n", job{}},
	{"What \"-enable email -alert scbConnectionDenied,scbSshHostKeyMismatch -dry-run\" says:\n\n",
		job{enable: cli.Values{"email"}, alerts: demoAlerts, Change: cli.Change{DryRun: true}}},
	{"The same without -dry-run:\n\n",
		job{enable: cli.Values{"email"}, alerts: demoAlerts, Change: cli.Change{Message: "CHG-1234"}}},
	{"And once more, which does no harm:\n\n",
		job{enable: cli.Values{"email"}, alerts: demoAlerts, Change: cli.Change{Message: "CHG-1234"}}},
}

// startDemo starts a simulated appliance in this process, and describes it. The caller
// must close it.
func startDemo(story io.Writer) (*spstest.Appliance, error) {
	appliance := spstest.NewServer(nil)
	fmt.Fprintf(story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s.\n\n", appliance.Addr())
	return appliance, nil
}
