package documentation_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// These tests check that README.md and the pages in docs agree with the code: their Go blocks,
// the names, commands and flags that they mention, and their links.

// page is a Markdown page.
type page struct {
	name   string // its path in the module, with slashes
	prose  []string
	blocks []block
}

// block is a fenced code block of a page.
type block struct {
	page, language, text string
	line                 int // the line of its first line in the page
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// readPage reads a page. The prose of the page keeps its line numbers, because code blocks are
// replaced by empty lines.
func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	p := page{name: name}
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		fence, found := strings.CutPrefix(line, "```")
		switch {
		case found && open == nil:
			open = &block{page: name, language: fence, line: i + 2}
		case found:
			p.blocks, open = append(p.blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			p.prose = append(p.prose, line)
			continue
		}
		p.prose = append(p.prose, "")
	}
	if open != nil {
		t.Errorf("%s: the block of line %d does not end", name, open.line-1)
	}
	return p
}

// guides returns README.md and the pages in docs.
func guides(t *testing.T) []page {
	t.Helper()
	pages := []page{readPage(t, "README.md")}
	err := filepath.WalkDir("docs", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" {
			pages = append(pages, readPage(t, filepath.ToSlash(name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestGuideBlocks compiles the Go blocks of the guides and runs most of them. It passes them to
// the go command in an overlay, as files of the package in testdata/guides. Each block has one
// of these forms:
//
//   - a whole file, which begins with a package clause. It is compiled.
//   - declarations, with or without imports. They are compiled, and functions named Test… are run.
//     Other blocks can use the declarations, so their names must be unique in all pages.
//   - statements. They can use the parameters of the function in block.source, and err, and may
//     return an error. They are run against a simulated appliance without sockets and without
//     waiting, and must not return an error. Statements with one of the texts in notRun are only
//     compiled.
//
// Packages that a block does not import are found by their names in blockImports. Statements
// may declare variables that they do not use. All blocks must be formatted by gofmt.
func TestGuideBlocks(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs("testdata/guides")
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{}
	temporary := t.TempDir()
	for _, p := range guides(t) {
		for _, b := range p.blocks {
			if b.language != "go" {
				continue
			}
			if formatted, err := format.Source([]byte(b.text)); err == nil && string(formatted) != b.text {
				t.Errorf("%s: the block is not formatted by gofmt; the formatted block is:\n%s", b, formatted)
			}
			source, err := b.source()
			if err != nil {
				t.Errorf("%s: %v", b, err)
				continue
			}
			name := b.id() + "_test.go"
			overlay[filepath.Join(folder, name)] = filepath.Join(temporary, name)
			if err := os.WriteFile(filepath.Join(temporary, name), []byte(source), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(overlay) < 20 {
		t.Errorf("only %d blocks were found", len(overlay))
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(temporary, "overlay.json")
	if err := os.WriteFile(list, replace, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", "-vet=off", "-overlay", list, "./testdata/guides").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// notRun lists texts. Statements that contain one of them are compiled and not run, because they
// create a client or an appliance, or need something that the simulated appliance does not have.
var notRun = []string{"sps.Connect(", "sps.ConnectFromEnv(", "sps.LoginMethods(", "sps.NewClient(", "sps.SetupStatus(", "spstest.New", "audit/sessions", "DownloadTrail("}

// blockImports maps the names of packages to their import paths. A block may use these
// packages without importing them.
var blockImports = func() map[string]string {
	paths := []string{
		"context", "crypto/tls", "crypto/x509", "encoding/json", "errors", "fmt", "io", "log", "log/slog", "maps", "net/http",
		"os", "os/exec", "slices", "strings", "testing", "testing/synctest", "time", "github.com/go-sps/sps", "github.com/go-sps/sps/audit",
		"github.com/go-sps/sps/spstest",
	}
	byName := map[string]string{}
	for _, path := range paths {
		byName[path[strings.LastIndex(path, "/")+1:]] = path
	}
	return byName
}()

// id returns a part of a Go name that is unique to the block.
func (b block) id() string {
	return regexp.MustCompile(`\W`).ReplaceAllString(strings.TrimSuffix(b.page, ".md"), "_") + "_" + strconv.Itoa(b.line)
}

// source returns the block as the text of a Go file. The text has a line directive, so that
// compiler errors name the page and the line of the block.
func (b block) source() (string, error) {
	files := token.NewFileSet()
	const clause = "package guides\n"
	if strings.HasPrefix(b.text, "package ") {
		text := regexp.MustCompile(`(?m)^package \w+$`).ReplaceAllString(b.text, "package guides")
		text = regexp.MustCompile(`(?m)^func main\(\)`).ReplaceAllString(text, "func main_"+b.id()+"()")
		return b.at(text), nil
	}
	var imports strings.Builder
	if file, err := parser.ParseFile(files, "", clause+b.text, parser.SkipObjectResolution); err == nil {
		if file.Imports == nil {
			imports.WriteString(importsOf(file))
		}
		return clause + imports.String() + b.at(b.text), nil
	}
	const function = clause + "func _() {\n"
	file, err := parser.ParseFile(files, "", function+b.text+"}", parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("neither a file, nor declarations, nor statements: %w", err)
	}
	var used strings.Builder
	for _, name := range declared(file.Decls[0].(*ast.FuncDecl).Body.List) {
		fmt.Fprintf(&used, "_ = %s\n", name)
	}
	begin, end := "func Test_"+b.id()+"(t *testing.T) { run(t, func(s scene) error {", "})}"
	if slices.ContainsFunc(notRun, func(word string) bool { return strings.Contains(b.text, word) }) {
		begin, end = "var _ = func(t *testing.T, s scene) error {", "}"
	}
	return clause + "import (\"context\"; \"os\"; \"testing\"; \"github.com/go-sps/sps\"; \"github.com/go-sps/sps/spstest\")\n" +
		importsOf(file, "context", "os", "testing", "sps", "spstest") +
		begin + "return func(ctx context.Context, client *sps.Client, appliance *spstest.Appliance, pem []byte, key string, file *os.File, fn func(context.Context, *sps.Transaction) error) (err error) {\n{\n" +
		b.at(b.text) + used.String() + "return err\n}\n}(s.ctx, s.client, s.appliance, s.pem, s.key, s.file, s.fn)\n" + end + "\n", nil
}

// at adds a line directive to a text, so that compiler errors name the page and the line of the
// block.
func (b block) at(text string) string {
	name, err := filepath.Abs(b.page)
	if err != nil {
		name = b.page
	}
	return fmt.Sprintf("//line %s:%d\n%s", name, b.line, text)
}

// importsOf returns the import declarations that a file needs: those of the packages in
// blockImports that the file uses, without the packages in except.
func importsOf(file *ast.File, except ...string) string {
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && blockImports[x.Name] != "" && !slices.Contains(except, x.Name) {
				found[x.Name] = true
			}
		}
		return true
	})
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&text, "import %q\n", blockImports[name])
	}
	return text.String()
}

// declared returns the names of the variables that statements declare.
func declared(statements []ast.Stmt) []string {
	var names []string
	add := func(idents ...ast.Expr) {
		for _, e := range idents {
			if x, ok := e.(*ast.Ident); ok && x.Name != "_" {
				names = append(names, x.Name)
			}
		}
	}
	for _, s := range statements {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				add(s.Lhs...)
			}
		case *ast.DeclStmt:
			for _, spec := range s.Decl.(*ast.GenDecl).Specs {
				if value, ok := spec.(*ast.ValueSpec); ok {
					for _, x := range value.Names {
						add(x)
					}
				}
			}
		}
	}
	return names
}

// link matches a Markdown link within a line.
var link = regexp.MustCompile(`\]\(([^()\s]+)\)`)

// TestGuideLinks checks that the relative links in all pages of the module lead to existing
// files and headings.
func TestGuideLinks(t *testing.T) {
	t.Parallel()
	checked := 0
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".md":
			return nil
		}
		for i, line := range readPage(t, filepath.ToSlash(name)).prose {
			for _, match := range link.FindAllStringSubmatch(line, -1) {
				target, err := url.Parse(match[1])
				if err == nil && (target.Scheme != "" || target.Host != "") {
					continue // a link to another site
				}
				checked++
				if err == nil {
					err = follow(t, name, target)
				}
				if err != nil {
					t.Errorf("%s:%d: the link to %s: %v", name, i+1, match[1], err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 5 {
		t.Errorf("only %d links were found", checked)
	}
}

// TestGuideIndex checks that docs/README.md has a link to each page in docs.
func TestGuideIndex(t *testing.T) {
	t.Parallel()
	linked := map[string]bool{"docs/README.md": true}
	for _, line := range readPage(t, "docs/README.md").prose {
		for _, match := range link.FindAllStringSubmatch(line, -1) {
			name, _, _ := strings.Cut(match[1], "#")
			linked["docs/"+name] = true
		}
	}
	for _, p := range guides(t)[1:] {
		if !linked[p.name] {
			t.Errorf("docs/README.md has no link to %s", p.name)
		}
	}
}

// follow returns an error if the target of a relative link does not exist.
func follow(t *testing.T, from string, target *url.URL) error {
	to := from
	if target.Path != "" {
		to = filepath.Join(filepath.Dir(from), filepath.FromSlash(target.Path))
	}
	if _, err := os.Stat(to); err != nil {
		return err
	}
	if target.Fragment == "" {
		return nil
	}
	for _, line := range readPage(t, filepath.ToSlash(to)).prose {
		if heading := strings.TrimLeft(line, "#"); heading != line && anchor(heading) == target.Fragment {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading %q", to, target.Fragment)
}

// anchor returns the anchor that GitHub derives from a heading.
func anchor(heading string) string {
	text := regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
	return strings.ReplaceAll(text, " ", "-")
}

// code matches a code span in prose, and apiName matches a name of the API within a code span.
var (
	code    = regexp.MustCompile("`[^`]+`")
	apiName = regexp.MustCompile(`\b(sps|client|tx|appliance)((?:\.[A-Z]\w*)+)`)
)

// TestGuideNames checks that the names in the prose of the guides exist: sps.Something, and the
// methods and fields of client, tx and appliance.
func TestGuideNames(t *testing.T) {
	t.Parallel()
	roots := map[string]reflect.Type{
		"client": reflect.TypeFor[*sps.Client](), "tx": reflect.TypeFor[*sps.Transaction](), "appliance": reflect.TypeFor[*spstest.Appliance](),
	}
	exported := declarations(t)
	checked := 0
	for _, p := range guides(t) {
		for i, line := range p.prose {
			for _, match := range apiName.FindAllStringSubmatch(strings.Join(code.FindAllString(line, -1), " "), -1) {
				checked++
				path := strings.Split(match[2], ".")[1:]
				if match[1] == "sps" {
					if !exported[path[0]] {
						t.Errorf("%s:%d: there is no %s", p.name, i+1, match[0])
					}
					continue
				}
				of := roots[match[1]]
				for _, name := range path {
					if of = memberType(of, name); of == nil {
						t.Errorf("%s:%d: there is no %s", p.name, i+1, match[0])
						break
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d names were found", checked)
	}
}

// memberType returns the type of a method or a field, or nil if there is none.
func memberType(of reflect.Type, name string) reflect.Type {
	if method, ok := of.MethodByName(name); ok {
		return method.Type
	}
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.Struct {
		if field, ok := of.FieldByName(name); ok {
			return field.Type
		}
	}
	return nil
}

// declarations returns the package-level names of the root package, and whether each is
// exported.
func declarations(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for _, file := range testkit.SourceFiles(t, "") {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = d.Name.IsExported()
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						names[spec.Name.Name] = spec.Name.IsExported()
					case *ast.ValueSpec:
						for _, x := range spec.Names {
							names[x.Name] = x.IsExported()
						}
					}
				}
			}
		}
	}
	return names
}

// TestErrorsAreListed checks that docs/reference/errors.md has a table row for each exported
// error of the root package: the Err… variables, the types that are errors, and the constants
// of these types.
func TestErrorsAreListed(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("^\\| `(\\w+)` \\|")
	named := map[string]bool{}
	for _, line := range readPage(t, "docs/reference/errors.md").prose {
		if match := row.FindStringSubmatch(line); match != nil {
			named[match[1]] = true
		}
	}
	files := testkit.SourceFiles(t, "")
	isError := map[string]bool{}
	for _, file := range files {
		for _, d := range file.Decls {
			if method, ok := d.(*ast.FuncDecl); ok && method.Recv != nil && method.Name.Name == "Error" {
				of := method.Recv.List[0].Type
				if pointer, ok := of.(*ast.StarExpr); ok {
					of = pointer.X
				}
				if x, ok := of.(*ast.Ident); ok && x.IsExported() {
					isError[x.Name] = true
				}
			}
		}
	}
	wanted := maps.Clone(isError)
	for _, file := range files {
		for _, d := range file.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				of, _ := value.Type.(*ast.Ident)
				for _, x := range value.Names {
					if x.IsExported() && (strings.HasPrefix(x.Name, "Err") || of != nil && isError[of.Name]) {
						wanted[x.Name] = true
					}
				}
			}
		}
	}
	if len(wanted) < 50 {
		t.Errorf("only %d errors were found in the package", len(wanted))
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !named[name] {
			t.Errorf("docs/reference/errors.md has no row for %s", name)
		}
	}
}

// TestGuideCommands checks that the programs and flags in the shell blocks of the guides exist.
func TestGuideCommands(t *testing.T) {
	t.Parallel()
	program := regexp.MustCompile(`\b(examples|cmd)/([a-z-]+)`)
	programs := programFlags(t)
	checked := 0
	for _, p := range guides(t) {
		for _, b := range p.blocks {
			if b.language == "go" || b.language == "" {
				continue
			}
			text := strings.ReplaceAll(b.text, "\\\n", " ")
			for line := range strings.Lines(text) {
				if match := program.FindString(line); match != "" {
					checked++
					if _, err := os.Stat(match); err != nil {
						t.Errorf("%s: %v", b, err)
					}
				}
				for name, flags := range programs {
					_, arguments, found := strings.Cut(line, name+" ")
					if !found {
						continue
					}
					arguments, _, _ = strings.Cut(arguments, " #")
					for _, word := range strings.Fields(arguments) {
						if flag, found := strings.CutPrefix(word, "-"); found {
							checked++
							if !flags[flag] {
								t.Errorf("%s: %s has no flag -%s", b, name, flag)
							}
						}
					}
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d programs and flags were found", checked)
	}
}

// programFlags returns the flags of each program.
func programFlags(t *testing.T) map[string]map[string]bool {
	t.Helper()
	definition := regexp.MustCompile(`\bflags\.\w+\((?:&[\w.]+, )?"([a-z0-9-]+)"`)
	read := func(folder string) map[string]bool {
		flags := map[string]bool{"h": true}
		names, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range definition.FindAllStringSubmatch(string(text), -1) {
				flags[match[1]] = true
			}
		}
		return flags
	}
	folders, err := filepath.Glob("examples/*-*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]bool{}
	for _, folder := range folders {
		all[filepath.Base(folder)] = read(folder)
	}
	all["spssim"] = read("internal/simulate")
	return all
}
