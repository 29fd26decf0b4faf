// Command session-export prints the recorded sessions of an SPS appliance that have ended, as
// one line of JSON each. It saves its position in the file sessions.checkpoint in the working
// directory, and the next run continues there. After a crash, it may print some sessions
// again: the receiver should drop a line whose "key" it already has. To write each session
// exactly once into a file, use "sps sessions search --checkpoint".
//
// If the environment variable SPS_HOST is set, the command connects to that appliance with
// sps.ConnectFromEnv. Otherwise it uses a simulated appliance in its own process.
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
		fmt.Fprintf(out, "%s\n", session.Raw) // the JSON of the appliance, in one line
		if !follow.EndOfPage() {
			continue
		}
		// Write the sessions first, and then the checkpoint that counts them as written.
		if err := out.Flush(); err != nil {
			return count, err
		}
		if err := save(file, follow.Checkpoint); err != nil {
			return count, err
		}
	}
	return count, out.Flush()
}

// save replaces the file by a rename, so that a crash leaves the old or the new checkpoint.
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

// connect connects to the appliance of SPS_HOST, or to a simulated one with 20 sessions.
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
