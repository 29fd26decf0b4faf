package sps

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// apiPath is a path below /api/, checked and escaped once.
type apiPath struct {
	text    string // as people read it: "configuration/trust_stores/-7001"; a slash within a key is %2F
	escaped string // as it is sent
}

// plain is the path without escapes, as net/http wants it beside the escaped one.
func (p apiPath) plain() string {
	if plain, err := url.PathUnescape(p.escaped); err == nil {
		return plain
	}
	return p.text
}

// key is the last segment without escapes.
func (p apiPath) key() string {
	_, last, _ := cutLast(p.escaped)
	return apiPath{last, last}.plain()
}

// maxPath bounds a path: links of answers may have any length, and it stands in
// errors.
const maxPath = 2048

// mustPath makes a path of a constant of this package.
func mustPath(text string) apiPath {
	p, err := newPath(text)
	if err != nil {
		panic(err)
	}
	return p
}

// newPath makes a path of plain, unescaped segments separated by slashes, with or
// without the /api/ that links begin with. A slash within a segment is written %2F.
func newPath(text string) (apiPath, error) {
	p := apiPath{}
	relative := relativePath(text)
	if err := checkRelative(relative); err != nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), err)
	}
	for segment := range strings.SplitSeq(relative, "/") {
		var err error
		if p, err = p.within(escapedSlash.ReplaceAllString(segment, "/")); err != nil {
			return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), err)
		}
	}
	return p, nil
}

var escapedSlash = regexp.MustCompile("(?i)%2f")

// relativePath takes off what links begin with, and a slash at the end.
func relativePath(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "/"), "api/"), "/")
}

// relative takes off what paths of answers begin with.
func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
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

// parseLink makes a path and a query of what links in answers look like, and
// users type: "/api/firmware/slots/1", "firmware/slots", "audit/sessions?limit=5".
func parseLink(link string) (apiPath, url.Values, error) {
	fail := func(why error) (apiPath, url.Values, error) {
		path, _, _ := strings.Cut(link, "?") // the query may be nobody's business
		return apiPath{}, nil, fmt.Errorf("sps: path %s: %w", quoted(path), why)
	}
	escaped, rawQuery, _ := strings.Cut(link, "?")
	escaped = relativePath(escaped)
	if err := checkRelative(escaped); err != nil {
		return fail(err)
	}
	if strings.Contains(link, "#") {
		return fail(invalid("a fragment names a part of an answer: ask for the whole"))
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return fail(invalid("its query is malformed"))
	}
	p := apiPath{}
	for segment := range strings.SplitSeq(escaped, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return fail(invalid("malformed escape"))
		}
		if p, err = p.within(plain); err != nil {
			return fail(err)
		}
	}
	return p, query, nil
}

// join appends one plain segment, such as a key that a user gave. A slash in it may have
// been meant to separate two, and is refused.
func (p apiPath) join(segment string) (apiPath, error) {
	if err := checkSegment(segment); err != nil {
		return apiPath{}, err
	}
	return p.within(segment)
}

// within appends one plain segment. A slash in it is part of it.
func (p apiPath) within(segment string) (apiPath, error) {
	if err := checkWithin(segment); err != nil {
		return apiPath{}, err
	}
	if len(p.text)+len(segment) > maxPath {
		return apiPath{}, invalid("the path has more than %d bytes", maxPath)
	}
	text, escaped := strings.ReplaceAll(segment, "/", "%2F"), url.PathEscape(segment)
	if p.text == "" {
		return apiPath{text, escaped}, nil
	}
	return apiPath{p.text + "/" + text, p.escaped + "/" + escaped}, nil
}

// checkSegment refuses what no key of the API is and what some server on the
// way might take for another path.
func checkSegment(segment string) error {
	if err := checkWithin(segment); err != nil {
		return err
	}
	if strings.Contains(segment, "/") {
		return invalid("a key or path segment contains a slash: if it is right, write it as %%2F in the path of NewSingleton or Client.Invoke")
	}
	return nil
}

// checkWithin is checkSegment, and allows a slash, which is sent as %2F. For a server that
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

// transactional are the roots below which the guide wants writes in a transaction.
var transactional = []string{
	"configuration", "acl", "cluster/configuration_sync_plugin", "cluster/join_request", "cluster/nodes", "cluster/promote",
}

// alone are the endpoints whose writes the guide refuses while a transaction is open.
var alone = []string{"starling/join"}

// making are the endpoints whose GET makes something.
var making = []string{"audit/sessions/_snapshot"}

// below reports whether the path is one of the roots or below one.
func (p apiPath) below(roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return p.text == root || strings.HasPrefix(p.text, root+"/") })
}

// guarded reports whether writes to the path belong to a transaction. It errs
// on the safe side: other cases count too, and whatever is still escaped, in case
// a server on the way unfolds it.
func (p apiPath) guarded() bool {
	text := strings.ToLower(strings.ToUpper(p.text)) // both, for the long s and its like
	return strings.Contains(text, "%") || strings.Contains(text, "..") ||
		apiPath{text: text}.below(append(transactional, "transaction")...)
}

// quoted shows an input as it is, escaped and shortened.
func quoted(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "…"
	}
	return strconv.Quote(text)
}

// invalid makes an ErrInvalidInput with its reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidInput, fmt.Sprintf(format, args...))
}

// cutLast splits a path before its last segment.
func cutLast(path string) (before, last string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
