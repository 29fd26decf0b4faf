package spstest

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	auditSessionsPath = "audit/sessions"
	auditSessionsHref = "/api/" + auditSessionsPath
	fieldStart        = "start_time"
)

// The limits of a search.
const (
	maxPage   = 500    // the maximum number of sessions in a response
	maxOffset = 10_000 // the maximum offset and the maximum match_count of the basic search
)

// auditSearch is a search with the parameters of its request.
type auditSearch struct {
	wanted        // the parameters that select and sort the sessions
	names         []string
	given         bool // the request has the parameter fields
	limit, offset int
	csv           bool
	snapshot      string
	after         int // search_after: the number of sessions on the previous pages
}

// wanted are the parameters that select and sort sessions.
type wanted struct {
	q, content, start, end string
	sort                   string
}

// auditResult is a stored search result: the numbers of the sessions, in order.
type auditResult struct {
	wanted
	order []uint32
}

// maxResults is the number of search results that are stored for requests of their other
// pages.
const maxResults = 4

// searched is the set of sessions that a search runs on: the current sessions, or a
// snapshot.
type searched struct {
	n       int // the number of sessions
	view    func(uint32) auditView
	results *[]*auditResult
	ties    uint64 // a seed that shuffles sessions with the same sort key; 0 means that they are not shuffled
}

func (s *auditStore) now() searched { return searched{len(s.records), s.view, &s.results, 0} }

// readAuditSearch reads the parameters of a search.
func (a *Appliance) readAuditSearch(x *exchange) (s auditSearch, err error) {
	q := x.query
	s = auditSearch{
		wanted:   wanted{q: q.Get("q"), content: q.Get("content"), start: q.Get("start"), end: q.Get("end"), sort: q.Get("sort")},
		given:    q.Has("fields"),
		limit:    maxPage,
		snapshot: q.Get("snapshot"),
	}
	for _, list := range q["fields"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				s.names = append(s.names, name)
			}
		}
	}
	if !s.given && a.variant("search-no-fields") == "all" {
		s.names = []string{"*"}
	}
	ignored := a.variant("search-parameter") == "ignored"
	count := func(name string, least, unset int) int {
		text := q.Get(name)
		n, problem := strconv.Atoi(text)
		switch {
		case text == "":
			return unset
		case problem != nil || n < least:
			if !ignored {
				err = fmt.Errorf("%s=%q is not a number of at least %d", name, text, least)
			}
			return unset
		}
		return n
	}
	s.limit = min(count("limit", 1, maxPage), maxPage)
	if s.offset = count("offset", 0, 0); s.offset > maxOffset {
		s.offset = 0
	}
	s.after = count("search_after", 0, 0)
	for name, text := range map[string]*string{"start": &s.start, "end": &s.end} {
		if _, _, ok := readTime(*text); *text != "" && !ok {
			if !ignored {
				err = fmt.Errorf("%s=%q is not a time in ISO 8601", name, *text)
			}
			*text = ""
		}
	}
	switch format := q.Get("format"); {
	case format == "csv":
		s.csv = true
	case format != "" && format != "json" && !ignored:
		err = fmt.Errorf("format=%q is neither json nor csv", format)
	}
	return s, err
}

func (a *Appliance) searchRefused(x *exchange, err error) answer {
	return a.refuse(x, "search-refused", err.Error(), a.pathDetails(href(x.path)))
}

func (a *Appliance) parameterRefused(x *exchange, err error) answer {
	if a.variant("search-parameter") == "ignored" { // only for parameters that cannot be ignored
		return a.syntacticError(x, href(x.path), err.Error())
	}
	return a.refuse(x, "search-parameter", err.Error(), a.pathDetails(href(x.path)))
}

// parse parses a query, with the interpretation that the variants select. It returns nil for
// an empty query.
func (a *Appliance) parse(q string) (queryNode, error) {
	return parseQuery(q, a.variant("search-operator") == "AND", a.variant("search-only-not") == "none")
}

func (a *Appliance) matching() *matching {
	m := &matching{store: a.audit, words: a.variant("search-phrase") == "words", noSuchField: a.variant("search-unknown-field") == "refused"}
	switch a.variant("search-time-ranges") {
	case "no-start-time":
		m.noRanges = []string{fieldStart}
	case "no-end-time":
		m.noRanges = []string{"end_time"}
	case "refused":
		for _, f := range a.audit.forms.fields {
			if f.kind == timeValue {
				m.noRanges = append(m.noRanges, f.name)
			}
		}
	}
	return m
}

// search runs a search, or returns the stored result of an earlier search with the same
// parameters.
func (a *Appliance) search(in searched, w wanted) (*auditResult, error) {
	for _, r := range *in.results {
		if r.wanted == w {
			return r, nil
		}
	}
	arrange, err := a.sorting(in, w.sort)
	if err != nil {
		return nil, err
	}
	order, err := a.filter(in, w)
	if err != nil {
		return nil, err
	}
	if arrange != nil {
		arrange(order)
	}
	r := &auditResult{w, order}
	*in.results = append(*in.results, r)
	if len(*in.results) > maxResults {
		*in.results = slices.Delete(*in.results, 0, 1)
	}
	return r, nil
}

// filter returns the numbers of the sessions that match, in the order of the store.
func (a *Appliance) filter(in searched, w wanted) ([]uint32, error) {
	match, first, last, err := a.condition(in, w)
	if err != nil {
		return nil, err
	}
	order := make([]uint32, 0, last-first)
	for i := first; i < last; i++ {
		if match != nil {
			v := in.view(uint32(i))
			if !match(&v) {
				continue
			}
		}
		order = append(order, uint32(i))
	}
	return slices.Clip(order), nil
}

// condition returns the matcher of a search, and the range of sessions that can match.
func (a *Appliance) condition(in searched, w wanted) (match matcher, first, last int, err error) {
	node, err := a.parse(w.q)
	if err != nil {
		return nil, 0, 0, err
	}
	m := a.matching()
	filter, err := m.compile(node)
	if err != nil {
		return nil, 0, 0, err
	}
	content, err := a.contentMatcher(w.content)
	if err != nil {
		return nil, 0, 0, err
	}
	all := []matcher{}
	add := func(match matcher) {
		if match != nil {
			all = append(all, match)
		}
	}
	first, last = 0, in.n
	least, most := m.period(node)
	if w.start != "" {
		from, _, _ := readTime(w.start)
		least = max(least, float64(from+1))
		add(func(v *auditView) bool { return v.record.start > from })
	}
	if w.end != "" {
		to, _, _ := readTime(w.end)
		add(func(v *auditView) bool { return !v.record.active() && v.record.end < to })
	}
	if a.audit.inOrder && !a.audit.laidOver {
		within := a.audit.records[:in.n]
		first, _ = slices.BinarySearchFunc(within, least, func(r auditRecord, t float64) int { return cmp.Compare(float64(r.start), t) })
		last, _ = slices.BinarySearchFunc(within, most, func(r auditRecord, t float64) int {
			if float64(r.start) > t {
				return 1
			}
			return -1
		})
		last = max(first, last)
	}
	add(filter)
	add(content)
	if len(all) == 0 {
		return nil, first, last, nil
	}
	return func(v *auditView) bool {
		for _, match := range all {
			if !match(v) {
				return false
			}
		}
		return true
	}, first, last, nil
}

// sorting returns a function that sorts sessions, or nil if they keep the order of the
// store.
func (a *Appliance) sorting(in searched, order string) (func([]uint32), error) {
	name, descending := strings.CutPrefix(order, "-")
	f := a.audit.field(name)
	switch {
	case order == "" && a.variant("search-order") == "newest-first":
		f, descending = a.audit.field(fieldStart), true
	case order == "":
		return nil, nil
	case f == nil && a.variant("search-unknown-sort") == "ignored":
		return nil, nil
	case f == nil || f.kind == rawValue:
		return nil, fmt.Errorf("the sessions cannot be sorted by %s", strconv.Quote(name))
	}
	return func(order []uint32) { a.audit.sort(in, order, f, descending) }, nil
}

// ranked is a session with its sort key.
type ranked[K cmp.Ordered] struct {
	key   K
	none  bool
	index uint32
}

// sort sorts sessions by a field. Sessions without a value come last.
func (s *auditStore) sort(in searched, order []uint32, f *auditField, descending bool) {
	if f.kind == textValue || f.kind == listValue {
		sortBy(in, order, descending, func(v *auditView) (string, bool) {
			switch x := v.value(f); {
			case x.kind == textValue:
				return x.text, true
			case x.kind == listValue && len(x.list) > 0:
				return x.list[0], true
			}
			return "", false
		})
		return
	}
	sortBy(in, order, descending, func(v *auditView) (float64, bool) {
		x := v.value(f)
		return x.number, x.exists()
	})
}

func sortBy[K cmp.Ordered](in searched, order []uint32, descending bool, keyOf func(*auditView) (K, bool)) {
	all := make([]ranked[K], len(order))
	for i, index := range order {
		v := in.view(index)
		key, ok := keyOf(&v)
		all[i] = ranked[K]{key, !ok, index}
	}
	sign := 1
	if descending {
		sign = -1
	}
	slices.SortFunc(all, func(l, r ranked[K]) int {
		switch {
		case l.none != r.none:
			if l.none {
				return 1
			}
			return -1
		case l.key != r.key && !l.none:
			return sign * cmp.Compare(l.key, r.key)
		case in.ties != 0:
			return cmp.Compare(mix(uint64(l.index)^in.ties), mix(uint64(r.index)^in.ties))
		}
		return cmp.Compare(l.index, r.index)
	})
	for i := range all {
		order[i] = all[i].index
	}
}

// getSessions answers the basic search and the search in a snapshot.
func (a *Appliance) getSessions(x *exchange) answer {
	s, err := a.readAuditSearch(x)
	if err != nil {
		return a.parameterRefused(x, err)
	}
	in := a.audit.now()
	if s.snapshot != "" && a.profile.snapshots {
		snapshot := a.useSnapshot(x, s.snapshot)
		if snapshot == nil {
			return a.refuseHere(x, "snapshot-foreign", "There is no such snapshot")
		}
		in = snapshot.searched(a.audit, a.variant("search-ties") == "shuffled")
		if a.variant("snapshot-limit") == "ignored" {
			s.limit = maxPage
		}
		s.offset = s.after
	} else {
		s.snapshot = ""
	}
	result, err := a.search(in, s.wanted)
	if err != nil {
		return a.searchRefused(x, err)
	}
	from := min(s.offset, len(result.order))
	page := result.order[from:min(from+s.limit, len(result.order))]
	sel := a.audit.selectFields(s.names, a.variant("search-fields-form") == "dotted")
	if s.csv {
		return a.sessionsCSV(in, page, &sel)
	}
	var meta object
	if s.snapshot != "" {
		meta = a.snapshotMeta(x, &s, len(page))
	} else {
		meta = a.basicMeta(&s, len(result.order))
	}
	return pageAnswer(in, page, &sel, meta)
}

// pageAnswer returns a page of sessions. It writes the JSON without encoding/json,
// because there can be many sessions.
func pageAnswer(in searched, page []uint32, sel *selection, meta object) answer {
	b := append(make([]byte, 0, 512+len(page)*(128+32*len(sel.fields))), `{"items":[`...)
	for i, index := range page {
		v := in.view(index)
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if len(sel.names) > 0 {
			b = append(v.appendBody(append(b, `"body":`...), sel), ',')
		}
		b = appendText(append(b, `"key":`...), v.key())
		b = appendText(append(b, `,"meta":{"href":`...), v.href())
		b = append(b, "}}"...)
	}
	b = append(append(b, `],"meta":`...), encode(meta)...)
	ans := reply(http.StatusOK, nil)
	ans.body = append(b, '}')
	return ans
}

// link returns the link of another page with the same search parameters.
func (s *auditSearch) link(paging ...string) string {
	link := auditSessionsHref
	separator := "?"
	add := func(name, value string) {
		link += separator + name + "=" + escapeParameter(value)
		separator = "&"
	}
	for i := 0; i < len(paging); i += 2 {
		add(paging[i], paging[i+1])
	}
	add("fields", strings.Join(s.names, ","))
	for _, p := range [][2]string{{"q", s.q}, {"content", s.content}, {"start", s.start}, {"end", s.end}, {"sort", s.sort}, {"snapshot", s.snapshot}} {
		if p[1] != "" {
			add(p[0], p[1])
		}
	}
	return link
}

func escapeParameter(value string) string { return parameterEscapes.Replace(url.QueryEscape(value)) }

var parameterEscapes = strings.NewReplacer("+", "%20", "%2A", "*", "%2C", ",")

func orEmpty(names []string) []string { return append([]string{}, names...) }

// basicMeta returns the meta object of a page of the basic search.
func (a *Appliance) basicMeta(s *auditSearch, found int) object {
	limit := strconv.Itoa(s.limit)
	at := func(offset int) string { return s.link("limit", limit, "offset", strconv.Itoa(offset)) }
	count := min(found, maxOffset)
	meta := object{
		"fields": orEmpty(s.names), "first": at(0), "href": auditSessionsHref, "last": at(max(count-1, 0) / s.limit * s.limit),
		"limit": s.limit, "match_count": count, "next": nil, "offset": s.offset, "parent": "/api/audit", "previous": nil,
	}
	end := count
	if a.variant("search-ceiling") == "repeats" {
		end = found
	}
	if s.offset+s.limit < end {
		meta["next"] = at(s.offset + s.limit)
	}
	if s.offset > 0 {
		meta["previous"] = at(max(s.offset-s.limit, 0))
	}
	return meta
}

// sessionsCSV returns a page of sessions as CSV.
func (a *Appliance) sessionsCSV(in searched, page []uint32, sel *selection) answer {
	var b strings.Builder
	w := csv.NewWriter(&b)
	line := []string{"key"}
	for _, f := range sel.fields {
		line = append(line, f.name)
	}
	if a.variant("csv-header") == "present" {
		_ = w.Write(line) // a write to a strings.Builder returns no error
	}
	for _, index := range page {
		v := in.view(index)
		line = append(line[:0], v.key())
		for _, f := range sel.fields {
			line = append(line, v.value(f).cell())
		}
		_ = w.Write(line)
	}
	w.Flush()
	ans := empty(http.StatusOK)
	ans.header.Set("Content-Type", "text/csv; charset=utf-8")
	ans.body = []byte(b.String())
	return ans
}

// cell returns a value as the text of a CSV cell.
func (x auditValue) cell() string {
	switch x.kind {
	case noValue, nullValue:
		return ""
	case textValue, rawValue:
		return x.text
	case listValue:
		return strings.Join(x.list, ";")
	}
	return strings.Trim(string(x.append(nil)), `"`)
}

// getSession returns one session.
func (a *Appliance) getSession(x *exchange) answer {
	v, ok := a.sessionAt(x)
	if !ok {
		return a.notFound(x)
	}
	sel := a.audit.selectFields([]string{"*"}, false)
	b := v.appendBody([]byte(`{"body":`), &sel)
	b = appendText(append(b, `,"key":`...), v.key())
	b = append(append(b, `,"meta":`...), encode(object{"href": v.href(), "parent": auditSessionsHref})...)
	ans := reply(http.StatusOK, nil)
	ans.body = append(b, '}')
	return ans
}

// sessionAt returns the session whose key is in the path.
func (a *Appliance) sessionAt(x *exchange) (auditView, bool) {
	key, _, _ := strings.Cut(strings.TrimPrefix(x.path, auditSessionsPath+"/"), "/")
	index, ok := a.audit.find(key)
	if !ok {
		plain, err := url.PathUnescape(key)
		if index, ok = a.audit.find(plain); !ok || err != nil {
			return auditView{}, false
		}
	}
	return a.audit.view(index), true
}

// getAudit lists the endpoints below audit.
func (a *Appliance) getAudit(x *exchange) answer {
	items := []object{{"key": "sessions", "meta": object{"href": auditSessionsHref}}}
	return reply(http.StatusOK, object{"items": items, "meta": x.meta()})
}

// countSessions returns the number of matching sessions, without the maximum of the basic
// search.
func (a *Appliance) countSessions(x *exchange) answer {
	if !a.profile.snapshots && a.variant("session-count") != "always" {
		return a.notFound(x)
	}
	s, err := a.readAuditSearch(x)
	if err != nil {
		return a.parameterRefused(x, err)
	}
	s.sort = ""
	for _, r := range a.audit.results {
		if other := r.wanted; other.q == s.q && other.content == s.content && other.start == s.start && other.end == s.end {
			return reply(http.StatusOK, object{"count": len(r.order)})
		}
	}
	order, err := a.filter(a.audit.now(), s.wanted)
	if err != nil {
		return a.searchRefused(x, err)
	}
	return reply(http.StatusOK, object{"count": len(order)})
}
