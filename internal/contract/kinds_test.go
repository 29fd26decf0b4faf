package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// kindsByName maps the names of the constants to the error kinds.
var kindsByName = map[string]sps.ErrorKind{
	"KindInvalid": sps.KindInvalid, "KindDenied": sps.KindDenied, "KindLocked": sps.KindLocked, "KindConflict": sps.KindConflict,
	"KindNotFound": sps.KindNotFound, "KindRefused": sps.KindRefused, "KindUnavailable": sps.KindUnavailable, "KindOutcomeUnknown": sps.KindOutcomeUnknown,
}

// ownErrors maps the names of the package's Err… variables to their values.
var ownErrors = map[string]error{
	"ErrInvalidInput": sps.ErrInvalidInput, "ErrClosed": sps.ErrClosed, "ErrBadAnswer": sps.ErrBadAnswer, "ErrOutcomeUnknown": sps.ErrOutcomeUnknown,
	"ErrTransactionOnly": sps.ErrTransactionOnly, "ErrLocked": sps.ErrLocked, "ErrNested": sps.ErrNested, "ErrTransactionOver": sps.ErrTransactionOver,
	"ErrTransactionLost": sps.ErrTransactionLost, "ErrConflict": sps.ErrConflict, "ErrNoSuchName": sps.ErrNoSuchName,
	"ErrNoSuchAuthority": sps.ErrNoSuchAuthority, "ErrAuthorityExists": sps.ErrAuthorityExists, "ErrNoCluster": sps.ErrNoCluster,
	"ErrStarlingNotJoined": sps.ErrStarlingNotJoined, "ErrOtherClient": sps.ErrOtherClient, "ErrCommitMessageRequired": sps.ErrCommitMessageRequired,
	"ErrNoEmptySlot": sps.ErrNoEmptySlot, "ErrFetchDone": sps.ErrFetchDone, "ErrFetchRunning": sps.ErrFetchRunning, "ErrSlotInUse": sps.ErrSlotInUse,
	"ErrNoRecording": sps.ErrNoRecording, "ErrSnapshotQuota": sps.ErrSnapshotQuota, "ErrSearchInUse": sps.ErrSearchInUse,
	"ErrSearchCeiling": sps.ErrSearchCeiling, "ErrSnapshotLost": sps.ErrSnapshotLost, "ErrSnapshotTaken": sps.ErrSnapshotTaken,
	"ErrCheckpoint": sps.ErrCheckpoint, "ErrCheckpointFull": sps.ErrCheckpointFull, "ErrWrongVersion": sps.ErrWrongVersion, "ErrUnexpectedImage": sps.ErrUnexpectedImage,
}

// kindRow is a row of a table in docs/reference/errors.md: its first cell and its last two
// cells.
type kindRow struct {
	name, kind, retry string
}

var kindCells = regexp.MustCompile("^\\| (`?[\\w ]+`?) \\|(?: .* \\|)? (`(\\w+)`|none) \\| (yes|no|never) \\|$")

func kindRows(t *testing.T) (rows []kindRow) {
	t.Helper()
	for _, line := range strings.Split(testkit.File(t, "docs/reference/errors.md"), "\n") {
		if m := kindCells.FindStringSubmatch(line); m != nil {
			rows = append(rows, kindRow{strings.Trim(m[1], "`"), m[3], m[4]})
		}
	}
	return rows
}

// checkKind checks the kind of an error with KindOf and errors.Is. The error must not match
// another kind.
func checkKind(t *testing.T, name string, err error, want sps.ErrorKind) {
	t.Helper()
	if got := sps.KindOf(err); got != want {
		t.Errorf("%s: kind %q, want %q", name, got, want)
	}
	for _, kind := range kindsByName {
		if got := errors.Is(err, kind); got != (kind == want) {
			t.Errorf("%s: errors.Is of %q is %t, want the kind %q", name, kind, got, want)
		}
	}
}

// TestErrorPage compares docs/reference/errors.md with the code: each error has one row, with its
// kind and whether it is safe to retry.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	left := map[string]bool{}
	for _, file := range testkit.SourceFiles(t, "") {
		for _, d := range file.Decls {
			if group, ok := d.(*ast.GenDecl); ok {
				for _, spec := range group.Specs {
					if value, ok := spec.(*ast.ValueSpec); ok && strings.HasPrefix(value.Names[0].Name, "Err") && value.Names[0].IsExported() {
						left[value.Names[0].Name] = true
						if ownErrors[value.Names[0].Name] == nil {
							t.Errorf("%s is not in ownErrors", value.Names[0].Name)
						}
					}
				}
			}
		}
	}
	types := map[string]sps.ErrorType{}
	for _, errorType := range declaredErrorTypes(t) {
		types[string(errorType)], left[string(errorType)] = errorType, true
	}
	statuses := 0
	for _, row := range kindRows(t) {
		want := kindsByName[row.kind]
		if (row.kind == "") != (want == "") {
			t.Errorf("%s: there is no kind %s", row.name, row.kind)
		}
		var examples []error
		status, words, _ := strings.Cut(row.name, " ")
		code, numeric := strconv.Atoi(status)
		switch errorType := types[row.name]; {
		case numeric == nil && words == "without a type":
			examples = append(examples, &sps.Error{Status: code})
			statuses++
		case numeric == nil:
			examples = append(examples, &sps.Error{Status: code, Type: "SomethingElse"})
			statuses++
		case errorType != "":
			examples = append(examples, errorType)
			for _, status := range []int{200, 400, 403, 404, 409, 500, 503} {
				examples = append(examples, &sps.Error{Status: status, Type: errorType})
			}
		default:
			examples = append(examples, ownErrors[row.name])
		}
		if numeric != nil && !left[row.name] {
			t.Errorf("docs/reference/errors.md has an unknown or a second row %s", row.name)
		}
		delete(left, row.name)
		for _, err := range examples {
			if row.name == "NotFound" || row.name == "ResourceNotFound" || types[row.name] == "" || sps.KindOf(err) == want {
				checkKind(t, row.name, fmt.Errorf("wrapped: %w", err), want)
			} else {
				t.Errorf("%s: kind %q of %v", row.name, sps.KindOf(err), err)
			}
			_, plain := err.(sps.ErrorType)
			if _, ok := sps.SafeToRetry(fmt.Errorf("wrapped: %w", err)); !plain && ok != (row.retry == "yes") {
				t.Errorf("%s: safe to retry is %t, want %s", err, ok, row.retry)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("docs/reference/errors.md has no row for %s", name)
	}
	if statuses < 20 {
		t.Errorf("only %d rows of statuses", statuses)
	}
}

// TestKindDependsOnRequest checks refusals whose kind depends on the request that was refused.
func TestKindDependsOnRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault spstest.Fault
		call  func(context.Context, *sps.Client) error
		want  sps.ErrorKind
		is    error
	}{
		"no cluster": {
			spstest.Fault{Path: "cluster/status", Status: 404, Body: `{"error":{"type":"ResourceNotFound"}}`},
			func(ctx context.Context, c *sps.Client) error { _, err := c.Cluster.Status(ctx); return err },
			sps.KindRefused, sps.ErrNoCluster,
		},
		"no cluster, forbidden": {
			spstest.Fault{Path: "cluster/status", Status: 403, Body: `{"error":{"type":"ForbiddenActionError"}}`},
			func(ctx context.Context, c *sps.Client) error { _, err := c.Cluster.Status(ctx); return err },
			sps.KindRefused, sps.ErrNoCluster,
		},
		"no right to see a cluster": {
			spstest.Fault{Path: "cluster/status", Status: 403, Body: `{"error":{"type":"Unauthorized"}}`},
			func(ctx context.Context, c *sps.Client) error { _, err := c.Cluster.Status(ctx); return err },
			sps.KindDenied, sps.Unauthorized,
		},
		"locked": {
			spstest.Fault{Method: "POST", Path: "transaction", Status: 403, Body: `{"error":{"type":"ForbiddenActionError"}}`},
			func(ctx context.Context, c *sps.Client) error {
				return c.Transaction(ctx, testkit.SetAdmin("x@example.com"))
			},
			sps.KindLocked, sps.ErrLocked,
		},
		"session ended": {
			spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 401, Body: `{"error":{"type":"Unauthenticated"}}`},
			func(ctx context.Context, c *sps.Client) error {
				return c.Transaction(ctx, testkit.SetAdmin("x@example.com"))
			},
			sps.KindUnavailable, sps.ErrTransactionLost,
		},
	} {
		a := spstest.NewServer(t)
		c := testkit.Connect(t, a)
		a.Inject(test.fault)
		err := test.call(t.Context(), c)
		if !errors.Is(err, test.is) || !errors.As(err, new(*sps.Error)) {
			t.Errorf("%s: %v, want %v that wraps the appliance's error", name, err, test.is)
		}
		checkKind(t, name, err, test.want)
	}
}

func TestSafeToRetry(t *testing.T) {
	t.Parallel()
	busy := &sps.Error{Status: 503, RetryAfter: 7 * time.Second}
	unknown := &sps.TransportError{Err: io.EOF, OutcomeUnknown: true}
	for name, test := range map[string]struct {
		err   error
		after time.Duration
		ok    bool
	}{
		"nil":                    {nil, 0, false},
		"another's":              {io.EOF, 0, false},
		"busy":                   {busy, 7 * time.Second, true},
		"unreachable":            {&sps.TransportError{Err: io.EOF}, 0, true},
		"too slow":               {&sps.TransportError{Err: context.DeadlineExceeded}, 0, true},
		"cancelled":              {&sps.TransportError{Err: context.Canceled}, 0, false},
		"closed":                 {&sps.TransportError{Err: sps.ErrClosed}, 0, false},
		"not trusted":            {&sps.TransportError{Err: &sps.CertificateError{Err: io.EOF}}, 0, false},
		"unusable":               {&sps.TransportError{Err: sps.ErrBadAnswer}, 0, false},
		"unknown":                {unknown, 0, false},
		"unknown, answered":      {&sps.Error{Status: 503, OutcomeUnknown: true}, 0, false},
		"unknown deep below":     {errors.Join(busy, fmt.Errorf("x: %w", errors.Join(sps.ErrLocked, fmt.Errorf("y: %w and %w", io.EOF, unknown)))), 0, false},
		"the longest wait":       {errors.Join(busy, &sps.Error{Status: 429, RetryAfter: time.Minute}), time.Minute, true},
		"one error is permanent": {errors.Join(sps.ErrLocked, &sps.Error{Status: 400, Type: sps.SyntacticError}), 0, false},
		"with a foreign error":   {fmt.Errorf("%w: %w", errors.New("mine"), sps.ErrConflict), 0, true},
		"several steps":          {&sps.FirmwareUpgradeError{Step: sps.StepTest, Err: busy}, 0, false},
	} {
		after, ok := sps.SafeToRetry(test.err)
		if after != test.after || ok != test.ok {
			t.Errorf("%s: %s, %t, want %s, %t", name, after, ok, test.after, test.ok)
		}
	}
}

func TestErrorContainsAttemptsAndRetryAfter(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		a.Inject(spstest.Fault{Path: "firmware/slots", Status: 503, Header: http.Header{"Retry-After": {"9"}}, Times: 10})
		_, err := c.Firmware.Slots.List(t.Context())
		var e *sps.Error
		if !errors.As(err, &e) || e.Attempts != 4 || e.RetryAfter != 9*time.Second {
			t.Errorf("%+v", e)
		}
		if after, ok := sps.SafeToRetry(err); !ok || after != 9*time.Second {
			t.Errorf("safe to retry: %s, %t", after, ok)
		}
	})
}

// TestErrorOfTestDouble checks an Error that a test of another package builds by itself.
func TestErrorOfTestDouble(t *testing.T) {
	t.Parallel()
	var err error = &sps.Error{Status: 400, Type: sps.SyntacticError, Method: "PUT", Path: "configuration/x", Detail: &sps.SyntacticErrorDetails{Path: "configuration/x#a/0"}}
	var detail *sps.SyntacticErrorDetails
	if !errors.Is(err, sps.SyntacticError) || !errors.As(err, &detail) || !strings.Contains(err.Error(), "a/0") {
		t.Errorf("%v", err)
	}
	testkit.Diff(t, "faults", []sps.Fault{{Message: "not accepted", Object: "configuration/x", Member: "a/0"}}, sps.Faults(err))
}

// TestWrappedErrorsInLogs logs errors that wrap an Error. It checks that the log does not show
// the appliance's message.
func TestWrappedErrorsInLogs(t *testing.T) {
	t.Parallel()
	const quoted = "you sent hush"
	refusal := func(kind string) string {
		return `{"error":{"type":"` + kind + `","message":"` + quoted + `","details":["` + quoted + `: /api/configuration/x"]}}`
	}
	write := func(ctx context.Context, c *sps.Client) error {
		return c.Transaction(ctx, testkit.SetAdmin("x@example.com"))
	}
	for name, test := range map[string]struct {
		fault spstest.Fault
		call  func(context.Context, *sps.Client) error
	}{
		"locked": {spstest.Fault{Method: "POST", Path: "transaction", Status: 403, Body: refusal("ConfigurationLocked")}, write},
		"commit": {spstest.Fault{Method: "PUT", Path: "transaction", Status: 400, Body: refusal("SemanticError")}, write},
		"lost":   {spstest.Fault{Method: "PUT", Path: "configuration/**", Status: 401, Body: refusal("Unauthenticated")}, write},
		"not certain": {spstest.Fault{Method: "POST", Path: "starling/join", Status: 500, Body: refusal("Odd")}, func(ctx context.Context, c *sps.Client) error {
			_, err := c.Invoke(ctx, "POST", "starling/join", map[string]string{"a": "b"})
			return err
		}},
		"lost commit": {spstest.Fault{Method: "PUT", Path: "transaction", Status: 500, Body: refusal("Odd")}, write},
		"no cluster": {spstest.Fault{Path: "cluster/status", Status: 400, Body: refusal("NotInCluster")}, func(ctx context.Context, c *sps.Client) error {
			_, err := c.Cluster.Status(ctx)
			return err
		}},
		"upgrade": {spstest.Fault{Path: "firmware/test", Status: 400, Body: refusal("SemanticError")}, func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Upgrade(ctx, sps.FromSlot("2"))
			return err
		}},
	} {
		a := spstest.NewServer(t)
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, nil))
		c := testkit.Connect(t, a, sps.WithLogger(logger))
		a.Inject(test.fault)
		err := test.call(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), quoted) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		logger.Info("x", "err", err)
		if strings.Contains(out.String(), "hush") || !strings.Contains(out.String(), "err.status=") {
			t.Errorf("%s: logged as %s", name, out.String())
		}
	}
}

// TestRefusedLoginInLogs is like TestWrappedErrorsInLogs, for a rejected login that the client
// remembers.
func TestRefusedLoginInLogs(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Path: "firmware/slots", ExpireSession: true})
	a.Inject(spstest.Fault{Path: "authentication", Status: 401, Body: `{"error":{"type":"AuthenticationFailure","message":"you sent hush"}}`})
	for i := range 2 {
		_, err := c.Firmware.Slots.List(t.Context())
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "err", err, "dead", c.Err())
		if err == nil || !strings.Contains(err.Error(), "hush") || strings.Contains(out.String(), "hush") || !strings.Contains(out.String(), "err.status=401") {
			t.Errorf("call %d: %v is logged as %s", i, err, out.String())
		}
	}
}

// TestExpiredExistingSession checks that each call in an expired existing session returns an error
// of the same form.
func TestExpiredExistingSession(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for name, call := range map[string]func(context.Context, *sps.Client) error{
		"GET info":           func(ctx context.Context, c *sps.Client) error { _, err := c.Info(ctx); return err },
		"GET firmware/slots": func(ctx context.Context, c *sps.Client) error { _, err := c.Firmware.Slots.List(ctx); return err },
		"POST transaction": func(ctx context.Context, c *sps.Client) error {
			return c.Transaction(ctx, testkit.SetAdmin("x"), sps.WithLockFirst())
		},
		"GET starling/join": func(ctx context.Context, c *sps.Client) error { _, err := c.Starling.JoinStatus(ctx); return err },
	} {
		c, err := sps.Connect(t.Context(), a.Addr(), sps.ExistingSession(sps.NewSecretString("0123456789abcdef")), sps.WithCABundle(a.CA()))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			err := call(t.Context(), c)
			var e *sps.Error
			var detail *sps.UnauthenticatedDetails
			if !errors.As(err, &e) || !errors.As(err, &detail) {
				t.Errorf("%s, call %d: %v", name, i, err)
				continue
			}
			testkit.Diff(t, name, []any{name, 401, sps.Unauthenticated, e.Path, a.Addr()}, []any{e.Method + " " + e.Path, e.Status, e.Type, detail.Path, e.Host})
			if !strings.Contains(err.Error(), "the existing session has expired and cannot be renewed") || e.Attempts != map[bool]int{true: 1}[i == 0] {
				t.Errorf("%s, call %d: %d attempts: %v", name, i, e.Attempts, err)
			}
		}
		c.Close(context.Background())
	}
}

func TestPanicInPasswordFunc(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	boom := errors.New("the vault is hunter2")
	_, err := sps.Connect(t.Context(), a.Addr(), sps.PasswordFunc("admin", func(context.Context) (sps.Secret, error) { panic(boom) }), sps.WithCABundle(a.CA()))
	var p *sps.PanicError
	if !errors.As(err, &p) || p.Value != error(boom) || !errors.Is(err, boom) || !strings.Contains(string(p.Stack), "TestPanicInPasswordFunc") {
		t.Fatalf("%v", err)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", p), fmt.Sprintf("%#v", p)} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "*errors.errorString") {
			t.Errorf("text %q", text)
		}
	}
}

// brokenWriter accepts a number of bytes and then none.
type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	return n, w.err
}

func TestDownloadIntoBrokenWriter(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for name, test := range map[string]struct {
		w    brokenWriter
		want error
	}{
		"fails at the first byte": {brokenWriter{0, full}, full},
		"later":                   {brokenWriter{3, full}, full},
		"silently":                {brokenWriter{3, nil}, io.ErrShortWrite},
	} {
		a := spstest.NewServer(t)
		c := testkit.Connect(t, a)
		a.Inject(spstest.Fault{Path: "info", Status: 200, Body: "0123456789", ContentType: "application/octet-stream", Times: 9})
		a.ResetJournal()
		n, err := c.Download(t.Context(), "info", &test.w)
		if !errors.Is(err, test.want) || errors.As(err, new(*sps.TransportError)) || errors.As(err, new(*sps.Error)) {
			t.Errorf("%s: %v, want the error of the writer", name, err)
		}
		if _, again := sps.SafeToRetry(err); again || n > 3 || len(testkit.Requests(a)) != 1 {
			t.Errorf("%s: %d bytes, requests %v", name, n, testkit.Requests(a))
		}
	}
}
