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

// demo is what the demonstration does.
var demo = []scene{
	{"Its state:\n\n", job{}},
	{"What \"-check-unjoin\" says, with exit status 1:\n\n", job{checkUnjoin: true}},
	{"What \"-unjoin -disable-remote-access -dry-run\" says:\n\n",
		job{unjoin: true, disable: true, Change: cli.Change{DryRun: true}}},
	{"The same without -dry-run:\n\n",
		job{unjoin: true, disable: true, Change: cli.Change{Message: "CHG-1234"}}},
}

// startDemo starts a simulated appliance in this process, and describes it. The caller
// must close it.
func startDemo(story io.Writer) (*spstest.Appliance, error) {
	appliance := spstest.NewServer(nil,
		spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}), spstest.WithProducts(spstest.ProductsStarlingIntegrated()...))
	fmt.Fprintf(story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. It is joined to Starling,\n"+
		"and remote access is on.\n\n", appliance.Addr())
	return appliance, nil
}
