// Package query writes the parameters of a request into its URL.
package query

import (
	"net/url"
	"strings"
)

// Encode writes parameters in the order of their names, with %20 for a space as in the
// guide, where [url.Values.Encode] writes a plus sign.
func Encode(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20") // a plus sign itself is %2B
}
