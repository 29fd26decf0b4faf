package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/examples/internal/export"
)

// target is how to reach appliances, and what to read.
type target struct {
	credential     sps.Credential
	options        []sps.Option
	root           string // "": everything
	progress, warn *log.Logger
}

// read gets both sides.
func (c *config) read(ctx context.Context, t target, getenv func(string) string) (sides [2]*export.Export, err error) {
	// The folders come first: they say what to read of an appliance.
	for i, folder := range []string{c.left, c.right} {
		if folder == "" {
			continue
		}
		if sides[i], err = export.Load(folder); err != nil {
			return sides, err
		}
		if t.root == "" {
			t.root = sides[i].Root
		}
	}
	hosts := [2]string{c.Appliance, c.other}
	switch {
	case c.Appliance == "":
		return sides, nil
	case c.left != "":
		hosts = [2]string{1: c.Appliance}
	}
	if t.credential, err = c.Credential(getenv); err != nil {
		return sides, err
	}
	if t.options, err = c.Options("diff-config"); err != nil {
		return sides, err
	}
	var readers sync.WaitGroup
	var errs [2]error
	for i, host := range hosts {
		if host != "" {
			readers.Go(func() { sides[i], errs[i] = readAppliance(ctx, t, host) })
		}
	}
	readers.Wait()
	return sides, errors.Join(errs[:]...)
}

// readAppliance reads an appliance in a session of its own.
func readAppliance(ctx context.Context, t target, address string) (*export.Export, error) {
	host := cli.Line(address)
	t.progress.Printf("%s: logging in", host)
	client, err := sps.Connect(ctx, address, t.credential, t.options...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	// Close logs out even if ctx is done, so that no session remains.
	defer func() {
		if err := client.Close(ctx); err != nil {
			t.warn.Printf("%s: %s", host, cli.Line(err.Error()))
		}
	}()
	root := t.root
	if root == "" {
		root = export.Configuration
	}
	e, err := export.Read(ctx, client, root, func(path string) {
		t.progress.Printf("%s: reading %s", host, cli.Line(path))
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	return e, nil
}
