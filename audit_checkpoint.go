package sps

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

const (
	// maxCheckpoint bounds a checkpoint, in bytes.
	maxCheckpoint = 64 << 10
	// checkpointVersion is the version that is written, and the latest that is read.
	checkpointVersion = 1
	// checkpointRest is what a checkpoint has beside what was handed on and what goes on.
	checkpointRest = 2 << 10
	// markSize is what a session takes that was handed on, before it is encoded.
	markSize = 8
)

// checkpoint is how far an AuditFollow has come.
type checkpoint struct {
	Version   int      `json:"version"`
	Appliance string   `json:"appliance"`
	Query     string   `json:"query"`             // a hash of what decides which sessions are meant
	By        string   `json:"by"`                // the time that they are asked for by, "" for not yet known
	Since     string   `json:"since,omitzero"`    // WithSince
	From      string   `json:"from,omitzero"`     // where the window begins
	Top       string   `json:"top,omitzero"`      // the latest time that was seen
	Handed    string   `json:"handed,omitzero"`   // marks of what was handed on in the window
	Running   []string `json:"running,omitempty"` // keys of what goes on, each followed by its start
}

// markOf stands for the key of a session in a checkpoint.
func markOf(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:])
}

// queryMark stands for what decides which sessions a query means.
func queryMark(q audit.Query) (string, error) {
	values, err := searchValues(audit.Query{Filter: q.Filter, Content: q.Content, Start: q.Start, KeysOnly: true})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(values.Encode()))
	return hex.EncodeToString(sum[:16]), nil
}

// room is how many sessions that were handed on fit into a checkpoint.
func (f *AuditFollow) room() int {
	rest := maxCheckpoint - checkpointRest - len(f.sessions.client.Host())
	for key := range f.running {
		rest -= 2*len(key) + 40 // escapes, quotes and the time
	}
	return max(rest/4*3/markSize, 0)
}

// Checkpoint returns how far the loop has come, for [WithCheckpoint]: all sessions that were
// given, the present one included, are done. It is a JSON object of at most 64 KiB with a
// version, the appliance, the query, and what was given in the window.
//
// About 6,000 sessions of the window fit into it. When more end at once, the window begins
// later, and the logger gets a warning. Where all of them ended at the same time, and where
// thousands go on on an appliance that is followed by their start, it is
// [ErrCheckpointFull]; a later one may fit again.
func (f *AuditFollow) Checkpoint() ([]byte, error) {
	f.prune()
	query, err := queryMark(f.query)
	if err != nil {
		return nil, err
	}
	c := checkpoint{
		Version: checkpointVersion, Appliance: f.sessions.client.Host(), Query: query, By: string(f.by),
		Since: checkpointTime(f.since), From: checkpointTime(f.floor), Top: checkpointTime(f.top),
	}
	marks := slices.Sorted(maps.Keys(f.handed))
	data := make([]byte, 0, markSize*len(marks))
	for _, mark := range marks {
		data = binary.BigEndian.AppendUint64(data, mark)
	}
	c.Handed = base64.StdEncoding.EncodeToString(data)
	for _, key := range slices.Sorted(maps.Keys(f.running)) {
		c.Running = append(c.Running, key, checkpointTime(f.running[key]))
	}
	encoded, err := codec.Marshal(c)
	if err != nil {
		return nil, f.sessions.failed(err)
	}
	if len(encoded) > maxCheckpoint {
		return nil, f.sessions.failed(fmt.Errorf("%w: %d sessions were given at the same time, and %d go on", ErrCheckpointFull, len(f.handed), len(f.running)))
	}
	return encoded, nil
}

func checkpointTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// load goes on from a checkpoint.
func (f *AuditFollow) load(data []byte) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrCheckpoint, fmt.Sprintf(format, args...))
	}
	var first struct {
		Version int `json:"version"`
	}
	var c checkpoint
	switch err := wire.Unmarshal(data, &first); {
	case err != nil || first.Version < 1 || len(data) > maxCheckpoint && first.Version == checkpointVersion:
		return refuse("it is none, or only a part of one")
	case first.Version > checkpointVersion:
		return refuse("it has the version %d, and this program reads %d: it was written by a newer one", first.Version, checkpointVersion)
	case wire.Unmarshal(data, &c) != nil:
		return refuse("its members do not fit together: it was changed")
	}
	query, err := queryMark(f.query)
	if err != nil {
		return err
	}
	switch host := f.sessions.client.Host(); {
	case c.Appliance != host:
		return refuse("it is of the appliance %s", quoted(c.Appliance))
	case c.Query != query:
		return refuse("it is of another query: begin a new one, or use the old filter, content and start")
	}
	var broken bool
	read := func(text string) (t time.Time) {
		if text != "" {
			t, err = time.Parse(time.RFC3339Nano, text)
			broken = broken || err != nil
		}
		return t
	}
	f.by, f.since, f.floor, f.top = followBy(c.By), read(c.Since), read(c.From), read(c.Top)
	marks, err := base64.StdEncoding.DecodeString(c.Handed)
	broken = broken || err != nil || len(marks)%markSize != 0 || len(c.Running)%2 != 0
	if f.by != byEnd && f.by != byStart && f.by != byUnknown || broken {
		return refuse("its members do not fit together: it was changed")
	}
	if now := time.Now(); f.floor.After(now) {
		return refuse("it is from the future, %s: the clock of this machine or of the one that wrote it is wrong", c.From)
	}
	for ; len(marks) > 0; marks = marks[markSize:] {
		f.handed[binary.BigEndian.Uint64(marks)] = handed{}
	}
	for pair := range slices.Chunk(c.Running, 2) {
		if f.running[pair[0]] = read(pair[1]); broken || apipath.CheckSegment(pair[0]) != nil {
			return refuse("its members do not fit together: it was changed")
		}
	}
	return nil
}
