package cli

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		texts []string
		want  Values // nil: refused
	}{
		{[]string{"1"}, Values{"1"}},
		{[]string{"1,2", " 3 "}, Values{"1", "2", "3"}},
		{[]string{""}, nil},
		{[]string{"1,"}, nil},
		{[]string{","}, nil},
	} {
		var got Values
		var err error
		for _, text := range test.texts {
			err = errors.Join(err, got.Set(text))
		}
		if (err != nil) != (test.want == nil) {
			t.Errorf("%q: error %v", test.texts, err)
		}
		if d := cmp.Diff(test.want, got); err == nil && d != "" {
			t.Errorf("%q (-want +got):\n%s", test.texts, d)
		}
	}
}

// parse reads flags as a program does: those of the connection, and two more.
func parse(args ...string) (*Connection, *flag.FlagSet, string, error) {
	c, flags := &Connection{}, flag.NewFlagSet("program", flag.ContinueOnError)
	c.Define(flags)
	flags.String("output", "text", "")
	flags.String("slot", "", "")
	var stdout bytes.Buffer
	err := Parse(flags, args, &stdout)
	return c, flags, stdout.String(), err
}

func TestParse(t *testing.T) {
	t.Parallel()
	_, _, stdout, err := parse("-h")
	if !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(stdout, "usage: program [flags]\n") || !strings.Contains(stdout, "-password-file file") {
		t.Errorf("-h gives %v and\n%s", err, stdout)
	}
	_, _, stdout, err = parse("-password", "x")
	if err == nil || errors.Is(err, flag.ErrHelp) || stdout != "" {
		t.Errorf("an unknown flag gives %v and %q", err, stdout)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string // "" for nothing
	}{
		{nil, ""},
		{[]string{"-output", "json"}, ""},
		{[]string{"-slot", "2"}, "-slot needs -appliance"},
		{[]string{"-appliance", ""}, "-appliance is empty"},
		{[]string{"-appliance", "sps1"}, "-appliance needs -username"},
		{[]string{"-appliance", "sps1", "-username", "u", "-slot", "2"}, ""},
		{[]string{"-appliance", "sps1", "-username", "u", "x", "y"}, `unexpected argument "x"`},
		{[]string{"-appliance", "sps1", "-username", "u", "-insecure", "-ca", "x"}, "-insecure excludes -ca and -fingerprint"},
		{[]string{"-username", "", "-ca", "x"}, "-ca needs -appliance; -username is empty"},
	} {
		c, flags, _, err := parse(test.args...)
		if err != nil {
			t.Fatal(err)
		}
		named := ""
		if c.Appliance != "" {
			named = "appliance"
		}
		got := ""
		if err := Faults(c.Check(flags, named, "output")); err != nil {
			got = err.Error()
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%q: faults (-want +got):\n%s", test.args, d)
		}
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, test := range []struct {
		name, env, file string
		want, fault     string
	}{
		{"environment", "of-env", "", "of-env", ""},
		{"the file counts more", "of-env", file("of-file\n"), "of-file", ""},
		{"one line break", "", file(" a b \r\n"), " a b ", ""},
		{"only one", "", file("x\n\n"), "x\n", ""},
		{"none", "", "", "", "no password"},
		{"an empty file", "of-env", file("\n"), "", "holds no password"},
		{"no file", "of-env", "testdata/none", "", "-password-file: open"},
	} {
		c := Connection{PasswordFile: test.file}
		got, err := c.password(func(string) string { return test.env })
		if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.fault)
		}
		if err == nil && got.ExposeString() != test.want {
			t.Errorf("%s: password %q, want %q", test.name, got.ExposeString(), test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	c := Connection{CAFile: "testdata/none"}
	if _, err := c.Options("program"); err == nil || !strings.Contains(err.Error(), "-ca: open testdata/none") {
		t.Errorf("a CA that does not exist gives %v", err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, lines, line string }{
		{"plain", "plain", "plain"},
		{"Őrség 日本\u3000✓", "Őrség 日本\u3000✓", "Őrség 日本\u3000✓"},
		{"one\r\ntwo\n", "one\ntwo\n", "one two "},
		{"a\tb", "a b", "a b"},
		{"\x1b[2Jgone\x07\x00\x7f", "[2Jgone", "[2Jgone"},
		{"\u009b31mred", "31mred", "31mred"},
		{"left\u202etfel\u2028", "lefttfel", "lefttfel"},
		{"broken\xff", "broken\ufffd", "broken\ufffd"},
	} {
		if got := Lines(test.text); got != test.lines {
			t.Errorf("Lines(%q) = %q, want %q", test.text, got, test.lines)
		}
		if got := Line(test.text); got != test.line {
			t.Errorf("Line(%q) = %q, want %q", test.text, got, test.line)
		}
	}
}

func TestIndent(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff("    one\n\n    two\n", Indent("one\n\ntwo")); d != "" {
		t.Errorf("indented (-want +got):\n%s", d)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) || isTerminal(&bytes.Buffer{}) {
		t.Error("a file or a buffer is taken for a terminal")
	}
	var stderr bytes.Buffer
	if Progress(&stderr).Print("nobody watches"); stderr.Len() > 0 {
		t.Errorf("standard error %q", &stderr)
	}
}
