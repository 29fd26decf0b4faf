package foreign_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/internal/foreign"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, want string }{
		"nothing":                 {"", ""},
		"white":                   {" \n", ""},
		"a text":                  {"Forbidden", ""},
		"a page of nginx":         {"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>…", "400 No required SSL certificate was sent"},
		"capitals, attributes":    {"<!DOCTYPE HTML>\n<TITLE lang=\"en\">Log\n  in &amp; go </TITLE>", "Log in & go"},
		"a mark before it":        {"\ufeff\n<title>x</title>", "x"},
		"another tag":             {"<titles>no</titles><title>yes</title>", "yes"},
		"of an icon":              {"<svg><title>first</title></svg><title>x</title>", "first"},
		"no end":                  {"<title>x", ""},
		"no end of the tag":       {"<title", ""},
		"empty":                   {"<title></title>", ""},
		"far away":                {"<" + strings.Repeat("x", 70_000) + "<title>x</title>", ""},
		"longer in small letters": {"<title>\u023a</title>", "\u023a"},
		"a message":               {`{"Code":70002,"Message":"The user is locked"}`, "The user is locked (code 70002)"},
		"in small letters":        {`{"message":"no"}`, "no"},
		"a problem":               {`{"type":"about:blank","title":"Forbidden","detail":"You may not"}`, "You may not"},
		"a code alone":            {`{"code":1}`, ""},
		"an empty message":        {`{"message":" ","title":"x"}`, "x"},
		"of another kind":         {`{"message":{"text":"x"}}`, ""},
		"malformed":               {`{"message":"x"`, ""},
		"a list":                  {`[{"message":"x"}]`, ""},
	} {
		if diff := cmp.Diff(test.want, foreign.Words([]byte(test.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzWords checks that Words does not panic and does not return a text much longer than the
// body.
func FuzzWords(f *testing.F) {
	f.Add([]byte("<title>x</title>"))
	f.Add([]byte(`{"message":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if text := foreign.Words(body); len(text) > 8*len(body) {
			t.Errorf("%d bytes of %d", len(text), len(body))
		}
	})
}
