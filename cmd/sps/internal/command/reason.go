package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

var errOutputLost = errors.New("the results can no longer be written")

// maybeAppliedError marks an error after which a change was applied in part, or may have been
// applied.
type maybeAppliedError struct {
	err    error
	advice string // how to check the appliance; "" if the text of the error says it
}

func (e *maybeAppliedError) Error() string { return e.err.Error() }
func (e *maybeAppliedError) Unwrap() error { return e.err }

// advisedError is an error with its own text and its own advice. Its cause decides its kind and its
// exit status.
type advisedError struct {
	text, advice string
	err          error
}

func (e *advisedError) Error() string { return e.text }
func (e *advisedError) Unwrap() error { return e.err }

// statusOf returns the exit status for an error.
func statusOf(err error) int {
	var maybe *maybeAppliedError
	switch {
	case err == nil:
		return out.OK
	case errors.As(err, &maybe), errors.Is(err, sps.ErrOutcomeUnknown):
		return out.Unknown
	}
	return out.Failed
}

// advice has the remedy for an error, in terms of the flags. The first entry that matches
// applies.
var advice = []struct {
	err  error
	text string
}{
	{sps.ErrOutcomeUnknown, "check the appliance before you run the command again"},
	{sps.ErrCommitMessageRequired, "give a message with --message"},
	{sps.AuthenticationFailure, "check --username and the password; --login-method selects the login method"},
	{sps.Unauthorized, "the user lacks the right to do this; use another user with --username, or add the right to the user"},
	{sps.RemoteAccessDependsOnStarlingJoinError, "remote access needs a join: see \"sps starling join --help\""},
	{sps.StarlingJoinIsInUseByRemoteAccessError, unjoinAdvice},
	{sps.ErrorType("InvalidFirmwareImage"), "check that the file is an image of the SPS firmware, and that its download was complete"},
	{sps.ErrUnexpectedImage, "correct --expect-version, or choose another image; \"sps firmware slots\" lists the versions in the slots"},
	{sps.ErrNoEmptySlot, "empty a slot with \"sps firmware delete\""},
	{sps.ErrSlotInUse, "choose another slot; \"sps firmware slots\" lists them"},
	{sps.ErrNoSuchName, "check the name; \"sps trust-stores list\" lists the names"},
	{sps.ErrNoSuchAuthority, "check the fingerprint; \"sps trust-stores show NAME\" lists the fingerprints"},
	{sps.ErrSnapshotQuota, "wait for the snapshot with --snapshot-wait, or search without a snapshot with --no-snapshot"},
	{sps.ErrConflict, "nothing was applied: run the command again"},
	{sps.ErrTransactionLost, "nothing was applied: run the command again"},
}

// unjoinAdvice is the remedy if remote access prevents an unjoin.
const unjoinAdvice = "--disable-remote-access disables it before the unjoin, and --force unjoins while it is enabled"

// problemOf describes an error for the output.
func problemOf(err error) *out.Problem {
	p := &out.Problem{Kind: string(sps.KindOf(err)), Message: message(err)}
	var refused *sps.Error
	if errors.As(err, &refused) {
		p.Type = text.Line(string(refused.Type))
	}
	var untrusted *sps.CertificateError
	if errors.As(err, &untrusted) {
		p.Kind, p.Type = string(sps.KindUnavailable), "CertificateError"
		p.Advice = "\"sps trust HOST\" shows the certificate; trust it with --ca-bundle or --fingerprint"
		return p
	}
	var advised *advisedError
	if errors.As(err, &advised) {
		p.Advice = advised.advice
		return p
	}
	var expired *timeoutError
	if errors.As(err, &expired) && statusOf(err) != out.Unknown {
		p.Advice = "give more time with " + expired.flag
		return p
	}
	if errors.Is(err, sps.ErrLocked) {
		p.Advice = lockAdvice(err)
		return p
	}
	var query *flagsError
	if errors.As(err, &query) {
		p.Message, p.Advice = strings.TrimSuffix(p.Message, "; correct the value"), "correct the value of "+strings.Join(query.flags, " or ")
		return p
	}
	var maybe *maybeAppliedError
	if errors.As(err, &maybe) && maybe.advice != "" {
		p.Advice = maybe.advice
		return p
	}
	var login *loginError
	if errors.As(err, &login) {
		p.Advice = "check --username and the password from " + text.Line(login.from) + "; --login-method selects the login method"
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

// lockAdvice says when a lock of a run that was killed ends, and how to wait for the lock.
func lockAdvice(err error) string {
	remedy := "wait for the lock with --wait-for-lock"
	switch {
	case errors.Is(err, context.Canceled):
		remedy = "run the command again to wait for the lock"
	case strings.Contains(err.Error(), lockWaited):
		remedy = "wait longer with --wait-for-lock"
	}
	if strings.Contains(err.Error(), "may hold the lock") {
		return remedy // the SDK says whose lock it is and when it ends
	}
	limit := ""
	if after, ok := sps.SafeToRetry(err); ok && after > 0 {
		limit = fmt.Sprintf(" within %s", after.Round(time.Second))
	}
	return remedy + "; if a run that was killed left the lock, the appliance releases it" + limit + " when the session of that run expires"
}

// lockWaited is in the text of the SDK's error if the wait for the lock has ended.
const lockWaited = "; waited "

// lockInterrupted matches what the SDK adds to the error about the lock if the context ends.
var lockInterrupted = regexp.MustCompile(` \([^()]* while waiting for the lock\)`)

// inFlags replaces SDK functions in an error text by flags and commands of the tool. It removes a
// remedy of the SDK if the variable advice has a remedy with flags.
var inFlags = strings.NewReplacer(
	": pass WithMessage", "",
	"; pass WithLockWait to wait for it", "",
	"see WithWaitLimit", "give more time with --wait",
	" (see Timeouts)", "",
	"; check the user name and the password", "",
	"; give the user this right on the appliance, or use another user", "",
	"; disable remote access first", "",
	"; join Starling first", "",
	"correct what Faults lists", "correct these values",
	"pass the credential string", "give it with --credential-file",
	"pass the product instance", "give it with --product-instance",
	"use Client.Starling to join and unjoin", "use \"sps starling join\" and \"sps starling unjoin\"",
	"Firmware.WaitForVersion", "\"sps info\"",
	"Firmware.Slots.Get", "\"sps firmware slots\"",
	"Firmware.Slots.List", "\"sps firmware slots\"",
	"Firmware.Fetch.Get", "\"sps api GET firmware/fetch\"",
	"Firmware.Fetch.List", "\"sps api GET firmware/fetch\"",
	"Starling.JoinStatus", "\"sps starling status\"",
	"WithTrailFormat(TrailSRS)", "--format srs",
	"use ChannelEmail or ChannelSNMP", "use email or snmp",
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
	"; the appliance ran ", "; the appliance runs ",
	"WithLockWait", "--wait-for-lock",
	"WithMessage", "--message",
	"UsernamePassword", "the password login",
)

// message returns the text of an error in one line, with flags instead of SDK functions.
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
	words := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "sps: "), ": sps: ", ": ")
	return text.Line(inFlags.Replace(noFlag.ReplaceAllString(lockInterrupted.ReplaceAllString(words, ""), "")))
}

// noFlag matches advice in an error text of the SDK for which the tool has no flag.
var noFlag = regexp.MustCompile(`(, or|;|:|,)( pass| see)? (WithLoginRetry|WithLockFirst)\b[^;:]*`)

// cause returns the text of the innermost error.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return text.Line(inFlags.Replace(err.Error()))
		}
		err = inner
	}
}
