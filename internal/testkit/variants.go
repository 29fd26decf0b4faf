package testkit

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-sps/sps/spstest"
)

var variantSeed = flag.Uint64("variant-seed", 1, "seed of the random combinations of variants; 0 draws one and prints it")

// concerned maps a test file to areas of variants. The flows of the file run with each variant
// of these areas, and with each variant of the areas session and answer, one variant at a time.
// The random combinations choose from the variants of all areas.
var concerned = map[string][]string{
	"alerting_test.go":            {"transaction", "configuration", "alerting"},
	"appliance_test.go":           {"appliance", "starling", "firmware"},
	"audit_search_test.go":        {"audit"},
	"audit_test.go":               {"audit"},
	"firmware_fetch_test.go":      {"firmware"},
	"firmware_test.go":            {"firmware"},
	"firmware_upgrade_test.go":    {"firmware", "transaction"},
	"firmware_upload_test.go":     {"firmware"},
	"resource_test.go":            {"transaction", "configuration"},
	"session_test.go":             {"transaction"},
	"starling_test.go":            {"transaction", "configuration", "starling"},
	"transaction_test.go":         {"transaction", "configuration"},
	"transaction_changes_test.go": {"transaction", "configuration"},
	"transaction_reads_test.go":   {"transaction", "configuration"},
	"tree_test.go":                {"configuration", "alerting", "trust_stores"},
	"truststores_test.go":         {"transaction", "configuration", "trust_stores"},
}

// UnderVariants runs a flow with many appliances: an appliance of each profile, an appliance with
// each alternative of each variant of the areas in concerned, and appliances with random
// combinations of variants. The flow must pass with each of them. A variant is a detail that the
// documentation of the API leaves open. UnderVariants does not change the variants whose names are
// in fixed.
//
// The flow runs over TLS for the profiles and in a testing/synctest bubble otherwise. With the
// race detector it runs for the profiles and for fewer random combinations.
func UnderVariants(t *testing.T, flow func(t *testing.T, options ...spstest.Option), fixed ...string) {
	t.Helper()
	_, file, _, _ := runtime.Caller(1)
	underVariants(t, filepath.Base(file), flow, func(t *testing.T, options ...spstest.Option) {
		synctest.Test(t, func(t *testing.T) { flow(t, append(options, spstest.WithoutListener())...) })
	}, fixed)
}

// BubblesUnderVariants is like UnderVariants, for a flow that starts its own synctest bubbles.
func BubblesUnderVariants(t *testing.T, flow func(t *testing.T, options ...spstest.Option), fixed ...string) {
	t.Helper()
	_, file, _, _ := runtime.Caller(1)
	underVariants(t, filepath.Base(file), flow, flow, fixed)
}

func underVariants(t *testing.T, file string, ofProfile, flow func(t *testing.T, options ...spstest.Option), fixed []string) {
	t.Helper()
	for _, profile := range spstest.Profiles() {
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			ofProfile(t, spstest.WithProfile(profile))
		})
	}
	areas, known := concerned[file]
	if !known {
		t.Fatalf("%s is not in concerned: add the areas of its flows", file)
	}
	areas = append([]string{"session", "answer"}, areas...)
	for _, area := range areas {
		if !slices.ContainsFunc(spstest.Variants(), func(v spstest.Variant) bool { return v.Area == area }) {
			t.Fatalf("no variant has the area %q", area)
		}
	}
	var variants []spstest.Variant
	for _, v := range spstest.Variants() {
		if !strings.Contains(" "+strings.Join(fixed, " ")+" ", " "+v.Name+" ") {
			variants = append(variants, v)
		}
	}
	for _, v := range variants {
		if Race || !slices.Contains(areas, v.Area) { // one variant at a time finds no further races
			continue
		}
		for _, alternative := range v.Alternatives {
			t.Run(v.Name+"="+alternative, func(t *testing.T) {
				t.Parallel()
				flow(t, spstest.WithVariant(v.Name, alternative))
			})
		}
	}
	seed := *variantSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 1))
	combinations := 30
	if Race {
		combinations = 10
	}
	for i := range combinations {
		profile := spstest.Profiles()[random.IntN(len(spstest.Profiles()))]
		options := []spstest.Option{spstest.WithProfile(profile)}
		chosen := []string{profile}
		for _, v := range variants {
			if pick := random.IntN(len(v.Alternatives) + 1); pick > 0 {
				options = append(options, spstest.WithVariant(v.Name, v.Alternatives[pick-1]))
				chosen = append(chosen, v.Name+"="+v.Alternatives[pick-1])
			}
		}
		t.Run(fmt.Sprintf("random %d", i), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("replay with -variant-seed=%d; chosen: %s", seed, strings.Join(chosen, " "))
				}
			})
			flow(t, options...)
		})
	}
}
