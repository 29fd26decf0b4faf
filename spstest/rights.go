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
	FullAccess Right = "full"                // everything
	ReadOnly   Right = "read-only"           // log in and read; writes are refused with Unauthorized
	NoSearch   Right = "none:audit/sessions" // everything except searching and downloading recorded sessions
)

// noAccess is never a right for all paths: such a user could not do anything.
const noAccess Right = "none"

// ReadOnlyAt returns a right that makes a path such as "configuration/trust_stores", and
// everything below it, read-only. If several rights name a path, the longest path
// applies.
func ReadOnlyAt(path string) Right { return at(ReadOnly, path) }

// NoAccessTo returns a right that makes a path such as "configuration/aaa", and
// everything below it, neither readable nor writable. Listings above it still name it.
//
// Trust stores are an exception in the guide. A user without a right on
// "configuration/trust_stores" can still read them with a right on an endpoint that
// refers to trust stores: "configuration/aaa/settings",
// "configuration/policies/ldap_servers" or "starling/join". A right on
// "configuration/management" also applies to trust stores. To deny access to them, remove
// those rights as well.
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

// grant gives a user a right.
func (u *user) grant(right Right) error {
	kind, path, isLimit := strings.Cut(string(right), ":")
	switch {
	case right == FullAccess:
	case right == ReadOnly:
		u.readOnly = true
	case !isLimit || Right(kind) != ReadOnly && Right(kind) != noAccess:
		return fmt.Errorf("spstest: unknown right %q: want %q or %q, or what ReadOnlyAt or NoAccessTo gives", right, FullAccess, ReadOnly)
	case slices.Contains(strings.Split(path, "/"), "") || strings.Contains(path, "*"):
		return fmt.Errorf("spstest: right %q: %q is not a path", right, path)
	default:
		u.limits = append(u.limits, limit{path, Right(kind)})
	}
	return nil
}

// trustStoreReferrers are the endpoints whose rights also allow reading trust stores: the
// guide's examples of an ACL, as paths.
var trustStoreReferrers = []string{"configuration/aaa/settings", "configuration/policies/ldap_servers", joinPath}

// may tells whether a user may read or write at a path.
func (u *user) may(path string, write bool) bool {
	right := u.rightAt(path)
	if right == noAccess && isAt(path, trustStoresPath) {
		right = u.rightByReferrers()
	}
	return right != noAccess && (!write || right == FullAccess && !u.readOnly)
}

// rightAt is what the longest path that has a right gives.
func (u *user) rightAt(path string) Right {
	longest := limit{right: FullAccess}
	for _, l := range u.limits {
		if isAt(path, l.path) && len(l.path) >= len(longest.path) {
			longest = l
		}
	}
	return longest.right
}

// rightByReferrers is the right on trust stores of somebody who was not given one.
func (u *user) rightByReferrers() Right {
	if right := u.rightAt("configuration/management"); right != noAccess {
		return right
	}
	if slices.ContainsFunc(trustStoreReferrers, func(path string) bool { return u.rightAt(path) != noAccess }) {
		return ReadOnly
	}
	return noAccess
}

// isAt tells whether a path is another one, or below it.
func isAt(path, other string) bool { return path == other || strings.HasPrefix(path, other+"/") }

// rights are the limits as they were given.
func (u *user) rights() []Right {
	var rights []Right
	for _, l := range u.limits {
		rights = append(rights, at(l.right, l.path))
	}
	return rights
}

// endpoints are what the old user_info says about a user.
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
