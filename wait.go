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

// JobStatus is the status of a job of the appliance, such as a [FirmwareFetch] or a
// [SupportBundle]. The client converts the spellings of a known status to its constant.
// It does not change any other status.
type JobStatus string

// The job statuses that the REST API guide names. Before a job ends, it may have other
// statuses.
const (
	JobQueued     JobStatus = "queued"
	JobInProgress JobStatus = "in-progress"
	JobFinished   JobStatus = "finished"
	JobFailed     JobStatus = "failed"
	JobCancelled  JobStatus = "cancelled"
)

// newJobStatus converts the text of a status. It ignores case and the separators "_", "-"
// and space, and accepts one or two l in cancelled, because the REST API guide shows no
// sample of a status. It converts "error" to failed.
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

// Done reports whether the job has ended: finished, failed or cancelled.
func (s JobStatus) Done() bool {
	return s == JobFinished || s == JobFailed || s == JobCancelled
}

// Progress is the progress of a transfer, a wait or an upgrade.
type Progress struct {
	// Step is the step of an upgrade, otherwise "".
	Step FirmwareUpgradeStep
	// State describes the last state that a wait has read, as a text for people. It is ""
	// for a transfer.
	State string
	// Done and Total are the bytes of a transfer. Total is -1 if it is not known. For
	// waits and upgrades, both are 0.
	Done, Total int64
	// Percent is the completed share, 0 to 100, or -1 if it is not known.
	Percent float64
	// Elapsed is the time since the start.
	Elapsed time.Duration
}

// transferred returns the progress of a transfer that started at start.
func transferred(done, total int64, start time.Time) Progress {
	p := Progress{Done: done, Total: total, Percent: -1, Elapsed: time.Since(start)}
	if total > 0 {
		p.Percent = 100 * float64(done) / float64(total)
	}
	return p
}

// ProgressOption is the option that [WithProgress] returns. It is valid for uploads,
// downloads, waits and upgrades.
type ProgressOption struct{ report func(Progress) }

// WithProgress makes an upload, a download, a wait or an upgrade report its progress. It
// calls report about once per MiB of a transfer and once at its end, after each poll of a
// wait, and at the start of each step of an upgrade. The calls do not overlap. During an
// upload, another goroutine calls report. A slow function slows the transfer down. If the
// client repeats a transfer, Done starts at 0 again. If report is nil, there are no
// reports.
func WithProgress(report func(Progress)) ProgressOption {
	if report == nil {
		report = func(Progress) {}
	}
	return ProgressOption{report}
}

// WaitOption is an option of the methods that wait: [WithProgress], [WithPollInterval] or
// [WithWaitLimit].
type WaitOption interface{ applyWait(*waitOptions) }

type waitOptions struct {
	every    time.Duration
	budget   time.Duration
	progress func(Progress)
	before   *ApplianceInfo // if set, the appliance must have restarted since this state was read
}

func (o ProgressOption) applyWait(w *waitOptions) { w.progress = o.report }

// IntervalOption is the option that [WithPollInterval] returns. It is valid for waits,
// upgrades and [AuditSessions.Follow].
type IntervalOption time.Duration

func (o IntervalOption) applyWait(w *waitOptions) { w.every = time.Duration(o) }

// WithPollInterval sets the time between two polls. A time of less than a millisecond is
// raised to a millisecond. Zero means the default: 5 seconds for a fetch; 10 seconds for
// a restart, for [Client.WaitReady] and for a support bundle; 1 minute for
// [AuditSessions.Follow]. For a negative time, the method returns [ErrInvalidInput].
func WithPollInterval(interval time.Duration) IntervalOption { return IntervalOption(interval) }

// PollOption is the option that [WithWaitLimit] returns. It is valid for waits and
// upgrades.
type PollOption func(*waitOptions)

func (o PollOption) applyWait(w *waitOptions) { o(w) }

// WithWaitLimit sets how long to wait. The context may end the wait earlier. Zero means
// the default: 2 hours for a fetch; 30 minutes for a restart, for [Client.WaitReady] and
// for a support bundle. For a negative time, the method returns [ErrInvalidInput].
func WithWaitLimit(limit time.Duration) PollOption {
	return func(o *waitOptions) { o.budget = limit }
}

// newWait makes the options of a wait. every and budget are the defaults.
func newWait(every, budget time.Duration, options []WaitOption) (*waitOptions, error) {
	o := &waitOptions{progress: func(Progress) {}}
	for option := range given(options) {
		option.applyWait(o)
	}
	return o, o.complete(every, budget)
}

// complete replaces zero values by the defaults.
func (o *waitOptions) complete(every, budget time.Duration) error {
	switch {
	case o.every < 0:
		return fmt.Errorf("sps: %w", invalid("the time of WithPollInterval is negative; zero is the default"))
	case o.budget < 0:
		return fmt.Errorf("sps: %w", invalid("the time of WithWaitLimit is negative; zero is the default"))
	}
	orDefault(&o.every, every)
	orDefault(&o.budget, budget)
	o.every = max(o.every, time.Millisecond)
	return nil
}

// errWaitBudget is the cause of a context that has ended because of the limit of a wait.
type errWaitBudget time.Duration

func (e errWaitBudget) Error() string {
	return fmt.Sprintf("the wait has ended after %s (see WithWaitLimit)", time.Duration(e))
}

func (e errWaitBudget) Is(target error) bool { return target == context.DeadlineExceeded }

// bound returns a context that ends after the limit of the wait.
func (o *waitOptions) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.budget, errWaitBudget(o.budget))
}

// WaitReady waits until the appliance responds and the client is logged in. Use it after
// a restart, and in programs that may start before the appliance, see [NewClient].
// WaitReady continues after errors that an appliance causes while it starts, such as
// refused and broken connections, failed TLS handshakes and HTML pages. The context and
// [WithWaitLimit] limit the wait.
//
// WaitReady first polls GET /api/setup without the credential, until the appliance
// responds and reports that it is neither booting nor uninitialized. It then reads
// /api/info, which logs in if there is no session. Because of this order, an appliance
// that is still starting is unlikely to refuse a correct password.
//
// WaitReady ends early in three cases. If the appliance refuses the login, WaitReady
// returns the error of the login, unless [WithLoginRetry] permits another login. If no
// call can succeed any more, it returns the error of [Client.Err]. If the appliance
// presents an untrusted certificate in three polls in a row, it returns a
// [CertificateError].
//
// If the limit of the wait has passed, the error wraps context.DeadlineExceeded and
// contains the last state that WaitReady has read.
func (c *Client) WaitReady(ctx context.Context, options ...WaitOption) error {
	if err := c.made(); err != nil {
		return err
	}
	o, err := newWait(10*time.Second, 30*time.Minute, options)
	if err != nil {
		return c.at(err)
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
		if ctx.Err() == nil { // a poll that the context ended has no result
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

// greet polls once: first without the credential, then in a session. It returns the state
// as a text.
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
		err = nil // a user who may not read info is logged in nevertheless
	}
	return stateReady, err
}

// answeredByAPI reports whether an error is a refusal of the API itself, not of a server
// in front of it.
func answeredByAPI(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Type != "" && refused.Status < 500
}

// maxFailures is how many polls in a row may fail before a wait ends.
const maxFailures = 5

// passing reports whether the next poll may succeed after an error.
func passing(err error) bool {
	var broken *TransportError
	var refused *Error
	return errors.As(err, &broken) && !untrusted(err) || errors.As(err, &refused) && refused.Status >= 500
}

// job polls a job until it has ended. It continues after up to maxFailures-1 failed polls
// in a row. If the time limit of the wait passes, the error contains the last status of
// the job.
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
		if err != nil { // a poll that the context ended has no result
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

// jobs is a list of jobs on the appliance, all of one kind.
type jobs[T any] struct {
	client *Client
	path   apiPath
	what   string // the name of the kind, for texts
	decode func(wire.Envelope, string) T
	state  func(*T) (JobStatus, float64)
}

// list lists the jobs. If the list contains only the key of a job, list reads the job
// with a request of its own. It leaves out a job that was removed meanwhile.
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
		return nil, j.client.at(err)
	}
	a, err := j.client.read(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	one := j.decode(a.Envelope, key)
	if status, _ := j.state(&one); status == "" {
		return nil, a.unusable("the answer lacks the status of the %s", words(j.what))
	}
	return &one, nil
}

// wait waits until a job has ended and returns it. finished reports whether its last
// status is [JobFinished].
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
