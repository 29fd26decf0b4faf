package main

import (
	"cmp"
	"strconv"
	"strings"
)

// compareVersions compares dotted versions number by number, so that 7.10 is
// higher than 7.9; parts that are missing count as 0. It returns -1, 0 or 1 like
// cmp.Compare, and false if one of them is no dotted version.
func compareVersions(a, b string) (int, bool) {
	left, leftOK := parseVersion(a)
	right, rightOK := parseVersion(b)
	if !leftOK || !rightOK {
		return 0, false
	}
	for i := range max(len(left), len(right)) {
		if order := cmp.Compare(part(left, i), part(right, i)); order != 0 {
			return order, true
		}
	}
	return 0, true
}

func parseVersion(text string) ([]uint64, bool) {
	var parts []uint64
	for field := range strings.SplitSeq(text, ".") {
		number, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil, false
		}
		parts = append(parts, number)
	}
	return parts, true
}

func part(version []uint64, i int) uint64 {
	if i < len(version) {
		return version[i]
	}
	return 0
}
