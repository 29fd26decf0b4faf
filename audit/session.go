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

// Session is a recorded session (GET /api/audit/sessions and /api/audit/sessions/KEY). It
// decodes from an object with key, meta and body.
//
// A field is the zero value if the response lacks the member, or if the member is null or
// has an unexpected type. A pointer to a group of members, such as Client, is then nil.
// [Session.Unknown] returns members of an unexpected type and members that this package
// does not know. Raw is the whole session. Times are in UTC. A time without a zone is
// read as UTC; a time may also be seconds or milliseconds since 1970. A number may be a
// string.
//
// Encoding a session returns Raw, with the fields that you changed replaced. To hide a
// value, change its field before you encode the session; all other members are kept.
type Session struct {
	// Key is the key of the session. It is opaque and may contain characters that must be
	// escaped in a path.
	Key string `json:"-"`
	// Active is true while the session is running.
	Active bool `json:"active,omitzero"`
	// Hidden is the member hidden of appliances with version 6.x. The guide does not
	// explain it.
	Hidden bool `json:"hidden,omitzero"`
	// Phantom is the member phantom of appliances with version 6.x. The guide does not
	// explain it.
	Phantom bool `json:"phantom,omitzero"`
	// Origin is the source of the session's data, such as [OriginRecording], or the name
	// of a log source.
	Origin string `json:"origin,omitzero"`
	// Protocol is the protocol in capital letters, such as [ProtocolSSH].
	Protocol string `json:"protocol,omitzero"`
	// Verdict is the appliance's decision on the session, such as [VerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// NodeID is the id of the cluster node that has the session.
	NodeID string `json:"node_id,omitzero"`
	// CreationTime is the time when the record of the session was created.
	CreationTime time.Time `json:"creation_time,omitzero"`
	// StartTime is the time when the session started.
	StartTime time.Time `json:"start_time,omitzero"`
	// EndTime is the time when the session ended. It is zero while the session is
	// running.
	EndTime time.Time `json:"end_time,omitzero"`
	// Duration is the duration of the session. The API encodes it as a number of seconds.
	Duration time.Duration `json:"-"`
	// TrailDownloadLink is the path of the recording (from 7.3 on), or "" without a
	// recording.
	TrailDownloadLink string `json:"trail_download_link,omitzero"`
	// Client is the address of the client.
	Client *Address `json:"client,omitzero"`
	// Server is the server of the session.
	Server *Server `json:"server,omitzero"`
	// User is the user of the session.
	User *User `json:"user,omitzero"`
	// Recording has the data of the recording.
	Recording *Recording `json:"recording,omitzero"`
	// Analytics has the results of the analytics.
	Analytics *Analytics `json:"analytics,omitzero"`
	// Log has the data of a session that was logged instead of recorded.
	Log *Log `json:"log,omitzero"`
	// Vault has the access requests of Safeguard for Privileged Passwords for the
	// session. The appliance returns a single request as an object or as a list of one
	// object. Encoding keeps the form that was decoded.
	Vault []Vault `json:"-"`
	// Alerts is the link to the alerts of the session (6.x).
	Alerts *Link `json:"alerts,omitzero"`
	// Channels is the link to the channels of the session (6.x).
	Channels *Link `json:"channels,omitzero"`
	// Events is the link to the events of the session (6.x).
	Events *Link `json:"events,omitzero"`
	// Indexing is the link to the results of indexing (6.x).
	Indexing *Link `json:"indexing,omitzero"`
	// Raw is the whole session with key, meta and body, as the appliance sent it. Line
	// breaks are removed, so that Raw is one line. It is nil if the session was not
	// decoded.
	Raw json.RawMessage `json:"-"`
}

// Address is the address of one end of a connection.
type Address struct {
	// IP is the IP address.
	IP string `json:"ip,omitzero"`
	// Name is the host name, or the IP address.
	Name string `json:"name,omitzero"`
	// Port is the port.
	Port int `json:"port,omitzero"`
}

// Server is the server of a session.
type Server struct {
	// ID is the id of the server.
	ID string `json:"id,omitzero"`
	// IP is the IP address.
	IP string `json:"ip,omitzero"`
	// Name is the host name, or the IP address.
	Name string `json:"name,omitzero"`
	// Address is the member address. The guide does not explain how it differs from IP
	// and Name.
	Address string `json:"address,omitzero"`
	// Port is the port.
	Port int `json:"port,omitzero"`
}

// User is the user of a session.
type User struct {
	// ID is the id of the user.
	ID string `json:"id,omitzero"`
	// Name is the name of the user.
	Name string `json:"name,omitzero"`
	// NameDomain is the domain of the user.
	NameDomain string `json:"name_domain,omitzero"`
	// GatewayUsername is the user name on the appliance.
	GatewayUsername string `json:"gateway_username,omitzero"`
	// GatewayUsernameDomain is the domain of the user name on the appliance.
	GatewayUsernameDomain string `json:"gateway_username_domain,omitzero"`
	// ServerUsername are the user names on the server.
	ServerUsername []string `json:"server_username,omitzero"`
	// ServerUsernameDomain are the domains of the user names on the server.
	ServerUsernameDomain []string `json:"server_username_domain,omitzero"`
}

// Recording has the data of the recording of a session.
type Recording struct {
	// SessionID is the id in the logs of the appliance, such as "svc/…/name".
	SessionID string `json:"session_id,omitzero"`
	// ConnectionPolicy is the name of the connection policy.
	ConnectionPolicy string `json:"connection_policy,omitzero"`
	// ConnectionPolicyID is the key of the connection policy.
	ConnectionPolicyID string `json:"connection_policy_id,omitzero"`
	// ChannelPolicy is the name of the channel policy.
	ChannelPolicy string `json:"channel_policy,omitzero"`
	// AuthMethod is the authentication method of the user, such as "password".
	AuthMethod string `json:"auth_method,omitzero"`
	// Verdict is the appliance's decision on the connection, such as [VerdictAccept].
	Verdict string `json:"verdict,omitzero"`
	// DenyReason is the reason why the connection was denied.
	DenyReason string `json:"deny_reason,omitzero"`
	// NetworkID is the id of the network.
	NetworkID string `json:"network_id,omitzero"`
	// IndexStatus is the status of the indexing, such as [IndexIndexed].
	IndexStatus string `json:"index_status,omitzero"`
	// ContentReferenceID is the id of the indexed content.
	ContentReferenceID int64 `json:"content_reference_id,omitzero"`
	// CommandExtracted is true if the index has commands.
	CommandExtracted bool `json:"command_extracted,omitzero"`
	// WindowTitleExtracted is true if the index has window titles.
	WindowTitleExtracted bool `json:"window_title_extracted,omitzero"`
	// Archived is true if the recording was moved to the archive.
	Archived bool `json:"archived,omitzero"`
	// Archive is the place of the recording in the archive, or nil if it was not moved
	// there.
	Archive *Archive `json:"archive,omitzero"`
	// AuditTrail is the recording itself (6.x).
	AuditTrail *AuditTrail `json:"audit_trail,omitzero"`
	// ServerLocal is the appliance's end of the connection to the server.
	ServerLocal *Address `json:"server_local,omitzero"`
	// Target is the address that the client requested.
	Target *Address `json:"target,omitzero"`
}

// Archive is the place of a recording in the archive.
type Archive struct {
	// Date is the time when the recording was archived.
	Date time.Time `json:"date,omitzero"`
	// Path is the path on the archive server.
	Path string `json:"path,omitzero"`
	// Policy is the name of the archive policy.
	Policy string `json:"policy,omitzero"`
	// Server is the archive server.
	Server string `json:"server,omitzero"`
}

// AuditTrail is the recording of a session in the form of 6.x.
type AuditTrail struct {
	// Archive is the member archive, which is null in the only known sample.
	Archive json.RawMessage `json:"archive,omitzero"`
	// Download is the link to the recording.
	Download *Link `json:"download,omitzero"`
}

// Link is a link to another endpoint.
type Link struct {
	// Href is the path of the endpoint. It begins with "/api/".
	Href string `json:"href,omitzero"`
}

// Analytics has the results of the analytics of a session.
type Analytics struct {
	// InterestingEvents are unusual commands and window titles.
	InterestingEvents []string `json:"interesting_events,omitzero"`
	// Score says how unusual the session is.
	Score *Score `json:"score,omitzero"`
	// Scripted is true if a program seems to have typed the input.
	Scripted bool `json:"scripted,omitzero"`
	// ScriptedResults is the member scripted_results, which is {} in the only known
	// sample.
	ScriptedResults json.RawMessage `json:"scripted_results,omitzero"`
	// SimilarSessions is the member similar_sessions, which is empty in the known
	// samples.
	SimilarSessions []json.RawMessage `json:"similar_sessions,omitzero"`
	// Tags is the member tags, which is empty in the known samples.
	Tags []json.RawMessage `json:"tags,omitzero"`
	// BucketedDuration is the class of the duration.
	BucketedDuration string `json:"bucketed_duration,omitzero"`
	// BucketedStartingHour is the class of the hour in which the session started.
	BucketedStartingHour string `json:"bucketed_starting_hour,omitzero"`
}

// Score says how unusual a session is.
type Score struct {
	// Aggregated is the combined score of all algorithms, from 0 to 100.
	Aggregated float64 `json:"aggregated,omitzero"`
	// Time is the time when the score was calculated.
	Time time.Time `json:"time,omitzero"`
	// Details are the scores of the single algorithms.
	Details *ScoreDetails `json:"details,omitzero"`
}

// ScoreDetails are the scores of the single algorithms, named after the members of the
// API. The score of an algorithm without a result is nil.
type ScoreDetails struct {
	// Command is the score of the typed commands.
	Command *AlgorithmScore `json:"command,omitzero"`
	// FIS is the score of an algorithm that the guide does not explain.
	FIS *AlgorithmScore `json:"fis,omitzero"`
	// HostLogin is the score of the hosts that the user logged in to.
	HostLogin *AlgorithmScore `json:"hostlogin,omitzero"`
	// LoginTime is the score of the login time.
	LoginTime *AlgorithmScore `json:"logintime,omitzero"`
	// Keystroke is the score of the typing behaviour.
	Keystroke *AlgorithmScore `json:"keystroke,omitzero"`
	// Mouse is the score of the mouse movements.
	Mouse *AlgorithmScore `json:"mouse,omitzero"`
	// WindowTitle is the score of the window titles.
	WindowTitle *AlgorithmScore `json:"windowtitle,omitzero"`
}

// AlgorithmScore is the score of one algorithm.
type AlgorithmScore struct {
	// Score is the score, from 0 to 100.
	Score float64 `json:"score"`
}

// Log has the data of a session whose origin is not a recording.
type Log struct {
	// AdapterName is the name of the adapter that read the log.
	AdapterName string `json:"adapter_name,omitzero"`
	// AuthMethod is the authentication method of the user.
	AuthMethod string `json:"auth_method,omitzero"`
	// SyslogTime is the time of the log message.
	SyslogTime time.Time `json:"syslog_time,omitzero"`
}

// Vault is an access request of Safeguard for Privileged Passwords (SPP).
type Vault struct {
	// AccessRequestType is the type of the requested access, such as "REMOTEDESKTOP".
	AccessRequestType string `json:"access_request_type,omitzero"`
	// AccountID is the id of the account.
	AccountID int64 `json:"account_id,omitzero"`
	// AccountName is the name of the account.
	AccountName string `json:"account_name,omitzero"`
	// ApplianceID is the id of the SPP appliance.
	ApplianceID string `json:"appliance_id,omitzero"`
	// ApplianceName is the name of the SPP appliance.
	ApplianceName string `json:"appliance_name,omitzero"`
	// AssetPartitionID is the id of the asset partition. It may be negative.
	AssetPartitionID int64 `json:"asset_partition_id,omitzero"`
	// AssetPartitionName is the name of the partition.
	AssetPartitionName string `json:"asset_partition_name,omitzero"`
	// AutoApproved is the time of the automatic approval.
	AutoApproved time.Time `json:"auto_approved,omitzero"`
	// Available is the time from which access was available.
	Available time.Time `json:"available,omitzero"`
	// BrokerID is the id of the broker.
	BrokerID int64 `json:"broker_id,omitzero"`
	// Created says when the request was made, and by whom.
	Created *VaultEvent `json:"created,omitzero"`
	// Expired is the time when the request expired.
	Expired time.Time `json:"expired,omitzero"`
	// IsEmergency is true for an emergency request.
	IsEmergency bool `json:"is_emergency,omitzero"`
	// OfflineWorkflow is true if SPP was in offline workflow mode.
	OfflineWorkflow bool `json:"offline_workflow,omitzero"`
	// SystemID is the id of the asset.
	SystemID int64 `json:"system_id,omitzero"`
	// SystemName is the name of the asset.
	SystemName string `json:"system_name,omitzero"`
}

// VaultEvent is a step of an access request.
type VaultEvent struct {
	// Timestamp is the time of the step.
	Timestamp time.Time `json:"timestamp,omitzero"`
	// User is the user who performed the step.
	User *VaultUser `json:"user,omitzero"`
}

// VaultUser is a user of SPP.
type VaultUser struct {
	// ClientIPAddress is the address of the user's client.
	ClientIPAddress string `json:"client_ip_address,omitzero"`
	// UserDisplayName is the display name of the user.
	UserDisplayName string `json:"user_display_name,omitzero"`
	// UserName is the login name of the user.
	UserName string `json:"user_name,omitzero"`
	// UserID is the id of the user.
	UserID int64 `json:"user_id,omitzero"`
}
