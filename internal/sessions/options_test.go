package sessions

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for name, options := range map[string][]sps.Option{
		"no PEM":                   {sps.WithCABundle([]byte("x"))},
		"a private key":            {sps.WithCABundle(append(a.CA(), "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"...))},
		"no fingerprint":           {sps.WithPinnedCertificates()},
		"a SHA-1":                  {sps.WithPinnedCertificates(strings.Repeat("0", 40))},
		"no hex":                   {sps.WithPinnedCertificates(strings.Repeat("g", 64))},
		"insecure and pinned":      {sps.WithInsecureTLS(), sps.WithPinnedCertificates(a.Fingerprint())},
		"insecure and CA":          {sps.WithCABundle(a.CA()), sps.WithInsecureTLS()},
		"nil pool":                 {sps.WithRootCAs(nil)},
		"pool and bundle":          {sps.WithRootCAs(x509.NewCertPool()), sps.WithCABundle(a.CA())},
		"insecure and a pool":      {sps.WithRootCAs(x509.NewCertPool()), sps.WithInsecureTLS()},
		"a browser":                {sps.WithUserAgent("Mozilla/5.0")},
		"browser in a comment":     {sps.WithUserAgent("x (moZilla)")},
		"agent with newline":       {sps.WithUserAgent("a\r\nCookie: b")},
		"agent not ASCII":          {sps.WithUserAgent("ügynök")},
		"empty agent":              {sps.WithUserAgent(" ")},
		"negative attempts":        {sps.WithRetry(sps.RetryPolicy{Attempts: -1})},
		"waits reversed":           {sps.WithRetry(sps.RetryPolicy{MinWait: time.Second, MaxWait: time.Millisecond})},
		"negative MaxWait":         {sps.WithRetry(sps.RetryPolicy{MinWait: time.Second, MaxWait: -1})},
		"negative limit for Close": {sps.WithTimeouts(sps.Timeouts{Close: -1})},
		"negative limit for Login": {sps.WithTimeouts(sps.Timeouts{Login: -1})},
		"no transport wrapper":     {sps.WithTransport(nil)},
	} {
		_, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")), options...)
		if !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v, want ErrInvalidInput", name, err)
		}
	}
	testkit.Diff(t, "requests", []string(nil), testkit.Requests(a))
}

// TestRetryPolicy checks that a zero field of a RetryPolicy means its default, that a
// negative MinWait or MaxWait means no wait, and how long the client follows a Retry-After
// header.
func TestRetryPolicy(t *testing.T) {
	t.Parallel()
	again := spstest.Fault{Path: "firmware/slots", Status: 503, Times: -1}
	patience := again
	patience.Header = http.Header{"Retry-After": {"25"}}
	for name, test := range map[string]struct {
		policy   sps.RetryPolicy
		fault    spstest.Fault
		attempts int
		min, max time.Duration
	}{
		"all fields 0":                     {sps.RetryPolicy{}, again, 4, time.Nanosecond, 3500 * time.Millisecond},
		"1 attempt":                        {sps.RetryPolicy{Attempts: 1}, again, 1, 0, 0},
		"negative MinWait":                 {sps.RetryPolicy{MinWait: -1}, again, 4, 0, 0},
		"negative MaxWait":                 {sps.RetryPolicy{MaxWait: -1}, again, 4, 0, 0},
		"MaxWait of 1 ms":                  {sps.RetryPolicy{MaxWait: time.Millisecond}, again, 4, time.Nanosecond, 3 * time.Millisecond},
		"MinWait of 20 s":                  {sps.RetryPolicy{Attempts: 40, MinWait: 20 * time.Second}, again, 40, 40 * time.Second, 39 * 20 * time.Second},
		"Retry-After within MaxRetryAfter": {sps.RetryPolicy{Attempts: 2}, patience, 2, 25 * time.Second, 25 * time.Second},
		"negative MaxRetryAfter":           {sps.RetryPolicy{MaxRetryAfter: -1}, patience, 1, 0, 0},
		"Retry-After above MaxRetryAfter":  {sps.RetryPolicy{MaxRetryAfter: 24 * time.Second}, patience, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				before := len(a.Journal())
				a.Inject(test.fault)
				start := time.Now()
				if _, err := c.Firmware.Slots.List(t.Context()); !errors.Is(err, sps.Status(503)) {
					t.Errorf("error %v, want the status 503", err)
				}
				testkit.Diff(t, "attempts", test.attempts, len(a.Journal())-before)
				if took := time.Since(start); took < test.min || took > test.max {
					t.Errorf("took %v, want %v to %v", took, test.min, test.max)
				}
			}, sps.WithRetry(test.policy))
		})
	}
}

// TestTimeoutDefaults checks that a zero field of Timeouts means the default of that field,
// and that a negative field means no limit.
func TestTimeoutDefaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits sps.Timeouts
		took   time.Duration
	}{
		"all fields 0":   {sps.Timeouts{}, sps.DefaultTimeouts().Read},
		"only Write set": {sps.Timeouts{Write: time.Second}, sps.DefaultTimeouts().Read},
		"Read set":       {sps.Timeouts{Read: 10 * time.Second}, 10 * time.Second},
		"Read negative":  {sps.Timeouts{Read: -1}, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
				a.Inject(spstest.Fault{Path: "firmware/slots", Delay: 5 * time.Minute, Times: -1})
				start := time.Now()
				_, err := c.Firmware.Slots.List(t.Context())
				if bound := test.took < 5*time.Minute; errors.Is(err, context.DeadlineExceeded) != bound {
					t.Errorf("error %v, want one of a time limit: %v", err, bound)
				}
				testkit.Diff(t, "time", test.took, time.Since(start))
			}, sps.WithTimeouts(test.limits), sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
		})
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	testkit.Connect(t, a, sps.WithUserAgent("precheck/1.2"))
	testkit.Diff(t, "User-Agent", "precheck/1.2 go-sps/"+sps.Version, a.Journal()[0].Header.Get("User-Agent"))
}

// TestTransportOrder checks that the functions of WithTransport wrap in the order of the
// options, with the function of the last option outermost.
func TestTransportOrder(t *testing.T) {
	t.Parallel()
	var order []string
	wrap := func(name string) sps.Option {
		return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
			return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
				order = append(order, name)
				return base.RoundTrip(r)
			})
		})
	}
	a := spstest.NewServer(t)
	c, err := testkit.Dial(t.Context(), a, wrap("inner"), wrap("outer"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	testkit.Diff(t, "order", []string{"outer", "inner", "outer", "inner"}, order)
}

// TestProxy checks that the client uses the proxy of the environment only with
// WithProxyFromEnvironment.
func TestProxy(t *testing.T) {
	var proxied []bool
	look := sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		proxied = append(proxied, base.(*http.Transport).Proxy != nil)
		return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
			return testkit.Answer(r, 200, http.Header{"Set-Cookie": {"session_id=abc"}}, "{}"), nil
		})
	})
	for _, options := range [][]sps.Option{{look}, {look, sps.WithProxyFromEnvironment()}} {
		c, err := sps.Connect(t.Context(), "sps1", sps.UsernamePassword("u", sps.NewSecretString("p")), options...)
		if err != nil {
			t.Fatal(err)
		}
		c.Close(t.Context())
	}
	testkit.Diff(t, "proxied", []bool{false, true}, proxied)
}

// TestNilProgress checks that WithProgress(nil) has no effect.
func TestNilProgress(t *testing.T) {
	t.Parallel()
	testkit.Bubble(t, func(t *testing.T, a *spstest.Appliance, c *sps.Client) {
		ctx := t.Context()
		image := spstest.Image("8.1.0", 1<<20)
		if _, err := c.Firmware.Upload(ctx, image, 1<<20, sps.WithProgress(nil)); err != nil {
			t.Error(err)
		}
		if _, err := c.Firmware.Upgrade(ctx, sps.FromSlot("3"), sps.WithMessage("x"), sps.WithProgress(nil), sps.WithProgress(nil)); err != nil {
			t.Error(err)
		}
		if _, err := c.Firmware.WaitForVersion(ctx, "8.1.0", sps.WithProgress(nil)); err != nil {
			t.Error(err)
		}
		key, err := c.Troubleshooting.SupportBundle.Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Troubleshooting.SupportBundle.Wait(ctx, key, sps.WithProgress(nil)); err != nil {
			t.Error(err)
		}
		if _, err := c.Troubleshooting.SupportBundle.Download(ctx, key, io.Discard, sps.WithProgress(nil)); err != nil {
			t.Error(err)
		}
	})
}

// TestOptionTypes checks to which calls each option can be passed. Other combinations do not
// compile.
func TestOptionTypes(t *testing.T) {
	t.Parallel()
	fits := func(option any) (list []string) {
		if _, ok := option.(sps.TransactionOption); ok {
			list = append(list, "transaction")
		}
		if _, ok := option.(sps.UpgradeOption); ok {
			list = append(list, "upgrade")
		}
		if _, ok := option.(sps.StartUpgradeOption); ok {
			list = append(list, "start upgrade")
		}
		if _, ok := option.(sps.UploadOption); ok {
			list = append(list, "upload")
		}
		if _, ok := option.(sps.DownloadOption); ok {
			list = append(list, "download")
		}
		if _, ok := option.(sps.WaitOption); ok {
			list = append(list, "wait")
		}
		if _, ok := option.(sps.VersionWaitOption); ok {
			list = append(list, "version")
		}
		if _, ok := option.(sps.SearchOption); ok {
			list = append(list, "search")
		}
		if _, ok := option.(sps.FollowOption); ok {
			list = append(list, "follow")
		}
		if _, ok := option.(sps.RequestOption); ok {
			list = append(list, "request")
		}
		return list
	}
	for name, test := range map[string]struct {
		option any
		want   []string
	}{
		"WithMessage":         {sps.WithMessage("x"), []string{"transaction", "upgrade", "start upgrade"}},
		"WithLockWait":        {sps.WithLockWait(1), []string{"transaction"}},
		"WithLockFirst":       {sps.WithLockFirst(), []string{"transaction"}},
		"WithChanges":         {sps.WithChanges(nil), []string{"transaction"}},
		"WithProgress":        {sps.WithProgress(nil), []string{"upgrade", "upload", "download", "wait", "version"}},
		"WithPollInterval":    {sps.WithPollInterval(1), []string{"upgrade", "wait", "version", "follow"}},
		"WithWaitLimit":       {sps.WithWaitLimit(1), []string{"upgrade", "wait", "version"}},
		"WithRestartOf":       {sps.WithRestartOf(nil), []string{"version"}},
		"WithExpectedVersion": {sps.WithExpectedVersion("8"), []string{"upgrade"}},
		"WithTestOnly":        {sps.WithTestOnly(), []string{"upgrade"}},
		"WithSnapshotWait":    {sps.WithSnapshotWait(1), []string{"search"}},
		"WithoutSnapshot":     {sps.WithoutSnapshot(), []string{"search"}},
		"WithCheckpoint":      {sps.WithCheckpoint(nil), []string{"follow"}},
		"WithSince":           {sps.WithSince(time.Time{}), []string{"follow"}},
		"WithWindow":          {sps.WithWindow(1), []string{"follow"}},
		"WithOnce":            {sps.WithOnce(), []string{"follow"}},
		"WithErrorFunc":       {sps.WithErrorFunc(nil), []string{"follow"}},
		"WithTrailFormat":     {sps.WithTrailFormat(sps.TrailSRS), []string{"download"}},
		"WithQuery":           {sps.WithQuery("a", "b"), []string{"download", "request"}},
		"WithHeader":          {sps.WithHeader("A", "b"), []string{"download", "request"}},
	} {
		testkit.Diff(t, name, test.want, fits(test.option))
	}
}

// TestZeroHandles checks that zero values of handles, clients and transactions return
// ErrInvalidInput.
func TestZeroHandles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client, tx := new(sps.Client), new(sps.Transaction)
	update := func(*sps.EmailSettings) error { return nil }
	store := func(*sps.TrustStore) error { return nil }
	for name, call := range map[string]func() error{
		"singleton get":     func() error { _, err := sps.Singleton[int]{}.Get(ctx); return err },
		"singleton in":      func() error { return sps.Singleton[int]{}.In(tx).Replace(ctx, 1) },
		"singleton in nil":  func() error { return client.Management.Email.In(nil).Update(ctx, update) },
		"singleton update":  func() error { return sps.SingletonTx[sps.EmailSettings]{}.Update(ctx, update) },
		"collection get":    func() error { _, err := sps.Collection[int]{}.Get(ctx, "1"); return err },
		"collection list":   func() error { _, err := sps.Collection[int]{}.List(ctx); return err },
		"collection name":   func() error { _, err := sps.Collection[int]{}.GetByName(ctx, "a"); return err },
		"collection create": func() error { _, err := sps.CollectionTx[int]{}.Create(ctx, 1); return err },
		"collection update": func() error { return sps.CollectionTx[sps.TrustStore]{}.Update(ctx, "1", store) },
		"collection delete": func() error { return sps.CollectionTx[int]{}.Delete(ctx, "1") },
		"field of a client": func() error { _, err := client.TrustStores.List(ctx); return err },
		"field of a tx":     func() error { return tx.Management.Email.Update(ctx, update) },
		"no client":         func() error { _, err := sps.NewSingleton[int](nil, "configuration/x").Get(ctx); return err },
		"zero client":       func() error { _, err := sps.NewSingleton[int](client, "configuration/x").Get(ctx); return err },
		"zero transaction":  func() error { return sps.NewSingleton[int](client, "configuration/x").In(tx).Replace(ctx, 1) },
		"slots":             func() error { _, err := client.Firmware.Slots.List(ctx); return err },
		"slot":              func() error { return client.Firmware.Slots.Delete(ctx, "2") },
		"firmware test":     func() error { _, err := client.Firmware.Test(ctx, "2"); return err },
		"upload":            func() error { _, err := client.Firmware.Upload(ctx, strings.NewReader("x"), 1); return err },
		"upgrade":           func() error { _, err := client.Firmware.Upgrade(ctx, sps.FromSlot("2")); return err },
		"start upgrade":     func() error { _, err := client.Firmware.StartUpgrade(ctx, "2"); return err },
		"wait for version":  func() error { _, err := client.Firmware.WaitForVersion(ctx, "8.0.0"); return err },
		"fetch": func() error {
			_, err := client.Firmware.Fetch.Start(ctx, "https://a/b", strings.Repeat("a", 64))
			return err
		},
		"fetches":          func() error { _, err := client.Firmware.Fetch.List(ctx); return err },
		"wait for a fetch": func() error { _, err := client.Firmware.Fetch.Wait(ctx, "1"); return err },
		"cancel a fetch":   func() error { return client.Firmware.Fetch.Cancel(ctx, "1") },
		"join":             func() error { return client.Starling.Join(ctx, sps.StarlingJoinRequest{}) },
		"unjoin":           func() error { return client.Starling.Unjoin(ctx) },
		"check unjoin":     func() error { _, err := client.Starling.CheckUnjoin(ctx); return err },
		"join page":        func() error { _, err := client.Starling.JoinPage(ctx); return err },
		"bundle":           func() error { _, err := client.Troubleshooting.SupportBundle.Start(ctx); return err },
		"bundle delete":    func() error { return client.Troubleshooting.SupportBundle.Delete(ctx, "1") },
		"bundle download": func() error {
			_, err := client.Troubleshooting.SupportBundle.Download(ctx, "1", io.Discard)
			return err
		},
		"cluster": func() error { _, err := client.Cluster.Status(ctx); return err },
	} {
		if err := call(); !errors.Is(err, sps.ErrInvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
