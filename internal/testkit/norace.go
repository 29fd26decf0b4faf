//go:build !race

package testkit

// Race tells whether the race detector is on, under which everything is slower.
const Race = false
