// Package sps is a client for the REST API of One Identity Safeguard for Privileged
// Sessions (SPS).
//
// # Areas
//
// Read an area through the field of a [Client]. Write its configuration through the field
// of a [Transaction] with the same name.
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
//	any other                         NewSingleton, NewCollection, client.Invoke
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
//   - Call an endpoint that has no field: [NewSingleton], [NewCollection], [Client.Invoke]
//   - Test your program without an appliance: package [github.com/go-sps/sps/spstest]
//
// # Connect
//
// [Connect] logs in and returns a [Client]. A client is safe for concurrent use.
// [Client.Close] rolls back an open transaction and logs out, even if its context is
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
// The protocol is always https. There are three other ways to log in: [PasswordFunc] for
// vaults and one-time codes, [ClientCertificate], and [ExistingSession]. [ConnectFromEnv]
// reads everything from the environment. [NewClient] logs in at the first call.
// [Client.WaitReady] waits for an appliance that is starting. A [Secret] prints as a
// placeholder.
//
// # Trust the certificate
//
// By default, the client verifies the appliance's certificate against the certificate
// authorities of the system. This fails for most appliances, because an appliance issues
// its certificate from its own authority. Pass that authority to [WithCABundle], or pass
// the SHA-256 fingerprint of the certificate to [WithPinnedCertificates]. If Connect
// fails because of the certificate, the error has the fingerprint that the appliance
// presented. Compare it with the fingerprint shown on the appliance itself before you pin
// it.
//
//	var untrusted *sps.CertificateError
//	if errors.As(err, &untrusted) {
//		fmt.Println(untrusted.Fingerprint)
//	}
//
// # Read
//
// Read through the client. Its fields follow the paths of the API:
// configuration/management/snmp/trap is client.Management.SNMP.Trap. An [Object] has a
// key, metadata and a body.
//
//	for store, err := range client.TrustStores.All(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(store.Key, store.Body.Name)
//	}
//
// [NewSingleton] and [NewCollection] give any other endpoint a type in one line: a struct
// of yours, or json.RawMessage. [Client.Walk] reads the whole configuration.
// [Client.Invoke] sends any other request. [Client.Download] reads files.
//
// # Change
//
// Write the configuration inside a transaction, through the fields of the [Transaction].
// [Client.Transaction] runs a function and commits what the function wrote. It rolls back
// if the function fails or panics, or if its context is done. The first write takes the
// configuration lock, so a function that changes nothing needs neither the lock nor a
// commit message.
//
//	err = client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
//		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
//			return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied)
//		})
//	}, sps.WithMessage("CHG-1234"))
//
// An update reads the object and changes only the members that your function changed.
// Members that the SDK does not know keep their values. To write through a handle of your
// own, use [Singleton.In] or [Collection.In]. [Client.Preview] runs the same function as
// a dry run and returns the changes that it would make.
//
// A transaction runs in its own session, so the other reads of the client return
// committed values only. A client runs one transaction at a time; another call of
// Transaction waits for its turn. If somebody else holds the configuration lock, the
// transaction fails with [ErrLocked]; [WithLockWait] waits instead. If somebody else
// changed what the function had read, the transaction fails with [ErrConflict]. If the
// answer to a commit is lost, the client asks the appliance whether it executed the
// commit. The transaction then succeeds, or fails with [ErrOutcomeUnknown].
//
// # Handle errors
//
// The appliance gives each refusal an error type. Each type is an error value, and the
// details of a type are an error type of Go:
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
//   - [Error] is a refusal by the appliance, with the whole answer.
//   - [TransportError] is a request without a usable answer.
//   - [ErrOutcomeUnknown] means that a write may have been executed. Look at the
//     appliance before you repeat the write. Where the client can look itself, it
//     does so first, for up to [Timeouts].Outcome.
//   - [ErrInvalidInput] means that an argument is invalid or breaks a rule of the
//     guide. Nothing was sent.
//
// Other refusals by the SDK are error values too, such as [ErrTransactionOnly] and
// [ErrClosed]. The text of an error is one line and contains no secret.
//
// # Firmware
//
// A slot is named by its key, not by its position in the list. [Firmware.Test] tests
// whether the appliance can be upgraded to the image in a slot. It returns a report only
// if the test passed. [Firmware.Upgrade] does a whole upgrade: it uploads the image,
// tests it, starts the upgrade, waits for the restart and verifies the version.
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
// made, or, for a PUT or DELETE outside a transaction, after status 429. It never repeats
// a POST, a commit or a step of a transaction that the appliance may have received. The
// one exception is a firmware test, which changes nothing. The client waits for a
// Retry-After of up to 30 seconds; a longer one ends the attempts. [WithRetry] changes
// these numbers, see [RetryPolicy].
//
// Each attempt has a time limit that depends on the kind of request: a minute for a read,
// half an hour for a firmware test. An upload has no total limit; it fails if no data
// moves for a while. [WithTimeouts] changes the limits, see [Timeouts]. The context of a
// call bounds all its attempts together.
//
// If a session has expired, the client logs in once for all goroutines and repeats the
// call once. If the appliance refuses a password, the client does not send that password
// again, so that the account is not locked. [WithLoginRetry] changes this, and a
// [PasswordFunc] may return a new password. [Client.Err] returns the reason if no further
// call can succeed.
//
// # Log and trace
//
// [WithLogger] writes one record for each attempt of a request. A record contains only
// listed attributes: no header, no body and no query value. The record has the context of
// the call, so a slog.Handler can add a trace id. [WithTransport] wraps the
// http.RoundTripper, which sees each attempt with the same context. Use it for
// OpenTelemetry's otelhttp. The program in examples/tracing shows both.
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
