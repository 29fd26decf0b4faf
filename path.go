package sps

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/oneline"
)

// apiPath is a path below /api/ that was checked and escaped once.
type apiPath = apipath.Path

// mustPath makes a path from a constant of this package.
func mustPath(text string) apiPath {
	p, err := newPath(text)
	if err != nil {
		panic(err)
	}
	return p
}

// newPath makes a path from a user's text for an endpoint.
func newPath(text string) (apiPath, error) {
	p, err := apipath.New(text)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), invalid("%s", err))
	}
	return p, nil
}

// parseLink makes a path and a query from a link of an answer or of a user.
func parseLink(link string) (apiPath, url.Values, error) {
	p, query, err := apipath.Parse(link)
	if err != nil {
		path, _, _ := strings.Cut(link, "?") // the query may contain a secret
		return apiPath{}, nil, fmt.Errorf("sps: path %s: %w", quoted(path), invalid("%s", err))
	}
	return p, query, nil
}

// itemPath makes the path of an object in a list.
func itemPath(list apiPath, key string) (apiPath, error) {
	p, err := list.Join(key)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: %s: %w", list.Text, invalid("%s", err))
	}
	return p, nil
}

// relative removes the leading /api/ from the path of an answer.
func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
}

// transactional are the roots below which the guide requires a transaction for writes.
var transactional = []string{
	"configuration", "acl", "cluster/configuration_sync_plugin", "cluster/join_request", "cluster/nodes", "cluster/promote",
}

// alone are the endpoints whose writes the guide does not allow while a transaction is
// open.
var alone = []string{"starling/join"}

// making are the endpoints whose GET creates something.
var making = []string{"audit/sessions/_snapshot"}

// guarded reports whether writes to a path need a transaction. To be safe, it ignores
// case and counts escaped paths, in case a server on the way unescapes them.
func guarded(p apiPath) bool {
	text := strings.ToLower(p.Text)
	return strings.Contains(text, "%") || strings.Contains(text, "..") ||
		apiPath{Text: text}.Below(append(transactional, "transaction")...)
}

// quoted returns an input escaped and shortened.
func quoted(text string) string { return oneline.Quoted(text) }

// invalid makes an ErrInvalidInput with its reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidInput, fmt.Sprintf(format, args...))
}
