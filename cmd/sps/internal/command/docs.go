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

// docsCommand makes the hidden command that writes the reference page and the man pages.
func (a *app) docsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "docs", Hidden: true, Short: "Write the reference of the commands",
		Long:    "Write the reference of the commands to standard output in Markdown, or write man pages into a folder.",
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
			return usageError{errors.New("docs: the arguments are wrong: use docs markdown, or docs man FOLDER")}
		},
	}
	return c
}

// page holds the texts of one command for the reference and for its man page.
type page struct {
	name, short, long, usage string
	examples                 []string
	flags                    []flagLine
	below                    []*cobra.Command
	data                     string // JSON that shows the members of the data
}

// dataAnnotation is the key of the annotation that holds the JSON of skeleton for a command.
const dataAnnotation = "data"

// skeleton returns JSON that shows the members of the type of data: empty strings, zeros, and
// lists with one element. It returns "" if data is nil, which means that the command prints the
// JSON that the appliance sends.
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

// filled returns a value of a type with one element in each list and a value behind each
// pointer.
func filled(t reflect.Type, depth int) any {
	if t == reflect.TypeFor[json.RawMessage]() {
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return filled(t.Elem(), depth)
	case reflect.Slice:
		if depth > 8 { // the type contains itself
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

// members holds the members of a JSON object in their order.
type members []memberOf

type memberOf struct {
	name  string
	value any
}

// MarshalJSON encodes the members as an object and keeps their order.
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

// pages returns the page of a command, followed by the pages of its subcommands. Hidden
// commands are left out.
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
		case "", "false", "0", "0s", "[]": // the usage says what happens without the flag
		default:
			usage += " (default " + f.DefValue + ")"
		}
		lines = append(lines, flagLine{names, usage})
	})
	return lines
}

const referenceHead = `# The commands of sps

This page is generated from the program: ` + "`go run ./cmd/sps docs markdown > docs/reference/commands.md`" + `.
` + "`sps docs man FOLDER`" + ` writes the same commands as man pages.

Except for ` + "`sps simulate`" + `, the commands also accept the flags that the section [sps](#sps) lists. A
` + "`duration`" + ` is a number with a unit, such as ` + "`90s`" + `, ` + "`30m`" + `, ` + "`2h`" + ` or ` + "`7d`" + `. A day
has 24 hours.

## The output

` + "`-o json`" + ` prints one object. It stays compatible while ` + "`format`" + ` is 1; new members may be added.

| Member | Meaning |
| --- | --- |
| ` + "`format`" + ` | the version of this format: 1 |
| ` + "`command`" + ` | the command, for example ` + "`sps firmware precheck`" + ` |
| ` + "`results`" + ` | one object for each appliance: first the appliances of ` + "`--host`" + `, then those of ` + "`--hosts`" + `, then those of ` + "`--appliance`" + ` |
| ` + "`results[].appliance`" + ` | the appliance: the host as you wrote it, or its name in the configuration file. It is ` + "`demo`" + ` with ` + "`--demo`" + `, and ` + "`local`" + ` if two folders are compared |
| ` + "`results[].status`" + ` | the status of this appliance, 0 to 3; [sps](#sps) lists the meanings |
| ` + "`results[].result`" + ` | the same status as a word: ` + "`done`" + ` (0), ` + "`no`" + ` (1), ` + "`error`" + ` (2) or ` + "`unknown`" + ` (3) |
| ` + "`results[].error`" + ` | null, or an object. ` + "`message`" + ` says what went wrong, and ` + "`advice`" + ` what to do. ` + "`kind`" + ` is the [kind of the error](errors.md#kinds): KINDS. ` + "`type`" + ` is the error type that the appliance sent. A member without a value is ` + "`\"\"`" + ` |
| ` + "`results[].data`" + ` | the result of the command, or null if there is none. The members are listed below for each command. If a command lists no members, the data is the JSON that the appliance sent |
| ` + "`status`" + ` | the exit status: the highest status of the results |

` + "`-o yaml`" + ` prints the same object as YAML.

` + "`-o jsonl`" + ` prints a line for each appliance: the object of this appliance in ` + "`results`" + `, with ` + "`format`" + ` and ` + "`command`" + ` added.
The lines have the order of ` + "`results`" + `. A line is printed as soon as its result and all results before it
are known.

` + "`sessions search`" + `, ` + "`sessions follow`" + ` and ` + "`sessions events`" + ` do not print one line for each appliance. With
` + "`-o jsonl`" + ` they print one line for each session or event: the JSON that the appliance sent. If several
appliances are named, each line is an object with two members, ` + "`{\"appliance\": …, \"item\": …}`" + `, and ` + "`item`" + `
is that JSON. These commands do not support ` + "`-o yaml`" + ` and ` + "`-o junit`" + `.

` + "`-o csv`" + ` prints CSV (RFC 4180) with a header line. Only ` + "`sessions search`" + ` supports it. A list of texts is
joined with semicolons. If standard output is a terminal, the characters that could control it are left
out.

` + "`-o junit`" + ` prints JUnit XML with a test suite for each appliance. The output appears at the end of the run.

In data that the tool builds itself, names of members are in lower case with underscores. Members are
present even if they have no value. The exception is ` + "`below`" + ` in the data of ` + "`sessions stats`" + ` and
` + "`sessions histogram`" + `: it is left out if it is empty. An empty list is ` + "`[]`" + `, not null. Times are in UTC,
in the format of RFC 3339.

## Files

The configuration file is ` + "`sps/config.yaml`" + ` in the configuration folder of the user: ` + "`~/.config`" + ` on
Linux, ` + "`~/Library/Application Support`" + ` on macOS, ` + "`%AppData%`" + ` on Windows. ` + "`--config`" + ` or ` + "`SPS_CONFIG`" + ` names
another file. If the file contains a password and other users may read it, the tool refuses to use the
file. On Windows the tool does not check the permissions.

` + "```" + `yaml
default: lab # commands that name no appliance use this one
appliances:
  lab:
    host: sps1.example.com
    username: admin
    fingerprint: 52:2C:8B:F5:… # or ca-bundle: ca.pem
    password-command: vault kv get -field=password secret/sps # or password-file, or password
  prod:
    host: sps2.example.com:8443
    client-cert: me.pem # instead of a user name and a password
    client-key: me.key
    login-method: x509
    proxy: true
` + "```" + `

` + "`default`" + ` is the name of the appliance for commands that name no appliance. ` + "`appliances`" + ` has an entry for each
appliance, with these keys:

| Key | Value |
| --- | --- |
| ` + "`host`" + ` | the address of the appliance, as ` + "`host`" + ` or ` + "`host:port`" + `; required |
| ` + "`username`" + ` | the user name |
| ` + "`login-method`" + ` | the name of the appliance's login method, such as ` + "`local`" + ` |
| ` + "`password`" + ` | the password |
| ` + "`password-file`" + ` | the name of a file that contains the password on its only line |
| ` + "`password-command`" + ` | a command that prints the password. A string is split into words at spaces. In a list with several strings, each string is one word. The command runs without a shell, and ` + "`{host}` and `{username}`" + ` in it are replaced |
| ` + "`ca-bundle`" + ` | the name of a PEM file with the CAs to trust instead of the system's CAs |
| ` + "`fingerprint`" + ` | the SHA-256 fingerprint of the certificate to trust, or a list of fingerprints. ` + "`sps trust --save`" + ` writes a list |
| ` + "`client-cert`" + ` | the name of a PEM file with a client certificate to log in with |
| ` + "`client-key`" + ` | the name of a PEM file with the private key of ` + "`client-cert`" + ` |
| ` + "`proxy`" + ` | ` + "`true`" + `: connect through the proxy in ` + "`HTTPS_PROXY`" + ` |

The file of ` + "`--hosts`" + ` has one appliance on each line: the host, and after it the settings that apply to
this appliance alone. The settings are ` + "`username`" + `, ` + "`fingerprint`" + `, ` + "`ca-bundle`" + ` and ` + "`login-method`" + `; they
override the flags. Empty lines are ignored, and so is the text after a #. Windows line ends and a byte
order mark are accepted. UTF-16 is refused.

Relative file names in the file of ` + "`--hosts`" + ` are relative to the working directory. Relative file
names in the configuration file are relative to the folder of that file.

` + "```" + `text
sps1.example.com
sps2.example.com:8443  username=operator  fingerprint=52:2C:8B:F5:…   # its own user and trust
[2001:db8::5]          ca-bundle=other-ca.pem  login-method=local
` + "```" + `
`

// kindWords returns the kinds of errors, as the member kind shows them.
func kindWords() string {
	kinds := []sps.ErrorKind{
		sps.KindInvalid, sps.KindDenied, sps.KindLocked, sps.KindConflict, sps.KindNotFound,
		sps.KindRefused, sps.KindUnavailable, sps.KindOutcomeUnknown,
	}
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = "`" + string(kind) + "`"
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// reference returns the Markdown page of all commands.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(strings.Replace(referenceHead, "KINDS", kindWords(), 1))
	for _, p := range pages(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```text\n%s\n```\n", p.name, p.short, p.usage)
		if p.name == "sps" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.TrimSpace(p.long))
		} else if p.long != "" && p.long != p.short+"." {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(p.long))
		}
		if len(p.flags) > 0 {
			b.WriteString("\n| Flag | Meaning |\n| --- | --- |\n")
			for _, f := range p.flags {
				fmt.Fprintf(&b, "| `%s` | %s |\n", f.names, strings.ReplaceAll(strings.TrimSpace(f.usage), "|", `\|`))
			}
		}
		if p.data != "" {
			fmt.Fprintf(&b, "\nWith `-o json`, the `data` of each result has these members:\n\n```json\n%s\n```\n", p.data)
		}
		if len(p.examples) > 0 {
			fmt.Fprintf(&b, "\nExamples:\n\n```sh\n%s\n```\n", strings.Join(p.examples, "\n"))
		}
	}
	return b.String()
}

// manPage returns the man page of a command.
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
	paragraph(strings.NewReplacer(exitStatus+"\n\n", "", "Environment variables:\n"+environment+"\n\n", "").Replace(p.long)) // these have sections
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
	if p.name == "sps" {
		b.WriteString(".SH EXIT STATUS\n.nf\n")
		paragraph(exitStatus)
		b.WriteString(".fi\n.SH ENVIRONMENT\n.nf\n")
		paragraph(environment)
		b.WriteString(".fi\n")
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
