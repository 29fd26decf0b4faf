package audit

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// This file holds the assumptions of this package about points where the guide is
// incomplete or contradicts itself. Each entry says what is known and why a wrong
// assumption does no harm. If a real appliance differs, correct the assumption here.

// Time zone. The times of events and alerts have no time zone, and the guide does not say
// which zone they are in. All other times of a session are in UTC, so the times of events
// and alerts are read as UTC too. Raw has the unchanged text.
const assumedZone = "Z"

// Epochs. Channels have seconds since 1970, and the statistics of the indexer have
// milliseconds. The size of the number decides: a number from 1e11 on, which would be
// after the year 5138 in seconds, is read as milliseconds. As milliseconds, 1e11 is in
// the year 1973.
const leastMilliseconds = 1e11

// Field selection. A request selects fields by dotted names (user.name), and the guide
// does not document the response to such a request. This package reads two forms: nested
// objects, as in the response to fields=*, and dotted member names, which nest converts
// to nested objects.
func nest(body []byte) []byte {
	members, err := wire.Members(body)
	if err != nil || !slices.ContainsFunc(members, func(m wire.Member) bool { return isDotted(m.Name) }) {
		return body
	}
	return wire.Join(nested(members, isGroup))
}

// isDotted reports whether a name starts with the name of a group and a dot, such as
// user.name.
func isDotted(name string) bool {
	_, _, dotted := splitName(name, isGroup)
	return dotted
}

func isGroup(name string) bool { return slices.Contains(groupNames, name) }

// groupNames are the names of those members of a session that are objects with members of
// their own.
var groupNames = []string{"alerts", "analytics", "channels", "client", "events", "indexing", "log", "recording", "server", "user", "vault"}

// maxDots limits the number of dots in a name. It is higher than the number of dots in
// any field name.
const maxDots = 8

// splitName splits a dotted name after its first part.
func splitName(name string, group func(string) bool) (head, rest string, dotted bool) {
	head, rest, _ = strings.Cut(name, ".")
	return head, rest, head != "" && rest != "" && strings.Count(rest, ".") < maxDots && group(head)
}

func nested(members []wire.Member, group func(string) bool) (whole []wire.Member) {
	parts := map[string][]wire.Member{}
	for _, m := range members {
		head, rest, dotted := splitName(m.Name, group)
		if !dotted {
			whole = append(whole, m)
			continue
		}
		parts[head] = append(parts[head], wire.Member{Name: rest, Value: m.Value})
	}
	for _, head := range slices.Sorted(maps.Keys(parts)) {
		inner := parts[head]
		i := slices.IndexFunc(whole, func(m wire.Member) bool { return m.Name == head })
		if i < 0 {
			i, whole = len(whole), append(whole, wire.Member{Name: head, Value: []byte("{}")})
		}
		others, err := wire.Members(whole[i].Value)
		if err != nil { // the existing member is not an object: keep it, and keep the dotted members
			for _, m := range inner {
				whole = append(whole, wire.Member{Name: head + "." + m.Name, Value: m.Value})
			}
			continue
		}
		for _, m := range inner {
			if wire.Find(others, m.Name) == nil { // keep an existing member
				others = append(others, m)
			}
		}
		whole[i].Value = wire.Join(nested(others, func(string) bool { return true }))
	}
	return whole
}

// List of fields. The guide calls the parameter fields a list, but shows only an empty list.
// This package separates the names by commas.
const fieldSeparator = ","

// Channel of an event. The sample of events has channels_id; the sample of alerts and the
// list of search fields have channel_id. This package reads both names in events.
const (
	eventChannel      = "channels_id"
	otherEventChannel = "channel_id"
)

// Domains of users. The names of these members are known, but not the types of their
// values. This package decodes server_username_domain as a list of strings, like
// server_username, and the other domains as strings. A value of another type is in
// [Session.Unknown].

// Names of fields. The known names have lower-case letters, underscores and dots. This
// package also allows capital letters and digits, but no character that is special in the
// query language.
func isNameCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

// isWord reports whether a text is an operator of the query language.
func isWord(text string) bool {
	switch strings.ToUpper(text) {
	case "AND", "OR", "NOT", "TO":
		return true
	}
	return false
}

// Quoted values. The guide calls the query language Lucene syntax and shows only values
// without quotes. In Lucene, only a quote and a backslash are special characters inside
// quotes. quoteTerm therefore quotes a value unless the value consists of characters that
// need no quotes. An appliance that reads quotes as a phrase finds the same value.
func quoteTerm(text string) string {
	bare := func(r rune) bool { return isNameCharacter(r) || r == '.' || r == '-' }
	if isWord(text) || strings.HasPrefix(text, "-") || strings.ContainsFunc(text, func(r rune) bool { return !bare(r) }) {
		return quotePhrase(text)
	}
	return text
}

func quotePhrase(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// Ranges. The samples of the query language have no ranges. This package writes them as
// in Lucene: in square brackets, which include the ends, and with * for an open end. An
// appliance that does not support ranges refuses the query. The text of [Raw] is sent
// unchanged.
func rangeText(from, to string) string { return "[" + from + " TO " + to + "]" }

// Existence. The filter [Exists] is a range with two open ends, field:[* TO *]. The form
// field:* is not used, because the guide forbids a term that starts with *.

// Negation. In Lucene, NOT removes results that another term has found, so a query that
// consists of negations finds nothing. In most products based on Lucene, such a query finds
// everything that it does not exclude. If it finds nothing on an appliance, use [And] to
// combine the negation with a term that matches all wanted sessions.
const negation = "NOT "

// Time in a query. The parameters start and end are sent in the form that the vendor's
// Power BI connector uses, with seven fractional digits and an offset. No sample has a
// time in q. In q, this package writes a time in the form in which the appliance returns
// times, with more fractional digits if necessary.
const (
	parameterTime   = "2006-01-02T15:04:05.0000000-07:00"
	filterTime      = "2006-01-02T15:04:05.000Z"
	exactFilterTime = "2006-01-02T15:04:05.999999999Z"
)

// Statistics. The guide documents the requests for statistics and histograms, but its
// samples of the responses are incomplete. This package reads entries from the members
// items, buckets or body, as in other lists of the API and of search engines. In an
// entry, it reads the count from count or doc_count, and the value from value, name or
// key. It reads the values of a second field from the same kinds of lists. Raw has the
// other members.
var (
	tallyLists  = []string{"items", "buckets", bodyName}
	tallyCounts = []string{"count", "doc_count"}
	tallyNames  = []string{"value", "name", keyName}
)

// maxTallyDepth limits how deeply nested lists are read.
const maxTallyDepth = 4

func talliesOf(data []byte, depth int) []Tally {
	if wire.Kind(data) != wire.Object || depth > maxTallyDepth || wire.Valid(data) != nil {
		return nil
	}
	members, err := wire.Members(data)
	if err != nil {
		return nil
	}
	for _, name := range tallyLists {
		list := wire.Find(members, name)
		switch wire.Kind(list) {
		case wire.Object:
			if found := talliesOf(list, depth+1); found != nil {
				return found
			}
		case wire.Array:
			elements, _ := wire.Elements(list)
			found := make([]Tally, 0, len(elements))
			for _, element := range elements {
				if t, ok := tallyOf(element, depth); ok {
					found = append(found, t)
				}
			}
			return found
		}
	}
	return nil
}

func tallyOf(data []byte, depth int) (t Tally, ok bool) {
	if wire.Kind(data) != wire.Object {
		return Tally{}, false
	}
	members, err := wire.Members(data)
	if err != nil {
		return Tally{}, false
	}
	t.Raw = data
	for _, name := range tallyCounts {
		if text, isText := wire.Text(wire.Find(members, name)); isText {
			t.Count, err = strconv.ParseInt(text, 10, 64)
			ok = err == nil
			break
		}
	}
	named := false
	for _, name := range tallyNames {
		value := wire.Find(members, name)
		if t.Value, named = wire.Text(value); named {
			break
		}
		if is, isBool := wire.Bool(value); isBool {
			t.Value, named = strconv.FormatBool(is), true
			break
		}
	}
	t.Below = talliesOf(data, depth+1)
	return t, ok && named
}
