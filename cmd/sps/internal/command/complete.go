package command

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// completionLimit is how long a completion may ask the appliance.
const completionLimit = 3 * time.Second

// complete asks the first appliance that is named for words. A completion never asks a
// person for a password, and gives nothing where something is wrong.
func (a *app) complete(c *cobra.Command, list func(ctx context.Context, client *sps.Client) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionLimit)
	defer cancel()
	var target *conn.Target
	if !a.flags.Demo {
		targets, err := a.flags.Targets(conn.Sources{Getenv: a.Getenv, Stdin: strings.NewReader("")})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		target = targets[0]
	}
	client, err := a.connect(ctx, target)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close(ctx)
	words, err := list(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeSlots(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(c, func(ctx context.Context, client *sps.Client) (words []cobra.Completion, _ error) {
		list, err := client.Firmware.Slots.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, slot := range list.Slots {
			if !slot.Body.Empty() {
				words = append(words, cobra.CompletionWithDesc(slot.Key, slot.Body.Version))
			}
		}
		return words, nil
	})
}

func (a *app) completeAlerts(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	system, _ := c.Flags().GetBool("system")
	return a.complete(c, func(ctx context.Context, client *sps.Client) (words []cobra.Completion, _ error) {
		alerts, err := readAlerts(ctx, client, system)
		for _, alert := range alerts {
			words = append(words, alert.Alert)
		}
		return words, err
	})
}

func completeMethods(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return apiMethods, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeFlags completes the values of the flags of all commands.
func (a *app) completeFlags(root *cobra.Command) {
	values := func(words ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	}
	none := values()
	for name, complete := range map[string]cobra.CompletionFunc{
		"output": values(out.Formats...), "appliance": a.completeAppliances, "login-method": values("local"),
		"host": none, "username": none, "fingerprint": none, "parallel": none, "connect-timeout": none, "timeout": none, "appliance-timeout": none,
	} {
		if err := root.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // a flag that does not exist
		}
	}
}

// completeAppliances completes the names in the configuration file.
func (a *app) completeAppliances(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	file, err := a.flags.LoadConfig(a.Getenv)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return file.Names(), cobra.ShellCompDirectiveNoFileComp
}

// completeLocal completes the values of flags that only some commands have.
func (a *app) completeLocal(c *cobra.Command) {
	for name, complete := range map[string]cobra.CompletionFunc{
		"slot":    a.completeSlots,
		"channel": cobra.FixedCompletions([]cobra.Completion{"email", "snmp"}, cobra.ShellCompDirectiveNoFileComp),
		"format":  cobra.FixedCompletions([]cobra.Completion{sps.TrailZAT, sps.TrailSRS}, cobra.ShellCompDirectiveNoFileComp),
	} {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // it is registered twice
		}
	}
}
