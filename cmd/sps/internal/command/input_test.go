package command

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// TestInterruptedInput checks that a signal ends a command that waits for its standard input.
func TestInterruptedInput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ args, want string }{
		"hosts":      {"--hosts - info", "--hosts: standard input: interrupted"},
		"data":       {"--demo config set datetime/timezone --data -", "--data: interrupted\n"},
		"credential": {"--demo starling join --yes --credential-file -", "--credential-file: interrupted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			stdin, never := io.Pipe() // the reader of a pipe without a writer waits
			defer never.Close()
			var stderr bytes.Buffer
			status := Run(ctx, Env{
				Args: strings.Fields(test.args), Getenv: func(string) string { return "" },
				Stdin: &signalled{stdin, cancel}, Stdout: io.Discard, Stderr: &stderr,
			})
			if status != out.Failed || !strings.Contains(stderr.String(), test.want) || strings.Contains(stderr.String(), "--help") {
				t.Errorf("status %d, %s", status, stderr.String())
			}
		})
	}
}

// signalled is a reader that cancels a context when it is read.
type signalled struct {
	io.Reader
	cancel context.CancelFunc
}

func (s *signalled) Read(p []byte) (int, error) {
	s.cancel()
	return s.Reader.Read(p)
}
