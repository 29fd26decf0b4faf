package spstest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBins is the maximum number of bins of a histogram.
const maxBins = 10_000

// tally is the number of sessions with one value.
type tally struct {
	name  string
	count int
	below []tally // the values of the sub-field in these sessions
}

// tallies returns the most frequent values, at most size of them, in the order of their
// frequency.
func tallies(counts map[string]int, size int) []tally {
	all := make([]tally, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, tally{name: name, count: counts[name]})
	}
	slices.SortStableFunc(all, func(l, r tally) int { return cmp.Compare(r.count, l.count) })
	return all[:min(size, len(all))]
}

// names returns the texts that statistics count for a value: each element of a list, or the
// value itself.
func (x auditValue) names() []string {
	switch {
	case !x.exists():
		return nil
	case x.kind == listValue:
		return x.list
	}
	return []string{x.cell()}
}

// tallyAnswer returns a response with counts, in the form that the variant stats-form
// selects.
func (a *Appliance) tallyAnswer(x *exchange, all []tally) answer {
	form := a.variant("stats-form")
	list, name, count := "items", form, "count"
	if form == "buckets" {
		list, name, count = "buckets", "key", "doc_count"
	}
	var items func(all []tally) []object
	items = func(all []tally) []object {
		objects := make([]object, len(all))
		for i, t := range all {
			objects[i] = object{name: t.name, count: t.count}
			if t.below != nil {
				objects[i][list] = items(t.below)
			}
		}
		return objects
	}
	return reply(http.StatusOK, object{list: items(all), "meta": x.meta()})
}

// statsQuery returns the sessions to count and the field to count them by. If refusal is
// not nil, it is the error response.
func (a *Appliance) statsQuery(x *exchange) (f *auditField, order []uint32, refusal *answer) {
	refuse := func(ans answer) (*auditField, []uint32, *answer) { return nil, nil, &ans }
	s, err := a.readAuditSearch(x)
	if err != nil {
		return refuse(a.parameterRefused(x, err))
	}
	name := x.query.Get("field")
	if name == "" {
		return refuse(a.parameterRefused(x, errors.New("the parameter field is missing")))
	}
	if f = a.audit.field(name); f == nil || f.kind == rawValue {
		return refuse(a.parameterRefused(x, fmt.Errorf("field=%q: the sessions cannot be counted by this field", name)))
	}
	s.sort = ""
	if order, err = a.filter(a.audit.now(), s.wanted); err != nil {
		return refuse(a.searchRefused(x, err))
	}
	return f, order, nil
}

// getStats counts the most frequent values of a field and, for each of them, the values
// of a sub-field.
func (a *Appliance) getStats(x *exchange) answer {
	f, order, refusal := a.statsQuery(x)
	if refusal != nil {
		return *refusal
	}
	size := 10
	if text := x.query.Get("size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return a.parameterRefused(x, fmt.Errorf("size=%q is not a number of at least 1", text))
		}
		size = n
	}
	first, _, _ := strings.Cut(x.query.Get("sub_fields"), ",")
	below := a.audit.field(first)
	if first != "" && (below == nil || below.kind == rawValue) {
		return a.parameterRefused(x, fmt.Errorf("sub_fields=%q: the sessions cannot be counted by this field", first))
	}
	counts, belows := map[string]int{}, map[string]map[string]int{}
	for _, index := range order {
		v := a.audit.view(index)
		for _, name := range v.value(f).names() {
			counts[name]++
			if below == nil {
				continue
			}
			if belows[name] == nil {
				belows[name] = map[string]int{}
			}
			for _, inner := range v.value(below).names() {
				belows[name][inner]++
			}
		}
	}
	all := tallies(counts, size)
	for i := range all {
		if below != nil {
			all[i].below = tallies(belows[all[i].name], size)
		}
	}
	return a.tallyAnswer(x, all)
}

// bins are functions that return the start and the end of the time bin that contains a
// time, by the name of the bin size.
var bins = map[string]func(time.Time) (begin, end time.Time){
	"second": every(time.Second), "minute": every(time.Minute), "hour": every(time.Hour), "day": every(24 * time.Hour),
	"week": func(t time.Time) (time.Time, time.Time) {
		begin := t.Truncate(24*time.Hour).AddDate(0, 0, -(int(t.Weekday())+6)%7)
		return begin, begin.AddDate(0, 0, 7)
	},
	"month": func(t time.Time) (time.Time, time.Time) {
		begin := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return begin, begin.AddDate(0, 1, 0)
	},
}

func every(d time.Duration) func(time.Time) (time.Time, time.Time) {
	return func(t time.Time) (time.Time, time.Time) { return t.Truncate(d), t.Truncate(d).Add(d) }
}

// getHistogram counts the sessions in each time bin. The response also has the empty bins
// between the first and the last session.
func (a *Appliance) getHistogram(x *exchange) answer {
	f, order, refusal := a.statsQuery(x)
	if refusal != nil {
		return *refusal
	}
	bin := bins[cmp.Or(x.query.Get("bin-size"), "hour")]
	switch {
	case bin == nil:
		return a.parameterRefused(x, fmt.Errorf("bin-size=%q: want one of %s", x.query.Get("bin-size"), strings.Join(slices.Sorted(maps.Keys(bins)), ", ")))
	case f.kind != timeValue:
		return a.parameterRefused(x, fmt.Errorf("field=%q is not a time", f.name))
	}
	counts := map[int64]int{}
	for _, index := range order {
		v := a.audit.view(index)
		if value := v.value(f); value.exists() {
			begin, _ := bin(time.UnixMilli(int64(value.number)).UTC())
			counts[begin.UnixMilli()]++
		}
	}
	all := []tally{}
	if len(counts) > 0 {
		starts := slices.Sorted(maps.Keys(counts))
		for t := starts[0]; t <= starts[len(starts)-1]; {
			if len(all) == maxBins {
				return a.parameterRefused(x, fmt.Errorf("there are more than %d bins", maxBins))
			}
			begin, end := bin(time.UnixMilli(t).UTC())
			all = append(all, tally{name: begin.Format(auditTime), count: counts[t]})
			t = end.UnixMilli()
		}
	}
	return a.tallyAnswer(x, all)
}
