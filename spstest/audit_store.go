package spstest

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// auditStore holds the recorded sessions. Each costs the memory of its record; what
// else it has follows from its number, and is made when it is asked for.
type auditStore struct {
	forms     auditForms
	records   []auditRecord
	inOrder   bool                    // the records are in the order of their start
	laidOver  bool                    // some have bodies of their own
	changes   map[uint32]*auditChange // what does not follow from the number
	own       map[string]uint32       // the sessions whose keys do not follow either
	downloads map[uint32][]trailDownload
	snapshots []*auditSnapshot
	results   []*auditResult // of searches in what is there now
	made      int            // by WithAuditSessions
	trailSize int64          // of each recording; 0: each has its own
}

// auditForms are the variants and the release that the sessions are shown by.
type auditForms struct {
	old     bool          // the body of 6.x
	nullEnd bool          // end_time and duration are there while a session goes on
	host    func() string // what trail_download_link begins with; nil: with the path
	fields  []auditField
}

// auditRecord is a session. Times are in milliseconds since 1970.
type auditRecord struct {
	start, end int64 // end 0: the session goes on
	flags      auditFlags
}

type auditFlags uint8

const (
	flagArchived auditFlags = 1 << iota
	flagAccepted            // the verdict is ACCEPT: the session went on when it was made
)

func (r auditRecord) active() bool { return r.end == 0 }

// auditChange is what makes a session another one. It is not changed once it is
// there: snapshots keep it.
type auditChange struct {
	key                     string
	protocol, verdict, user string
	trail                   int64 // the size of the recording; 0: as the number says, -1: none
	archived                int64 // when it was moved to the archive
	body                    object
	exact                   bool // the body is all there is
}

// auditView is one session as a search sees it.
type auditView struct {
	store  *auditStore
	index  uint32
	record auditRecord
	change *auditChange // nil: none
	hash   uint64
}

const auditSeed = 0x5351_5353_494d_2024

// Odd numbers of 64 random bits.
const (
	golden = 0x9e3779b97f4a7c15
	mixA   = 0xbf58476d1ce4e5b9
	mixB   = 0x94d049bb133111eb
)

// mix turns a number into another one that looks random; no two give the same.
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

// inverse of an odd number modulo 2^64, by Newton's iteration.
func inverse(a uint64) uint64 {
	x := a
	for range 5 {
		x *= 2 - a*x
	}
	return x
}

func hashOf(index uint32) uint64 { return mix(auditSeed ^ uint64(index)*golden) }

// pick takes one of n; what for makes it independent of the others.
func (v *auditView) pick(what trait, n int) int {
	return int(mix(v.hash+uint64(what)*golden) >> 11 % uint64(n))
}

// A key contains the number of its session, so that the session is found without a table.
const (
	keyDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyHalf   = 11 // digits of 64 bits
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

// id is what the keys of a session have in common, 22 letters and digits.
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

// find gives the number of the session with a key.
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

// view is a session as it is now.
func (s *auditStore) view(index uint32) auditView {
	return auditView{s, index, s.records[index], s.changes[index], hashOf(index)}
}

// fill makes the first sessions, the last of them just begun.
func (s *auditStore) fill(n int, now time.Time) {
	const (
		longest = 180 * 24 * time.Hour // of them together
		widest  = 5 * time.Minute      // between two of them
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
		if i > 0 && v.pick(traitTie, 12) == 0 { // some begin at the same time
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

// length is how long a session lasts, in milliseconds.
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

// change prepares the change of a session: those who have a snapshot keep what was.
func (s *auditStore) change(index uint32) {
	s.results = nil
	for _, snapshot := range s.snapshots {
		snapshot.keep(s, index)
	}
}

// add adds a session.
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

// layOver lays one object over another.
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
