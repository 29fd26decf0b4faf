// Command sps manages SPS appliances from the shell. It reads and changes their settings, tests
// and upgrades their firmware, compares their configurations and exports their recorded
// sessions. It works on one appliance or on hundreds at the same time.
//
//	sps --demo firmware precheck
//	sps --hosts hosts.txt --username admin -o junit firmware precheck
//
// "sps --help" lists the commands, and docs/reference/commands.md describes them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-sps/sps/cmd/sps/internal/command"
)

func main() {
	// The first signal cancels the context, so that the tool rolls back, logs out and reports
	// what was done. A second signal kills the tool.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// If SIGPIPE were not ignored, it would kill the tool when the reader of standard output
	// exits. A session, and perhaps a lock, would then stay on the appliance.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(command.Run(ctx, command.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
