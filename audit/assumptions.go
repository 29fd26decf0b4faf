package audit

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// This file holds the assumptions of this package, where the guide is incomplete or
// contradicts itself. Each entry says what is known and why a wrong assumption does no
// harm. If a real appliance differs, correct it here.

// Time zone. Events and alerts have times without a zone, and the guide does not name it.
// All other times of a session are in UTC, so these are read as UTC. Raw has the
// unchanged text.
const assumedZone = "Z"

// Epochs. Channels have seconds since 1970, and the statistics of the indexer have
// milliseconds. Only the size tells them apart: a number that would be after the year
// 5138 in seconds is milliseconds, which start in 1973.
const leastMilliseconds = 1e11

// Field selection. The names of selected fields are dotted (user.name), and no answer to
// such a request is documented. Both forms are read: nested, as in the answer to
// fields=*, and with dotted member names, which nest converts to the nested form.
func nest(body []byte) []byte {
	members, err := wire.Members(body)
	if err != nil || !slices.ContainsFunc(members, func(m wire.Member) bool { return isDotted(m.Name) }) {
		return body
	}
	return wire.Join(nested(members, isGroup))
}

// isDotted reports whether a member of a body belongs to one of its groups.
func isDotted(name string) bool {
	_, _, dotted := splitName(name, isGroup)
	return dotted
}

func isGroup(name string) bool { return slices.Contains(groupNames, name) }

// groupNames are the groups of a session.
var groupNames = []string{"alerts", "analytics", "channels", "client", "events", "indexing", "log", "recording", "server", "user", "vault"}

// maxDots is more than any field has.
const maxDots = 8

// splitName splits a dotted name behind the first part.
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
		if err != nil { // it is not an object: both stay as they are
			for _, m := range inner {
				whole = append(whole, wire.Member{Name: head + "." + m.Name, Value: m.Value})
			}
			continue
		}
		for _, m := range inner {
			if wire.Find(others, m.Name) == nil { // or it exists already
				others = append(others, m)
			}
		}
		whole[i].Value = wire.Join(nested(others, func(string) bool { return true }))
	}
	return whole
}

// List of fields. The guide calls the parameter fields a list but only shows it empty.
// The names are sent separated by commas.
const fieldSeparator = ","

// Channel of an event. The sample of events has channels_id; the sample of alerts and the
// list of search fields have channel_id. Both names are read for events.
const (
	eventChannel      = "channels_id"
	otherEventChannel = "channel_id"
)

// Domains of users. The names of these members are known, but not their forms. The domain
// on the server is read as a list, like the names on the server. The others are read as
// strings. A value of another form is in [Session.Unknown].

// Names of fields. The known names have lower-case letters, underscores and dots. More
// characters are allowed, but none with a meaning in the query language.
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

// Quoted values. The guide calls the query language Lucene syntax and shows only bare
// values. In Lucene, only a quote and a backslash have a meaning inside quotes. A value
// with characters beyond those of quoteTerm is therefore quoted. An appliance that reads
// quotes as a phrase finds the same value.
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

// Ranges. The samples of the query language have none. They are written as in Lucene: in
// brackets, which include the ends, and with * for an open end. An appliance without
// ranges refuses the query. The text of [Raw] is sent unchanged.
func rangeText(from, to string) string { return "[" + from + " TO " + to + "]" }

// Existence. The filter for the existence of a field is a range with two open ends,
// because field:* would have a term that starts with *, which the guide forbids.

// Negation. In Lucene, NOT removes sessions from those that another term has found, so a
// query of negations only finds nothing. Most products based on Lucene change that. If an
// appliance does not, combine the negation by And with a term that matches all wanted
// sessions.
const negation = "NOT "

// Time in a query. The parameters start and end are sent in the form of the Power BI
// connector, with seven digits and an offset. No sample has a time in q; it is written in
// the form of answers, with more digits if necessary.
const (
	parameterTime   = "2006-01-02T15:04:05.0000000-07:00"
	filterTime      = "2006-01-02T15:04:05.000Z"
	exactFilterTime = "2006-01-02T15:04:05.999999999Z"
)

// Statistics. The requests for statistics and histograms are documented, but their
// answers are incomplete in every copy of the guide. Entries are read from items, buckets
// or body, as in other lists of the API and of search engines. In an entry, the count is
// read from count or doc_count, and the value from value, name or key. The values of a
// second field are read from the same kinds of list. Raw has everything else.
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
