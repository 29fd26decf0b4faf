// Package attempt limits the time of one attempt to send a request. The limit is for the
// whole attempt, or for the time in which no byte of a stream is transferred.
package attempt

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Timeout is the cause of a context that the time limit of an attempt has cancelled. Its
// value is the limit.
type Timeout time.Duration

func (e Timeout) Error() string {
	return fmt.Sprintf("no complete answer within %s (see Timeouts)", time.Duration(e))
}

func (e Timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// Watchdog cancels an attempt that stalls. While a body is being sent or received, it limits
// the time between two reads of the body. After a request body is sent, it limits the time
// until the response arrives.
type Watchdog struct {
	timer         *time.Timer
	stall, answer time.Duration
	running       atomic.Int64 // the limit that applies now, a time.Duration
}

// Watch returns a context that is cancelled if no byte of the request or response body is
// transferred for the time stall, or if no response arrives within the time answer after the
// end of the request body. A stall of 0 disables both limits, and an answer of 0 disables
// the second one. The caller must call the returned function, which stops the watchdog.
func Watch(ctx context.Context, stall, answer time.Duration) (context.Context, *Watchdog, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	dog := &Watchdog{stall: stall, answer: answer}
	if stall > 0 {
		dog.running.Store(int64(stall))
		dog.timer = time.AfterFunc(stall, func() { cancel(Timeout(dog.running.Load())) })
	}
	return ctx, dog, func() {
		if dog.timer != nil {
			dog.timer.Stop()
		}
		cancel(nil)
	}
}

// moved restarts the timer after a read of the stream. end reports whether the stream has
// ended.
func (d *Watchdog) moved(end bool) {
	switch {
	case d.timer == nil:
	case end && d.answer > 0:
		d.running.Store(int64(d.answer))
		d.timer.Reset(d.answer)
	case end:
		d.timer.Stop()
	default:
		d.timer.Reset(d.stall)
	}
}

// Watched is a body that reports each Read to its watchdog.
type Watched struct {
	io.ReadCloser
	Dog *Watchdog
}

func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.Dog.moved(err == io.EOF)
	return n, err
}
