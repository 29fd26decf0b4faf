package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// docsCommand writes the reference and the man pages, for the repository and for packages.
func (a *app) docsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "docs", Hidden: true, Short: "Write the reference of the commands",
		Long:    "Write the reference of the commands in Markdown, or man pages into a folder.",
		Example: "  sps docs markdown\n  sps docs man man1",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case args[0] == "markdown" && len(args) == 1:
				_, err := fmt.Fprint(a.Stdout, reference(c.Root()))
				return err
			case args[0] == "man" && len(args) == 2:
				return writeManPages(c.Root(), args[1])
			}
			return usageError{errors.New("use docs markdown, or docs man FOLDER")}
		},
	}
	return c
}

// page is what the reference and the man page of a command are made of.
type page struct {
	name, short, long, usage string
	examples                 []string
	flags                    []flagLine
	below                    []*cobra.Command
	data                     string // the members of the data, as JSON
}

// dataAnnotation is where a command keeps the form of its data.
const dataAnnotation = "data"

// skeleton shows the members of data: empty texts, zeros, and lists of one. It is "" for
// what the appliance sends.
func skeleton(data any) string {
	if data == nil {
		return ""
	}
	text, err := out.Encode(filled(reflect.TypeOf(data), 0), "", "  ")
	if err != nil {
		panic(err) // the types are fixed
	}
	return strings.TrimSuffix(string(text), "\n")
}

// filled is a value of a type with something in each list and behind each pointer.
func filled(t reflect.Type, depth int) any {
	if t == reflect.TypeFor[json.RawMessage]() {
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return filled(t.Elem(), depth)
	case reflect.Slice:
		if depth > 8 { // a type that has itself in it
			return []any{}
		}
		return []any{filled(t.Elem(), depth+4)}
	case reflect.Map:
		return map[string]any{"…": filled(t.Elem(), depth+1)}
	case reflect.Struct:
		members := members{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "-" {
				members = append(members, memberOf{name, filled(t.Field(i).Type, depth)})
			}
		}
		return members
	}
	return reflect.Zero(t).Interface()
}

// members are those of an object, in their order.
type members []memberOf

type memberOf struct {
	name  string
	value any
}

// MarshalJSON keeps the order.
func (m members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, member := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(member.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", member.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type flagLine struct{ names, usage string }

// pages are those of all commands, each before those below it.
func pages(c *cobra.Command) (all []page) {
	p := page{data: c.Annotations[dataAnnotation], name: c.CommandPath(), short: c.Short, long: c.Long, usage: c.UseLine()}
	for line := range strings.Lines(c.Example) {
		p.examples = append(p.examples, strings.TrimSpace(line))
	}
	switch {
	case c.Name() == "simulate":
		p.flags = simulateFlags()
	case c.HasParent():
		p.flags = flagLines(c.LocalNonPersistentFlags())
	default:
		p.flags = flagLines(c.PersistentFlags())
	}
	for _, child := range c.Commands() {
		if child.Hidden || child.Name() == "help" {
			continue
		}
		p.below = append(p.below, child)
	}
	all = []page{p}
	for _, child := range p.below {
		all = append(all, pages(child)...)
	}
	return all
}

func flagLines(flags *pflag.FlagSet) (lines []flagLine) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		names := "--" + f.Name
		if f.Shorthand != "" {
			names = "-" + f.Shorthand + ", " + names
		}
		if value != "" {
			names += " " + value
		}
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			usage += " (" + f.DefValue + " without it)"
		}
		lines = append(lines, flagLine{names, usage})
	})
	return lines
}

const referenceHead = `# The commands of sps

This page is made from the program: ` + "`go run ./cmd/sps docs markdown > docs/reference/commands.md`" + `.
` + "`sps docs man FOLDER`" + ` writes the same as man pages. The flags of the first command go with all
others.

## The output

` + "`-o json`" + ` is one object, and stays compatible as long as its ` + "`format`" + ` is 1: members may be added.

| member | what it is |
| --- | --- |
| ` + "`format`" + ` | the version of this form, 1 |
| ` + "`command`" + ` | the command, ` + "`sps firmware precheck`" + ` |
| ` + "`results`" + ` | one object for each appliance, in order |
| ` + "`results[].appliance`" + ` | the appliance, as it was named |
| ` + "`results[].status`, `results[].result`" + ` | 0 to 3 as the exit status, and the same as ` + "`done`, `no`, `error`, `unknown`" + ` |
| ` + "`results[].error`" + ` | null, or ` + "`kind`, `type`, `message`, `advice`" + ` |
| ` + "`results[].data`" + ` | what the command found, see each command; null where there is nothing. Without a word about it, it is what the appliance sent |
| ` + "`status`" + ` | the exit status: the highest of the results |

` + "`-o yaml`" + ` is the same in YAML. ` + "`-o jsonl`" + ` has a line for each result, with ` + "`format` and `command`" + ` in
it, as soon as it and those before it are there. ` + "`sessions search`, `follow` and `events`" + ` print each
item as the appliance sent it, in a line of its own; of several appliances as
` + "`{\"appliance\": …, \"item\": …}`" + `. ` + "`-o junit`" + ` is a test suite for each appliance, printed at the end.
Members of the data are in lower case with underscores, and are always there. A list is
never null, times are RFC 3339 in UTC.

## Files

The configuration file is ` + "`sps/config.yaml`" + ` in the folder for configuration of the user:
` + "`~/.config` on Linux, `~/Library/Application Support` on macOS, `%AppData%`" + ` on Windows.
` + "`--config` or `SPS_CONFIG`" + ` name another one. One that holds a password is refused where others may
read it; on Windows its permissions are yours to check.

` + "```yaml" + `
default: lab # the appliance of commands that name none
appliances:
  lab:
    host: sps1.example.com
    username: admin
    fingerprint: 52:2C:8B:F5:… # or ca-bundle: ca.pem
    password-command: vault kv get -field=password secret/sps # or password-file, or password
  prod:
    host: sps2.example.com:8443
    client-cert: me.pem # in place of a user and a password
    client-key: me.key
    login-method: x509
    proxy: true
` + "```" + `

The file of ` + "`--hosts`" + ` has one appliance in each line. Empty lines and what follows a # do not
count; line ends of Windows and a byte order mark are accepted, UTF-16 is not. What is behind
the host is about this appliance alone. File names in it count from the working folder, those
in the configuration file from the folder of that file.

` + "```text" + `
sps1.example.com
sps2.example.com:8443  username=operator  fingerprint=52:2C:8B:F5:…   # its own user and trust
[2001:db8::5]          ca-bundle=other-ca.pem  login-method=local
` + "```" + `
`

// reference is the page of all commands in Markdown.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, p := range pages(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```text\n%s\n```\n", p.name, p.short, p.usage)
		if p.name == "sps" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.TrimSpace(p.long))
		} else if p.long != "" && p.long != p.short+"." {
			fmt.Fprintf(&b, "\n%s\n", p.long)
		}
		if len(p.flags) > 0 {
			b.WriteString("\n| flag | |\n| --- | --- |\n")
			for _, f := range p.flags {
				fmt.Fprintf(&b, "| `%s` | %s |\n", f.names, strings.ReplaceAll(strings.TrimSpace(f.usage), "|", `\|`))
			}
		}
		if p.data != "" {
			fmt.Fprintf(&b, "\nThe data of a result:\n\n```json\n%s\n```\n", p.data)
		}
		if len(p.examples) > 0 {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.Join(p.examples, "\n"))
		}
	}
	return b.String()
}

// manPage is a command as a man page.
func manPage(p page) string {
	escape := strings.NewReplacer(`\`, `\e`, "-", `\-`)
	var b strings.Builder
	paragraph := func(text string) {
		for line := range strings.Lines(text) {
			line = escape.Replace(strings.TrimRight(line, "\n"))
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				line = `\&` + line
			}
			if line == "" {
				line = ".PP"
			}
			b.WriteString(line + "\n")
		}
	}
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"sps %s\"\n.SH NAME\n", strings.ToUpper(strings.ReplaceAll(p.name, " ", "-")), sps.Version)
	paragraph(strings.ReplaceAll(p.name, " ", "-") + " - " + p.short)
	b.WriteString(".SH SYNOPSIS\n.B ")
	paragraph(p.usage)
	b.WriteString(".SH DESCRIPTION\n")
	if p.name == "sps" {
		b.WriteString(".nf\n")
	}
	paragraph(p.long)
	if p.name == "sps" {
		b.WriteString(".fi\n")
	}
	if len(p.flags) > 0 {
		b.WriteString(".SH OPTIONS\n")
		for _, f := range p.flags {
			b.WriteString(".TP\n.B ")
			paragraph(f.names)
			paragraph(f.usage)
		}
	}
	if len(p.examples) > 0 {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		paragraph(strings.Join(p.examples, "\n"))
		b.WriteString(".fi\n")
	}
	b.WriteString(".SH SEE ALSO\n")
	var also []string
	for _, child := range p.below {
		also = append(also, strings.ReplaceAll(child.CommandPath(), " ", "-")+"(1)")
	}
	if len(also) == 0 {
		also = []string{"sps(1)"}
	}
	paragraph(strings.Join(also, ", "))
	return b.String()
}

func writeManPages(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range pages(root) {
		name := filepath.Join(folder, strings.ReplaceAll(p.name, " ", "-")+".1")
		if err := os.WriteFile(name, []byte(manPage(p)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
