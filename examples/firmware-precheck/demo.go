package main

import (
	"fmt"
	"io"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// startDemo starts a simulated appliance in this process, and describes it. The target
// reaches it; the caller must close it.
func startDemo(story io.Writer) (target, *spstest.Appliance, error) {
	appliance := spstest.NewServer(nil, spstest.WithSlots(
		spstest.Slot{Key: "1", Version: "7.4.0", Current: true, AfterReboot: true},
		spstest.Slot{Key: "2", Version: "8.0.0"},
		spstest.Slot{Key: "3", Version: "7.0.5.1"},
		spstest.Slot{Key: "4"},
	))
	fmt.Fprintf(story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. Its firmware slots:\n\n", appliance.Addr())
	for _, slot := range appliance.Slots() {
		switch {
		case slot.Version == "":
			fmt.Fprintf(story, "  slot %s is empty\n", slot.Key)
		case slot.Current:
			fmt.Fprintf(story, "  slot %s holds %s, which is running\n", slot.Key, slot.Version)
		default:
			fmt.Fprintf(story, "  slot %s holds %s\n", slot.Key, slot.Version)
		}
	}
	fmt.Fprintln(story)
	return target{
		credential: sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		options:    []sps.Option{sps.WithCABundle(appliance.CA())},
	}, appliance, nil
}
