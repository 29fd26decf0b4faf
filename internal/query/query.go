// Package query writes the parameters of a request into its address.
package query

import (
	"net/url"
	"strings"
)

// Encode writes parameters in the order of their names, as the guide wants them: with %20
// for a space, where [url.Values.Encode] has a plus sign.
func Encode(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20") // a plus sign itself is %2B there
}
