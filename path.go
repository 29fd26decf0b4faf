package sps

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/oneline"
)

// apiPath is a path below /api/, checked and escaped once.
type apiPath = apipath.Path

// mustPath makes a path of a constant of this package.
func mustPath(text string) apiPath {
	p, err := newPath(text)
	if err != nil {
		panic(err)
	}
	return p
}

// newPath makes a path of what a user gives for an endpoint.
func newPath(text string) (apiPath, error) {
	p, err := apipath.New(text)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: path %s: %w", quoted(text), invalid("%s", err))
	}
	return p, nil
}

// parseLink makes a path and a query of a link of an answer, and of what a user gives.
func parseLink(link string) (apiPath, url.Values, error) {
	p, query, err := apipath.Parse(link)
	if err != nil {
		path, _, _ := strings.Cut(link, "?") // the query may be nobody's business
		return apiPath{}, nil, fmt.Errorf("sps: path %s: %w", quoted(path), invalid("%s", err))
	}
	return p, query, nil
}

// itemPath makes the path of an object of a list.
func itemPath(list apiPath, key string) (apiPath, error) {
	p, err := list.Join(key)
	if err != nil {
		return apiPath{}, fmt.Errorf("sps: %s: %w", list.Text, invalid("%s", err))
	}
	return p, nil
}

// relative takes off what paths of answers begin with.
func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
}

// transactional are the roots below which the guide wants writes in a transaction.
var transactional = []string{
	"configuration", "acl", "cluster/configuration_sync_plugin", "cluster/join_request", "cluster/nodes", "cluster/promote",
}

// alone are the endpoints whose writes the guide refuses while a transaction is open.
var alone = []string{"starling/join"}

// making are the endpoints whose GET makes something.
var making = []string{"audit/sessions/_snapshot"}

// guarded reports whether writes to a path belong to a transaction. It errs on the safe
// side: other cases count too, and whatever is still escaped, in case a server on the way
// unfolds it.
func guarded(p apiPath) bool {
	text := strings.ToLower(p.Text)
	return strings.Contains(text, "%") || strings.Contains(text, "..") ||
		apiPath{Text: text}.Below(append(transactional, "transaction")...)
}

// quoted shows an input as it is, escaped and shortened.
func quoted(text string) string { return oneline.Quoted(text) }

// invalid makes an ErrInvalidInput with its reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidInput, fmt.Sprintf(format, args...))
}
