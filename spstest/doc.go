// Package spstest is a simulated One Identity Safeguard for Privileged Sessions (SPS)
// appliance for tests. It serves the REST API below /api over TLS, or in process without
// a socket. It needs only the standard library.
//
//	func TestPrecheck(t *testing.T) {
//		appliance := spstest.NewServer(t)
//		appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
//		client, err := sps.Connect(t.Context(), appliance.Addr(),
//			sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
//			sps.WithCABundle(appliance.CA()))
//		// and your own code with the client
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
//   - Try what the documentation leaves open: [Variants], [WithVariant]
//
// # What it simulates
//
// The appliance has users with rights, sessions, one configuration lock, and staged
// changes that only their owner sees. It commits and rolls back, and checks what is
// written to the configuration. Its firmware has slots with configurable test results,
// uploads, downloads, and upgrades that restart the appliance.
//
// It is strict: an unknown path, a wrong method or a write without the lock gets the
// error of the appliance. Like the appliance, it silently ignores unknown members when an
// object is created or changed. Ignored of a [Request] in the journal names them, so that
// a test can find misspelt members. Time comes from [WithClock]. Nothing sleeps to
// advance a state unless a test asks for it.
//
// A new appliance has the administrator "admin" with the password "a". It runs 7.4.0 from
// slot 1 and behaves like that release (see [WithProfile] for others). Slot 2 has 8.0.0,
// slot 4 has 6.0.10, and slots 3 and 5 are empty. Alerts, mail settings, trust stores and
// a few policies are those of the guide's samples. The appliance is healthy, not in a
// cluster and not joined to Starling. An [Option] changes this from the start, and a
// method of [Appliance] changes it later.
//
// # Faults
//
// [Appliance.Inject] delays, cuts, truncates or falsifies answers, before or after the
// request was executed. [ParseFault] reads a fault from one line of text.
// [Appliance.ExpireSessions] and [Appliance.LockConfiguration] disturb a client.
// [Appliance.Journal] returns the received requests.
//
// A fault that can never apply, such as one with a misspelt path, is refused. If no
// request meets a fault, the test fails at its end, because it did not test what it
// should, see [Appliance.MissedFaults]. MayMiss of a [Fault] permits this.
//
// # Requests that take time
//
// A request is executed at once, unless [WithTakes], [Appliance.SetTakes] or Takes of a
// [Fault] makes it last. Its effect then comes at the end, even if its client has left,
// and other requests see that it is running: a transaction that is being committed is
// open and holds the lock. Detached and AnswerDelay of a fault lose the answer early, or
// send it late. [Appliance.Busy] counts the running requests. [Appliance.WaitIdle] waits
// until all have ended, so that a test can compare the client's result with the actual
// outcome.
//
// # Firmware
//
// An image is a file that starts with a line such as "SPS-FIRMWARE 8.1.0". [Image] makes
// one of any size. An upload is hashed and counted but not stored, so gigabytes need no
// memory. [Appliance.Uploads] returns the received images. Downloads are simulated:
// [Appliance.ServeImage] sets the image of a URL, and a download advances with each poll,
// see [WithFetchPolls].
//
// An upgrade restarts the appliance. A restart advances with each request or connection,
// see [WithRestart]: some are still served, some are refused, some get an error page, and
// some meet an appliance that is not ready. Then the firmware, its version and its build
// date are new, or as [Appliance.AfterRestart] sets them. [Appliance.Restart] restarts
// without an upgrade. [Appliance.Restarts] counts all restarts. [Appliance.Handler] has
// no connection to refuse or cut, so it answers 503 instead.
//
// # Configuration
//
// The appliance checks writes by the rules of the guide: types of values, references,
// names, the revocation checks and certificates of trust stores, and remote access, which
// needs a join to Starling. The store "My_Custom_Trust_Store" can be deleted; "LDAP_CAs"
// is in use. [Appliance.Configuration] and [Appliance.SetConfiguration] read and change
// the committed values, as another user would. [Appliance.SetStarling] joins the
// appliance to Starling.
//
// [WithUser] takes rights for all paths or for some paths: [ReadOnlyAt], [NoAccessTo].
//
// # Recorded sessions
//
// [WithAuditSessions] creates recorded sessions, even millions, because their content is
// generated on request. Both searches of the API find them, with the query language,
// snapshots and their quota. They have events, alerts, channels, indexing results,
// statistics and recordings of any size, see [WithAuditTrailSize]. The right [NoSearch]
// makes searches fail.
//
// While a test runs, [Appliance.AddAuditSession], [Appliance.EndAuditSession] and
// [Appliance.ArchiveAuditSession] change the sessions, and [Appliance.DropSnapshots]
// disturbs a search. [Appliance.AuditSessions] lists the sessions, and
// [Appliance.AuditTrail] returns a recording for comparison.
//
// # Other areas
//
// A support bundle advances with each poll, see [WithBundlePolls], and fails after
// [Appliance.FailBundles]. [Appliance.SetHealth] changes the health status.
// [Appliance.SetSetupStatus] sets the status of the setup. [WithCluster] makes the
// appliance the Central Management node of a cluster. A POST of cluster/spp joins the
// appliance to Safeguard for Privileged Passwords, which changes the integrated products.
//
// # Open details
//
// The documentation of the API leaves some answers open. Each of them is a [Variant] with
// a default, alternatives and a reason; see [Variants] and [WithVariant]. A correct
// client passes its tests with every variant. Differences between releases of the
// appliance are profiles, see [WithProfile].
//
// # Limits
//
// [Implemented] lists the implemented endpoints; every other path returns
// ResourceNotFound. Nothing is downloaded, and only the first line of an image is read.
// All firmware versions behave alike: the profile determines the behaviour of a release,
// and an upgrade does not change it.
package spstest
