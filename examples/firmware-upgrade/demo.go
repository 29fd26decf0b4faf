package main

import (
	"fmt"
	"io"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// The image of the demonstration.
const (
	demoVersion = "8.1.0"
	demoSize    = 16 << 20
)

// startDemo starts a simulated appliance in this process, and describes it. The target
// reaches it; the caller must close it.
func startDemo(story io.Writer) (target, *spstest.Appliance, error) {
	appliance := spstest.NewServer(nil, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2"},
	))
	fmt.Fprintf(story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. It runs 7.4.0 from slot 1, and slot 2\n"+
		"is empty. The image is made up, of %d MiB and with version %s; the restart of an\n"+
		"upgrade is a real one.\n\n", appliance.Addr(), demoSize>>20, demoVersion)
	return target{
		host:       appliance.Addr(),
		credential: sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		options:    []sps.Option{sps.WithCABundle(appliance.CA())},
		source:     sps.FromImage(spstest.Image(demoVersion, demoSize), demoSize),
		waiting:    []sps.UpgradeOption{sps.WithPollInterval(20 * time.Millisecond)},
	}, appliance, nil
}
