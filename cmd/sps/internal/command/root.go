package command

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
)

const rootLong = `sps manages appliances of One Identity Safeguard for Privileged Sessions (SPS) through
their REST API.

Name the appliances with --host, --hosts or --appliance, or set SPS_HOST. To try a
command without an appliance, use --demo: it runs the command on a simulated appliance.

` + exitStatus + `

Environment variables:
` + environment + `

Flags override the configuration file. The configuration file overrides the environment
variables. The settings on a line of the --hosts file override the flags.`

const exitStatus = `Each appliance has a status. The exit status of the command is the highest of them:
  0  success
  1  the command ran, and its result is negative: for example, a precheck failed, a
     difference was found, or a certificate expires soon
  2  the command could not be carried out, and nothing was applied
  3  a change was applied in part, or its outcome is unknown: check the appliance
     before you run the command again`

const environment = `  SPS_HOST          the appliance, as host or host:port
  SPS_USERNAME      the user name
  SPS_PASSWORD      the password
  SPS_LOGIN_METHOD  the login method, such as local
  SPS_CA_BUNDLE     PEM file with the CAs to trust instead of the system's CAs
  SPS_FINGERPRINT   SHA-256 fingerprint of the appliance's certificate; separate
                    several fingerprints with commas
  SPS_CONFIG        the configuration file
  HTTPS_PROXY       the proxy that --proxy uses
  NO_COLOR          disables colours if it is not empty`

// root makes the root command with all commands below it.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sps", Short: "Manage SPS appliances through their REST API", Long: rootLong, Version: sps.Version,
		Example:       "  sps --demo firmware precheck\n  sps --host sps1.example.com --username admin info",
		SilenceErrors: true, SilenceUsage: true,
	}
	flags := root.PersistentFlags()
	flags.SortFlags = false
	a.flags.Define(flags)
	flags.StringVarP(&a.output, "output", "o", "table", "output `format`: table, json, jsonl, yaml or junit; for sessions search also csv")
	days.Var(flags, &a.timeout, "timeout", 0, "`duration` after which the run is stopped; its cleanup, such as a rollback, comes on top (default no limit)")
	days.Var(flags, &a.applianceTimeout, "appliance-timeout", 0, "`duration` after which the work on an appliance is stopped; its cleanup comes on top (default no limit)")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log each request to standard error, without headers, bodies and secrets")
	a.completeFlags(root)
	simulate := a.simulateCommand()
	flags.VisitAll(func(f *pflag.Flag) { // simulate has its own flags, so its help and its completion hide the flags of the root
		hidden := *f
		hidden.Hidden = true
		simulate.Flags().AddFlag(&hidden)
	})
	root.AddCommand(
		a.infoCommand(), a.healthCommand(), a.clusterCommand(), a.whoamiCommand(),
		a.firmwareCommands(), a.alertsCommands(), a.trustStoresCommands(), a.starlingCommands(),
		a.configCommands(), a.sessionsCommands(), a.bundleCommands(), a.trustCommand(), a.apiCommand(), simulate, a.completionCommand(), a.docsCommand(),
	)
	return root
}

// group makes a command that has subcommands and does nothing itself.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	names := make([]string, len(commands))
	for i, command := range commands {
		names[i] = command.Name()
	}
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], c.CommandPath())
			}
			return usageError{errors.New(c.CommandPath() + " needs one of its commands: " + strings.Join(names, ", "))}
		},
	}
	c.AddCommand(commands...)
	return c
}
