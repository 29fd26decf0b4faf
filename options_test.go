package sps_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	limits := sps.DefaultTimeouts()
	limits.Close = 0
	negative := sps.DefaultTimeouts()
	negative.Read = -1
	for name, options := range map[string][]sps.Option{
		"no PEM":               {sps.WithCABundle([]byte("x"))},
		"a private key":        {sps.WithCABundle(append(a.CA(), "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"...))},
		"no fingerprint":       {sps.WithPinnedCertificates()},
		"a SHA-1":              {sps.WithPinnedCertificates(strings.Repeat("0", 40))},
		"no hex":               {sps.WithPinnedCertificates(strings.Repeat("g", 64))},
		"insecure and pinned":  {sps.WithInsecureTLS(), sps.WithPinnedCertificates(a.Fingerprint())},
		"insecure and CA":      {sps.WithCABundle(a.CA()), sps.WithInsecureTLS()},
		"a browser":            {sps.WithUserAgent("Mozilla/5.0")},
		"hidden browser":       {sps.WithUserAgent("x (moZilla)")},
		"agent with newline":   {sps.WithUserAgent("a\r\nCookie: b")},
		"agent not ASCII":      {sps.WithUserAgent("ügynök")},
		"empty agent":          {sps.WithUserAgent(" ")},
		"no attempts":          {sps.WithRetry(sps.RetryPolicy{})},
		"waits reversed":       {sps.WithRetry(sps.RetryPolicy{Attempts: 1, MinWait: time.Second})},
		"no bound for Close":   {sps.WithTimeouts(limits)},
		"a negative limit":     {sps.WithTimeouts(negative)},
		"no transport wrapper": {sps.WithTransport(nil)},
	} {
		_, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")), options...)
		if !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
	}
	diff(t, "requests", []string(nil), requests(a))
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	connect(t, a, sps.WithUserAgent("precheck/1.2"))
	diff(t, "User-Agent", "precheck/1.2 go-sps/"+sps.Version, a.Journal()[0].Header.Get("User-Agent"))
}

// TestTransportOrder wraps in the order of the options, the last outermost.
func TestTransportOrder(t *testing.T) {
	t.Parallel()
	var order []string
	wrap := func(name string) sps.Option {
		return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				order = append(order, name)
				return base.RoundTrip(r)
			})
		})
	}
	a := spstest.NewServer(t)
	c, err := dial(t.Context(), a, wrap("inner"), wrap("outer"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	diff(t, "order", []string{"outer", "inner", "outer", "inner"}, order)
}

// TestProxy goes directly to the appliance whatever the environment says, unless
// it is asked to honour it.
func TestProxy(t *testing.T) {
	var proxied []bool
	look := sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		proxied = append(proxied, base.(*http.Transport).Proxy != nil)
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			return answer(r, 200, http.Header{"Set-Cookie": {"session_id=abc"}}, "{}"), nil
		})
	})
	for _, options := range [][]sps.Option{{look}, {look, sps.WithProxyFromEnvironment()}} {
		c, err := sps.Connect(t.Context(), "sps1", sps.UsernamePassword("u", sps.NewSecretString("p")), options...)
		if err != nil {
			t.Fatal(err)
		}
		c.Close(t.Context())
	}
	diff(t, "proxied", []bool{false, true}, proxied)
}
