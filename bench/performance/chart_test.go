package main

import (
	"os"
	"strings"
	"testing"
)

// TestChart checks that performance.svg is the chart of the tables in performance.md.
func TestChart(t *testing.T) {
	const file = "../../docs/explanation/performance"
	page, err := os.ReadFile(file + ".md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := chart(string(page))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file + ".svg")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s.svg is not the chart of %s.md: run \"go run ./performance -chart\" in the folder bench", file, file)
	}
}

func TestChartOfOtherPages(t *testing.T) {
	if _, err := chart("# A page\n"); err == nil {
		t.Error("a page without the tables has a chart")
	}
	groups, err := groupsOf("### Compared with other SDKs, go1.26.8\n\n| a-b | 1.50 (1.25–1.75) | 1, 2 | 3, 4 |\n\n## Next\n\n| c | 2.00 (1.00–3.00) |\n")
	if err != nil || len(groups) != 1 || len(groups[0].bars) != 1 || groups[0].bars[0] != (bar{"a-b", 1.5, 1.25, 1.75}) {
		t.Errorf("%+v, %v", groups, err)
	}
	if svg, err := chart("### Compared with other SDKs, go<1\n| x | 1.00 (1.00–1.00) |\n"); err != nil || strings.Contains(svg, "go<1") {
		t.Errorf("%s, %v", svg, err)
	}
}
