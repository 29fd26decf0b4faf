package audit

import (
	"encoding/json"
	"time"
)

// Values of [Session] that were seen on appliances. There may be others.
const (
	ProtocolSSH = "SSH"
	ProtocolRDP = "RDP"
	ProtocolICA = "ICA"
	ProtocolVNC = "VNC"

	VerdictAccept     = "ACCEPT"
	VerdictAuthFail   = "AUTH_FAIL"
	VerdictFail       = "FAIL"
	VerdictTerminated = "TERMINATED"

	OriginRecording = "RECORDING" // recorded by the appliance itself
	IndexIndexed    = "INDEXED"   // a [Recording.IndexStatus]
)

// Session is one session (GET /api/audit/sessions and /api/audit/sessions/KEY). It
// decodes from what the appliance shows of one: an object with key, meta and body.
//
// A member is the zero value where the appliance does not have it, was not asked for
// it, has null, or has it in a form that does not fit; a group of members is nil then.
// [Session.Unknown] has what does not fit and what this package does not know, and Raw
// has everything. Times are in UTC. One without a zone is taken for UTC; it may also be
// seconds or milliseconds since 1970. A number may be a text.
//
// Encoding gives Raw back, with the fields laid over it that were changed since: what
// is hidden by changing a field is hidden, and no other member is lost.
type Session struct {
	// Key names the session. It is opaque, and may hold characters that must be
	// escaped in a path.
	Key string `json:"-"`
	// Active tells whether the session is still going on.
	Active bool `json:"active,omitzero"`
	// Hidden is given by 6.x; the guide does not explain it.
	Hidden bool `json:"hidden,omitzero"`
	// Phantom is given by 6.x; the guide does not explain it.
	Phantom bool `json:"phantom,omitzero"`
	// Origin is where the session is known from: [OriginRecording], or a log.
	Origin string `json:"origin,omitzero"`
	// Protocol is the protocol in capital letters, such as [ProtocolSSH].
	Protocol string `json:"protocol,omitzero"`
	// Verdict is how the session was judged, such as [VerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// NodeID is the node of the cluster that has the session.
	NodeID string `json:"node_id,omitzero"`
	// CreationTime is when the record of the session was made.
	CreationTime time.Time `json:"creation_time,omitzero"`
	// StartTime is when the session began.
	StartTime time.Time `json:"start_time,omitzero"`
	// EndTime is when the session ended, zero while it goes on.
	EndTime time.Time `json:"end_time,omitzero"`
	// Duration is given in seconds.
	Duration time.Duration `json:"-"`
	// TrailDownloadLink is where the recording is (from 7.3 on), empty without one.
	TrailDownloadLink string `json:"trail_download_link,omitzero"`
	// Client is where the session came from.
	Client *Address `json:"client,omitzero"`
	// Server is where it went to.
	Server *Server `json:"server,omitzero"`
	// User is who it belongs to.
	User *User `json:"user,omitzero"`
	// Recording is what is known of the recording.
	Recording *Recording `json:"recording,omitzero"`
	// Analytics is what analytics made of the session.
	Analytics *Analytics `json:"analytics,omitzero"`
	// Log is what is known of a session that was not recorded but logged.
	Log *Log `json:"log,omitzero"`
	// Vault has the access requests of Safeguard for Privileged Passwords that the
	// session belongs to. The appliance shows one as an object or a list, and a changed
	// one is encoded in the form that was read.
	Vault []Vault `json:"-"`
	// Alerts is a link to the alerts of the session (6.x).
	Alerts *Link `json:"alerts,omitzero"`
	// Channels is a link to the channels of the session (6.x).
	Channels *Link `json:"channels,omitzero"`
	// Events is a link to the events of the session (6.x).
	Events *Link `json:"events,omitzero"`
	// Indexing is a link to the results of indexing (6.x).
	Indexing *Link `json:"indexing,omitzero"`
	// Raw is the whole session as it was decoded: key, meta and body, without the line
	// breaks, so that it is one line of JSON Lines. It is nil in a session that was not
	// decoded.
	Raw json.RawMessage `json:"-"`
}

// Address is one end of a connection.
type Address struct {
	// IP is the address.
	IP string `json:"ip,omitzero"`
	// Name is the host name, or the address again.
	Name string `json:"name,omitzero"`
	// Port is the port.
	Port int `json:"port,omitzero"`
}

// Server is the server of a session.
type Server struct {
	// ID identifies the server.
	ID string `json:"id,omitzero"`
	// IP is the address.
	IP string `json:"ip,omitzero"`
	// Name is the host name, or the address again.
	Name string `json:"name,omitzero"`
	// Address is another form of the address; the sources have its name only.
	Address string `json:"address,omitzero"`
	// Port is the port.
	Port int `json:"port,omitzero"`
}

// User is the user of a session.
type User struct {
	// ID identifies the user.
	ID string `json:"id,omitzero"`
	// Name is the name of the user.
	Name string `json:"name,omitzero"`
	// NameDomain is the domain of the user.
	NameDomain string `json:"name_domain,omitzero"`
	// GatewayUsername is the name on the appliance.
	GatewayUsername string `json:"gateway_username,omitzero"`
	// GatewayUsernameDomain is the domain of the name on the appliance.
	GatewayUsernameDomain string `json:"gateway_username_domain,omitzero"`
	// ServerUsername are the names on the server.
	ServerUsername []string `json:"server_username,omitzero"`
	// ServerUsernameDomain are the domains of the names on the server.
	ServerUsernameDomain []string `json:"server_username_domain,omitzero"`
}

// Recording is what is known of the recording of a session.
type Recording struct {
	// SessionID is the id in the logs of the appliance, "svc/…/name".
	SessionID string `json:"session_id,omitzero"`
	// ConnectionPolicy is the name of the connection policy.
	ConnectionPolicy string `json:"connection_policy,omitzero"`
	// ConnectionPolicyID is the key of the connection policy.
	ConnectionPolicyID string `json:"connection_policy_id,omitzero"`
	// ChannelPolicy is the name of the channel policy.
	ChannelPolicy string `json:"channel_policy,omitzero"`
	// AuthMethod is how the user logged in, "password".
	AuthMethod string `json:"auth_method,omitzero"`
	// Verdict is how the connection was judged, such as [VerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// DenyReason is why the connection was refused.
	DenyReason string `json:"deny_reason,omitzero"`
	// NetworkID identifies the network.
	NetworkID string `json:"network_id,omitzero"`
	// IndexStatus tells whether the recording is indexed, such as [IndexIndexed].
	IndexStatus string `json:"index_status,omitzero"`
	// ContentReferenceID identifies the indexed content.
	ContentReferenceID int64 `json:"content_reference_id,omitzero"`
	// CommandExtracted tells whether the index has commands.
	CommandExtracted bool `json:"command_extracted,omitzero"`
	// WindowTitleExtracted tells whether the index has titles of windows.
	WindowTitleExtracted bool `json:"window_title_extracted,omitzero"`
	// Archived tells whether the recording was moved to the archive.
	Archived bool `json:"archived,omitzero"`
	// Archive is where the recording is in the archive; nil where it was not moved there.
	Archive *Archive `json:"archive,omitzero"`
	// AuditTrail is the recording (6.x).
	AuditTrail *AuditTrail `json:"audit_trail,omitzero"`
	// ServerLocal is the appliance's end of the connection to the server.
	ServerLocal *Address `json:"server_local,omitzero"`
	// Target is where the client wanted to go.
	Target *Address `json:"target,omitzero"`
}

// Archive is where the recording of a session is in the archive.
type Archive struct {
	// Date is when the recording was moved there.
	Date time.Time `json:"date,omitzero"`
	// Path is its path on the server.
	Path string `json:"path,omitzero"`
	// Policy is the archive policy.
	Policy string `json:"policy,omitzero"`
	// Server is the server of the archive.
	Server string `json:"server,omitzero"`
}

// AuditTrail is the recording of a session, as 6.x shows it.
type AuditTrail struct {
	// Archive is null in the only sample that is known.
	Archive json.RawMessage `json:"archive,omitzero"`
	// Download is where to download the recording.
	Download *Link `json:"download,omitzero"`
}

// Link is a link to another endpoint.
type Link struct {
	// Href is its path, "/api/…".
	Href string `json:"href,omitzero"`
}

// Analytics is what analytics made of a session.
type Analytics struct {
	// InterestingEvents are commands and window titles that stood out.
	InterestingEvents []string `json:"interesting_events,omitzero"`
	// Score tells how unusual the session is.
	Score *Score `json:"score,omitzero"`
	// Scripted tells whether a program seems to have typed.
	Scripted bool `json:"scripted,omitzero"`
	// ScriptedResults is {} in the only sample that is known.
	ScriptedResults json.RawMessage `json:"scripted_results,omitzero"`
	// SimilarSessions are empty in all samples that are known.
	SimilarSessions []json.RawMessage `json:"similar_sessions,omitzero"`
	// Tags are empty in all samples that are known.
	Tags []json.RawMessage `json:"tags,omitzero"`
	// BucketedDuration is the class of the duration.
	BucketedDuration string `json:"bucketed_duration,omitzero"`
	// BucketedStartingHour is the class of the hour in which the session began.
	BucketedStartingHour string `json:"bucketed_starting_hour,omitzero"`
}

// Score tells how unusual a session is.
type Score struct {
	// Aggregated is the score of all algorithms together, from 0 to 100.
	Aggregated float64 `json:"aggregated,omitzero"`
	// Time is when it was calculated.
	Time time.Time `json:"time,omitzero"`
	// Details are the scores of the algorithms.
	Details *ScoreDetails `json:"details,omitzero"`
}

// ScoreDetails are the scores of single algorithms, named after the API's members; nil
// for one that has none.
type ScoreDetails struct {
	// Command is about the commands that were typed.
	Command *AlgorithmScore `json:"command,omitzero"`
	// FIS is named so by the API, which does not explain it.
	FIS *AlgorithmScore `json:"fis,omitzero"`
	// HostLogin is about where the user logged in.
	HostLogin *AlgorithmScore `json:"hostlogin,omitzero"`
	// LoginTime is about when the user logged in.
	LoginTime *AlgorithmScore `json:"logintime,omitzero"`
	// Keystroke is about how the user typed.
	Keystroke *AlgorithmScore `json:"keystroke,omitzero"`
	// Mouse is about how the user moved the pointer.
	Mouse *AlgorithmScore `json:"mouse,omitzero"`
	// WindowTitle is about the titles of windows.
	WindowTitle *AlgorithmScore `json:"windowtitle,omitzero"`
}

// AlgorithmScore is the score of one algorithm.
type AlgorithmScore struct {
	// Score is its score, from 0 to 100.
	Score float64 `json:"score"`
}

// Log is what is known of a session whose origin is not a recording.
type Log struct {
	// AdapterName is the adapter that read the log.
	AdapterName string `json:"adapter_name,omitzero"`
	// AuthMethod is how the user logged in.
	AuthMethod string `json:"auth_method,omitzero"`
	// SyslogTime is the time in the log.
	SyslogTime time.Time `json:"syslog_time,omitzero"`
}

// Vault is an access request of Safeguard for Privileged Passwords (SPP).
type Vault struct {
	// AccessRequestType is what was asked for, "REMOTEDESKTOP".
	AccessRequestType string `json:"access_request_type,omitzero"`
	// AccountID is the account.
	AccountID int64 `json:"account_id,omitzero"`
	// AccountName is the name of the account.
	AccountName string `json:"account_name,omitzero"`
	// ApplianceID is the SPP appliance.
	ApplianceID string `json:"appliance_id,omitzero"`
	// ApplianceName is the name of the SPP appliance.
	ApplianceName string `json:"appliance_name,omitzero"`
	// AssetPartitionID is the partition of the asset, which may be negative.
	AssetPartitionID int64 `json:"asset_partition_id,omitzero"`
	// AssetPartitionName is the name of the partition.
	AssetPartitionName string `json:"asset_partition_name,omitzero"`
	// AutoApproved is when the request was approved without a person.
	AutoApproved time.Time `json:"auto_approved,omitzero"`
	// Available is when access was given.
	Available time.Time `json:"available,omitzero"`
	// BrokerID is the broker.
	BrokerID int64 `json:"broker_id,omitzero"`
	// Created is when the request was made, and by whom.
	Created *VaultEvent `json:"created,omitzero"`
	// Expired is when the request ran out.
	Expired time.Time `json:"expired,omitzero"`
	// IsEmergency tells whether it was an emergency request.
	IsEmergency bool `json:"is_emergency,omitzero"`
	// OfflineWorkflow tells whether SPP was in offline workflow mode.
	OfflineWorkflow bool `json:"offline_workflow,omitzero"`
	// SystemID is the asset.
	SystemID int64 `json:"system_id,omitzero"`
	// SystemName is the name of the asset.
	SystemName string `json:"system_name,omitzero"`
}

// VaultEvent is a step of an access request.
type VaultEvent struct {
	// Timestamp is when it happened.
	Timestamp time.Time `json:"timestamp,omitzero"`
	// User is who did it.
	User *VaultUser `json:"user,omitzero"`
}

// VaultUser is a user of SPP.
type VaultUser struct {
	// ClientIPAddress is where the user was.
	ClientIPAddress string `json:"client_ip_address,omitzero"`
	// UserDisplayName is the name for people.
	UserDisplayName string `json:"user_display_name,omitzero"`
	// UserName is the name to log in with.
	UserName string `json:"user_name,omitzero"`
	// UserID identifies the user.
	UserID int64 `json:"user_id,omitzero"`
}
