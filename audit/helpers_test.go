package audit_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readSample reads a sample from the guide of the API.
func readSample(name string) []byte {
	data, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		panic(err)
	}
	return data
}

// compact returns JSON without the spaces between its tokens.
func compact(data []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		panic(err)
	}
	return b.String()
}

// diff fails the test if want and got differ, and prints the differences.
func diff(t testing.TB, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("%s mismatch (-want +got):\n%s", what, d)
	}
}

// canonical returns an object with its members in the order of their names.
func canonical(text string) string {
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

var nan = math.NaN()

// fieldConstants returns the constants of fields.go. The keys of the map are the values
// of the constants.
func fieldConstants(t testing.TB) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "fields.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			found[value] = spec.Names[0].Name
		}
		return true
	})
	if len(found) < 60 {
		t.Errorf("only %d fields were found", len(found))
	}
	return found
}
