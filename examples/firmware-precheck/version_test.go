package main

import "testing"

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
		ok   bool
	}{
		{"7.4.0", "7.4.0", 0, true},
		{"8.0.0", "7.4.0", 1, true},
		{"7.4.0", "8.0.0", -1, true},
		{"7.10", "7.9", 1, true},
		{"7.9", "7.10", -1, true},
		{"10.0", "9.9.9", 1, true},
		{"8.0.0", "8.0", 0, true},
		{"8", "8.0.0.0", 0, true},
		{"8.0.0.1", "8.0", 1, true},
		{"7.0.5", "7.0.5.1", -1, true},
		{"7.04", "7.4", 0, true},
		{"", "8.0", 0, false},
		{"8.0", "", 0, false},
		{"", "", 0, false},
		{"8.0-beta", "8.0", 0, false},
		{"8.0b", "8.0", 0, false},
		{"v8.0", "8.0", 0, false},
		{"8..0", "8.0", 0, false},
		{"8.0.", "8.0", 0, false},
		{"8.-1", "8.0", 0, false},
		{"8.+1", "8.0", 0, false},
		{"8.1_0", "8.0", 0, false},
		{" 8.0", "8.0", 0, false},
		{"8.18446744073709551616", "8.0", 0, false},
	} {
		got, ok := compareVersions(test.a, test.b)
		if got != test.want || ok != test.ok {
			t.Errorf("compareVersions(%q, %q) = %d, %t; want %d, %t", test.a, test.b, got, ok, test.want, test.ok)
		}
	}
}
