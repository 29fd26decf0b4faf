//go:build race

package spstest_test

// mostAllocated is the number of bytes that an upload may allocate under the race detector.
// The limit is higher than without the race detector, which makes sync.Pool drop items at
// random, for example the buffers of crypto/tls.
const mostAllocated = 64 << 20

const raceEnabled = true
