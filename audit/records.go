package audit

import (
	"encoding/json"
	"time"
)

// Event is a recorded event of a session: a command, or the title of a window (GET
// /api/audit/sessions/KEY/events). See [Session] for missing members, times and encoding.
type Event struct {
	// Action is the command or the title of the window.
	Action string `json:"action,omitzero"`
	// ChannelID is the id of the channel. The API names the member channels_id.
	ChannelID string `json:"-"`
	// Content is the command with its prompt, or the title of the window.
	Content string `json:"content,omitzero"`
	// RecordID is the number of the event in the session.
	RecordID int64 `json:"record_id,omitzero"`
	// Time is the time of the event.
	Time time.Time `json:"time,omitzero"`
	// Type is the kind of the event, such as "command".
	Type string `json:"type,omitzero"`
	// Raw is the whole event, unchanged.
	Raw json.RawMessage `json:"-"`
}

// Alert is an event that a content policy matched (GET /api/audit/sessions/KEY/alerts).
// See [Session] for missing members, times and encoding.
type Alert struct {
	// AlertType is the kind of the alert, such as "adp.event.command".
	AlertType string `json:"alert_type,omitzero"`
	// ChannelID is the id of the channel.
	ChannelID string `json:"channel_id,omitzero"`
	// MatchedAction is the action that matched.
	MatchedAction string `json:"matched_action,omitzero"`
	// MatchedContent is the content around the match.
	MatchedContent string `json:"matched_content,omitzero"`
	// MatchedRegexp is the regular expression that matched.
	MatchedRegexp string `json:"matched_regexp,omitzero"`
	// RecordID is the number of the event in the session.
	RecordID int64 `json:"record_id,omitzero"`
	// RuleName is the name of the rule that matched.
	RuleName string `json:"rule_name,omitzero"`
	// Time is the time of the event.
	Time time.Time `json:"time,omitzero"`
	// Raw is the whole alert, unchanged.
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
// from an object with key and body, and from an object that is the body itself. See
// [Session] for missing members, times and encoding. [Channel.Unknown] returns the
// additional members of some kinds of channels, such as the ends of a forwarding.
type Channel struct {
	// Key is the key of the channel within the session, or "" if it has none.
	Key string `json:"-"`
	// Type is the kind of the channel, such as [ChannelSessionShell].
	Type string `json:"type,omitzero"`
	// Verdict is the appliance's decision on the channel, such as [ChannelVerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// StartTime is the time when the channel was opened.
	StartTime time.Time `json:"start_time,omitzero"`
	// EndTime is the time when the channel was closed. It is zero while the channel is
	// open.
	EndTime time.Time `json:"end_time,omitzero"`
	// Duration is the duration of the channel. In the JSON of the API, it is a number of
	// seconds.
	Duration time.Duration `json:"-"`
	// Command is the executed command of a [ChannelSessionExec].
	Command string `json:"command,omitzero"`
	// SCPPath is the path of a [ChannelSessionSCP].
	SCPPath string `json:"scp_path,omitzero"`
	// SubsystemName is the subsystem of a [ChannelSessionSFTP].
	SubsystemName string `json:"subsystem_name,omitzero"`
	// Raw is the whole channel, unchanged.
	Raw json.RawMessage `json:"-"`
}

// IndexingCompleted is a value of [Indexing.Status], the only one in the known samples.
const IndexingCompleted = "COMPLETED"

// Indexing is an indexing job of a session (GET /api/audit/sessions/KEY/indexing). See
// [Session] for missing members, times and encoding.
type Indexing struct {
	// Config is the configuration of the job.
	Config *IndexingConfig `json:"config,omitzero"`
	// Statistics are the statistics of the job.
	Statistics *IndexingStatistics `json:"statistics,omitzero"`
	// Status is the status of the job, such as [IndexingCompleted].
	Status string `json:"status,omitzero"`
	// Version has the versions of the indexer.
	Version *IndexingVersion `json:"version,omitzero"`
	// Raw is the whole record, unchanged.
	Raw json.RawMessage `json:"-"`
}

// IndexingConfig is the configuration of an indexing job.
type IndexingConfig struct {
	// Command is the setting for commands.
	Command *IndexingSource `json:"command,omitzero"`
	// Title is the setting for window titles.
	Title *IndexingSource `json:"title,omitzero"`
	// Keyboard is the setting for keyboard input.
	Keyboard *IndexingBufferSource `json:"keyboard,omitzero"`
	// Mouse is the setting for mouse input.
	Mouse *IndexingBufferSource `json:"mouse,omitzero"`
	// Screen is the setting for texts on the screen.
	Screen *IndexingScreen `json:"screen,omitzero"`
	// NearRealtime is true if the session was indexed while it was running.
	NearRealtime bool `json:"near_realtime,omitzero"`
	// OCRLanguages are the languages for text recognition on the screen.
	OCRLanguages []string `json:"ocr_languages,omitzero"`
}

// IndexingSource is the setting of an indexing job for one kind of content.
type IndexingSource struct {
	// Enabled is true if this kind of content is indexed.
	Enabled bool `json:"enabled"`
}

// IndexingBufferSource is the setting of an indexing job for keyboard or mouse input,
// which is indexed in intervals.
type IndexingBufferSource struct {
	// Enabled is true if this input is indexed.
	Enabled bool `json:"enabled"`
	// BufferInterval is the length of an interval; the guide does not give its unit.
	BufferInterval float64 `json:"buffer_interval,omitzero"`
}

// IndexingScreen is the setting of an indexing job for texts on the screen.
type IndexingScreen struct {
	// Enabled is true if the text on the screen is indexed.
	Enabled bool `json:"enabled"`
	// OmnipageTradeOff is a setting of the text recognition. The only value in the known
	// samples is "TO_ACCURATE".
	OmnipageTradeOff string `json:"omnipage_trade_off,omitzero"`
}

// IndexingStatistics are the statistics of an indexing job.
type IndexingStatistics struct {
	// CPUTime is the CPU time of the job. The guide does not give its unit.
	CPUTime float64 `json:"cpu_time,omitzero"`
	// Duration is the duration of the job. The guide does not give its unit.
	Duration float64 `json:"duration,omitzero"`
	// StartTime is the time when the job started.
	StartTime time.Time `json:"start_time,omitzero"`
}

// IndexingVersion has the versions of the indexer.
type IndexingVersion struct {
	// ADP is the member adp: the version of an indexer component of that name.
	ADP string `json:"adp,omitzero"`
	// Worker is the version of the worker process.
	Worker string `json:"worker,omitzero"`
}

// Download is one download of a recording (GET /api/audit/sessions/KEY/trail_downloads).
// See [Session] for missing members, times and encoding.
type Download struct {
	// FromAPI is true if the recording was downloaded through the REST API.
	FromAPI bool `json:"from_api,omitzero"`
	// IPAddress is the address of the client that downloaded the recording.
	IPAddress string `json:"ip_address,omitzero"`
	// Time is the time of the download.
	Time time.Time `json:"time,omitzero"`
	// Username is the name of the user who downloaded the recording.
	Username string `json:"username,omitzero"`
	// Raw is the whole record, unchanged.
	Raw json.RawMessage `json:"-"`
}
