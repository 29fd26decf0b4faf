//go:build race

package testkit

// Race reports whether the race detector is enabled. Tests do less work under it, because it
// slows them down.
const Race = true
