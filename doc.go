// Package sps is a client of the REST API of One Identity Safeguard for
// Privileged Sessions (SPS).
//
// # Connect
//
// [Connect] logs in and returns a [Client], safe for any number of goroutines.
// [Client.Close] rolls back what is open and logs out, also when its context is
// done.
//
//	client, err := sps.Connect(ctx, "sps1.example.com",
//		sps.UsernamePassword("admin", sps.NewSecretString(password)),
//		sps.WithCABundle(pem))
//	if err != nil {
//		return err
//	}
//	defer client.Close(ctx)
//
// The protocol is https, and the appliance's certificate is verified: against
// the system's roots, against a CA bundle, or by its fingerprint
// ([WithPinnedCertificates]), which suits the usual self-signed appliance.
//
// # Read
//
// Reads hang on the client. An [Object] is its key, its meta and its body.
//
//	for store, err := range client.TrustStores.All(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(store.Key, store.Body.Name)
//	}
//
// [NewSingleton] and [NewCollection] type any endpoint in one line with a struct of
// yours, or with json.RawMessage; [Client.Walk] goes over the whole configuration;
// [Client.Invoke] sends whatever is left.
//
// # Change
//
// The configuration is written in a transaction, and nowhere else.
// [Client.Transaction] opens one, runs a function and commits; it rolls back when
// the function fails, panics or its context is done.
//
//	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
//		return tx.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
//			return a.Enable(sps.Email, sps.AlertConnectionDenied)
//		})
//	}, sps.CommitMessage("CHG-1234"))
//
// An update reads the object and lays only what the function changed over it:
// members that the SDK does not know stay as they are. What the guide's rules refuse
// is not sent: it is [ErrInvalidInput], with the reason in words.
//
// [Client.Preview] runs the same function as a dry run and returns what it would
// change.
//
// A transaction belongs to the session. While one is open, reads of the same
// client see its staged changes, those of nobody else do. Somebody else may hold the
// configuration, [ErrLocked], or have changed what the function had read,
// [ErrConflict].
//
// # Errors
//
// An appliance refuses by an error type. Each is an error value, and its details
// are errors too:
//
//	report, err := client.Firmware.Test(ctx, "2")
//	var failed *sps.FirmwareTestFailure
//	switch {
//	case errors.As(err, &failed): // failed.ExitCode, failed.TestSummary
//	case errors.Is(err, sps.ResourceNotFound): // the slot is empty, or there is none
//	}
//
// [Error] has all of the answer. A request without a usable answer is a
// [TransportError]; where a write may have been executed it is
// [ErrOutcomeUnknown] as well. An argument that cannot be right is
// [ErrInvalidInput], and nothing was sent.
//
// # Firmware
//
// A slot is named by its key, never by its position. [Firmware.Test] asks whether an
// upgrade to a slot's image is possible; a report means that it passed, and nothing
// else does. [Firmware.Upgrade] goes from an image to the running version:
//
//	report, err := client.Firmware.Upgrade(ctx, sps.FromFile("sps-8.0.0.iso"))
//
// Its steps are methods too: [Firmware.Upload] and [Firmware.StartFetch],
// [Firmware.StartUpgrade], [Firmware.WaitForVersion].
//
// # Retries and time limits
//
// A read is tried up to four times, after connection errors and the statuses 429,
// 502, 503 and 504, with random waits that grow. A write is tried again only where
// it was certainly not executed: when the connection could not be made, and for a
// PUT or DELETE outside a transaction after a 429. A POST, a commit and a step
// of a transaction are never sent twice to an appliance that may have received
// them. A Retry-After is obeyed up to 30 seconds; one above it ends the attempts.
// See [RetryPolicy].
//
// Each attempt has a time limit by its kind, see [Timeouts]; the context of a
// call bounds all of them together.
//
// A session that has expired is renewed by one login for all callers, and the call
// is repeated once. A login that the appliance refuses is not tried again.
//
// # Logging and tracing
//
// [WithLogger] logs one record per request with the caller's context, from a list
// of what may be seen. [WithTransport] wraps the http.RoundTripper, for tracing.
//
// # Tests without an appliance
//
// Package [github.com/go-sps/sps/spstest] is a simulated appliance for the tests of
// your own code.
package sps
