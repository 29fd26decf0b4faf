package wire

import (
	"context"
	"errors"
)

// ErrEffort means that [Update] or [Lay] would take too long.
var ErrEffort = errors.New("it takes too long to find out what was changed")

// effort holds the state of an update while it runs. It limits the time of the update: the
// update ends with an error when left reaches zero or when ctx ends.
type effort struct {
	ctx  context.Context
	left int   // the number of bytes and elements that the update may still examine
	err  error // the reason why the update ended early

	path     []step   // the path to the current value
	switched int      // the number of objects on the path for which the function switched returned true
	added    [][]step // the paths of members that the change added to existing objects
}

// newEffort returns an effort for an update of bodies with size bytes in total. The effort
// is far greater than ordinary bodies need. An update fails with ErrEffort, for example, if
// its body is deeply nested and changed at each depth.
func newEffort(ctx context.Context, size int) *effort {
	return &effort{ctx: ctx, left: 256*size + 1<<26}
}

// spend subtracts n bytes or elements from the allowed work, and reports whether the update
// may continue.
func (e *effort) spend(n int) bool {
	e.left -= n
	switch {
	case e.err != nil:
	case e.ctx.Err() != nil:
		e.err = e.ctx.Err()
	case e.left < 0:
		e.err = ErrEffort
	}
	return e.err == nil
}

// fail ends the update with an error, unless it has already ended.
func (e *effort) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}
