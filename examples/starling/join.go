package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
)

// job is what to do on an appliance. Its zero value is to show the state.
type job struct {
	remoteAccess   string // on, off or ""
	checkUnjoin    bool
	unjoin         bool
	disable, force bool // how to unjoin while remote access is on
	cli.Change
}

const on, off = "on", "off"

// The statuses of a result.
const (
	shown       = "shown"
	changed     = "changed"
	unchanged   = "unchanged"    // all was as it should be already
	wouldChange = "would-change" // a dry run
	allowed     = "allowed"      // an unjoin would not be refused
	refused     = "refused"      // an unjoin would be refused, and was not tried
	unjoined    = "unjoined"
	errored     = "error"
)

// result is what a job came to. Its texts are safe to print.
type result struct {
	Appliance       string    `json:"appliance"`
	Status          string    `json:"status"`
	Joined          bool      `json:"joined"`
	ProductInstance string    `json:"product_instance"`
	ProductTIMS     string    `json:"product_tims"`
	RemoteAccess    bool      `json:"remote_access"`
	Products        []product `json:"products"`
	Warnings        []string  `json:"warnings"`
	Reasons         []string  `json:"reasons"`
	Error           string    `json:"error"`

	job job
}

// product is one that the appliance may be integrated with.
type product struct {
	Name      string `json:"name"`
	Link      string `json:"link"`
	Activated bool   `json:"activated"`
}

// newResult makes a result whose lists are no null in JSON.
func newResult(host string) result {
	return result{Appliance: cli.Line(host), Products: []product{}, Warnings: []string{}, Reasons: []string{}}
}

// fail makes a result of an error.
func (r result) fail(err error) result {
	r.Status, r.Error = errored, cli.Reason(err)
	if errors.Is(err, sps.RemoteAccessDependsOnStarlingJoinError) {
		r.Error += " (remote access needs a join; " + joinAdvice + ")"
	}
	return r
}

const joinAdvice = "to join, use the web interface: Basic Settings > Starling Integration > Start join"

// do does a job on an appliance.
func do(ctx context.Context, client *sps.Client, host string, j job) result {
	r := newResult(host)
	r.job = j
	join, err := client.Starling.JoinStatus(ctx)
	if err != nil {
		return r.fail(err)
	}
	configuration, err := client.Starling.Configuration.Get(ctx)
	if err != nil {
		return r.fail(err)
	}
	r.Joined, r.RemoteAccess = join.Joined, configuration.Body.RemoteAccess.Enabled
	r.ProductInstance, r.ProductTIMS = cli.Line(join.ProductInstance), cli.Line(join.ProductTIMS)
	switch {
	case j.remoteAccess != "":
		err = r.setRemoteAccess(ctx, client, j.remoteAccess == on)
	case j.checkUnjoin, j.unjoin:
		err = r.unjoin(ctx, client)
	default:
		r.Status = shown
		r.listProducts(ctx, client)
	}
	if err != nil {
		return r.fail(err)
	}
	return r
}

// listProducts lists what the appliance is integrated with. It asks Starling, so
// that it cannot be relied on: the rest counts without it.
func (r *result) listProducts(ctx context.Context, client *sps.Client) {
	list, err := client.IntegratedProducts(ctx)
	var warning sps.ProductWarning
	switch {
	case errors.As(err, &warning):
		r.Warnings = append(r.Warnings, cli.Lines(string(warning)))
		return
	case err != nil:
		r.Warnings = append(r.Warnings, cli.Reason(err))
		return
	}
	for _, w := range list.Warnings {
		r.Warnings = append(r.Warnings, cli.Lines(string(w)))
	}
	for _, p := range list.Products {
		r.Products = append(r.Products, product{cli.Line(p.Name), cli.Line(p.Link), p.Activated})
	}
}

// setRemoteAccess switches remote access in a transaction.
func (r *result) setRemoteAccess(ctx context.Context, client *sps.Client, enabled bool) error {
	differs := false
	change := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
			differs = s.RemoteAccess.Enabled != enabled
			s.RemoteAccess.Enabled = enabled
			return nil
		})
	}
	var err error
	if r.job.DryRun {
		_, err = client.Preview(ctx, change, r.job.Options()...)
	} else {
		err = client.Transaction(ctx, change, r.job.Options()...)
	}
	switch {
	case err != nil:
		return err
	case !differs:
		r.Status = unchanged
	case r.job.DryRun:
		r.Status = wouldChange
		return nil
	default:
		r.Status = changed
	}
	r.RemoteAccess = enabled
	return nil
}

// unjoin checks whether an unjoin would be refused and, if that is the job, unjoins
// the appliance.
func (r *result) unjoin(ctx context.Context, client *sps.Client) error {
	check, err := client.Starling.CheckUnjoin(ctx)
	if err != nil {
		return err
	}
	for _, reason := range check.Reasons {
		inUse := errors.Is(reason, sps.StarlingJoinIsInUseByRemoteAccessError)
		if inUse && (r.job.disable || r.job.force) {
			continue
		}
		r.Reasons = append(r.Reasons, inWords(reason))
	}
	switch {
	case len(r.Reasons) > 0:
		r.Status = refused
		return nil
	case r.job.checkUnjoin:
		r.Status = allowed
		return nil
	}

	if r.job.disable {
		if err := r.setRemoteAccess(ctx, client, false); err != nil {
			return err
		}
	}
	if r.job.DryRun {
		r.Status = wouldChange
		return nil
	}
	if r.job.force {
		err = client.Starling.ForceUnjoin(ctx)
	} else {
		err = client.Starling.Unjoin(ctx)
	}
	if err != nil && r.job.disable && check.RemoteAccess {
		return fmt.Errorf("%w; remote access is off already", err)
	}
	if err != nil {
		return err
	}
	r.Status, r.Joined = unjoined, false
	// What became of remote access by force, only the appliance can say.
	if configuration, err := client.Starling.Configuration.Get(ctx); err == nil {
		r.RemoteAccess = configuration.Body.RemoteAccess.Enabled
	}
	return nil
}

// inWords returns the reason for a refused unjoin as text.
func inWords(reason error) string {
	switch {
	case errors.Is(reason, sps.ErrStarlingNotJoined):
		return "the appliance is not joined to Starling"
	case errors.Is(reason, sps.StarlingJoinIsInUseByRemoteAccessError):
		return "remote access is on: -disable-remote-access switches it off before the unjoin, -force unjoins nonetheless"
	}
	return cli.Line(reason.Error())
}
