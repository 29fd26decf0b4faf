package sps

import (
	"os"
	"strings"
	"testing"
)

// TestPolicies holds the table of operations together: each class has a time limit; what
// is tried again after a break leaves nothing unknown; and what shows an outcome stands in
// the table for users as well.
func TestPolicies(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## When an answer is lost\n")
	table, _, _ = strings.Cut(table, "\n## ")
	if len(policies) != int(classAction)+1 {
		t.Errorf("%d rows for %d classes", len(policies), classAction+1)
	}
	limits := DefaultTimeouts()
	for class, p := range policies {
		switch {
		case p.limit == nil:
			t.Errorf("class %d lacks a row", class)
		case p.limit(&limits) <= 0:
			t.Errorf("class %d has no time limit", class)
		case p.broken && !p.lost.harmless():
			t.Errorf("class %d is sent twice, though its outcome may be unknown", class)
		case p.shown != "" && p.lost.harmless():
			t.Errorf("class %d leaves nothing unknown, and %s is to show it", class, p.shown)
		case p.shown != "" && !strings.Contains(table, "`"+p.shown+"`"):
			t.Errorf("docs/reliability.md does not say that %s shows what became of a lost answer", p.shown)
		}
	}
}
