package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestConcurrentUpdates checks that no update is lost if several goroutines update one object
// in a transaction.
func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	ids := testkit.AllTrafficAlerts
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		errs := make([]error, len(ids))
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				errs[i] = tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelEmail, id) })
			})
		}
		all.Wait()
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := c.Alerting.TrafficAlerts.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !alerts.Body[id].Email {
			t.Errorf("the update of %s is lost", id)
		}
	}
}

// TestNestedUpdate checks that an update inside the function of another update of the same
// object is not lost.
func TestNestedUpdate(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
			inner := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.Enable(sps.ChannelSNMP, sps.AlertAuthFailure) })
			return errors.Join(inner, a.Enable(sps.ChannelEmail, sps.AlertAuthFailure))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := c.Alerting.TrafficAlerts.Get(t.Context())
	if err != nil || alerts.Body[sps.AlertAuthFailure] != (sps.AlertSetting{Email: true, SNMP: true}) {
		t.Errorf("alerts %+v, %v", alerts, err)
	}
	// If the function of an update changes the same object itself at each call, the update
	// returns an error.
	n := 0
	err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
			n++
			e.AdminAddress = "outer"
			return testkit.SetAdmin(fmt.Sprint(n))(ctx, tx)
		})
	})
	if err == nil || !strings.Contains(err.Error(), "does not write the same object") {
		t.Errorf("an update whose function writes the same object: %v, want ErrInvalidInput", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestReadDuringWrite checks that a read outside the transaction does not wait for a write of
// the same object, and returns the committed value.
func TestReadDuringWrite(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	written, read := make(chan struct{}), make(chan struct{})
	c := testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(r)
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/email") {
				close(written)
				<-read // delays the response to the PUT until the response to the read has arrived
			}
			return resp, err
		})
	}))
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		go func() {
			defer close(read)
			<-written
			if email, err := c.Management.Email.Get(t.Context()); err != nil || email.Body.AdminAddress != testkit.AdminBefore {
				t.Errorf("read %+v, %v", email, err)
			}
		}()
		return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

// TestCommitRevertedByAnotherUser checks that the outcome of a commit is unknown if its
// response is lost and another user then reverts one of the two objects that it wrote.
func TestCommitRevertedByAnotherUser(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	original, _ := a.Configuration("management/email")
	c := testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(r)
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/transaction") && err == nil {
				resp.Body.Close()
				a.SetConfiguration("management/email", original)
				return nil, errors.New("connection reset")
			}
			return resp, err
		})
	}))
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		err := tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelEmail) })
		return errors.Join(err, testkit.SetAdmin(testkit.AdminAfter)(ctx, tx))
	})
	if !errors.Is(err, sps.ErrOutcomeUnknown) {
		t.Errorf("error %v", err)
	}
}

// TestHandlesOutsideConfiguration checks that a transaction rejects writes with handles of
// endpoints that do not belong to the configuration.
func TestHandlesOutsideConfiguration(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for name, write := range map[string]func(context.Context, *sps.Transaction) error{
		"delete a slot": func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewCollection[any](c, "firmware/slots").In(tx).Delete(ctx, "4")
		},
		"commit": func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewSingleton[any](c, "transaction").In(tx).Replace(ctx, map[string]any{"status": "commit"})
		},
		"start a bundle": func(ctx context.Context, tx *sps.Transaction) error {
			_, err := sps.NewCollection[any](c, "troubleshooting/support-bundle").In(tx).Create(ctx, map[string]any{})
			return err
		},
		"unjoin": func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewCollection[any](c, "starling").In(tx).Delete(ctx, "join")
		},
		"update a slot": func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewSingleton[map[string]any](c, "firmware/slots/2").In(tx).Update(ctx, func(b *map[string]any) error {
				(*b)["current"] = true
				return nil
			})
		},
	} {
		a.ResetJournal()
		if err := c.Transaction(t.Context(), write); !errors.Is(err, sps.ErrInvalidInput) || errors.Is(err, sps.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range testkit.Requests(a) {
			if !strings.HasPrefix(r, "GET ") && !strings.HasSuffix(r, " /api/transaction") {
				t.Errorf("%s: sent %s", name, r)
			}
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	}
}

// dropped returns a client of an appliance that drops the transaction when it receives the
// commit. answered is the status code of the response to the commit, or 0 if the connection
// breaks.
func dropped(t *testing.T, a *spstest.Appliance, answered int) *sps.Client {
	return testkit.Connect(t, a, sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != "PUT" || !strings.HasSuffix(r.URL.Path, "/transaction") {
				return base.RoundTrip(r)
			}
			drop := r.Clone(r.Context())
			drop.Method, drop.Body, drop.ContentLength = "DELETE", nil, 0
			if resp, err := base.RoundTrip(drop); err == nil {
				resp.Body.Close()
			}
			if answered == 0 {
				return nil, errors.New("connection reset")
			}
			return testkit.Answer(r, answered, http.Header{}, ""), nil
		})
	}))
}

// listed is the path of the list in which TestDroppedTransaction creates an object. The
// response to that request contains no key.
const listed = "configuration/policies/time_policies"

// TestDroppedTransaction checks that a transaction returns ErrOutcomeUnknown if the appliance
// drops the transaction at the commit and the response is lost. Unchanged objects do not prove
// that the commit will not be executed later.
func TestDroppedTransaction(t *testing.T) {
	t.Parallel()
	raw := func(method, path string, body any) func(context.Context, *sps.Transaction) error {
		return func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, method, path, body)
			return err
		}
	}
	replace := func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
	}
	forthAndBack := func(ctx context.Context, tx *sps.Transaction) error {
		return errors.Join(
			tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelEmail) }),
			tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.DisableAll(sps.ChannelEmail) }))
	}
	then := func(writes ...func(context.Context, *sps.Transaction) error) func(context.Context, *sps.Transaction) error {
		return func(ctx context.Context, tx *sps.Transaction) error {
			for _, write := range writes {
				if err := write(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	createAndDelete := func(ctx context.Context, tx *sps.Transaction) error {
		key, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours"))
		if err != nil {
			return err
		}
		return tx.TrustStores.Delete(ctx, key)
	}
	createAndUpdate := func(ctx context.Context, tx *sps.Transaction) error {
		key, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours"))
		if err != nil {
			return err
		}
		return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error { s.Name = "Still ours"; return nil })
	}
	const backup = "configuration/management/system_backup"
	reference := then(raw("GET", backup, nil), raw("PUT", backup, json.RawMessage(`{"backup_policy":null}`)))
	createKeyless := func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, "POST", listed, struct{}{})
		return err
	}
	asBefore, unknown := []string{"one"}, []string(nil)
	for name, test := range map[string]struct {
		write func(context.Context, *sps.Transaction) error
		want  []string // nil if the client cannot compare any object
	}{
		"update":                               {testkit.SetAdmin(testkit.AdminAfter), asBefore},
		"replace":                              {replace, asBefore},
		"a raw PUT":                            {raw("PUT", "configuration/datetime/timezone", json.RawMessage(`"UTC"`)), asBefore},
		"a raw POST":                           {raw("POST", auditPolicies, auditPolicy{"new"}), asBefore},
		"a raw DELETE":                         {raw("DELETE", auditPolicies+"/"+policyKey, nil), asBefore},
		"update, then a change that is undone": {then(testkit.SetAdmin(testkit.AdminAfter), forthAndBack), asBefore},
		"a change that is undone":              {forthAndBack, unknown},
		"created and deleted":                  {createAndDelete, unknown},
		"created and updated":                  {createAndUpdate, asBefore},
		"created without a key":                {createKeyless, unknown},
		"reference replaced":                   {reference, asBefore},
		"created and deleted, and an update":   {then(testkit.SetAdmin(testkit.AdminAfter), createAndDelete), asBefore},
	} {
		for _, answered := range []int{0, 502} {
			t.Run(fmt.Sprintf("%s, answered %d", name, answered), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { droppedTransaction(t, name, test.write, test.want, answered) })
			})
		}
	}
}

func droppedTransaction(t *testing.T, name string, write func(context.Context, *sps.Transaction) error, want []string, answered int) {
	a := spstest.NewServer(t, spstest.WithoutListener())
	c := dropped(t, a, answered)
	// The response to a read of the list has a body besides its items. The client must not take
	// this body for the created object.
	keyed := name != "created without a key"
	a.Inject(spstest.Fault{Method: "POST", Path: listed, Status: 201, Body: `{}`, MayMiss: keyed})
	a.Inject(spstest.Fault{Method: "GET", Path: listed, Status: 200, Body: `{"body":{},"items":[]}`, MayMiss: keyed})
	err := c.Transaction(t.Context(), write)
	var details *sps.OutcomeUnknownDetails
	if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.As(err, &details) {
		t.Fatalf("error %v, want ErrOutcomeUnknown with its details, because the appliance may still execute the commit", err)
	}
	if (len(details.AsBefore) > 0) != (want != nil) || details.AsWritten != nil || details.Status != "closed" || !details.RolledBack {
		t.Errorf("details %+v", details)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestObjectGoneAfterCommit checks that the outcome of a lost commit is unknown if an updated
// object cannot be found afterwards.
func TestObjectGoneAfterCommit(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
	a.Inject(spstest.Fault{Method: "GET", Path: auditPolicies + "/*", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`, Skip: 2, Times: -1})
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return sps.NewCollection[auditPolicy](c, auditPolicies).In(tx).Update(ctx, policyKey, func(p *auditPolicy) error { p.Name = "renamed"; return nil })
	})
	var details *sps.OutcomeUnknownDetails
	if !errors.Is(err, sps.ErrOutcomeUnknown) || !errors.As(err, &details) {
		t.Fatalf("error %v, want ErrOutcomeUnknown", err)
	}
	testkit.Diff(t, "neither", []string{auditPolicies + "/" + policyKey}, details.Neither)
}

// TestLostCommitReadsAllObjects checks that the client reads each object that a commit with a
// lost response should have written.
func TestLostCommitReadsAllObjects(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
	var made []string
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		for i := range 7 {
			key, err := sps.NewCollection[auditPolicy](c, auditPolicies).In(tx).Create(ctx, auditPolicy{fmt.Sprint("new ", i)})
			if err != nil {
				return err
			}
			made = append(made, "GET /api/"+auditPolicies+"/"+key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var looks []string
	for _, r := range testkit.Requests(a) {
		if strings.HasPrefix(r, "GET /api/configuration/") {
			looks = append(looks, r)
		}
	}
	slices.Sort(made) // the client reads the objects concurrently, in any order
	slices.Sort(looks)
	testkit.Diff(t, "reads", made, looks)
}

// TestLateCommitDuringNextTransaction checks a commit that the appliance executes after the
// client has stopped waiting for it. This must not commit the next transaction of the client.
func TestLateCommitDuringNextTransaction(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		late := make(chan struct{})
		hold := func(r *http.Request) bool { return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/transaction") }
		slow, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
			sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
				return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
					if !hold(r) {
						return a.RoundTrip(r)
					}
					held := r.Clone(context.WithoutCancel(r.Context()))
					body, err := held.GetBody()
					if err != nil {
						t.Error(err)
					}
					held.Body = body
					go func() {
						time.Sleep(time.Minute) // simulated time
						if resp, err := a.RoundTrip(held); err == nil {
							resp.Body.Close()
						}
						close(late)
					}()
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close(context.Background())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := slow.Transaction(ctx, testkit.SetAdmin("first@example.com")); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("a commit that outlasts its context: %v, want DeadlineExceeded and ErrOutcomeUnknown", err)
		}
		boom := errors.New("boom")
		err = slow.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin("second@example.com")(ctx, tx); err != nil {
				return err
			}
			<-late
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("the next transaction: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestLateCommitAfterDrop checks a commit that reaches the appliance after the appliance
// dropped the transaction, while the next transaction of the client is open. This must not
// commit the next transaction.
func TestLateCommitAfterDrop(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, _ *sps.Client) {
		late := make(chan struct{})
		first := true
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")),
			sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
				return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method != "PUT" || !strings.HasSuffix(r.URL.Path, "/transaction") || !first {
						return a.RoundTrip(r)
					}
					first = false
					drop := r.Clone(r.Context())
					drop.Method, drop.Body, drop.ContentLength = "DELETE", nil, 0
					if resp, err := a.RoundTrip(drop); err == nil {
						resp.Body.Close()
					}
					time.AfterFunc(time.Hour, func() {
						defer close(late)
						if resp, err := a.RoundTrip(r.WithContext(context.Background())); err == nil {
							resp.Body.Close()
						}
					})
					return nil, errors.New("connection reset")
				})
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		if err := c.Transaction(t.Context(), testkit.SetAdmin("first@example.com")); !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("a dropped transaction: %v, want ErrOutcomeUnknown", err)
		}
		boom := errors.New("boom")
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			err := testkit.SetAdmin("second@example.com")(ctx, tx)
			<-late
			return errors.Join(err, boom)
		})
		if !errors.Is(err, boom) {
			t.Errorf("the next transaction: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestLockAtCommit checks a commit that the appliance refuses because another user holds the
// lock. Transaction must return ErrLocked and roll back.
func TestLockAtCommit(t *testing.T) {
	t.Parallel()
	locked := spstest.Fault{Method: "PUT", Path: "transaction", Status: 403, Body: `{"error":{"type":"ConfigurationLocked","message":"The configuration is locked by bob"}}`}
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		for _, body := range []string{locked.Body, `{"error":{"type":"Foo","message":"The configuration is locked by bob"}}`} {
			fault := locked
			fault.Body = body
			a.Inject(fault)
			if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrLocked) {
				t.Errorf("%s: %v", body, err)
			}
			testkit.Settled(t, a, testkit.AdminBefore)
		}
		// WithLockWait does not apply to the commit: after a wait, the client could overwrite
		// changes that the other user made meanwhile.
		a.Inject(locked)
		start := time.Now()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(time.Minute)); !errors.Is(err, sps.ErrLocked) || time.Since(start) > 0 {
			t.Errorf("with WithLockWait, after %s: %v, want ErrLocked at once", time.Since(start), err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Status: 409, Body: `{"error":{"type":"Conflict"}}`})
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrTransactionLost) || errors.Is(err, sps.ErrConflict) {
			t.Errorf("a commit that is refused with Conflict: %v, want ErrTransactionLost and not ErrConflict", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}

// TestOutcomeWithShortCloseTimeout checks that the client finds out the outcome of a lost
// commit even if Timeouts.Close is short.
func TestOutcomeWithShortCloseTimeout(t *testing.T) {
	t.Parallel()
	timeouts := sps.DefaultTimeouts()
	timeouts.Close = time.Second
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("error %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	}, sps.WithTimeouts(timeouts))
}

// TestClientReadsInTransaction checks that a read of the client with the function's context
// counts as a read of the transaction, so that a later change by another user is a conflict.
func TestClientReadsInTransaction(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		email, err := c.Management.Email.Get(ctx)
		if err != nil {
			return err
		}
		a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"theirs@example.com"}`))
		email.Body.ReportingAddress = testkit.AdminAfter
		return tx.Management.Email.Replace(ctx, email.Body)
	})
	if !errors.Is(err, sps.ErrConflict) {
		t.Errorf("error %v", err)
	}
	testkit.Settled(t, a, "theirs@example.com")
}

// TestUpdateOfDeletedObject checks that an update returns ErrConflict if another user deletes the
// object between its read and its write.
func TestUpdateOfDeletedObject(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	policies := sps.NewCollection[auditPolicy](c, auditPolicies)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return policies.In(tx).Update(ctx, policyKey, func(p *auditPolicy) error {
			a.Inject(spstest.Fault{Method: "PUT", Path: auditPolicies + "/*", Status: 404, Body: `{"error":{"type":"ResourceNotFound","details":{"mount_point":"/` + auditPolicies + `","resource":"` + policyKey + `"}}}`})
			p.Name = "renamed"
			return nil
		})
	})
	if !errors.Is(err, sps.ErrConflict) || !errors.Is(err, sps.ResourceNotFound) {
		t.Errorf("error %v", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestObjectDeletedTwice checks that deleting an object twice in a transaction returns
// ResourceNotFound and not ErrConflict, because the transaction itself deleted the object.
func TestObjectDeletedTwice(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		policies := sps.NewCollection[auditPolicy](c, auditPolicies).In(tx)
		key, err := policies.Create(ctx, auditPolicy{"new"})
		if err != nil {
			return err
		}
		if _, err := policies.Get(ctx, key); err != nil {
			return err
		}
		if err := policies.Delete(ctx, key); err != nil {
			return err
		}
		return policies.Delete(ctx, key)
	})
	if !errors.Is(err, sps.ResourceNotFound) || errors.Is(err, sps.ErrConflict) {
		t.Errorf("error %v, want only ResourceNotFound", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestAmbiguousList checks that an update that both removes and renames elements of a list is
// rejected, because the unknown members of the elements could be lost.
func TestAmbiguousList(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.SetConfiguration("some/thing", json.RawMessage(`{"rules":[{"name":"a","extra":1},{"name":"b","extra":2}]}`))
	type body struct {
		Rules []auditPolicy `json:"rules"`
	}
	handle := sps.NewSingleton[body](c, "configuration/some/thing")
	update := func(change func(*body)) error {
		return c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return handle.In(tx).Update(ctx, func(b *body) error { change(b); return nil })
		})
	}
	err := update(func(b *body) { b.Rules = []auditPolicy{{"c"}} })
	if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "in several updates") {
		t.Errorf("an update that removes and renames list elements: %v, want ErrInvalidInput", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return handle.In(tx).Update(ctx, func(b *body) error { b.Rules = []auditPolicy{{"c"}}; cancel(); return nil })
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, sps.ErrInvalidInput) {
		t.Errorf("an update whose context ends before the client detects the ambiguity: %v, want Canceled", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
	if err := update(func(b *body) { b.Rules = append(b.Rules[1:], auditPolicy{"c"}) }); err != nil {
		t.Errorf("an update that removes and adds list elements: %v", err)
	}
}

func TestAlertsMissing(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for name, change := range map[string]func(*sps.TrafficAlerts){
		"declared": func(a *sps.TrafficAlerts) { *a = sps.TrafficAlerts{sps.AlertAuthFailure: {Email: true}} },
		"nil":      func(a *sps.TrafficAlerts) { *a = nil },
		"deleted":  func(a *sps.TrafficAlerts) { delete(*a, sps.AlertAuthFailure) },
	} {
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { change(a); return nil })
		})
		if !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "would be lost: switch its channels off instead") {
			t.Errorf("%s: %v", name, err)
		}
	}
	testkit.Diff(t, "alerts", 16, len(testkit.Committed(t, a, "alerting/traffic_alerts")))
}

// TestInvalidCalls checks that each invalid call returns one error with a clear text.
func TestInvalidCalls(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	_, userInHost := sps.Connect(t.Context(), "admin:pw4711@10.0.0.5", sps.UsernamePassword("a", sps.NewSecretString("b")))
	_, urlAsHost := sps.Connect(t.Context(), "https://admin:pw4711@10.0.0.5/", sps.UsernamePassword("a", sps.NewSecretString("b")))
	_, noClient := sps.NewSingleton[any](nil, "configuration/x").Get(t.Context())
	_, noPath := c.Invoke(t.Context(), "GET", "https://10.0.0.5/api/info", nil)
	_, emptyPath := c.Listing(t.Context(), "/api/")
	for name, err := range map[string]error{
		"a user in the host":  userInHost,
		"a URL as the host":   urlAsHost,
		"nil client":          noClient,
		"a URL as the path":   noPath,
		"an empty path":       emptyPath,
		"nil function":        c.Transaction(t.Context(), nil),
		"nil update function": c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error { return tx.Management.Email.Update(ctx, nil) }),
		"nil transaction":     c.Management.Email.In(nil).Replace(t.Context(), sps.EmailSettings{}),
		"invalid JSON": c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			return sps.NewSingleton[json.RawMessage](c, "configuration/x").In(tx).Replace(ctx, json.RawMessage(`{"a":`))
		}),
	} {
		text := fmt.Sprint(err)
		if !errors.Is(err, sps.ErrInvalidInput) || strings.Contains(text, "pw4711") || strings.Count(text, "sps: ") != 1 || strings.Contains(text, "\n") {
			t.Errorf("%s: %s", name, text)
		}
	}
	_, list := sps.NewSingleton[any](c, "configuration/trust_stores").Get(t.Context())
	_, object := sps.NewCollection[any](c, "configuration/management/email").List(t.Context())
	if !strings.Contains(fmt.Sprint(list), "use NewCollection") || !strings.Contains(fmt.Sprint(object), "use NewSingleton") {
		t.Errorf("reading a list as an object: %v; reading an object as a list: %v", list, object)
	}
}

// TestRefusalsOfTransactions checks error responses that the client could confuse with another
// error, such as a lock or a conflict.
func TestRefusalsOfTransactions(t *testing.T) {
	t.Parallel()
	typed := func(method, path string, status int, kind string) spstest.Fault {
		return spstest.Fault{Method: method, Path: path, Status: status, Body: `{"error":{"type":"` + kind + `"}}`}
	}
	deleteTwice := func(ctx context.Context, tx *sps.Transaction) error {
		for _, method := range []string{"GET", "DELETE", "DELETE"} {
			if _, err := tx.Invoke(ctx, method, auditPolicies+"/"+policyKey, nil); err != nil {
				return err
			}
		}
		return nil
	}
	swallowed := func(ctx context.Context, tx *sps.Transaction) error {
		if _, err := tx.Invoke(ctx, "DELETE", auditPolicies+"/none", nil); !errors.Is(err, sps.ResourceNotFound) {
			return errors.New("the deletion of what is not there was not refused")
		}
		return nil
	}
	for name, test := range map[string]struct {
		fault spstest.Fault
		run   func(context.Context, *sps.Transaction) error
		want  error // nil if the transaction succeeds
		not   error
	}{
		"opening, 404":                      {typed("POST", "transaction", 404, "ResourceNotFound"), testkit.SetAdmin(testkit.AdminAfter), sps.ResourceNotFound, sps.ErrLocked},
		"opening, 405":                      {typed("POST", "transaction", 405, "MethodNotAllowed"), testkit.SetAdmin(testkit.AdminAfter), sps.MethodNotAllowed, sps.ErrLocked},
		"opening, InvalidRequestBody":       {typed("POST", "transaction", 400, "InvalidRequestBody"), testkit.SetAdmin(testkit.AdminAfter), sps.InvalidRequestBody, sps.ErrLocked},
		"step, 409 Conflict":                {typed("PUT", "configuration/**", 409, "Conflict"), testkit.SetAdmin(testkit.AdminAfter), sps.ErrTransactionLost, sps.ErrConflict},
		"object deleted twice":              {spstest.Fault{}, deleteTwice, sps.ResourceNotFound, sps.ErrConflict},
		"list of changes, 500":              {spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 500, Times: -1}, testkit.SetAdmin(testkit.AdminAfter), nil, nil},
		"only write refused, error ignored": {spstest.Fault{Method: "PUT", Path: "transaction", Status: 500, Times: -1, MayMiss: true}, swallowed, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			a.Inject(test.fault)
			err := c.Transaction(t.Context(), test.run)
			switch {
			case test.want == nil && err != nil:
				t.Errorf("error %v, want success", err)
			case test.want != nil && (!errors.Is(err, test.want) || errors.Is(err, test.not)):
				t.Errorf("error %v, want %v and not %v", err, test.want, test.not)
			}
			if a.TransactionOpen() || a.LockedBy() != "" {
				t.Error("a transaction is still open")
			}
		})
	}
}
