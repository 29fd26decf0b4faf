package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestTransactionStatus(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, append(options, spstest.WithCommitMessageRequired())...)
		c := testkit.Connect(t, a)
		closed, err := c.TransactionStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if closed.Open() || closed.HasChanges {
			t.Errorf("the status before the transaction: %+v", closed)
		}
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			open, err := c.TransactionStatus(ctx)
			if err != nil {
				return err
			}
			if !open.Open() || !open.HasChanges {
				t.Errorf("the status in the transaction: %+v", open)
			}
			return nil
		}, sps.WithMessage("CHG-1"))
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestTransactionStatusClosed checks that a closed client returns ErrClosed, although it has no
// session and needs no request.
func TestTransactionStatusClosed(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, _ *spstest.Appliance, c *sps.Client) {
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, err := c.TransactionStatus(t.Context()); !errors.Is(err, sps.ErrClosed) || status != nil {
			t.Errorf("%+v, %v, want ErrClosed", status, err)
		}
	})
}

func TestTransactionStatusShapes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want sps.TransactionStatus
	}{
		"old":      {`{"key":"transaction","meta":{"href":"/api/transaction","parent":"/api"},"transaction":{"status":"closed"}}`, sps.TransactionStatus{Status: "closed"}},
		"new":      {`{"body":{"commit_message":"required","status":"open"},"meta":{"changes":"/api/transaction/changes","remaining_seconds":599}}`, sps.TransactionStatus{Status: "open", CommitMessageRequired: true, HasChanges: true, SessionRemaining: 599 * time.Second}},
		"huge":     {`{"body":{"status":"open"},"meta":{"remaining_seconds":1e300}}`, sps.TransactionStatus{Status: "open"}},
		"optional": {`{"body":{"commit_message":"optional","status":"closed"},"meta":{}}`, sps.TransactionStatus{Status: "closed"}},
		"half":     {`{"body":{"status":"open"},"meta":{"remaining_seconds":0.5}}`, sps.TransactionStatus{Status: "open", SessionRemaining: time.Second / 2}},
		"ended":    {`{"body":{"status":"open"},"meta":{"remaining_seconds":-1}}`, sps.TransactionStatus{Status: "open"}},
		"both":     {`{"transaction":{"status":"closed"},"body":{"status":"open"}}`, sps.TransactionStatus{Status: "open"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a, sps.WithOneSession())
			a.Inject(spstest.Fault{Method: "GET", Path: "transaction", Status: 200, Body: test.body})
			got, err := c.TransactionStatus(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Diff(t, "status", &test.want, got)
		})
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, sps.WithOneSession())
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction", Status: 200, Body: `{"meta":{}}`})
	if got, err := c.TransactionStatus(t.Context()); !errors.Is(err, sps.ErrBadAnswer) {
		t.Errorf("a response without a status: %+v, %v", got, err)
	}
}

// auditPolicy contains the members of an audit policy that these tests use.
type auditPolicy struct {
	Name string `json:"name"`
}

const auditPolicies = "configuration/policies/audit_policies"

// change returns a transaction function that creates, deletes and replaces an object.
func change(c *sps.Client) func(context.Context, *sps.Transaction) error {
	return func(ctx context.Context, tx *sps.Transaction) error {
		policies := sps.NewCollection[auditPolicy](c, auditPolicies).In(tx)
		if _, err := policies.Create(ctx, auditPolicy{"new"}); err != nil {
			return err
		}
		if err := policies.Delete(ctx, "78101850949e47437dd91d"); err != nil {
			return err
		}
		return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
		a := spstest.NewServer(t, options...)
		c := testkit.Connect(t, a)
		kinds := func(changes []sps.Change) []string {
			var all []string
			for _, change := range changes {
				path, _, _ := strings.Cut(change.Path, "#") // the part after # depends on the variant
				if rest, ok := strings.CutPrefix(path, auditPolicies+"/"); ok && change.Type == sps.ChangeCreate {
					path = strings.TrimSuffix(path, rest) + "new"
				}
				all = append(all, string(change.Type)+" "+path)
			}
			slices.Sort(all)
			return all
		}
		want := []string{
			"create " + auditPolicies + "/new",
			"delete " + auditPolicies + "/78101850949e47437dd91d",
			"replace configuration/management/email",
		}
		var inside []sps.Change
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if none, err := tx.Changes(ctx); err != nil || len(none) > 0 {
				t.Errorf("the changes at the start of a transaction: %v, %v", none, err)
			}
			if err := change(c)(ctx, tx); err != nil {
				return err
			}
			var err error
			inside, err = tx.Changes(ctx)
			return errors.Join(err, errors.New("roll back"))
		})
		if err == nil {
			t.Error("no error")
		}
		testkit.Diff(t, "changes", want, kinds(inside))
		for _, change := range inside {
			if had, has := change.OldValue != nil, change.NewValue != nil; had != (change.Type != sps.ChangeCreate) || has != (change.Type != sps.ChangeDelete) {
				t.Errorf("%s: old value %s, new value %s", change, change.OldValue, change.NewValue)
			}
		}
		testkit.Settled(t, a, testkit.AdminBefore)

		preview, err := c.Preview(t.Context(), change(c))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Diff(t, "changes of a preview", want, kinds(preview))
		testkit.Settled(t, a, testkit.AdminBefore)
		if commits := a.Commits(); len(commits) > 0 {
			t.Errorf("commits %v", commits)
		}
	})
}

func TestPreview(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithCommitMessageRequired())
	c := testkit.Connect(t, a)
	a.ResetJournal()
	changes, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminAfter)) // a preview needs no message
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].String() != `replace configuration/management/email: admin_address: "`+testkit.AdminBefore+`" -> "`+testkit.AdminAfter+`"` {
		t.Errorf("changes %v", changes)
	}
	testkit.Diff(t, "requests", []string{
		"GET /api/configuration/management/email", "GET /api/authentication", "POST /api/transaction", "PUT /api/configuration/management/email",
		"GET /api/configuration/management/email", "GET /api/transaction/changes", "DELETE /api/transaction",
	}, testkit.Requests(a))
	testkit.Settled(t, a, testkit.AdminBefore)

	none, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminBefore))
	if err != nil || len(none) > 0 {
		t.Errorf("a preview without changes: %v, %v", none, err)
	}

	// An object that was replaced without being read is listed, too.
	replaced, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: testkit.AdminAfter})
	})
	if err != nil || len(replaced) != 1 {
		t.Errorf("a preview of a replacement: %v, %v", replaced, err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)

	boom := errors.New("boom")
	if changes, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		return errors.Join(testkit.SetAdmin(testkit.AdminAfter)(ctx, tx), boom)
	}); !errors.Is(err, boom) || changes != nil {
		t.Errorf("Preview with a failing function: %v, %v, want the error of the function and no changes", changes, err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)

	for _, test := range []struct {
		fault spstest.Fault
		want  error
	}{
		{spstest.Fault{Status: 404}, sps.Status(404)},
		{spstest.Fault{Status: 200, Body: `{"changes":{}}`}, sps.ErrBadAnswer},
		{spstest.Fault{Status: 200, Body: `{"changes":[1]}`}, sps.ErrBadAnswer},
		{spstest.Fault{ExpireSession: true}, sps.ErrTransactionLost},
	} {
		test.fault.Method, test.fault.Path = "GET", "transaction/changes"
		a.Inject(test.fault)
		if changes, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, test.want) || changes != nil {
			t.Errorf("%+v: %v, %v, want %v", test.fault, changes, err, test.want)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	}
	if err := c.Transaction(t.Context(), func(ctx context.Context, _ *sps.Transaction) error {
		_, err := c.Preview(ctx, testkit.SetAdmin(testkit.AdminAfter))
		return err
	}, sps.WithMessage("CHG-1")); !errors.Is(err, sps.ErrNested) {
		t.Errorf("a preview in a transaction: %v", err)
	}
}

// TestPreviewAgain checks that a preview that runs its function again returns only the changes
// of the last run, not those of a run that failed after the changes were listed.
func TestPreviewAgain(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		// The first run lists its changes. Its rollback and the log-out then fail.
		a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 503, Times: 4})
		a.Inject(spstest.Fault{Method: "DELETE", Path: "authentication", Status: 503, Times: 4})
		runs := 0
		changes, err := c.Preview(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if runs++; runs > 1 {
				return nil
			}
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		}, sps.WithRerun(time.Hour))
		if err != nil || len(changes) > 0 || runs != 2 {
			t.Errorf("%d runs: %v, %v, want 2 runs without changes", runs, changes, err)
		}
	})
}

// TestPreviewKeepsChanges checks that a preview does not touch the variable of WithChanges.
func TestPreviewKeepsChanges(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		var committed sps.CommittedChanges
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithChanges(&committed)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminBefore), sps.WithChanges(&committed)); err != nil {
			t.Fatal(err)
		}
		if len(committed.Changes) != 1 {
			t.Errorf("after the preview: %+v, want the committed change", committed)
		}
	})
}

// TestPreviewCancelled checks that a preview ends with its context, even while the client
// compares the list of changes.
func TestPreviewCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := a.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, "/transaction/changes") {
			resp.Body = closing{resp.Body, cancel} // cancels after the body was read
		}
		return resp, err
	}))
	if changes, err := c.Preview(ctx, testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, context.Canceled) || changes != nil {
		t.Errorf("changes %v, error %v", changes, err)
	}
	testkit.Settled(t, a, testkit.AdminBefore)
}

// closing is a response body that calls do when it is closed.
type closing struct {
	io.Reader
	do func()
}

func (c closing) Close() error { c.do(); return nil }

// TestChangeForms checks that lists of changes in forms without a sample in the guide are
// decoded.
func TestChangeForms(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for name, test := range map[string]struct {
		body string
		want []sps.Change
	}{
		"absent": {`{"meta":{}}`, nil},
		"null":   {`{"changes":null}`, nil},
		"empty":  {`{"changes":[]}`, []sps.Change{}},
		"all": {`{"changes":[
			{"type":"replace","path":"/api/x#y","old_value":"a","new_value":{"b":1}},
			{"type":"reorder","path":"/api/x","old_order":["a","b"],"new_order":[{"key":"b","meta":{}},{"key":"a"}]},
			{"type":"merge","path":7,"more":true}]}`, []sps.Change{
			{Type: "replace", Path: "x#y", OldValue: json.RawMessage(`"a"`), NewValue: json.RawMessage(`{"b":1}`), Differences: []sps.Difference{{Path: "y", Old: `"a"`, New: `{"b":1}`}}},
			{Type: "reorder", Path: "x", OldOrder: []string{"a", "b"}, NewOrder: []string{"b", "a"}},
			{Type: "merge", Path: "7"},
		}},
	} {
		a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 200, Body: test.body})
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			got, err := tx.Changes(ctx)
			testkit.Diff(t, name, test.want, got, testkit.AsJSON)
			return err
		}, sps.WithLockFirst())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConflict changes an object as another user between the read and the write of a
// transaction. It checks that the transaction returns ErrConflict, and succeeds if it is run
// again.
func TestConflict(t *testing.T) {
	t.Parallel()
	const theirs = "theirs@example.com"
	theirChange := func(a *spstest.Appliance) {
		body, _ := a.Configuration("management/email")
		a.SetConfiguration("management/email", json.RawMessage(strings.Replace(string(body), testkit.AdminBefore, theirs, 1)))
	}
	for name, fn := range map[string]func(ctx context.Context, a *spstest.Appliance, tx *sps.Transaction) error{
		"read, then updated": func(ctx context.Context, a *spstest.Appliance, tx *sps.Transaction) error {
			if _, err := tx.Management.Email.Get(ctx); err != nil {
				return err
			}
			theirChange(a) // the function may have made a decision that depends on its first read
			return testkit.SetAdmin(testkit.AdminAfter)(ctx, tx)
		},
		"read, then replaced": func(ctx context.Context, a *spstest.Appliance, tx *sps.Transaction) error {
			email, err := tx.Management.Email.Get(ctx)
			if err != nil {
				return err
			}
			theirChange(a)
			email.Body.ReportingAddress = testkit.AdminAfter
			return tx.Management.Email.Replace(ctx, email.Body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
				a := spstest.NewServer(t, append(options, spstest.WithVariant("lock-taken", "first-change"))...)
				c := testkit.Connect(t, a)
				err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error { return fn(ctx, a, tx) })
				if !errors.Is(err, sps.ErrConflict) || !strings.Contains(err.Error(), "configuration/management/email") {
					t.Errorf("error %v, want ErrConflict", err)
				}
				testkit.Settled(t, a, theirs)
				// A second transaction starts from the current values and succeeds.
				if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
					t.Error(err)
				}
				testkit.Settled(t, a, testkit.AdminAfter)
			}, "lock-taken")
		})
	}
}

// TestUpdateRunsAgain changes an object as another user between the read and the write of an
// update. It checks that the client calls the update function again with the new object.
func TestUpdateRunsAgain(t *testing.T) {
	t.Parallel()
	const theirs = "theirs@example.com"
	for _, lock := range []string{"opening", "first-change"} {
		for _, preview := range []bool{false, true} {
			t.Run(fmt.Sprintf("lock at %s, preview: %t", lock, preview), func(t *testing.T) {
				t.Parallel()
				testkit.UnderVariants(t, func(t *testing.T, options ...spstest.Option) {
					a := spstest.NewServer(t, append(options, spstest.WithVariant("lock-taken", lock))...)
					c := testkit.Connect(t, a)
					calls := 0
					fn := func(ctx context.Context, tx *sps.Transaction) error {
						return tx.Management.Email.Update(ctx, func(e *sps.EmailSettings) error {
							if calls++; calls == 1 {
								body, _ := a.Configuration("management/email")
								a.SetConfiguration("management/email", json.RawMessage(strings.Replace(string(body), testkit.AdminBefore, theirs, 1)))
							}
							e.AlertingAddress = testkit.AdminAfter
							return nil
						})
					}
					if preview {
						changes, err := c.Preview(t.Context(), fn)
						if err != nil || len(changes) == 0 {
							t.Errorf("preview: %v, %v", changes, err)
						}
						testkit.Settled(t, a, theirs)
						return
					}
					if err := c.Transaction(t.Context(), fn); err != nil {
						t.Fatal(err)
					}
					testkit.Diff(t, "calls", 2, calls)
					testkit.Settled(t, a, theirs) // an update of the body that was read first would undo the change of the other user
					email, err := c.Management.Email.Get(t.Context())
					if err != nil || email.Body.AlertingAddress != testkit.AdminAfter {
						t.Errorf("email %+v, %v", email, err)
					}
				}, "lock-taken")
			})
		}
	}
}

// TestNoConflict checks lists of changes that the client must not report as a conflict. It also
// checks that a transaction commits if the list cannot be read.
func TestNoConflict(t *testing.T) {
	t.Parallel()
	const path = "/api/configuration/management/email"
	const reference = `{"key":"b1","meta":{"href":"/api/configuration/policies/backup_policies/b1"}}`
	for name, fault := range map[string]spstest.Fault{
		"404":                                   {Status: 404},
		"Unauthorized":                          {Status: 403, Body: `{"error":{"type":"Unauthorized"}}`},
		"list is an object":                     {Status: 200, Body: `{"changes":{"a":1}}`},
		"an empty list":                         {Status: 200, Body: `{"changes":[]}`},
		"escaped character":                     {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `","old_value":{"admin_address":"admin\u0040example.com"},"new_value":{"admin_address":"after@example.com"}}]}`},
		"masked values":                         {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `","old_value":{"admin_address":"***"},"new_value":{"admin_address":"***"}}]}`},
		"values as strings":                     {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `","old_value":"{}","new_value":"{}"}]}`},
		"an unknown member":                     {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `#future/x","old_value":1,"new_value":2}]}`},
		"another object":                        {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `_templates","old_value":{"admin_address":"x"},"new_value":{}}]}`},
		"member of another object":              {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `_templates/admin_address","old_value":"x","new_value":"after@example.com"}]}`},
		"path that only starts like the object": {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `admin_address","old_value":"x","new_value":"after@example.com"}]}`},
		"old value as a string":                 {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `","old_value":"{}"}]}`},
		"member after a slash":                  {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `/admin_address","old_value":"admin@example.com","new_value":"after@example.com"}]}`},
		"no old value":                          {Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `","new_value":{"admin_address":"after@example.com"}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := spstest.NewServer(t)
			c := testkit.Connect(t, a)
			fault.Method, fault.Path = "GET", "transaction/changes"
			a.Inject(fault)
			if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
				t.Error(err)
			}
			testkit.Settled(t, a, testkit.AdminAfter)
		})
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "GET", Path: "configuration/management/system_backup", Status: 200, Body: `{"body":{"backup_policy":` + reference + `}}`, Times: 2})
	for _, old := range []string{`"other@example.com"`, `null`} {
		a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 200, Body: `{"changes":[{"type":"replace","path":"` + path + `/admin_address","old_value":` + old + `,"new_value":"after@example.com"}]}`})
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrConflict) {
			t.Errorf("a member path with a slash and the old value %s: %v, want ErrConflict", old, err)
		}
	}
	// The list contains a reference as an object, as a read does.
	const backup = "configuration/management/system_backup"
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 200, Body: `{"changes":[{"type":"replace","path":"/api/` + backup + `#backup_policy","old_value":` + reference + `,"new_value":null}]}`})
	if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		if _, err := tx.Invoke(ctx, "GET", backup, nil); err != nil {
			return err
		}
		_, err := tx.Invoke(ctx, "PUT", backup, json.RawMessage(`{"backup_policy":null}`))
		return err
	}); err != nil {
		t.Errorf("a list of changes with a reference: %v", err)
	}
	// If the appliance fails to return the list, the client commits without the comparison.
	for _, fault := range []spstest.Fault{{Status: 500, Times: -1}, {CutAfter: true, Times: 10}} {
		fault.Method, fault.Path = "GET", "transaction/changes"
		a.ClearFaults()
		a.Inject(fault)
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); err != nil {
			t.Errorf("%+v: %v", fault, err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		a.ClearFaults()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminBefore)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWaitAtFirstChange checks WithLockWait with an appliance that takes the lock at the first
// write.
func TestWaitAtFirstChange(t *testing.T) {
	t.Parallel()
	testkit.BubbleOf(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		release := a.LockConfiguration("somebody at the web interface")
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrLocked) {
			t.Errorf("without WithLockWait: %v, want ErrLocked", err)
		}
		start := time.Now()
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(10*time.Second)); !errors.Is(err, sps.ErrLocked) {
			t.Errorf("the lock is not released within WithLockWait: %v, want ErrLocked", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited %s", waited)
		}
		settledButFor(t, a, testkit.AdminBefore, "somebody at the web interface")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(time.Hour)); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sps.ErrLocked) {
			t.Errorf("the context ends during WithLockWait: %v", err)
		}
		time.AfterFunc(5*time.Second, release)
		if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(time.Minute)); err != nil {
			t.Errorf("the lock is released within WithLockWait: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
		// A change that the other user makes meanwhile is not overwritten.
		release = a.LockConfiguration("somebody at the web interface")
		time.AfterFunc(5*time.Second, func() {
			a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"theirs@example.com"}`))
			release()
		})
		if err := c.Transaction(t.Context(), testkit.SetAdmin("ours@example.com"), sps.WithLockWait(time.Minute)); err != nil {
			t.Errorf("another user changed the object during the wait: %v, want that the update runs again", err)
		}
		testkit.Settled(t, a, "ours@example.com")
		raw, _ := a.Configuration("management/email")
		testkit.Diff(t, "configuration with the change of the other user", `{"admin_address":"ours@example.com"}`, string(raw))
		// After the first write, the client holds the lock. If the appliance refuses a later
		// write because of the lock, the client must not wait: the lock and the staged changes
		// are lost.
		a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/datetime/timezone", Status: 403, Body: `{"error":{"type":"ConfigurationLocked"}}`})
		start = time.Now()
		err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Invoke(ctx, "PUT", "configuration/datetime/timezone", "Europe/Budapest")
			return err
		}, sps.WithLockWait(time.Minute))
		if !errors.Is(err, sps.ErrLocked) || time.Since(start) > 0 {
			t.Errorf("the lock is refused at a later write: %v after %v, want ErrLocked at once", err, time.Since(start))
		}
		testkit.Settled(t, a, "ours@example.com")
	}, spstest.WithVariant("lock-taken", "first-change"))
}

// settledButFor is like testkit.Settled, but expects that holder holds the lock.
func settledButFor(t *testing.T, a *spstest.Appliance, want, holder string) {
	t.Helper()
	testkit.Diff(t, "applied", want, testkit.Admin(t, a))
	testkit.Diff(t, "lock", holder, a.LockedBy())
	if a.TransactionOpen() {
		t.Error("a transaction is open")
	}
}

// TestCancelledCommit checks a commit during which the context of the caller ends. Transaction
// must return nil if the client finds that the commit was executed, and ErrOutcomeUnknown if
// the appliance does not execute it in time.
func TestCancelledCommit(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Delay: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sps.ErrOutcomeUnknown) {
			t.Errorf("the commit is not executed in time: %v, want DeadlineExceeded and ErrOutcomeUnknown", err)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("the transaction took %s, want at most 30 s", took)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
		ctx, cancel = context.WithCancel(t.Context())
		a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", Mutate: func(body []byte) []byte { cancel(); return body }, CutAfter: true})
		if err := c.Transaction(ctx, testkit.SetAdmin(testkit.AdminAfter)); err != nil { // the client must find that the commit was executed
			t.Errorf("the commit was executed: %v", err)
		}
		testkit.Settled(t, a, testkit.AdminAfter)
	})
}

// TestTwoClients checks that a client cannot write while the transaction of another client
// holds the lock, and that its reads do not return the values that are staged there.
func TestTwoClients(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	first, second := testkit.Connect(t, a), testkit.Connect(t, a)
	opened, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- second.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
			err := testkit.SetAdmin("second@example.com")(ctx, tx)
			close(opened)
			<-release
			return err
		})
	}()
	<-opened
	if err := first.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter)); !errors.Is(err, sps.ErrLocked) {
		t.Errorf("while the other client holds the lock: %v, want ErrLocked", err)
	}
	email, err := first.Management.Email.Get(t.Context())
	if err != nil || email.Body.AdminAddress != testkit.AdminBefore {
		t.Errorf("a read returned the staged value of the other client: %+v, %v", email, err)
	}
	waited := make(chan error)
	go func() {
		waited <- first.Transaction(context.Background(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(time.Minute))
	}()
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the transaction of the other client: %v", err)
	}
	if err := <-waited; err != nil {
		t.Errorf("the lock is released within WithLockWait: %v", err)
	}
	testkit.Settled(t, a, testkit.AdminAfter)
}

// TestTransactionErrorTexts checks that each error text is one line that begins with "sps: "
// and does not repeat that prefix.
func TestTransactionErrorTexts(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	release := a.LockConfiguration("somebody")
	locked := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	release()
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", ExpireSession: true})
	lost := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	a.Inject(spstest.Fault{Method: "PUT", Path: "transaction", CutAfter: true})
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction", Status: 500, Times: -1})
	a.Inject(spstest.Fault{Method: "GET", Path: "configuration/**", Skip: 2, Status: 500, Times: -1})
	unknown := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	a.ClearFaults()
	a.Inject(spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 502, Times: -1})
	a.Inject(spstest.Fault{Method: "DELETE", Path: "transaction", Status: 502, Times: -1})
	left := c.Transaction(t.Context(), testkit.SetAdmin("more@example.com"))
	a.ClearFaults()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for what, test := range map[string]struct{ err, want error }{
		"locked":                {locked, sps.ErrLocked},
		"lost":                  {lost, sps.ErrTransactionLost},
		"unknown":               {unknown, sps.ErrOutcomeUnknown},
		"transaction left open": {left, sps.Status(502)},
		"context done":          {c.Transaction(done, testkit.SetAdmin(testkit.AdminAfter)), context.Canceled},
		"unjoin, done":          {c.Starling.Unjoin(done), context.Canceled},
	} {
		text := fmt.Sprint(test.err)
		if !errors.Is(test.err, test.want) || strings.Count(text, "sps: ") != 1 || !strings.HasPrefix(text, "sps: ") || strings.Contains(text, "\n") {
			t.Errorf("%s: %q, want %v", what, text, test.want)
		}
		if what == "context done" && strings.Contains(text, "another transaction") {
			t.Errorf("%s: the text mentions another transaction, but there is none: %q", what, text)
		}
	}
}

// TestGuardedRoots checks that writes for which the guide requires a transaction are rejected
// outside of one and sent inside of one.
func TestGuardedRoots(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.ResetJournal()
	for _, path := range []string{
		"configuration/trust_stores", "cluster/nodes/b35c54da", "cluster/promote", "cluster/configuration_sync_plugin",
		"cluster/join_request", "acl/audit_data", "transaction",
	} {
		if _, err := c.Invoke(t.Context(), http.MethodPost, path, map[string]any{}); !errors.Is(err, sps.ErrTransactionOnly) {
			t.Errorf("POST %s: %v", path, err)
		}
	}
	if sent := testkit.Requests(a); len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
	err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, http.MethodPut, "cluster/nodes/b35c54da", map[string]any{"roles": []string{"search-local"}})
		return err
	})
	if !errors.Is(err, sps.ResourceNotFound) { // the simulated appliance has no such path
		t.Errorf("in a transaction: %v", err)
	}
}
