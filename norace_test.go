//go:build !race

package sps_test

const raceEnabled = false
