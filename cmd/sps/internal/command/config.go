package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/diff"
	"github.com/go-sps/sps/cmd/sps/internal/export"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) configCommands() *cobra.Command {
	return group("config", "Export, compare, read and write the configuration",
		a.exportCommand(), a.diffCommand(), a.configGetCommand(), a.configSetCommand())
}

type exportData struct {
	Folder  string        `json:"folder"`
	Objects int           `json:"objects"`
	Changed bool          `json:"changed_meanwhile"`
	Refused []refusalData `json:"refused"`
}

type refusalData struct {
	Path       string `json:"path"`
	Key        string `json:"key"`
	Error      string `json:"error"`
	Documented bool   `json:"documented"`
}

func (a *app) exportCommand() *cobra.Command {
	root, replace := export.Configuration, false
	return a.command(spec{
		use: "export FOLDER", short: "Export the configuration into a folder",
		long: `Export the configuration into a folder of JSON files, one file for each object. "sps config
diff" compares exports. FOLDER must not exist. With --replace, FOLDER may also be an earlier
export, which the command replaces. Until the export is complete, the folder has a temporary
name. If several appliances are named, each has its own folder below FOLDER, with the name
of the appliance. In this name, each character other than A to Z, a to z, 0 to 9, "." and "-"
becomes "_": the folder of sps1.example.com:8443 is sps1.example.com_8443.

The API does not return passwords and private keys, so the export does not contain them. The
export may contain other secrets, so its files have the mode 0600. If another part cannot be
read, the folder contains the rest, and the status is 2.`,
		examples: []string{
			"sps --host sps1.example.com config export monday",
			"sps --host sps1.example.com config export monday --root configuration/management",
		},
		args: cobra.ExactArgs(1), valid: files, data: exportData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&root, "root", export.Configuration, "`path` of the part to export")
			f.BoolVar(&replace, "replace", false, "replace an earlier export in FOLDER")
		},
		check: func([]string) (err error) {
			if root, err = export.CheckRoot(root); err != nil {
				err = fmt.Errorf("--root: %w", err)
			}
			return err
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			target := j.args[0]
			if j.several {
				target = filepath.Join(target, folderName(j.name))
			}
			return j.export(ctx, target, root, replace)
		},
	})
}

// folderName returns a name for a folder from the name of an appliance.
func folderName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, name)
}

// export writes the configuration below root into a folder.
func (j *job) export(ctx context.Context, target, root string, replace bool) (out.Report, error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return out.Report{}, fmt.Errorf("config export: %w: name a folder that you can write to", err)
	}
	folder, err := export.Create(target, replace)
	if err != nil {
		return out.Report{}, fmt.Errorf("config export: %w", err)
	}
	e, err := j.read(ctx, root)
	if err == nil {
		err = folder.Write(ctx, e)
	}
	if err == nil {
		err = folder.Commit()
	}
	if err != nil {
		return out.Report{}, errors.Join(err, folder.Discard())
	}
	refused := []refusalData{}
	missing := 0
	for _, r := range e.Refused {
		refused = append(refused, refusalData{r.Path, r.Key, r.Error, r.Documented})
		if !r.Documented {
			missing++
		}
	}
	r := said("%s has %d objects of %s", target, len(e.Objects), e.Label())
	if e.Changed {
		r.Text += "note: the configuration was changed while it was read, so its parts may be inconsistent: export again\n"
	}
	r.Data = exportData{target, len(e.Objects), e.Changed, refused}
	if missing > 0 {
		for _, one := range refused {
			if !one.Documented {
				r.Text += text.Line("not read: "+strings.TrimSpace(one.Path+" "+one.Key)+": "+one.Error) + "\n"
			}
		}
		return r, fmt.Errorf("config export: %d parts could not be read, and are missing in %s: check the rights of the user, or export a part with --root", missing, target)
	}
	return r, nil
}

// read reads the configuration of the appliance.
func (j *job) read(ctx context.Context, root string) (*export.Export, error) {
	b := j.newBar()
	defer b.end()
	e, err := export.Read(ctx, j.client, root, func(path string) { b.say(false, j.name+": reading "+path) })
	if err == nil {
		e.Name = j.name
	}
	return e, err
}

func (a *app) diffCommand() *cobra.Command {
	var o diff.Options
	d := &differ{app: a, options: &o}
	return a.command(spec{
		use: "diff [FOLDER [FOLDER]]", short: "Compare configurations",
		long: `With two folders, compare these two exports. With one folder, compare the export with each
appliance that is named. Without a folder, compare the first appliance with each of the
other appliances. The status is 1 if there is a difference, and 2 if a part could not be
compared.

Two objects are compared if they have the same path. The path of an object in a list ends
with its key, and each appliance chooses its own keys. To compare two appliances, use
--by-name: it compares two objects of a list if they have the same name. References to other
objects are compared by key, or with --by-name by the object to which they refer. If a value
may be secret, the output shows that it differs, but not the value.`,
		examples: []string{
			"sps config diff monday friday",
			"sps --host sps1.example.com -o jsonl config diff monday --exclude configuration/datetime",
		},
		args: cobra.MaximumNArgs(2), valid: files, data: diffData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&o.Root, "root", "", "`path` of the part to compare")
			f.StringArrayVar(&o.Exclude, "exclude", nil, "`path` to leave out, with the objects below it; may be repeated")
			f.BoolVar(&o.ByName, "by-name", false, "match the objects of a list by name instead of by key")
			f.BoolVar(&o.IgnoreOrder, "ignore-order", false, "ignore the order of lists")
			f.BoolVar(&o.ShowSecrets, "show-secrets", false, "show values that may be secret")
		},
		offline: func(args []string) bool { return len(args) == 2 },
		check:   d.check,
		plan:    d.plan,
		run:     d.run,
	})
}

// differ runs "sps config diff".
type differ struct {
	*app
	options *diff.Options
	left    *export.Export                 // the export of the first folder, if there is one
	first   func() (*export.Export, error) // reads the first appliance, if it is the left side
	target  *conn.Target                   // the first appliance, if it is the left side
}

func (d *differ) check(args []string) (err error) {
	if d.options.Root != "" {
		if d.options.Root, err = export.CheckRoot(d.options.Root); err != nil {
			return fmt.Errorf("--root: %w", err)
		}
	}
	for i, path := range d.options.Exclude {
		if d.options.Exclude[i], err = export.CheckRoot(path); err != nil {
			return fmt.Errorf("--exclude: %w", err)
		}
	}
	if len(args) > 0 {
		if d.left, err = export.Load(args[0]); err != nil {
			err = fmt.Errorf("config diff: %w", err)
		}
	}
	return err
}

// plan prepares the comparison with the first appliance, if there is no folder.
func (d *differ) plan(ctx context.Context, targets []*conn.Target) error {
	if d.left != nil {
		return nil
	}
	if len(targets) < 2 {
		return usagef("config diff has nothing to compare: name two folders, a folder and an appliance, or two appliances")
	}
	d.target = targets[0]
	d.first = sync.OnceValues(func() (*export.Export, error) {
		client, err := d.connect(ctx, d.target)
		if err != nil {
			return nil, err
		}
		defer client.Close(ctx)
		return (&job{app: d.app, client: client, name: text.Line(d.target.Name)}).read(ctx, d.root())
	})
	return nil
}

// root returns the path to read and compare.
func (d *differ) root() string {
	switch {
	case d.options.Root != "":
		return d.options.Root
	case d.left != nil:
		return d.left.Root
	}
	return export.Configuration
}

func (d *differ) run(ctx context.Context, j *job) (out.Report, error) {
	left := d.left
	var right *export.Export
	var err error
	switch {
	case len(j.args) == 2:
		if right, err = export.Load(j.args[1]); err != nil {
			err = fmt.Errorf("config diff: %w", err)
		}
	case d.first != nil:
		left, err = d.first()
		if err != nil || j.target == d.target {
			r := said("the other appliances are compared with %s", j.name)
			r.Data = diffData{Differences: []diff.Difference{}, Unread: []string{}, Problems: []string{}}
			return r, err
		}
		right, err = j.read(ctx, d.root())
	default:
		right, err = j.read(ctx, d.root())
	}
	if err != nil {
		return out.Report{}, err
	}
	result, err := diff.Compare([2]*export.Export{left, right}, *d.options)
	if err != nil {
		return out.Report{}, err
	}
	for _, path := range result.Unmatched {
		j.warnf("%s: --exclude %s matches no object, so it has no effect: check the path", j.name, path)
	}
	return diffReport(left, right, result, j.args)
}

type diffData struct {
	Left        string            `json:"left"`
	Right       string            `json:"right"`
	Differences []diff.Difference `json:"differences"`
	Unread      []string          `json:"unread"`
	Unresolved  int               `json:"unresolved"`
	Problems    []string          `json:"problems"`
}

// diffReport returns the report of a comparison. Folders are the folders with the exports, if there
// are any.
func diffReport(left, right *export.Export, result *diff.Result, folders []string) (out.Report, error) {
	r := out.Report{No: len(result.Differences) > 0, Data: diffData{
		left.Label(), right.Label(), append([]diff.Difference{}, result.Differences...), append([]string{}, result.Unread...),
		result.Unresolved, append([]string{}, result.Problems...),
	}}
	var b strings.Builder
	for _, d := range result.Differences {
		b.WriteString(text.Line(d.String()) + "\n")
	}
	c := out.Case{Name: "configuration", Status: out.Passed, Text: b.String()}
	number := fmt.Sprintf("%d differences", len(result.Differences))
	switch len(result.Differences) {
	case 0:
		number = "No difference"
	case 1:
		number = "1 difference"
	}
	b.WriteString(number + ".\n")
	if r.No {
		names := []string{left.Label(), right.Label()}
		for i, folder := range folders {
			names[i] = fmt.Sprintf("%s (%s)", folder, names[i])
		}
		c.Status, c.Type, c.Message = out.Failure, "Different", text.Line(fmt.Sprintf("%s between %s and %s", number, names[0], names[1]))
	}
	if len(result.Unread) > 0 {
		fmt.Fprintf(&b, "Not compared, because the API does not return these objects: %s.\n", text.Line(strings.Join(result.Unread, ", ")))
	}
	if result.Unresolved > 0 {
		fmt.Fprintf(&b, "Not compared: %d references to objects that are in neither configuration.\n", result.Unresolved)
	}
	for _, problem := range result.Problems {
		b.WriteString("note: " + text.Line(problem) + "\n")
	}
	r.Text, r.Cases = b.String(), []out.Case{c}
	if result.Incomplete {
		return r, errors.New("config diff: some parts could not be compared: " + text.Line(strings.Join(result.Problems, "; ")) + ": check the rights of the user, or leave the parts out with --exclude")
	}
	return r, nil
}

func (a *app) configGetCommand() *cobra.Command {
	return a.command(spec{
		use: "get PATH", short: "Read a part of the configuration",
		long: `Read an object of the configuration, or the entries of a list. PATH is the path in the API,
with or without "configuration/" at its start. The output is the "body" or the "items" of the
response.`,
		examples: []string{
			"sps --host sps1.example.com config get management/email",
			"sps --hosts hosts.txt -o jsonl config get datetime/timezone",
		},
		args: cobra.ExactArgs(1),
		check: func(args []string) (err error) {
			args[0], err = configPath(args[0])
			return err
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			response, err := j.client.Invoke(ctx, "GET", j.args[0], nil)
			if err != nil {
				return out.Report{}, err
			}
			var answer struct {
				Body  json.RawMessage `json:"body"`
				Items json.RawMessage `json:"items"`
			}
			if err := json.Unmarshal(response.Body, &answer); err != nil {
				return out.Report{}, fmt.Errorf("config get %s: %w: %w", j.args[0], sps.ErrBadAnswer, err)
			}
			value := answer.Body
			if value == nil {
				value = answer.Items
			}
			if value == nil {
				value = json.RawMessage("null")
			}
			encoded, err := out.Encode(value, "", "  ")
			return out.Report{Data: value, Text: string(encoded)}, err
		},
	})
}

// configPath returns the path of an object, with "configuration/" at its start.
func configPath(path string) (string, error) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/"), "api/")
	if !export.Within(path, export.Configuration) {
		path = export.Configuration + "/" + path
	}
	return export.CheckRoot(path)
}

func (a *app) configSetCommand() *cobra.Command {
	var file string
	var body []byte
	var members []member
	return a.command(spec{
		use: "set PATH [MEMBER=VALUE...]", short: "Change a part of the configuration",
		long: `Change members of an object of the configuration, in a transaction. Members that are not
named keep their values. A MEMBER inside another member is named with slashes:
smtp_server/value. If VALUE is valid JSON, it is sent as JSON; otherwise it is sent as a
string. With --data, the command replaces the whole object instead. Put secrets into a file for
--data, because other users of this machine can see command lines.`,
		examples: []string{
			"sps --host sps1.example.com config set management/email alerting_address=soc@example.com --message CHG-1234",
			"sps --host sps1.example.com config set datetime/timezone --data timezone.json --dry-run",
		},
		args: cobra.MinimumNArgs(1), single: true, change: true, commit: true, data: changesData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&file, "data", "d", "", "`file` with the JSON of the whole object; - reads standard input")
		},
		check: func(args []string) (err error) {
			if args[0], err = configPath(args[0]); err != nil {
				return err
			}
			if (file == "") == (len(args) == 1) {
				return errors.New("config set needs the new values: give either MEMBER=VALUE or --data")
			}
			for _, arg := range args[1:] {
				m, err := parseMember(arg)
				if err != nil {
					return err
				}
				members = append(members, m)
			}
			body, err = a.readData(file)
			return err
		},
		run: func(ctx context.Context, j *job) (out.Report, error) { return j.configSet(ctx, body, members) },
	})
}

type changesData struct {
	Changes []string `json:"changes"`
	DryRun  bool     `json:"dry_run"`
}

type member struct {
	steps []string
	value any
}

func parseMember(arg string) (member, error) {
	path, value, ok := strings.Cut(arg, "=")
	if !ok || path == "" {
		return member{}, fmt.Errorf("%q does not have the form MEMBER=VALUE", arg)
	}
	m := member{steps: strings.Split(path, "/"), value: value}
	if decoded, err := decodeJSON([]byte(value)); err == nil {
		m.value = decoded
	}
	return m, nil
}

func decodeJSON(data []byte) (value any, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is more text after the JSON value")
	}
	return value, nil
}

// configSet changes an object, and reports the changes that the appliance lists.
func (j *job) configSet(ctx context.Context, body []byte, members []member) (out.Report, error) {
	object := sps.NewSingleton[json.RawMessage](j.client, j.args[0])
	change := func(ctx context.Context, tx *sps.Transaction) error {
		return object.In(tx).Update(ctx, func(value *json.RawMessage) error {
			if body != nil {
				*value = body
				return nil
			}
			decoded, err := decodeJSON(*value)
			if err != nil {
				return err
			}
			for _, m := range members {
				if decoded, err = setMember(decoded, m.steps, m.value); err != nil {
					return usagef("%s: %w", strings.Join(m.steps, "/"), err)
				}
			}
			*value, err = json.Marshal(decoded)
			return err
		})
	}
	var changes []sps.Change
	var err error
	note := ""
	if j.dryRun {
		changes, err = j.client.Preview(ctx, change, j.options()...)
	} else {
		var committed sps.CommittedChanges
		err = j.client.Transaction(ctx, change, append(j.options(), sps.WithChanges(&committed))...)
		if changes = committed.Changes; committed.Err != nil {
			note = "note: the change was committed, but the list of changes could not be read: " + message(committed.Err) + "\n"
		}
	}
	if err != nil {
		return out.Report{}, fmt.Errorf("config set %s: %w", j.args[0], err)
	}
	lines := []string{}
	for _, c := range changes {
		lines = append(lines, text.Line(c.String()))
	}
	r := j.changed(lines, changesData{lines, j.dryRun})
	if note != "" {
		r.Text = note
	}
	return r, nil
}

// setMember sets a member of a value, and returns the value. The member must exist.
func setMember(value any, steps []string, to any) (any, error) {
	if len(steps) == 0 {
		return to, nil
	}
	switch value := value.(type) {
	case map[string]any:
		below, ok := value[steps[0]]
		switch {
		case !ok && len(value) == 0:
			return nil, fmt.Errorf("there is no member %q, because the object has no members: replace the whole object with --data", steps[0])
		case !ok:
			return nil, fmt.Errorf("there is no member %q: use one of %s", steps[0], strings.Join(slices.Sorted(maps.Keys(value)), ", "))
		}
		set, err := setMember(below, steps[1:], to)
		value[steps[0]] = set
		return value, err
	case []any:
		i, err := strconv.Atoi(steps[0])
		switch {
		case len(value) == 0:
			return nil, fmt.Errorf("there is no element %q, because the list is empty: replace the whole object with --data", steps[0])
		case err != nil || i < 0 || i >= len(value):
			return nil, fmt.Errorf("there is no element %q in the list: use a position from 0 to %d", steps[0], len(value)-1)
		}
		value[i], err = setMember(value[i], steps[1:], to)
		return value, err
	}
	return nil, fmt.Errorf("there is no member %q, because the value above it is not an object: replace the whole object with --data", steps[0])
}
