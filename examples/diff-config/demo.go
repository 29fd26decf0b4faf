package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/export"
	"github.com/go-sps/sps/spstest"
)

// readDemo reads a simulated appliance before and after somebody changes it.
func readDemo(ctx context.Context, t target, story io.Writer) (sides [2]*export.Export, err error) {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	t.credential = sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password()))
	t.options = []sps.Option{sps.WithCABundle(appliance.CA())}
	if sides[0], err = readAppliance(ctx, t, appliance.Addr()); err != nil {
		return sides, err
	}
	if err := changeDemo(ctx, t, appliance.Addr()); err != nil {
		return sides, err
	}
	if sides[1], err = readAppliance(ctx, t, appliance.Addr()); err != nil {
		return sides, err
	}
	_, err = fmt.Fprintf(story, "Nothing to compare is given, so this is a demonstration: a simulated appliance was\n"+
		"started in this process, at %s. Its configuration was read; then somebody\n"+
		"changed an address, a limit and the community for SNMP, deleted an audit policy and\n"+
		"added a time policy; then it was read again:\n\n", appliance.Addr())
	return sides, err
}

// changeDemo is what somebody does to the appliance meanwhile.
func changeDemo(ctx context.Context, t target, host string) error {
	client, err := sps.Connect(ctx, host, t.credential, t.options...)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	type limits struct {
		Disk *int `json:"maximum_disk_utilization_ratio"`
	}
	type named struct {
		Name string `json:"name"`
	}
	return client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		if err := tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com"
			return nil
		}); err != nil {
			return err
		}
		health := sps.NewSingleton[limits](client, "configuration/management/health_monitoring").In(tx)
		if err := health.Update(ctx, func(l *limits) error {
			l.Disk = new(90)
			return nil
		}); err != nil {
			return err
		}
		if err := tx.Management.SNMP.Trap.Update(ctx, func(trap *sps.SNMPTrap) error {
			trap.Version.Value.Community = sps.NewSecretString("not-so-public")
			return nil
		}); err != nil {
			return err
		}
		audit := sps.NewCollection[named](client, "configuration/policies/audit_policies").In(tx)
		policy, err := audit.GetByName(ctx, "remote-timestamping")
		if err != nil {
			return err
		}
		if err := audit.Delete(ctx, policy.Key); err != nil {
			return err
		}
		times := sps.NewCollection[map[string]any](client, "configuration/policies/time_policies").In(tx)
		always, err := times.Get(ctx, "-100")
		if err != nil {
			return err
		}
		always.Body["name"], always.Body["Sat"], always.Body["Sun"] = "weekdays", []any{}, []any{}
		_, err = times.Create(ctx, always.Body)
		return err
	})
}
