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
	exitOK      = 0 // done
	exitRefused = 1 // an unjoin would be refused
	exitError   = 2 // anything else
)

func (r result) exitStatus() int {
	switch r.Status {
	case errored:
		return exitError
	case refused:
		return exitRefused
	}
	return exitOK
}

func printJSON(w io.Writer, r result) error { return cli.PrintJSON(w, r) }

// printText prints the result as text.
func printText(w io.Writer, r result) error {
	var text strings.Builder
	say := func(format string, args ...any) {
		fmt.Fprintf(&text, "%s: %s\n", r.Appliance, fmt.Sprintf(format, args...))
	}
	switch r.Status {
	case shown:
		printState(&text, r)
	case changed:
		say("remote access is %s now.", onOff(r.RemoteAccess))
	case unchanged:
		say("nothing to change: remote access is %s already.", onOff(r.RemoteAccess))
	case wouldChange:
		if r.job.remoteAccess != "" {
			say("remote access would be %s, and still is %s.", r.job.remoteAccess, onOff(r.RemoteAccess))
			break
		}
		if r.job.disable && r.RemoteAccess {
			say("remote access would be switched off, and still is on.")
		}
		say("the appliance would be unjoined, and still is joined.")
	case allowed:
		say("an unjoin would not be refused.")
	case refused:
		if r.job.unjoin {
			say("not tried, because the appliance would refuse the unjoin:")
		} else {
			say("an unjoin would be refused:")
		}
		for _, reason := range r.Reasons {
			fmt.Fprintf(&text, "    %s\n", reason)
		}
	case unjoined:
		say("the appliance is not joined to Starling any more.")
	default:
		say("%s", r.Error)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func printState(w io.Writer, r result) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(columns, "joined\t%s\n", yesNo(r.Joined))
	fmt.Fprintf(columns, "instance\t%s\n", orDash(r.ProductInstance))
	fmt.Fprintf(columns, "license (TIMS)\t%s\n", orDash(r.ProductTIMS))
	fmt.Fprintf(columns, "remote access\t%s\n", onOff(r.RemoteAccess))
	for i, p := range r.Products {
		label := ""
		if i == 0 {
			label = "products"
		}
		if p.Activated {
			fmt.Fprintf(columns, "%s\t%s, at %s\n", label, p.Name, orDash(p.Link))
		} else {
			fmt.Fprintf(columns, "%s\t%s, not integrated\n", label, p.Name)
		}
	}
	columns.Flush()
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "Warning:\n%s", cli.Indent(warning))
	}
	if !r.Joined {
		fmt.Fprintf(w, "It is not joined; %s.\n", joinAdvice)
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func onOff(enabled bool) string {
	if enabled {
		return on
	}
	return off
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
