package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// crowd is the number of goroutines that share a client in these tests.
const crowd = 64

// together runs f in crowd goroutines and returns their errors.
func together(f func(i int) error) []error {
	errs := make([]error, crowd)
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errs
}

// logins returns the number of logins that the appliance has received.
func logins(a *spstest.Appliance) int {
	n := 0
	for _, r := range a.Journal() {
		if r.Method == "GET" && r.Path == "/api/authentication" {
			n++
		}
	}
	return n
}

// TestManyGoroutines checks that many goroutines can use one client over TLS while sessions
// expire, the password changes and transactions run. Half of the readers cancel their calls at
// once, which must not affect the others.
func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	var mu sync.Mutex
	password := a.Password()
	c, err := sps.Connect(t.Context(), a.Addr(), sps.PasswordFunc(a.Username(), func(context.Context) (sps.Secret, error) {
		mu.Lock()
		defer mu.Unlock()
		return sps.NewSecretString(password), nil
	}), sps.WithCABundle(a.CA()), testkit.Quick)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 6 {
		if round == 3 { // the password changes, and the client gets the new one at its next login
			mu.Lock()
			password = "rotated"
			mu.Unlock()
			a.SetPassword(a.Username(), "rotated")
		}
		a.ExpireSessions()
		a.ResetJournal()
		errs := together(func(i int) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 1 {
				cancel()
			}
			_, err := c.Alerting.TrafficAlerts.Get(ctx)
			return err
		})
		for i, err := range errs {
			if i%2 == 0 && err != nil || i%2 == 1 && !errors.Is(err, context.Canceled) {
				t.Errorf("round %d, reader %d: %v", round, i, err)
			}
		}
		if n := logins(a); n != 1 {
			t.Errorf("round %d: %d logins after one expiry", round, n)
		}
	}
	// Transactions wait for each other while other goroutines read, and no change is lost.
	errs := together(func(i int) error {
		if i%4 != 0 {
			_, err := c.Management.Email.Get(t.Context())
			return err
		}
		return c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore(fmt.Sprint("store ", i)))
			return err
		})
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	for i := range crowd / 4 {
		if _, err := c.TrustStores.GetByName(t.Context(), fmt.Sprint("store ", i*4)); err != nil {
			t.Error(err)
		}
	}
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if a.Sessions() != 0 || a.TransactionOpen() {
		t.Errorf("after Close: %d sessions, transaction open: %t", a.Sessions(), a.TransactionOpen())
	}
}

// TestManyGoroutinesWithOldPassword checks that many goroutines cause a single login attempt
// after the password has changed on the appliance, because more attempts may lock the account.
func TestManyGoroutinesWithOldPassword(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c, err := testkit.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	a.SetPassword(a.Username(), "rotated")
	a.ExpireSessions()
	a.ResetJournal()
	for range 2 {
		for i, err := range together(func(int) error { _, err := c.Management.Email.Get(t.Context()); return err }) {
			if !errors.Is(err, sps.AuthenticationFailure) {
				t.Errorf("reader %d: %v", i, err)
			}
		}
	}
	if n := logins(a); n != 1 {
		t.Errorf("%d logins", n)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCloseWithManyGoroutines closes a client while many goroutines wait for responses. It
// checks that each call returns ErrClosed at once.
func TestCloseWithManyGoroutines(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "configuration/**", Delay: time.Hour, Times: -1})
		time.AfterFunc(10*time.Second, func() {
			if err := c.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		start := time.Now()
		errs := together(func(i int) error {
			if i%8 == 0 {
				return c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
			}
			_, err := c.Management.Email.Get(t.Context())
			return err
		})
		for i, err := range errs {
			if !errors.Is(err, sps.ErrClosed) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("the calls took %s to end", took)
		}
		time.Sleep(time.Minute) // simulated time, in which Close ends
		if a.Sessions() != 0 || a.TransactionOpen() {
			t.Errorf("after Close: %d sessions, transaction open: %t", a.Sessions(), a.TransactionOpen())
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}
