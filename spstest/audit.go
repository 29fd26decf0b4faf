package spstest

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"time"
)

// maxSessions is the maximum of [WithAuditSessions]. The number of a session must fit
// into 31 bits.
const maxSessions = math.MaxInt32

// WithAuditSessions creates n recorded sessions with different protocols and verdicts.
// Some sessions lack groups of members, some have undocumented members, and some are
// still running. The member vault is an object in some sessions and a list in others.
// Keys and contents are the same in each run. The latest session starts just before the
// current time of the appliance's clock. The sessions are five minutes apart on average,
// or less if they would otherwise span more than 180 days.
//
// A session needs 24 bytes of memory, and 4 bytes in each stored search result. The rest
// of its content is generated on request, so there can be millions of sessions.
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
// while it is read, so a recording can have gigabytes. By default, a recording has 4 to
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

// prepareAudit creates the sessions. It is called after all options, because the sessions
// depend on profile, variants and clock.
func (a *Appliance) prepareAudit() {
	s := a.audit
	s.forms = auditForms{old: a.profile.oldSessions, nullEnd: a.variant("session-running-end") == "null", fields: auditFields[a.profile.oldSessions]}
	if a.variant("trail-link") == "url" {
		s.forms.host = a.Addr
	}
	s.fill(s.made, a.now())
}

// auditFields are the fields of a session, with the key true for 6.x and false for later
// releases.
var auditFields = map[bool][]auditField{false: fieldsOf(false), true: fieldsOf(true)}

// AuditSession is a recorded session. It is the argument of [Appliance.AddAuditSession]
// and the element of [Appliance.AuditSessions].
type AuditSession struct {
	// Key is the key of the session. If it is "", the appliance creates a key. The key may
	// contain characters that must be escaped in a path.
	Key string
	// Start and End are the times of the session, with a precision of milliseconds. A
	// zero Start means the current time of the appliance's clock. A zero End means that
	// the session is still running.
	Start, End time.Time
	// Protocol, Verdict and User are the protocol, such as "SSH", the verdict, such as
	// "ACCEPT", and the name of the user. For "", the appliance chooses a value.
	Protocol, Verdict, User string
	// TrailSize is the size of the recording in bytes. -1 means that there is no
	// recording. For 0, the appliance chooses.
	TrailSize int64
	// Archived is true if the recording is in the archive.
	Archived bool
	// Body is a JSON object that is merged into the body of the session, for example to
	// add unusual or new members. A null in Body becomes a null in the session.
	// [Appliance.AuditSessions] does not return Body.
	Body json.RawMessage
	// Exact makes Body the complete body of the session, without generated members.
	Exact bool
}

// AddAuditSession adds a recorded session and returns its key. Snapshots that already
// exist do not include the session. AddAuditSession panics if another session has the
// key, if TrailSize is less than -1, or if Body is not a JSON object.
func (a *Appliance) AddAuditSession(session AuditSession) (key string) {
	change, err := session.change()
	if err != nil {
		panic("spstest: AddAuditSession: " + err.Error())
	}
	a.enter()
	defer a.mu.Unlock()
	if _, taken := a.audit.find(session.Key); taken && session.Key != "" {
		panic("spstest: AddAuditSession: there is already a session with the key " + session.Key)
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

// change returns the members that the caller set, or nil if the whole content is
// generated from the number of the session.
func (s *AuditSession) change() (*auditChange, error) {
	c := &auditChange{key: s.Key, protocol: s.Protocol, verdict: s.Verdict, user: s.User, trail: s.TrailSize, exact: s.Exact}
	if s.TrailSize < -1 {
		return nil, fmt.Errorf("the size %d of the recording is less than -1", s.TrailSize)
	}
	if s.Body != nil || s.Exact {
		v, err := decode(s.Body)
		o, ok := v.(object)
		if err != nil || !ok {
			return nil, fmt.Errorf("the body is not a JSON object: %s", s.Body)
		}
		c.body = o
	}
	if c.key == "" && c.protocol == "" && c.verdict == "" && c.user == "" && c.trail == 0 && c.body == nil {
		return nil, nil
	}
	return c, nil
}

// EndAuditSession ends the running session with the key at the given time. A zero time
// means the current time of the appliance's clock. It returns false if no running session
// has the key.
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

// ArchiveAuditSession moves the recording of the session with the key to the archive. It
// returns false if no session has the key.
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

// AuditSessions returns an iterator over the recorded sessions: first the sessions of
// [WithAuditSessions], then the added sessions in the order in which they were added. The
// caller may call other methods of the appliance during the iteration.
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

// auditSession returns the session with number i. It returns false if there is none.
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

// DropSnapshots deletes all snapshots of searches and returns their number. A real
// appliance deletes a snapshot that was not used for five minutes.
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
