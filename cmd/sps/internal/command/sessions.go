package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/lines"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) sessionsCommands() *cobra.Command {
	return group("sessions", "Search, count and export recorded sessions",
		a.searchCommand(), a.sessionCommand(), a.countCommand(), a.statsCommand(), a.histogramCommand(),
		a.eventsCommand(), a.downloadCommand(), a.followCommand())
}

// queryFlags are the flags that select sessions.
type queryFlags struct {
	query, content                          string
	protocol, user, server, client, verdict string
	since, until                            string
	filter                                  audit.Filter
	start, end                              time.Time
	flags                                   *pflag.FlagSet
}

// The values of --protocol and --verdict that were seen on appliances. There may be others.
var (
	knownProtocols = []string{audit.ProtocolSSH, audit.ProtocolRDP, audit.ProtocolICA, audit.ProtocolVNC, "TELNET", "HTTP", "MSSQL"}
	knownVerdicts  = []string{audit.VerdictAccept, audit.VerdictAuthFail, audit.VerdictFail, audit.VerdictTerminated}
)

// define adds the flags that all commands with a query have.
func (q *queryFlags) define(f *pflag.FlagSet) {
	q.flags = f
	f.StringVarP(&q.query, "query", "q", "", "`filter` in the query language of the appliance")
	f.StringVar(&q.protocol, "protocol", "", "sessions with the protocol of this `name`: "+strings.Join(knownProtocols, ", ")+", or another name on the appliance; the case of these names does not matter")
	f.StringVar(&q.user, "user", "", "sessions of the user with this `name`")
	f.StringVar(&q.server, "server", "", "sessions to the server with this IP `address`")
	f.StringVar(&q.client, "client", "", "sessions from the client with this IP `address`")
	f.StringVar(&q.verdict, "verdict", "", "sessions with this `verdict`: "+strings.Join(knownVerdicts, ", ")+", or another verdict on the appliance; the case of these verdicts does not matter")
}

// defineTimes adds the flags for times and for the content.
func (q *queryFlags) defineTimes(f *pflag.FlagSet) {
	f.StringVar(&q.since, "since", "", "sessions that started after this `time`: a date such as 2027-01-31, or a duration before now such as 24h or 7d")
	f.StringVar(&q.until, "until", "", "sessions that ended before this `time`, in the form of --since")
	f.StringVar(&q.content, "content", "", "indexed sessions whose recorded content matches this `filter`")
}

// check checks the flags, and makes the filter. It prints a warning about a protocol or a verdict
// that is probably misspelt.
func (q *queryFlags) check(a *app) (err error) {
	q.protocol = a.spelling("protocol", q.protocol, knownProtocols)
	q.verdict = a.spelling("verdict", q.verdict, knownVerdicts)
	filters := []audit.Filter{audit.Raw(q.query)}
	if err := inFlag("query", filters[0].Validate()); err != nil {
		return err
	}
	for _, term := range []struct{ flag, field, value string }{
		{"protocol", audit.FieldProtocol, q.protocol}, {"user", audit.FieldUserName, q.user}, {"server", audit.FieldServerIP, q.server},
		{"client", audit.FieldClientIP, q.client}, {"verdict", audit.FieldVerdict, q.verdict},
	} {
		if term.value == "" {
			continue
		}
		filters = append(filters, audit.Term(term.field, term.value))
		if err := inFlag(term.flag, filters[len(filters)-1].Validate()); err != nil {
			return err
		}
	}
	q.filter = audit.And(filters...)
	now := time.Now()
	if q.start, err = moment("since", q.since, now); err != nil {
		return err
	}
	if q.end, err = moment("until", q.until, now); err != nil {
		return err
	}
	return errors.Join(
		inFlag("content", audit.Query{Content: q.content}.Validate()),
		inFlag("until", audit.Query{Start: q.start, End: q.end}.Validate()),
		inFlag("query", q.filter.Validate()), // a query with an unclosed parenthesis cannot be combined
	)
}

// spelling returns the known value that equals a value of a flag apart from upper and lower case.
// If there is none, it prints a warning and returns the value, because the appliance may have other
// values.
func (a *app) spelling(flag, value string, known []string) string {
	if value == "" {
		return ""
	}
	for _, name := range known {
		if strings.EqualFold(name, value) {
			return name
		}
	}
	a.warnf("--%s %q is not one of the known values %s; if the appliance has no such value either, no session matches", flag, value, strings.Join(known, ", "))
	return value
}

// inFlag adds the name of a flag to an error in its value.
func inFlag(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("--%s: %w", flag, err)
}

// flagsError is an error of the appliance in a query, with the flags that may have caused it.
type flagsError struct {
	flags []string
	err   error
}

func (e *flagsError) Error() string { return e.err.Error() }
func (e *flagsError) Unwrap() error { return e.err }

// inFlags adds the names of the flags that may have caused a syntax error in a query.
func (q *queryFlags) inFlags(err error) error {
	if !errors.Is(err, sps.SyntacticError) {
		return err
	}
	e := &flagsError{err: err}
	for _, name := range []string{"query", "content", "sort", "field", "sub-field", "bin"} {
		if f := q.flags.Lookup(name); f != nil && f.Changed {
			e.flags = append(e.flags, "--"+name)
		}
	}
	if len(e.flags) == 0 {
		return err
	}
	return e
}

func (q *queryFlags) audit() audit.Query {
	return audit.Query{Filter: q.filter, Content: q.content, Start: q.start, End: q.end}
}

var (
	sessionColumns = []string{"START", "PROTOCOL", "USER", "SERVER", "VERDICT", "KEY"}
	sessionWidths  = []int{19, 8, 14, 15, 10, 0}
)

func sessionCells(s *audit.Session) []string {
	user, server := "", ""
	if s.User != nil {
		user = s.User.Name
	}
	if s.Server != nil {
		server = s.Server.IP
		if server == "" {
			server = s.Server.Name
		}
	}
	return []string{timeText(s.StartTime), text.OrDash(s.Protocol), text.OrDash(user), text.OrDash(server), text.OrDash(s.Verdict), s.Key}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// exportFlags are the flags of a command that exports sessions.
type exportFlags struct{ checkpoint, file string }

func (e *exportFlags) define(f *pflag.FlagSet) {
	f.StringVar(&e.checkpoint, "checkpoint", "", "`file` that stores the progress, so that the next run continues where this run stops")
	f.StringVar(&e.file, "output-file", "", "`file` for the sessions in the format of -o; with --checkpoint, the next run appends to it")
}

func (e *exportFlags) check(output string) error {
	if e.file != "" && e.checkpoint == "" && output != "jsonl" && output != formatCSV {
		return errors.New("--output-file needs -o jsonl, or -o csv with sessions search: add one of them")
	}
	if e.checkpoint != "" && output != "jsonl" {
		return errors.New("--checkpoint needs -o jsonl: add it")
	}
	if e.checkpoint != "" && e.checkpoint == e.file {
		return errors.New("--checkpoint and --output-file need two files: give two different names")
	}
	return nil
}

func (a *app) searchCommand() *cobra.Command {
	var q queryFlags
	var e exportFlags
	var limit int
	var sort string
	var order audit.Sort
	var fields []string
	var noSnapshot bool
	var wait time.Duration
	return a.command(spec{
		use: "search", short: "Search for recorded sessions",
		long: `Search for recorded sessions. -o jsonl prints each session on its own line as soon as it
arrives, as the appliance sent it. If several appliances are named, each line is an object
with the members "appliance" and "item", and "item" is the session. -o json keeps the
sessions in memory until the end, so use -o jsonl for many sessions.

-o csv prints CSV with a header line. The columns are the key and the fields of --field. It
works on one appliance, and excludes --checkpoint and --limit. With --output-file, the file
gets its name when the CSV is complete. Be careful with spreadsheets: they treat a text that
starts with an equals sign as a formula, and a user name may be such a text.

With --checkpoint, each run prints the sessions that have ended since the previous run. If
--output-file is given as well, each session is written to the file exactly once, even if a
run crashes and is repeated. Without --output-file, a session may be printed again after a
crash. A checkpoint belongs to one appliance and one query.`,
		examples: []string{
			"sps --host sps1.example.com sessions search --since 24h --protocol SSH",
			"sps --host sps1.example.com -o jsonl sessions search --checkpoint sessions.checkpoint --output-file sessions.jsonl",
			"sps --host sps1.example.com -o csv sessions search --since 30d --field start_time,user.name,verdict",
		},
		stream: true, csv: true, data: sessionsData{},
		flags: func(f *pflag.FlagSet) {
			q.define(f)
			q.defineTimes(f)
			e.define(f)
			f.IntVar(&limit, "limit", 0, "maximum `number` of sessions; 0 means all, which is the default")
			f.StringVar(&sort, "sort", "", "`field` to sort by; a - at its start sorts in descending order")
			f.StringSliceVar(&fields, "field", nil, "`name` of a field to return; separate several names with commas (default all fields)")
			f.BoolVar(&noSnapshot, "no-snapshot", false, "search without a snapshot, and leave the one snapshot of the appliance to other searches")
			days.Var(f, &wait, "snapshot-wait", 0, "longest `duration` to wait while another search uses the snapshot (default no wait)")
		},
		check: func([]string) error {
			if limit < 0 {
				return errors.New("--limit must not be negative: leave it out for all sessions")
			}
			if e.checkpoint != "" && (q.until != "" || sort != "" || limit > 0 || len(fields) > 0) {
				return errors.New("--checkpoint excludes --until, --sort, --limit and --field: leave these out")
			}
			order.Field, order.Descending = strings.CutPrefix(sort, "-")
			if sort != "" && strings.Trim(order.Field, "+-") != order.Field || sort == "-" {
				return fmt.Errorf("--sort %q is not the name of a field with at most one - at its start: give a name such as start_time", sort)
			}
			if a.output == formatCSV {
				if err := checkCSV(fields, limit, &e); err != nil {
					return err
				}
			}
			return errors.Join(
				q.check(a), e.check(a.output),
				inFlag("sort", audit.Query{Sort: order}.Validate()), inFlag("field", audit.Query{Fields: fields}.Validate()),
			)
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			if e.checkpoint != "" {
				r, err := j.follow(ctx, &q, &e, sps.WithOnce())
				return r, q.inFlags(err)
			}
			query := q.audit()
			query.Fields, query.Sort = fields, order
			var options []sps.SearchOption
			if noSnapshot {
				options = append(options, sps.WithoutSnapshot())
			}
			if wait > 0 {
				options = append(options, sps.WithSnapshotWait(wait))
			}
			if j.output == formatCSV {
				r, err := j.csv(ctx, query, e.file, options)
				return r, q.inFlags(err)
			}
			r, err := j.search(ctx, query, limit, e.file, options)
			return r, q.inFlags(err)
		},
	})
}

// search prints the sessions that a query finds, or writes them to a file.
func (j *job) search(ctx context.Context, query audit.Query, limit int, file string, options []sps.SearchOption) (out.Report, error) {
	list := j.newItems(sessionColumns, sessionWidths)
	var o *lines.Output
	if file != "" {
		opened, err := lines.Open(file, "", nil)
		if err != nil {
			return out.Report{}, err
		}
		o = opened
	}
	missing := slices.Clone(query.Fields)
	err := func() error {
		for session, err := range j.client.Audit.Sessions.Search(ctx, query, options...).All() {
			if err != nil {
				return err
			}
			missing = withoutFields(session.Raw, missing)
			if o != nil {
				list.count++
				err = o.Write(session.Raw)
			} else {
				err = list.add(session.Raw, sessionCells(session)...)
			}
			if err != nil || list.count == limit {
				return err
			}
		}
		return nil
	}()
	if len(missing) > 0 && list.count > 0 && err == nil {
		j.warnf("%s: --field: no session in the result has %s: check the name", j.name, strings.Join(missing, ", "))
	}
	if o != nil {
		err = errors.Join(err, o.Flush(), o.Close())
		j.warnf("%s: %d sessions were written to %s", j.name, list.count, file)
		return out.Report{}, err
	}
	return list.report(func() any { return sessionsData{list.all, list.count} }, err)
}

// withoutFields returns the fields, named with dots, that a session does not have.
func withoutFields(session json.RawMessage, fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	var decoded struct {
		Key  any            `json:"key"`
		Body map[string]any `json:"body"`
	}
	if err := json.Unmarshal(session, &decoded); err != nil {
		return nil
	}
	return slices.DeleteFunc(fields, func(field string) bool {
		return field == audit.AllFields || field == "key" || hasField(decoded.Body, field)
	})
}

// hasField reports whether a value has a field that is named with dots. In a list, one element
// must have it.
func hasField(value any, field string) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, func(element any) bool { return hasField(element, field) })
	case map[string]any:
		if _, ok := value[field]; ok {
			return true
		}
		first, rest, _ := strings.Cut(field, ".")
		return rest != "" && hasField(value[first], rest)
	}
	return false
}

func (a *app) followCommand() *cobra.Command {
	var q queryFlags
	var e exportFlags
	var window, every time.Duration
	return a.command(spec{
		use: "follow", short: "Print sessions as they end",
		long: `Print each session after it has ended. The command runs until it is interrupted, and then
its status is 0. It continues after a restart of the appliance. With --checkpoint, the next
run continues where this run stops. If --output-file is given as well, each session is
written to the file exactly once, even if a run crashes and is repeated. Without
--output-file, a session may be printed again after a crash.`,
		examples: []string{
			"sps --host sps1.example.com -o jsonl sessions follow --checkpoint sessions.checkpoint --output-file sessions.jsonl",
			"sps --host sps1.example.com sessions follow --since 1h --protocol RDP",
		},
		stream: true, single: true,
		flags: func(f *pflag.FlagSet) {
			q.define(f)
			e.define(f)
			f.StringVar(&q.since, "since", "", "leave out sessions that ended before this `time`: a date such as 2027-01-31, or a duration before now such as 24h or 7d")
			days.Var(f, &window, "window", 0, "how late a session may arrive; a session that ended more than this `duration` before the newest session is not printed (default 15m)")
			days.Var(f, &every, "every", 0, "`duration` between two polls (default 1m)")
		},
		check: func([]string) error {
			if a.output == "json" {
				return errors.New("sessions follow does not support -o json: use table or jsonl")
			}
			return errors.Join(q.check(a), e.check(a.output))
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			options := []sps.FollowOption{sps.WithErrorFunc(func(err error) { j.warnf("%s: %s; the next poll tries again", j.name, message(err)) })}
			if window > 0 {
				options = append(options, sps.WithWindow(window))
			}
			if every == 0 {
				every = j.Poll
			}
			if every > 0 {
				options = append(options, sps.WithPollInterval(every))
			}
			r, err := j.follow(ctx, &q, &e, options...)
			if err != nil && errors.Is(context.Cause(ctx), context.Canceled) && errors.Is(err, context.Canceled) {
				err = nil // an interrupt ends the command with the status 0
			}
			return r, q.inFlags(err)
		},
	})
}

// follow prints sessions as they end, and saves its checkpoint after each page.
func (j *job) follow(ctx context.Context, q *queryFlags, e *exportFlags, options ...sps.FollowOption) (r out.Report, err error) {
	if !q.start.IsZero() {
		options = append(options, sps.WithSince(q.start))
	}
	name := e.checkpoint
	if j.several && name != "" {
		return r, usagef("--checkpoint belongs to one appliance, and several are named: name one")
	}
	o, err := lines.Open(e.file, name, j.Stdout)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	follow, err := j.client.Audit.Sessions.Follow(ctx, audit.Query{Filter: q.filter}, append(options, sps.WithCheckpoint(o.Checkpoint()))...)
	if err != nil {
		return r, err
	}
	if e.file != "" { // so that the file has a checkpoint even if the tool crashes before the first page
		if err = o.Save(follow.Checkpoint()); err != nil {
			return r, err
		}
	}
	list := j.newItems(sessionColumns, sessionWidths)
	for session, failed := range follow.All() {
		if failed != nil {
			err = failed
			break
		}
		if j.output == "jsonl" {
			list.count++
			err = o.Write([]byte(out.Escape(string(session.Raw))))
		} else {
			err = list.add(session.Raw, sessionCells(session)...)
		}
		if err == nil && follow.EndOfPage() {
			err = o.Save(follow.Checkpoint())
		}
		if err != nil {
			return r, err
		}
	}
	if err == nil && name != "" { // the run has ended without an error
		err = o.Save(follow.Checkpoint())
	}
	if e.file != "" {
		j.warnf("%s: %d sessions were written to %s", j.name, list.count, e.file)
	}
	return r, err
}

func (a *app) sessionCommand() *cobra.Command {
	return a.command(spec{
		use: "show KEY", short: "Show one session",
		long:     "Show the JSON that the appliance returns for one session, and the address of the session in the web interface.",
		examples: []string{"sps --host sps1.example.com sessions show " + exampleSession, "sps --host sps1.example.com -o yaml sessions show " + exampleSession},
		args:     cobra.ExactArgs(1),
		run: func(ctx context.Context, j *job) (out.Report, error) {
			s, err := j.client.Audit.Sessions.Get(ctx, j.args[0])
			if err != nil {
				return out.Report{}, err
			}
			encoded, err := out.Encode(s.Raw, "", "  ")
			return out.Report{Data: s.Raw, Text: string(encoded) + "in the web interface: " + text.Line(j.client.Audit.Sessions.WebAddress(s.Key)) + "\n"}, err
		},
	})
}

// exampleSession is the key of a session in the examples of the help.
const exampleSession = "4OfOYts3hmQIkm39eNcS6d"

func (a *app) countCommand() *cobra.Command {
	var q queryFlags
	return a.command(spec{
		use: "count", short: "Count sessions",
		long:     "Count the sessions that \"sps sessions search\" finds with the same flags.",
		examples: []string{"sps --hosts hosts.txt sessions count --since 24h", "sps --host sps1.example.com sessions count --verdict ACCEPT"},
		flags: func(f *pflag.FlagSet) {
			q.define(f)
			q.defineTimes(f)
		},
		check:   func([]string) error { return q.check(a) },
		columns: []string{"SESSIONS"}, data: countData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			n, err := j.client.Audit.Sessions.Count(ctx, q.audit())
			if err != nil {
				return out.Report{}, q.inFlags(err)
			}
			return out.Report{Columns: []string{"SESSIONS"}, Rows: []out.Row{{Cells: []string{fmt.Sprint(n)}}}, Data: countData{n}}, nil
		},
	})
}

type countData struct {
	Count int `json:"count"`
}

type talliesData struct {
	Values []tallyData `json:"values"`
}

type sessionsData struct {
	Sessions []json.RawMessage `json:"sessions"`
	Count    int               `json:"count"`
}

type eventsData struct {
	Events []json.RawMessage `json:"events"`
	Count  int               `json:"count"`
}

type downloadData struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

type tallyData struct {
	Value string      `json:"value"`
	Count int64       `json:"count"`
	Below []tallyData `json:"below,omitempty"`
}

func tallies(list []audit.Tally) []tallyData {
	all := []tallyData{}
	for _, t := range list {
		d := tallyData{Value: t.Value, Count: t.Count}
		if t.Below != nil {
			d.Below = tallies(t.Below)
		}
		all = append(all, d)
	}
	return all
}

// barLength is the length of the longest bar.
const barLength = 40

// talliesReport returns a table with a bar in each row.
func talliesReport(label string, list []audit.Tally) out.Report {
	r := out.Report{Columns: []string{label, "SESSIONS", ""}, Data: talliesData{tallies(list)}}
	most := int64(1)
	for _, t := range list {
		most = max(most, t.Count)
	}
	for _, t := range list {
		row := out.Row{Cells: []string{text.OrDash(t.Value), fmt.Sprint(t.Count), strings.Repeat("#", int(t.Count*barLength/most))}}
		for _, below := range t.Below {
			row.Below += text.Line(fmt.Sprintf("%s  %d", below.Value, below.Count)) + "\n"
		}
		r.Rows = append(r.Rows, row)
	}
	if len(list) == 0 {
		r.Text = "None.\n"
	}
	return r
}

func (a *app) statsCommand() *cobra.Command {
	var q queryFlags
	var s audit.StatsQuery
	return a.command(spec{
		use: "stats", short: "Count sessions by the value of a field",
		long:     "Count the sessions for each value of a field.",
		examples: []string{"sps --host sps1.example.com sessions stats --field protocol", "sps --host sps1.example.com sessions stats --field verdict --sub-field protocol"},
		data:     talliesData{},
		flags: func(f *pflag.FlagSet) {
			q.define(f)
			f.StringVar(&s.Field, "field", "", "`name` of the field; required")
			f.StringVar(&s.SubField, "sub-field", "", "`name` of a second field, whose values are counted for each value of the first field")
			f.IntVar(&s.Size, "size", 0, "maximum `number` of values, the most frequent first (default: the appliance chooses)")
		},
		check: func([]string) error {
			if s.Field == "" {
				return errors.New("--field is missing: give the name of a field, such as protocol")
			}
			err := q.check(a)
			s.Filter = q.filter
			return errors.Join(
				err, inFlag("field", audit.StatsQuery{Field: s.Field}.Validate()),
				inFlag("sub-field", audit.StatsQuery{Field: audit.FieldProtocol, SubField: s.SubField}.Validate()),
				inFlag("size", audit.StatsQuery{Field: audit.FieldProtocol, Size: s.Size}.Validate()),
			)
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			t, err := j.client.Audit.Sessions.Stats(ctx, s)
			if err != nil {
				return out.Report{}, q.inFlags(err)
			}
			return talliesReport(strings.ToUpper(s.Field), t.All), nil
		},
	})
}

func (a *app) histogramCommand() *cobra.Command {
	var q queryFlags
	h := audit.HistogramQuery{}
	return a.command(spec{
		use: "histogram", short: "Count sessions over time",
		long:     "Count the sessions in each interval of time, and draw a bar for each interval.",
		examples: []string{"sps --host sps1.example.com sessions histogram", "sps --host sps1.example.com -o json sessions histogram --bin hour --protocol SSH"},
		data:     talliesData{},
		flags: func(f *pflag.FlagSet) {
			q.define(f)
			f.StringVar(&h.Field, "field", audit.FieldStartTime, "`name` of the field with the time to count by")
			f.StringVar(&h.BinSize, "bin", audit.BinHour, "`length` of an interval, such as hour")
		},
		check: func([]string) error {
			err := q.check(a)
			h.Filter = q.filter
			return errors.Join(
				err, inFlag("field", audit.HistogramQuery{Field: h.Field}.Validate()),
				inFlag("bin", audit.HistogramQuery{Field: audit.FieldStartTime, BinSize: h.BinSize}.Validate()),
			)
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			t, err := j.client.Audit.Sessions.Histogram(ctx, h)
			if err != nil {
				return out.Report{}, q.inFlags(err)
			}
			return talliesReport("FROM", t.All), nil
		},
	})
}

func (a *app) eventsCommand() *cobra.Command {
	var content string
	var alerts bool
	return a.command(spec{
		use: "events KEY", short: "Show what a user did in a session",
		long:     "Show the commands and the window titles of a session. The appliance returns the commands and titles that it has indexed.",
		examples: []string{"sps --host sps1.example.com sessions events " + exampleSession, "sps --host sps1.example.com -o jsonl sessions events " + exampleSession},
		args:     cobra.ExactArgs(1), stream: true, data: eventsData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&content, "content", "", "show the events that match this `filter` in the query language of the appliance")
			f.BoolVar(&alerts, "alerts", false, "show the events that a content policy matched")
		},
		check: func([]string) error {
			if alerts && content != "" {
				return errors.New("--alerts excludes --content: give one of them")
			}
			return nil
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			sessions := j.client.Audit.Sessions
			switch {
			case alerts:
				return printEvents(j, sessions.Alerts(ctx, j.args[0]), func(e *audit.Alert) (json.RawMessage, []string) {
					return e.Raw, []string{timeText(e.Time), text.OrDash(e.AlertType), e.MatchedContent}
				})
			case content != "":
				return printEvents(j, sessions.Content(ctx, j.args[0], content), eventCells)
			}
			return printEvents(j, sessions.Events(ctx, j.args[0]), eventCells)
		},
	})
}

func eventCells(e *audit.Event) (json.RawMessage, []string) {
	return e.Raw, []string{timeText(e.Time), text.OrDash(e.Type), e.Content}
}

// printEvents prints the events of a session as they arrive.
func printEvents[E any](j *job, events iter.Seq2[*E, error], cells func(*E) (json.RawMessage, []string)) (out.Report, error) {
	list := j.newItems([]string{"TIME", "TYPE", "CONTENT"}, []int{19, 12, 0})
	for event, err := range events {
		if err != nil {
			return list.report(func() any { return eventsData{list.all, list.count} }, err)
		}
		raw, row := cells(event)
		if err := list.add(raw, row...); err != nil {
			return out.Report{}, err
		}
	}
	return list.report(func() any { return eventsData{list.all, list.count} }, nil)
}

func (a *app) downloadCommand() *cobra.Command {
	format := sps.TrailZAT
	return a.command(spec{
		use: "download KEY FILE", short: "Download the recording of a session",
		long:     "Download the recording of a session into a new file. The file gets its name when the download is complete.",
		examples: []string{"sps --host sps1.example.com sessions download " + exampleSession + " session.zat", "sps --host sps1.example.com sessions download " + exampleSession + " session.srs --format srs"},
		args:     cobra.ExactArgs(2), valid: files, single: true, data: downloadData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&format, "format", sps.TrailZAT, "`format` of the recording: zat, or srs for a session that has not ended")
		},
		check: func(args []string) error {
			if format != sps.TrailZAT && format != sps.TrailSRS {
				return fmt.Errorf("--format %q is neither zat nor srs: give one of these", format)
			}
			return freeName(args[1])
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			b := j.newBar()
			defer b.end()
			size, err := download(j.args[1], func(w io.Writer) (int64, error) {
				return j.client.Audit.Sessions.DownloadTrail(ctx, j.args[0], w, sps.WithTrailFormat(format), sps.WithProgress(b.report("downloading")))
			})
			if errors.Is(err, sps.ResourceNotFound) {
				err = &advisedError{
					fmt.Sprintf("sessions download: the session %s does not exist, or has no recording in the format %s", text.Line(j.args[0]), format),
					"check the key: \"sps sessions search\" lists the keys, and \"sps sessions show KEY\" shows a session", err,
				}
			}
			if err != nil {
				return out.Report{}, err
			}
			r := said("%s contains the recording (%d bytes)", j.args[1], size)
			r.Data = downloadData{j.args[1], size}
			return r, nil
		},
	})
}
