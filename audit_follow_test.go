package sps_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/spstest"
)

// exporter is a program that is killed and started again: what it has written, and what it
// has saved of that with its checkpoint.
type exporter struct {
	a          *spstest.Appliance
	options    []sps.FollowOption
	out        []string
	saved      int
	checkpoint []byte
	largest    int // checkpoint
	starts     int
}

var errKilled = errors.New("killed")

// run exports until the context ends or, after a session with that probability, it is killed.
func (e *exporter) run(ctx context.Context, random *rand.Rand, kill float64, more ...sps.FollowOption) error {
	e.starts++
	e.out = e.out[:e.saved]
	c, err := sps.Connect(ctx, e.a.Addr(), sps.UsernamePassword(e.a.Username(), sps.NewSecretString(e.a.Password())), inProcess(e.a))
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	follow, err := c.Audit.Sessions.Follow(ctx, audit.Query{KeysOnly: true, PageSize: 3 + random.IntN(100)}, append(slices.Concat(e.options, more), sps.FollowFrom(e.checkpoint))...)
	if err != nil {
		return err
	}
	for session, err := range follow.All() {
		if err != nil {
			return err
		}
		e.out = append(e.out, session.Key)
		if random.Float64() < kill {
			return errKilled
		}
		if !follow.EndOfPage() && random.IntN(10) > 0 {
			continue
		}
		checkpoint, err := follow.Checkpoint()
		if err != nil {
			return err
		}
		e.checkpoint, e.saved, e.largest = checkpoint, len(e.out), max(e.largest, len(checkpoint))
	}
	return nil
}

// TestFollowExactlyOnce follows an appliance on which sessions begin and end, and arrive
// late, which restarts, and whose sessions expire. The program is killed and started again.
// Whatever happens, each session is in its output once.
func TestFollowExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]spstest.Option{
		"by end":        nil,
		"6.9":           {spstest.WithProfile("6.9")},
		"null ends":     {spstest.WithVariant("session-running-end", "null")},
		"no end ranges": {spstest.WithVariant("search-time-ranges", "no-end-time")},
		"no ranges":     {spstest.WithVariant("search-time-ranges", "refused")},
		"dotted":        {spstest.WithVariant("search-fields-form", "dotted")},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { followExactlyOnce(t, rand.New(rand.NewPCG(seed, 1)), options) })
			})
		}
	}
}

func followExactlyOnce(t *testing.T, random *rand.Rand, options []spstest.Option) {
	a, err := spstest.New(append(options, spstest.WithAuditSessions(300), spstest.WithRestart(spstest.Restart{Refused: 3, Unavailable: 2, Starting: 2}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	e := &exporter{a: a}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	done := make(chan struct{})
	own := rand.New(rand.NewPCG(random.Uint64(), 2))
	go func() {
		defer close(done)
		disturb(ctx, a, own)
	}()
	for ctx.Err() == nil {
		err := e.run(ctx, random, 0.01)
		if err != nil && !errors.Is(err, errKilled) && ctx.Err() == nil {
			var broken *sps.TransportError
			if var_, ok := errors.AsType[*sps.Error](err); ok && var_.Status >= 500 || errors.As(err, &broken) || ok && var_.Type == "" {
				time.Sleep(10 * time.Second) // the login met a restart
				continue
			}
			t.Fatal(err)
		}
	}
	<-done
	for session := range a.AuditSessions() {
		a.EndAuditSession(session.Key, time.Time{})
	}
	time.Sleep(time.Minute)
	for try := 0; ; try++ {
		err := e.run(t.Context(), random, 0, sps.FollowOnce())
		if err == nil {
			break
		}
		if try == 5 {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	}
	once(t, storedKeys(a), e.out)
	if e.starts < 5 || e.largest > 64<<10 {
		t.Errorf("%d starts, a checkpoint of %d bytes", e.starts, e.largest)
	}
}

// disturb lets things happen until the context ends.
func disturb(ctx context.Context, a *spstest.Appliance, random *rand.Rand) {
	var active []string
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.IntN(40_000)) * time.Millisecond):
		}
		now := time.Now()
		switch what := random.IntN(100); {
		case what < 35:
			active = append(active, a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("a%d", n)}))
		case what < 60 && len(active) > 0:
			i := random.IntN(len(active))
			a.EndAuditSession(active[i], time.Time{})
			active = slices.Delete(active, i, i+1)
		case what < 75: // delivered late by another node
			end := now.Add(-time.Duration(random.IntN(600)) * time.Second)
			a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("l%d", n), Start: end.Add(-time.Duration(random.IntN(120)) * time.Second), End: end})
		case what < 85: // several at once
			for i := range random.IntN(60) {
				a.AddAuditSession(spstest.AuditSession{Key: fmt.Sprintf("b%d-%d", n, i), Start: now, End: now})
			}
		case what < 92:
			a.ExpireSessions()
		case what < 94:
			a.Restart()
		}
	}
}

var _ = strings.ToUpper
