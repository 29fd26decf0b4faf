package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/go-sps/sps/examples/internal/cli"
)

// The exit statuses.
const (
	exitOK    = 0 // done
	exitError = 2 // anything else
)

func (r result) exitStatus() int {
	if r.Status == errored {
		return exitError
	}
	return exitOK
}

func printJSON(w io.Writer, r result) error { return cli.PrintJSON(w, r) }

// printText prints the alerts, or what changed.
func printText(w io.Writer, r result) error {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	switch r.Status {
	case shown:
		fmt.Fprintln(columns, "ALERT\tEMAIL\tSNMP")
		for _, a := range r.Alerts {
			fmt.Fprintf(columns, "%s\t%s\t%s\n", a.Alert, onOff(a.Email), onOff(a.SNMP))
		}
		columns.Flush()
		fmt.Fprintf(&text, "\nE-mail alerts go to %s, SNMP alerts to %s.\n", orUnknown(r.EmailTo), orUnknown(r.SNMPTo))
	case changed, wouldChange:
		if r.Status == changed {
			fmt.Fprintf(&text, "%s: changed:\n", r.Appliance)
		} else {
			fmt.Fprintf(&text, "%s: this would change, and did not:\n", r.Appliance)
		}
		for _, c := range r.Changes {
			fmt.Fprintf(columns, "    %s\t%s\t%s -> %s\n", c.Alert, c.Channel, onOff(c.From), onOff(c.To))
		}
		columns.Flush()
	case unchanged:
		fmt.Fprintf(&text, "%s: nothing to change: all of it is like that already.\n", r.Appliance)
	default:
		fmt.Fprintf(&text, "%s: %s\n", r.Appliance, r.Error)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func orUnknown(where string) string {
	if where == "" {
		return "(not set, or not readable)"
	}
	return where
}
