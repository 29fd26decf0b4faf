package spstest

import (
	"fmt"
	"slices"
	"strings"
)

// Variant is one detail that the documentation of the API leaves open. The appliance uses
// Default unless [WithVariant] selects one of the Alternatives.
//
// An alternative of the form "403:SomeType" is a status and an error type.
type Variant struct {
	Area         string   // the area: "session", "transaction", "firmware", …
	Name         string   // the name for [WithVariant]
	Default      string   // the behaviour without [WithVariant]
	Alternatives []string // without the default
	Reason       string   // why the detail is open, and the reason for the default
	Source       string   // where the documentation or a client mentions it
}

// firmwareStatuses are the statuses that a firmware error may have.
var firmwareStatuses = []string{"200", "400", "404", "409", "422", "500"}

// except gives all but one.
func except(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

var assumptions = []Variant{
	// Login and sessions.
	{"session", "login-body", "meta", []string{"empty"},
		"only a meta object is promised; the vendor's connector is tested against an empty object",
		"guide, Authenticate to the SPS REST API; Power BI connector, authentication tests"},
	{"session", "wrong-password", "401:AuthenticationFailure", []string{"401:Unauthenticated", "403:AuthenticationFailure", "403:Unauthorized"},
		"the status is known from a client, the type only from the meaning of a table row",
		"guide 6.0 LTS, response code tables; Power BI connector, error texts of the login"},
	{"session", "logout", "200", []string{"204", "404", "405"},
		"no page shows a log-out and no client performs one",
		"absent from every page"},
	{"session", "session-limit", "idle", []string{"absolute"},
		"the guide tells of inactivity, but remaining_seconds counts down in its samples",
		"guide, Authenticate to the SPS REST API; guide 6.0, sample of /api/info"},
	{"session", "cookie-renewal", "never", []string{"always"},
		"whether later answers repeat the cookie with a new expiry is not written",
		"guide, Authenticate to the SPS REST API"},
	{"session", "user-info-place", "top", []string{"body"},
		"the table names its members without a body prefix; the sample is elsewhere",
		"guide 7.4 and 7.5.1, user info"},
	{"session", "token-refused", "403:ForbiddenActionError", []string{"403:Unauthorized", "400:MissingTokenError"},
		"a client tells that browsers need the header, not what they get without it",
		"safeguard-ps, comment on X-Token"},

	// Every answer.
	{"answer", "remaining-seconds", "some", []string{"all", "none"},
		"some samples of a logged-in session have it in meta, some have not",
		"guide 6.0.9, 7.0.2 and 8.0, samples"},
	{"answer", "path-details", "string", []string{"object"},
		"details holds the path, in words only; other errors have an object there",
		"guide, response code tables"},
	{"answer", "not-found-type", "ResourceNotFound", []string{"NotFound"},
		"bodies say ResourceNotFound, tables say NotFound",
		"guide 7.4, firmware test against the response code tables"},

	// Transactions.
	{"transaction", "open-answer", "200-transaction", []string{"201-transaction", "200-meta", "204"},
		"status and body are not printed; the object with its new status is the likeliest",
		"guide, Open a transaction"},
	{"transaction", "open-twice", "200", []string{"403:OpenTransactionError", "400:OpenTransactionError", "409:TransactionAlreadyOpen"},
		"opening again in the same session is not described",
		"guide, Open a transaction"},
	{"transaction", "commit-answer", "200-transaction", []string{"201-transaction", "200-meta", "204"},
		"status and body are not printed",
		"guide, Commit a transaction"},
	{"transaction", "commit-closed", "200", []string{"400:NoOpenTransaction", "403:ForbiddenActionError", "404:ResourceNotFound", "409:Conflict", "409:NoOpenTransaction"},
		"a commit with nothing open is not described",
		"guide, Commit a transaction"},
	{"transaction", "commit-without-body", "400:IncompleteRequestBodyError", []string{"commits"},
		"a public program commits with a PUT that has no body; whether any release takes that is not written",
		"guide, Commit a transaction"},
	{"transaction", "rollback-closed", "200", []string{"404:ResourceNotFound", "405:MethodNotAllowed"},
		"a rollback with nothing open is not described; no row of its table speaks of it",
		"guide 7.0.5.1, Delete a transaction"},
	{"transaction", "commit-message-member", "both", []string{"commit_message", "message"},
		"the transaction chapter says commit_message, the firmware upgrade message; no sample has either",
		"guide 7.5, transaction status; guide 7.1.1, firmware upgrade"},
	{"transaction", "missing-commit-message", "400:IncompleteRequestBodyError", []string{"400:SemanticError", "403:ForbiddenActionError", "422:MissingCommitMessage"},
		"a message can be demanded; what its lack gives is not written",
		"guide 8.0, transaction status"},
	{"transaction", "lock-taken", "opening", []string{"first-change", "commit"},
		"old guides lock at opening; new ones leave the sentence out but delete a lock on rollback, and speak of what others changed meanwhile",
		"guide 6.0, Open a transaction; guide 7.0.5.1, Delete a transaction"},
	{"transaction", "lock-error", "403:OpenTransactionError", []string{"403:ForbiddenActionError", "403:ConfigurationLocked", "409:ConfigurationLocked", "423:ConfigurationLocked", "400:ConfigurationLocked"},
		"no readable page tells what one gets while somebody else holds the lock; the default is the only known type about transactions",
		"guide, Application level error codes"},
	{"transaction", "lock-error-names-user", "no", []string{"yes"},
		"the web interface names who holds the lock; whether the API does is not readable",
		"guide, Application level error codes"},
	{"transaction", "no-transaction", "409:Conflict", []string{"400:NoOpenTransaction", "403:ForbiddenActionError", "405:MethodNotAllowed", "409:NoOpenTransaction", "opens"},
		"7.0.5.1 prints a Conflict for a change without a transaction, 6.9 and later open one with the first change; unless one is picked, the profile decides whether it opens",
		"guide 7.0.5.1, deletion of an object; guide 6.9.2, Open a transaction"},
	{"transaction", "busy-session", "answer", []string{"wait", "409:Busy"},
		"what other requests of a session get while one of its writes is executed is not described; a commit can take minutes",
		"absent from every page"},
	{"transaction", "rollback-during-commit", "wait", []string{"answered", "403:ForbiddenActionError", "409:Conflict"},
		"a rollback while the same session commits is not described; by default it waits, and finds nothing to roll back",
		"guide 7.0.5.1, Delete a transaction"},
	{"transaction", "empty-changes", "absent", []string{"list"},
		"the sample of an empty log shows meta only",
		"guide 6.x, Review the changelog"},
	{"transaction", "change-path", "object", []string{"member"},
		"the path is that of an endpoint or an object; whether of a member is open",
		"guide 6.x, Review the changelog"},
	{"transaction", "reorder", "reorder", []string{"replace"},
		"there is a change type for a new order; that it stands for a change of an @order list alone is a guess",
		"guide 6.x, Review the changelog"},

	// Configuration.
	{"configuration", "put-answer", "200", []string{"201", "204"},
		"the tables print 201 under PUT too, most likely a template",
		"guide 7.1.1, response code tables"},
	{"configuration", "delete-answer", "200", []string{"204"},
		"a meta object is printed, a status is not",
		"guide 6.9, Delete an object"},
	{"configuration", "create-answer", "key", []string{"body"},
		"key and meta are certain, whether the body is repeated is not",
		"guide 6.9.3, passwords"},
	{"configuration", "semantic-check", "commit", []string{"write"},
		"the error is worded like a check of the whole configuration, but stands under POST and PUT",
		"guide 7.1.1, trust stores"},
	{"configuration", "semantic-details", "strings", []string{"objects"},
		"details holds the errors found, in words only; cluster status lists warnings as objects",
		"guide 7.1.1, trust stores; guide 6.0.9, cluster status"},
	{"configuration", "delete-refused", "400:SemanticError", []string{"403:ForbiddenActionError", "409:ForbiddenActionError"},
		"an object in use cannot be deleted; the answer is known for plugins only",
		"guide 6.9.2, plugins"},
	{"configuration", "secret-list", "405:MethodNotAllowed", []string{"403:ForbiddenActionError", "403:Unauthorized", "404:ResourceNotFound"},
		"passwords and private keys cannot be listed; what one gets who tries is not printed",
		"guide 6.2, passwords"},
	{"configuration", "secret-body", "empty", []string{"written"},
		"a password can be got by its key; what is shown of it is not readable",
		"guide 6.2, passwords"},
	{"configuration", "built-in-refused", "400:SyntacticError", []string{"403:ForbiddenActionError"},
		"a built-in object cannot be changed or deleted; the answer is known for trust stores only",
		"guide 7.1.1, trust stores"},

	// Alerting.
	{"alerting", "system-alerts", "all", []string{"without-health"},
		"the sample is not readable; the MIB has three alerts in a group of their own, which may be no system alerts",
		"SNMP MIB of the platform"},

	// Trust stores.
	{"trust_stores", "trust-store-list-meta", "present", []string{"absent"},
		"the printed list has no meta, which every answer should have",
		"guide 7.1.1, trust stores"},
	{"trust_stores", "trust-store-members", "defaulted", []string{"400:SyntacticError", "400:IncompleteRequestBodyError"},
		"no request is printed; empty members have to be sent, what their lack gives is not written",
		"guide 7.1.1, trust stores; guide 7.5, Change an object"},
	{"trust_stores", "authority-text", "refused", []string{"accepted"},
		"no request is printed; the answer has an object around the PEM, a bare one is conceivable",
		"guide 7.1.1, trust stores"},
	{"trust_stores", "authority-derived", "ignored", []string{"checked"},
		"fingerprint, issuer and subject follow from the certificate; whether wrong ones are refused is not written",
		"guide 7.1.1, trust stores"},

	// Starling.
	{"starling", "starling-join-meta", "present", []string{"absent"},
		"the sample has a body alone; every answer should have a meta",
		"guide 7.1.1, Retrieving Starling Join information"},
	{"starling", "starling-not-joined", "false", []string{"absent"},
		"no sample shows an appliance that is not joined",
		"guide 7.1.1, Retrieving Starling Join information"},
	{"starling", "starling-join-html", "page", []string{"303"},
		"browsers can ask; whether they get a page or are sent to Starling is not written",
		"guide 7.1.1, Retrieving Starling Join information; safeguard-ps, Starling join"},
	{"starling", "starling-join-answer", "200-body", []string{"201-body", "200-meta", "204"},
		"the answer to a join is not printed",
		"guide 7.1.1, Managing Starling Join; safeguard-ps, Starling join"},
	{"starling", "starling-unjoin-answer", "200", []string{"204"},
		"neither status nor body is printed",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "starling-unjoin-closed", "200", []string{"403:ForbiddenActionError", "404:ResourceNotFound"},
		"unjoining an appliance that is not joined is not described; ForbiddenActionError may be the answer to it, too",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "starling-unjoin-elsewhere", "403:ForbiddenActionError", []string{"405:MethodNotAllowed"},
		"ForbiddenActionError is listed with the advice to unjoin at starling/join; that it is the answer to a DELETE of the configuration, or of what is above, is the plain reading",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "join-open", "anybody", []string{"own"},
		"no transaction may be open; whether that of another session counts is not written",
		"guide 7.1.1, Unjoining from Starling; safeguard-ps, Starling join"},
	{"starling", "starling-unjoin-open", "403:OpenTransactionError", []string{"200"},
		"the error is worded like one of joining, but stands below the unjoin; join-open says whose transaction counts",
		"guide 7.1.1, Unjoining from Starling"},

	// Firmware.
	{"firmware", "firmware-incomplete-status", "400", except(firmwareStatuses, "400"),
		"error samples print no status; the guide calls it invalid input",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-not-found-status", "404", except(firmwareStatuses, "404"),
		"error samples print no status; the guide calls it invalid input",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-failed-status", "400", except(firmwareStatuses, "400"),
		"error samples print no status; the guide calls it an error, unlike invalid input",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-errors", "full", []string{"short"},
		"the overview of outcomes prints the type alone, the samples print all",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "slot-id", "any", []string{"number"},
		"the guide writes an unquoted placeholder, keys are strings, a client sends a number",
		"guide 7.4, Testing new SPS firmware before upgrade; safeguard-ps"},
	{"firmware", "slot-key", "string", []string{"number"},
		"strings in every sample, an unquoted placeholder in the overview, a number in a table",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "slot-version", "string", []string{"number"},
		"the table says number, every sample a dotted string",
		"guide 7.4, firmware slots"},
	{"firmware", "slots-body", "absent", []string{"present"},
		"every printed list has items alone, a test of a client expects a body at the top, too; what is in it is not known, and it is empty here",
		"guide 7.0.5.1, firmware slots; SafeguardJava, tests"},
	{"firmware", "slot-delete-answer", "200", []string{"204"},
		"neither status nor body is printed",
		"guide 7.4, firmware slots"},
	{"firmware", "slot-delete-refused", "403:ForbiddenActionError", []string{"400:ForbiddenActionError", "409:FirmwareSlotInUse", "405:MethodNotAllowed"},
		"deleting the current firmware or that after the reboot is not allowed; no error is printed",
		"guide 7.4, firmware slots"},

	// Upload.
	{"firmware", "upload-status", "200", []string{"201"},
		"the answer is printed, its status is not",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-labelled-json", "refused", []string{"accepted"},
		"a client sends the form with the Content-Type application/json; whether an appliance finds the image in it is not known",
		"SafeguardJava, stream upload"},
	{"firmware", "upload-after-reboot", "false", []string{"true"},
		"the sample says true, the table says always false; only the answer says so here, the slot stays unselected",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-no-slot", "409:NoEmptySlot", []string{"400:NoEmptySlot", "403:ForbiddenActionError", "422:NoEmptySlot", "500:NoEmptySlot"},
		"no error of an upload is readable; status and type are made up",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-broken-image", "400:InvalidFirmwareImage", []string{"400:InvalidRequestBody", "400:SyntacticError", "422:InvalidFirmwareImage", "500:InvalidFirmwareImage"},
		"no error of an upload is readable; status and type are made up",
		"guide 8.0, firmware upload"},

	// Fetch.
	{"firmware", "fetch-answer", "key", []string{"body"},
		"202 is certain; that there is a key follows from the paths of the records",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-key", "string", []string{"number"},
		"keys are strings elsewhere; no key of a download is printed",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-checksum", "required", []string{"optional"},
		"it is part of the sample request; whether it may be left out is not readable",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-status-place", "body", []string{"top"},
		"no answer is printed; the support bundle, the other thing that takes time, has body.status, and the setup a status on top",
		"safeguard-ps, support bundle; guide, setup"},
	{"firmware", "fetch-in-progress", "in-progress", []string{"in_progress", "IN-PROGRESS"},
		"the names of the statuses come from prose; upper case goes for all of them",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-cancelled", "cancelled", []string{"canceled"},
		"the names of the statuses come from prose",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-installing", "in-progress", []string{"installing", "verifying"},
		"the installation after the download cannot be cancelled; whether it has a status of its own is not readable",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-progress", "none", []string{"percent"},
		"nothing tells of a number; a client should stand one",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-reason", "error", []string{"message", "none"},
		"a download can fail; how the record tells why is not readable",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-slot", "meta.slot", []string{"body.slot_id", "none"},
		"an upload names its slot in meta; what the record of a download does is not readable",
		"guide 8.0, firmware upload; guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-cancel-refused", "403:ForbiddenActionError", []string{"400:ForbiddenActionError", "405:MethodNotAllowed", "409:FetchNotCancellable"},
		"the installation cannot be cancelled; no error is printed",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-delete-answer", "200", []string{"204"},
		"neither status nor body is printed",
		"guide 7.0.5.1, firmware fetch"},

	// Upgrade and restart.
	{"firmware", "upgrade-message", "optional", []string{"present"},
		"the message may be null; whether the member may be missing is not written, and clients always send it",
		"guide 7.1.1, firmware upgrade; safeguard-ps"},
	{"firmware", "upgrade-message-missing", "400:IncompleteRequestBodyError", []string{"400:SemanticError", "403:ForbiddenActionError", "422:MissingCommitMessage"},
		"a message can be demanded; what its lack gives is not written",
		"guide 7.1.1, firmware upgrade"},
	{"firmware", "upgrade-answer", "answer", []string{"cut"},
		"a sample of the answer is printed; that it always arrives before the restart is not promised",
		"guide 7.1.1, firmware upgrade"},
	{"firmware", "session-after-upgrade", "gone", []string{"alive"},
		"one client goes on with its cookie after the restart, but hides every error",
		"safeguard-ps, waiting for an upgrade"},
	{"firmware", "starting-login", "503", []string{"401:AuthenticationFailure", "500"},
		"what a login gets while the appliance starts is not described",
		"absent from every page"},
	{"firmware", "starting-setup", "503", []string{"booting", "completed"},
		"one client knows booting, and takes it for done; what the endpoint tells while services start is not described",
		"safeguard-ps, welcome wizard"},
	{"firmware", "reinstall-build-date", "stays", []string{"differs"},
		"the build date should be that of the image; nothing else tells a reinstalled version from the one before",
		"guide 7.0.5.1, sample of /api/info"},

	// Products.
	{"starling", "product-warnings", "issues", []string{"warnings", "warning", "message", "meta.warnings", "meta.warning", "meta.message",
		"error:200", "error:400", "error:500", "error:503"},
		"the texts are printed, their place and the status are not; cluster status has warnings below issues; the type of an error is made up",
		"guide 7.4, Listing integrated products; guide 6.0.9, cluster status"},

	// Neighbours.
	{"appliance", "cluster-status", "403:ForbiddenActionError", []string{"400:NotInCluster", "404:ResourceNotFound", "500:NotInCluster"},
		"a client tells that an appliance without a cluster answers with some error",
		"safeguard-ps, joining a cluster"},
	{"appliance", "spp-join-answer", "200-meta", []string{"200-body", "201-meta", "202", "204"},
		"clients send the request and wait; the answer is not printed",
		"safeguard-ps and SafeguardDotNet, joining to SPP"},
	{"appliance", "spp-joined-again", "400:JoinError", []string{"403:ForbiddenActionError", "409:JoinError", "500:JoinError", "502:JoinError"},
		"a client knows the code of SPP in the details of the error; its status and its type are made up",
		"safeguard-ps, joining to SPP"},
	{"appliance", "spp-without-members", "400:IncompleteRequestBodyError", []string{"400:SyntacticError", "422:IncompleteRequestBodyError"},
		"clients always send all three members",
		"safeguard-ps and SafeguardDotNet, joining to SPP"},
	{"appliance", "bundle-answer", "202", []string{"200", "201"},
		"the answer has a key; its status is not readable, the other thing that takes time has 202",
		"guide 8.0, support bundle; safeguard-ps, support bundle"},
	{"appliance", "bundle-running", "in-progress", []string{"in_progress", "queued", "running", "IN-PROGRESS"},
		"of the statuses finished alone is known; this one is borrowed from the firmware downloads",
		"safeguard-ps, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-finished", "finished", []string{"FINISHED"},
		"the client that knows the status does not mind its case",
		"safeguard-ps, support bundle"},
	{"appliance", "bundle-failed", "failed", []string{"error"},
		"of the statuses finished alone is known; this one is borrowed from the firmware downloads",
		"safeguard-ps, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-second", "403:ForbiddenActionError", []string{"400:BundleInProgress", "409:BundleInProgress", "same", "new"},
		"a second job while one runs is a case of its own whose text is not readable",
		"guide 8.0, support bundle"},
	{"appliance", "bundle-early", "404:ResourceNotFound", []string{"400:BundleNotFinished", "403:ForbiddenActionError", "409:BundleNotFinished"},
		"downloading a bundle that is not finished is not described",
		"guide 8.0, support bundle"},
	{"appliance", "bundle-cancel", "removed", []string{"kept"},
		"a job can be cancelled; whether its record stays, as that of a firmware download does, is not readable",
		"guide 8.0, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-delete-answer", "200", []string{"204"},
		"neither status nor body is readable",
		"guide 8.0, support bundle"},

	// Recorded sessions.
	{"audit", "search-refused", "400:SyntacticError", []string{"400:InvalidQuery", "400:SemanticError"},
		"the status of a bad filter is known from a client, its type is not",
		"Power BI connector, error texts of the search"},
	{"audit", "search-parameter", "400:SyntacticError", []string{"400:InvalidQuery", "ignored"},
		"what a limit, a time or a format that is none gives is not written",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-unknown-field", "none", []string{"refused"},
		"a filter by a field that does not exist may find nothing or be refused",
		"absent from every page"},
	{"audit", "search-unknown-sort", "refused", []string{"ignored"},
		"what sorting by a field that does not exist gives is not written",
		"Power BI connector, search"},
	{"audit", "search-operator", "OR", []string{"AND"},
		"the guide calls the language that of Lucene, which joins by OR what stands side by side; products made with it often change that",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-only-not", "all", []string{"none"},
		"in Lucene a query that only takes away finds nothing; most products made with it mend that",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-phrase", "value", []string{"words"},
		"whether a phrase stands for the whole value of a field or for words in it is not written",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-time-ranges", "accepted", []string{"no-start-time", "no-end-time", "refused"},
		"the language has ranges, but no sample shows one of times; there are parameters for them",
		"guide 6.0 to 6.9, content search; guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-no-fields", "keys", []string{"all"},
		"an empty list gives keys only, and so does the sample; that no list does the same is a guess",
		"guide 7.1.1 and 8.0, basic search; SafeguardJava, tests"},
	{"audit", "search-fields-form", "nested", []string{"dotted"},
		"the names that are asked for are dotted; no answer to them is printed",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-ceiling", "ends", []string{"repeats"},
		"an offset above 10000 is ignored; whether the links go on beyond it is not written",
		"guide 6.0.9, 7.1.1 and 8.0, basic search"},
	{"audit", "search-order", "stored", []string{"newest-first"},
		"the order without a sort is not written",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-ties", "stored", []string{"shuffled"},
		"the order of sessions that sort alike is not written; it may be another one in each snapshot",
		"absent from every page"},
	{"audit", "snapshot-quota", "appliance", []string{"user", "owner"},
		"there is one at a time, per what is cut; a client tells that the next user is refused, too",
		"guide 7.4 and 7.5.1, advanced search; Power BI connector, troubleshooting"},
	{"audit", "snapshot-quota-error", "429:TooManyRequests", []string{"429:QuotaExceeded", "429:SnapshotQuotaExceeded"},
		"the status is known from a client; the type is made up",
		"Power BI connector, troubleshooting"},
	{"audit", "snapshot-retry-after", "none", []string{"300"},
		"whether the refusal says when to come again is not known",
		"Power BI connector, troubleshooting"},
	{"audit", "snapshot-again", "replaced", []string{"refused", "same"},
		"what its owner gets who asks for another one is cut",
		"guide 7.4, 7.5 and 7.5.1, advanced search"},
	{"audit", "snapshot-foreign", "404:ResourceNotFound", []string{"403:Unauthorized"},
		"a snapshot that is gone gives 404; what another owner gets is not written, and both are answered alike here",
		"guide 7.5, advanced search; Power BI connector, error texts of the search"},
	{"audit", "snapshot-limit", "ignored", []string{"honoured"},
		"limit is known of the basic search; the page of a snapshot has the limit 500 in the one sample",
		"Power BI connector, search"},
	{"audit", "snapshot-restart", "gone", []string{"kept"},
		"what a restart does to a snapshot is not written",
		"absent from every page"},
	{"audit", "session-count", "with-snapshots", []string{"always"},
		"the count is known from a client for 7.3 and later only",
		"Power BI connector, search"},
	{"audit", "session-running-end", "absent", []string{"null"},
		"no sample shows a session that goes on",
		"guide 6.0 and Power BI connector, samples"},
	{"audit", "csv-header", "present", []string{"absent"},
		"that there is a form in CSV is known, its columns are not",
		"guide 6.0.9 and 8.0, basic search"},
	{"audit", "stats-form", "value", []string{"name", "key", "buckets"},
		"the requests are known, their answers are cut in every copy",
		"guide 6.0 LTS, 6.0.4 and 8.0, statistics and histogram"},
	{"audit", "content-items", "bare", []string{"wrapped"},
		"that there is a list is known; what is in it is taken from the events",
		"guide 6.0.1 to 6.9.3, content search"},
	{"audit", "event-channel", "channels_id", []string{"channel_id"},
		"the sample of the events has a plural that that of the alerts and the list of fields have not",
		"guide 6.0.12 and 7.4, events and search fields"},
	{"audit", "trail-missing", "404:ResourceNotFound", []string{"404:AuditTrailNotFound", "403:ForbiddenActionError", "400:AuditTrailNotFound"},
		"what the download gives of a session without a recording is not written",
		"guide 8.0, audit trail download"},
	{"audit", "trail-running", "served", []string{"refused"},
		"a session that goes on is followed by format=srs; what the other format gives is not written",
		"guide 8.0, audit trail download"},
	{"audit", "trail-length", "known", []string{"unknown"},
		"whether the answer tells its length is not written",
		"guide 8.0, audit trail download; SafeguardJava, tests"},
	{"audit", "trail-link", "path", []string{"url"},
		"where there is a recording, the link has some text; the one sample has null",
		"Power BI connector, samples"},
}

// Variants returns all variants that [WithVariant] can change.
func Variants() []Variant {
	all := slices.Clone(assumptions)
	for i := range all {
		all[i].Alternatives = slices.Clone(all[i].Alternatives)
	}
	return all
}

// WithVariant selects an alternative, or the default, of a variant.
func WithVariant(name, alternative string) Option {
	return func(a *Appliance) error {
		if err := checkVariant(name, alternative); err != nil {
			return err
		}
		a.variants[name] = alternative
		return nil
	}
}

// ParseVariant returns the option of [WithVariant] for a text "name=alternative", such as
// the value of a flag.
func ParseVariant(s string) (Option, error) {
	name, alternative, ok := strings.Cut(s, "=")
	if !ok {
		return nil, fmt.Errorf("spstest: variant %q is not of the form name=alternative", s)
	}
	if err := checkVariant(name, alternative); err != nil {
		return nil, err
	}
	return WithVariant(name, alternative), nil
}

func checkVariant(name, alternative string) error {
	names := make([]string, len(assumptions))
	for i, v := range assumptions {
		if v.Name == name {
			if alternative == v.Default || slices.Contains(v.Alternatives, alternative) {
				return nil
			}
			return fmt.Errorf("spstest: variant %s has no alternative %q: want one of %s", name, alternative,
				strings.Join(append([]string{v.Default}, v.Alternatives...), ", "))
		}
		names[i] = v.Name
	}
	return fmt.Errorf("spstest: unknown variant %q: want one of %s", name, strings.Join(names, ", "))
}

// variant tells what was picked.
func (a *Appliance) variant(name string) string {
	if v, ok := a.variants[name]; ok {
		return v
	}
	for i := range assumptions {
		if assumptions[i].Name == name {
			return assumptions[i].Default
		}
	}
	panic("spstest: no variant " + name) // only a bug of this package gets here
}
