package command

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"
)

// errInterrupted is the error of a read from standard input that a signal ended.
var errInterrupted = errors.New("interrupted")

// input reads standard input until ctx ends. Without it, a read from a terminal would continue
// after the first signal, because main catches that signal.
type input struct {
	ctx context.Context
	r   io.Reader
}

// Read reads into p. If ctx ends first, it returns errInterrupted.
func (i *input) Read(p []byte) (int, error) {
	buffer := make([]byte, len(p)) // an abandoned read must not write into p
	n, err := await(i.ctx, func() (int, error) { return i.r.Read(buffer) })
	return copy(p, buffer[:n]), err
}

// password reads a line from a terminal without echo. If ctx ends first, it restores the state of
// the terminal and returns errInterrupted.
func (i *input) password(file *os.File) (string, error) {
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	answer, err := await(i.ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if errors.Is(err, errInterrupted) {
		err = errors.Join(err, term.Restore(fd, state))
	}
	return string(answer), err
}

// await returns the results of read. If ctx ends first, it returns errInterrupted, and read
// continues in its goroutine.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, errInterrupted
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, errInterrupted
	}
}
