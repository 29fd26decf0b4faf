package bench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkWeight measures how many bytes one endpoint adds to the stripped binary of a program.
// It does this for an endpoint that the program lists and updates, and for an endpoint of the
// package that the program does not use. It builds four programs, each of them once.
func BenchmarkWeight(b *testing.B) {
	const few, many = 1, 61
	for _, c := range []struct {
		name  string
		build func(dir string, n int) (overlay map[string]string, err error)
		most  int64 // bytes for each endpoint
	}{
		{"used", used, 8 << 10},
		{"not used", unused, 1 << 10},
	} {
		each := (weigh(b, c.build, many) - weigh(b, c.build, few)) / (many - few)
		b.ReportMetric(float64(each), strings.ReplaceAll(c.name, " ", "-")+"-B/endpoint")
		if each > c.most {
			b.Errorf("an endpoint that is %s adds %d bytes to the binary, more than %d", c.name, each, c.most)
		}
	}
}

// body is the Go source of a typical type for the body of an endpoint.
const body = `type T%d struct {
	Name    string   ` + "`json:\"name_%[1]d\"`" + `
	Enabled bool     ` + "`json:\"enabled\"`" + `
	Servers []string ` + "`json:\"servers\"`" + `
}
`

// used writes the source of a program that lists and updates n endpoints.
func used(dir string, n int) (map[string]string, error) {
	var types, calls strings.Builder
	for i := range n {
		fmt.Fprintf(&types, body, i)
		fmt.Fprintf(&calls, `	list%[1]d := sps.NewCollection[T%[1]d](client, "configuration/policies/weight_%[1]d")
	if all, err := list%[1]d.List(ctx); err == nil {
		println(len(all))
	}
	println(client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return list%[1]d.In(tx).Update(ctx, "1", func(body *T%[1]d) error { body.Enabled = true; return nil })
	}))
`, i)
	}
	return nil, program(dir, types.String(), calls.String())
}

// unused adds n endpoints to package sps with a build overlay, and writes the source of a
// program that does not use these endpoints.
func unused(dir string, n int) (map[string]string, error) {
	var types, described, fields, made strings.Builder
	for i := range n {
		fmt.Fprintf(&types, body, i)
		fmt.Fprintf(&described, "var weight%[1]d = spec[T%[1]d]{describe(\"configuration/weight/weight_%[1]d\")}\n", i)
		fmt.Fprintf(&fields, "\tF%[1]d Singleton[T%[1]d]\n", i)
		fmt.Fprintf(&made, "weight%[1]d.singleton(c), ", i)
	}
	source := "package sps\n\n" + types.String() + described.String() + "type weights struct {\n" + fields.String() + "}\n" +
		"func newWeights(c *Client) weights { return weights{" + made.String() + "} }\n" +
		"var kept weights\n\nfunc init() { kept = newWeights(nil) }\n"
	file := filepath.Join(dir, "weights.go")
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return nil, err
	}
	return map[string]string{filepath.Join(root, "zz_weights.go"): file}, program(dir, "", "\tprintln(client.Host())\n")
}

// program writes the source of a program with a client, the given types and the given calls.
func program(dir, types, calls string) error {
	source := `package main

import (
	"context"

	"github.com/go-sps/sps"
)

` + types + `
func main() {
	ctx := context.Background()
	client, err := sps.ConnectFromEnv(ctx)
	if err != nil {
		panic(err)
	}
` + calls + "\t_ = ctx\n}\n"
	return os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600)
}

// weigh builds a program with n endpoints, and returns the size of its binary.
func weigh(t testing.TB, build func(string, int) (map[string]string, error), n int) int64 {
	t.Helper()
	dir := t.TempDir()
	replaced, err := build(dir, n)
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "weight")
	if text, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-overlay", overlay, "-o", out, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
