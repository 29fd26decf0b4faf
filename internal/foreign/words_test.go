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
		"nothing":                             {"", ""},
		"white":                               {" \n", ""},
		"a text":                              {"Forbidden", ""},
		"HTML page of nginx":                  {"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>…", "400 No required SSL certificate was sent"},
		"upper case, attributes":              {"<!DOCTYPE HTML>\n<TITLE lang=\"en\">Log\n  in &amp; go </TITLE>", "Log in & go"},
		"byte order mark":                     {"\ufeff\n<title>x</title>", "x"},
		"another tag":                         {"<titles>no</titles><title>yes</title>", "yes"},
		"title of an SVG image first":         {"<svg><title>first</title></svg><title>x</title>", "first"},
		"no end tag":                          {"<title>x", ""},
		"start tag truncated":                 {"<title", ""},
		"empty":                               {"<title></title>", ""},
		"title after 64 KiB":                  {"<" + strings.Repeat("x", 70_000) + "<title>x</title>", ""},
		"letter that is longer in lower case": {"<title>\u023a</title>", "\u023a"},
		"a message":                           {`{"Code":70002,"Message":"The user is locked"}`, "The user is locked (code 70002)"},
		"member names in lower case":          {`{"message":"no"}`, "no"},
		"problem details":                     {`{"type":"about:blank","title":"Forbidden","detail":"You may not"}`, "You may not"},
		"code without a message":              {`{"code":1}`, ""},
		"an empty message":                    {`{"message":" ","title":"x"}`, "x"},
		"message is an object":                {`{"message":{"text":"x"}}`, ""},
		"malformed":                           {`{"message":"x"`, ""},
		"a list":                              {`[{"message":"x"}]`, ""},
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
			t.Errorf("Words returns %d bytes for a body of %d bytes", len(text), len(body))
		}
	})
}
