//go:build !race

package spstest_test

// mostAllocated is what an upload of 256 MiB may allocate, its client included.
const mostAllocated = 2 << 20

const raceEnabled = false
