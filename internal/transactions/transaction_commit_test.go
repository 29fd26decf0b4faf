package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// commitVariants returns all combinations of the variants that determine how an appliance
// responds while it executes a commit.
func commitVariants() [][]spstest.Option {
	var all [][]spstest.Option
	for _, busy := range []string{"answer", "wait", "409:Busy"} {
		for _, rollback := range []string{"wait", "answered", "403:ForbiddenActionError", "409:Conflict"} {
			for _, lock := range []string{"opening", "first-change", "commit"} {
				all = append(all, []spstest.Option{
					spstest.WithVariant("busy-session", busy), spstest.WithVariant("rollback-during-commit", rollback), spstest.WithVariant("lock-taken", lock),
				})
			}
		}
	}
	return all
}

// TestCommitOutcomes checks the result of a transaction whose commit has no usable
// response, with each combination of commitVariants. It compares the result with the committed
// configuration an hour later.
func TestCommitOutcomes(t *testing.T) {
	t.Parallel()
	const second = time.Second
	commit := func(f spstest.Fault) spstest.Fault {
		f.Method, f.Path = "PUT", "transaction"
		return f
	}
	for name, test := range map[string]struct {
		fault     spstest.Fault
		more      []spstest.Fault
		limits    sps.Timeouts
		deadline  time.Duration
		meanwhile func(a *spstest.Appliance)
		want      error // nil for success
		either    bool  // whether both success and ErrOutcomeUnknown are correct
	}{
		"response after 12 s":                                             {fault: spstest.Fault{Takes: 12 * second}},
		"executed after 12 s, Timeouts.Commit of 2 s":                     {fault: spstest.Fault{Takes: 12 * second}, limits: sps.Timeouts{Commit: 2 * second}},
		"executed after 9 s, context cancelled after 2 s":                 {fault: spstest.Fault{Takes: 9 * second}, deadline: 2 * second},
		"executed after 30 s, context cancelled after 2 s":                {fault: spstest.Fault{Takes: 30 * second}, deadline: 2 * second, want: sps.ErrOutcomeUnknown},
		"connection breaks at once, executed after 5 s":                   {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 5 * second}},
		"connection breaks at once, executed after 60 s":                  {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 60 * second}},
		"connection breaks at once, executed after 240 s":                 {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 240 * second}},
		"504 at once, executed after 12 s":                                {fault: spstest.Fault{Status: 504, Detached: true, Takes: 12 * second}},
		"502 at once, executed after 60 s":                                {fault: spstest.Fault{Status: 502, Detached: true, Takes: 60 * second}},
		"504 after 60 s, executed after 90 s":                             {fault: spstest.Fault{Status: 504, Detached: true, Takes: 90 * second, AnswerDelay: 60 * second}},
		"connection breaks after the execution":                           {fault: spstest.Fault{CutAfter: true}},
		"redirect at once, executed after 5 s":                            {fault: spstest.Fault{Status: 302, Header: http.Header{"Location": {"/"}}, Detached: true, Takes: 5 * second}},
		"response with the status open, executed after 5 s":               {fault: spstest.Fault{Status: 200, Body: `{"body":{"status":"open"}}`, Detached: true, Takes: 5 * second}},
		"response in HTML, executed after 5 s":                            {fault: spstest.Fault{Status: 200, Body: `<html>`, ContentType: "text/html", Detached: true, Takes: 5 * second}},
		"connection breaks before the request":                            {fault: spstest.Fault{CutBefore: true}, want: sps.ErrOutcomeUnknown},
		"connection refused":                                              {fault: spstest.Fault{Refuse: true, Times: -1}, want: sps.ErrLocked}, // want is ignored: a check below requires that the error text says "not executed"
		"commit refused":                                                  {fault: spstest.Fault{Status: 400, Body: `{"error":{"type":"SemanticError"}}`}, want: sps.SemanticError},
		"executed after Timeouts.Outcome":                                 {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, want: sps.ErrOutcomeUnknown},
		"executed after Timeouts.Outcome, rollback without a response":    {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, more: []spstest.Fault{{Method: "DELETE", Path: "transaction", Delay: time.Hour, Times: -1}}, want: sps.ErrOutcomeUnknown},
		"executed after Timeouts.Outcome, 404 for the rollback":           {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, more: []spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 404, Times: -1}}, want: sps.ErrOutcomeUnknown},
		"executed after Timeouts.Outcome, 405 for the rollback":           {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, more: []spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 405, Times: -1}}, want: sps.ErrOutcomeUnknown},
		"executed after Timeouts.Outcome, 503 for the rollback":           {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, more: []spstest.Fault{{Method: "DELETE", Path: "transaction", Status: 503, Times: -1}}, want: sps.ErrOutcomeUnknown},
		"executed after Timeouts.Outcome, polls return the status closed": {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 400 * second}, more: []spstest.Fault{{Method: "GET", Path: "transaction", Status: 200, Body: `{"body":{"status":"closed"}}`, Times: -1}}, want: sps.ErrOutcomeUnknown},
		"executed after 12 s, 503 for each poll":                          {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 12 * second}, more: []spstest.Fault{{Method: "GET", Path: "transaction", Status: 503, Times: -1}}, either: true},
		"another user changes the object afterwards": {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 12 * second}, meanwhile: func(a *spstest.Appliance) {
			time.AfterFunc(12*second+time.Millisecond, func() {
				a.SetConfiguration("management/email", json.RawMessage(`{"admin_address":"theirs@example.com"}`))
			})
		}, want: sps.ErrOutcomeUnknown},
		"restart before the execution": {fault: spstest.Fault{CutAfter: true, Detached: true, Takes: 12 * second}, meanwhile: func(a *spstest.Appliance) { time.AfterFunc(6*second, a.Restart) }, either: true},
	} {
		for i, variants := range commitVariants() {
			for _, one := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, variants %d, one session: %t", name, i, one), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						a := spstest.NewServer(t, append([]spstest.Option{spstest.WithoutListener()}, variants...)...)
						defer a.Close()
						options := []sps.Option{testkit.InProcess(a), sps.WithTimeouts(test.limits)}
						if one {
							options = append(options, sps.WithOneSession())
						}
						c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())), options...)
						if err != nil {
							t.Fatal(err)
						}
						defer c.Close(context.Background())
						a.Inject(commit(test.fault))
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						err = c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
							if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
								return err
							}
							for _, f := range test.more {
								a.Inject(f)
							}
							if test.meanwhile != nil {
								test.meanwhile(a)
							}
							if test.deadline > 0 {
								time.AfterFunc(test.deadline, cancel)
							}
							return nil
						})
						said := testkit.Admin(t, a)
						time.Sleep(time.Hour) // simulated time
						if err := a.WaitIdle(t.Context()); err != nil {
							t.Fatal(err)
						}
						now := testkit.Admin(t, a)
						switch unknown := errors.Is(err, sps.ErrOutcomeUnknown); {
						case err == nil && said == testkit.AdminAfter && test.meanwhile != nil: // the client read the committed value before test.meanwhile took effect
						case err == nil && now != testkit.AdminAfter:
							t.Errorf("no error, and the address is %s", now)
						case err != nil && !unknown && now != testkit.AdminBefore:
							t.Errorf("error %v, and the address is %s", err, now)
						case test.either && (err == nil || unknown):
						case name == "connection refused":
							if unknown || err == nil || !strings.Contains(err.Error(), "not executed") {
								t.Errorf("error %v, want one that says that the commit was not executed", err)
							}
						case !errors.Is(err, test.want):
							t.Errorf("error %v, want %v (the address was %s)", err, test.want, said)
						}
						var details *sps.OutcomeUnknownDetails
						switch has := errors.As(err, &details); {
						case has != errors.Is(err, sps.ErrOutcomeUnknown):
							t.Errorf("error %v, with details: %t", err, has)
						case details == nil:
						case name == "connection breaks before the request":
							if !details.RolledBack || len(details.AsBefore) != 1 || details.Waited < 299*second {
								t.Errorf("details %+v", details)
							}
						case name == "another user changes the object afterwards":
							if len(details.Neither) != 1 {
								t.Errorf("details %+v", details)
							}
						}
					})
				})
			}
		}
	}
}

// TestLateRead delays the response to a read of a transaction: the appliance answers the read
// before another user's change, and the client receives the response after its first write. The
// client must repeat the read before the commit and return ErrConflict.
func TestLateRead(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, _ *sps.Client) {
		answered, deliver := make(chan struct{}), make(chan struct{})
		first := true
		c, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
			testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				resp, err := a.RoundTrip(r)
				if first && strings.HasSuffix(r.URL.Path, "/datetime/timezone") {
					first = false
					close(answered)
					<-deliver
				}
				return resp, err
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			read := make(chan error)
			go func() {
				_, err := tx.Invoke(ctx, "GET", "configuration/datetime/timezone", nil)
				read <- err
			}()
			<-answered
			a.SetConfiguration("datetime/timezone", json.RawMessage(`"Europe/Vienna"`))
			if err := testkit.SetAdmin(testkit.AdminAfter)(ctx, tx); err != nil {
				return err
			}
			close(deliver)
			return <-read
		})
		if !errors.Is(err, sps.ErrConflict) {
			t.Errorf("error %v, want ErrConflict", err)
		}
		testkit.Settled(t, a, testkit.AdminBefore)
	})
}
