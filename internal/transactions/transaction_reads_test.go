package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

const emailPath = "/api/configuration/management/email"

// TestRequestsOfTransactions checks which requests a transaction sends, and that the next
// transaction does not log in again.
func TestRequestsOfTransactions(t *testing.T) {
	t.Parallel()
	const login = "GET /api/authentication"
	for name, test := range map[string]struct {
		variant string
		run     func(context.Context, *sps.Transaction) error
		options []sps.TransactionOption
		want    []string
	}{
		"nothing to change": {"", testkit.SetAdmin(testkit.AdminBefore), nil, []string{"GET " + emailPath}},
		"one update": {"", testkit.SetAdmin(testkit.AdminAfter), []sps.TransactionOption{sps.WithMessage("CHG-1")}, []string{
			"GET " + emailPath, login, "POST /api/transaction", "PUT " + emailPath, "GET " + emailPath, "GET /api/transaction/changes", "PUT /api/transaction",
		}},
		"no message, response says whether one is required": {"", testkit.SetAdmin(testkit.AdminAfter), nil, []string{
			"GET " + emailPath, login, "POST /api/transaction", "PUT " + emailPath, "GET " + emailPath, "GET /api/transaction/changes", "PUT /api/transaction",
		}},
		"no message, response without a body": {"204", testkit.SetAdmin(testkit.AdminAfter), nil, []string{
			"GET " + emailPath, login, "POST /api/transaction", "GET /api/transaction", "PUT " + emailPath, "GET " + emailPath, "GET /api/transaction/changes", "PUT /api/transaction",
		}},
		"WithLockFirst": {"", testkit.SetAdmin(testkit.AdminAfter), []sps.TransactionOption{sps.WithLockFirst()}, []string{
			login, "POST /api/transaction", "GET " + emailPath, "PUT " + emailPath, "GET /api/transaction/changes", "PUT /api/transaction",
		}},
		"same object read three times": {"", func(ctx context.Context, tx *sps.Transaction) error {
			for range 3 {
				if _, err := tx.Management.Email.Get(ctx); err != nil {
					return err
				}
			}
			return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
		}, nil, []string{
			"GET " + emailPath, "GET " + emailPath, "GET " + emailPath, login, "POST /api/transaction", "PUT " + emailPath, "GET " + emailPath,
			"GET /api/transaction/changes", "PUT /api/transaction",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var variants []spstest.Option
			if test.variant != "" {
				variants = append(variants, spstest.WithVariant("open-answer", test.variant))
			}
			a := spstest.NewServer(t, variants...)
			c := testkit.Connect(t, a)
			a.ResetJournal()
			if err := c.Transaction(t.Context(), test.run, test.options...); err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "requests", test.want, testkit.Requests(a))
			a.ResetJournal()
			if err := c.Transaction(t.Context(), testkit.SetAdmin("again@example.com"), test.options...); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(testkit.Requests(a), login) && name != "nothing to change" {
				t.Error("the second transaction logged in again")
			}
		})
	}
}

// TestNoLockNeeded checks that a transaction that changes nothing sends only reads, and succeeds
// while another user holds the lock.
func TestNoLockNeeded(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCommitMessageRequired())
	c := testkit.Connect(t, a)
	a.LockConfiguration("somebody")
	done := sps.CommittedChanges{Changes: []sps.Change{{}}}
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore), sps.WithChanges(&done)); err != nil {
		t.Errorf("error %v", err)
	}
	if changes, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminBefore)); err != nil || len(changes) > 0 {
		t.Errorf("preview %v, %v", changes, err)
	}
	testkit.Diff(t, "sessions", 1, a.Sessions())
	testkit.Diff(t, "changes", sps.CommittedChanges{}, done)
	func() {
		defer func() { _ = recover() }()
		_ = c.Transaction(t.Context(), func(context.Context, *sps.Transaction) error { panic("boom") })
	}()
	for _, r := range testkit.Requests(a) {
		if !strings.HasPrefix(r, "GET ") {
			t.Errorf("sent %s", r)
		}
	}
}

// TestReadsOutsideReturnCommitted checks that a read of a client outside of its open transaction
// returns the committed values, and that a read in the transaction returns the staged values.
func TestReadsOutsideReturnCommitted(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			outside, err := c.Management.Email.Get(t.Context())
			if err != nil || outside.Body.AdminAddress != testkit.AdminBefore {
				t.Errorf("a read outside the transaction returns %+v, %v, want the committed value", outside, err)
			}
			inside, err := c.Management.Email.Get(ctx) // a read with the function's context belongs to the transaction
			if err != nil || inside.Body.AdminAddress != testkit.AdminAfter {
				t.Errorf("a read in the transaction returns %+v, %v, want the staged value", inside, err)
			}
			inside.Body.ReportingAddress = testkit.AdminAfter
			return tx.Management.Email.Replace(ctx, inside.Body) // writes the staged address again
		}, sps.WithMessage("CHG-1"))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestReadConflicts changes an object or a list that the function of a transaction has read, as
// another user, before the client takes the lock. It checks that the transaction returns
// ErrConflict, except where the change does not affect the configuration that was read.
func TestReadConflicts(t *testing.T) {
	t.Parallel()
	const policy = "policies/audit_policies/" + policyKey
	type step = func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error
	read := func(path string) step {
		return func(ctx context.Context, _ *sps.Client, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "GET", path, nil)
			return err
		}
	}
	set := func(path, body string) func(*spstest.Appliance) {
		return func(a *spstest.Appliance) { a.SetConfiguration(path, json.RawMessage(body)) }
	}
	for name, test := range map[string]struct {
		reads  step
		change func(*spstest.Appliance)
		want   error
	}{
		"object": {read("configuration/" + policy), set(policy, `{"name":"theirs"}`), sps.ErrConflict},
		"list with a new object": {func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			_, err := sps.NewCollection[auditPolicy](c, auditPolicies).In(tx).List(ctx)
			return err
		}, set("policies/audit_policies/abc", `{"name":"theirs"}`), sps.ErrConflict},
		"object of a walk": {func(ctx context.Context, c *sps.Client, _ *sps.Transaction) error {
			for _, err := range c.Walk(ctx, auditPolicies) {
				if err != nil {
					return err
				}
			}
			return nil
		}, set(policy, `{"name":"theirs"}`), sps.ErrConflict},
		"object that did not exist": {func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			if _, err := tx.Invoke(ctx, "GET", auditPolicies+"/abc", nil); !errors.Is(err, sps.ResourceNotFound) {
				return fmt.Errorf("the object exists: %w", err)
			}
			return nil
		}, set("policies/audit_policies/abc", `{"name":"theirs"}`), sps.ErrConflict},
		"read of the client": {func(ctx context.Context, c *sps.Client, _ *sps.Transaction) error {
			_, err := c.Invoke(ctx, "GET", "configuration/"+policy, nil)
			return err
		}, set(policy, `{"name":"theirs"}`), sps.ErrConflict},
		"object of an update without a change": {func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return sps.NewCollection[auditPolicy](c, auditPolicies).In(tx).Update(ctx, policyKey, func(*auditPolicy) error { return nil })
		}, set(policy, `{"name":"theirs"}`), sps.ErrConflict},
		"firmware slots": {func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "GET", "firmware/slots", nil)
			return err
		}, func(a *spstest.Appliance) { a.SetSlot(spstest.Slot{Key: "2"}) }, nil},
		"same value with other white space": {read("configuration/datetime/timezone"), func(a *spstest.Appliance) {
			body, _ := a.Configuration("datetime/timezone")
			a.SetConfiguration("datetime/timezone", json.RawMessage(" "+string(body)+" "))
		}, nil},
		"second read refused": {read("configuration/" + policy), func(a *spstest.Appliance) {
			a.Inject(spstest.Fault{Method: "GET", Path: "configuration/" + policy, Status: 403, Body: `{"error":{"type":"Unauthorized"}}`})
		}, sps.Unauthorized},
		"object read before and after the change": {func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return read("configuration/"+policy)(ctx, c, tx)
		}, set(policy, `{"name":"theirs"}`), sps.ErrConflict},
	} {
		for _, lock := range []string{"opening", "first-change"} {
			for _, profile := range spstest.Profiles() {
				t.Run(name+", lock at "+lock+", profile "+profile, func(t *testing.T) {
					t.Parallel()
					a := spstest.NewServer(t, spstest.WithProfile(profile), spstest.WithVariant("lock-taken", lock))
					c := testkit.Connect(t, a)
					err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
						if err := test.reads(ctx, c, tx); err != nil {
							return err
						}
						test.change(a)
						if name == "object read before and after the change" {
							if err := test.reads(ctx, c, tx); err != nil {
								return err
							}
						}
						_ = testkit.SetAdmin(testkit.AdminAfter)(ctx, tx) // the transaction must fail although its function ignores this error
						return nil
					})
					if !errors.Is(err, test.want) {
						t.Errorf("error %v, want %v", err, test.want)
					}
					want := testkit.AdminAfter
					if test.want != nil {
						want = testkit.AdminBefore
					}
					testkit.Settled(t, a, want)
				})
			}
		}
	}
}

// TestRefusedFirstWrite checks that a conflict with an earlier read is detected even if the
// appliance rejects the first write.
func TestRefusedFirstWrite(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{false, true} {
		t.Run(fmt.Sprintf("changed meanwhile: %t", changed), func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				if _, err := tx.Management.Email.Get(ctx); err != nil {
					return err
				}
				if changed {
					a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"theirs@example.com"}`))
				}
				if _, err := tx.Invoke(ctx, "DELETE", auditPolicies+"/none", nil); err == nil {
					t.Error("the deletion of an object that does not exist succeeded")
				}
				return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
			})
			if changed != errors.Is(err, sps.ErrConflict) || !changed && err != nil {
				t.Errorf("error %v", err)
			}
			if changed {
				testkit.Settled(t, a, "theirs@example.com")
				return
			}
			testkit.Settled(t, a, testkit.AdminAfter)
		})
	}
}

// TestUniqueNames checks that the client checks the uniqueness of names while it holds the
// lock.
func TestUniqueNames(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if _, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours")); err != nil {
			return err
		}
		_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("Ours"))
		if !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("creating two stores with the same name: %v, want ErrInvalidInput", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	list := testkit.Requests(a)
	if slices.Index(list, "POST /api/transaction") > slices.Index(list, "GET /api/configuration/trust_stores") {
		t.Errorf("the names were read before the transaction was opened: %q", list)
	}
}

// TestTooManyReads checks that a transaction may make any number of reads. After more reads than
// the client can repeat, a write must fail, except with WithLockFirst.
func TestTooManyReads(t *testing.T) {
	if testkit.Race {
		t.Skip("sequential reads cannot reveal a data race")
	}
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		many := func(ctx context.Context, tx *sps.Transaction) error {
			for i := range 4097 {
				if _, err := tx.Invoke(ctx, "GET", "configuration/management/email", nil, sps.WithQuery("n", fmt.Sprint(i))); err != nil {
					return err
				}
			}
			return nil
		}
		if err := c.Transaction(t.Context(), many); err != nil {
			t.Errorf("a transaction that only reads: %v", err)
		}
		then := func(ctx context.Context, tx *sps.Transaction) error {
			return errors.Join(many(ctx, tx), tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter}))
		}
		if err := c.Transaction(t.Context(), then); !errors.Is(err, sps.ErrInvalidInput) || !strings.Contains(err.Error(), "WithLockFirst") {
			t.Errorf("a write after too many reads: %v, want ErrInvalidInput that names WithLockFirst", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
		if err := c.Transaction(t.Context(), then, sps.WithLockFirst()); err != nil {
			t.Errorf("with WithLockFirst: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestWritersAtOnce checks that several goroutines can make the first write of a transaction at
// the same time.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			errs := make([]error, 6)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() {
					if i%2 == 0 {
						errs[i] = tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
							if i == 0 {
								e.AdminAddress = testkit.AdminAfter
							} else {
								e.AlertingAddress += fmt.Sprint(i)
							}
							return nil
						})
						return
					}
					_, errs[i] = sps.NewCollection[auditPolicy](c, auditPolicies).In(tx).Create(ctx, auditPolicy{fmt.Sprint("p", i)})
				})
			}
			all.Wait()
			return errors.Join(errs...)
		}, sps.WithMessage("CHG-1"))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		email, err := c.Management.Email.Get(t.Context())
		if err != nil || !strings.Contains(email.Body.AlertingAddress, "2") || !strings.Contains(email.Body.AlertingAddress, "4") {
			t.Errorf("email %+v, %v", email, err)
		}
	})
}

// TestReadOnlyRights checks a user who has only the right to read. A transaction of the user that
// changes nothing must succeed, and a write must return Unauthorized.
func TestReadOnlyRights(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithUser("reader", "r", spstest.ReadOnly))
	c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("reader", sps.NewSecretString("r")), sps.WithCABundle(a.CA()), testkit.Quick)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore)); err != nil {
		t.Errorf("a transaction that changes nothing: %v", err)
	}
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.Unauthorized) || errors.Is(err, sps.ErrLocked) {
		t.Errorf("a write: %v, want Unauthorized", err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// TestIgnoredOpeningError checks a function that ignores the error of its first write, for
// which the appliance refuses to open the transaction. Each further step and the transaction
// itself must return the same error, and the client must send no further request.
func TestIgnoredOpeningError(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.LockConfiguration("somebody")
	a.ResetJournal()
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		for range 2 {
			if err := tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter}); !errors.Is(err, sps.ErrLocked) {
				t.Errorf("a write: %v, want ErrLocked", err)
			}
			if _, err := tx.Management.Email.Get(ctx); !errors.Is(err, sps.ErrLocked) {
				t.Errorf("a read after the write: %v", err)
			}
		}
		return nil
	})
	if !errors.Is(err, sps.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	testkit.Diff(t, "requests", []string{"GET /api/authentication", "POST /api/transaction"}, testkit.Requests(a))
}

// TestWithChanges checks that WithChanges stores the committed changes, or the error if they
// cannot be read. It must store nothing if the transaction fails.
func TestWithChanges(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	var done sps.CommittedChanges
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithChanges(&done)); err != nil {
		t.Fatal(err)
	}
	if len(done.Changes) != 1 || done.Changes[0].Path != strings.TrimPrefix(emailPath, "/api/") || done.Err != nil {
		t.Errorf("changes %+v", done)
	}
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 500, Times: -1})
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore), sps.WithChanges(&done)); err != nil {
		t.Fatal(err)
	}
	var refused *sps.Error
	if done.Changes != nil || !errors.As(done.Err, &refused) || refused.Status != 500 {
		t.Errorf("the list of changes cannot be read: %+v", done)
	}
	failed := sps.CommittedChanges{Err: errors.New("untouched")}
	_ = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return errors.Join(testkit.SetAdmin(testkit.AdminAfter)(ctx, tx), errors.New("boom"))
	}, sps.WithChanges(&failed))
	if failed.Err == nil {
		t.Error("a failed transaction stored changes")
	}
}
