package redact

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// secrets contains characters that encoders write in different ways.
var secrets = []string{`tr0ub"4dor\&3`, "p4ss w\u00f6rd/+%41", "\u65e5\u672c\U0001f511<&>'", "line\nfeed\ttab", `c:\new\table`, "%20%2B", `\u0041bc`, "plain"}

// spellings contains the forms in which a message may quote a text.
var spellings = map[string]func(string) string{
	"plain":              func(s string) string { return s },
	"JSON":               func(s string) string { return marshal(s) },
	"JSON, slashes":      func(s string) string { return strings.ReplaceAll(marshal(s), "/", `\/`) },
	"JSON, ASCII":        func(s string) string { return ascii(marshal(s), "%04x") },
	"JSON, ASCII, upper": func(s string) string { return ascii(marshal(s), "%04X") },
	"Go":                 strconv.Quote,
	"Go, ASCII":          strconv.QuoteToASCII,
	"bytes": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
		return b.String()
	},
	"query":        url.QueryEscape,
	"query, lower": func(s string) string { return lower(url.QueryEscape(s)) },
	"path":         url.PathEscape,
	"path, lower":  func(s string) string { return lower(url.PathEscape(s)) },
	"all percent": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		return b.String()
	},
	"HTML": html.EscapeString,
	"HTML, numbers": func(s string) string {
		var b strings.Builder
		for i, r := range s {
			fmt.Fprintf(&b, []string{"&#%d;", "&#x%x;"}[i%2], r)
		}
		return b.String()
	},
}

func marshal(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func ascii(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u`+format, r)
		default:
			fmt.Fprintf(&b, `\u`+format+`\u`+format, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return b.String()
}

// lower returns s with the digits of its percent escapes in lower case.
func lower(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// TestHolds checks that Holds finds each secret in each spelling, and in each combination of
// two spellings.
func TestHolds(t *testing.T) {
	t.Parallel()
	for _, secret := range secrets {
		for name, spell := range spellings {
			once := "you sent " + spell(secret) + "."
			if !Holds(once, []string{"other", secret}) {
				t.Errorf("%q in %s is not found: %s", secret, name, once)
			}
			for again, spellAgain := range spellings {
				twice := `{"request":` + spellAgain(once) + `}`
				if !Holds(twice, []string{secret, "other"}) {
					t.Errorf("%q in %s in %s is not found: %s", secret, name, again, twice)
				}
			}
			if Holds(once, []string{"another secret", "", "abc"}) {
				t.Errorf("a secret that is not in the text is found in %s", once)
			}
		}
	}
	if thrice := marshal(marshal(marshal(secrets[0]))); !Holds(thrice, secrets[:1]) {
		t.Errorf("not found: %s", thrice)
	}
}

// TestShortest checks that Holds ignores secrets that are shorter than Shortest.
func TestShortest(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]bool{"": false, "a": false, "abc": false, "abcd": true, "\u00e4\u00e4": true} {
		if got := Holds("xx"+secret+"xx", []string{secret}); got != want {
			t.Errorf("%q: %t, want %t", secret, got, want)
		}
	}
}

// TestInvalidEscapes checks that Holds leaves invalid escape sequences unchanged.
func TestInvalidEscapes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`\`, `\u`, `\u12`, `\ud83d`, `\ud83d\u`, `\ud83d\u00`, `\ud83dx`, `\U1234`, `\xg0`, `\q`, "%", "%4", "%zz", "&", "&;", "&#;", "&#x;", "&#x110000;", "&#99999999;", "&nothing;", "&veryverylong", "+", "\xff\\u"} {
		for _, around := range []string{"", "secret", text} {
			if whole := around + text; Holds(whole, []string{"nothing of the kind"}) {
				t.Errorf("found in %q", whole)
			}
		}
		if whole := text + "secret"; !Holds(whole, []string{"secret"}) {
			t.Errorf("not found in %q", whole)
		}
	}
}

// TestWorkLimit checks that Holds returns true for a text whose decoded forms are longer than
// maxWork.
func TestWorkLimit(t *testing.T) {
	t.Parallel()
	if Holds(strings.Repeat("x", maxWork), []string{"secret"}) {
		t.Error("found in a long text without escapes")
	}
	if !Holds(strings.Repeat(`\\%25&amp;+`, maxWork/20), []string{"secret"}) {
		t.Error("not found in a text whose decoded forms exceed maxWork")
	}
}

func FuzzHolds(f *testing.F) {
	for _, secret := range secrets {
		f.Add("you sent ", secret, ".")
	}
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		secret = strings.ToValidUTF8(secret, "?")
		if len(before)+len(secret)+len(after) > 1000 || len(secret) < Shortest {
			return
		}
		if !Holds(before+secret+after, []string{secret}) {
			t.Error("a plain secret is not found")
		}
		if quoted := marshal(secret); !Holds(before+" "+quoted+after, []string{secret}) {
			t.Errorf("not found in JSON: %q", before+quoted+after)
		}
	})
}
