// Package attempt bounds one attempt of a request in time: as a whole, or by the time in
// which no byte of a stream moves.
package attempt

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Timeout is the cause when an attempt's own limit ended it.
type Timeout time.Duration

func (e Timeout) Error() string {
	return fmt.Sprintf("no complete answer within %s (see Timeouts)", time.Duration(e))
}

func (e Timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// Watchdog ends an attempt that stands still: while a body is sent or received, by
// the limit between two pieces of it, and then by the limit for the answer.
type Watchdog struct {
	timer         *time.Timer
	stall, answer time.Duration
	running       atomic.Int64 // the limit that runs
}

// Watch bounds a context by the time in which nothing moves, and from the end of the stream
// on by the time for the answer. Zero is no bound.
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

// Watched tells the watchdog of each piece of a body that is taken.
type Watched struct {
	io.ReadCloser
	Dog *Watchdog
}

func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.Dog.moved(err == io.EOF)
	return n, err
}
