package testkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Root returns the folder of the module: tests run in that of their package.
func Root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no folder above has a go.mod")
		}
		folder = parent
	}
}

// File returns the text of a file of the module, by its path with slashes.
func File(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Sample returns a sample of the guide, by its name without .json.
func Sample(t testing.TB, name string) string {
	t.Helper()
	return File(t, "testdata/"+name+".json")
}

// SourceFiles returns the files of a package of the module without its tests, parsed;
// folder is "" for the root.
func SourceFiles(t testing.TB, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(Root(t), filepath.FromSlash(folder), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	var files []*ast.File
	set := token.NewFileSet()
	for _, name := range names {
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
