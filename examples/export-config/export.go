package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/examples/internal/export"
)

// target is what to export, how to reach it, and where to.
type target struct {
	host       string
	credential sps.Credential
	options    []sps.Option
	root, out  string
	replace    bool
	progress   *log.Logger
	warn       *log.Logger // what must not get lost but is not an error
}

// exportTo writes the folder of one appliance, or after an error nothing.
func exportTo(ctx context.Context, t target) (e *export.Export, err error) {
	folder, err := export.Create(t.out, t.replace) // before anything slow, because it may be refused
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.Discard())
		}
	}()
	if e, err = read(ctx, t); err != nil {
		return nil, err
	}
	if err := folder.Write(ctx, e); err != nil {
		return nil, err
	}
	return e, folder.Commit()
}

// read reads the configuration in a session of its own.
func read(ctx context.Context, t target) (*export.Export, error) {
	t.progress.Printf("%s: logging in", cli.Line(t.host))
	client, err := sps.Connect(ctx, t.host, t.credential, t.options...)
	if err != nil {
		return nil, err
	}
	// Close logs out even if ctx is done, so that no session remains.
	defer func() {
		if err := client.Close(ctx); err != nil {
			t.warn.Printf("%s: %s", cli.Line(t.host), cli.Line(err.Error()))
		}
	}()
	return export.Read(ctx, client, t.root, func(path string) {
		t.progress.Printf("reading %s", cli.Line(path))
	})
}

// faults are what was refused although it should not be.
func faults(e *export.Export) []export.Refusal {
	var found []export.Refusal
	for _, r := range e.Refused {
		if !r.Documented {
			found = append(found, r)
		}
	}
	return found
}

func exitStatus(e *export.Export) int {
	if e.Changed || len(faults(e)) > 0 {
		return exitPartial
	}
	return exitOK
}

// printResult prints what was exported, and what was not.
func printResult(w io.Writer, e *export.Export, out string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, firmware %s: %d objects of %s written to %s.\n",
		cli.Line(e.Host), cli.Line(e.Version), len(e.Objects), e.Root, cli.Line(out))
	var unread []string
	for _, r := range e.Refused {
		if r.Documented {
			unread = append(unread, r.Path)
		}
	}
	if len(unread) > 0 {
		fmt.Fprintf(&text, "Not in it, because no appliance shows it: %s.\n", strings.Join(unread, ", "))
	}
	for _, r := range faults(e) {
		if r.Key != "" {
			fmt.Fprintf(&text, "Refused: an object of %s with the key %q: %s\n", cli.Line(r.Path), r.Key, r.Error)
		} else {
			fmt.Fprintf(&text, "Refused: %s: %s\n", cli.Line(r.Path), r.Error)
		}
	}
	if e.Changed {
		text.WriteString("The configuration was changed meanwhile, so its parts may not fit together: export it again.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
