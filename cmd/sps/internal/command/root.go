package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps"
)

const rootLong = `sps works on appliances of One Identity Safeguard for Privileged Sessions (SPS), by
their REST API.

Name the appliances with --host, --hosts or --appliance, or set SPS_HOST; --demo runs
any command on a simulated appliance instead.

Exit status, of a run and of each appliance in it; the highest wins:
  0  done, and well
  1  the answer is no: a precheck failed, a difference was found, something expires
  2  it could not be carried out, and nothing was applied
  3  the outcome is unknown: look at the appliance before you repeat the command

Environment:
  SPS_HOST          the appliance, host[:port]
  SPS_USERNAME      the name to log in with
  SPS_PASSWORD      the password
  SPS_LOGIN_METHOD  the login method, such as local
  SPS_CA_BUNDLE     PEM file of the CAs to trust instead of the system's
  SPS_FINGERPRINT   SHA-256 of the appliance's certificate; several with commas
  SPS_CONFIG        the configuration file
  HTTPS_PROXY       the proxy of --proxy
  NO_COLOR          no colour
A flag counts more than the configuration file, and that more than the environment.`

// root makes the whole tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sps", Short: "Work on SPS appliances by their REST API", Long: rootLong, Version: sps.Version,
		Example:       "  sps --demo firmware precheck\n  sps --host sps1.example.com --username admin info",
		SilenceErrors: true, SilenceUsage: true,
	}
	flags := root.PersistentFlags()
	flags.SortFlags = false
	a.flags.Define(flags)
	flags.StringVarP(&a.output, "output", "o", "table", "`format` of the output: table, json, jsonl, yaml or junit")
	flags.DurationVar(&a.timeout, "timeout", 0, "`time` that the whole run may take; without it there is no limit")
	flags.DurationVar(&a.applianceTimeout, "appliance-timeout", 0, "`time` that one appliance may take; without it there is no limit")
	a.completeFlags(root)
	root.AddCommand(
		a.infoCommand(), a.healthCommand(), a.clusterCommand(), a.whoamiCommand(),
		a.firmwareCommands(), a.alertsCommands(), a.trustStoresCommands(), a.starlingCommands(),
		a.configCommands(), a.sessionsCommands(), a.bundleCommands(), a.trustCommand(), a.apiCommand(), a.simulateCommand(),
	)
	return root
}

// group makes a command that only has others below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], c.CommandPath())
			}
			return usageError{errors.New(c.CommandPath() + " needs a command")}
		},
	}
	c.AddCommand(commands...)
	return c
}
