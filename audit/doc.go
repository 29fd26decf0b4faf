// Package audit has the types of recorded sessions and builds the queries that find them.
// It sends nothing: a client of package sps takes its queries and returns its types. The
// types also decode sessions that were saved as JSON.
//
// # Find
//
// A [Query] says which sessions to find, which of their fields to return, and in which
// order. Its [Filter] is built by functions, so the name of a user or a host cannot
// change the meaning of the query:
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
// [Query.Validate], and every method that takes a query, return [ErrInvalidQuery] for an
// invalid one. [Raw] takes a filter in the query language itself.
//
// # Read
//
// A [Session] has a field for each known member. [Session.Unknown] returns the other
// members of the answer, and the field Raw has the whole answer. Encoding returns the
// answer unchanged, except for the fields that you have changed:
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
// [Event], [Alert], [Channel], [Indexing] and [Download] are the records of one session.
// They are decoded and encoded in the same way.
//
// The file assumptions.go lists what the guide leaves open about this part of the API.
package audit
