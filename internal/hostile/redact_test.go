package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/redact"
	"github.com/go-sps/sps/internal/testkit"
)

// wordsAsPasswords lists passwords that error texts also contain for other reasons: words of
// the API's types, of HTTP, of net/http and of the SDK's own texts.
var wordsAsPasswords = []string{
	"Failed", "FirmwareTestFailed", "auth", "Unauthenticated", "Unauthorized", "AuthenticationFailure", "text", "html", "error", "type", "message",
	"details", "Transaction", "OpenTransactionError", "Resource", "NotFound", "Locked", "locked", "Conflict", "Busy", "Lock", "json", "application",
	"firmware", "slots", "firmware/slots", "exit", "code", "exit_code", "test_summary", "path", "status", "dial", "connection", "refused", "reset",
	"read", "write", "malformed", "HTTP/1.x", "response", "EOF", "unexpected", "closed", "sps:", "POST", "appliance", "appliance.test", "unknown",
	"outcome", "secret", "shown", "not shown", "request", "redirect", "bytes", "without", "body", "answer", "unusable", "attempts", "session",
	"session_id", "Bad Request", "Gateway", "needs a message", "missing", "commit_message", "certificate", "trusted", "evil.example", "context", "deadline",
	"Starling", "within", "proper", "object", "jsontext", "duplicate",
}

// refusals returns the ways in which an appliance, or a device in front of it, can refuse a
// request. Each is a response or an error of the connection.
func refusals() map[string]func(*http.Request) (*http.Response, error) {
	all := map[string]func(*http.Request) (*http.Response, error){}
	says := func(name string, status int, header http.Header, body string) {
		all[name] = func(r *http.Request) (*http.Response, error) {
			return testkit.Answer(r, status, header.Clone(), body), nil
		}
	}
	breaks := func(name string, err error) {
		all[name] = func(*http.Request) (*http.Response, error) { return nil, err }
	}
	kind := http.Header{"Content-Type": {"application/json"}}
	for name, status := range map[string]int{
		"SyntacticError": 400, "SemanticError": 400, "InvalidRequestBody": 400, "IncompleteRequestBodyError": 400, "Unauthenticated": 401,
		"AuthenticationFailure": 401, "Unauthorized": 403, "OpenTransactionError": 403, "ForbiddenActionError": 403, "NotFound": 404,
		"ResourceNotFound": 404, "MethodNotAllowed": 405, "FirmwareTestFailed": 400, "Busy": 503, "ConfigurationLocked": 423, "CommitConflict": 409, "Gremlins": 500,
	} {
		says(name, status, kind, fmt.Sprintf(`{"error":{"type":%q,"message":"The configuration is locked: the request of /api/firmware/slots failed","details":{
			"exit_code":1,"test_summary":"Test upgrade\nFailed: not enough space","missing_paths":["commit_message"],"path":"/api/firmware/slots","mount_point":"/firmware",
			"resource":"slots","errors":[{"message":"a type error in the text","paths":["body/message"]}]}}}`, name))
	}
	says("SemanticError at 200", 200, kind, `{"error":{"type":"SemanticError","message":"text"}}`)
	says("a text", 400, kind, `{"error":"the text of an error"}`)
	says("no member", 400, kind, `{"message":"a text"}`)
	says("no body", 403, kind, ``)
	says("HTML", 502, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, "<html>Bad Gateway: connection refused</html>")
	says("another type", 500, http.Header{"Content-Type": {"text/x-evil.example"}}, "text")
	says("HTML at 200", 200, http.Header{"Content-Type": {"text/html"}}, "<html>text</html>")
	says("broken JSON", 200, kind, `{"items"`)
	says("duplicate names", 200, kind, `{"message":1,"message":2}`)
	says("another key", 200, kind, `{"key":"Failed","body":{"test_summary":"passed"}}`)
	says("no summary", 200, kind, `{"body":{"text":"status"}}`)
	says("redirect", 302, http.Header{"Location": {"https://evil.example/firmware"}}, "text")
	says("redirect to itself", 302, http.Header{"Location": {"https://appliance.test/login"}}, "text")
	says("patience", 503, http.Header{"Retry-After": {"120"}}, "text")
	breaks("connection refused", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	breaks("connection reset", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	breaks("EOF", io.EOF)
	breaks("unexpected EOF", io.ErrUnexpectedEOF)
	breaks("deadline", context.DeadlineExceeded)
	breaks("closed idle", errors.New("http: server closed idle connection"))
	breaks("malformed", errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "garbage"`))
	breaks("malformed, quoting", errors.New(`net/http: HTTP/1.x transport connection broken: malformed MIME header line: "Failed text locked error: type"`))
	breaks("somebody's own", fmt.Errorf("a text of the recorder: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}))
	breaks("somebody's sentinel", fmt.Errorf("a text of the recorder: %w", errSentinel))
	return all
}

var errSentinel = errors.New("sentinel")

var ignoreText = cmpopts.IgnoreUnexported(refused{})

// refused contains everything about a refusal that a program can observe.
type refused struct {
	Is       []string // the targets that errors.Is finds
	As       []string // the types that errors.As finds
	Requests []string
	Status   int
	Type     sps.ErrorType
	Method   string
	Path     string
	Attempts int
	Unknown  bool
	Code     int // the exit code of a firmware test

	text string
}

// seen runs one operation with a password against a refusal, and returns what a program
// observes.
func seen(t *testing.T, password string, refuse func(*http.Request) (*http.Response, error)) refused {
	t.Helper()
	var r refused
	c, err := sps.Connect(t.Context(), "appliance.test", sps.UsernamePassword("admin", sps.NewSecretString(password)), testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
		r.Requests = append(r.Requests, req.Method+" "+req.URL.Path)
		if strings.HasSuffix(req.URL.Path, "/authentication") {
			return testkit.Answer(req, 200, http.Header{"Set-Cookie": {"session_id=0123456789"}}, `{}`), nil
		}
		return refuse(req)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Invoke(t.Context(), "POST", "firmware/slots", nil); err == nil {
		_, err = c.Firmware.Test(t.Context(), "2") // Test validates the response further
	}
	if err == nil {
		t.Fatal("no error")
	}
	for name, target := range map[string]error{
		"SyntacticError": sps.SyntacticError, "SemanticError": sps.SemanticError, "Unauthenticated": sps.Unauthenticated, "AuthenticationFailure": sps.AuthenticationFailure,
		"Unauthorized": sps.Unauthorized, "OpenTransactionError": sps.OpenTransactionError, "ResourceNotFound": sps.ResourceNotFound, "FirmwareTestFailed": sps.FirmwareTestFailed,
		"Busy": sps.ErrorType("Busy"), "ConfigurationLocked": sps.ErrorType("ConfigurationLocked"), "CommitConflict": sps.ErrorType("CommitConflict"),
		"bad answer": sps.ErrBadAnswer, "unknown": sps.ErrOutcomeUnknown, "400": sps.Status(400), "401": sps.Status(401), "403": sps.Status(403), "503": sps.Status(503),
		"refused": syscall.ECONNREFUSED, "reset": syscall.ECONNRESET, "EOF": io.EOF, "unexpected EOF": io.ErrUnexpectedEOF, "deadline": context.DeadlineExceeded, "sentinel": errSentinel,
	} {
		if errors.Is(err, target) {
			r.Is = append(r.Is, name)
		}
	}
	slices.Sort(r.Is)
	var answered *sps.Error
	if errors.As(err, &answered) {
		r.As = append(r.As, "Error")
		r.Status, r.Type, r.Method, r.Path, r.Unknown = answered.Status, answered.Type, answered.Method, answered.Path, answered.OutcomeUnknown
	}
	var broken *sps.TransportError
	if errors.As(err, &broken) {
		r.As = append(r.As, "TransportError")
		r.Method, r.Path, r.Unknown, r.Attempts = broken.Method, broken.Path, broken.OutcomeUnknown, broken.Attempts
	}
	var failed *sps.FirmwareTestFailedDetails
	if errors.As(err, &failed) {
		r.As, r.Code = append(r.As, "FirmwareTestFailedDetails"), failed.ExitCode
	}
	for name, found := range map[string]bool{
		"IncompleteRequestBodyErrorDetails": errors.As(err, new(*sps.IncompleteRequestBodyErrorDetails)), "ResourceNotFoundDetails": errors.As(err, new(*sps.ResourceNotFoundDetails)), "SyntacticErrorDetails": errors.As(err, new(*sps.SyntacticErrorDetails)), "UnauthorizedDetails": errors.As(err, new(*sps.UnauthorizedDetails)), "UnauthenticatedDetails": errors.As(err, new(*sps.UnauthenticatedDetails)),
		"SemanticErrorDetails": errors.As(err, new(*sps.SemanticErrorDetails)), "OpError": errors.As(err, new(*net.OpError)), "ErrorType": errors.As(err, new(sps.ErrorType)),
	} {
		if found {
			r.As = append(r.As, name)
		}
	}
	slices.Sort(r.As)
	r.text = err.Error()
	c.Close(context.Background())
	return r
}

// TestWordsAsPasswords checks that a program observes the same refusal with every password, and
// that the error texts differ only where the client hides the appliance's text because it
// contains the password.
func TestWordsAsPasswords(t *testing.T) {
	t.Parallel()
	const neutral = "correct horse battery staple"
	for name, refuse := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				want := seen(t, neutral, refuse)
				if strings.Contains(want.text, "not shown") {
					t.Errorf("the text is hidden although it contains no secret: %s", want.text)
				}
				for _, password := range wordsAsPasswords {
					got := seen(t, password, refuse)
					if got.Type != want.Type && !strings.Contains(string(got.Type), "not shown") {
						t.Errorf("password %q: type %q", password, got.Type)
					}
					got.Type = want.Type
					testkit.Diff(t, "with the password "+password, want, got, ignoreText)
					if !replaced(want.text, got.text) {
						t.Errorf("password %q: %s\nwant: %s", password, got.text, want.text)
					}
				}
			})
		})
	}
}

// replaced reports whether text can result from whole by replacing some parts of whole with the
// sentences that stand for hidden texts.
func replaced(whole, text string) bool {
	for _, sentence := range []string{
		"the appliance's text is not shown: it contains a secret of this request", "type not shown: it contains a secret of this request",
		"a type that is not shown: it contains a secret of this request", "a place that is not shown: it contains a secret of this request",
	} {
		text = strings.ReplaceAll(text, sentence, "\x00")
	}
	parts := strings.Split(text, "\x00")
	if len(parts) == 1 {
		return text == whole
	}
	if !strings.HasPrefix(whole, parts[0]) || !strings.HasSuffix(whole, parts[len(parts)-1]) {
		return false
	}
	for _, part := range parts {
		_, rest, found := strings.Cut(whole, part)
		if !found {
			return false
		}
		whole = rest
	}
	return true
}

// TestQuotedPasswords checks that an error does not show a password that a response repeats,
// and does not reveal where in the response the password was.
func TestQuotedPasswords(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"Failed", "hunter2!", `tr0ub"4dor\&3`} {
		t.Run(password, func(t *testing.T) {
			t.Parallel()
			quote := func(text string) string {
				data, err := json.Marshal(text)
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			texts := map[string]bool{}
			for _, text := range []string{password, "you sent " + password, password + " was sent", "it was " + password + ", was it not?"} {
				for _, kind := range []string{"FirmwareTestFailed", "SemanticError", "Odd", text} {
					body := fmt.Sprintf(`{"error":{"type":%s,"message":%s,"details":{"exit_code":1,"test_summary":%s,"errors":[%s]}}}`, quote(kind), quote(text), quote(text), quote(text))
					got := seen(t, password, func(r *http.Request) (*http.Response, error) { return testkit.Answer(r, 400, http.Header{}, body), nil })
					if shown := strings.ReplaceAll(got.text, "FirmwareTestFailed", ""); redact.Holds(shown, []string{password}) {
						t.Errorf("%s: %s", kind, got.text)
					}
					texts[got.text] = true
				}
			}
			if len(texts) != 4 { // the texts may differ by the error type only
				t.Errorf("the error texts depend on the place of the password: %q", slices.Collect(maps.Keys(texts)))
			}
		})
	}
}

// TestHiddenErrorType checks that errors.Is matches an error type whose text is hidden.
func TestHiddenErrorType(t *testing.T) {
	t.Parallel()
	c, err := sps.Connect(t.Context(), "appliance.test", sps.UsernamePassword("admin", sps.NewSecretString("Gremlin")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/authentication") {
			return testkit.Answer(r, 200, http.Header{"Set-Cookie": {"session_id=0123456789"}}, `{}`), nil
		}
		return testkit.Answer(r, 400, http.Header{}, `{"error":{"type":"GremlinsError"}}`), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	_, err = c.Info(t.Context())
	if !errors.Is(err, sps.ErrorType("GremlinsError")) || errors.Is(err, sps.ErrorType("OtherError")) || errors.Is(err, sps.NotFound) {
		t.Errorf("errors.Is does not match the type, or matches another type: %v", err)
	}
	var kind sps.ErrorType
	var e *sps.Error
	if !errors.As(err, &kind) || !errors.As(err, &e) || e.Type != kind || !errors.Is(err, kind) || strings.Contains(string(kind), "Gremlin") {
		t.Errorf("the type is %q", kind)
	}
	if shown := leakShow(err); strings.Contains(shown, "Gremlin") {
		t.Errorf("shown as %s", shown)
	}
}

// TestDecisionsOnRawAnswers checks that the client recognizes a locked configuration by the
// original response, even if the displayed text is hidden.
func TestDecisionsOnRawAnswers(t *testing.T) {
	t.Parallel()
	locked := `{"error":{"type":"ConfigurationLocked","message":"the configuration is locked"}}`
	for _, password := range []string{"Locked", "locked", "Lock", "neutral"} {
		synctest.Test(t, func(t *testing.T) {
			opened := false
			c, err := sps.Connect(t.Context(), "appliance.test", sps.UsernamePassword("admin", sps.NewSecretString(password)), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/authentication"):
					return testkit.Answer(r, 200, http.Header{"Set-Cookie": {"session_id=0123456789"}}, `{}`), nil
				case r.URL.Path == "/api/transaction" && r.Method == "POST":
					opened = true
					return testkit.Answer(r, 200, http.Header{}, `{}`), nil
				case r.URL.Path == "/api/transaction" && r.Method == "DELETE":
					opened = false
					return testkit.Answer(r, 200, http.Header{}, `{}`), nil
				case r.URL.Path == "/api/transaction":
					return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"body":{"status":%q}}`, map[bool]string{true: "open", false: "closed"}[opened])), nil
				}
				return testkit.Answer(r, 409, http.Header{}, locked), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error {
				_, err := tx.Invoke(ctx, "DELETE", "configuration/x", nil)
				return err
			})
			if !errors.Is(err, sps.ErrLocked) || !errors.Is(err, sps.ErrorType("ConfigurationLocked")) {
				t.Errorf("password %q: %v, want ErrLocked", password, err)
			}
			time.Sleep(time.Minute) // simulated time
		})
	}
}

// TestSecretsOfURLs checks that errors do not show the credentials in a URL.
func TestSecretsOfURLs(t *testing.T) {
	t.Parallel()
	for address, secret := range map[string]string{
		"https://user:hush%2Fhush@images.example/x.iso": "hush/hush",
		"https://token-abc@images.example/x.iso":        "token-abc",
		"https://images.example/x.iso?signature=a1b2c3": "signature=a1b2c3",
	} {
		c := canned(t, `{"error":{"type":"Odd","message":"cannot get `+address+` with `+secret+`"}}`)
		_, err := c.Firmware.Fetch.Start(t.Context(), address, strings.Repeat("0", 64))
		if err == nil || strings.Contains(err.Error(), secret) || !errors.Is(err, sps.ErrorType("Odd")) {
			t.Errorf("%s: %v", address, err)
		}
	}
	c := canned(t, `{"error":{"type":"Odd","message":"cannot get https://images.example/x.iso"}}`)
	if _, err := c.Firmware.Fetch.Start(t.Context(), "https://images.example/x.iso", strings.Repeat("0", 64)); !strings.Contains(err.Error(), "images.example") {
		t.Errorf("a URL without secrets is not shown: %v", err)
	}
}

// TestSecretsOfBodies checks that an error does not show a Secret of the request body that the
// response repeats, in each encoding and for each operation that sends a body.
func TestSecretsOfBodies(t *testing.T) {
	t.Parallel()
	const secret = `tr0ub"4dor\&3/ä`
	type body struct {
		Password sps.Secret `json:"password"`
	}
	own := body{sps.NewSecretString(secret)}
	for name, send := range map[string]func(context.Context, *sps.Client, *sps.Transaction) error{
		"Client.Invoke": func(ctx context.Context, c *sps.Client, _ *sps.Transaction) error {
			_, err := c.Invoke(ctx, "POST", "things", map[string]any{"list": []any{own}})
			return err
		},
		"Transaction.Invoke": func(ctx context.Context, _ *sps.Client, tx *sps.Transaction) error {
			_, err := tx.Invoke(ctx, "PUT", "configuration/things", own)
			return err
		},
		"SingletonTx.Replace": func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return sps.NewSingleton[body](c, "configuration/things").In(tx).Replace(ctx, own)
		},
		"SingletonTx.Update": func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return sps.NewSingleton[body](c, "configuration/things").In(tx).Update(ctx, func(b *body) error { *b = own; return nil })
		},
		"CollectionTx.Create": func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			_, err := sps.NewCollection[body](c, "configuration/things").In(tx).Create(ctx, own)
			return err
		},
		"CollectionTx.Replace": func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return sps.NewCollection[body](c, "configuration/things").In(tx).Replace(ctx, "1", own)
		},
		"CollectionTx.Update": func(ctx context.Context, c *sps.Client, tx *sps.Transaction) error {
			return sps.NewCollection[body](c, "configuration/things").In(tx).Update(ctx, "1", func(b *body) error { *b = own; return nil })
		},
		"Starling.Join": func(ctx context.Context, c *sps.Client, _ *sps.Transaction) error {
			return c.Starling.Join(ctx, sps.StarlingJoinRequest{CredentialString: own.Password, ProductInstance: "x"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, spelling := range leakForms([]byte(secret)) {
				if strings.Contains(form, "hex") || strings.Contains(form, "HEX") || strings.Contains(form, "bytes") || form == "in lower case" {
					continue // not an encoding that a response would contain
				}
				quoted := string(testkit.Must(json.Marshal("the value " + spelling + " is refused")))
				body := strings.ReplaceAll(`{"error":{"type":"SemanticError","message":ECHO,"details":{"errors":[{"message":ECHO,"paths":[ECHO]}]}}}`, "ECHO", quoted)
				open, c := "closed", (*sps.Client)(nil)
				c, err := sps.Connect(t.Context(), "appliance.test", sps.ExistingSession(sps.NewSecretString("0123456789")), testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
					switch {
					case r.URL.Path == "/api/transaction":
						open = map[string]string{"POST": "open", "DELETE": "closed", "GET": open}[r.Method]
						return testkit.Answer(r, 200, http.Header{}, fmt.Sprintf(`{"body":{"status":%q}}`, open)), nil
					case r.Method == "GET":
						return testkit.Answer(r, 200, http.Header{}, `{"key":"`+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]+`","body":{"password":"old","joined":false}}`), nil
					}
					return testkit.Answer(r, 400, http.Header{}, body), nil
				}))
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name, "Client") || strings.HasPrefix(name, "Starling") {
					err = send(t.Context(), c, nil)
				} else {
					err = c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) error { return send(ctx, c, tx) })
				}
				if !errors.Is(err, sps.SemanticError) {
					t.Fatalf("error %v, want a SemanticError", err)
				}
				if shown := leakShow(err); strings.Contains(shown, spelling) || redact.Holds(shown, []string{secret}) {
					t.Errorf("the secret %s is shown: %v", form, err)
				}
				c.Close(context.Background())
			}
		})
	}
}
