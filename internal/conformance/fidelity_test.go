package conformance

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-sps/sps/internal/testkit"

	"github.com/go-sps/sps/spstest"
)

// This file compares docs/explanation/fidelity.md with the code. The page must name all
// variants, assumptions, requests and checks that the code has, and no others.

// fidelityFacts contains the facts of the code with which the page is compared.
type fidelityFacts struct {
	variants []spstest.Variant
	guesses  []string // the entries of assumptions.go
	routes   []string // the requests that the simulated appliance implements
	checks   []check
}

// fidelityRow is a row of one of the page's tables.
type fidelityRow struct {
	line                    int
	behaviour, source, test string
}

var (
	codeSpan     = regexp.MustCompile("`([^`]+)`")
	assumedNames = regexp.MustCompile(`^assumed(?: \(([^)]*)\))?: .`)
	routeSpan    = regexp.MustCompile(`^((?:GET|POST|PUT|DELETE)(?:, (?:GET|POST|PUT|DELETE))*) (/api(?:/[a-z0-9_/*-]+)?)$`)
	curlPath     = regexp.MustCompile(`\$A(/[A-Za-z0-9_/-]+)`)
	guessName    = regexp.MustCompile(`^([A-Z][a-z-]*(?: [a-z]+){0,3})\. `)
)

// sources lists the sources that a row may name.
var sources = []string{"REST API guide", "safeguard-ps", "SafeguardDotNet", "SafeguardJava", "Power BI connector", "the curl lines of REST API guide"}

// spans returns the code spans of a cell.
func spans(cell string) (all []string) {
	for _, match := range codeSpan.FindAllStringSubmatch(cell, -1) {
		all = append(all, match[1])
	}
	return all
}

func fidelityRows(page string) (rows []fidelityRow, faults []string) {
	for i, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| Behaviour") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		if len(cells) != 3 {
			faults = append(faults, fmt.Sprintf("line %d has %d cells", i+1, len(cells)))
			continue
		}
		rows = append(rows, fidelityRow{i + 1, cells[0], cells[1], cells[2]})
	}
	return rows, faults
}

// fidelityFaults returns the differences between the page and the code.
func fidelityFaults(page string, facts fidelityFacts) []string {
	rows, faults := fidelityRows(page)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	assumed := map[string][]fidelityRow{} // the rows by the name of their variant, or by "SDK: " and the name of their entry of assumptions.go
	covered := map[string]bool{}
	checks := map[string][]fidelityRow{}
	for _, row := range rows {
		// Check the source column.
		if match := assumedNames.FindStringSubmatch(row.source); match != nil {
			variants, guesses, _ := strings.Cut(match[1], "SDK: ")
			for _, name := range spans(variants) {
				assumed[name] = append(assumed[name], row)
			}
			for name := range strings.SplitSeq(guesses, ", ") {
				if name != "" {
					assumed["SDK: "+name] = append(assumed["SDK: "+name], row)
				}
			}
		} else if !slices.ContainsFunc(sources, func(s string) bool { return strings.HasPrefix(row.source, s) }) {
			fault("line %d rests neither on a known source nor on an assumption: %q", row.line, row.source)
		}
		// Check the requests that the behaviour column names.
		for _, span := range spans(row.behaviour) {
			match := routeSpan.FindStringSubmatch(span)
			if match == nil {
				continue
			}
			for method := range strings.SplitSeq(match[1], ", ") {
				route := method + " " + match[2]
				covered[route] = true
				if !slices.Contains(facts.routes, route) {
					fault("line %d names %s, which the simulated appliance does not have", row.line, route)
				}
			}
		}
		// Check the column with the check or the command that tests the behaviour.
		if len(spans(row.test)) == 0 {
			fault("line %d does not say how to check it", row.line)
		}
		for _, span := range spans(row.test) {
			if !strings.HasPrefix(span, "curl ") {
				if strings.Contains(span, "/") && !strings.HasPrefix(span, "$A") {
					checks[span] = append(checks[span], row)
				}
				continue
			}
			match := curlPath.FindStringSubmatch(span)
			if match == nil {
				fault("line %d has a curl line without a path", row.line)
				continue
			}
			p := strings.ReplaceAll("/api"+match[1], "KEY", "x")
			if !slices.ContainsFunc(facts.routes, func(route string) bool {
				_, known, _ := strings.Cut(route, " ")
				found, err := path.Match(known, p)
				return err == nil && found
			}) {
				fault("line %d has a curl line for %s, which the simulated appliance does not have", row.line, p)
			}
		}
	}
	for _, v := range facts.variants {
		if len(assumed[v.Name]) == 0 {
			fault("the variant %s has no row that says assumed", v.Name)
		}
		for _, row := range assumed[v.Name] {
			for _, alternative := range append([]string{v.Default}, v.Alternatives...) {
				if !slices.Contains(spans(row.behaviour), alternative) {
					fault("line %d lacks %q of the variant %s", row.line, alternative, v.Name)
				}
			}
		}
	}
	for _, name := range facts.guesses {
		if len(assumed["SDK: "+name]) == 0 {
			fault("the entry %q of assumptions.go has no row that says assumed", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(assumed)) {
		guess, isGuess := strings.CutPrefix(name, "SDK: ")
		if isGuess && !slices.Contains(facts.guesses, guess) || !isGuess && !slices.ContainsFunc(facts.variants, func(v spstest.Variant) bool { return v.Name == name }) {
			fault("line %d names the assumption %q, which is not in the code", assumed[name][0].line, name)
		}
	}
	for _, route := range facts.routes {
		if !covered[route] {
			fault("%s has no row", route)
		}
	}
	// Each check needs a row, and each variant and guess of the check needs a row that names
	// the check.
	for _, c := range facts.checks {
		if len(checks[c.name]) == 0 {
			fault("the check %s has no row", c.name)
		}
		finds := slices.Clone(c.variants)
		for _, guess := range c.guesses {
			finds = append(finds, "SDK: "+guess)
		}
		for _, name := range finds {
			if !slices.ContainsFunc(assumed[name], func(row fidelityRow) bool { return slices.Contains(spans(row.test), c.name) }) {
				fault("the check %s looks at %q, and no row of it says so", c.name, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if !slices.ContainsFunc(facts.checks, func(c check) bool { return c.name == name }) {
			fault("line %d names the check %s, which does not exist", checks[name][0].line, name)
		}
	}
	return faults
}

// guesses returns the names of the entries of assumptions.go in the root package and in package
// audit. A name is the first words of a comment, up to a full stop.
func guesses(t *testing.T) (names []string) {
	t.Helper()
	for _, name := range []string{"assumptions.go", "audit/assumptions.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, testkit.File(t, name), parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			match := guessName.FindStringSubmatch(strings.ReplaceAll(group.Text(), "\n", " "))
			switch {
			case match == nil:
			case slices.Contains(names, match[1]):
				t.Errorf("%s has a second entry %q", name, match[1])
			default:
				names = append(names, match[1])
			}
		}
	}
	return names
}

func codeFacts(t *testing.T) fidelityFacts {
	t.Helper()
	return fidelityFacts{spstest.Variants(), guesses(t), spstest.Implemented(), conformance}
}

func fidelityPage(t *testing.T) string {
	t.Helper()
	return testkit.File(t, "docs/explanation/fidelity.md")
}

func TestFidelity(t *testing.T) {
	t.Parallel()
	facts := codeFacts(t)
	if len(facts.guesses) == 0 {
		t.Fatalf("assumptions.go has the entries %q", facts.guesses)
	}
	for _, fault := range fidelityFaults(fidelityPage(t), facts) {
		t.Errorf("docs/explanation/fidelity.md: %s", fault)
	}
}

// TestFidelityFails makes modifications to the page and to the facts of the code. It checks
// that fidelityFaults reports each of them.
func TestFidelityFails(t *testing.T) {
	t.Parallel()
	facts, page := codeFacts(t), fidelityPage(t)
	without := func(part string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(page, "\n"), func(line string) bool { return strings.Contains(line, part) }), "\n")
	}
	swap := func(old, with string) string {
		if !strings.Contains(page, old) {
			t.Fatalf("the page lacks %q", old)
		}
		return strings.ReplaceAll(page, old, with)
	}
	for name, test := range map[string]struct {
		page string
		code func(*fidelityFacts)
		want string // a part of one of the faults
	}{
		"a variant without a row":                {page: without("`lock-error`"), want: "variant lock-error has no row"},
		"a variant with another source":          {page: swap("assumed (`logout`; SDK: Log-out):", "safeguard-ps:"), want: "variant logout has no row"},
		"a row of a variant that does not exist": {page: swap("assumed (`put-answer`)", "assumed (`put-reply`)"), want: `assumption "put-reply", which is not in the code`},
		"an alternative that does not exist":     {page: swap("`423:ConfigurationLocked`", "`424:ConfigurationLocked`"), want: `lacks "423:ConfigurationLocked" of the variant lock-error`},
		"a new variant without a row": {code: func(f *fidelityFacts) {
			f.variants = append(f.variants, spstest.Variant{Name: "moon", Default: "full"})
		}, want: "variant moon has no row"},
		"a guess without a row":                {page: without("SDK: No transaction"), want: `"No transaction" of assumptions.go has no row`},
		"a row of a guess that does not exist": {page: swap("SDK: No transaction", "SDK: Sequence"), want: `"SDK: Sequence", which is not in the code`},
		"a new guess without a row":            {code: func(f *fidelityFacts) { f.guesses = append(f.guesses, "Moon") }, want: `"Moon" of assumptions.go has no row`},
		"a route without a row":                {page: without("`GET /api/setup`"), want: "GET /api/setup has no row"},
		"a row of a route that does not exist": {page: swap("`GET /api/setup`", "`GET, DELETE /api/setup`"), want: "names DELETE /api/setup, which"},
		"a new route without a row":            {code: func(f *fidelityFacts) { f.routes = append(f.routes, "GET /api/moon") }, want: "GET /api/moon has no row"},
		"an unknown source":                    {page: swap("| safeguard-ps, transaction commands |", "| somebody said so |"), want: "rests neither on a known source"},
		"a check without a row":                {page: without("`setup/status`"), want: "check setup/status has no row"},
		"a check that does not exist":          {page: swap("`alerts/traffic`", "`alerts/moon`"), want: "check alerts/moon, which does not exist"},
		"a check that the row of its variant does not name": {code: func(f *fidelityFacts) {
			f.checks = slices.Clone(f.checks)
			f.checks[0].variants = []string{"lock-error"}
		}, want: `session/login looks at "lock-error", and no row of it says so`},
		"a row without a check":               {page: swap("| `root/list` |", "| none |"), want: "does not say how to check it"},
		"a curl command with an unknown path": {page: swap("$A/firmware/slots/KEY", "$A/firmware/moon/KEY"), want: "curl line for /api/firmware/moon/x"},
		"a row without a cell":                {page: swap(" | `root/list` |", " |"), want: "has 2 cells"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, spoilt := test.page, facts
			if text == "" {
				text = page
			}
			if test.code != nil {
				spoilt.variants, spoilt.guesses, spoilt.routes = slices.Clone(facts.variants), slices.Clone(facts.guesses), slices.Clone(facts.routes)
				test.code(&spoilt)
			}
			faults := fidelityFaults(text, spoilt)
			if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, test.want) }) {
				t.Errorf("%q is in none of the %d faults %q", test.want, len(faults), faults)
			}
		})
	}
}

// TestVersioning compares docs/reference/versioning.md with the profiles and go.mod.
func TestVersioning(t *testing.T) {
	t.Parallel()
	page, module := testkit.File(t, "docs/reference/versioning.md"), testkit.File(t, "go.mod")
	line := regexp.MustCompile(`(?m)^go ([0-9.]+)$`).FindStringSubmatch(module)
	if line == nil {
		t.Fatal("go.mod has no go line")
	}
	for _, text := range []string{
		"| | `" + strings.Join(spstest.Profiles(), "` | `") + "` | what the SDK does |",
		"names the oldest Go release that works: " + line[1] + ".",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("docs/reference/versioning.md lacks %q", text)
		}
	}
}
