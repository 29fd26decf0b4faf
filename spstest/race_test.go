//go:build race

package spstest_test

// mostAllocated: under the race detector sync.Pool forgets things at random,
// the buffers of crypto/tls among them.
const mostAllocated = 64 << 20

const raceEnabled = true
