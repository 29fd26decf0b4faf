package spstest

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// auditStore holds the recorded sessions. It stores a small record for each session. The
// rest of the content is generated from the number of the session on request.
type auditStore struct {
	forms     auditForms
	records   []auditRecord
	inOrder   bool                    // the records are sorted by their start
	laidOver  bool                    // some sessions have a body from AuditSession
	changes   map[uint32]*auditChange // changed members, by the number of the session
	own       map[string]uint32       // the numbers of the sessions with a key from AuditSession, by key
	downloads map[uint32][]trailDownload
	snapshots []*auditSnapshot
	results   []*auditResult // stored results of searches outside of snapshots
	made      int            // the number of sessions from WithAuditSessions
	trailSize int64          // the size of each recording; 0 means different sizes
}

// auditForms are the variants and the release that determine the form of the sessions.
type auditForms struct {
	old     bool          // the sessions have the form of 6.x
	nullEnd bool          // end_time and duration of a running session are null instead of absent
	host    func() string // the host in trail_download_link; nil means that the link has no host
	fields  []auditField
}

// auditRecord is the stored part of a session. Times are in milliseconds since 1970.
type auditRecord struct {
	start, end int64 // an end of 0 means that the session is running
	flags      auditFlags
}

type auditFlags uint8

const (
	flagArchived auditFlags = 1 << iota
	flagAccepted            // the verdict is ACCEPT, because the session was created as a running session
)

func (r auditRecord) active() bool { return r.end == 0 }

// auditChange holds the members of a session that are not generated from its number. It
// is not modified after it was stored, because snapshots share it.
type auditChange struct {
	key                     string
	protocol, verdict, user string
	trail                   int64 // the size of the recording; 0 means the generated size, and -1 means no recording
	archived                int64 // the time at which the recording was moved to the archive
	body                    object
	exact                   bool // body is the complete body
}

// auditView is a session as a search or a response reads it.
type auditView struct {
	store  *auditStore
	index  uint32
	record auditRecord
	change *auditChange // nil if the whole content is generated
	hash   uint64
}

const auditSeed = 0x5351_5353_494d_2024

// Odd 64-bit constants of the hash function.
const (
	golden = 0x9e3779b97f4a7c15
	mixA   = 0xbf58476d1ce4e5b9
	mixB   = 0x94d049bb133111eb
)

// mix returns a number that looks random. Different numbers give different results.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * mixA
	z = (z ^ z>>27) * mixB
	return z ^ z>>31
}

// unmix is the inverse of mix.
func unmix(z uint64) uint64 {
	z = (z ^ z>>31 ^ z>>62) * inverse(mixB)
	z = (z ^ z>>27 ^ z>>54) * inverse(mixA)
	return z ^ z>>30 ^ z>>60
}

// inverse returns the inverse of an odd number modulo 2^64, by Newton's iteration.
func inverse(a uint64) uint64 {
	x := a
	for range 5 {
		x *= 2 - a*x
	}
	return x
}

func hashOf(index uint32) uint64 { return mix(auditSeed ^ uint64(index)*golden) }

// pick returns a number from 0 to n-1 for a trait of a session. The numbers of different
// traits are independent.
func (v *auditView) pick(what trait, n int) int {
	return int(mix(v.hash+uint64(what)*golden) >> 11 % uint64(n))
}

// The constants of generated keys. A key contains the number of its session, so that the
// session is found without a table.
const (
	keyDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyHalf   = 11 // the number of digits of a 64-bit number
	keyPrefix = "svc-"
)

func appendKeyHalf(b []byte, z uint64) []byte {
	var digits [keyHalf]byte
	for i := range digits {
		digits[keyHalf-1-i] = keyDigits[z%62]
		z /= 62
	}
	return append(b, digits[:]...)
}

func readKeyHalf(s string) (z uint64, ok bool) {
	for i := range len(s) {
		d := strings.IndexByte(keyDigits, s[i])
		if d < 0 {
			return 0, false
		}
		z = z*62 + uint64(d)
	}
	return z, true
}

// id returns the id of a session: 22 letters and digits, which are also a part of its
// key.
func (v *auditView) id() string {
	first := mix(auditSeed + uint64(v.index))
	return string(appendKeyHalf(appendKeyHalf(make([]byte, 0, 2*keyHalf), first), mix(first^golden)))
}

func (v *auditView) key() string {
	switch {
	case v.change != nil && v.change.key != "":
		return v.change.key
	case v.store.forms.old:
		return strconv.FormatUint(uint64(v.index)+1, 10)
	case v.pick(traitKey, 5) == 0:
		return keyPrefix + v.id() + "-" + people[v.pick(traitUser, len(people))].login + "-" + strconv.Itoa(1+v.pick(traitKeyNumber, 9))
	}
	return v.id()
}

// find returns the number of the session with a key.
func (s *auditStore) find(key string) (index uint32, ok bool) {
	if index, ok = s.own[key]; ok {
		return index, true
	}
	number, err := strconv.ParseUint(key, 10, 32)
	switch id := strings.TrimPrefix(key, keyPrefix); {
	case s.forms.old && err == nil && number > 0:
		index = uint32(number - 1)
	case len(id) >= 2*keyHalf:
		first, ok := readKeyHalf(id[:keyHalf])
		i := unmix(first) - auditSeed
		if !ok || i > math.MaxUint32 {
			return 0, false
		}
		index = uint32(i)
	default:
		return 0, false
	}
	if int(index) >= len(s.records) {
		return 0, false
	}
	v := s.view(index)
	return index, v.key() == key
}

// view returns the current state of a session.
func (s *auditStore) view(index uint32) auditView {
	return auditView{s, index, s.records[index], s.changes[index], hashOf(index)}
}

// fill creates the sessions of WithAuditSessions. The last of them has just started.
func (s *auditStore) fill(n int, now time.Time) {
	const (
		longest = 180 * 24 * time.Hour // the maximum time from the first session to the last
		widest  = 5 * time.Minute      // the maximum time between two sessions
	)
	s.records = make([]auditRecord, 0, n)
	s.made = n
	end := now.UnixMilli()
	spacing := widest.Milliseconds()
	if n > 0 {
		spacing = max(min(spacing, longest.Milliseconds()/int64(n)), 1)
	}
	for i := range n {
		v := auditView{store: s, index: uint32(i), hash: hashOf(uint32(i))}
		start := end - int64(n-i)*spacing + int64(v.pick(traitJitter, int(spacing)))
		if i > 0 && v.pick(traitTie, 12) == 0 { // some sessions start at the same time
			start = s.records[i-1].start
		}
		v.record = auditRecord{start: start, end: start + v.length()}
		switch {
		case v.record.end > end, i == n-1 && n > 1, i == n/2 && n > 10:
			v.record.end, v.record.flags = 0, flagAccepted
		case i < n/3 && v.recorded():
			v.record.flags = flagArchived
		}
		s.records = append(s.records, v.record)
	}
	s.inOrder = true
}

// length returns the duration of a session in milliseconds.
func (v *auditView) length() int64 {
	const minute = 60_000
	if v.verdict() != verdictAccept && v.verdict() != verdictTerminated {
		return int64(v.pick(traitLength, 4)) * 700
	}
	within := func(from, to int) int64 { return int64(from + v.pick(traitLength, to-from)) }
	switch kind := v.pick(traitLengthKind, 100); {
	case kind < 25:
		return within(200, minute)
	case kind < 75:
		return within(minute, 30*minute)
	case kind < 93:
		return within(30*minute, 240*minute)
	case kind < 99:
		return within(240*minute, 720*minute)
	}
	return within(720*minute, 3*1440*minute)
}

// change is called before a session is changed. It saves the state of the session in the
// snapshots, and deletes the stored search results.
func (s *auditStore) change(index uint32) {
	s.results = nil
	for _, snapshot := range s.snapshots {
		snapshot.keep(s, index)
	}
}

// add adds a session and returns its number.
func (s *auditStore) add(record auditRecord, change *auditChange) uint32 {
	s.results = nil
	index := uint32(len(s.records))
	if index > 0 && record.start < s.records[index-1].start {
		s.inOrder = false
	}
	s.records = append(s.records, record)
	if change != nil {
		s.changes[index] = change
		s.laidOver = s.laidOver || change.body != nil
		if change.key != "" {
			s.own[change.key] = index
		}
	}
	return index
}

// layOver merges the object over into the object under.
func layOver(under, over object) object {
	for name, value := range over {
		below, isObject := value.(object)
		if old, ok := under[name].(object); ok && isObject {
			value = layOver(old, below)
		}
		under[name] = value
	}
	return under
}

// floatOf reads a JSON number.
func floatOf(n json.Number) float64 {
	f, _ := n.Float64()
	return f
}
