package query_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/internal/query"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values url.Values
		want   string
	}{
		{nil, ""},
		{url.Values{}, ""},
		{url.Values{"q": {"man iptables"}}, "q=man%20iptables"},
		{url.Values{"q": {"a+b c%20d"}}, "q=a%2Bb%20c%2520d"},
		{url.Values{"start": {"2022-12-12T00:00:00.0000000+00:00"}}, "start=2022-12-12T00%3A00%3A00.0000000%2B00%3A00"},
		{url.Values{"sort": {"-start_time"}, "fields": {""}, "a b": {"2", "1"}}, "a%20b=2&a%20b=1&fields=&sort=-start_time"},
		{url.Values{"q": {"user.name:\"é&=?#\\\""}}, "q=user.name%3A%22%C3%A9%26%3D%3F%23%5C%22"},
	} {
		got := query.Encode(test.values)
		if got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		back, err := url.ParseQuery(got)
		if err != nil || len(test.values) > 0 && !cmp.Equal(test.values, back) {
			t.Errorf("%q is read as %q, %v", got, back, err)
		}
	}
}
