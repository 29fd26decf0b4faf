package spstest

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// snapshotLifetime is how long a snapshot is kept after its last use.
const snapshotLifetime = 5 * time.Minute

// auditSnapshot is the state of the sessions at one time.
type auditSnapshot struct {
	id      string
	owner   snapshotOwner
	until   time.Time
	boots   int
	n       int // the number of sessions
	before  map[uint32]savedSession
	results []*auditResult
	ties    uint64
}

// snapshotOwner identifies the client that may use a snapshot.
type snapshotOwner struct{ user, address, agent string }

// savedSession is the state of a session before a change.
type savedSession struct {
	record auditRecord
	change *auditChange
}

func ownerOf(x *exchange) snapshotOwner {
	address := x.remote
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return snapshotOwner{x.session.user.name, address, x.header.Get("User-Agent")}
}

// keep saves the state of a session for the snapshot before the session is changed.
func (s *auditSnapshot) keep(store *auditStore, index uint32) {
	if int(index) >= s.n {
		return
	}
	if _, saved := s.before[index]; !saved {
		s.before[index] = savedSession{store.records[index], store.changes[index]}
	}
}

func (s *auditSnapshot) searched(store *auditStore, shuffled bool) searched {
	in := searched{n: s.n, results: &s.results, view: func(index uint32) auditView {
		v := store.view(index)
		if saved, ok := s.before[index]; ok {
			v.record, v.change = saved.record, saved.change
		}
		return v
	}}
	if shuffled {
		in.ties = s.ties
	}
	return in
}

// reapSnapshots deletes the snapshots whose lifetime is over.
func (a *Appliance) reapSnapshots() {
	now := a.now()
	gone := a.variant("snapshot-restart") == "gone"
	a.audit.snapshots = slices.DeleteFunc(a.audit.snapshots, func(s *auditSnapshot) bool {
		return !now.Before(s.until) || gone && s.boots != a.boots
	})
}

// createSnapshot answers GET _snapshot.
func (a *Appliance) createSnapshot(x *exchange) answer {
	if !a.profile.snapshots {
		return a.notFound(x)
	}
	a.reapSnapshots()
	owner := ownerOf(x)
	mine := slices.IndexFunc(a.audit.snapshots, func(s *auditSnapshot) bool { return s.owner == owner })
	if mine >= 0 {
		switch a.variant("snapshot-again") {
		case "same":
			s := a.audit.snapshots[mine]
			s.until = a.now().Add(snapshotLifetime)
			return snapshotAnswer(s)
		case "refused":
			return a.snapshotQuota(x)
		}
		a.audit.snapshots = slices.Delete(a.audit.snapshots, mine, mine+1)
	}
	if slices.ContainsFunc(a.audit.snapshots, func(s *auditSnapshot) bool { return a.sharesQuota(s.owner, owner) }) {
		return a.snapshotQuota(x)
	}
	s := &auditSnapshot{
		id: a.id("snapshot", 32), owner: owner, until: a.now().Add(snapshotLifetime), boots: a.boots,
		n: len(a.audit.records), before: make(map[uint32]savedSession),
	}
	s.ties = mix(uint64(a.ids["snapshot"])*golden) | 1
	a.audit.snapshots = append(a.audit.snapshots, s)
	return snapshotAnswer(s)
}

// sharesQuota reports whether two owners share one quota, so that only one of them can
// have a snapshot.
func (a *Appliance) sharesQuota(one, other snapshotOwner) bool {
	switch a.variant("snapshot-quota") {
	case "user":
		return one.user == other.user
	case "owner":
		return one == other
	}
	return true
}

func (a *Appliance) snapshotQuota(x *exchange) answer {
	ans := a.refuse(x, "snapshot-quota-error", "There is a snapshot already", nil)
	if seconds := a.variant("snapshot-retry-after"); seconds != "none" {
		ans.header.Set("Retry-After", seconds)
	}
	return ans
}

func snapshotAnswer(s *auditSnapshot) answer {
	return reply(http.StatusOK, object{"body": object{"snapshot": s.id}})
}

// useSnapshot returns the snapshot for a query and extends its lifetime. It returns nil
// if the request may not use a snapshot with that id.
func (a *Appliance) useSnapshot(x *exchange, id string) *auditSnapshot {
	a.reapSnapshots()
	for _, s := range a.audit.snapshots {
		if s.id == id && s.owner == ownerOf(x) {
			s.until = a.now().Add(snapshotLifetime)
			return s
		}
	}
	return nil
}

// snapshotMeta returns the meta object of a page of a snapshot. A page with sessions has
// a next link, even if it is the last one.
func (a *Appliance) snapshotMeta(x *exchange, s *auditSearch, sessions int) object {
	meta := object{
		"fields": orEmpty(s.names), "first": nil, "href": auditSessionsHref, "last": nil, "limit": s.limit, "next": nil,
		"parent": "/api/audit", "previous": nil, "search_after": nil,
	}
	if a.variant("remaining-seconds") != "none" {
		meta["remaining_seconds"] = x.session.remaining()
	}
	if x.query.Has("search_after") {
		meta["search_after"] = x.query.Get("search_after")
	}
	if sessions > 0 {
		paging := []string{"search_after", strconv.Itoa(s.after + sessions)}
		if x.query.Has("limit") {
			paging = append(paging, "limit", x.query.Get("limit"))
		}
		meta["next"] = s.link(paging...)
	}
	return meta
}
