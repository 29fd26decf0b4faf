//go:build !race

package spstest_test

// mostAllocated is how many bytes an upload of 256 MiB may allocate, including the
// client.
const mostAllocated = 2 << 20

const raceEnabled = false
