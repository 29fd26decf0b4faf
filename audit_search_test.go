package sps_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/spstest"
)

// keysOf collects the keys of a search.
func keysOf(all iter.Seq2[*audit.Session, error]) (keys []string, err error) {
	for session, err := range all {
		if err != nil {
			return keys, err
		}
		keys = append(keys, session.Key)
	}
	return keys, nil
}

// storedKeys are the keys of all sessions of an appliance, sorted.
func storedKeys(a *spstest.Appliance) (keys []string) {
	for session := range a.AuditSessions() {
		keys = append(keys, session.Key)
	}
	slices.Sort(keys)
	return keys
}

// once fails the test unless keys are the wanted ones, each once; want is sorted.
func once(t *testing.T, want, got []string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	if !slices.Equal(want, got) {
		t.Errorf("%d sessions, %d of them different; want %d: %s", len(got), len(slices.Compact(slices.Clone(got))), len(want), firstDifference(want, got))
	}
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return "lacks " + want[i]
		case i >= len(want):
			return "has " + got[i]
		case want[i] != got[i]:
			return fmt.Sprintf("%s in place of %s", got[i], want[i])
		}
	}
	return "none"
}

// TestSearch reads all sessions whatever the documentation leaves open.
func TestSearch(t *testing.T) {
	t.Parallel()
	underVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithAuditSessions(603))...)
		c := connect(t, a)
		for range 2 { // the second one may have to do without a snapshot
			keys, err := keysOf(c.Audit.Sessions.Search(t.Context(), audit.Query{PageSize: 200, KeysOnly: true}).All())
			if err != nil {
				t.Fatal(err)
			}
			once(t, storedKeys(a), keys)
		}
	}, "rights")
}

// TestSearchBeyondTheCeiling finds more sessions than the basic search shows.
func TestSearchBeyondTheCeiling(t *testing.T) {
	t.Parallel()
	const n = 23_456
	for name, test := range map[string]struct {
		options []spstest.Option
		query   audit.Query
		want    error
		got     int // sessions before the error
	}{
		"ascending":     {query: audit.Query{}},
		"descending":    {query: audit.Query{Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true}, KeysOnly: true}},
		"creation time": {query: audit.Query{Sort: audit.Sort{Field: audit.FieldCreationTime}, Fields: []string{audit.FieldUserName}, PageSize: 300}},
		"repeats":       {options: []spstest.Option{spstest.WithVariant("search-ceiling", "repeats")}},
		"no ranges":     {options: []spstest.Option{spstest.WithVariant("search-time-ranges", "no-start-time")}, want: sps.ErrSearchCeiling, got: 10_000},
		"by protocol":   {query: audit.Query{Sort: audit.Sort{Field: audit.FieldProtocol}}, want: sps.ErrSearchCeiling, got: 10_000},
		"newer":         {options: []spstest.Option{spstest.WithProfile("8.0")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t, append([]spstest.Option{spstest.WithProfile("6.9"), spstest.WithAuditSessions(n)}, test.options...)...)
			c := connect(t, a)
			search := c.Audit.Sessions.Search(t.Context(), test.query, sps.WithoutSnapshot())
			keys, err := keysOf(search.All())
			if !errors.Is(err, test.want) || test.want != nil && len(keys) != test.got {
				t.Fatalf("%d sessions, %v", len(keys), err)
			}
			if search.Snapshot() {
				t.Error("it says that it read a snapshot")
			}
			if test.want == nil {
				once(t, storedKeys(a), keys)
			}
		})
	}
}

var _ = context.Background
var _ = io.EOF
var _ = http.StatusOK
var _ url.Values
var _ = strings.ToUpper
var _ = synctest.Wait
var _ time.Time
