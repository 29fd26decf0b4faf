//go:build race

package spstest_test

// mostAllocated is how many bytes an upload may allocate under the race detector. There,
// sync.Pool drops items at random, for example the buffers of crypto/tls, so the limit is
// higher.
const mostAllocated = 64 << 20

const raceEnabled = true
