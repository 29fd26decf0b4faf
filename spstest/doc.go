// Package spstest is a simulated One Identity Safeguard for Privileged Sessions (SPS)
// appliance for tests. It serves the REST API below /api over TLS, or in process without
// a socket. It imports only the standard library.
//
//	func TestPrecheck(t *testing.T) {
//		appliance := spstest.NewServer(t)
//		appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
//		client, err := sps.Connect(t.Context(), appliance.Addr(),
//			sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
//			sps.WithCABundle(appliance.CA()))
//		// call the code under test with client
//	}
//
// [NewServer] closes the appliance when the test ends. A program passes nil instead of a
// test and closes the appliance itself. A client that accepts an http.RoundTripper can
// use an appliance without sockets, for example inside a testing/synctest bubble:
//
//	appliance := spstest.NewServer(t, spstest.WithoutListener())
//
// # Tasks
//
//   - Start an appliance: [NewServer], [WithProfile], [WithUser], [WithSlots]
//   - Make a firmware test fail: [Appliance.SetSlot], [NotEnoughStorage]
//   - Inject a fault: [Appliance.Inject], [WithFaults], [ParseFault]
//   - Make a request slow: [WithTakes], [Appliance.SetTakes]
//   - Hold the configuration lock: [Appliance.LockConfiguration]
//   - Change the configuration as another user: [Appliance.SetConfiguration]
//   - Check what was sent: [Appliance.Journal], [Appliance.Commits], [Appliance.Uploads]
//   - Create recorded sessions: [WithAuditSessions], [Appliance.AddAuditSession]
//   - Restart the appliance: [Appliance.Restart], [WithRestart], [Appliance.AfterRestart]
//   - Test against another interpretation of an undocumented detail: [Variants], [WithVariant]
//
// # What it simulates
//
// The appliance has users with rights, sessions, one configuration lock, and transactions:
// staged changes are visible to their own session until they are committed or rolled back.
// The appliance checks the changes of the configuration. It has firmware slots with
// configurable test results, uploads, downloads, and upgrades that restart the appliance.
//
// The appliance is strict: it refuses unknown paths, wrong methods, and writes without the
// lock, with the errors of the API. Like a real appliance, it silently ignores unknown
// members when an object is created or changed. The field Ignored of a [Request] in the
// journal lists them, so that a test can find misspelt members. Downloads, support bundles
// and restarts advance with each request, not with time. The appliance does not sleep,
// unless a test configures a delay. [WithClock] sets its clock.
//
// # Sample data
//
// A new appliance has the administrator "admin" with the password "a". It runs 7.4.0 from
// slot 1 and behaves like that release (see [WithProfile] for others). Slot 2 has 8.0.0,
// slot 4 has 6.0.10, and slots 3 and 5 are empty. The appliance is healthy, not in a
// cluster and not joined to Starling. It has no recorded sessions, downloads or support
// bundles.
//
// Most of the configuration consists of samples from the guide, for example the mail
// settings, the SNMP agent and a few policies. The other values are made up. The alerts are
// switched off. [Implemented] lists the endpoints.
//
// There are three trust stores: the built-in store, which does not list its certificates,
// "My_Custom_Trust_Store" with a CA certificate that expires in 2034, and "LDAP_CAs" with
// one that expires in 2049. The server certificate is valid for ten years from the start
// of the appliance. So none of the certificates expires within a year. The appliance has no
// data about its license.
//
// To test code that looks for expiring CA certificates, make a certificate with
// x509.CreateCertificate and a NotAfter of tomorrow, for example. Then store it in a trust
// store with the method Create of the TrustStores of an sps.Transaction, or with a POST of
// configuration/trust_stores.
// To test a client with an expiring server certificate, use [WithCertificate].
//
// An [Option] changes the sample data from the start, and a method of [Appliance] changes
// it later.
//
// # Faults
//
// [Appliance.Inject] adds a fault that delays, cuts, truncates or replaces responses, before
// or after the request is executed. [ParseFault] reads a fault from one line of text.
// [Appliance.ExpireSessions] ends the sessions, and [Appliance.LockConfiguration] takes the
// configuration lock. [Appliance.Journal] returns the received requests.
//
// Inject refuses an invalid fault, for example one with a misspelt path. If a fault did not
// apply to any request, the test fails at its end, see [Appliance.MissedFaults]. Set MayMiss
// of the [Fault] to permit this.
//
// # Requests that take time
//
// A request is executed at once, unless [WithTakes], [Appliance.SetTakes] or the field Takes
// of a [Fault] sets a duration. The request then has its effect at the end of the duration,
// even if its client has disconnected. Until then, other requests see that it is running:
// for example, a transaction that is being committed is still open and holds the lock. With
// the field Detached of a fault, the client loses the response before the execution ends.
// With AnswerDelay, the response is sent late. [Appliance.Busy] counts the running requests.
// [Appliance.WaitIdle] waits until they have ended, so that a test can compare the client's
// result with the actual outcome.
//
// # Firmware
//
// A firmware image is a file that starts with a line such as "SPS-FIRMWARE 8.1.0". [Image]
// makes an image of any size. The appliance computes the size and the SHA-256 of an uploaded
// image but does not store its content, so a large upload needs little memory.
// [Appliance.Uploads] lists the uploaded images. Downloads are simulated:
// [Appliance.ServeImage] sets the image of a URL, and a download advances with each poll,
// see [WithFetchPolls].
//
// An upgrade restarts the appliance. A restart advances with each request or connection,
// see [WithRestart]. First the appliance still serves some requests, then it refuses some
// connections, then it sends some error pages, and then it is not ready for some requests.
// After the restart, the appliance runs the new firmware with its version and build date,
// unless [Appliance.AfterRestart] sets another outcome. [Appliance.Restart] restarts
// without an upgrade. [Appliance.Restarts] counts both kinds. [Appliance.Handler] cannot
// refuse or cut a connection during a restart, so it sends the status 503 instead.
//
// # Configuration
//
// The appliance checks writes by the rules of the guide: types of values, references,
// names, the revocation checks and certificates of trust stores, and remote access, which
// needs a join to Starling. The trust store "My_Custom_Trust_Store" can be deleted, but
// "LDAP_CAs" cannot be deleted, because an LDAP policy refers to it.
// [Appliance.Configuration] reads the committed values, and [Appliance.SetConfiguration]
// changes them, as another user would.
// [Appliance.SetStarling] joins the appliance to Starling.
//
// [WithUser] adds a user with rights for all paths, such as [ReadOnly], or for some paths,
// see [ReadOnlyAt] and [NoAccessTo].
//
// # Recorded sessions
//
// [WithAuditSessions] creates recorded sessions. Their content is generated on request, so
// there can be millions of them. A test can search them with the basic search and with
// snapshots, including the query language and the quota of snapshots. The sessions have
// events, alerts, channels, indexing results, statistics and recordings; for the size of
// the recordings, see [WithAuditTrailSize]. Searches of a user with the right [NoSearch]
// fail.
//
// While a test runs, [Appliance.AddAuditSession], [Appliance.EndAuditSession] and
// [Appliance.ArchiveAuditSession] change the sessions, and [Appliance.DropSnapshots]
// deletes the snapshots that a search reads. [Appliance.AuditSessions] lists the sessions,
// and [Appliance.AuditTrail] returns a recording to compare a download with.
//
// # Other areas
//
// The creation of a support bundle advances with each poll, see [WithBundlePolls].
// [Appliance.FailBundles] makes it fail. [Appliance.SetHealth] changes the health status.
// [Appliance.SetSetupStatus] sets the status of the setup. [WithCluster] makes the
// appliance the Central Management node of a cluster. A POST of cluster/spp joins the
// appliance to Safeguard for Privileged Passwords, which changes the integrated products.
//
// # Undocumented details
//
// The documentation of the API does not specify some details of the responses. Each of
// these details is a [Variant] with a default, alternatives and a reason; see [Variants]
// and [WithVariant]. Run the tests of a client with the alternatives too: a robust client
// passes with any of them. Differences between releases of the appliance are profiles, see
// [WithProfile].
//
// # Limits
//
// [Implemented] lists the implemented endpoints. Other paths return the error
// ResourceNotFound. The appliance does not download files, and it reads the version of an
// image from its first line. The profile determines the behaviour of the API. An upgrade
// changes the firmware version but not this behaviour.
package spstest
