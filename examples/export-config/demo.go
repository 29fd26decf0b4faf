package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/examples/internal/export"
	"github.com/go-sps/sps/spstest"
)

// demo exports a simulated appliance, and shows the folder. Its status is that of
// the export.
func demo(ctx context.Context, c *config, t target, stdout io.Writer) int {
	status, err := tell(ctx, c, t, stdout)
	if err != nil {
		t.warn.Print(cli.Line(err.Error()))
		return exitError
	}
	return status
}

func tell(ctx context.Context, c *config, t target, stdout io.Writer) (status int, err error) {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	t.host = appliance.Addr()
	t.credential = sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password()))
	t.options = []sps.Option{sps.WithCABundle(appliance.CA())}
	if t.out == "" {
		temporary, err := os.MkdirTemp("", "export-config-")
		if err != nil {
			return exitError, err
		}
		defer func() { _ = os.RemoveAll(temporary) }()
		t.out = filepath.Join(temporary, "sps")
	}

	e, err := c.export(ctx, t)
	if err != nil {
		return exitError, err
	}
	var story strings.Builder
	fmt.Fprintf(&story, "No -appliance is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. Its configuration was exported:\n\n", appliance.Addr())
	if err := printResult(&story, e, t.out); err != nil {
		return exitError, err
	}
	if err := describe(&story, t.out, e); err != nil {
		return exitError, err
	}
	if c.out == "" {
		fmt.Fprint(&story, "\nThe folder is removed again; with -out it is kept.\n")
	} else {
		fmt.Fprintf(&story, "\nThe folder is kept: %s\n", cli.Line(t.out))
	}
	if _, err := io.WriteString(stdout, story.String()); err != nil {
		return exitError, fmt.Errorf("the result could not be printed: %w", err)
	}
	return exitStatus(e), nil
}

// describe shows a folder: how many files are in which part, and one of them.
func describe(w io.Writer, folder string, e *export.Export) error {
	fmt.Fprint(w, "\nIts files:\n\n")
	var parts []string // in the order of the appliance
	files := map[string]int{}
	for _, object := range e.Objects {
		segments := strings.Split(object.Path, "/")
		part := strings.Join(segments[:min(2, len(segments))], "/")
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
		files[part]++
	}
	fmt.Fprintf(w, "  %4d  _export.json\n", 1)
	for _, part := range parts {
		fmt.Fprintf(w, "  %4d  %s\n", files[part], part)
	}
	const one = "configuration/management/email.json"
	content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(one)))
	if errors.Is(err, os.ErrNotExist) { // not of the part that -root names
		return nil
	}
	fmt.Fprintf(w, "\nThe file %s:\n\n%s", one, cli.Indent(string(content)))
	return err
}
