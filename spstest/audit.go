package spstest

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"time"
)

// maxSessions is the maximum of [WithAuditSessions], because the sessions have 31-bit
// numbers.
const maxSessions = math.MaxInt32

// WithAuditSessions creates n recorded sessions. They have all protocols and verdicts.
// Some lack groups of members, some have access requests as an object or a list, some
// have undocumented members, and some are still running. Their keys and contents are the
// same in every run. Their times end at the appliance's clock: one session for each five
// minutes, over at most 180 days.
//
// A session needs 24 bytes of memory, and 4 bytes in each stored search result.
// Everything else is generated on request, so there may be millions of sessions.
func WithAuditSessions(n int) Option {
	return func(a *Appliance) error {
		if n < 0 || n > maxSessions {
			return fmt.Errorf("spstest: number of sessions %d: want 0 to %d", n, maxSessions)
		}
		a.audit.made = n
		return nil
	}
}

// WithAuditTrailSize sets the size of each recording in bytes. The content is generated
// while it is read, so a recording may have gigabytes. By default, recordings have 4 to
// 260 KiB.
func WithAuditTrailSize(size int64) Option {
	return func(a *Appliance) error {
		if size <= 0 {
			return fmt.Errorf("spstest: size of recordings %d is not positive", size)
		}
		a.audit.trailSize = size
		return nil
	}
}

func newAuditStore() *auditStore {
	return &auditStore{changes: make(map[uint32]*auditChange), own: make(map[string]uint32), downloads: make(map[uint32][]trailDownload), inOrder: true}
}

// prepareAudit makes the sessions, once profile, variants and clock are known.
func (a *Appliance) prepareAudit() {
	s := a.audit
	s.forms = auditForms{old: a.profile.oldSessions, nullEnd: a.variant("session-running-end") == "null", fields: auditFields[a.profile.oldSessions]}
	if a.variant("trail-link") == "url" {
		s.forms.host = a.Addr
	}
	s.fill(s.made, a.now())
}

// auditFields are the fields of new and old releases.
var auditFields = map[bool][]auditField{false: fieldsOf(false), true: fieldsOf(true)}

// AuditSession is a recorded session, for [Appliance.AddAuditSession] and
// [Appliance.AuditSessions].
type AuditSession struct {
	// Key is the key of the session. If it is empty, the appliance creates one. It may
	// have characters that must be escaped in a path.
	Key string
	// Start and End are the times of the session, with a precision of milliseconds. A
	// zero Start means the appliance's clock. A zero End means that the session is
	// running.
	Start, End time.Time
	// Protocol, Verdict and User are "SSH", "ACCEPT" and the name of the user, for
	// example. The appliance chooses a value for an empty one.
	Protocol, Verdict, User string
	// TrailSize is the size of the recording in bytes. 0 lets the appliance choose, and
	// -1 means no recording.
	TrailSize int64
	// Archived is true if the recording was moved to the archive.
	Archived bool
	// Body is an object whose members replace or extend those of the session's body, for
	// unusual or new members. A null stays null. [Appliance.AuditSessions] does not
	// return it.
	Body json.RawMessage
	// Exact makes Body the complete body.
	Exact bool
}

// AddAuditSession adds a recorded session and returns its key. Existing snapshots do not
// include it. AddAuditSession panics if another session has the key or if the body is not
// an object.
func (a *Appliance) AddAuditSession(session AuditSession) (key string) {
	change, err := session.change()
	if err != nil {
		panic("spstest: AddAuditSession: " + err.Error())
	}
	a.enter()
	defer a.mu.Unlock()
	if _, taken := a.audit.find(session.Key); taken && session.Key != "" {
		panic("spstest: AddAuditSession: there is a session with the key " + session.Key)
	}
	record := auditRecord{start: a.now().UnixMilli()}
	if !session.Start.IsZero() {
		record.start = session.Start.UnixMilli()
	}
	if session.End.IsZero() {
		record.flags = flagAccepted
	} else {
		record.end = session.End.UnixMilli()
	}
	if session.Archived {
		record.flags |= flagArchived
	}
	v := a.audit.view(a.audit.add(record, change))
	return v.key()
}

// change is what does not follow from the number of a session; nil if nothing does.
func (s *AuditSession) change() (*auditChange, error) {
	c := &auditChange{key: s.Key, protocol: s.Protocol, verdict: s.Verdict, user: s.User, trail: s.TrailSize, exact: s.Exact}
	if s.TrailSize < -1 {
		return nil, fmt.Errorf("the size %d of the recording is negative", s.TrailSize)
	}
	if s.Body != nil || s.Exact {
		v, err := decode(s.Body)
		o, ok := v.(object)
		if err != nil || !ok {
			return nil, fmt.Errorf("the body is no object: %s", s.Body)
		}
		c.body = o
	}
	if c.key == "" && c.protocol == "" && c.verdict == "" && c.user == "" && c.trail == 0 && c.body == nil {
		return nil, nil
	}
	return c, nil
}

// EndAuditSession ends a session at the given time; zero means the appliance's clock. It
// returns false if there is no running session with the key.
func (a *Appliance) EndAuditSession(key string, at time.Time) bool {
	a.enter()
	defer a.mu.Unlock()
	index, ok := a.audit.find(key)
	if !ok || !a.audit.records[index].active() {
		return false
	}
	if at.IsZero() {
		at = a.now()
	}
	a.audit.change(index)
	a.audit.records[index].end = at.UnixMilli()
	return true
}

// ArchiveAuditSession moves the recording of a session to the archive. It returns false
// if there is no session with the key.
func (a *Appliance) ArchiveAuditSession(key string) bool {
	a.enter()
	defer a.mu.Unlock()
	index, ok := a.audit.find(key)
	if !ok {
		return false
	}
	a.audit.change(index)
	a.audit.records[index].flags |= flagArchived
	change := auditChange{}
	if old := a.audit.changes[index]; old != nil {
		change = *old
	}
	change.archived = a.now().UnixMilli()
	a.audit.changes[index] = &change
	return true
}

// AuditSessions lists the recorded sessions in the order in which they came: those of
// [WithAuditSessions], and those that were added. The appliance may be used meanwhile.
func (a *Appliance) AuditSessions() iter.Seq[AuditSession] {
	return func(yield func(AuditSession) bool) {
		for i := 0; ; i++ {
			session, ok := a.auditSession(i)
			if !ok || !yield(session) {
				return
			}
		}
	}
}

// auditSession shows the session of a number.
func (a *Appliance) auditSession(i int) (AuditSession, bool) {
	a.enter()
	defer a.mu.Unlock()
	if i >= len(a.audit.records) {
		return AuditSession{}, false
	}
	v := a.audit.view(uint32(i))
	session := AuditSession{
		Key: v.key(), Start: time.UnixMilli(v.record.start).UTC(), Protocol: v.protocol(), Verdict: v.verdict(), User: v.user(),
		TrailSize: v.trailSize(), Archived: v.record.flags&flagArchived != 0,
	}
	if !v.record.active() {
		session.End = time.UnixMilli(v.record.end).UTC()
	}
	if session.TrailSize == 0 {
		session.TrailSize = -1
	}
	return session, true
}

// DropSnapshots drops all snapshots of searches and returns how many there were. An
// appliance does this with snapshots that nobody uses for five minutes.
func (a *Appliance) DropSnapshots() int {
	a.enter()
	defer a.mu.Unlock()
	a.reapSnapshots()
	n := len(a.audit.snapshots)
	a.audit.snapshots = nil
	return n
}

// trailDownload is a download of a recording.
type trailDownload struct {
	at            int64
	address, user string
}
