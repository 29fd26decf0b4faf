package command

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
)

const docs = "../../../../docs"

// TestReference checks that docs/reference/commands.md equals the output of docs markdown.
func TestReference(t *testing.T) {
	t.Parallel()
	c := &tool{env: map[string]string{}}
	got := c.want(t, out.OK, nil, "docs", "markdown")
	page, err := os.ReadFile(filepath.Join(docs, "reference", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(page), got.stdout); d != "" {
		t.Errorf("generate the page again: go run ./cmd/sps docs markdown > docs/reference/commands.md (-page +code):\n%s", d)
	}
}

// TestConfigurationKeys checks that the reference describes each key of an appliance in the
// configuration file.
func TestConfigurationKeys(t *testing.T) {
	t.Parallel()
	page := reference(newRoot())
	for field := range reflect.TypeFor[conn.Entry]().Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !strings.Contains(page, "\n| `"+key+"` | ") {
			t.Errorf("the reference has no row for %q", key)
		}
	}
}

// TestManPages checks that docs man writes the man pages.
func TestManPages(t *testing.T) {
	t.Parallel()
	c := &tool{env: map[string]string{}}
	folder := filepath.Join(t.TempDir(), "man1")
	c.want(t, out.OK, nil, "docs", "man", folder)
	content, err := os.ReadFile(filepath.Join(folder, "sps-firmware-precheck.1"))
	if err != nil || !strings.Contains(string(content), ".TH \"SPS-FIRMWARE-PRECHECK\" 1") || !strings.Contains(string(content), `\-\-slot`) {
		t.Errorf("%s, error %v", content, err)
	}
	root, err := os.ReadFile(filepath.Join(folder, "sps.1"))
	for _, part := range []string{".SH EXIT STATUS\n", ".SH ENVIRONMENT\n", "SPS_LOGIN_METHOD", "its outcome is unknown"} {
		if err != nil || strings.Count(string(root), part) != 1 {
			t.Errorf("%q is not in\n%s, error %v", part, root, err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) < 40 {
		t.Errorf("%d pages, error %v", len(files), err)
	}
	c.want(t, out.Failed, []string{"use docs markdown"}, "docs", "pdf")
}

// TestGuides checks that the commands in the documentation exist and have the flags that the
// documentation uses.
func TestGuides(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(docs + "/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range append(names, "../../../../README.md") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(content), "\\\n", " ")
		fence := "" // the language of the code block
		for line := range strings.Lines(text) {
			if language, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
				fence = language // "" at the end of the block
				continue
			}
			if fence == "text" {
				continue
			}
			for _, command := range commandLines(line) {
				checked++
				checkCommand(t, filepath.Base(name), command)
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d commands were found", checked)
	}
}

// commandLines returns the command lines of sps in a line of a page.
func commandLines(line string) (all []string) {
	for _, start := range []string{"sps ", "go run ./cmd/sps "} {
		trimmed := strings.TrimLeft(line, "-# $")
		trimmed = strings.TrimPrefix(strings.TrimPrefix(trimmed, "run: "), "SPS_PASSWORD=… ")
		if rest, ok := strings.CutPrefix(trimmed, start); ok {
			all = append(all, rest)
		}
	}
	for i, piece := range strings.Split(line, "`") {
		if rest, ok := strings.CutPrefix(piece, "sps "); ok && i%2 == 1 {
			all = append(all, rest)
		}
	}
	return all
}

// checkCommand checks that a command and its flags exist.
func checkCommand(t *testing.T, page, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " >")
	line, _, _ = strings.Cut(line, " |")
	words := strings.Fields(line)
	root := newRoot()
	found, rest, err := root.Find(words)
	if err != nil || found == root && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		t.Errorf("%s: sps %s: no such command", page, strings.TrimSpace(line))
		return
	}
	for _, word := range append(rest, words...) {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if !isFlag || name == "" || name == "help" || name == "version" {
			continue
		}
		local := found.Flags().Lookup(name)
		known := local != nil && !local.Hidden || found.InheritedFlags().Lookup(name) != nil
		for _, line := range simulateFlags() {
			known = known || found.Name() == "simulate" && strings.HasPrefix(line.names+" ", "--"+name+" ")
		}
		if !known {
			t.Errorf("%s: sps %s: no flag --%s", page, strings.TrimSpace(line), name)
		}
	}
}

// TestGlobalFlags checks that the commands accept the flags of the root command.
func TestGlobalFlags(t *testing.T) {
	t.Parallel()
	root := newRoot()
	for _, c := range leaves(root) {
		if c.Name() == "simulate" {
			continue
		}
		root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
			if c.InheritedFlags().Lookup(f.Name) == nil {
				t.Errorf("%s has no --%s", c.CommandPath(), f.Name)
			}
		})
	}
}

// TestShorthands checks that a shorthand means the same flag in all commands.
func TestShorthands(t *testing.T) {
	t.Parallel()
	meaning := map[string]string{}
	for _, c := range leaves(newRoot()) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Shorthand == "" {
				return
			}
			if old := meaning[f.Shorthand]; old != "" && old != f.Name {
				t.Errorf("-%s is --%s and --%s", f.Shorthand, old, f.Name)
			}
			meaning[f.Shorthand] = f.Name
		})
	}
}
