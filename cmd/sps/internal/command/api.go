package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

var apiMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}

func (a *app) apiCommand() *cobra.Command {
	var file string
	var query []string
	var body []byte
	return a.command(spec{
		use: "api METHOD PATH", short: "Send a request to an endpoint of the API",
		long: `Send a request to an endpoint of the API. PATH is the path below /api/, or a link from a
response. A write to the configuration is made in a transaction, which is committed if the
appliance accepts the write. With --dry-run the transaction is rolled back, and the output
lists what would change. A GET can be sent to several appliances; the other methods work on one
appliance at a time.

A PUT replaces the whole object: the appliance removes the members that --data does not
have, and ignores unknown members. "sps config set" changes single members and keeps the
others.

With -o table, the output is the body of the response. With the other formats, the member
"data" of the result has the body.`,
		examples: []string{
			"sps --host sps1.example.com api GET configuration/datetime/timezone",
			"sps --host sps1.example.com api PUT configuration/datetime/timezone --data timezone.json --message CHG-1234",
		},
		args: cobra.ExactArgs(2), valid: completeMethods, change: true, commit: true,
		singleIf: func(args []string) bool { return args[0] != http.MethodGet },
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&file, "data", "d", "", "`file` with the JSON to send; - reads standard input")
			f.StringArrayVarP(&query, "query", "q", nil, "`name=value` of a query parameter; may be repeated")
		},
		check: func(args []string) (err error) {
			args[0] = strings.ToUpper(args[0])
			if !slices.Contains(apiMethods, args[0]) {
				return fmt.Errorf("%q is not a method: use one of %s", args[0], strings.Join(apiMethods, ", "))
			}
			if args[0] == http.MethodGet && a.dryRun {
				return errors.New("--dry-run is for writes: leave it out for GET")
			}
			for _, q := range query {
				if name, _, ok := strings.Cut(q, "="); !ok || name == "" {
					return fmt.Errorf("--query %q does not have the form name=value", q)
				}
			}
			body, err = a.readData(file)
			return err
		},
		run: func(ctx context.Context, j *job) (out.Report, error) { return j.api(ctx, body, query) },
	})
}

// readData reads the JSON of --data. It returns nil if the flag is not set.
func (a *app) readData(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	var content []byte
	var err error
	if file == "-" {
		if a.flags.HostsFile == "-" {
			return nil, errors.New("--data - and --hosts - exclude each other: only one of them can read standard input")
		}
		content, err = io.ReadAll(a.input)
	} else {
		content, err = os.ReadFile(file)
	}
	switch {
	case errors.Is(err, errInterrupted):
		return nil, fmt.Errorf("--data: %w", err)
	case err != nil:
		return nil, fmt.Errorf("--data: %w: give a readable file", err)
	}
	if !json.Valid(content) {
		return nil, fmt.Errorf("--data: %s is not valid JSON: correct it", file)
	}
	return content, nil
}

// api sends the request, and reports the response.
func (j *job) api(ctx context.Context, body []byte, query []string) (out.Report, error) {
	method, path := j.args[0], j.args[1]
	var options []sps.RequestOption
	for _, q := range query {
		name, value, _ := strings.Cut(q, "=")
		options = append(options, sps.WithQuery(name, value))
	}
	var sent any
	if body != nil {
		sent = json.RawMessage(body)
	}
	if j.dryRun && method != http.MethodGet {
		return j.apiDryRun(ctx, method, path, sent, options)
	}
	response, err := j.send(ctx, method, path, sent, options)
	if errors.Is(err, sps.ErrLocked) { // the text of this error names POST transaction only
		err = fmt.Errorf("%s %s: %w", method, text.Line(path), err)
	}
	if err != nil {
		return out.Report{}, err
	}
	r := out.Report{Data: json.RawMessage("null")}
	if len(response.Body) > 0 {
		r.Data = json.RawMessage(response.Body)
		text, err := out.Encode(r.Data, "", "  ")
		if err != nil {
			return r, fmt.Errorf("%s %s: the response is not JSON: %w", method, path, err)
		}
		r.Text = string(text)
	}
	return r, nil
}

// apiDryRun makes a write in a transaction, lists its changes, and rolls it back.
func (j *job) apiDryRun(ctx context.Context, method, path string, body any, options []sps.RequestOption) (out.Report, error) {
	if !j.needsTransaction(method, path, body, options) {
		return out.Report{}, usagef("--dry-run works only for the configuration: %s %s cannot be rolled back; leave out --dry-run to send it", method, path)
	}
	changes, err := j.client.Preview(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		_, err := tx.Invoke(ctx, method, path, body, options...)
		return err
	}, j.options()...)
	if errors.Is(err, sps.ErrLocked) {
		err = fmt.Errorf("%s %s: %w", method, text.Line(path), err)
	}
	if err != nil {
		return out.Report{}, err
	}
	lines := []string{}
	for _, change := range changes {
		lines = append(lines, text.Line(change.String()))
	}
	data, err := out.Encode(map[string][]string{"changes": lines}, "", "")
	if err != nil {
		return out.Report{}, err
	}
	r := out.Report{Data: json.RawMessage(data), Text: "would change: " + strings.Join(lines, "\nwould change: ") + "\n"}
	if len(lines) == 0 {
		r.Text = "nothing would change\n"
	}
	return r, nil
}

// needsTransaction reports whether the SDK sends a request only in a transaction. It calls the
// SDK with a cancelled context, so nothing is sent: the SDK returns ErrTransactionOnly before it
// checks the context.
func (j *job) needsTransaction(method, path string, body any, options []sps.RequestOption) bool {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := j.client.Invoke(done, method, path, body, options...)
	return errors.Is(err, sps.ErrTransactionOnly)
}

// send sends the request, in a transaction if it needs one.
func (j *job) send(ctx context.Context, method, path string, body any, options []sps.RequestOption) (response *sps.Response, err error) {
	if !j.needsTransaction(method, path, body, options) {
		return j.client.Invoke(ctx, method, path, body, options...)
	}
	err = j.transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		response, err = tx.Invoke(ctx, method, path, body, options...)
		return err
	})
	return response, err
}
