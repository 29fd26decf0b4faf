package sps

import "testing"

// TestPolicies holds the table of requests together: each class has a time limit, and
// what is tried again after a break leaves nothing unknown.
func TestPolicies(t *testing.T) {
	t.Parallel()
	if len(policies) != int(classInvoke)+1 {
		t.Errorf("%d rows for %d classes", len(policies), classInvoke+1)
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
		}
	}
}
