package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// The exit statuses.
const (
	exitOK    = 0 // done
	exitFound = 1 // an authority expires
	exitError = 2 // anything else
)

func (r result) exitStatus() int {
	switch r.Status {
	case errored:
		return exitError
	case expiring:
		return exitFound
	}
	return exitOK
}

func printJSON(w io.Writer, r result) error { return cli.PrintJSON(w, r) }

// printText prints tables of stores and authorities, or what changed.
func printText(w io.Writer, r result) error {
	var text strings.Builder
	before := r.job.before.UTC().Format(time.DateTime) + " UTC"
	switch r.Status {
	case shown:
		printStores(&text, r.Stores)
		if r.job.store != "" {
			fmt.Fprintln(&text)
			printAuthorities(&text, "", r.Stores[0].Authorities)
		}
	case expiring:
		fmt.Fprintf(&text, "%s: these authorities expire before %s:\n", r.Appliance, before)
		printAuthorities(&text, "", r.Expiring)
	case notExpiring:
		fmt.Fprintf(&text, "%s: no authority expires before %s.\n", r.Appliance, before)
	case changed, wouldChange:
		was := "was"
		if r.Status == wouldChange {
			was = "would be"
		}
		if r.Created {
			fmt.Fprintf(&text, "%s: the trust store %s %s made.\n", r.Appliance, cli.Line(r.job.store), was)
		}
		if len(r.Added) > 0 {
			fmt.Fprintf(&text, "%s: this %s added:\n", r.Appliance, was)
			printAuthorities(&text, "    ", r.Added)
		}
		if len(r.Removed) > 0 {
			fmt.Fprintf(&text, "%s: this %s removed:\n", r.Appliance, was)
			printAuthorities(&text, "    ", r.Removed)
		}
	case unchanged:
		fmt.Fprintf(&text, "%s: nothing to change: the trust store is like that already.\n", r.Appliance)
	default:
		if len(r.Expiring) > 0 {
			fmt.Fprintf(&text, "%s: these authorities expire before %s:\n", r.Appliance, before)
			printAuthorities(&text, "", r.Expiring)
		}
		fmt.Fprintf(&text, "%s: %s\n", r.Appliance, r.Error)
	}
	if r.Note != "" {
		fmt.Fprintf(&text, "Note: %s.\n", r.Note)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func printStores(w io.Writer, stores []store) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAME\tKEY\tTYPE\tREVOCATION\tAUTHORITIES\tEARLIEST EXPIRY")
	for _, s := range stores {
		number := strconv.Itoa(len(s.Authorities))
		if s.Type == string(sps.TrustStoreBuiltIn) {
			number = "not told"
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Key, s.Type, s.RevocationCheck, number, day(s.EarliestExpiry))
	}
	columns.Flush()
}

// printAuthorities prints two lines for each, because fingerprints are long.
func printAuthorities(w io.Writer, indent string, all []authority) {
	for _, a := range all {
		fmt.Fprintf(w, "%s%s expires %s, in %s\n%s    %s\n", indent, a.Subject, day(a.Expires), a.Store, indent, a.Fingerprint)
	}
}

// day shortens a time to the day, to the dash without one.
func day(moment string) string {
	date, _, _ := strings.Cut(moment, "T")
	if date == "" {
		return "-"
	}
	return date
}
