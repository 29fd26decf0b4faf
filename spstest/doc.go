// Package spstest is a simulated One Identity Safeguard for Privileged
// Sessions (SPS) appliance for tests. It speaks the REST API below /api over
// TLS, or in process without any socket, and needs nothing but the standard
// library.
//
//	func TestPrecheck(t *testing.T) {
//		appliance := spstest.NewServer(t)
//		appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
//		// point the client under test at appliance.Addr(), trust appliance.CA()
//	}
//
// # What it is
//
// Users with rights, sessions, one configuration lock, staged changes that
// only their owner sees, commit and rollback, a configuration tree that checks
// what is written to it, and firmware slots whose tests fail as told. It is
// strict: an unknown path, a wrong method, a write without the lock gets the
// error of the appliance. Time comes from [WithClock]; nothing sleeps to
// advance a state.
//
// # What is unknown
//
// The documentation of the API leaves some answers open. Each of them is a
// [Variant] with a default, alternatives and a reason; see [Variants] and
// [WithVariant]. A client that is right passes its tests under every one.
// Differences between releases of the appliance are profiles, see
// [WithProfile].
//
// # What goes wrong
//
// [Appliance.Inject] delays, cuts, truncates or falsifies answers, before or
// after the request was executed. [Appliance.Journal] tells what arrived.
//
// # What it does not do
//
// [Implemented] lists what exists. The firmware listing names fetch and upgrade
// because the appliance's does, but calling them gives a ResourceNotFound, as
// does every path that is not on the list.
package spstest
