package wire

import (
	"context"
	"errors"
)

// ErrEffort means that an update would take too long.
var ErrEffort = errors.New("it takes too long to tell what was changed")

// effort is the remaining work that an update may do: the bytes and elements that it may
// still examine, until its context ends.
type effort struct {
	ctx  context.Context
	left int
	err  error // why it ended

	path     []step   // path to the current value
	switched int      // how many of the objects on the path were switched
	added    [][]step // the members that the change added to objects that were there
}

// newEffort allows enough work that only a value made for the purpose exceeds it: one
// that is deeply nested and changed at every depth.
func newEffort(ctx context.Context, size int) *effort {
	return &effort{ctx: ctx, left: 256*size + 1<<26}
}

// spend reports whether n more bytes or elements may be examined.
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

// fail ends it with an error, unless it has ended.
func (e *effort) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}
