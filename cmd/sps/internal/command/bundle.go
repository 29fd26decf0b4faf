package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/out"
)

func (a *app) bundleCommands() *cobra.Command {
	var wait time.Duration
	var keep bool
	create := a.command(spec{
		use: "create FILE", short: "Create and download a support bundle",
		long: `Let an appliance create a support bundle for the vendor's support, and download the bundle
into a new file (.tar.gz). After the download, the command deletes the bundle from the
appliance. With --keep, the bundle stays on the appliance until the appliance deletes it
after 24 hours.`,
		examples: []string{
			"sps --host sps1.example.com bundle create bundle.tar.gz",
			"sps --host sps1.example.com bundle create bundle.tar.gz --keep --wait 1h",
		},
		args: cobra.ExactArgs(1), valid: files, single: true, change: true, data: bundleData{},
		flags: func(f *pflag.FlagSet) {
			days.Var(f, &wait, "wait", 0, "longest `duration` to wait for the bundle (default 30m)")
			f.BoolVar(&keep, "keep", false, "do not delete the bundle from the appliance")
		},
		check: func(args []string) error { return freeName(args[0]) },
		run: func(ctx context.Context, j *job) (out.Report, error) {
			return j.bundle(ctx, wait, keep)
		},
	})
	return group("bundle", "Create support bundles", create)
}

type bundleData struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	Key    string `json:"key"`
	DryRun bool   `json:"dry_run"`
}

// freeName returns an error if a file exists.
func freeName(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s already exists: name a new file", name)
	}
	return nil
}

// bundle creates and downloads a support bundle.
func (j *job) bundle(ctx context.Context, wait time.Duration, keep bool) (out.Report, error) {
	bundles := j.client.Troubleshooting.SupportBundle
	if j.dryRun {
		list, err := bundles.List(ctx)
		if err != nil {
			return out.Report{}, err
		}
		r := said("dry run: the appliance would create a bundle; it has %d bundles now", len(list))
		r.Data = bundleData{File: j.args[0], DryRun: true}
		return r, nil
	}
	key, err := bundles.Start(ctx)
	if err != nil {
		return out.Report{}, err
	}
	b := j.newBar()
	defer b.end()
	if _, err = bundles.Wait(ctx, key, sps.WithWaitLimit(wait), sps.WithPollInterval(j.Poll), sps.WithProgress(b.report("the appliance creates the bundle"))); err != nil {
		var failed *sps.SupportBundleError
		if !errors.As(err, &failed) {
			err = &maybeAppliedError{err: fmt.Errorf("the bundle %s stays on the appliance for 24 hours: %w", key, err)}
		}
		return out.Report{}, err
	}
	size, err := download(j.args[0], func(w io.Writer) (int64, error) {
		return bundles.Download(ctx, key, w, sps.WithProgress(b.report("downloading")))
	})
	if err != nil {
		return out.Report{}, &maybeAppliedError{err: fmt.Errorf("the bundle %s stays on the appliance for 24 hours: %w", key, err)}
	}
	r := said("%s contains the support bundle (%d bytes)", j.args[0], size)
	r.Data = bundleData{j.args[0], size, key, false}
	if !keep {
		err = bundles.Delete(ctx, key)
	}
	if err != nil {
		err = &maybeAppliedError{err: fmt.Errorf("%s is written, but the bundle %s could not be deleted from the appliance: %w", j.args[0], key, err)}
	}
	return r, err
}

// download writes a file. The file has a temporary name until it is complete.
func download(name string, write func(io.Writer) (int64, error)) (size int64, err error) {
	partial, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".partial-*")
	if err != nil {
		return 0, fmt.Errorf("download to %s: %w: name a file in a folder that you can write to", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(partial.Name())
		}
	}()
	size, err = write(partial)
	err = errors.Join(err, partial.Close())
	if err == nil {
		err = freeName(name)
	}
	if err != nil {
		return size, err
	}
	return size, os.Rename(partial.Name(), name)
}
