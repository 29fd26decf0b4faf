package audit

import (
	"encoding/json"
	"time"
)

// Event is something that a user did in a session: a command, or a window whose title
// was seen (GET /api/audit/sessions/KEY/events). What is said at [Session] of members,
// times and encoding holds for it, too.
type Event struct {
	// Action is the command or the title.
	Action string `json:"action,omitzero"`
	// ChannelID is the channel; the API calls it channels_id.
	ChannelID string `json:"-"`
	// Content is the command with its prompt, or the title.
	Content string `json:"content,omitzero"`
	// RecordID is the number of the event in the session.
	RecordID int64 `json:"record_id,omitzero"`
	// Time is when it happened.
	Time time.Time `json:"time,omitzero"`
	// Type is the kind of the event, "command".
	Type string `json:"type,omitzero"`
	// Raw is the whole event as it was decoded.
	Raw json.RawMessage `json:"-"`
}

// Alert is an event that a content policy matched (GET /api/audit/sessions/KEY/alerts).
// What is said at [Session] of members, times and encoding holds for it, too.
type Alert struct {
	// AlertType is the kind of the alert, "adp.event.command".
	AlertType string `json:"alert_type,omitzero"`
	// ChannelID is the channel.
	ChannelID string `json:"channel_id,omitzero"`
	// MatchedAction is what matched.
	MatchedAction string `json:"matched_action,omitzero"`
	// MatchedContent is the content that the match stands in.
	MatchedContent string `json:"matched_content,omitzero"`
	// MatchedRegexp is the regular expression that matched.
	MatchedRegexp string `json:"matched_regexp,omitzero"`
	// RecordID is the number of the event in the session.
	RecordID int64 `json:"record_id,omitzero"`
	// RuleName is the rule that matched.
	RuleName string `json:"rule_name,omitzero"`
	// Time is when it happened.
	Time time.Time `json:"time,omitzero"`
	// Raw is the whole alert as it was decoded.
	Raw json.RawMessage `json:"-"`
}

// Values of [Channel.Type] that were seen on appliances. There may be others.
const (
	ChannelSessionShell  = "session shell"
	ChannelSessionExec   = "session exec"
	ChannelSessionSCP    = "session exec scp"
	ChannelSessionSFTP   = "session subsystem sftp"
	ChannelLocalForward  = "local forward"
	ChannelVerdictAccept = "accept" // a [Channel.Verdict]
)

// Channel is a channel of a session (GET /api/audit/sessions/KEY/channels). It decodes
// from an object with key and body, and from a bare body. What is said at [Session] of
// members, times and encoding holds for it, too; what kinds of channels beside these
// have, such as the ends of a forward, is in [Channel.Unknown].
type Channel struct {
	// Key names the channel within the session, empty where it has none.
	Key string `json:"-"`
	// Type is the kind of the channel, such as [ChannelSessionShell].
	Type string `json:"type,omitzero"`
	// Verdict is how the channel was judged, such as [ChannelVerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// StartTime is when the channel was opened.
	StartTime time.Time `json:"start_time,omitzero"`
	// EndTime is when the channel was closed, zero while it is open.
	EndTime time.Time `json:"end_time,omitzero"`
	// Duration is given in seconds.
	Duration time.Duration `json:"-"`
	// Command is what was run, of [ChannelSessionExec].
	Command string `json:"command,omitzero"`
	// SCPPath is the path, of [ChannelSessionSCP].
	SCPPath string `json:"scp_path,omitzero"`
	// SubsystemName is the subsystem, of [ChannelSessionSFTP].
	SubsystemName string `json:"subsystem_name,omitzero"`
	// Raw is the whole channel as it was decoded.
	Raw json.RawMessage `json:"-"`
}

// IndexingCompleted is the only value of [Indexing.Status] in the samples.
const IndexingCompleted = "COMPLETED"

// Indexing is what the indexer did with a session (GET /api/audit/sessions/KEY/indexing).
// What is said at [Session] of members, times and encoding holds for it, too.
type Indexing struct {
	// Config is what the indexer was asked for.
	Config *IndexingConfig `json:"config,omitzero"`
	// Statistics is what it took.
	Statistics *IndexingStatistics `json:"statistics,omitzero"`
	// Status is how far it is, such as [IndexingCompleted].
	Status string `json:"status,omitzero"`
	// Version has the versions of the indexer's parts.
	Version *IndexingVersion `json:"version,omitzero"`
	// Raw is the whole record as it was decoded.
	Raw json.RawMessage `json:"-"`
}

// IndexingConfig is what the indexer was asked for.
type IndexingConfig struct {
	// Command is about commands.
	Command *IndexingSource `json:"command,omitzero"`
	// Title is about the titles of windows.
	Title *IndexingSource `json:"title,omitzero"`
	// Keyboard is about what was typed.
	Keyboard *IndexingBufferSource `json:"keyboard,omitzero"`
	// Mouse is about the pointer.
	Mouse *IndexingBufferSource `json:"mouse,omitzero"`
	// Screen is about texts on the screen.
	Screen *IndexingScreen `json:"screen,omitzero"`
	// NearRealtime tells whether the session was indexed while it went on.
	NearRealtime bool `json:"near_realtime,omitzero"`
	// OCRLanguages are the languages that were looked for on the screen.
	OCRLanguages []string `json:"ocr_languages,omitzero"`
}

// IndexingSource is something that may be indexed.
type IndexingSource struct {
	// Enabled tells whether it is.
	Enabled bool `json:"enabled"`
}

// IndexingBufferSource is something that is indexed in intervals.
type IndexingBufferSource struct {
	// Enabled tells whether it is.
	Enabled bool `json:"enabled"`
	// BufferInterval is the length of an interval; the guide does not give its unit.
	BufferInterval float64 `json:"buffer_interval,omitzero"`
}

// IndexingScreen is how the screen is indexed.
type IndexingScreen struct {
	// Enabled tells whether it is.
	Enabled bool `json:"enabled"`
	// OmnipageTradeOff is what the OCR prefers, "TO_ACCURATE".
	OmnipageTradeOff string `json:"omnipage_trade_off,omitzero"`
}

// IndexingStatistics is what indexing took.
type IndexingStatistics struct {
	// CPUTime is a number whose unit the guide does not give.
	CPUTime float64 `json:"cpu_time,omitzero"`
	// Duration is a number whose unit the guide does not give.
	Duration float64 `json:"duration,omitzero"`
	// StartTime is when the indexer began.
	StartTime time.Time `json:"start_time,omitzero"`
}

// IndexingVersion has the versions of the indexer's parts.
type IndexingVersion struct {
	// ADP is the version of the part that the API calls so.
	ADP string `json:"adp,omitzero"`
	// Worker is the version of the worker.
	Worker string `json:"worker,omitzero"`
}

// Download is one download of a recording
// (GET /api/audit/sessions/KEY/trail_downloads). What is said at [Session] of members,
// times and encoding holds for it, too.
type Download struct {
	// FromAPI tells whether it was downloaded by the REST API.
	FromAPI bool `json:"from_api,omitzero"`
	// IPAddress is where it was downloaded to.
	IPAddress string `json:"ip_address,omitzero"`
	// Time is when.
	Time time.Time `json:"time,omitzero"`
	// Username is by whom.
	Username string `json:"username,omitzero"`
	// Raw is the whole record as it was decoded.
	Raw json.RawMessage `json:"-"`
}
