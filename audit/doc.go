// Package audit has the types of recorded sessions and builds the queries that find them.
// It sends no requests: the methods of sps.AuditSessions take these queries and return
// these types. The types also decode sessions that were saved as JSON.
//
// # Find
//
// A [Query] says which sessions to find, which of their fields to return, and in which
// order. Functions such as [Term] build its [Filter] and escape the values, so a user
// name or host name cannot change the meaning of the query:
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
// [Query.Validate], and the methods of package sps that take a query, return
// [ErrInvalidQuery] for an invalid query. [Raw] makes a filter from a text in the query
// language of the appliance.
//
// # Read
//
// A [Session] has a field for each member that this package knows. [Session.Unknown]
// returns the other members, and the field Raw has the whole session as the appliance
// sent it. If you encode a session, the result is the same as Raw, except for the fields
// that you have changed:
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
// The file assumptions.go lists the points that the guide of the API does not document,
// and what this package assumes about them.
package audit
