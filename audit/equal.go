package audit

import (
	"bytes"
	"encoding/json"
	"slices"
)

// The functions in this file compare values field by field, to detect whether a field was
// changed after decoding. They do not use reflection, which would take longer than the
// decoding.

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameBy[T any](a, b *T, equal func(a, b *T) bool) bool {
	return a == b || a != nil && b != nil && equal(a, b)
}

// sameList reports whether two lists are equal. A missing list differs from an empty
// list.
func sameList[T comparable](a, b []T) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

func sameRaw(a, b json.RawMessage) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func sameRaws(a, b []json.RawMessage) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, sameRaw)
}

func (s *Session) equal(o *Session) bool {
	return s.Key == o.Key && s.Active == o.Active && s.Hidden == o.Hidden && s.Phantom == o.Phantom && s.Origin == o.Origin &&
		s.Protocol == o.Protocol && s.Verdict == o.Verdict && s.NodeID == o.NodeID && s.CreationTime == o.CreationTime &&
		s.StartTime == o.StartTime && s.EndTime == o.EndTime && s.Duration == o.Duration && s.TrailDownloadLink == o.TrailDownloadLink &&
		same(s.Client, o.Client) && same(s.Server, o.Server) && sameBy(s.User, o.User, (*User).equal) &&
		sameBy(s.Recording, o.Recording, (*Recording).equal) && sameBy(s.Analytics, o.Analytics, (*Analytics).equal) && same(s.Log, o.Log) &&
		(s.Vault == nil) == (o.Vault == nil) && slices.EqualFunc(s.Vault, o.Vault, func(a, b Vault) bool { return a.equal(&b) }) &&
		same(s.Alerts, o.Alerts) && same(s.Channels, o.Channels) && same(s.Events, o.Events) && same(s.Indexing, o.Indexing)
}

func (u *User) equal(o *User) bool {
	return u.ID == o.ID && u.Name == o.Name && u.NameDomain == o.NameDomain && u.GatewayUsername == o.GatewayUsername &&
		u.GatewayUsernameDomain == o.GatewayUsernameDomain && sameList(u.ServerUsername, o.ServerUsername) &&
		sameList(u.ServerUsernameDomain, o.ServerUsernameDomain)
}

func (r *Recording) equal(o *Recording) bool {
	a, b := *r, *o
	a.Archive, a.AuditTrail, a.ServerLocal, a.Target = nil, nil, nil, nil
	b.Archive, b.AuditTrail, b.ServerLocal, b.Target = nil, nil, nil, nil
	return a == b && same(r.Archive, o.Archive) && sameBy(r.AuditTrail, o.AuditTrail, (*AuditTrail).equal) &&
		same(r.ServerLocal, o.ServerLocal) && same(r.Target, o.Target)
}

func (t *AuditTrail) equal(o *AuditTrail) bool {
	return sameRaw(t.Archive, o.Archive) && same(t.Download, o.Download)
}

func (a *Analytics) equal(o *Analytics) bool {
	return sameList(a.InterestingEvents, o.InterestingEvents) && sameBy(a.Score, o.Score, (*Score).equal) && a.Scripted == o.Scripted &&
		sameRaw(a.ScriptedResults, o.ScriptedResults) && sameRaws(a.SimilarSessions, o.SimilarSessions) && sameRaws(a.Tags, o.Tags) &&
		a.BucketedDuration == o.BucketedDuration && a.BucketedStartingHour == o.BucketedStartingHour
}

func (s *Score) equal(o *Score) bool {
	return s.Aggregated == o.Aggregated && s.Time == o.Time && sameBy(s.Details, o.Details, (*ScoreDetails).equal)
}

func (s *ScoreDetails) equal(o *ScoreDetails) bool {
	return same(s.Command, o.Command) && same(s.FIS, o.FIS) && same(s.HostLogin, o.HostLogin) && same(s.LoginTime, o.LoginTime) &&
		same(s.Keystroke, o.Keystroke) && same(s.Mouse, o.Mouse) && same(s.WindowTitle, o.WindowTitle)
}

func (v *Vault) equal(o *Vault) bool {
	a, b := *v, *o
	a.Created, b.Created = nil, nil
	return a == b && sameBy(v.Created, o.Created, (*VaultEvent).equal)
}

func (e *VaultEvent) equal(o *VaultEvent) bool {
	return e.Timestamp == o.Timestamp && same(e.User, o.User)
}
