package spstest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Right is a right of a user: [FullAccess], [ReadOnly], [NoSearch], or the result of
// [ReadOnlyAt] or [NoAccessTo].
type Right string

// The rights of a user.
const (
	FullAccess Right = "full"                // reading and writing at all paths
	ReadOnly   Right = "read-only"           // logging in and reading; a write returns the error Unauthorized
	NoSearch   Right = "none:audit/sessions" // everything except recorded sessions: searches and downloads fail
)

// noAccess is a right for a path. It cannot be granted for all paths, because such a user
// could not do anything.
const noAccess Right = "none"

// ReadOnlyAt returns a right that makes a path such as "configuration/trust_stores", and
// everything below it, read-only. If several rights of a user match a path, the right
// with the longest path applies.
func ReadOnlyAt(path string) Right { return at(ReadOnly, path) }

// NoAccessTo returns a right that makes a path such as "configuration/aaa", and
// everything below it, neither readable nor writable. The listing of the parent path
// still shows the path.
//
// The guide describes an exception for trust stores. A user without a right on
// "configuration/trust_stores" can still read them with a right on an endpoint that
// refers to trust stores: "configuration/aaa/settings",
// "configuration/policies/ldap_servers" or "starling/join". A right on
// "configuration/management" also applies to trust stores. To deny access to trust
// stores, combine NoAccessTo for "configuration/trust_stores" and for these four paths.
func NoAccessTo(path string) Right { return at(noAccess, path) }

func at(right Right, path string) Right {
	path = strings.TrimPrefix(strings.Trim(path, "/")+"/", "api/")
	return right + Right(":"+strings.TrimSuffix(path, "/"))
}

// limit is a right for a path.
type limit struct {
	path  string
	right Right // ReadOnly or noAccess
}

// grant adds a right to a user.
func (u *user) grant(right Right) error {
	kind, path, isLimit := strings.Cut(string(right), ":")
	switch {
	case right == FullAccess:
	case right == ReadOnly:
		u.readOnly = true
	case !isLimit || Right(kind) != ReadOnly && Right(kind) != noAccess:
		return fmt.Errorf("spstest: unknown right %q: want %q or %q, or a right from ReadOnlyAt or NoAccessTo", right, FullAccess, ReadOnly)
	case slices.Contains(strings.Split(path, "/"), "") || strings.Contains(path, "*"):
		return fmt.Errorf("spstest: right %q: %q is not a path", right, path)
	default:
		u.limits = append(u.limits, limit{path, Right(kind)})
	}
	return nil
}

// trustStoreReferrers are the paths whose rights also permit reading trust stores. They
// are the examples of an ACL in the guide.
var trustStoreReferrers = []string{"configuration/aaa/settings", "configuration/policies/ldap_servers", joinPath}

// may reports whether a user may read or write at a path.
func (u *user) may(path string, write bool) bool {
	right := u.rightAt(path)
	if right == noAccess && isAt(path, trustStoresPath) {
		right = u.rightByReferrers()
	}
	return right != noAccess && (!write || right == FullAccess && !u.readOnly)
}

// rightAt returns the right with the longest path that matches, or FullAccess if no path
// matches.
func (u *user) rightAt(path string) Right {
	longest := limit{right: FullAccess}
	for _, l := range u.limits {
		if isAt(path, l.path) && len(l.path) >= len(longest.path) {
			longest = l
		}
	}
	return longest.right
}

// rightByReferrers returns the right on trust stores of a user who has no right on
// configuration/trust_stores.
func (u *user) rightByReferrers() Right {
	if right := u.rightAt("configuration/management"); right != noAccess {
		return right
	}
	if slices.ContainsFunc(trustStoreReferrers, func(path string) bool { return u.rightAt(path) != noAccess }) {
		return ReadOnly
	}
	return noAccess
}

// isAt reports whether path is other or below it.
func isAt(path, other string) bool { return path == other || strings.HasPrefix(path, other+"/") }

// rights returns the rights of a user for paths, in the order in which they were granted.
func (u *user) rights() []Right {
	var rights []Right
	for _, l := range u.limits {
		rights = append(rights, at(l.right, l.path))
	}
	return rights
}

// endpoints returns the endpoints and methods that user_info of 6.x lists for a user.
func (u *user) endpoints() []object {
	var endpoints []object
	add := func(path string) {
		methods := []string{}
		for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPost, http.MethodPut} {
			if u.may(path, method != http.MethodGet) {
				methods = append(methods, method)
			}
		}
		endpoints = append(endpoints, object{"methods": methods, "url": href(path)})
	}
	add("")
	for _, l := range u.limits {
		add(l.path)
	}
	return endpoints
}
