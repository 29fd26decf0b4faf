// Command sps works on SPS appliances from the shell: it reads and changes them, tests
// and upgrades their firmware, compares their configurations and exports their recorded
// sessions, one appliance or hundreds at a time.
//
//	sps --demo firmware precheck
//	sps --hosts hosts.txt --username admin -o junit firmware precheck
//
// "sps --help" lists the commands; docs/commands.md has all of them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-sps/sps/cmd/sps/internal/command"
)

func main() {
	// The first signal ends the context, so that the tool rolls back, logs out and tells
	// how far it got; a second one kills it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// Without this, a reader of standard output that goes away would kill the tool, and
	// leave a session and perhaps a lock behind.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(command.Run(ctx, command.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
