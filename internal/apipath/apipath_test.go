package apipath_test

import (
	"errors"
	"testing"

	"github.com/go-sps/sps/internal/apipath"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]apipath.Path{
		"firmware/slots":                 {Text: "firmware/slots", Escaped: "firmware/slots"},
		"/api/firmware/slots/":           {Text: "firmware/slots", Escaped: "firmware/slots"},
		"configuration/x/a b":            {Text: "configuration/x/a b", Escaped: "configuration/x/a%20b"},
		"configuration/x/a%2Fb":          {Text: "configuration/x/a%2Fb", Escaped: "configuration/x/a%2Fb"},
		"configuration/trust_stores/é%3": {Text: "configuration/trust_stores/é%3", Escaped: "configuration/trust_stores/%C3%A9%253"},
	} {
		if got, err := apipath.New(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "api", "https://x/api/y", "a//b", "a/../b", "a/.", `a\b`, "a/\x00", "a/\xff", "a/b%2F..%2Fc"} {
		var refused apipath.Error
		if got, err := apipath.New(text); !errors.As(err, &refused) {
			t.Errorf("%q: %+v, %v, want an error", text, got, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, query, err := apipath.Parse("/api/audit/sessions/a%2Fb?limit=5")
	if err != nil || p.Text != "audit/sessions/a%2Fb" || p.Key() != "a/b" || p.Plain() != "audit/sessions/a/b" || query.Get("limit") != "5" {
		t.Errorf("%+v, %v, %v", p, query, err)
	}
	for _, link := range []string{"a#b", "a?%zz", "a/%zz", "?limit=5"} {
		if p, _, err := apipath.Parse(link); err == nil {
			t.Errorf("%q: %+v, want an error", link, p)
		}
	}
}

func TestBelow(t *testing.T) {
	t.Parallel()
	p, err := apipath.New("configuration/trust_stores")
	if err != nil {
		t.Fatal(err)
	}
	if !p.Below("acl", "configuration") || !p.Below("configuration/trust_stores") || p.Below("config", "configuration/trust") {
		t.Errorf("Below returns a wrong result for %+v", p)
	}
	if _, err := p.Join("a/b"); err == nil {
		t.Error("Join accepted a segment with a slash")
	}
	if q, err := p.Within("a/b"); err != nil || q.Text != "configuration/trust_stores/a%2Fb" {
		t.Errorf("%+v, %v", q, err)
	}
}
