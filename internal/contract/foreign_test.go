package contract

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// TestForeignResponseText checks that the error for a response that does not come from the API
// shows its text in one line, shortened and without secrets.
func TestForeignResponseText(t *testing.T) {
	t.Parallel()
	const session = "0123456789abcdef-session"
	for name, test := range map[string]struct {
		status     int
		kind, body string
		want, not  string
	}{
		"JSON of another service": {400, "application/json", `{"Code":70002,"Message":"The user\nis locked"}`, `without an error member: "The user is locked (code 70002)"`, ""},
		"a page":                  {400, "text/html", "<html><head><title>400 No required SSL certificate was sent</title></head><body>x</body></html>", `of text/html: "400 No required SSL certificate was sent"`, ""},
		"a page without a title":  {403, "text/html", "<html>forbidden</html>", "not an error of the API but 22 bytes of text/html", ": \"\""},
		"a problem":               {502, "application/problem+json", `{"title":"Bad Gateway"}`, `of application/problem+json: "Bad Gateway"`, ""},
		"a page of success":       {200, "text/html", "<title>Welcome</title>", `the answer is not JSON but text/html: "Welcome": is this the address of an SPS appliance?`, ""},
		"a secret":                {403, "text/html", "<title>no " + session + "</title>", "the appliance's text is not shown", session},
		"a long title":            {403, "text/html", "<title>" + strings.Repeat("x", 10_000) + "</title>", "xxx…", strings.Repeat("x", 201)},
		"an error of the API":     {400, "application/json", `{"error":{"type":"SyntacticError","message":"ours"},"message":"theirs"}`, "ours", "theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := sps.Connect(t.Context(), "sps1", sps.ExistingSession(sps.NewSecretString(session)), testkit.Quick, testkit.RoundTrip(func(r *http.Request) (*http.Response, error) {
				return testkit.Answer(r, test.status, http.Header{"Content-Type": {test.kind}}, test.body), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			_, err = c.Invoke(t.Context(), "GET", "x", nil)
			text := fmt.Sprint(err)
			if !strings.Contains(text, test.want) || test.not != "" && strings.Contains(text, test.not) || strings.Contains(text, "\n") {
				t.Errorf("%s\nwant %q, not %q", text, test.want, test.not)
			}
			if test.status != 200 && !errors.Is(err, sps.Status(test.status)) {
				t.Errorf("error %v, want the status", err)
			}
		})
	}
}
