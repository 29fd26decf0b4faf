package documentation_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-sps/sps/internal/testkit"
)

const modulePath = "github.com/go-sps/sps"

// documentedPackages returns the folders of the programs and of the packages that users can
// import.
func documentedPackages(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if base := entry.Name(); name != "." && (base == "internal" || base == "testdata" || strings.HasPrefix(base, ".")) {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != "." {
			return fs.SkipDir // another module
		}
		if files, _ := filepath.Glob(filepath.Join(name, "*.go")); len(files) > 0 {
			folders = append(folders, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// TestDocumentation checks that everything that a user can see has a comment: each package, and
// each constant, variable, function, type, method and field of an importable package. A comment
// on a group or at the end of a line is enough, and the comment of a field also covers the
// fields directly below it. Each name in brackets must exist.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	count := 0
	for _, folder := range documentedPackages(t) {
		d := documentationOf(t, folder)
		p := d.p
		d.check(token.NoPos, "package "+p.Name, p.Doc)
		if p.Name != "main" {
			count += d.all()
		}
	}
	if count < 500 {
		t.Errorf("only %d names were found", count)
	}
}

type documentation struct {
	t   *testing.T
	set *token.FileSet
	p   *doc.Package
}

// documentationOf parses the documentation of a package.
func documentationOf(t *testing.T, folder string) documentation {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range testkit.Must(filepath.Glob(filepath.Join(folder, "*.go"))) {
		if !strings.HasSuffix(name, "_test.go") {
			files = append(files, testkit.Must(parser.ParseFile(set, name, nil, parser.ParseComments)))
		}
	}
	return documentation{t, set, testkit.Must(doc.NewFromFiles(set, files, path.Join(modulePath, filepath.ToSlash(folder))))}
}

// check fails the test if a name has no documentation, or if its documentation has a dead link.
func (d documentation) check(pos token.Pos, name string, texts ...string) {
	if strings.TrimSpace(strings.Join(texts, "")) == "" {
		d.t.Errorf("%s: %s.%s has no documentation", d.set.Position(pos), d.p.Name, name)
	}
	for _, text := range texts {
		for _, link := range deadLinks(d.p.Parser().Parse(text).Content) {
			d.t.Errorf("%s: the documentation of %s.%s mentions %s, which does not exist", d.set.Position(pos), d.p.Name, name, link)
		}
	}
}

// named is like check. It also fails the test if the text does not begin with the name.
func (d documentation) named(pos token.Pos, name, text string) {
	d.check(pos, name, text)
	if short := name[strings.LastIndexByte(name, '.')+1:]; text != "" && !strings.HasPrefix(text, short+" ") && !strings.HasPrefix(text, short+":") {
		d.t.Errorf("%s: the documentation of %s.%s does not begin with %s", d.set.Position(pos), d.p.Name, name, short)
	}
}

// all checks everything that a package exports, and returns the number of names.
func (d documentation) all() (count int) {
	values := func(list []*doc.Value) {
		for _, group := range list {
			for _, spec := range group.Decl.Specs {
				value := spec.(*ast.ValueSpec)
				for _, name := range value.Names {
					if name.IsExported() {
						d.check(name.Pos(), name.Name, group.Doc, value.Doc.Text(), value.Comment.Text())
						count++
					}
				}
			}
		}
	}
	functions := func(list []*doc.Func) {
		for _, f := range list {
			name := f.Name
			if f.Recv != "" {
				name = strings.TrimPrefix(f.Recv, "*") + "." + name
			}
			d.named(f.Decl.Pos(), name, f.Doc)
			count++
		}
	}
	values(d.p.Consts)
	values(d.p.Vars)
	functions(d.p.Funcs)
	for _, typ := range d.p.Types {
		d.named(typ.Decl.Pos(), typ.Name, typ.Doc)
		count++
		values(typ.Consts)
		values(typ.Vars)
		functions(typ.Funcs)
		functions(typ.Methods)
		for _, spec := range typ.Decl.Specs {
			var members *ast.FieldList
			switch t := spec.(*ast.TypeSpec).Type.(type) {
			case *ast.StructType:
				members = t.Fields
			case *ast.InterfaceType:
				members = t.Methods
			default:
				continue
			}
			group, end := "", 0 // the comment of the fields above, and the last line of these fields
			for _, member := range members.List {
				if member.Doc != nil || d.set.Position(member.Pos()).Line != end+1 {
					group = member.Doc.Text()
				}
				end = d.set.Position(member.End()).Line
				for _, name := range member.Names {
					if name.IsExported() {
						d.check(name.Pos(), typ.Name+"."+name.Name, group, member.Comment.Text())
						count++
					}
				}
			}
		}
	}
	return count
}

var bracketed = regexp.MustCompile(`\[\*?[A-Za-z][\w./]*\]`)

// deadLinks returns the texts in brackets that look like links to Go names, but name nothing
// that exists.
func deadLinks(blocks []comment.Block) (dead []string) {
	var texts func([]comment.Text)
	texts = func(list []comment.Text) {
		for _, text := range list {
			switch text := text.(type) {
			case comment.Plain:
				dead = append(dead, bracketed.FindAllString(string(text), -1)...)
			case *comment.Link:
				texts(text.Text)
			}
		}
	}
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			texts(block.Text)
		case *comment.Heading:
			texts(block.Text)
		case *comment.List:
			for _, item := range block.Items {
				dead = append(dead, deadLinks(item.Content)...)
			}
		}
	}
	return dead
}

// codeOfUsers matches code that uses the module.
var codeOfUsers = regexp.MustCompile(`\b(sps|spstest|audit)\.[A-Z]`)

// TestCodeInComments checks that the code in the comments of the packages compiles, with the
// variables that frame declares.
func TestCodeInComments(t *testing.T) {
	t.Parallel()
	const head = `package p
import ("context"; "encoding/json"; "errors"; "fmt"; "net/http"; "testing"; "time"; "github.com/go-sps/sps"; "github.com/go-sps/sps/audit"; "github.com/go-sps/sps/spstest")
`
	const frame = head + `
type Email struct{}
func _(ctx context.Context, t *testing.T, client *sps.Client, tx *sps.Transaction, err error, password string, pem []byte) error {
	{
		%s
	}
	return nil
}`
	set := token.NewFileSet()
	imports := importsFor(t, set)
	config := types.Config{Importer: imports}
	compiles := func(d documentation, text string) (count int) {
		for _, block := range d.p.Parser().Parse(text).Content {
			code, ok := block.(*comment.Code)
			// otelhttp is a dependency of the module examples/tracing only.
			if !ok || !codeOfUsers.MatchString(code.Text) || strings.Contains(code.Text, "otelhttp") {
				continue
			}
			count++
			source := fmt.Sprintf(frame, code.Text)
			if strings.HasPrefix(code.Text, "func ") {
				source = head + code.Text
			}
			file, err := parser.ParseFile(set, "comment.go", source, 0)
			if err != nil {
				t.Errorf("a comment of %s has code that cannot be parsed: %v\n%s", d.p.Name, err, code.Text)
				continue
			}
			config.Error = func(err error) {
				if !strings.Contains(err.Error(), "not used") {
					t.Errorf("a comment of %s has code that does not compile: %v\n%s", d.p.Name, err, code.Text)
				}
			}
			config.Check("p", set, []*ast.File{file}, nil) // errors are reported by config.Error
		}
		return count
	}
	for _, folder := range []string{".", "audit", "spstest"} {
		d := documentationOf(t, folder)
		count := compiles(d, d.p.Doc)
		for _, f := range d.p.Funcs {
			compiles(d, f.Doc)
		}
		for _, typ := range d.p.Types {
			compiles(d, typ.Doc)
			for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
				compiles(d, f.Doc)
			}
		}
		if count == 0 {
			t.Errorf("the comment of package %s shows no code", d.p.Name)
		}
	}
}

// shownElsewhere lists the signatures of methods that examples call indirectly, by fmt, errors,
// log/slog or a decoder.
var shownElsewhere = []string{
	"Error() string", "Unwrap() error", "Unwrap() []error", "Is(target error) bool", // called by package errors
	"String() string", "GoString() string", "Format(f fmt.State, _ rune)", // called by package fmt
	"LogValue() log/slog.Value",
	"MarshalJSON() ([]byte, error)", "UnmarshalJSON(data []byte) error", "MarshalText() ([]byte, error)",
}

// notShown lists the functions and methods without an example, with the reason.
var notShown = map[string]string{
	"sps.WithInsecureTLS":          "an example would be copied",
	"sps.WithProxyFromEnvironment": "it needs a proxy",
}

// TestExamples checks that each exported function and method is used by an example that is run
// and whose output is compared.
func TestExamples(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	files := map[string][]*ast.File{}
	for _, folder := range []string{".", "audit", "spstest"} {
		for _, name := range testkit.Must(filepath.Glob(filepath.Join(folder, "example*_test.go"))) {
			file := testkit.Must(parser.ParseFile(set, name, nil, parser.ParseComments))
			for _, example := range doc.Examples(file) {
				if example.Output == "" && !example.EmptyOutput {
					t.Errorf("Example%s of %s is not run: it has no output comment", example.Name, name)
				}
			}
			files[folder] = append(files[folder], file)
		}
	}
	imports := importsFor(t, set)
	used := map[types.Object]bool{}
	for folder, files := range files {
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		config := types.Config{Importer: imports}
		if _, err := config.Check(path.Join(modulePath, folder)+"_test", set, files, info); err != nil {
			t.Fatal(err) // the examples compile without other files
		}
		for _, file := range files {
			for _, declared := range file.Decls {
				if f, ok := declared.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") {
					ast.Inspect(f, func(n ast.Node) bool {
						if name, ok := n.(*ast.Ident); ok {
							if f, ok := info.Uses[name].(*types.Func); ok {
								used[f.Origin()] = true
							}
						}
						return true
					})
				}
			}
		}
	}
	count, excused := 0, map[string]bool{}
	for _, folder := range []string{"", "audit", "spstest"} {
		p := testkit.Must(imports.Import(path.Join(modulePath, folder)))
		for _, f := range exportedFunctions(p) {
			count++
			name := p.Name() + "." + f.Name()
			if recv := f.Signature().Recv(); recv != nil {
				typ := recv.Type()
				if pointer, ok := typ.(*types.Pointer); ok {
					typ = pointer.Elem()
				}
				name = p.Name() + "." + typ.(*types.Named).Obj().Name() + "." + f.Name()
				if slices.Contains(shownElsewhere, f.Name()+strings.TrimPrefix(types.TypeString(f.Signature(), nil), "func")) {
					continue
				}
			}
			switch {
			case notShown[name] != "":
				excused[name] = true
				if used[f] {
					t.Errorf("%s is used by an example: remove it from notShown", name)
				}
			case !used[f]:
				t.Errorf("%s is used by no example", name)
			}
		}
	}
	for name := range notShown {
		if !excused[name] {
			t.Errorf("notShown has %s, which does not exist", name)
		}
	}
	if count < 200 {
		t.Errorf("only %d functions and methods were found", count)
	}
}

// exportedFunctions returns the exported functions of a package, and the exported methods of
// its exported types.
func exportedFunctions(p *types.Package) (list []*types.Func) {
	for _, name := range p.Scope().Names() {
		switch object := p.Scope().Lookup(name).(type) {
		case *types.Func:
			if object.Exported() {
				list = append(list, object)
			}
		case *types.TypeName:
			named, ok := object.Type().(*types.Named)
			if !ok || !object.Exported() || object.IsAlias() {
				continue
			}
			for method := range named.Methods() {
				if method.Exported() {
					list = append(list, method)
				}
			}
		}
	}
	return list
}

// TestWriteOutsideDoesNotCompile checks that a program that writes in a transaction compiles,
// and that a program that writes outside a transaction does not.
func TestWriteOutsideDoesNotCompile(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	config := types.Config{Importer: importsFor(t, set)}
	for program, want := range map[string]string{"inside": "", "outside": "client.Management.Email.Update undefined"} {
		file := testkit.Must(parser.ParseFile(set, "testdata/typecheck/"+program+"/main.go", nil, 0))
		_, err := config.Check("main", set, []*ast.File{file}, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// importsFor returns an importer that reads the compiled packages that these tests need.
func importsFor(t *testing.T, set *token.FileSet) types.Importer {
	t.Helper()
	exports, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

// compiled returns the files with compiled packages, by import path. It runs the go command
// once. The packages are those of the module, those that the code in comments, the examples and
// the programs in testdata import, and all dependencies.
var compiled = sync.OnceValues(func() (map[string]string, error) {
	needed := map[string]bool{modulePath: true, modulePath + "/audit": true, modulePath + "/spstest": true}
	for _, name := range []string{"context", "encoding/json", "errors", "fmt", "net/http", "testing", "time"} {
		needed[name] = true
	}
	for _, pattern := range []string{"example*_test.go", "audit/example*_test.go", "spstest/example*_test.go", "testdata/typecheck/*/*.go"} {
		for _, name := range testkit.Must(filepath.Glob(pattern)) {
			for _, spec := range testkit.Must(parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)).Imports {
				needed[testkit.Must(strconv.Unquote(spec.Path.Value))] = true
			}
		}
	}
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, slices.Sorted(maps.Keys(needed))...)...)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[name] = file
	}
	return exports, nil
})
