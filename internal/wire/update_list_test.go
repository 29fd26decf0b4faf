package wire_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// TestUpdateListTime checks that Update handles lists of 100,000 elements within seconds. If
// Update compared each element with every other element, it would take from half a minute to
// hours. The test measures time, so it does not run in parallel with others.
func TestUpdateListTime(t *testing.T) {
	const n = 100_000
	limit := 5 * time.Second
	if raceEnabled {
		limit *= 10
	}
	changes := append(listChanges(n), oddListChanges(n/4)...)
	for _, change := range changes {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		start := time.Now()
		got, err := wire.Update(ctx, change.original, change.before, change.after)
		cancel()
		t.Logf("%s: %v", change.name, time.Since(start).Round(time.Millisecond))
		switch {
		case change.merged == nil && !errors.Is(err, wire.ErrAmbiguous):
			t.Errorf("%s: error %v, want ErrAmbiguous", change.name, err)
		case change.merged != nil && err != nil:
			t.Errorf("%s: %v", change.name, err)
		case string(got) != string(change.merged):
			t.Errorf("%s: wrong result", change.name)
		}
	}
}

// oddListChanges returns changes of lists of n elements. In each change, one step of the
// alignment must handle all elements.
func oddListChanges(n int) []listChange {
	// Each element shares one value with the element before it and one value with the element
	// after it, so that each match makes the next one possible.
	link := func(more string) func(int) string {
		return func(i int) string { return fmt.Sprintf(`{%s"from":%d,"to":%d}`, more, (i+1)/2, i/2) }
	}
	unknown := func(i int) string { return strings.Replace(link("")(i), "{", fmt.Sprintf(`{"u":%d,`, i), 1) }
	flagged := func(element func(int) string) func(int) string {
		return func(i int) string { return strings.Replace(element(i), "{", `{"on":true,`, 1) }
	}
	back := func(element func(int) string) func(int) string {
		return func(i int) string { return element(n - 1 - i) }
	}
	twin := func(i int) string { return `{"a":1}` }
	key := func(i int) string { return fmt.Sprintf(`{"key":%d}`, i) }
	tail := func(element func(int) string) func(int) string {
		return func(i int) string { return strings.TrimSuffix(element(i), "}") + `,"on":true}` }
	}
	members := func(from int) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, `,"m%d":%d`, i, from+i)
		}
		return all.String()[1:]
	}
	return []listChange{
		{"a chain", listOf(n, unknown), listOf(n, link("")), listOf(n-1, link(`"on":true,`)), listOf(n-1, tail(unknown))},
		{"a chain in reverse order", listOf(n, unknown), listOf(n, link("")), listOf(n, back(flagged(link("")))), listOf(n, back(tail(unknown)))},
		{"twins with different unknown members", listOf(n, func(i int) string { return fmt.Sprintf(`{"u":%d,"a":1}`, i) }), listOf(n, twin), listOf(n-1, twin), nil},
		{"twins removed", listOf(n, twin), listOf(n, twin), listOf(n/2, twin), listOf(n/2, twin)},
		{"one element copied n times", []byte(`[{"u":1,"key":1,"a":1}]`), []byte(`[{"key":1,"a":1}]`), listOf(n, func(i int) string { return fmt.Sprintf(`{"key":1,"a":%d}`, i+2) }), nil},
		{"reverse order", listOf(n, func(i int) string { return fmt.Sprintf(`{"u":%d,"key":%d}`, i, i) }), listOf(n, key), listOf(n, back(key)), listOf(n, back(func(i int) string { return fmt.Sprintf(`{"u":%d,"key":%d}`, i, i) }))},
		{"all removed but one, which was changed", listOf(n, unknown), listOf(n, link("")), []byte(`[{"a":1}]`), nil},
		{"many members", []byte(`[{"u":1,` + members(0) + `}]`), []byte(`[{` + members(0) + `}]`), []byte(`[{"x":1,` + members(0) + `}]`), []byte(`[{"u":1,` + members(0) + `,"x":1}]`)},
		{"many members changed", []byte(`[{"u":1,` + members(0) + `}]`), []byte(`[{` + members(0) + `}]`), []byte(`[{` + members(1) + `}]`), []byte(`[{"u":1,` + members(1) + `}]`)},
	}
}

// ending is a context whose Err method returns nil for the first looks calls and an error
// after that.
type ending struct {
	context.Context
	looks *int
}

func (e ending) Err() error {
	if *e.looks--; *e.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestUpdateListContext checks that Update returns the error of its context if the context
// ends during the update, at whichever point it ends.
func TestUpdateListContext(t *testing.T) {
	t.Parallel()
	const n, many = 500, 1 << 30
	for _, change := range append(listChanges(n), oddListChanges(n)...) {
		looks := many
		_, want := wire.Update(ending{t.Context(), &looks}, change.original, change.before, change.after)
		total := many - looks
		if want == nil && change.name[:4] != "many" && total < n/2 {
			t.Errorf("%s: the context was checked only %d times", change.name, total)
		}
		for cut := 0; cut < total; cut += 1 + total/50 {
			looks := cut
			got, err := wire.Update(ending{t.Context(), &looks}, change.original, change.before, change.after)
			if !errors.Is(err, context.DeadlineExceeded) || got != nil {
				t.Fatalf("%s, ended at %d of %d: %v", change.name, cut, total, err)
			}
		}
	}
}

// TestUpdateEffort checks that Update returns ErrEffort for a body that takes much longer than
// its size suggests. The body has a copied element at each depth, so that Update would examine
// the innermost value again for each level above it.
func TestUpdateEffort(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{10: nil, 200_000: wire.ErrEffort} {
		original, after := `"`+strings.Repeat("x", size)+`"`, `"y"`
		for range 45 {
			original = `[{"key":"a","v":` + original + `},{"key":"b"}]`
			after = `[{"key":"a","v":` + after + `},{"key":"a"}]`
		}
		_, err := wire.Update(t.Context(), []byte(original), []byte(original), []byte(after))
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

// TestUpdateListEqualElements keeps, moves and removes elements of lists in which many elements are
// equal in the user's type. It tries each possible match of the remaining elements with the
// original elements. If all matches keep the same unknown members, Update must keep them, too.
// Otherwise Update must return ErrAmbiguous.
func TestUpdateListEqualElements(t *testing.T) {
	t.Parallel()
	outcomes := map[bool]int{}
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 2))
		n := 1 + r.IntN(6)
		forms, unknown := make([]int, n), make([]int, n)
		for i := range forms {
			forms[i], unknown[i] = r.IntN(3), r.IntN(2)
		}
		original, before := make([]string, n), make([]string, n)
		for i := range forms {
			before[i] = fmt.Sprintf(`{"a":%d}`, forms[i])
			original[i] = fmt.Sprintf(`{"a":%d,"u":%d}`, forms[i], unknown[i])
		}
		kept := r.Perm(n)[:r.IntN(n+1)]
		if r.IntN(2) == 0 {
			slices.Sort(kept)
		}
		var after []string
		for _, i := range kept {
			after = append(after, before[i])
		}
		ways := map[string]bool{} // for each possible match, the sorted elements of the result
		var try func(j int, taken []int)
		try = func(j int, taken []int) {
			if j == len(after) {
				var all []string
				for _, i := range taken {
					all = append(all, original[i])
				}
				slices.Sort(all)
				ways[strings.Join(all, ",")] = true
				return
			}
			for i := range before {
				if before[i] == after[j] && !slices.Contains(taken, i) {
					try(j+1, append(taken[:j:j], i))
				}
			}
		}
		try(0, nil)
		list := func(elements []string) []byte {
			return listOf(len(elements), func(i int) string { return elements[i] })
		}
		got, err := wire.Update(t.Context(), list(original), list(before), list(after))
		outcomes[err == nil]++
		if ambiguous := errors.Is(err, wire.ErrAmbiguous); ambiguous != (len(ways) > 1) || err != nil && !ambiguous {
			t.Fatalf("seed %d, %s to %s: %v, with %d ways", seed, original, after, err, len(ways))
		}
		if err != nil {
			continue
		}
		elements, err := wire.Elements(got)
		if err != nil || len(elements) != len(after) {
			t.Fatalf("seed %d: %s, %v", seed, got, err)
		}
		var all []string
		for j, e := range elements {
			if !wire.Covers(e, []byte(after[j])) {
				t.Errorf("seed %d: %s at %d, want %s", seed, e, j, after[j])
			}
			all = append(all, string(e))
		}
		slices.Sort(all)
		if !ways[strings.Join(all, ",")] {
			t.Errorf("seed %d, %s to %s: %s", seed, original, after, got)
		}
	}
	if outcomes[true] < 1000 || outcomes[false] < 500 {
		t.Errorf("outcomes: %v", outcomes)
	}
}

// row is an element of a list. The user's type has the members in values, but not the member
// u.
type row struct {
	u      int // the value of the unknown member u; 0 for a new element, which has no u
	values map[string]int
}

func rowList(rows []row, unknown bool) []byte {
	return listOf(len(rows), func(i int) string {
		var members []string
		for _, name := range slices.Sorted(maps.Keys(rows[i].values)) {
			members = append(members, fmt.Sprintf(`%q:%d`, name, rows[i].values[name]))
		}
		if unknown && rows[i].u > 0 {
			members = append(members, fmt.Sprintf(`"u":%d`, rows[i].u))
		}
		return "{" + strings.Join(members, ",") + "}"
	})
}

// TestUpdateListRandom makes random changes to lists. Each original element has a different
// value of the member u, which the user's type does not have. The test checks that each
// element keeps its u. For elements without keys, Update may return ErrAmbiguous, but not a
// wrong result.
func TestUpdateListRandom(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		members   []string // a to d have few possible values; the other members have a different value in each element
		edits     string   // the kinds of edits: i(nsert), r(emove), m(ove), c(hange)
		ambiguous bool     // whether Update may return ErrAmbiguous
	}{
		"by key":                             {[]string{"key", "a", "b"}, "irmccc", false},
		"by id":                              {[]string{"id", "name", "a"}, "irmccc", false},
		"by name, without insertions":        {[]string{"name", "a", "b"}, "rmccc", false},
		"by name, without removals":          {[]string{"name", "a", "b"}, "imccc", true},
		"in place":                           {[]string{"x", "a", "b", "c"}, "c", false},
		"by value, with removals":            {[]string{"x"}, "rm", false},
		"by value, with insertions":          {[]string{"x"}, "im", false},
		"changes and removals":               {[]string{"x", "a", "b", "c"}, "rc", true},
		"changes and insertions":             {[]string{"x", "a", "b", "c"}, "ic", true},
		"few values, changes and removals":   {[]string{"a", "b", "c", "d"}, "rc", true},
		"few values, changes and insertions": {[]string{"a", "b", "c", "d"}, "ic", true},
	}
	rounds := random(1000)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ambiguous := 0
			for seed := range uint64(rounds) {
				r := rand.New(rand.NewPCG(seed, 3))
				serial := 100
				draw := func(u int) row {
					values := map[string]int{}
					for _, member := range test.members {
						if values[member] = 1 + r.IntN(4); len(member) > 1 || member == "x" {
							serial++
							values[member] = serial
						}
					}
					return row{u, values}
				}
				var rows []row
				forms := map[string]bool{}
				for len(rows) < 2+r.IntN(5) {
					next := draw(len(rows) + 1)
					if form := string(rowList([]row{next}, false)); !forms[form] {
						forms[form] = true
						rows = append(rows, next)
					}
				}
				original, before := rowList(rows, true), rowList(rows, false)
				changed := map[int]bool{}
				for range 1 + r.IntN(4) {
					k := r.IntN(max(len(rows), 1))
					switch edit := test.edits[r.IntN(len(test.edits))]; {
					case edit == 'i':
						rows = slices.Insert(rows, k, row{0, draw(0).values})
						for member := range rows[k].values {
							serial++
							rows[k].values[member] = serial
						}
					case len(rows) == 0:
					case edit == 'r':
						rows = slices.Delete(rows, k, k+1)
					case edit == 'm':
						moved := rows[k]
						rows = slices.Insert(slices.Delete(rows, k, k+1), r.IntN(len(rows)), moved)
					case edit == 'c' && !changed[rows[k].u]:
						changed[rows[k].u] = true // change each element once, so that most of its values stay
						values := maps.Clone(rows[k].values)
						values[[]string{"a", "b", "c"}[r.IntN(len(test.members)-1)]] = 1 + r.IntN(6)
						if name == "by id" {
							values["name"] = 1 + r.IntN(6)
						}
						if form := string(rowList([]row{{0, values}}, false)); !forms[form] {
							forms[form] = true
							rows[k].values = values
						}
					}
				}
				got, err := wire.Update(t.Context(), original, before, rowList(rows, false))
				switch {
				case errors.Is(err, wire.ErrAmbiguous) && test.ambiguous:
					ambiguous++
				case err != nil:
					t.Fatalf("seed %d, %s to %s: %v", seed, original, rowList(rows, true), err)
				default:
					want := parse(t, rowList(rows, true))
					if diff(t, fmt.Sprintf("seed %d, %s", seed, original), want, parse(t, got)); t.Failed() {
						t.FailNow()
					}
				}
			}
			if t.Logf("%d of %d are ambiguous", ambiguous, rounds); ambiguous > rounds/2 {
				t.Errorf("%d of %d are ambiguous", ambiguous, rounds)
			}
		})
	}
}
