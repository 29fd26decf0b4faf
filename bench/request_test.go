package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"

	"github.com/go-sps/sps"
)

// rival is one of several implementations of the same work.
type rival struct {
	name string
	run  func() error
}

// compare runs each rival as a sub-benchmark.
func compare(b *testing.B, rivals []rival) {
	for _, r := range rivals {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			runtime.GC() // frees the memory that the previous rival used
			start := cpuTime()
			for b.Loop() {
				if err := r.run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpuTime()-start)/float64(b.N), "cpu/op") // in seconds
		})
	}
}

// setting holds the clients that are compared, with the same source of responses: memory, or a
// TLS server on loopback.
type setting struct {
	name    string
	sdk     *sps.Client
	byHand  *byHand
	withNew *byHand
}

func settings(b *testing.B) []setting {
	given := applianceAnswers(b)
	server := serve(b, given)
	inMemory := func(http.RoundTripper) http.RoundTripper { return memory{given} }
	host := server.Listener.Addr().String()
	return []setting{
		{
			"memory", connect(b, "sps1.example.com", sps.WithTransport(inMemory)),
			&byHand{&http.Client{Transport: memory{given}}, "https://sps1.example.com/api/", session, standard},
			&byHand{&http.Client{Transport: memory{given}}, "https://sps1.example.com/api/", session, newer},
		},
		{
			"tls", connect(b, host, sps.WithInsecureTLS()),
			&byHand{server.Client(), server.URL + "/api/", session, standard},
			&byHand{server.Client(), server.URL + "/api/", session, newer},
		},
	}
}

const session = "0123456789abcdef0123456789abcdef"

func connect(tb testing.TB, host string, options ...sps.Option) *sps.Client {
	tb.Helper()
	c, err := sps.Connect(tb.Context(), host, sps.UsernamePassword("admin", sps.NewSecretString("a")), options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// everywhere compares the SDK with code written by hand in each setting.
func everywhere(b *testing.B, sdk func(context.Context, *sps.Client) error, hand func(context.Context, *byHand) error) {
	ctx := b.Context()
	for _, s := range settings(b) {
		b.Run(s.name, func(b *testing.B) {
			compare(b, []rival{
				{"sps", func() error { return sdk(ctx, s.sdk) }},
				{"encoding-json", func() error { return hand(ctx, s.byHand) }},
				{"new-json", func() error { return hand(ctx, s.withNew) }},
			})
		})
	}
}

// must returns err, or an error if the response is not the expected one.
func must(err error, ok func() bool) error {
	if err == nil && !ok() {
		return errors.New("the response is not the expected one")
	}
	return err
}

// BenchmarkTrafficAlerts measures a typed read of the traffic alerts, a response of 1.1 KB.
func BenchmarkTrafficAlerts(b *testing.B) {
	everywhere(b,
		func(ctx context.Context, c *sps.Client) error {
			alerts, err := c.Alerting.TrafficAlerts.Get(ctx)
			return must(err, func() bool { return len(alerts.Body) == 16 })
		},
		func(ctx context.Context, h *byHand) error {
			alerts, err := h.trafficAlerts(ctx)
			return must(err, func() bool { return len(alerts.Body) == 16 })
		})
}

// BenchmarkSlots measures reading a list of five firmware slots.
func BenchmarkSlots(b *testing.B) {
	everywhere(b,
		func(ctx context.Context, c *sps.Client) error {
			list, err := c.Firmware.Slots.List(ctx)
			return must(err, func() bool { return len(list.Slots) == 5 })
		},
		func(ctx context.Context, h *byHand) error {
			list, err := h.slots(ctx)
			return must(err, func() bool { return len(list.Items) == 5 })
		})
}

// BenchmarkTrustStores measures reading a list of 1,000 trust stores, each with one certificate.
func BenchmarkTrustStores(b *testing.B) {
	everywhere(b,
		func(ctx context.Context, c *sps.Client) error {
			list, err := c.TrustStores.List(ctx)
			return must(err, func() bool { return len(list) == 1000 })
		},
		func(ctx context.Context, h *byHand) error {
			list, err := h.stores(ctx)
			return must(err, func() bool { return len(list) == 1000 })
		})
}

// BenchmarkTestFailed measures decoding an error response with its details.
func BenchmarkTestFailed(b *testing.B) {
	everywhere(b,
		func(ctx context.Context, c *sps.Client) error {
			_, err := c.Firmware.Test(ctx, "2")
			var failed *sps.FirmwareTestFailedDetails
			return must(nil, func() bool { return errors.As(err, &failed) && failed.ExitCode == 1 })
		},
		func(ctx context.Context, h *byHand) error {
			failed, err := h.testSlot(ctx)
			return must(err, func() bool { return failed.ExitCode == 1 })
		})
}

// BenchmarkTransaction measures a whole transaction with one update.
func BenchmarkTransaction(b *testing.B) {
	everywhere(b,
		func(ctx context.Context, c *sps.Client) error {
			return c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
				return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
					return a.Enable(sps.ChannelEmail, sps.AlertConnectionDenied)
				})
			})
		},
		func(ctx context.Context, h *byHand) error { return h.update(ctx) })
}

// BenchmarkError compares an error response with a successful response of the same
// endpoint.
func BenchmarkError(b *testing.B) {
	ctx := b.Context()
	failing := applianceAnswers(b)
	passing := applianceAnswers(b)
	passing["POST /api/"+testPath] = answer{200, []byte(`{"body":{"test_summary":"HA check started\nHA check finished"},"key":"2","meta":{"href":"/api/firmware/test","parent":"/api/firmware","slot":"/api/firmware/slots/2","upgrade":"/api/firmware/upgrade"}}`)}
	client := func(a answers) *sps.Client {
		return connect(b, "sps1.example.com", sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return memory{a} }))
	}
	fails, passes := client(failing), client(passing)
	compare(b, []rival{
		{"failed", func() error {
			_, err := fails.Firmware.Test(ctx, "2")
			var failed *sps.FirmwareTestFailedDetails
			return must(nil, func() bool { return errors.As(err, &failed) && failed.ExitCode == 1 })
		}},
		{"passed", func() error {
			report, err := passes.Firmware.Test(ctx, "2")
			return must(err, func() bool { return report.TestSummary != "" })
		}},
	})
}

// BenchmarkUpdate measures an update in an open transaction that changes one member of a body
// of 1 MB. It compares this update with decoding and encoding the same body once.
func BenchmarkUpdate(b *testing.B) {
	ctx := b.Context()
	type host struct {
		Name    string   `json:"name"`
		Address string   `json:"address"`
		Tags    []string `json:"tags"`
		Enabled bool     `json:"enabled"`
	}
	type hosts struct {
		Hosts []host `json:"hosts"`
	}
	var body hosts
	for i := range 9000 {
		body.Hosts = append(body.Hosts, host{fmt.Sprintf("host-%d.example.com", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250), []string{"production", "monitored"}, i%2 == 0})
	}
	data, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	const path = "configuration/hosts"
	given := applianceAnswers(b)
	given["GET /api/"+path] = answer{200, slices.Concat([]byte(`{"key":"hosts","meta":{"href":"/api/configuration/hosts"},"body":`), data, []byte(`}`))}
	given["PUT /api/"+path] = answer{200, []byte(`{"key":"hosts","meta":{"href":"/api/configuration/hosts"}}`)}
	c := connect(b, "sps1.example.com", sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return memory{given} }))
	endpoint := sps.NewSingleton[hosts](c, path)
	once := func(codec codec) func() error {
		return func() error {
			var out hosts
			if err := codec.decode(bytes.NewReader(data), &out); err != nil {
				return err
			}
			out.Hosts[4500].Enabled = !out.Hosts[4500].Enabled
			_, err := codec.encode(out)
			return err
		}
	}
	b.SetBytes(int64(len(data)))
	err = c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		compare(b, []rival{
			{"sps", func() error {
				return endpoint.In(tx).Update(ctx, func(h *hosts) error {
					h.Hosts[4500].Enabled = !h.Hosts[4500].Enabled
					return nil
				})
			}},
			{"encoding-json", once(standard)},
			{"new-json", once(newer)},
		})
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkUpdateList measures updates of a list of 100,000 elements in an open transaction.
// It has a sub-benchmark for each kind of change after which it is hard to match the new
// elements with the old ones.
func BenchmarkUpdateList(b *testing.B) {
	type row struct {
		Key     string `json:"key,omitempty"`
		Address string `json:"address"`
		Port    int    `json:"port"`
	}
	type wholeRow struct {
		row
		Unknown int `json:"unknown"`
	}
	const n = 100_000
	texts, keyed, keyless := make([]string, n), make([]wholeRow, n), make([]wholeRow, n)
	for i := range n {
		address := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		texts[i], keyed[i], keyless[i] = address, wholeRow{row{fmt.Sprint(i), address, 22}, i}, wholeRow{row{"", address, 22}, i}
	}
	updateList(b, "one-changed", keyless, func(rows []row) []row {
		rows[n/2].Port = 443
		return rows
	})
	updateList(b, "one-text-removed-and-one-added", texts, func(texts []string) []string { return append(texts[1:], "fd00::1") })
	updateList(b, "half-replaced-by-new-keys", keyed, func(rows []row) []row {
		for i := 0; i < n; i += 2 {
			rows[i].Key = "new-" + rows[i].Key
		}
		return rows
	})
	updateList(b, "all-changed", keyless, func(rows []row) []row {
		for i := range rows {
			rows[i] = row{"", "fd00::" + fmt.Sprint(i), 443}
		}
		return rows
	})
}

// updateList runs a sub-benchmark of [BenchmarkUpdateList].
func updateList[T any](b *testing.B, name string, list any, change func([]T) []T) {
	b.Run(name, func(b *testing.B) {
		body, err := json.Marshal(list)
		if err != nil {
			b.Fatal(err)
		}
		const path = "configuration/list"
		given := applianceAnswers(b)
		given["GET /api/"+path] = answer{200, slices.Concat([]byte(`{"key":"list","meta":{"href":"/api/configuration/list"},"body":`), body, []byte(`}`))}
		given["PUT /api/"+path] = answer{200, []byte(`{"key":"list","meta":{"href":"/api/configuration/list"}}`)}
		c := connect(b, "sps1.example.com", sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return memory{given} }))
		endpoint := sps.NewSingleton[[]T](c, path)
		b.ReportAllocs()
		err = c.Transaction(b.Context(), func(ctx context.Context, tx *sps.Transaction) error {
			for b.Loop() {
				err := endpoint.In(tx).Update(ctx, func(list *[]T) error {
					*list = change(*list)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}
