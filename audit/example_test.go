package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"time"

	"github.com/go-sps/sps/audit"
)

// sessionJSON is a session as a search returns it. It has a member that this package does
// not know.
const sessionJSON = `{"key":"qbDgP4YB6q61cSrUGJic","meta":{"href":"/api/audit/sessions/qbDgP4YB6q61cSrUGJic"},
	"body":{"protocol":"SSH","verdict":"ACCEPT","start_time":"2026-11-26T08:00:00.000Z","duration":90,
	"client":{"ip":"10.10.0.39","port":2370},"user":{"name":"yoda"},"new_member":true}}`

func Example() {
	yesterday := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	query := audit.Query{
		Filter: audit.And(
			audit.Term(audit.FieldProtocol, audit.ProtocolSSH),
			audit.Or(audit.Term(audit.FieldUserName, `O"Brien (admin)`), audit.Wildcard(audit.FieldUserName, "svc-*")),
		),
		Start: yesterday,
		Sort:  audit.Sort{Field: audit.FieldStartTime, Descending: true},
	}
	parameters, err := query.Values()
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		fmt.Println(name, parameters.Get(name))
	}

	// Output:
	// fields *
	// q protocol:SSH AND (user.name:"O\"Brien (admin)" OR user.name:svc\-*)
	// sort -start_time
	// start 2026-11-26T00:00:00.0000000+00:00
}

func ExampleSession() {
	var session audit.Session
	if err := json.Unmarshal([]byte(sessionJSON), &session); err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Key, session.Protocol, session.Duration, session.User.Name)
	fmt.Println("has a server:", session.Server != nil)

	session.Client = nil // leave the client out of the export
	line, err := json.Marshal(session)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", line)

	// Output:
	// qbDgP4YB6q61cSrUGJic SSH 1m30s yoda
	// has a server: false
	// {"key":"qbDgP4YB6q61cSrUGJic","meta":{"href":"/api/audit/sessions/qbDgP4YB6q61cSrUGJic"},"body":{"protocol":"SSH","verdict":"ACCEPT","start_time":"2026-11-26T08:00:00.000Z","duration":90,"user":{"name":"yoda"},"new_member":true}}
}

func ExampleSession_Unknown() {
	var session audit.Session
	if err := json.Unmarshal([]byte(sessionJSON), &session); err != nil {
		log.Fatal(err)
	}
	for name, value := range session.Unknown() {
		fmt.Printf("%s %s\n", name, value)
	}

	// Output: new_member true
}

func ExampleEvent() {
	var event audit.Event
	if err := json.Unmarshal([]byte(`{"action":"ls","channels_id":"0","time":"2017-04-11T09:21:10.832","type":"command","exit":0}`), &event); err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Time, event.Type, event.Action)
	fmt.Printf("%s\n", event.Unknown()["exit"])

	// Output:
	// 2017-04-11 09:21:10.832 +0000 UTC command ls
	// 0
}

func ExampleAlert() {
	var alert audit.Alert
	if err := json.Unmarshal([]byte(`{"alert_type":"adp.event.command","matched_action":"ls","rule_name":"PatternMatcherRule","severity":"high"}`), &alert); err != nil {
		log.Fatal(err)
	}
	fmt.Println(alert.RuleName, "matched", alert.MatchedAction)
	fmt.Printf("%s\n", alert.Unknown()["severity"])

	// Output:
	// PatternMatcherRule matched ls
	// "high"
}

func ExampleChannel() {
	var channel audit.Channel
	if err := json.Unmarshal([]byte(`{"key":"2","body":{"type":"local forward","start_time":1451902141,"originator":{"port":80}}}`), &channel); err != nil {
		log.Fatal(err)
	}
	fmt.Println(channel.Key, channel.Type == audit.ChannelLocalForward, channel.StartTime)
	fmt.Printf("%s\n", channel.Unknown()["originator"])

	// Output:
	// 2 true 2016-01-04 10:09:01 +0000 UTC
	// {"port":80}
}

func ExampleIndexing() {
	var indexing audit.Indexing
	if err := json.Unmarshal([]byte(`{"config":{"screen":{"enabled":true}},"status":"COMPLETED","pages":3}`), &indexing); err != nil {
		log.Fatal(err)
	}
	fmt.Println(indexing.Status == audit.IndexingCompleted, indexing.Config.Screen.Enabled)
	fmt.Printf("%s\n", indexing.Unknown()["pages"])

	// Output:
	// true true
	// 3
}

func ExampleDownload() {
	var download audit.Download
	if err := json.Unmarshal([]byte(`{"from_api":true,"ip_address":"10.20.30.40","time":"2018-11-20T11:10:19.000Z","username":"admin","bytes":10}`), &download); err != nil {
		log.Fatal(err)
	}
	fmt.Println(download.Username, download.IPAddress, download.Time)
	fmt.Printf("%s\n", download.Unknown()["bytes"])

	// Output:
	// admin 10.20.30.40 2018-11-20 11:10:19 +0000 UTC
	// 10
}

func ExampleTerm() {
	fmt.Println(audit.Term(audit.FieldUserName, "yoda"))
	fmt.Println(audit.Term(audit.FieldUserName, `x" OR active:true`))
	fmt.Println(audit.Term(audit.FieldServerPort, 22))
	fmt.Println(audit.Term(audit.FieldActive, true))

	// Output:
	// user.name:yoda
	// user.name:"x\" OR active:true"
	// server.port:22
	// active:true
}

func ExamplePhrase() {
	fmt.Println(audit.Phrase(audit.FieldAnalyticsInterestingEvents, "rm -rf /"))

	// Output: analytics.interesting_events:"rm -rf /"
}

func ExampleWildcard() {
	fmt.Println(audit.Wildcard(audit.FieldServerName, "db-??.example.*"))
	fmt.Println(audit.Wildcard(audit.FieldServerName, `10 \* *`)) // the first star is escaped and matches only a star

	// Output:
	// server.name:db\-??.example.*
	// server.name:10\ \*\ *
}

func ExampleExists() {
	fmt.Println(audit.Not(audit.Exists(audit.FieldEndTime))) // running sessions

	// Output: NOT end_time:[* TO *]
}

func ExampleRange() {
	fmt.Println(audit.Range(audit.FieldAnalyticsScoreAggregated, 80, 100))

	// Output: analytics.score.aggregated:[80 TO 100]
}

func ExampleAtLeast() {
	fmt.Println(audit.AtLeast(audit.FieldDuration, 3600))

	// Output: duration:[3600 TO *]
}

func ExampleAtMost() {
	fmt.Println(audit.AtMost(audit.FieldDuration, 5))

	// Output: duration:[* TO 5]
}

func ExampleTimeRange() {
	from := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	fmt.Println(audit.TimeRange(audit.FieldStartTime, from, from.Add(time.Hour)))
	fmt.Println(audit.TimeRange(audit.FieldStartTime, from, time.Time{}))

	// Output:
	// start_time:[2026-11-26T00:00:00.000Z TO 2026-11-26T01:00:00.000Z]
	// start_time:[2026-11-26T00:00:00.000Z TO *]
}

func ExampleAnd() {
	var filter audit.Filter // the zero filter matches every session
	for field, value := range map[string]string{audit.FieldUserName: "yoda", audit.FieldClientIP: ""} {
		if value != "" {
			filter = audit.And(filter, audit.Term(field, value))
		}
	}
	fmt.Println(filter)
	fmt.Println(audit.And(filter, audit.Or(audit.Term("protocol", "SSH"), audit.Term("protocol", "RDP"))))

	// Output:
	// user.name:yoda
	// user.name:yoda AND (protocol:SSH OR protocol:RDP)
}

func ExampleOr() {
	var users []audit.Filter
	for _, name := range []string{"yoda", "luke"} {
		users = append(users, audit.Term(audit.FieldUserName, name))
	}
	fmt.Println(audit.Or(users...))
	fmt.Println(audit.Or().Validate()) // Or without operands is an error and does not match every session

	// Output:
	// user.name:yoda OR user.name:luke
	// invalid query: Or without operands matches no session
}

func ExampleNot() {
	fmt.Println(audit.And(audit.Term("protocol", "SSH"), audit.Not(audit.Term("verdict", "ACCEPT"))))

	// Output: protocol:SSH AND NOT verdict:ACCEPT
}

func ExampleRaw() {
	fmt.Println(audit.And(audit.Raw("user.name:yoda^2 OR user.name:/lu.*/"), audit.Term("protocol", "SSH")))

	// Output: (user.name:yoda^2 OR user.name:/lu.*/) AND protocol:SSH
}

func ExampleFilter_Validate() {
	err := audit.Wildcard(audit.FieldUserName, "*da").Validate()
	fmt.Println(errors.Is(err, audit.ErrInvalidQuery))
	fmt.Println(err)

	// Output:
	// true
	// invalid query: the pattern "*da" of user.name begins with *, which the appliance does not accept; use Exists for any value
}

func ExampleFilter_IsZero() {
	fmt.Println(audit.Filter{}.IsZero(), audit.Raw("").IsZero(), audit.Term("active", true).IsZero())

	// Output: true true false
}

func ExampleQuery_Validate() {
	end := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	fmt.Println(audit.Query{Start: end.Add(time.Hour), End: end}.Validate())
	fmt.Println(audit.Query{PageSize: 1000}.Validate())
	fmt.Println(audit.Query{Sort: audit.Sort{Field: "-start_time"}}.Validate())

	// Output:
	// invalid query: the end 2026-11-26T00:00:00Z is before the start 2026-11-26T01:00:00Z
	// invalid query: the page size is 1000; use 1 to 500, or 0 for 500
	// invalid query: the field to sort by begins with -: "-start_time"; use Descending for the direction
}

func ExampleQuery_Values() {
	query := audit.Query{
		Filter: audit.Term(audit.FieldProtocol, audit.ProtocolSSH), Content: "iptables",
		Fields: []string{audit.FieldUserName, audit.FieldStartTime}, PageSize: 100,
	}
	values, err := query.Values()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)

	// Output: map[content:[iptables] fields:[user.name,start_time] limit:[100] q:[protocol:SSH]]
}

func ExampleSort() {
	fmt.Println(audit.Sort{Field: audit.FieldStartTime, Descending: true})

	// Output: -start_time
}

func ExampleSession_Values() {
	var session audit.Session
	if err := json.Unmarshal([]byte(`{"key":"svc-1","body":{"user":{"name":"yoda"},"client":{"port":22}}}`), &session); err != nil {
		log.Fatal(err)
	}
	for _, value := range session.Values(audit.FieldUserName, audit.FieldClientPort, audit.FieldVerdict) {
		fmt.Printf("%s\n", value)
	}
	// Output:
	// "yoda"
	// 22
	//
}

func ExampleStatsQuery() {
	query := audit.StatsQuery{Field: audit.FieldUserName, SubField: audit.FieldProtocol, Size: 5, Filter: audit.Term(audit.FieldVerdict, audit.VerdictAccept)}
	if err := query.Validate(); err != nil {
		log.Fatal(err)
	}
	values, err := query.Values()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values.Encode())
	fmt.Println(audit.StatsQuery{}.Validate())
	// Output:
	// field=user.name&q=verdict%3AACCEPT&size=5&sub_fields=protocol
	// invalid query: the name of a field is empty
}

func ExampleHistogramQuery() {
	query := audit.HistogramQuery{Field: audit.FieldStartTime, BinSize: audit.BinHour}
	if err := query.Validate(); err != nil {
		log.Fatal(err)
	}
	values, err := query.Values()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values.Encode())
	// Output: bin-size=hour&field=start_time
}
