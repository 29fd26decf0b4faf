// Package audit has the types of recorded sessions, which are what an SPS appliance is
// for, and builds the queries that find them. It sends nothing and knows no client: a
// client of package sps gives and takes its types, and they decode what was saved as
// well.
//
// # Find
//
// A [Query] says which sessions, with which of their fields, and in which order. Its
// [Filter] is built, not concatenated, so that no name of a user or a host can mean more
// than itself:
//
//	query := audit.Query{
//		Filter: audit.And(
//			audit.Term(audit.FieldProtocol, audit.ProtocolSSH),
//			audit.Or(audit.Term(audit.FieldUserName, "yoda"), audit.Wildcard(audit.FieldUserName, "svc-*")),
//		),
//		Start: time.Now().AddDate(0, 0, -1),
//		Sort:  audit.Sort{Field: audit.FieldStartTime, Descending: true},
//	}
//
// What must not be sent is [ErrInvalidQuery], by [Query.Validate] and whatever uses the
// query. [Raw] takes a filter in the query language itself.
//
// # Read
//
// A [Session] has a field for each member that is known. What an appliance has beside
// them is in [Session.Unknown], and the field Raw has all as it was sent. Encoded again,
// a session is what it was; with a field changed, only that is changed:
//
//	func withoutClient(line []byte) ([]byte, error) {
//		var session audit.Session
//		if err := json.Unmarshal(line, &session); err != nil {
//			return nil, err
//		}
//		session.Client = nil
//		return json.Marshal(session)
//	}
//
// [Event], [Alert], [Channel], [Indexing] and [Download] are what belongs to one session,
// and are read and written likewise.
//
// What the guide leaves open about all of this is in assumptions.go.
package audit
