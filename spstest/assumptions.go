package spstest

import (
	"fmt"
	"slices"
	"strings"
)

// Variant is one detail of the API that its documentation leaves open. The simulated
// appliance behaves as Default says, unless [WithVariant] selects one of the
// Alternatives.
//
// A default or alternative of the form "403:SomeType" is a status code and an error type.
// A number is a status code.
type Variant struct {
	Area         string   // the area of the API, for example "session", "transaction" or "firmware"
	Name         string   // the name for [WithVariant]
	Default      string   // the behaviour without [WithVariant]
	Alternatives []string // the other behaviours, without the default
	Reason       string   // sentences that say what is known of the detail and what is not
	Source       string   // the pages and clients that Reason is based on, or "none"
}

// firmwareStatuses are the status codes that an error of a firmware endpoint may have.
var firmwareStatuses = []string{"200", "400", "404", "409", "422", "500"}

// except returns a copy of the list all without the string one.
func except(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

var assumptions = []Variant{
	// Login and sessions.
	{"session", "login-body", "meta", []string{"empty"},
		"According to the guide, the response has a meta object. The tests of the vendor's connector use an empty object.",
		"guide, Authenticate to the SPS REST API; Power BI connector, authentication tests"},
	{"session", "wrong-password", "401:AuthenticationFailure", []string{"401:Unauthenticated", "403:AuthenticationFailure", "403:Unauthorized"},
		"The vendor's connector handles the status 401. The type is inferred from the meaning of a row in the guide's table of response codes.",
		"guide 6.0 LTS, response code tables; Power BI connector, error texts of the login"},
	{"session", "logout", "200", []string{"204", "404", "405"},
		"No page of the guide shows a log-out, and no client logs out.",
		"none"},
	{"session", "session-limit", "idle", []string{"absolute"},
		"The guide mentions a limit for inactivity, but the values of remaining_seconds in its samples look like a countdown from the login.",
		"guide, Authenticate to the SPS REST API; guide 6.0, sample of /api/info"},
	{"session", "cookie-renewal", "never", []string{"always"},
		"It is not documented whether later responses set the cookie again with a new expiry.",
		"guide, Authenticate to the SPS REST API"},
	{"session", "user-info-place", "top", []string{"body"},
		"The guide's table names the members without the prefix body. The sample that would show their place was not available.",
		"guide 7.4 and 7.5.1, user info"},
	{"session", "token-refused", "403:ForbiddenActionError", []string{"403:Unauthorized", "400:MissingTokenError"},
		"According to a comment in safeguard-ps, browsers must send the header X-Token. The response to a browser that does not send it is not known.",
		"safeguard-ps, comment on X-Token"},

	// All responses.
	{"answer", "remaining-seconds", "some", []string{"all", "none"},
		"Some samples of responses in a session have meta.remaining_seconds, and others do not.",
		"guide 6.0.9, 7.0.2 and 8.0, samples"},
	{"answer", "path-details", "string", []string{"object"},
		"The guide says that the member details contains the path, but not in which form. In other errors, this member is an object.",
		"guide, response code tables"},
	{"answer", "not-found-type", "ResourceNotFound", []string{"NotFound"},
		"In the guide, the sample bodies have the type ResourceNotFound, and the tables of response codes have NotFound.",
		"guide 7.4, firmware test; guide, response code tables"},

	// Transactions.
	{"transaction", "open-answer", "200-transaction", []string{"201-transaction", "200-meta", "204"},
		"Neither the status nor the body of the response is documented. The most likely body is the transaction with its new status.",
		"guide, Open a transaction"},
	{"transaction", "open-twice", "200", []string{"403:OpenTransactionError", "400:OpenTransactionError", "409:TransactionAlreadyOpen"},
		"The guide does not describe the opening of a second transaction in the same session.",
		"guide, Open a transaction"},
	{"transaction", "commit-answer", "200-transaction", []string{"201-transaction", "200-meta", "204"},
		"Neither the status nor the body of the response is documented.",
		"guide, Commit a transaction"},
	{"transaction", "commit-closed", "200", []string{"400:NoOpenTransaction", "403:ForbiddenActionError", "404:ResourceNotFound", "409:Conflict", "409:NoOpenTransaction"},
		"The guide does not describe a commit without an open transaction.",
		"guide, Commit a transaction"},
	{"transaction", "commit-without-body", "400:IncompleteRequestBodyError", []string{"commits"},
		"A public program commits with a PUT that has no body. It is not documented whether any release accepts this.",
		"guide, Commit a transaction"},
	{"transaction", "rollback-closed", "200", []string{"404:ResourceNotFound", "405:MethodNotAllowed"},
		"The guide does not describe a rollback without an open transaction. The guide's table of response codes has no row for this case.",
		"guide 7.0.5.1, Delete a transaction"},
	{"transaction", "commit-message-member", "both", []string{"commit_message", "message"},
		"The guide calls the message commit_message in the chapter about transactions, and message in the one about firmware upgrades. No sample shows a commit with a message.",
		"guide 7.5, transaction status; guide 7.1.1, firmware upgrade"},
	{"transaction", "missing-commit-message", "400:IncompleteRequestBodyError", []string{"400:SemanticError", "403:ForbiddenActionError", "422:MissingCommitMessage"},
		"An appliance can be configured to require a commit message. The response to a commit without one is not documented.",
		"guide 8.0, transaction status"},
	{"transaction", "lock-taken", "opening", []string{"first-change", "commit"},
		"Old guides say that the opening of a transaction takes the lock. Newer guides do not say this, but say that a rollback deletes the lock, and that another user may have changed the configuration in the meantime.",
		"guide 6.0, Open a transaction; guide 7.0.5.1, Delete a transaction"},
	{"transaction", "lock-error", "403:OpenTransactionError", []string{"403:ForbiddenActionError", "403:ConfigurationLocked", "409:ConfigurationLocked", "423:ConfigurationLocked", "400:ConfigurationLocked"},
		"None of the available pages shows the response while another session holds the lock. The default is the only known error type that is about transactions.",
		"guide, Application level error codes"},
	{"transaction", "lock-error-names-user", "no", []string{"yes"},
		"The web interface names the user who holds the lock. It is not known whether the API does.",
		"guide, Application level error codes"},
	{"transaction", "no-transaction", "409:Conflict", []string{"400:NoOpenTransaction", "403:ForbiddenActionError", "405:MethodNotAllowed", "409:NoOpenTransaction", "opens"},
		"Guide 7.0.5.1 lists Conflict for a change without a transaction. From 6.9 on, the first change opens a transaction. Without WithVariant, the profile of the simulated appliance decides whether a change opens a transaction.",
		"guide 7.0.5.1, deletion of an object; guide 6.9.2, Open a transaction"},
	{"transaction", "busy-session", "answer", []string{"wait", "409:Busy"},
		"The guide does not describe requests that a session sends while one of its writes is running. A commit can take minutes.",
		"none"},
	{"transaction", "rollback-during-commit", "wait", []string{"answered", "403:ForbiddenActionError", "409:Conflict"},
		"The guide does not describe a rollback while the same session commits. By default it waits for the end of the commit, and then finds no transaction.",
		"guide 7.0.5.1, Delete a transaction"},
	{"transaction", "empty-changes", "absent", []string{"list"},
		"The sample of an empty list of changes shows meta only.",
		"guide 6.x, Review the changelog"},
	{"transaction", "change-path", "object", []string{"member"},
		"The guide says that a change has the path of an endpoint or an object, but not whether it can have the path of a member.",
		"guide 6.x, Review the changelog"},
	{"transaction", "reorder", "reorder", []string{"replace"},
		"The guide has a change type for a new order. It is a guess that the appliance uses this type if only the list in a member @order has changed.",
		"guide 6.x, Review the changelog"},

	// Configuration.
	{"configuration", "put-answer", "200", []string{"201", "204"},
		"The guide's tables of response codes list 201 for PUT, too. The row is probably copied from a template.",
		"guide 7.1.1, response code tables"},
	{"configuration", "delete-answer", "200", []string{"204"},
		"The guide prints a meta object as the body, but no status.",
		"guide 6.9, Delete an object"},
	{"configuration", "create-answer", "key", []string{"body"},
		"The response has key and meta. It is not known whether it also repeats the body.",
		"guide 6.9.3, passwords"},
	{"configuration", "semantic-check", "commit", []string{"write"},
		"The description of the error suggests a check of the whole configuration, as at a commit. But the guide lists the error under POST and PUT.",
		"guide 7.1.1, trust stores"},
	{"configuration", "semantic-details", "strings", []string{"objects"},
		"The guide says that the member details contains the errors found, but not in which form. The cluster status lists its warnings as objects.",
		"guide 7.1.1, trust stores; guide 6.0.9, cluster status"},
	{"configuration", "delete-refused", "400:SemanticError", []string{"403:ForbiddenActionError", "409:ForbiddenActionError"},
		"An object in use cannot be deleted. The response is known only for plugins.",
		"guide 6.9.2, plugins"},
	{"configuration", "secret-list", "405:MethodNotAllowed", []string{"403:ForbiddenActionError", "403:Unauthorized", "404:ResourceNotFound"},
		"Passwords and private keys cannot be listed. The response to an attempt is not documented.",
		"guide 6.2, passwords"},
	{"configuration", "secret-body", "empty", []string{"written"},
		"A password object can be read by its key. The page that shows its body was not available.",
		"guide 6.2, passwords"},
	{"configuration", "built-in-refused", "400:SyntacticError", []string{"403:ForbiddenActionError"},
		"A built-in object cannot be changed or deleted. The response is known only for trust stores.",
		"guide 7.1.1, trust stores"},

	// Alerting.
	{"alerting", "system-alerts", "all", []string{"without-health"},
		"The guide's sample of system alerts was not available. The MIB has three alerts in a separate group for health, which may not be system alerts.",
		"SNMP MIB of the platform"},

	// Trust stores.
	{"trust_stores", "trust-store-list-meta", "present", []string{"absent"},
		"The list in the guide has no meta, although the guide says that every response has one.",
		"guide 7.1.1, trust stores"},
	{"trust_stores", "trust-store-members", "defaulted", []string{"400:SyntacticError", "400:IncompleteRequestBodyError"},
		"No sample of a request is documented. The guide says that empty members must be sent, but not how the appliance responds if they are missing.",
		"guide 7.1.1, trust stores; guide 7.5, Change an object"},
	{"trust_stores", "authority-text", "refused", []string{"accepted"},
		"No sample of a request is documented. In responses an authority is an object that contains the PEM text. A request might also accept the PEM text alone.",
		"guide 7.1.1, trust stores"},
	{"trust_stores", "authority-derived", "ignored", []string{"checked"},
		"The fingerprint, issuer and subject can be derived from the certificate. It is not documented whether the appliance refuses values that do not belong to the certificate.",
		"guide 7.1.1, trust stores"},

	// Starling.
	{"starling", "starling-join-meta", "present", []string{"absent"},
		"The sample has only a body, although the guide says that every response has a meta.",
		"guide 7.1.1, Retrieving Starling Join information"},
	{"starling", "starling-not-joined", "false", []string{"absent"},
		"No sample shows an appliance that is not joined.",
		"guide 7.1.1, Retrieving Starling Join information"},
	{"starling", "starling-join-html", "page", []string{"303"},
		"A browser can read starling/join. It is not documented whether the browser receives a page or a redirect to Starling.",
		"guide 7.1.1, Retrieving Starling Join information; safeguard-ps, Starling join"},
	{"starling", "starling-join-answer", "200-body", []string{"201-body", "200-meta", "204"},
		"The response to a join is not documented.",
		"guide 7.1.1, Managing Starling Join; safeguard-ps, Starling join"},
	{"starling", "starling-unjoin-answer", "200", []string{"204"},
		"Neither the status nor the body is documented.",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "starling-unjoin-closed", "200", []string{"403:ForbiddenActionError", "404:ResourceNotFound"},
		"The guide does not describe the unjoin of an appliance that is not joined. The error ForbiddenActionError, which it lists, may be meant for this case.",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "starling-unjoin-elsewhere", "403:ForbiddenActionError", []string{"405:MethodNotAllowed"},
		"The guide describes ForbiddenActionError, with the advice to send the unjoin to starling/join instead. The most likely reading is that a DELETE of configuration/starling, or of starling, returns this error.",
		"guide 7.1.1, Unjoining from Starling"},
	{"starling", "join-open", "anybody", []string{"own"},
		"A join or an unjoin is refused while a transaction is open. It is not documented whether this applies to a transaction of another session.",
		"guide 7.1.1, Unjoining from Starling; safeguard-ps, Starling join"},
	{"starling", "starling-unjoin-open", "403:OpenTransactionError", []string{"200"},
		"The guide lists OpenTransactionError for an unjoin, but its description is about a join. The variant join-open selects whose transactions count.",
		"guide 7.1.1, Unjoining from Starling"},

	// Firmware.
	{"firmware", "firmware-incomplete-status", "400", except(firmwareStatuses, "400"),
		"The error samples have no status. The guide calls this error invalid input.",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-not-found-status", "404", except(firmwareStatuses, "404"),
		"The error samples have no status. The guide calls this error invalid input.",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-failed-status", "400", except(firmwareStatuses, "400"),
		"The error samples have no status. The guide does not count this error as invalid input.",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "firmware-errors", "full", []string{"short"},
		"The guide's overview of the results shows only the type of each error. Its samples also have a message and details.",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "slot-id", "any", []string{"number"},
		"The guide shows an unquoted placeholder. In other places, keys are strings. The client safeguard-ps sends a number.",
		"guide 7.4, Testing new SPS firmware before upgrade; safeguard-ps"},
	{"firmware", "slot-key", "string", []string{"number"},
		"The key is a string in every sample, an unquoted placeholder in the overview, and a number in a table.",
		"guide 7.4, Testing new SPS firmware before upgrade"},
	{"firmware", "slot-version", "string", []string{"number"},
		"According to the guide's table, the version is a number. Every sample has a string such as 6.5.0.",
		"guide 7.4, firmware slots"},
	{"firmware", "slots-body", "absent", []string{"present"},
		"Every list in the guide has items and no body. A test of SafeguardJava expects a body at the top level. The content of that body is not known, so the simulated appliance returns an empty object.",
		"guide 7.0.5.1, firmware slots; SafeguardJava, tests"},
	{"firmware", "slot-delete-answer", "200", []string{"204"},
		"Neither the status nor the body is documented.",
		"guide 7.4, firmware slots"},
	{"firmware", "slot-delete-refused", "403:ForbiddenActionError", []string{"400:ForbiddenActionError", "409:FirmwareSlotInUse", "405:MethodNotAllowed"},
		"The current firmware, and the firmware for the next boot, cannot be deleted. The error is not documented.",
		"guide 7.4, firmware slots"},

	// Upload.
	{"firmware", "upload-status", "200", []string{"201"},
		"The guide shows the body of the response, but not its status.",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-labelled-json", "refused", []string{"accepted"},
		"The client SafeguardJava sends the form with the Content-Type application/json. It is not known whether an appliance finds the image in such a form.",
		"SafeguardJava, stream upload"},
	{"firmware", "upload-after-reboot", "false", []string{"true"},
		"The sample has true, but the table says that the value is always false. The variant changes only the response; the slot is not selected for the next boot.",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-no-slot", "409:NoEmptySlot", []string{"400:NoEmptySlot", "403:ForbiddenActionError", "422:NoEmptySlot", "500:NoEmptySlot"},
		"The part of the guide with the errors of an upload was not available. The status and the error type are invented.",
		"guide 8.0, firmware upload"},
	{"firmware", "upload-broken-image", "400:InvalidFirmwareImage", []string{"400:InvalidRequestBody", "400:SyntacticError", "422:InvalidFirmwareImage", "500:InvalidFirmwareImage"},
		"The part of the guide with the errors of an upload was not available. The status and the error type are invented.",
		"guide 8.0, firmware upload"},

	// Fetch.
	{"firmware", "fetch-answer", "key", []string{"body"},
		"The status 202 is documented. The paths of the records suggest that the response has a key.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-key", "string", []string{"number"},
		"In other places, keys are strings. The guide shows no key of a download.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-checksum", "required", []string{"optional"},
		"The checksum is part of the sample request. It is not known whether it can be omitted.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-status-place", "body", []string{"top"},
		"No response is documented. A support bundle, which is also a long-running job, has body.status. The response of the setup endpoint has the member status at the top level.",
		"safeguard-ps, support bundle; guide, setup"},
	{"firmware", "fetch-in-progress", "in-progress", []string{"in_progress", "IN-PROGRESS"},
		"The guide names the statuses in its text but shows no response. The alternative IN-PROGRESS changes all statuses to upper case.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-cancelled", "cancelled", []string{"canceled"},
		"The guide names the statuses in its text but shows no response.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-installing", "in-progress", []string{"installing", "verifying"},
		"The installation after the download cannot be cancelled. It is not known whether the installation has a separate status.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-progress", "none", []string{"percent"},
		"The guide does not mention a number for the progress. A client should accept a response with such a number.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-reason", "error", []string{"message", "none"},
		"A download can fail. It is not known how the record of the download shows the reason.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-slot", "meta.slot", []string{"body.slot_id", "none"},
		"The response to an upload has the slot in meta.slot. It is not known in which member the record of a download has the slot.",
		"guide 8.0, firmware upload; guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-cancel-refused", "403:ForbiddenActionError", []string{"400:ForbiddenActionError", "405:MethodNotAllowed", "409:FetchNotCancellable"},
		"The installation cannot be cancelled. The error is not documented.",
		"guide 7.0.5.1, firmware fetch"},
	{"firmware", "fetch-delete-answer", "200", []string{"204"},
		"Neither the status nor the body is documented.",
		"guide 7.0.5.1, firmware fetch"},

	// Upgrade and restart.
	{"firmware", "upgrade-message", "optional", []string{"present"},
		"The member message may be null. It is not documented whether it can be missing. Clients send it in each request.",
		"guide 7.1.1, firmware upgrade; safeguard-ps"},
	{"firmware", "upgrade-message-missing", "400:IncompleteRequestBodyError", []string{"400:SemanticError", "403:ForbiddenActionError", "422:MissingCommitMessage"},
		"An appliance can be configured to require a message. The response to an upgrade without one is not documented.",
		"guide 7.1.1, firmware upgrade"},
	{"firmware", "upgrade-answer", "answer", []string{"cut"},
		"The guide shows a response. It does not say that the response arrives before the restart.",
		"guide 7.1.1, firmware upgrade"},
	{"firmware", "session-after-upgrade", "gone", []string{"alive"},
		"The client safeguard-ps continues to use its cookie after the restart, but ignores all errors.",
		"safeguard-ps, waiting for an upgrade"},
	{"firmware", "starting-login", "503", []string{"401:AuthenticationFailure", "500"},
		"The guide does not describe a login while the appliance is starting.",
		"none"},
	{"firmware", "starting-setup", "503", []string{"booting", "completed"},
		"The client safeguard-ps accepts the status booting, and treats it as completed. The guide does not describe the response of this endpoint while services are starting.",
		"safeguard-ps, welcome wizard"},
	{"firmware", "reinstall-build-date", "stays", []string{"differs"},
		"The build date is probably that of the firmware image. No other member shows that the same version was installed again.",
		"guide 7.0.5.1, sample of /api/info"},

	// Products.
	{"starling", "product-warnings", "issues", []string{"warnings", "warning", "message", "meta.warnings", "meta.warning", "meta.message",
		"error:200", "error:400", "error:500", "error:503"},
		"The guide has the texts of the warnings, but neither their place in the response nor the status code. The cluster status has its warnings in a member issues. The error type is invented.",
		"guide 7.4, Listing integrated products; guide 6.0.9, cluster status"},

	// Cluster, SPP and support bundles.
	{"appliance", "cluster-status", "403:ForbiddenActionError", []string{"400:NotInCluster", "404:ResourceNotFound", "500:NotInCluster"},
		"The client safeguard-ps treats any error as a sign that the appliance has no cluster.",
		"safeguard-ps, joining a cluster"},
	{"appliance", "spp-join-answer", "200-meta", []string{"200-body", "201-meta", "202", "204"},
		"Clients send the request and then wait. The response is not documented.",
		"safeguard-ps and SafeguardDotNet, joining to SPP"},
	{"appliance", "spp-joined-again", "400:JoinError", []string{"403:ForbiddenActionError", "409:JoinError", "500:JoinError", "502:JoinError"},
		"The client safeguard-ps expects the error code of SPP in the details of the error. The status and the type of the error are invented.",
		"safeguard-ps, joining to SPP"},
	{"appliance", "spp-without-members", "400:IncompleteRequestBodyError", []string{"400:SyntacticError", "422:IncompleteRequestBodyError"},
		"The vendor's clients send all three members in each request.",
		"safeguard-ps and SafeguardDotNet, joining to SPP"},
	{"appliance", "bundle-answer", "202", []string{"200", "201"},
		"The response has a key. The part of the guide with the status code was not available. A firmware fetch, which is also a long-running job, returns 202.",
		"guide 8.0, support bundle; safeguard-ps, support bundle"},
	{"appliance", "bundle-running", "in-progress", []string{"in_progress", "queued", "running", "IN-PROGRESS"},
		"The only known status is finished. The default is taken from the firmware downloads.",
		"safeguard-ps, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-finished", "finished", []string{"FINISHED"},
		"The client safeguard-ps, which checks this status, does not distinguish upper and lower case.",
		"safeguard-ps, support bundle"},
	{"appliance", "bundle-failed", "failed", []string{"error"},
		"The only known status is finished. The default is taken from the firmware downloads.",
		"safeguard-ps, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-second", "403:ForbiddenActionError", []string{"400:BundleInProgress", "409:BundleInProgress", "same", "new"},
		"The guide has a section about a second job while one is running, but the text of the section was not available.",
		"guide 8.0, support bundle"},
	{"appliance", "bundle-early", "404:ResourceNotFound", []string{"400:BundleNotFinished", "403:ForbiddenActionError", "409:BundleNotFinished"},
		"The guide does not describe the download of a bundle that is not finished.",
		"guide 8.0, support bundle"},
	{"appliance", "bundle-cancel", "removed", []string{"kept"},
		"A job can be cancelled. It is not known whether its record remains, as the record of a firmware download does.",
		"guide 8.0, support bundle; guide 7.0.5.1, firmware fetch"},
	{"appliance", "bundle-delete-answer", "200", []string{"204"},
		"The part of the guide that describes this response was not available.",
		"guide 8.0, support bundle"},

	// Recorded sessions.
	{"audit", "search-refused", "400:SyntacticError", []string{"400:InvalidQuery", "400:SemanticError"},
		"The Power BI connector handles the status 400 of an invalid filter. The error type is not known.",
		"Power BI connector, error texts of the search"},
	{"audit", "search-parameter", "400:SyntacticError", []string{"400:InvalidQuery", "ignored"},
		"The guide does not describe the response to an invalid limit, time or format.",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-unknown-field", "none", []string{"refused"},
		"A filter by a field that does not exist may find no sessions, or may be refused.",
		"none"},
	{"audit", "search-unknown-sort", "refused", []string{"ignored"},
		"The guide does not describe the response if the sort field does not exist.",
		"Power BI connector, search"},
	{"audit", "search-operator", "OR", []string{"AND"},
		"The guide calls the query language Lucene syntax. Lucene joins adjacent terms by OR, but many products based on Lucene join them by AND.",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-only-not", "all", []string{"none"},
		"In Lucene, a query that only excludes sessions finds nothing. In most products based on Lucene, such a query finds all other sessions.",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-phrase", "value", []string{"words"},
		"It is not documented whether a quoted phrase must match the whole value of a field or only some words in it.",
		"guide 6.0 to 6.9, content search"},
	{"audit", "search-time-ranges", "accepted", []string{"no-start-time", "no-end-time", "refused"},
		"The query language has ranges, but no sample has a range of times. The parameters start and end can limit the times instead.",
		"guide 6.0 to 6.9, content search; guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-no-fields", "keys", []string{"all"},
		"The guide says that an empty list returns keys only, and its sample shows this. It is a guess that a request without the parameter fields does the same.",
		"guide 7.1.1 and 8.0, basic search; SafeguardJava, tests"},
	{"audit", "search-fields-form", "nested", []string{"dotted"},
		"Requests name fields with dots. No response to such a request is documented.",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-ceiling", "ends", []string{"repeats"},
		"The appliance ignores an offset above 10000. It is not documented whether the links of the pages continue beyond 10000 sessions.",
		"guide 6.0.9, 7.1.1 and 8.0, basic search"},
	{"audit", "search-order", "stored", []string{"newest-first"},
		"The order of a search without the parameter sort is not documented.",
		"guide 7.1.1 and 8.0, basic search"},
	{"audit", "search-ties", "stored", []string{"shuffled"},
		"The order of sessions with the same sort value is not documented. It may differ between snapshots.",
		"none"},
	{"audit", "snapshot-quota", "appliance", []string{"user", "owner"},
		"Only one snapshot can exist at a time. The text that says whether this limit is per user was not available. According to the Power BI connector, a request of another user is refused, too.",
		"guide 7.4 and 7.5.1, advanced search; Power BI connector, troubleshooting"},
	{"audit", "snapshot-quota-error", "429:TooManyRequests", []string{"429:QuotaExceeded", "429:SnapshotQuotaExceeded"},
		"The Power BI connector handles the status 429. The error type is invented.",
		"Power BI connector, troubleshooting"},
	{"audit", "snapshot-retry-after", "none", []string{"300"},
		"It is not known whether the refusal has a Retry-After header.",
		"Power BI connector, troubleshooting"},
	{"audit", "snapshot-again", "replaced", []string{"refused", "same"},
		"The text about a second snapshot of the same owner was not available.",
		"guide 7.4, 7.5 and 7.5.1, advanced search"},
	{"audit", "snapshot-foreign", "404:ResourceNotFound", []string{"403:Unauthorized"},
		"A search in a snapshot that no longer exists returns 404. The response to a user who does not own the snapshot is not documented. The simulated appliance returns the same error for both.",
		"guide 7.5, advanced search; Power BI connector, error texts of the search"},
	{"audit", "snapshot-limit", "ignored", []string{"honoured"},
		"The guide describes limit for the basic search. The one sample of a snapshot search has the limit 500.",
		"Power BI connector, search"},
	{"audit", "snapshot-restart", "gone", []string{"kept"},
		"The guide does not say whether a snapshot survives a restart.",
		"none"},
	{"audit", "session-count", "with-snapshots", []string{"always"},
		"The Power BI connector uses the endpoint _count only with 7.3 and later.",
		"Power BI connector, search"},
	{"audit", "session-running-end", "absent", []string{"null"},
		"No sample shows a session that has not ended.",
		"guide 6.0 and Power BI connector, samples"},
	{"audit", "csv-header", "present", []string{"absent"},
		"The guide says that CSV is available, but does not describe its columns.",
		"guide 6.0.9 and 8.0, basic search"},
	{"audit", "stats-form", "value", []string{"name", "key", "buckets"},
		"The requests are documented. The sample responses are incomplete in every copy of the guide.",
		"guide 6.0 LTS, 6.0.4 and 8.0, statistics and histogram"},
	{"audit", "content-items", "bare", []string{"wrapped"},
		"The guide says that the response is a list. The items are assumed to be events.",
		"guide 6.0.1 to 6.9.3, content search"},
	{"audit", "event-channel", "channels_id", []string{"channel_id"},
		"The sample of events has channels_id. The sample of alerts and the list of search fields have channel_id.",
		"guide 6.0.12 and 7.4, events and search fields"},
	{"audit", "trail-missing", "404:ResourceNotFound", []string{"404:AuditTrailNotFound", "403:ForbiddenActionError", "400:AuditTrailNotFound"},
		"The guide does not describe the download for a session without a recording.",
		"guide 8.0, audit trail download"},
	{"audit", "trail-running", "served", []string{"refused"},
		"A session that has not ended is downloaded with format=srs. The response for the usual format is not documented.",
		"guide 8.0, audit trail download"},
	{"audit", "trail-length", "known", []string{"unknown"},
		"It is not documented whether the response has a Content-Length.",
		"guide 8.0, audit trail download; SafeguardJava, tests"},
	{"audit", "trail-link", "path", []string{"url"},
		"For a session with a recording, the link is a string. The only sample of a link has null.",
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

// WithVariant returns an option that selects an alternative, or the default, of a
// variant. The option fails if the variant or the alternative does not exist.
func WithVariant(name, alternative string) Option {
	return func(a *Appliance) error {
		if err := checkVariant(name, alternative); err != nil {
			return err
		}
		a.variants[name] = alternative
		return nil
	}
}

// ParseVariant returns the option of [WithVariant] for a text of the form
// "name=alternative", for example the value of a command-line flag. It returns an error if
// the text has another form, or if the variant or the alternative does not exist.
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

// checkVariant returns an error if a variant or its alternative does not exist.
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

// variant returns the selected alternative of a variant, or its default.
func (a *Appliance) variant(name string) string {
	if v, ok := a.variants[name]; ok {
		return v
	}
	for i := range assumptions {
		if assumptions[i].Name == name {
			return assumptions[i].Default
		}
	}
	panic("spstest: no variant " + name) // reached only by a bug in this package
}
