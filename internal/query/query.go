// Package query writes the parameters of a request into its URL.
package query

import (
	"net/url"
	"strings"
)

// Encode returns the parameters in the order of their names. It writes a space as %20, as in
// the guide of the API, where [url.Values.Encode] writes a plus sign.
func Encode(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20") // a plus sign itself is %2B
}
