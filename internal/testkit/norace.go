//go:build !race

package testkit

// Race reports whether the race detector is on, which makes everything slower.
const Race = false
