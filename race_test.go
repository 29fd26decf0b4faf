//go:build race

package sps_test

const raceEnabled = true
