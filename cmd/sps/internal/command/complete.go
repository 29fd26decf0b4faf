package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// completionLimit is the timeout of the requests for a completion.
const completionLimit = 3 * time.Second

// complete logs in to the first appliance that is named, and returns the words of list. It does
// not prompt for a password. If there is an error, it returns no words.
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
	for i, word := range words { // a tab separates a word from its description
		name, description, _ := strings.Cut(word, "\t")
		words[i] = cobra.CompletionWithDesc(text.Line(name), text.Line(description))
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

// completeFlags registers the completions for the values of the persistent flags.
func (a *app) completeFlags(root *cobra.Command) {
	values := func(words ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	}
	none := values()
	for name, complete := range map[string]cobra.CompletionFunc{
		"output": values(append(slices.Clone(out.Formats), formatCSV)...), "appliance": a.completeAppliances, "login-method": values("local"),
		"host": none, "username": none, "fingerprint": none, "parallel": none, "connect-timeout": none, "timeout": none, "appliance-timeout": none,
	} {
		if err := root.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // the flag does not exist
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

// completeLocal registers the completions for the values of flags of one command.
func (a *app) completeLocal(c *cobra.Command) {
	for name, complete := range map[string]cobra.CompletionFunc{
		"slot":     a.completeSlots,
		"channel":  cobra.FixedCompletions([]cobra.Completion{"email", "snmp"}, cobra.ShellCompDirectiveNoFileComp),
		"protocol": cobra.FixedCompletions(knownProtocols, cobra.ShellCompDirectiveNoFileComp),
		"verdict":  cobra.FixedCompletions(knownVerdicts, cobra.ShellCompDirectiveNoFileComp),
		"format":   cobra.FixedCompletions([]cobra.Completion{sps.TrailZAT, sps.TrailSRS}, cobra.ShellCompDirectiveNoFileComp),
	} {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // the flag has a completion already
		}
	}
}

var shells = []cobra.Completion{"bash", "zsh", "fish", "powershell"}

// completionCommand makes the command that prints a completion script.
func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Print a completion script for a shell",
		Long: `Print a script that completes commands, flags, and the names of appliances in the
configuration file. The script also completes the firmware slots, the alerts and the trust
stores of an appliance. To do so, it logs in, with a timeout of three seconds, to the appliance
that the command line or the environment names. It does not prompt for a password.`,
		Example:   "  sps completion bash > ~/.local/share/bash-completion/completions/sps\n  sps completion fish > ~/.config/fish/completions/sps.fish",
		Args:      namedArgs(cobra.ExactArgs(1)),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.Stdout)
			case "fish":
				return root.GenFishCompletion(a.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Stdout)
			}
			return usagef("%q is not a shell: use one of %s", args[0], strings.Join(shells, ", "))
		},
	}
}
