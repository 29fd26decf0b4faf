package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

var errOutputLost = errors.New("nobody reads the results any more")

// maybeAppliedError marks an error after which something was applied, or may be.
type maybeAppliedError struct{ err error }

func (e *maybeAppliedError) Error() string { return e.err.Error() }
func (e *maybeAppliedError) Unwrap() error { return e.err }

// noError is a refusal that is an answer: no.
type noError struct{ err error }

func (e *noError) Error() string { return e.err.Error() }
func (e *noError) Unwrap() error { return e.err }

// statusOf is the exit status of an error.
func statusOf(err error) int {
	var maybe *maybeAppliedError
	var no *noError
	switch {
	case err == nil:
		return out.OK
	case errors.As(err, &maybe), errors.Is(err, sps.ErrOutcomeUnknown):
		return out.Unknown
	case errors.As(err, &no):
		return out.No
	}
	return out.Failed
}

// advice says what to do about an error, in terms of the flags. The first one that fits
// counts.
var advice = []struct {
	err  error
	text string
}{
	{sps.ErrOutcomeUnknown, "look at the appliance before you run this again"},
	{sps.ErrCommitMessageRequired, "give one with --message"},
	{sps.AuthenticationFailure, "check --username and the password; --login-method picks a way to log in"},
	{sps.Unauthorized, "the user lacks the right to do this"},
	{sps.RemoteAccessDependsOnStarlingJoinError, "remote access needs a join: see \"sps starling join --help\""},
	{sps.StarlingJoinIsInUseByRemoteAccessError, "--disable-remote-access switches it off before the unjoin, --force unjoins nonetheless"},
	{sps.ErrNoEmptySlot, "empty one with \"sps firmware delete\""},
	{sps.ErrSnapshotQuota, "--snapshot-wait says how long to wait for it"},
	{sps.ErrConflict, "nothing was applied: run it again"},
	{sps.ErrTransactionLost, "nothing was applied: run it again"},
}

// problemOf describes an error for people and programs.
func problemOf(err error) *out.Problem {
	p := &out.Problem{Kind: string(sps.KindOf(err)), Message: message(err)}
	var refused *sps.Error
	if errors.As(err, &refused) {
		p.Type = text.Line(string(refused.Type))
	}
	var untrusted *sps.CertificateError
	if errors.As(err, &untrusted) {
		p.Kind, p.Type = string(sps.KindUnavailable), "CertificateError"
		p.Advice = "\"sps trust HOST\" shows the certificate; --ca-bundle or --fingerprint trusts it"
		return p
	}
	if errors.Is(err, sps.ErrLocked) {
		p.Advice = lockAdvice(err)
		return p
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			p.Advice = a.text
			break
		}
	}
	return p
}

// lockAdvice tells whose lock it may be, and how long it may last.
func lockAdvice(err error) string {
	words := "somebody else is changing the configuration, or a run that was killed left its lock, which ends with its session"
	if after, ok := sps.SafeToRetry(err); ok && after > 0 {
		words += fmt.Sprintf(", within %s at the latest", after.Round(time.Second))
	}
	return words + "; --wait-for-lock says how long to wait"
}

// inFlags puts the flags of the tool in the place of the functions of the SDK.
var inFlags = strings.NewReplacer(
	": pass WithMessage", "",
	"; WithLockWait waits for it", "",
	" (see WithWaitLimit)", "",
	" (see Timeouts)", "",
	", see WithLoginRetry", "",
	"WithTrailFormat(TrailSRS)", "with --format srs",
	"WithoutSnapshot", "--no-snapshot",
	"WithSnapshotWait", "--snapshot-wait",
	"WithCABundle", "--ca-bundle",
	"WithRootCAs", "--ca-bundle",
	"WithPinnedCertificates", "--fingerprint",
	"WithInsecureTLS", "--insecure",
	"WithLoginMethod", "--login-method",
	"WithExpectedVersion", "--expect-version",
	"WithProxyFromEnvironment", "--proxy",
	"WithWaitLimit", "--wait",
	"WithLockWait", "--wait-for-lock",
	"WithMessage", "--message",
	"UsernamePassword", "the password login",
)

// message is the text of an error in one line that names no function of the SDK.
func message(err error) string {
	var untrusted *sps.CertificateError
	switch {
	case errors.As(err, &untrusted):
		words := "the appliance's certificate is not trusted: " + cause(untrusted.Err)
		if untrusted.Fingerprint != "" {
			words += "; its SHA-256 fingerprint is " + untrusted.Fingerprint
		}
		return words
	case err == context.Canceled:
		return "interrupted"
	}
	return text.Line(inFlags.Replace(strings.TrimPrefix(err.Error(), "sps: ")))
}

// cause is the innermost error.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return text.Line(inFlags.Replace(err.Error()))
		}
		err = inner
	}
}
