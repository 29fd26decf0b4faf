// Package documentation_test holds the pages and the comments of the module to its code.
package documentation_test

import (
	"os"
	"testing"
)

// TestMain lets the tests name the files of the module by their path in it.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	m.Run()
}
