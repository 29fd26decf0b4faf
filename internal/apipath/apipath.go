// Package apipath makes paths below /api/. It checks and escapes their segments, so that a
// key cannot lead to another endpoint. It does not contain a list of endpoints.
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

// Path is a checked and escaped path below /api/. Its zero value is /api/ itself.
type Path struct {
	Text    string // the form for messages, for example "configuration/trust_stores/-7001"; a slash within a key is %2F
	Escaped string // the form for the URL of a request
}

// Error is the reason why a text is not a valid path.
type Error string

func (e Error) Error() string { return string(e) }

func invalid(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// Plain returns the path without percent escapes. net/http needs it in addition to Escaped.
func (p Path) Plain() string {
	if plain, err := url.PathUnescape(p.Escaped); err == nil {
		return plain
	}
	return p.Text
}

// Key returns the last segment without percent escapes.
func (p Path) Key() string {
	_, last, _ := CutLast(p.Escaped)
	return Path{last, last}.Plain()
}

// maxPath limits the length of a path in bytes, because a link in a response may have any
// length, and error messages contain paths.
const maxPath = 2048

// New returns the path for a text of unescaped segments, separated by slashes. The text may
// start with /api/, as links do. A slash within a segment must be written as %2F.
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

// Relative returns a path without a leading /api/ and without a slash at the end.
func Relative(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "/"), "api/"), "/")
}

func checkRelative(text string) error {
	switch {
	case text == "" || text == "api":
		return invalid("use a path below /api/, for example configuration/management/email")
	case strings.Contains(text, "://"):
		return invalid("use a path below /api/, not a URL")
	}
	return nil
}

// Parse returns the path and the query of a link in a response or of a user's text, for
// example "/api/firmware/slots/1", "firmware/slots" or "audit/sessions?limit=5".
func Parse(link string) (Path, url.Values, error) {
	escaped, rawQuery, _ := strings.Cut(link, "?")
	escaped = Relative(escaped)
	if err := checkRelative(escaped); err != nil {
		return Path{}, nil, err
	}
	if strings.Contains(link, "#") {
		return Path{}, nil, invalid("a fragment is not possible: remove the # and the text after it")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Path{}, nil, invalid("its query is malformed")
	}
	p := Path{}
	for segment := range strings.SplitSeq(escaped, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return Path{}, nil, invalid("it has a malformed percent escape")
		}
		if p, err = p.Within(plain); err != nil {
			return Path{}, nil, err
		}
	}
	return p, query, nil
}

// Join returns the path with one more unescaped segment, such as a user's key. It returns an
// error if the segment contains a slash, because the user may mean two segments.
func (p Path) Join(segment string) (Path, error) {
	if err := CheckSegment(segment); err != nil {
		return Path{}, err
	}
	return p.Within(segment)
}

// Within returns the path with one more unescaped segment. It treats a slash as a part of
// the segment.
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

// CheckSegment returns an error if a segment cannot be a key of the API, or if a proxy or
// server might read it as another path.
func CheckSegment(segment string) error {
	if err := checkWithin(segment); err != nil {
		return err
	}
	if strings.Contains(segment, "/") {
		return invalid("a key or path segment contains a slash: if the slash is a part of the key, write it as %%2F in the path of NewSingleton or Client.Invoke")
	}
	return nil
}

// checkWithin is like CheckSegment, but accepts a slash, which is sent as %2F. It refuses a
// segment with which the path would lead to another place if a server unescaped the slash.
func checkWithin(segment string) error {
	switch {
	case segment == "":
		return invalid("a key or path segment is empty")
	case segment == "." || segment == "..":
		return invalid("a key or path segment is %q", segment)
	case len(segment) > 1024:
		return invalid("a key or path segment has %d bytes, and the maximum is 1024", len(segment))
	case strings.Contains(segment, `\`):
		return invalid("a key or path segment contains a backslash")
	case strings.Contains(segment, "/") && (path.Clean("/"+segment) != "/"+segment || strings.ContainsAny(segment, "%;?#")):
		return invalid("a key with slashes has an empty part, a part that is . or .., or one of the characters %%;?#")
	case strings.ContainsFunc(segment, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return invalid("a key or path segment contains an unprintable character or invalid UTF-8")
	}
	return nil
}

// Below reports whether the path is one of the roots, or is below one of them.
func (p Path) Below(roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return p.Text == root || strings.HasPrefix(p.Text, root+"/") })
}

// CutLast returns the part of a path before its last slash, and the last segment. found is
// false if the path has no slash.
func CutLast(path string) (before, last string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
