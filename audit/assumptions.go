package audit

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// This file holds what the package had to guess, because the guide leaves it open or
// contradicts itself. Each entry says what is known and why the guess is harmless where
// it is wrong. A real appliance that differs is mended here.

// Time zone. Events and alerts have times without a zone, and the guide does not say
// which it is. All others of a session are in UTC, and so these are taken to be. Raw has
// what was sent.
const assumedZone = "Z"

// Epochs. Channels give seconds since 1970 and the statistics of the indexer
// milliseconds, and nothing else tells them apart than their size: what would be after
// the year 5138 as seconds is milliseconds, and those begin in 1973.
const leastMilliseconds = 1e11

// Field selection. The names of selected fields are dotted (user.name), and no answer
// to such a request is printed. One that nests them, as an answer to fields=* does, is
// read, and so is one whose members have dotted names: nest makes the first of the
// second.
func nest(body []byte) []byte {
	members, err := wire.Members(body)
	if err != nil || !slices.ContainsFunc(members, func(m wire.Member) bool { return isDotted(m.Name) }) {
		return body
	}
	return wire.Join(nested(members, isGroup))
}

// isDotted tells whether a member of a body was meant for one of its groups.
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
		if err != nil { // it is no object: both stay as they are
			for _, m := range inner {
				whole = append(whole, wire.Member{Name: head + "." + m.Name, Value: m.Value})
			}
			continue
		}
		for _, m := range inner {
			if wire.Find(others, m.Name) == nil { // or it is there already
				others = append(others, m)
			}
		}
		whole[i].Value = wire.Join(nested(others, func(string) bool { return true }))
	}
	return whole
}

// List of fields. The guide calls the parameter fields a list and shows it empty only.
// Its names are sent with commas between them.
const fieldSeparator = ","

// Channel of an event. The sample of events calls it channels_id and that of alerts
// channel_id; the list of search fields has channel_id for events, too. Events are read
// with either.
const (
	eventChannel      = "channels_id"
	otherEventChannel = "channel_id"
)

// Domains of users. The names of these members are known and their forms are not. That of
// the server is taken for a list, as the names on the server are one; the others for a
// text each. What has another form is in [Session.Unknown].

// Names of fields. Those that are known have small letters, underscores, and dots. More
// is let through, but nothing that has a meaning in the query language.
func isNameCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

// isWord tells whether a text is an operator of the query language.
func isWord(text string) bool {
	switch strings.ToUpper(text) {
	case "AND", "OR", "NOT", "TO":
		return true
	}
	return false
}

// Quoted values. The guide calls the query language Lucene syntax and shows bare values
// only. There, nothing but a quote and a backslash has a meaning inside of quotes, which
// is why a value with any other character than those of quoteTerm is written so. An
// appliance that reads quotes as words in a row finds the same value.
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

// Ranges. The samples of the query language have none. They are spelt as in Lucene: in
// brackets, which include the ends, and with * for an open one. An appliance that has no
// ranges refuses the query; the text of [Raw] is sent as it is.
func rangeText(from, to string) string { return "[" + from + " TO " + to + "]" }

// Existence. Whether a session has a field is asked by a range with two open ends,
// because field:* would have a term that begins with *, which the guide forbids of a
// query.

// Negation. Lucene has NOT, and by itself it takes sessions away from those that
// another term has found. A query of negations only finds nothing there; most products
// made with it mend that. Where an appliance does not, And with a term that holds for all
// that are meant helps.
const negation = "NOT "

// Time in a query. The parameters start and end are sent as the Power BI connector sends
// them, with seven digits and an offset. In q no time was seen; there it has the form
// that it has in answers, with more digits where it needs them.
const (
	parameterTime   = "2006-01-02T15:04:05.0000000-07:00"
	filterTime      = "2006-01-02T15:04:05.000Z"
	exactFilterTime = "2006-01-02T15:04:05.999999999Z"
)

// Statistics. The requests for statistics and histograms are known, and their answers are
// cut in every copy of the guide. Entries are looked for where lists of the API and of
// search engines are: in items, buckets or body. Of an entry, the count is in count or
// doc_count, and what is counted in value, name or key; those of a second field are again
// in one of the lists. Whatever has another form is in Raw.
var (
	tallyLists  = []string{"items", "buckets", bodyName}
	tallyCounts = []string{"count", "doc_count"}
	tallyNames  = []string{"value", "name", keyName}
)

// maxTallyDepth bounds how deep lists are looked for within each other.
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
