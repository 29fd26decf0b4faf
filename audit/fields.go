package audit

// Dotted names of the fields of a session, for filters, for [Query.Fields] and for
// [Sort]. There are no constants for the members of the vault, because no source
// documents their dotted names. The vendor's own programs filter by [FieldProtocol] and
// [FieldUserName] and sort by [FieldStartTime]. The vendor's list of search fields has
// [FieldActive] and the analytics fields. It is not documented whether an appliance can
// filter or sort by the other fields: it may return an error or find no session.
const (
	FieldActive            = "active"
	FieldCreationTime      = "creation_time"
	FieldDuration          = "duration"
	FieldEndTime           = "end_time"
	FieldNodeID            = "node_id"
	FieldOrigin            = "origin"
	FieldProtocol          = "protocol"
	FieldStartTime         = "start_time"
	FieldTrailDownloadLink = "trail_download_link"
	FieldVerdict           = "verdict"

	FieldClientIP   = "client.ip"
	FieldClientName = "client.name"
	FieldClientPort = "client.port"

	FieldServerAddress = "server.address"
	FieldServerID      = "server.id"
	FieldServerIP      = "server.ip"
	FieldServerName    = "server.name"
	FieldServerPort    = "server.port"

	FieldUserGatewayUsername       = "user.gateway_username"
	FieldUserGatewayUsernameDomain = "user.gateway_username_domain"
	FieldUserID                    = "user.id"
	FieldUserName                  = "user.name"
	FieldUserNameDomain            = "user.name_domain"
	FieldUserServerUsername        = "user.server_username"
	FieldUserServerUsernameDomain  = "user.server_username_domain"

	FieldRecordingArchiveDate          = "recording.archive.date"
	FieldRecordingArchivePath          = "recording.archive.path"
	FieldRecordingArchivePolicy        = "recording.archive.policy"
	FieldRecordingArchiveServer        = "recording.archive.server"
	FieldRecordingArchived             = "recording.archived"
	FieldRecordingAuthMethod           = "recording.auth_method"
	FieldRecordingChannelPolicy        = "recording.channel_policy"
	FieldRecordingCommandExtracted     = "recording.command_extracted"
	FieldRecordingConnectionPolicy     = "recording.connection_policy"
	FieldRecordingConnectionPolicyID   = "recording.connection_policy_id"
	FieldRecordingContentReferenceID   = "recording.content_reference_id"
	FieldRecordingDenyReason           = "recording.deny_reason"
	FieldRecordingIndexStatus          = "recording.index_status"
	FieldRecordingNetworkID            = "recording.network_id"
	FieldRecordingServerLocalIP        = "recording.server_local.ip"
	FieldRecordingServerLocalName      = "recording.server_local.name"
	FieldRecordingServerLocalPort      = "recording.server_local.port"
	FieldRecordingSessionID            = "recording.session_id"
	FieldRecordingTargetIP             = "recording.target.ip"
	FieldRecordingTargetName           = "recording.target.name"
	FieldRecordingTargetPort           = "recording.target.port"
	FieldRecordingVerdict              = "recording.verdict"
	FieldRecordingWindowTitleExtracted = "recording.window_title_extracted"

	FieldAnalyticsBucketedDuration     = "analytics.bucketed_duration"
	FieldAnalyticsBucketedStartingHour = "analytics.bucketed_starting_hour"
	FieldAnalyticsInterestingEvents    = "analytics.interesting_events"
	FieldAnalyticsScoreAggregated      = "analytics.score.aggregated"
	FieldAnalyticsScoreCommand         = "analytics.score.details.command.score"
	FieldAnalyticsScoreFIS             = "analytics.score.details.fis.score"
	FieldAnalyticsScoreHostLogin       = "analytics.score.details.hostlogin.score"
	FieldAnalyticsScoreKeystroke       = "analytics.score.details.keystroke.score"
	FieldAnalyticsScoreLoginTime       = "analytics.score.details.logintime.score"
	FieldAnalyticsScoreMouse           = "analytics.score.details.mouse.score"
	FieldAnalyticsScoreTime            = "analytics.score.time"
	FieldAnalyticsScoreWindowTitle     = "analytics.score.details.windowtitle.score"
	FieldAnalyticsScripted             = "analytics.scripted"
	FieldAnalyticsSimilarSessions      = "analytics.similar_sessions"
	FieldAnalyticsTags                 = "analytics.tags"

	FieldLogAdapterName = "log.adapter_name"
	FieldLogAuthMethod  = "log.auth_method"
	FieldLogSyslogTime  = "log.syslog_time"
)
