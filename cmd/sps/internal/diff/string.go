package diff

import (
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// String returns the difference in one line.
func (d Difference) String() string {
	place, whole := d.path(), len(d.member) == 0
	if !whole {
		place += "#" + d.Member
	}
	if d.Name != "" {
		place += fmt.Sprintf(" (%s)", encode(d.Name))
	}
	switch {
	case d.Change == reordered:
		return place + ": in another order"
	case whole && (d.Left == "" || d.Right == ""):
		return place + ": " + d.Change
	case d.Hidden && d.Change == changed:
		return place + ": differs, not shown"
	case d.Hidden:
		return place + ": " + d.Change + ", not shown"
	case d.Change == removed:
		return place + ": " + short(d.Old) + " -> (none)"
	case d.Change == added:
		return place + ": (none) -> " + short(d.New)
	}
	return place + ": " + short(d.Old) + " -> " + short(d.New)
}

// short shortens a long value. It adds the length and a hash, so that two long values with the
// same start look different.
func short(value []byte) string {
	const most = 160
	if len(value) <= most {
		return string(value)
	}
	cut := most / 2
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes, SHA-256 %.8x)", value[:cut], len(value), sha256.Sum256(value))
}
