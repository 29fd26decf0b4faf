// Command session-export prints each recorded session of an SPS appliance once, as a line
// of JSON, when it has ended. What is printed is at least once over crashes: a receiver
// drops a line whose "key" it has. "sps sessions search --checkpoint" writes each session
// exactly once into a file. How far it came is in sessions.checkpoint, in the working folder.
//
// It asks the appliance that the environment names, as package sps's ConnectFromEnv reads
// it, or else a simulated one in its own process, and ends when it has all sessions.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/spstest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, folder, end, err := connect(ctx)
	if err != nil {
		log.Fatal(err)
	}
	count, err := export(ctx, client, filepath.Join(folder, "sessions.checkpoint"))
	client.Close(ctx)
	end()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stderr, count, "sessions")
}

// export prints the sessions that have ended since the checkpoint was saved.
func export(ctx context.Context, client *sps.Client, file string) (count int, err error) {
	saved, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	follow, err := client.Audit.Sessions.Follow(ctx, audit.Query{}, sps.WithCheckpoint(saved), sps.WithOnce())
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(os.Stdout)
	for session, err := range follow.All() {
		if err != nil {
			return count, err
		}
		count++
		fmt.Fprintf(out, "%s\n", session.Raw) // as the appliance sent it, in one line
		if !follow.EndOfPage() {
			continue
		}
		// First what was done is safe, then the checkpoint says so.
		if err := out.Flush(); err != nil {
			return count, err
		}
		if err := save(file, follow.Checkpoint); err != nil {
			return count, err
		}
	}
	return count, out.Flush()
}

// save replaces the file at once: a crash leaves the old checkpoint or the new one.
func save(file string, checkpoint func() ([]byte, error)) error {
	data, err := checkpoint()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// connect reaches the appliance of the environment, or a simulated one with 20 sessions.
func connect(ctx context.Context) (client *sps.Client, folder string, end func(), err error) {
	if os.Getenv("SPS_HOST") != "" {
		client, err = sps.ConnectFromEnv(ctx)
		return client, ".", func() {}, err
	}
	appliance := spstest.NewServer(nil, spstest.WithAuditSessions(20))
	folder, err = os.MkdirTemp("", "session-export-")
	if err != nil {
		return nil, "", nil, err
	}
	client, err = sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())), sps.WithCABundle(appliance.CA()))
	return client, folder, func() { appliance.Close(); os.RemoveAll(folder) }, err
}
