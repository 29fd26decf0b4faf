package transactions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// clientsOf returns n clients of an appliance. The caller must close them.
func clientsOf(t *testing.T, a *spstest.Appliance, n int) []*sps.Client {
	t.Helper()
	list := make([]*sps.Client, n)
	for i := range list {
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), testkit.InProcess(a))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = c
	}
	return list
}

// TestFairLock runs several clients that repeatedly take and release the lock. It checks that
// each client gets a fair share of the commits.
func TestFairLock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		clients int
		hold    func(n int) time.Duration
		gap     time.Duration
		span    time.Duration
	}{
		"3 clients, lock held for 0.2 to 0.5 s":         {3, func(n int) time.Duration { return time.Duration(200+n%4*100) * time.Millisecond }, 0, time.Minute},
		"2 clients, lock held for 2 s, pauses of 20 ms": {2, func(int) time.Duration { return 2 * time.Second }, 20 * time.Millisecond, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := spstest.NewServer(t, spstest.WithoutListener())
				defer a.Close()
				clients := clientsOf(t, a, test.clients)
				counts := make([]int, test.clients)
				start := time.Now()
				var all sync.WaitGroup
				for i, c := range clients {
					all.Go(func() {
						for time.Since(start) < test.span {
							err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
								if err := tx.Management.Email.Replace(ctx, sps.EmailSettings{AdminAddress: fmt.Sprint(i)}); err != nil {
									return err
								}
								time.Sleep(test.hold(counts[i])) // simulated time
								return nil
							}, sps.WithLockWait(20*time.Second))
							switch {
							case err == nil:
								counts[i]++
							case !errors.Is(err, sps.ErrLocked):
								t.Error(err)
							}
							time.Sleep(test.gap)
						}
					})
				}
				all.Wait()
				total := 0
				for i, c := range clients {
					total += counts[i]
					c.Close(t.Context())
				}
				for i, n := range counts {
					if n*test.clients*5 < total {
						t.Errorf("client %d made only %d of %d commits", i, n, total)
					}
				}
				t.Logf("commits %v", counts)
			})
		})
	}
}

// TestYieldWithoutOtherClients checks a client that uses the lock alone. The pauses in which it
// would let other clients take the lock must cost little time.
func TestYieldWithoutOtherClients(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		start := time.Now()
		for range 20 {
			if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				time.Sleep(time.Second) // simulated time
				return tx.Management.Email.Replace(ctx, sps.EmailSettings{})
			}, sps.WithLockFirst()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 22*time.Second {
			t.Errorf("20 transactions of a second took %s", took)
		}
	})
}

// TestLockWaitForOwnTransaction checks that the limit of WithLockWait also applies to the wait
// for another transaction of the same client.
func TestLockWaitForOwnTransaction(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		var first sync.WaitGroup
		first.Go(func() {
			if err := c.Transaction(t.Context(), func(context.Context, *sps.Transaction) error { time.Sleep(time.Minute); return nil }); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		start := time.Now()
		err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithLockWait(5*time.Second))
		if !errors.Is(err, sps.ErrLocked) || time.Since(start) != 5*time.Second || !strings.Contains(err.Error(), "this client") {
			t.Errorf("error after %s: %v, want ErrLocked after 5 s that names this client", time.Since(start), err)
		}
		first.Wait()
	})
}

// TestLockOfOwnUser checks that ErrLocked mentions an earlier run of the program if the
// appliance names the client's own user as the holder of the lock.
func TestLockOfOwnUser(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	for _, test := range []struct {
		message string
		own     bool
	}{
		{"The configuration is locked by admin.", true}, {"locked by user 'admin' (web)", true}, {"The configuration is locked by administrator", false},
	} {
		a.Inject(spstest.Fault{Method: "POST", Path: "transaction", Status: 403, Body: `{"error":{"type":"ConfigurationLocked","message":"` + test.message + `"}}`})
		err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
		if !errors.Is(err, sps.ErrLocked) || strings.Contains(err.Error(), "earlier run") != test.own {
			t.Errorf("%s: %v", test.message, err)
		}
	}
}

// TestHungAppliance checks an appliance that does not respond to any DELETE. From the end of
// the context to the return of Close, at most Timeouts.Close and one second may pass.
func TestHungAppliance(t *testing.T) {
	t.Parallel()
	for name, one := range map[string][]sps.Option{"two sessions": nil, "one session": {sps.WithOneSession()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := sps.DefaultTimeouts().Close
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Method: "DELETE", Delay: time.Hour, Times: -1})
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				err := c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
					if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
						return err
					}
					<-ctx.Done()
					return ctx.Err()
				})
				over, _ := ctx.Deadline()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if one == nil && !strings.Contains(err.Error(), "hold the lock until that session ends") {
					t.Errorf("error %v, want one that says that the session holds the lock", err)
				}
				if err := c.Close(t.Context()); err == nil {
					t.Error("Close returned nil")
				}
				if took := time.Since(over); took > limit+time.Second {
					t.Errorf("the cleanup took %s", took)
				}
				a.ClearFaults()
			}, one...)
		})
	}
}

// TestConnectDeadline connects to a host that accepts connections and sends nothing. It checks
// that Connect returns at the deadline of its context, and that the error says what the client
// was waiting for.
func TestConnectDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := testkit.NewMemNet()
		defer network.Close()
		go func() {
			for {
				conn, err := network.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := sps.Connect(ctx, "silent.example.com:8443", sps.UsernamePassword("u", sps.NewSecretString("pass")), network.Dial())
		if took := time.Since(start); took != time.Second {
			t.Errorf("Connect took %s", took)
		}
		var broken *sps.TransportError
		if !errors.As(err, &broken) || broken.Host != "silent.example.com:8443" || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "TLS handshake") {
			t.Errorf("error %v", err)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := sps.Connect(done, "appliance.test", sps.UsernamePassword("u", sps.NewSecretString("pass")), testkit.RoundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("a request was sent")
			return nil, errors.New("sent")
		})); !errors.Is(err, context.Canceled) {
			t.Errorf("Connect with a cancelled context: %v, want Canceled", err)
		}
		time.Sleep(time.Minute) // simulated time, in which background work ends
	})
}
