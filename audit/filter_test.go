package audit_test

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-sps/sps/audit"
)

var (
	ssh  = audit.Term(audit.FieldProtocol, "SSH")
	yoda = audit.Term(audit.FieldUserName, "yoda")
	live = audit.Term(audit.FieldActive, true)
	noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

func TestFilter(t *testing.T) {
	t.Parallel()
	type name string
	for want, f := range map[string]audit.Filter{
		``:                                  {},
		`protocol:SSH`:                      ssh,
		`protocol:ICA`:                      audit.Term("protocol", name("ICA")),
		`active:true`:                       live,
		`client.port:22`:                    audit.Term("client.port", 22),
		`client.port:23`:                    audit.Term("client.port", uint16(23)),
		`vault.asset_partition_id:"-1"`:     audit.Term("vault.asset_partition_id", -1),
		`analytics.score.aggregated:0.1`:    audit.Term("analytics.score.aggregated", float32(0.1)),
		`analytics.score.aggregated:100000`: audit.Term("analytics.score.aggregated", 1e5),
		`client.ip:10.10.0.39`:              audit.Term("client.ip", "10.10.0.39"),
		`client.ip:"::1"`:                   audit.Term("client.ip", "::1"),
		`recording.connection_policy:demo-con-pol`:        audit.Term("recording.connection_policy", "demo-con-pol"),
		`recording.session_id:"svc/a/b"`:                  audit.Term("recording.session_id", "svc/a/b"),
		`user.name:"ACME\\yoda"`:                          audit.Term("user.name", `ACME\yoda`),
		`user.name:"a \"b\" (c) OR *:*"`:                  audit.Term("user.name", `a "b" (c) OR *:*`),
		`user.name:"*"`:                                   audit.Term("user.name", "*"),
		`user.name:"not"`:                                 audit.Term("user.name", "not"),
		`user.name:"TO"`:                                  audit.Term("user.name", "TO"),
		`user.name:">10"`:                                 audit.Term("user.name", ">10"),
		`user.name:"\\"`:                                  audit.Term("user.name", `\`),
		`user.name:"Jürgen"`:                              audit.Term("user.name", "Jürgen"),
		`analytics.interesting_events:"sudo"`:             audit.Phrase("analytics.interesting_events", "sudo"),
		`analytics.interesting_events:"rm -rf \"/\""`:     audit.Phrase("analytics.interesting_events", `rm -rf "/"`),
		`user.name:yo*`:                                   audit.Wildcard("user.name", "yo*"),
		`user.name:y?d?`:                                  audit.Wildcard("user.name", "y?d?"),
		`user.name:ACME\\*`:                               audit.Wildcard("user.name", `ACME\\*`),
		`user.name:a\*b\?c\\*`:                            audit.Wildcard("user.name", `a\*b\?c\\*`),
		`user.name:ACME\\jo*`:                             audit.Wildcard("user.name", `ACME\jo*`),
		`user.name:a\ b\:\(\)\"\/\~\^\-\+\&\|\!\<\[\{\@*`: audit.Wildcard("user.name", `a b:()"/~^-+&|!<[{@*`),
		"user.name:é\\\u3000*":                            audit.Wildcard("user.name", "é\u3000*"),
		`user.name:yoda`:                                  audit.Wildcard("user.name", "yoda"),
		`user.name:"a*"`:                                  audit.Wildcard("user.name", `a\*`),
		`user.name:\**`:                                   audit.Wildcard("user.name", `\**`),
		`user.name:AND*`:                                  audit.Wildcard("user.name", "AND*"),
		`vault.account_name:[* TO *]`:                     audit.Exists("vault.account_name"),
		`duration:[60 TO 3600]`:                           audit.Range("duration", 60, 3600),
		`duration:[-0.5 TO 0.5]`:                          audit.Range("duration", -0.5, 0.5),
		`duration:[5 TO 5]`:                               audit.Range("duration", 5, 5),
		`duration:[60 TO *]`:                              audit.AtLeast("duration", uint8(60)),
		`duration:[* TO 60]`:                              audit.AtMost("duration", int64(60)),
		`start_time:[2026-11-27T12:00:00.000Z TO 2026-11-27T13:00:00.000Z]`: audit.TimeRange("start_time", noon, noon.Add(time.Hour)),
		`start_time:[2026-11-27T10:00:00.000Z TO *]`:                        audit.TimeRange("start_time", time.Date(2026, 11, 27, 12, 0, 0, 0, time.FixedZone("", 7200)), time.Time{}),
		`end_time:[* TO 2026-11-27T12:00:00.123Z]`:                          audit.TimeRange("end_time", time.Time{}, noon.Add(123*time.Millisecond)),
		`end_time:[* TO 2026-11-27T12:00:00.000001Z]`:                       audit.TimeRange("end_time", time.Time{}, noon.Add(time.Microsecond)),
		`protocol:SSH AND user.name:yoda`:                                   audit.And(ssh, yoda),
		`protocol:SSH AND user.name:yoda AND active:true`:                   audit.And(audit.And(ssh, yoda), audit.And(live)),
		`protocol:SSH OR user.name:yoda OR active:true`:                     audit.Or(ssh, audit.Or(yoda, live)),
		`(protocol:SSH OR user.name:yoda) AND active:true`:                  audit.And(audit.Or(ssh, yoda), live),
		`(protocol:SSH AND user.name:yoda) OR active:true`:                  audit.Or(audit.And(ssh, yoda), live),
		`NOT protocol:SSH`:                                             audit.Not(ssh),
		`NOT protocol:SSH AND user.name:yoda`:                          audit.And(audit.Not(ssh), yoda),
		`protocol:SSH OR (NOT user.name:yoda)`:                         audit.Or(ssh, audit.Not(yoda)),
		`NOT (protocol:SSH OR user.name:yoda)`:                         audit.Not(audit.Or(ssh, yoda)),
		`NOT (protocol:SSH AND ((NOT user.name:yoda) OR active:true))`: audit.Not(audit.And(ssh, audit.Or(audit.Not(yoda), live))),
		`NOT active:false`:                                             audit.Not(audit.Not(audit.Not(audit.Term("active", false)))),
		`user.name:[a TO m}`:                                           audit.Raw(" user.name:[a TO m} "),
		`(a OR b) AND active:true`:                                     audit.And(audit.Raw("a OR b"), live),
		`NOT (a)`:                                                      audit.Not(audit.Raw("a")),
		`("\")" \( b) OR active:true`:                                  audit.Or(audit.Raw(`"\")" \( b`), live),
		`a\\`:                                                          audit.Raw(`a\\`),
		`user.name:a* AND verdict:FAIL`:                                audit.And(audit.Wildcard("user.name", "a*"), audit.Filter{}, audit.Term("verdict", "FAIL")),
		`a.b_C1:x`:                                                     audit.And(audit.Term("a.b_C1", "x")),
		`NOT protocol:RDP AND NOT active:true`:                         audit.And(audit.Not(audit.Term("protocol", "RDP")), audit.Not(live)),
	} {
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		diff(t, "filter", want, f.String())
	}
	for what, f := range map[string]audit.Filter{"And()": audit.And(), "And of nothing": audit.And(audit.Filter{}, audit.And()), "Raw": audit.Raw(""), "Raw of spaces": audit.Raw("  ")} {
		if !f.IsZero() || f.String() != "" || f.Validate() != nil {
			t.Errorf("%s is %q", what, f)
		}
	}
}

// TestFilterRefuses checks that an invalid part makes the whole filter invalid, at any
// depth, and that the error says how to correct it.
func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		filter audit.Filter
		want   string // text that the error must contain
	}{
		"no field":                                {audit.Term("", "x"), "empty"},
		"two words as a field":                    {audit.Term("a b", "x"), `"a b" is not the name of a field`},
		"a field with a value":                    {audit.Term("a:b OR c", "x"), "not the name"},
		"a field with a star":                     {audit.Exists("*"), "not the name"},
		"a field with a \\":                       {audit.Phrase(`a\`, "x"), "not the name"},
		"a field in quotes":                       {audit.Wildcard(`"a"`, "x*"), "not the name"},
		"a negated field":                         {audit.AtLeast("-a", 1), "not the name"},
		"a field with dots":                       {audit.AtMost("a..b", 1), "not the name"},
		"a field with a dot":                      {audit.TimeRange(".a", noon, noon), "not the name"},
		"a field with a line break":               {audit.Term("a\nb", "x"), "not the name"},
		"an umlaut in a field":                    {audit.Term("ä", "x"), "not the name"},
		"an operator":                             {audit.Term("NOT", "x"), "not the name"},
		"an operator after a dot":                 {audit.Term("a.or", "x"), "not the name"},
		"a long field":                            {audit.Term(strings.Repeat("a b", 1000), "x"), "not the name"},
		"no value":                                {audit.Term("a", ""), "use Not and Exists"},
		"no phrase":                               {audit.Phrase("a", ""), "use Not and Exists"},
		"no pattern":                              {audit.Wildcard("a", ""), "use Not and Exists"},
		"a leading star":                          {audit.Wildcard("a", "*x"), "begins with *"},
		"a leading ?":                             {audit.Wildcard("a", "?x"), "begins with ?"},
		"a star":                                  {audit.Wildcard("a", "*"), "use Exists"},
		"a value with a line break":               {audit.Term("a", "x\ny"), "control character"},
		"a zero byte":                             {audit.Phrase("a", "x\x00"), "control character"},
		"a tab":                                   {audit.Wildcard("a", "x\t*"), "control character"},
		"a delete character":                      {audit.Term("a", "\x7f"), "control character"},
		"a C1 control character":                  {audit.Term("a", "\u0085"), "control character"},
		"an invalid byte":                         {audit.Term("a", "\xff"), "UTF-8"},
		"an incomplete character":                 {audit.Phrase("a", "\xc3"), "UTF-8"},
		"a surrogate":                             {audit.Wildcard("a", "x\xed\xa0\x80*"), "UTF-8"},
		"not a number":                            {audit.Term("a", math.NaN()), "not a number"},
		"an infinite number":                      {audit.AtLeast("a", math.Inf(1)), "not a number"},
		"a range to NaN":                          {audit.Range("a", 1, math.NaN()), "not a number"},
		"a range that ends before its start":      {audit.Range("a", 2, 1), "before it begins"},
		"a time range that ends before its start": {audit.TimeRange("a", noon, noon.Add(-1)), "before it begins"},
		"a time range without ends":               {audit.TimeRange("a", time.Time{}, time.Time{}), "use Exists"},
		"the year 10000":                          {audit.TimeRange("a", time.Time{}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), "10000"},
		"Or without operands":                     {audit.Or(), "matches no session"},
		"Or of a zero operand":                    {audit.Or(ssh, audit.Filter{}), "zero Filter"},
		"Or of And()":                             {audit.Or(audit.And()), "zero Filter"},
		"Not of a zero operand":                   {audit.Not(audit.Filter{}), "zero Filter"},
		"raw with a star":                         {audit.Raw("*"), "begins with *"},
		"raw with ?":                              {audit.Raw("  ?a"), "begins with ?"},
		"raw with a line break":                   {audit.Raw("a\nb"), "control character"},
		"raw with invalid UTF-8":                  {audit.Raw("a\xff"), "UTF-8"},
		"raw with a backslash":                    {audit.Raw(`a\`), "backslash"},
		"raw with backslashes":                    {audit.Raw(`a\\\`), "backslash"},
		"raw with an extra )":                     {audit.And(audit.Raw("a) OR (b"), live), "unbalanced"},
		"raw with an extra (":                     {audit.Or(live, audit.Raw("(a")), "unbalanced"},
		"raw with one quote":                      {audit.Not(audit.Raw(`a"`)), "unbalanced"},
		"raw with an escaped )":                   {audit.And(live, audit.Raw(`(a\) OR b`)), "unbalanced"},
		"an invalid operand of And":               {audit.And(ssh, audit.Term("", "x")), "empty"},
		"an invalid operand at depth 3":           {audit.Not(audit.Or(ssh, audit.And(yoda, audit.Term("a", "")))), "use Not and Exists"},
	} {
		err := test.filter.Validate()
		if !errors.Is(err, audit.ErrInvalidQuery) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text := err.Error(); len(text) > 400 || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			t.Errorf("%s: %q", name, text)
		}
		if test.filter.IsZero() || test.filter.String() == "" {
			t.Errorf("%s: the invalid filter is the zero value", name)
		}
		if _, err := parseQuery(test.filter.String()); err == nil {
			t.Errorf("%s: the text of the invalid filter is a valid query: %s", name, test.filter)
		}
		if _, err := (audit.Query{Filter: test.filter}).Values(); !errors.Is(err, audit.ErrInvalidQuery) {
			t.Errorf("%s in a query: %v", name, err)
		}
	}
}

// TestFilterLarge checks that very long values, very long lists and very deeply nested
// filters work.
func TestFilterLarge(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`a"\:(`, 2000)
	got, err := parseQuery(audit.Term("user.name", long).String())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "10,000 characters", parsed{Kind: "text", Field: "user.name", Text: long}, got)
	got, err = parseQuery(audit.Wildcard("user.name", strings.ReplaceAll(long, `\`, `\\`)+"*").String())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "10,000 characters and a star", parsed{Kind: "pattern", Field: "user.name", Text: long + string(many)}, got)

	const n = 200_000
	loop, parts := audit.Term("client.port", 0), []string{"client.port:0"}
	nested := ssh
	for i := 1; i < n; i++ {
		loop = audit.Or(loop, audit.Term("client.port", i))
		parts = append(parts, "client.port:"+strconv.Itoa(i))
		nested = audit.Not(audit.And(nested, yoda))
	}
	if loop.String() != strings.Join(parts, " OR ") {
		t.Error("filters that were joined by repeated calls of Or are not one list without parentheses")
	}
	if text := nested.String(); strings.Count(text, "NOT (") != n-1 || strings.Count(text, ")") != n-1 {
		t.Errorf("%d characters, %d times NOT", len(text), strings.Count(text, "NOT ("))
	}
}

// recipe makes a filter from the bytes of a fuzzer, and the result that parseQuery must
// return for it.
type recipe struct {
	program []byte
	texts   []string
	invalid bool
}

func (r *recipe) next() byte {
	if len(r.program) == 0 {
		return 0
	}
	b := r.program[0]
	r.program = r.program[1:]
	return b
}

func (r *recipe) text() string { return r.texts[int(r.next())%len(r.texts)] }

// field returns a field name, and sets r.invalid if the name is not valid.
func (r *recipe) field() string {
	b := r.next()
	if b%4 != 0 {
		return [...]string{"protocol", "user.name", "a.b.c", "x_1"}[b/4%4]
	}
	text := r.text()
	for _, part := range strings.Split(text, ".") {
		upper := strings.ToUpper(part)
		r.invalid = r.invalid || part == "" || upper == "AND" || upper == "OR" || upper == "NOT" || upper == "TO" ||
			strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != ""
	}
	return text
}

// value returns one of r.texts, and sets r.invalid if a filter must refuse this text as a value.
func (r *recipe) value() string {
	text := r.text()
	r.invalid = r.invalid || text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)
	return text
}

func (r *recipe) filter(depth int) (audit.Filter, parsed) {
	kind := r.next() % 9
	if depth > 6 {
		kind %= 6
	}
	switch kind {
	case 0:
		field, value := r.field(), r.value()
		return audit.Term(field, value), parsed{Kind: "text", Field: field, Text: value}
	case 1:
		field, value := r.field(), r.value()
		return audit.Phrase(field, value), parsed{Kind: "text", Field: field, Text: value}
	case 2:
		field, from, to := r.field(), int(r.next())-128, int(r.next())-100
		r.invalid = r.invalid || from > to
		return audit.Range(field, from, to), parsed{Kind: "range", Field: field, From: strconv.Itoa(from), To: strconv.Itoa(to)}
	case 3:
		field := r.field()
		return audit.Exists(field), parsed{Kind: "range", Field: field, From: "*", To: "*"}
	case 4:
		field, at := r.field(), time.UnixMilli(int64(r.next())*1e10).UTC()
		return audit.TimeRange(field, at, time.Time{}), parsed{Kind: "range", Field: field, From: at.Format("2006-01-02T15:04:05.000Z07:00"), To: "*"}
	case 5:
		field, begin, end := r.field(), r.value(), r.text()
		if end == "" || !utf8.ValidString(end) || strings.ContainsFunc(end, unicode.IsControl) {
			end = "x"
		}
		literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)
		pattern := literal.Replace(begin) + "*" + literal.Replace(end) + "?"
		return audit.Wildcard(field, pattern), parsed{Kind: "pattern", Field: field, Text: begin + string(many) + end + string(one)}
	case 6:
		inner, says := r.filter(depth + 1)
		if says.Kind == "not" {
			return audit.Not(inner), says.Operands[0]
		}
		return audit.Not(inner), parsed{Kind: "not", Operands: []parsed{says}}
	}
	join, name := audit.And, "and"
	if kind == 8 {
		join, name = audit.Or, "or"
	}
	var operands []audit.Filter
	var says []parsed
	for range 1 + r.next()%4 {
		operand, said := r.filter(depth + 1)
		operands = append(operands, operand)
		if said.Kind == name {
			says = append(says, said.Operands...)
		} else {
			says = append(says, said)
		}
	}
	if len(says) == 1 {
		return join(operands...), says[0]
	}
	return join(operands...), parsed{Kind: name, Operands: says}
}

// FuzzFilter builds filters from arbitrary texts. It checks that parseQuery reads the text of
// a valid filter with the same meaning, and that Validate refuses each filter with an invalid
// part and no other filter.
func FuzzFilter(f *testing.F) {
	hostile := []string{"", "*", "?", `"`, `\`, `\"`, `" OR "`, `a:b`, "(", ")", ") OR (x:y", "[a TO b]", "AND", "not", "-a", "+", "a\nb", "\xff", "\u3000", ">10", `\u0041`, "a b", "é", "~2", "^3", "/a/", "&&", "||", "!", "svc/a b", strings.Repeat(`"\*`, 50)}
	for i, text := range hostile {
		f.Add([]byte{8, 3, 7, 2, 0, 1, 0, 5, 4, 1, 2, 6, 1, 8, 1, byte(i), 2, 4, 30, 200, 3, 7, 4, 9, 99}, text, hostile[(i+1)%len(hostile)], "yoda")
		f.Add([]byte{0, 1, 0}, text, text, text)
		f.Add([]byte{0, 0, 0, 1}, text, "x", text)
		f.Add([]byte{5, 1, 0, 1}, text, text, text)
		f.Add([]byte{6, 8, 1, 6, 7, 3, 0, 1, 0, 1, 5, 1, 3, 9, 0, 1}, text, "yoda", text)
	}
	f.Fuzz(func(t *testing.T, program []byte, a, b, c string) {
		if len(program) > 200 || slices.ContainsFunc([]string{a, b, c}, func(s string) bool { return strings.ContainsAny(s, string(many)+string(one)) }) {
			t.Skip()
		}
		r := &recipe{program: program, texts: []string{a, b, c}}
		filter, want := r.filter(0)
		err := filter.Validate()
		if r.invalid {
			if !errors.Is(err, audit.ErrInvalidQuery) {
				t.Fatalf("the invalid filter %s is accepted: %v", filter, err)
			}
			if _, err := (audit.Query{Filter: filter}).Values(); !errors.Is(err, audit.ErrInvalidQuery) {
				t.Fatalf("the invalid filter %s is accepted in a query: %v", filter, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseQuery(filter.String())
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		diff(t, filter.String(), want, got)
		values, err := audit.Query{Filter: filter}.Values()
		if err != nil || values.Get("q") != filter.String() {
			t.Errorf("%v, %v", values, err)
		}
	})
}
