package command

import (
	"flag"
	"strings"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps/internal/simulate"
)

// simulateCommand hands its flags on as they are: they are those of cmd/spssim.
func (a *app) simulateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "simulate [flags]", Short: "Serve a simulated appliance",
		Long: `Serve a simulated appliance on this machine, for tests and experiments in any
language, until it is interrupted. It prints its address, the fingerprint of its
certificate, the lines that lead this tool to it, and the curl calls to begin with.
Nothing in it is secret.`,
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
					return c.Help()
				}
			}
			a.status = simulate.Run(c.Context(), "sps simulate", args, a.Stdout, a.Stderr)
			return nil
		},
	}
}

// simulateFlags describes the flags of simulate, for its help and the reference.
func simulateFlags() string {
	var b strings.Builder
	simulate.Flags().VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		b.WriteString("      --" + strings.TrimSpace(f.Name+" "+name) + "\n            " + usage + "\n")
	})
	return b.String()
}
