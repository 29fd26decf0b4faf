package diff

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// secretNames matches names of members that may hold secrets. Short words such as "key" must be
// whole words. The expression matches too many names rather than too few, because the members of
// the API are not all documented.
var secretNames = regexp.MustCompile(`(?i)pass(word|wd|phrase|code)|secret|communit|credential|token|private|psk|shared|salt|hash|digest|cipher_?text|encrypted|(^|[^a-z])(keys?|plain|pin|pwd|auth|sid|cookie)([^a-z]|$)`)

// secretTexts matches values that look like a private key, a hash of a password, or a token,
// whatever the name of the member is.
var secretTexts = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|^\$[0-9a-z]{1,8}\$|^[A-Za-z0-9+/_-]{32,}={0,2}$`)

// secret reports whether a value may be secret and must not be shown.
func secret(p place, value any) bool {
	switch value := value.(type) {
	case nil, bool:
		return false
	case string:
		if u, err := url.Parse(value); err == nil && u.User != nil || secretTexts.MatchString(value) {
			return true
		}
	case json.Number, link:
	default: // {} and []
		return false
	}
	for _, n := range []*node{p.left, p.right} {
		if n != nil && secretNames.MatchString(n.path) {
			return true
		}
	}
	return secretNames.MatchString(strings.Join(p.member, "/"))
}
