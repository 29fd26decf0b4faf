package clitest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-sps/sps/spstest"
)

// Variants gives the appliances under which a program that is about some areas must do
// the same, by name: one for each alternative of the variants of these areas, of sessions
// and of answers, named variant=alternative, and a few for those of all other areas
// together, in which each alternative occurs.
func Variants(t *testing.T, areas ...string) map[string]spstest.Option {
	t.Helper()
	areas = append(areas, "session", "answer")
	all := map[string]spstest.Option{}
	var others []spstest.Variant
	for _, v := range spstest.Variants() {
		if !slices.Contains(areas, v.Area) {
			others = append(others, v)
			continue
		}
		for _, alternative := range v.Alternatives {
			all[v.Name+"="+alternative] = spstest.WithVariant(v.Name, alternative)
		}
	}
	for _, area := range areas {
		if !slices.ContainsFunc(spstest.Variants(), func(v spstest.Variant) bool { return v.Area == area }) {
			t.Fatalf("no variant has the area %q", area)
		}
	}
	most := 0
	for _, v := range others {
		most = max(most, len(v.Alternatives))
	}
	for i := range most {
		all[fmt.Sprintf("other areas %d", i)] = func(a *spstest.Appliance) error {
			for _, v := range others {
				if err := spstest.WithVariant(v.Name, v.Alternatives[i%len(v.Alternatives)])(a); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return all
}
