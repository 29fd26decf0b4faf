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
	"github.com/go-sps/sps/cmd/sps/internal/out"
)

func (a *app) bundleCommands() *cobra.Command {
	var wait time.Duration
	var keep bool
	create := a.command(spec{
		use: "create FILE", short: "Make and download a support bundle",
		long: `Let an appliance make a support bundle, for the vendor's support, and download it into a
new file (.tar.gz). The bundle is deleted from the appliance then, unless --keep is
given; the appliance itself deletes it after 24 hours.`,
		examples: []string{
			"sps --host sps1.example.com bundle create bundle.tar.gz",
			"sps --host sps1.example.com bundle create bundle.tar.gz --keep --wait 1h",
		},
		args: cobra.ExactArgs(1), valid: files, single: true,
		flags: func(f *pflag.FlagSet) {
			f.DurationVar(&wait, "wait", 0, "`time` to wait for the bundle; without it, 30m")
			f.BoolVar(&keep, "keep", false, "leave the bundle on the appliance")
		},
		check: func(args []string) error { return freeName(args[0]) },
		run: func(ctx context.Context, j *job) (out.Report, error) {
			return j.bundle(ctx, wait, keep)
		},
	})
	return group("bundle", "Make support bundles", create)
}

// freeName refuses the name of a file that exists.
func freeName(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists already", name)
	}
	return nil
}

func (j *job) bundle(ctx context.Context, wait time.Duration, keep bool) (out.Report, error) {
	bundles := j.client.Troubleshooting.SupportBundle
	key, err := bundles.Start(ctx)
	if err != nil {
		return out.Report{}, err
	}
	b := j.newBar()
	defer b.end()
	if _, err = bundles.Wait(ctx, key, sps.WithWaitLimit(wait), sps.WithPollInterval(j.Poll), sps.WithProgress(b.report("the appliance makes the bundle"))); err != nil {
		var failed *sps.SupportBundleError
		if !errors.As(err, &failed) {
			err = &maybeAppliedError{fmt.Errorf("the bundle %s stays on the appliance for 24 hours: %w", key, err)}
		}
		return out.Report{}, err
	}
	size, err := download(j.args[0], func(w io.Writer) (int64, error) {
		return bundles.Download(ctx, key, w, sps.WithProgress(b.report("downloading")))
	})
	if err != nil {
		return out.Report{}, &maybeAppliedError{fmt.Errorf("the bundle %s stays on the appliance for 24 hours: %w", key, err)}
	}
	r := said("%s has the support bundle, of %d bytes", j.args[0], size)
	r.Data = struct {
		File  string `json:"file"`
		Bytes int64  `json:"bytes"`
		Key   string `json:"key"`
	}{j.args[0], size, key}
	if !keep {
		err = bundles.Delete(ctx, key)
	}
	if err != nil {
		err = &maybeAppliedError{fmt.Errorf("%s is written, and the bundle %s is still on the appliance: %w", j.args[0], key, err)}
	}
	return r, err
}

// download writes a file that exists only when it is complete.
func download(name string, write func(io.Writer) (int64, error)) (size int64, err error) {
	partial, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".partial-*")
	if err != nil {
		return 0, err
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
