package audit_test

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/query"
)

// TestQuery checks that Values returns the parameters of the guide, in the form that the
// vendor's connector uses.
func TestQuery(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 2*3600)
	for want, q := range map[string]audit.Query{
		`fields=%2A`:                                                 {},
		`fields=%2A&limit=500`:                                       {PageSize: 500},
		`fields=%2A&limit=1&q=user.name%3Ayoda`:                      {PageSize: 1, Filter: audit.Term("user.name", "yoda"), Fields: []string{audit.AllFields}},
		`fields=`:                                                    {KeysOnly: true},
		`fields=user.name%2Cstart_time`:                              {Fields: []string{audit.FieldUserName, audit.FieldStartTime}},
		`content=man%20iptables&fields=%2A`:                          {Content: " man iptables "},
		`fields=%2A&sort=start_time`:                                 {Sort: audit.Sort{Field: audit.FieldStartTime}},
		`fields=%2A&q=user.name%3A%22a%20%2B%20b%22`:                 {Filter: audit.Term("user.name", "a + b")},
		`fields=%2A&start=2022-12-12T00%3A00%3A00.0000000%2B00%3A00`: {Start: time.Date(2022, 12, 12, 2, 0, 0, 0, east)},
		`end=2022-12-12T00%3A00%3A00.1234567%2B00%3A00&fields=%2A&start=2022-12-12T00%3A00%3A00.1234567%2B00%3A00`: {Start: time.Date(2022, 12, 12, 0, 0, 0, 123456789, time.UTC), End: time.Date(2022, 12, 12, 0, 0, 0, 123456789, time.UTC)},
		`end=2022-12-13T00%3A00%3A00.0000000%2B00%3A00&fields=%2A&q=protocol%3ASSH%20AND%20user.name%3Abalabit&sort=-start_time`: {
			Filter: audit.And(audit.Term("protocol", "SSH"), audit.Term("user.name", "balabit")),
			End:    time.Date(2022, 12, 13, 0, 0, 0, 0, time.UTC), Sort: audit.Sort{Field: audit.FieldStartTime, Descending: true},
		},
	} {
		values, err := q.Values()
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		diff(t, "query", want, query.Encode(values))
	}
}

func TestQueryRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query audit.Query
		want  string
	}{
		"an end before the start":               {audit.Query{Start: noon, End: noon.Add(-1)}, "is before the start"},
		"the year 20000":                        {audit.Query{Start: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}, "20000"},
		"a negative year":                       {audit.Query{End: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "-1"},
		"a page of -1":                          {audit.Query{PageSize: -1}, "use 1 to 500"},
		"a page of 501":                         {audit.Query{PageSize: 501}, "use 1 to 500"},
		"a sort without a field":                {audit.Query{Sort: audit.Sort{Descending: true}}, "but no Field"},
		"a sort field with a minus":             {audit.Query{Sort: audit.Sort{Field: "-start_time"}}, "use Descending"},
		"a sort field with a plus":              {audit.Query{Sort: audit.Sort{Field: "+start_time"}}, "use Descending"},
		"a sort field with a direction":         {audit.Query{Sort: audit.Sort{Field: "start_time desc"}}, "not the name of a field"},
		"two sort fields":                       {audit.Query{Sort: audit.Sort{Field: "start_time,end_time"}}, "not the name of a field"},
		"a sort field of spaces":                {audit.Query{Sort: audit.Sort{Field: " "}}, "not the name of a field"},
		"two fields in one string":              {audit.Query{Fields: []string{"user.name,end_time"}}, "not the name of a field"},
		"an empty field":                        {audit.Query{Fields: []string{"user.name", ""}}, "empty"},
		"a field with a star":                   {audit.Query{Fields: []string{"user.*"}}, "not the name of a field"},
		"all fields and another":                {audit.Query{Fields: []string{"user.name", "*"}}, "stands for all"},
		"keys only and fields":                  {audit.Query{Fields: []string{"user.name"}, KeysOnly: true}, "cannot be combined with Fields"},
		"a content with a star":                 {audit.Query{Content: " *x"}, "the content begins with *"},
		"a content with ?":                      {audit.Query{Content: "?x"}, "the content begins with ?"},
		"a content with a line break":           {audit.Query{Content: "a\nb"}, "control character"},
		"a content with invalid UTF-8":          {audit.Query{Content: "\xff"}, "UTF-8"},
		"a content with a backslash at its end": {audit.Query{Content: `a\`}, "backslash"},
		"a filter with a leading star":          {audit.Query{Filter: audit.Raw("*")}, "the filter begins with *"},
		"a filter without operands":             {audit.Query{Filter: audit.Or()}, "matches no session"},
	} {
		err := test.query.Validate()
		if !errors.Is(err, audit.ErrInvalidQuery) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		values, again := test.query.Values()
		if values != nil || !errors.Is(again, audit.ErrInvalidQuery) {
			t.Errorf("%s: %v, %v", name, values, again)
		}
	}
	// Validate does not check whether a field exists.
	for _, q := range []audit.Query{{Sort: audit.Sort{Field: "new_field"}}, {Fields: []string{"new.field_2"}}, {Content: "  "}, {Start: noon, End: noon}} {
		if err := q.Validate(); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestFields checks that each Field constant is accepted in a filter, as a sort field and
// in Fields.
func TestFields(t *testing.T) {
	t.Parallel()
	fields := slices.Sorted(maps.Keys(fieldConstants(t)))
	for _, field := range fields {
		q := audit.Query{Filter: audit.Exists(field), Sort: audit.Sort{Field: field, Descending: true}, Fields: fields}
		values, err := q.Values()
		if err != nil {
			t.Fatal(err)
		}
		diff(t, field, url.Values{"q": {field + ":[* TO *]"}, "sort": {"-" + field}, "fields": {strings.Join(fields, ",")}}, values)
	}
}
