// Package sps is a client for the REST API of One Identity Safeguard for Privileged
// Sessions (SPS).
//
// # Areas
//
// To read an area, use the field of [Client] in this table. To change its configuration,
// use the field of [Transaction] with the same name.
//
//	endpoint below /api/              client field                            file
//	configuration/alerting            client.Alerting                         alerting.go
//	configuration/management          client.Management                       management.go
//	configuration/trust_stores        client.TrustStores                      truststores.go
//	configuration/starling, starling  client.Starling                         starling.go
//	firmware                          client.Firmware                         firmware.go
//	audit/sessions                    client.Audit.Sessions                   audit.go, package audit
//	cluster                           client.Cluster                          appliance.go
//	troubleshooting                   client.Troubleshooting                  troubleshooting.go
//	info                              client.Info                             appliance.go
//	user_info                         client.UserInfo                         appliance.go
//	health_status                     client.HealthStatus                     appliance.go
//	transaction                       client.Transaction                      transaction.go
//	integrated_products               client.IntegratedProducts               starling.go
//	setup                             SetupStatus                             appliance.go
//	any other endpoint                NewSingleton, NewCollection, client.Invoke
//
// # Tasks
//
//   - Log in: [Connect], [ConnectFromEnv], [NewClient], [UsernamePassword]
//   - Trust the appliance's certificate: [WithCABundle], [WithPinnedCertificates]
//   - Wait for an appliance that starts: [Client.WaitReady]
//   - Change the configuration: [Client.Transaction], [SingletonTx.Update]
//   - See what a change would do: [Client.Preview]
//   - Wait for the configuration lock: [WithLockWait]
//   - Handle an error: [Error], [KindOf], [SafeToRetry]
//   - Test a firmware image: [Firmware.Test]
//   - Upgrade an appliance: [Firmware.Upgrade]
//   - Find recorded sessions: [AuditSessions.Search], [AuditSessions.Follow]
//   - Download an audit trail: [AuditSessions.DownloadTrail]
//   - Read the health of an appliance: [Client.HealthStatus]
//   - Read the whole configuration: [Client.Walk]
//   - Call an endpoint that has no field in [Client]: [NewSingleton], [NewCollection], [Client.Invoke]
//   - Test your program without an appliance: package [github.com/go-sps/sps/spstest]
//
// # Connect
//
// [Connect] logs in and returns a [Client]. Several goroutines may use a client at the
// same time. [Client.Close] rolls back an open transaction and logs out, even if its
// context is done.
//
//	client, err := sps.Connect(ctx, "sps1.example.com",
//		sps.UsernamePassword("admin", sps.NewSecretString(password)),
//		sps.WithCABundle(pem))
//	if err != nil {
//		return err
//	}
//	defer client.Close(ctx)
//
// The client uses HTTPS. There are three other ways to log in: [PasswordFunc] for vaults
// and one-time codes, [ClientCertificate], and [ExistingSession]. [ConnectFromEnv] reads
// the host, the user, the password and the certificates from environment variables.
// [NewClient] returns a client that logs in at its first call. [Client.WaitReady] waits
// for an appliance that is starting. A [Secret] holds a password or another secret; if
// you print it, a placeholder appears.
//
// # Trust the certificate
//
// By default, the client verifies the appliance's certificate with the certificate
// authorities of the operating system. This fails for most appliances, because an
// appliance issues its certificate from its own authority. Pass the certificate of that
// authority to [WithCABundle], or pass the SHA-256 fingerprint of the appliance's
// certificate to [WithPinnedCertificates]. If Connect fails because of the certificate,
// the error has the fingerprint of the certificate that the appliance presented. Compare
// it with the fingerprint shown on the appliance itself before you pin it.
//
//	var untrusted *sps.CertificateError
//	if errors.As(err, &untrusted) {
//		fmt.Println(untrusted.Fingerprint)
//	}
//
// # Read
//
// To read an endpoint, use the fields of the client. They follow the paths of the API:
// for configuration/management/snmp/trap, use client.Management.SNMP.Trap. An [Object]
// has a key, metadata and a body.
//
//	for store, err := range client.TrustStores.All(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(store.Key, store.Body.Name)
//	}
//
// For an endpoint that has no field in [Client], [NewSingleton] and [NewCollection] make a
// handle in one line. The type of its body is a struct of your own or json.RawMessage.
// [Client.Walk] reads the whole configuration. [Client.Invoke] sends any other request.
// [Client.Download] downloads files.
//
// # Change
//
// Change the configuration inside a transaction, with the fields of the [Transaction].
// [Client.Transaction] runs your function and commits the changes that the function
// wrote. It rolls back if the function returns an error or panics, or if its context is
// done. The first write takes the configuration lock, so a function that changes nothing
// needs neither the lock nor a commit message.
//
//	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
//		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
//			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied)
//		})
//	}, sps.WithMessage("CHG-1234"))
//
// An update reads the object, calls your function, and writes the members that your
// function changed. All other members keep their values, including members that the SDK
// does not know. To use a handle from [NewSingleton] or [NewCollection] in a transaction,
// call [Singleton.In] or [Collection.In]. [Client.Preview] runs the same function as a
// dry run and returns the changes that it would make.
//
// A transaction runs in its own session. Reads outside the transaction return committed
// values. A client runs one transaction at a time; a second call of Transaction waits
// until the first has ended. If somebody else holds the configuration lock, the
// transaction fails with [ErrLocked]; with [WithLockWait], it waits for the lock. If
// somebody else changed an object after the function had read it and before the function
// wrote it, the transaction fails with [ErrConflict]. If the response to a commit is
// lost, the client checks whether the appliance executed the commit. The transaction then
// succeeds, or fails with [ErrOutcomeUnknown].
//
// # Handle errors
//
// If the appliance refuses a request, its response has an error type, such as
// ResourceNotFound. In this package, each documented error type is an error value for
// errors.Is. If an error type has details, errors.As returns them as a Go type:
//
//	report, err := client.Firmware.Test(ctx, "2")
//	var failed *sps.FirmwareTestFailedDetails
//	switch {
//	case err == nil: // passed: report.TestSummary
//	case errors.As(err, &failed): // refused: failed.ExitCode, failed.TestSummary
//	case errors.Is(err, sps.ResourceNotFound): // the slot is empty or does not exist
//	default: // the test could not run
//	}
//
// These errors matter most:
//   - [Error] means that the appliance refused the request. It has the status, the error
//     type, the message and the details of the response.
//   - [TransportError] means that the request got no usable response.
//   - [ErrOutcomeUnknown] means that a write may have been executed. Check the state of
//     the appliance before you repeat the write. For some writes, the client checks the
//     outcome itself, for up to [Timeouts].Outcome, before it returns this error.
//   - [ErrInvalidInput] means that an argument is invalid or breaks a rule of the guide.
//     Nothing was changed on the appliance.
//
// The SDK also reports its own errors as error values, such as [ErrTransactionOnly] and
// [ErrClosed]. The text of an error is one line. If the appliance quotes a secret of the
// request in its response, a placeholder replaces the quoted text.
//
// # Firmware
//
// The appliance stores firmware images in slots. Identify a slot by its key, not by its
// position in the list. [Firmware.Test] tests whether the appliance can be upgraded to
// the image in a slot. It returns a report only if the test passed. [Firmware.Upgrade]
// does a whole upgrade: it uploads the image, tests it, starts the upgrade, waits for the
// restart and verifies the version.
//
//	report, err := client.Firmware.Upgrade(ctx, sps.FromFile("sps-8.0.0.iso"))
//
// [FromSlot] uses an image that is already on the appliance. [FromURL] lets the appliance
// download the image. [WithTestOnly] stops after the test. A [FirmwareUpgradeError] names
// the step that failed and the state of the appliance. Each step is also a method:
// [Firmware.Upload], [FirmwareFetches.Start], [Firmware.Test], [Firmware.StartUpgrade],
// [Firmware.WaitForVersion].
//
// # Retries and time limits
//
// The client tries a read up to four times. It retries after connection errors and the
// statuses 429, 502, 503 and 504, and waits for a random, growing time in between. It
// retries a write only if the write was certainly not executed: if no connection could be
// made, or, for a PUT or DELETE outside a transaction, after status 429. It does not
// repeat a POST, a commit or a step of a transaction that the appliance may have
// received. The one exception is a firmware test, which changes nothing. If a response
// has a Retry-After header of up to 30 seconds, the client waits that long; a longer time
// ends the attempts. [WithRetry] changes these numbers, see [RetryPolicy].
//
// Each attempt has a time limit that depends on the kind of request: a minute for a read,
// half an hour for a firmware test. An upload has no total limit; it fails if no data is
// transferred for the time [Timeouts].Stall. [WithTimeouts] changes the limits. The
// deadline of the context that you pass to a call applies to all its attempts together.
//
// If the API session has expired, the client logs in again, once for all goroutines, and
// repeats each affected call once. If the appliance refuses a password, the client does
// not send that password again, so that the account is not locked. [WithLoginRetry]
// changes this, and a [PasswordFunc] may return a new password. [Client.Err] returns the
// reason if no further call can succeed.
//
// # Log and trace
//
// With [WithLogger], the client writes one log record for each attempt of a request. The
// record has the attributes that WithLogger lists. It contains no header, no body and no
// query value. The client passes the context of the call to the slog.Handler, which can
// add a trace id. [WithTransport] wraps the http.RoundTripper, which receives each
// attempt with the same context. Use it for OpenTelemetry's otelhttp. The program in
// examples/tracing shows both.
//
//	sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
//		return otelhttp.NewTransport(base)
//	})
//
// # Test your own code
//
// Package [github.com/go-sps/sps/spstest] is a simulated appliance that can also inject
// faults:
//
//	appliance := spstest.NewServer(t)
//	appliance.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0", TestFailure: spstest.NotEnoughStorage()})
//	client, err := sps.Connect(t.Context(), appliance.Addr(),
//		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
//		sps.WithCABundle(appliance.CA()))
package sps
