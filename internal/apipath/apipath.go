// Package apipath makes paths below /api/: checked and escaped once, so that no key can
// lead to another endpoint. It knows no endpoint.
package apipath

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Path is a path below /api/, checked and escaped once. Its zero value is /api/ itself.
type Path struct {
	Text    string // as people read it: "configuration/trust_stores/-7001"; a slash within a key is %2F
	Escaped string // as it is sent
}

// Error says why a text is no path.
type Error string

func (e Error) Error() string { return string(e) }

func invalid(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// Plain is the path without escapes, as net/http wants it beside the escaped one.
func (p Path) Plain() string {
	if plain, err := url.PathUnescape(p.Escaped); err == nil {
		return plain
	}
	return p.Text
}

// Key is the last segment without escapes.
func (p Path) Key() string {
	_, last, _ := CutLast(p.Escaped)
	return Path{last, last}.Plain()
}

// maxPath bounds a path: links of answers may have any length, and it stands in
// errors.
const maxPath = 2048

// New makes a path of plain, unescaped segments separated by slashes, with or without the
// /api/ that links begin with. A slash within a segment is written %2F.
func New(text string) (Path, error) {
	p := Path{}
	relative := Relative(text)
	if err := checkRelative(relative); err != nil {
		return Path{}, err
	}
	for segment := range strings.SplitSeq(relative, "/") {
		var err error
		if p, err = p.Within(escapedSlash.ReplaceAllString(segment, "/")); err != nil {
			return Path{}, err
		}
	}
	return p, nil
}

var escapedSlash = regexp.MustCompile("(?i)%2f")

// Relative takes off what links begin with, and a slash at the end.
func Relative(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "/"), "api/"), "/")
}

func checkRelative(text string) error {
	switch {
	case text == "" || text == "api":
		return invalid("give one below /api/, such as configuration/management/email")
	case strings.Contains(text, "://"):
		return invalid("give one below /api/, not a URL")
	}
	return nil
}

// Parse makes a path and a query of what links in answers look like, and users type:
// "/api/firmware/slots/1", "firmware/slots", "audit/sessions?limit=5".
func Parse(link string) (Path, url.Values, error) {
	escaped, rawQuery, _ := strings.Cut(link, "?")
	escaped = Relative(escaped)
	if err := checkRelative(escaped); err != nil {
		return Path{}, nil, err
	}
	if strings.Contains(link, "#") {
		return Path{}, nil, invalid("a fragment names a part of an answer: ask for the whole")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Path{}, nil, invalid("its query is malformed")
	}
	p := Path{}
	for segment := range strings.SplitSeq(escaped, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return Path{}, nil, invalid("malformed escape")
		}
		if p, err = p.Within(plain); err != nil {
			return Path{}, nil, err
		}
	}
	return p, query, nil
}

// Join appends one plain segment, such as a key that a user gave. A slash in it may have
// been meant to separate two, and is refused.
func (p Path) Join(segment string) (Path, error) {
	if err := CheckSegment(segment); err != nil {
		return Path{}, err
	}
	return p.Within(segment)
}

// Within appends one plain segment. A slash in it is part of it.
func (p Path) Within(segment string) (Path, error) {
	if err := checkWithin(segment); err != nil {
		return Path{}, err
	}
	if len(p.Text)+len(segment) > maxPath {
		return Path{}, invalid("the path has more than %d bytes", maxPath)
	}
	text, escaped := strings.ReplaceAll(segment, "/", "%2F"), url.PathEscape(segment)
	if p.Text == "" {
		return Path{text, escaped}, nil
	}
	return Path{p.Text + "/" + text, p.Escaped + "/" + escaped}, nil
}

// CheckSegment refuses what no key of the API is and what some server on the
// way might take for another path.
func CheckSegment(segment string) error {
	if err := checkWithin(segment); err != nil {
		return err
	}
	if strings.Contains(segment, "/") {
		return invalid("a key or path segment contains a slash: if it is right, write it as %%2F in the path of NewSingleton or Client.Invoke")
	}
	return nil
}

// checkWithin is CheckSegment, and allows a slash, which is sent as %2F. For a server that
// unfolds it the path must not lead elsewhere.
func checkWithin(segment string) error {
	switch {
	case segment == "":
		return invalid("a key or path segment is empty")
	case segment == "." || segment == "..":
		return invalid("a key or path segment is %q", segment)
	case len(segment) > 1024:
		return invalid("a key or path segment has %d bytes", len(segment))
	case strings.Contains(segment, `\`):
		return invalid("a key or path segment contains a backslash")
	case strings.Contains(segment, "/") && (path.Clean("/"+segment) != "/"+segment || strings.ContainsAny(segment, "%;?#")):
		return invalid("a key with slashes has an empty part, a dot for one, or one of %%;?#")
	case strings.ContainsFunc(segment, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return invalid("a key or path segment contains what cannot be printed, or invalid UTF-8")
	}
	return nil
}

// Below reports whether the path is one of the roots or below one.
func (p Path) Below(roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return p.Text == root || strings.HasPrefix(p.Text, root+"/") })
}

// CutLast splits a path before its last segment.
func CutLast(path string) (before, last string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
