package sps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-sps/sps/internal/apipath"
	"github.com/go-sps/sps/internal/wire"
)

// JobStatus is the state of a job of the appliance, such as a [FirmwareFetch] or a
// [SupportBundle]. One that is known is always the constant, however the appliance
// writes it; any other one stays as it is written.
type JobStatus string

// The statuses that the guide names in its text. There may be others on the way.
const (
	JobQueued     JobStatus = "queued"
	JobInProgress JobStatus = "in-progress"
	JobFinished   JobStatus = "finished"
	JobFailed     JobStatus = "failed"
	JobCancelled  JobStatus = "cancelled"
)

// newJobStatus recognises a status whatever its case, with "_", "-" or a space, and
// with one or two l in cancelled: the guide shows no answer. "error" is failed.
func newJobStatus(text string) JobStatus {
	switch strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(text)) {
	case "queued":
		return JobQueued
	case "inprogress":
		return JobInProgress
	case "finished":
		return JobFinished
	case "failed", "error":
		return JobFailed
	case "cancelled", "canceled":
		return JobCancelled
	}
	return JobStatus(text)
}

// Done reports whether the status is an end: finished, failed or cancelled.
func (s JobStatus) Done() bool {
	return s == JobFinished || s == JobFailed || s == JobCancelled
}

// Progress is how far something is that takes its time.
type Progress struct {
	// Step is the step of an upgrade, "" elsewhere.
	Step FirmwareUpgradeStep
	// State is what was seen of what is waited for, in words; "" for a transfer.
	State string
	// Done and Total are the bytes of a transfer, Total -1 where that is not known; both
	// are 0 elsewhere.
	Done, Total int64
	// Percent is the share that is done, -1 where that is not known.
	Percent float64
	// Elapsed is the time since it began.
	Elapsed time.Duration
}

// transferred makes the progress of a transfer.
func transferred(done, total int64, start time.Time) Progress {
	p := Progress{Done: done, Total: total, Percent: -1, Elapsed: time.Since(start)}
	if total > 0 {
		p.Percent = 100 * float64(done) / float64(total)
	}
	return p
}

// ProgressOption is what [WithProgress] returns. It fits uploads, downloads, waits and
// upgrades.
type ProgressOption struct{ report func(Progress) }

// WithProgress calls a function during an upload, a download, a wait or an upgrade: about
// once per MiB of a transfer and once at its end, after each look at what is waited for,
// and when a step of an upgrade begins. It is never called twice at a time, and during an
// upload from another goroutine; a slow function slows the transfer. A transfer that is
// tried again begins at 0 again. Nil is none.
func WithProgress(report func(Progress)) ProgressOption {
	if report == nil {
		report = func(Progress) {}
	}
	return ProgressOption{report}
}

// WaitOption refines waiting for an appliance: [WithProgress], [WithPollInterval] and
// [WithWaitLimit].
type WaitOption interface{ applyWait(*waitOptions) }

type waitOptions struct {
	every    time.Duration
	budget   time.Duration
	progress func(Progress)
	before   *ApplianceInfo // what must have restarted
}

func (o ProgressOption) applyWait(w *waitOptions) { w.progress = o.report }

// IntervalOption is what [WithPollInterval] returns. It fits waits, upgrades and
// [AuditSessions.Follow].
type IntervalOption time.Duration

func (o IntervalOption) applyWait(w *waitOptions) { w.every = time.Duration(o) }

// WithPollInterval sets the time between two looks, at least a millisecond. Zero is the
// default: 5 seconds for a fetch, 10 seconds for a restart, an appliance that starts and a
// support bundle, and 1 minute for sessions that are followed. A negative one is
// [ErrInvalidInput].
func WithPollInterval(interval time.Duration) IntervalOption { return IntervalOption(interval) }

// PollOption is what [WithWaitLimit] returns. It fits waits and upgrades.
type PollOption func(*waitOptions)

func (o PollOption) applyWait(w *waitOptions) { o(w) }

// WithWaitLimit sets how long to wait, within the context. Zero is the default: 2 hours for
// a fetch, and 30 minutes for a restart, an appliance that starts and a support bundle. A
// negative one is [ErrInvalidInput].
func WithWaitLimit(limit time.Duration) PollOption {
	return func(o *waitOptions) { o.budget = limit }
}

// newWait puts together how to wait; every and budget are the defaults.
func newWait(every, budget time.Duration, options []WaitOption) (*waitOptions, error) {
	o := &waitOptions{progress: func(Progress) {}}
	for _, option := range options {
		if option != nil {
			option.applyWait(o)
		}
	}
	return o, o.complete(every, budget)
}

// complete puts the defaults in the place of what is zero.
func (o *waitOptions) complete(every, budget time.Duration) error {
	switch {
	case o.every < 0:
		return fmt.Errorf("sps: %w", invalid("WithPollInterval takes no negative time; zero is the default"))
	case o.budget < 0:
		return fmt.Errorf("sps: %w", invalid("WithWaitLimit takes no negative time; zero is the default"))
	}
	orDefault(&o.every, every)
	orDefault(&o.budget, budget)
	o.every = max(o.every, time.Millisecond)
	return nil
}

// errWaitBudget is the cause when a wait's own limit ended it.
type errWaitBudget time.Duration

func (e errWaitBudget) Error() string {
	return fmt.Sprintf("not seen within %s (see WithWaitLimit)", time.Duration(e))
}

func (e errWaitBudget) Is(target error) bool { return target == context.DeadlineExceeded }

// bound limits a wait by its budget.
func (o *waitOptions) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.budget, errWaitBudget(o.budget))
}

// WaitReady waits until the appliance is there and the client is logged in: for programs
// that start before their appliance, see [NewClient], and after a restart. Refused and
// broken connections, failed handshakes, HTML at any status and whatever else a starting
// appliance shows are waited out, within the context and [WithWaitLimit].
//
// It asks without the credential (GET /api/setup) until the appliance answers and is neither
// booting nor uninitialized, and then reads /api/info, which logs in where there is no
// session that lives. So a password that is right is hardly ever refused because the
// appliance starts.
//
// It ends early with the refusal where the login is refused, unless [WithLoginRetry] tries
// it again; with what [Client.Err] says, where the client is dead; and with a
// [CertificateError] where the appliance keeps showing a certificate that is not trusted.
// When the time is over, the error wraps context.DeadlineExceeded and says what was seen
// last.
func (c *Client) WaitReady(ctx context.Context, options ...WaitOption) error {
	if err := c.made(); err != nil {
		return err
	}
	o, err := newWait(10*time.Second, 30*time.Minute, options)
	if err != nil {
		return err
	}
	ctx, cancel := o.bound(ctx)
	defer cancel()
	ctx, release := merge(ctx, c.life)
	defer release()
	start, last, strange := time.Now(), "nothing", 0
	for {
		if err := c.Err(); err != nil {
			return err
		}
		state, err := c.greet(ctx)
		if ctx.Err() == nil { // a look that was cut short saw nothing
			if last = state; err != nil {
				last = oneLine(err.Error(), 200)
			}
			o.progress(Progress{State: last, Percent: -1, Elapsed: time.Since(start)})
		}
		switch {
		case err == nil && state == stateReady:
			return nil
		case ctx.Err() != nil:
		case refusesCredential(err) && c.logins.every == 0:
			return c.fail(waitingReady, err)
		case err != nil && untrusted(err):
			if strange++; strange >= maxUntrusted {
				return c.fail(waitingReady, err)
			}
		default:
			strange = 0
		}
		if err := sleep(ctx, o.every); err != nil {
			return c.fail(waitingReady, fmt.Errorf("%w; last seen: %s", err, last))
		}
	}
}

const (
	waitingReady = "waiting for the appliance"
	stateReady   = "ready"
)

// greet looks once whether the appliance is there, without the credential, and then with
// a session. It returns what it saw in words.
func (c *Client) greet(ctx context.Context) (state string, err error) {
	k := &call{class: classRead, method: http.MethodGet, path: setupPath, bounds: bounds{once: true, life: c.life}}
	a, err := c.transport.do(ctx, k, nil)
	if err != nil && !answeredByAPI(err) {
		return "", err
	}
	if err == nil {
		if status, ok := wire.Text(wire.Find(a.All, "status")); ok && !takesLogins(status) {
			return "the setup is " + oneLine(status, 40), nil
		}
	}
	_, err = c.readOnce(ctx, infoPath)
	var refused *Error
	if errors.As(err, &refused) && refused.Path == infoPath.Text && answeredByAPI(err) && refused.Type != Unauthenticated {
		err = nil // who may not read it is logged in all the same
	}
	return stateReady, err
}

// answeredByAPI reports whether an error is a refusal of the API itself, not of something
// before it.
func answeredByAPI(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Type != "" && refused.Status < 500
}

// maxFailures is how many looks in a row may fail before waiting ends.
const maxFailures = 5

// passing reports whether an error may be gone with the next look.
func passing(err error) bool {
	var broken *TransportError
	var refused *Error
	return errors.As(err, &broken) && !untrusted(err) || errors.As(err, &refused) && refused.Status >= 500
}

// job looks at a job until it has ended. What it saw last is in the error when the
// time is over; some looks may fail meanwhile.
func (o *waitOptions) job(ctx context.Context, c *Client, what string, look func(context.Context) (JobStatus, float64, error)) error {
	ctx, cancel := o.bound(ctx)
	defer cancel()
	start := time.Now()
	last, failures := JobStatus(""), 0
	for {
		status, percent, err := look(ctx)
		if failures++; err != nil && ctx.Err() == nil && passing(err) && failures < maxFailures && sleep(ctx, o.every) == nil {
			continue
		}
		if err != nil && (ctx.Err() == nil || last == "") {
			return err
		}
		if err != nil { // a look that was cut short saw nothing
			return c.fail(what, errorf("%w; it was %s", ended(ctx), oneLine(string(last), 60)))
		}
		failures, last = 0, status
		o.progress(Progress{State: oneLine(string(status), 60), Percent: percent, Elapsed: time.Since(start)})
		if status.Done() {
			return nil
		}
		if err := sleep(ctx, o.every); err != nil {
			return c.fail(what, errorf("%w; it was %s", err, oneLine(string(last), 60)))
		}
	}
}

// jobs is where the appliance keeps the jobs of one kind.
type jobs[T any] struct {
	client *Client
	path   apiPath
	what   string // one of them, in words
	decode func(wire.Envelope, string) T
	state  func(*T) (JobStatus, float64)
}

// list lists the jobs. Where the list shows no more than keys, each is read on its
// own; one that is gone by then is left out.
func (j jobs[T]) list(ctx context.Context) ([]T, error) {
	list := []T{}
	for listed, err := range allEntries(ctx, j.client, newRead(j.path, nil)) {
		if err != nil {
			return nil, err
		}
		one := j.decode(listed.Envelope, listed.key)
		if status, _ := j.state(&one); status == "" {
			if apipath.CheckSegment(listed.key) != nil {
				return nil, listed.a.unusable("an item has the key %q", oneLine(listed.key, 60))
			}
			read, err := j.get(ctx, listed.key)
			if errors.Is(err, ResourceNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			one = *read
		}
		list = append(list, one)
	}
	return list, nil
}

// get reads one job.
func (j jobs[T]) get(ctx context.Context, key string) (*T, error) {
	path, err := itemPath(j.path, key)
	if err != nil {
		return nil, err
	}
	a, err := j.client.read(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	one := j.decode(a.Envelope, key)
	if status, _ := j.state(&one); status == "" {
		return nil, a.unusable("it lacks the status of the %s", words(j.what))
	}
	return &one, nil
}

// wait waits until a job has ended, and returns it. finished is false where it ended
// otherwise than finished.
func (j jobs[T]) wait(ctx context.Context, key string, o *waitOptions) (last *T, finished bool, err error) {
	err = o.job(ctx, j.client, j.what+" "+oneLine(key, 40), func(ctx context.Context) (JobStatus, float64, error) {
		seen, err := j.get(ctx, key)
		if err != nil {
			return "", 0, err
		}
		last = seen
		status, percent := j.state(seen)
		finished = status == JobFinished
		return status, percent, nil
	})
	if err != nil {
		return nil, false, err
	}
	return last, finished, nil
}
