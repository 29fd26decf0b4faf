// Package documentation_test checks that the pages and the comments of the module agree with
// its code.
package documentation_test

import (
	"os"
	"testing"
)

// TestMain changes to the root folder of the module, so that the tests can use paths relative
// to it.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	m.Run()
}
