package command

import (
	"flag"
	"strings"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps/internal/simulate"
)

// simulateCommand makes the command that serves a simulated appliance. It has the flags of
// cmd/spssim, and passes its arguments to package simulate unchanged.
func (a *app) simulateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "simulate [flags]", Short: "Serve a simulated appliance",
		Long: `Serve a simulated appliance on this machine until the command is interrupted. Use it for
tests and experiments in any language. The command prints the address of the appliance, the
fingerprint of its certificate, shell lines that set the environment variables of this tool,
and examples of curl commands. The simulated appliance contains no real secrets.
`,
		Example:            "  sps simulate --listen 127.0.0.1:8443 --ca-out ca.pem --env-out env\n  sps simulate --profile 8.0 --slot 4=9.0.0:tainted --sessions 1000",
		DisableFlagParsing: true,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, start string) (words []cobra.Completion, _ cobra.ShellCompDirective) {
			simulate.Flags().VisitAll(func(f *flag.Flag) {
				if name := "--" + f.Name; strings.HasPrefix(name, start) {
					words = append(words, name)
				}
			})
			return words, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, arg := range args {
				if arg == "--help" || arg == "-h" || arg == "-help" {
					for _, line := range simulateFlags() {
						c.Long += "\n  " + line.names + "\n        " + line.usage
					}
					return c.Help()
				}
			}
			a.status = simulate.Run(c.Context(), "sps simulate", args, a.Stdout, a.Stderr)
			return nil
		},
	}
}

// simulateFlags returns the flags of simulate, for its help and the reference.
func simulateFlags() (lines []flagLine) {
	simulate.Flags().VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		lines = append(lines, flagLine{strings.TrimSpace("--" + f.Name + " " + value), usage})
	})
	return lines
}
