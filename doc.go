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
// The protocol is https. Other ways to log in are [PasswordFunc], for vaults and
// one-time codes, [ClientCertificate], and [ExistingSession]; [ConnectFromEnv] takes all
// from the environment. [NewClient] logs in with the first call, and [Client.WaitReady] waits for an
// appliance that starts. A [Secret] shows a placeholder wherever it is printed.
//
// # Trust the certificate
//
// Without an option, the system's authorities must vouch for the appliance's
// certificate, and those of a usual appliance do not: it has an authority of its own.
// Give that to [WithCABundle], or the certificate's SHA-256 to
// [WithPinnedCertificates]. A Connect that fails for this reason tells the fingerprint
// that the appliance showed; compare it with the appliance's own before you pin it.
//
//	var untrusted *sps.CertificateError
//	if errors.As(err, &untrusted) {
//		fmt.Println(untrusted.Fingerprint)
//	}
//
// # Read
//
// Read through the client. Its fields follow the paths of the API:
// configuration/management/snmp/trap is client.Management.SNMP.Trap. An [Object] is its
// key, its meta and its body.
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
// [Client.Invoke] sends whatever is left, and [Client.Download] reads files.
//
// # Change
//
// Write the configuration in a transaction, through the same fields of the
// [Transaction].
// [Client.Transaction] runs a function and commits what it wrote; it rolls back when
// the function fails, panics or its context is done. The first write takes the
// configuration lock: a function that changes nothing needs neither lock nor message.
//
//	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
//		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
//			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied)
//		})
//	}, sps.WithMessage("CHG-1234"))
//
// An update reads the object and lays only what the function changed over it:
// members that the SDK does not know stay as they are. A handle of yours is written
// likewise, by [Singleton.In] and [Collection.In]. [Client.Preview] runs the same
// function as a dry run and returns what it would change.
//
// Transactions run in a session of their own, so that other reads of the client show what
// is committed. A client has one transaction at a time, and other calls of Transaction
// wait for their turn. Somebody else may hold the configuration, which is [ErrLocked]
// unless [WithLockWait] is given, or have changed what the function had read,
// [ErrConflict]. A commit whose answer was lost is a success where the appliance shows
// that it was executed, and [ErrOutcomeUnknown] otherwise.
//
// # Handle errors
//
// The appliance refuses by an error type. Each is an error value, and its details
// are errors too:
//
//	report, err := client.Firmware.Test(ctx, "2")
//	var failed *sps.FirmwareTestFailedDetails
//	switch {
//	case err == nil: // passed: report.TestSummary
//	case errors.As(err, &failed): // the appliance says no: failed.ExitCode, failed.TestSummary
//	case errors.Is(err, sps.ResourceNotFound): // the slot is empty, or there is none
//	default: // it could not be tested
//	}
//
// An [Error] is the appliance's refusal, with all of its answer. A [TransportError] is
// a request without an answer that can be relied on: where a write may have been
// executed it is [ErrOutcomeUnknown] as well, so look before you repeat it. Where the client
// can find out by itself, it asks for up to [Timeouts].Outcome first. An argument
// that cannot be right, or breaks a rule of the guide, is [ErrInvalidInput], and nothing
// was sent. What else the SDK itself has to say are error values too, such as
// [ErrTransactionOnly] and [ErrClosed]. Texts of errors are one line and hold no secret.
//
// # Firmware
//
// A slot is named by its key, never by its position. [Firmware.Test] asks whether an
// upgrade to a slot's image is possible; a report means that it passed, and nothing
// else does. [Firmware.Upgrade] goes from an image to the running version: it uploads,
// tests, upgrades, waits for the restart and verifies.
//
//	report, err := client.Firmware.Upgrade(ctx, sps.FromFile("sps-8.0.0.iso"))
//
// [FromSlot] takes an image that is there, [FromURL] lets the appliance download it,
// [WithTestOnly] makes it a dry run. An [FirmwareUpgradeError] says at which step it stopped,
// and what is left. The steps are methods too: [Firmware.Upload] and
// [FirmwareFetches.Start], [Firmware.StartUpgrade], [Firmware.WaitForVersion].
//
// # Retries and time limits
//
// A read is tried up to four times, after connection errors and the statuses 429,
// 502, 503 and 504, with random waits that grow. A write is tried again only where
// it was certainly not executed: when the connection could not be made, and for a
// PUT or DELETE outside a transaction after a 429. A POST, a commit and a step
// of a transaction are never sent twice to an appliance that may have received
// them, but for a firmware test, which changes nothing. A Retry-After is obeyed up to 30 seconds; one above it ends the attempts.
// [WithRetry] changes these numbers, see [RetryPolicy].
//
// Each attempt has a time limit by its kind: a minute for a read, half an hour for a
// firmware test, none in all for an upload, which must not stand still. [WithTimeouts]
// changes them, see [Timeouts]; the context of a call bounds all its attempts
// together.
//
// A session that has expired is renewed by one login for all callers, and the call
// is repeated once. A password that the appliance refuses is not sent again, so that the
// account is not locked, but by [WithLoginRetry]; a [PasswordFunc] may return another one.
// [Client.Err] tells when no call can succeed any more.
//
// # Log and trace
//
// [WithLogger] logs one record for each attempt of a request, from a list of what may
// be seen: never a header, a body or the value of a query. It comes with the context
// of the call, so that a slog.Handler can add the id of its trace. [WithTransport]
// wraps the http.RoundTripper, which sees each attempt with the same context: that is
// the place for OpenTelemetry's otelhttp. The program in examples/tracing has both.
//
//	sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
//		return otelhttp.NewTransport(base)
//	})
//
// # Test your own code
//
// Package [github.com/go-sps/sps/spstest] is a simulated appliance, with faults:
//
//	appliance := spstest.NewServer(t)
//	appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
//	client, err := sps.Connect(t.Context(), appliance.Addr(),
//		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
//		sps.WithCABundle(appliance.CA()))
package sps
