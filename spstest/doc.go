// Package spstest is a simulated One Identity Safeguard for Privileged
// Sessions (SPS) appliance for tests. It speaks the REST API below /api over
// TLS, or in process without any socket, and needs nothing but the standard
// library.
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
// [NewServer] closes the appliance when the test ends; a program gives nil in place of
// the test, and closes it itself. A client that takes an http.RoundTripper can use an
// appliance without sockets, which is the way into testing/synctest:
//
//	appliance := spstest.NewServer(t, spstest.WithoutListener())
//
// # What it is
//
// Users with rights, sessions, one configuration lock, staged changes that
// only their owner sees, commit and rollback, a configuration tree that checks
// what is written to it, and firmware: slots whose tests fail as told, uploads,
// downloads, and upgrades that restart it. It is strict: an unknown path, a
// wrong method, a write without the lock gets the error of the appliance. It ignores
// members that it does not know without an error, as the appliance does, whether an object
// is made or changed; Ignored of a [Request] in the journal names them, so that a test can
// find what is misspelt. Time comes from [WithClock]; nothing sleeps to advance a state,
// unless told to.
//
// A new appliance has the administrator "admin" with the password "a", runs 7.4.0
// from slot 1 and behaves like it (see [WithProfile] for others), has 8.0.0 in slot 2,
// 6.0.10 in slot 4 and nothing in 3 and 5, and
// alerts, mail settings, trust stores and a few policies as in the guide's
// samples. It is healthy, alone, and not joined to Starling. An [Option] changes that
// from the start, and a method of [Appliance] while it runs.
//
// # What goes wrong
//
// [Appliance.Inject] delays, cuts, truncates or falsifies answers, before or
// after the request was executed. [ParseFault] reads one from a line of text.
// [Appliance.ExpireSessions] and [Appliance.LockConfiguration] get in the way of a
// client, and [Appliance.Journal] tells what arrived.
//
// A fault that could never apply, as one with a misspelt path, is refused, and a test
// whose fault was never met fails at its end, see [Appliance.MissedFaults]: what should
// have been tested was not. MayMiss of a [Fault] allows it.
//
// # What takes time
//
// A request is executed at once, unless [WithTakes], [Appliance.SetTakes] or the Takes of
// a [Fault] let it last. Its effect comes at the end, whether its client is still there
// or not, and other requests see it going on: a transaction that is being committed is
// open, and holds the lock. Detached and AnswerDelay of a fault lose its answer early, or
// send it late. [Appliance.Busy] counts what goes on, and [Appliance.WaitIdle] waits for
// the end of it, when what a client said about a request can be held against what
// became of it.
//
// # Firmware
//
// An image is a file that begins with a line such as "SPS-FIRMWARE 8.1.0";
// [Image] makes one of any size. An upload is hashed and counted, not kept, so
// that gigabytes cost nothing; [Appliance.Uploads] tells what arrived. A
// download is pretended: [Appliance.ServeImage] says what a URL gives, and it
// goes on each time that somebody looks, see [WithFetchPolls].
//
// An upgrade restarts the appliance. A restart goes on with each request or
// connection that it meets, see [WithRestart]: some are still served, some are
// refused, some get an error page, some meet an appliance that is not complete.
// Then the firmware, its version and its build date are new, or whatever
// [Appliance.AfterRestart] says. [Appliance.Restart] restarts without an
// upgrade, [Appliance.Restarts] counts both. Behind [Appliance.Handler] there
// is no connection to refuse or cut: it answers 503 in place of a refusal.
//
// # Configuration
//
// What is written is checked as the guide says: kinds of values, references,
// names, the revocation checks and certificates of trust stores, the dependence
// of remote access on a join to Starling. The store "My_Custom_Trust_Store" can
// be deleted, "LDAP_CAs" is in use. [Appliance.Configuration] and
// [Appliance.SetConfiguration] look at and change what is committed, as somebody
// else would; [Appliance.SetStarling] joins.
//
// [WithUser] takes rights for all paths, and for some: [ReadOnlyAt],
// [NoAccessTo].
//
// # Recorded sessions
//
// [WithAuditSessions] makes recorded sessions, millions where a test wants them: what is
// in one is made when it is asked for. Both searches of the API find them, with the query
// language, snapshots and their quota; events, alerts, channels, the index, statistics and
// recordings of any size belong to them, see [WithAuditTrailSize]. [NoSearch] is the right
// to do without.
//
// While a test runs, [Appliance.AddAuditSession], [Appliance.EndAuditSession] and
// [Appliance.ArchiveAuditSession] go on, and [Appliance.DropSnapshots] gets in the way of
// a search. [Appliance.AuditSessions] lists what there is, and [Appliance.AuditTrail] is a
// recording, to compare with what a client got.
//
// # Neighbours
//
// Support bundles go on each time that somebody looks, see [WithBundlePolls],
// and fail after [Appliance.FailBundles]. [Appliance.SetHealth] lays what is wrong
// over the health status, [Appliance.SetSetupStatus] sets the status of the
// wizard, [WithCluster] puts the appliance at the head of a cluster. A POST of cluster/spp
// joins it to Safeguard for Privileged Passwords, which the integrated products show.
//
// # What is unknown
//
// The documentation of the API leaves some answers open. Each of them is a
// [Variant] with a default, alternatives and a reason; see [Variants] and
// [WithVariant]. A client that is right passes its tests under every one.
// Differences between releases of the appliance are profiles, see
// [WithProfile].
//
// # What it does not do
//
// [Implemented] lists what exists; every other path gives a ResourceNotFound.
// Nothing is downloaded, no image is looked into beyond its first line, and a
// firmware behaves like any other: what differs between releases is the
// profile, which an upgrade does not change.
package spstest
