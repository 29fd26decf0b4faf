package diff

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// secretNames is what names have in them of places that may hold secrets, and key
// and its like as words of their own. It is generous: an API that is not known to
// the last member leaves no other choice.
var secretNames = regexp.MustCompile(`(?i)pass(word|wd|phrase|code)|secret|communit|credential|token|private|psk|shared|salt|hash|digest|cipher_?text|encrypted|(^|[^a-z])(keys?|plain|pin|pwd|auth|sid|cookie)([^a-z]|$)`)

// secretTexts is what key material and hashes of passwords look like, wherever they
// stand.
var secretTexts = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|^\$[0-9a-z]{1,8}\$|^[A-Za-z0-9+/_-]{32,}={0,2}$`)

// secret tells whether a value is not to be shown.
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
