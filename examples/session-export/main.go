// Command session-export appends recorded sessions to a JSON Lines file as they end. It
// can be killed at any time: when it is started again, it continues from FILE.checkpoint
// and writes each session once.
//
//	SPS_PASSWORD=… session-export -appliance sps1.example.com -username admin -ca ca.pem -out sessions.jsonl
//
// Without -appliance it exports from a simulated appliance, in its own process. With
// -once it ends when all sessions were written. The exit status is 0 after a normal end
// or the first Ctrl-C, and 2 after an error.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/spstest"
)

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c cli.Connection
	flags := flag.NewFlagSet("session-export", flag.ContinueOnError)
	out, once := flags.String("out", "", "`file` to append to"), flags.Bool("once", false, "end when all sessions were written")
	c.Define(flags)
	err := cli.Parse(flags, args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err = cmp.Or(err, cli.Faults(c.Check(flags, c.Appliance, "out", "once"))); err == nil && *out == "" {
		err = errors.New("-out is missing")
	}
	target, targetErr := c.Target("session-export", getenv)
	if err == nil && c.Appliance == "" {
		appliance := spstest.NewServer(nil, spstest.WithAuditSessions(1_000))
		defer appliance.Close()
		target, targetErr = cli.Simulated(appliance), nil
	}
	n := 0
	if err = cmp.Or(err, targetErr); err == nil {
		options := []sps.FollowOption{nil}
		if *once || c.Appliance == "" {
			options[0] = sps.WithOnce()
		}
		n, err = connectAndExport(ctx, target, *out, options...)
	}
	if fmt.Fprintf(stdout, "%d sessions were written\n", n); err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "session-export:", cli.Line(err.Error()))
		return 2
	}
	return 0
}

func connectAndExport(ctx context.Context, target cli.Target, out string, options ...sps.FollowOption) (int, error) {
	client, err := sps.Connect(ctx, target.Host, target.Credential, target.Options...)
	if err != nil {
		return 0, err
	}
	defer client.Close(ctx)
	return export(ctx, client.Audit.Sessions, out, options...)
}

// export follows the sessions, and saves its checkpoint at the end of each answer.
func export(ctx context.Context, sessions *sps.AuditSessions, name string, options ...sps.FollowOption) (n int, err error) {
	out, err := open(name)
	if err != nil {
		return 0, err
	}
	defer out.file.Close()
	follow, err := sessions.Follow(ctx, audit.Query{}, append(options, sps.WithCheckpoint(out.state.Checkpoint))...)
	if err != nil {
		return 0, err
	}
	err = out.save(follow.Checkpoint()) // so that a crash before the first answer leaves a file with its checkpoint
	for session, failed := range follow.All() {
		if err = cmp.Or(err, failed); err != nil {
			return n, err
		}
		if err = out.write(session.Raw); err != nil { // as the appliance sent it, in one line
			return n, err
		}
		if n++; follow.EndOfPage() {
			err = out.save(follow.Checkpoint())
		}
	}
	return n, err
}
