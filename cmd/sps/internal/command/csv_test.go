package command

import (
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestCSV checks the CSV on standard output and in a file.
func TestCSV(t *testing.T) {
	t.Parallel()
	c := reach(t, startAppliance(t, spstest.WithAuditSessions(700)))
	file := filepath.Join(t.TempDir(), "sessions.csv")
	args := []string{"-o", "csv", "sessions", "search", "--field", "start_time,user.name"}
	got := c.want(t, out.OK, nil, args...)
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil || len(rows) != 701 || strings.Join(rows[0], " ") != "key start_time user.name" || rows[1][0] == "" || rows[1][1] == "" {
		t.Fatalf("%d rows, the first is %q, error %v", len(rows), rows[0], err)
	}
	c.want(t, out.OK, []string{"700 sessions were written to " + file}, append(args, "--output-file", file)...)
	if content, err := os.ReadFile(file); err != nil || string(content) != got.stdout {
		t.Errorf("the file has %d bytes, and standard output had %d, error %v", len(content), len(got.stdout), err)
	}
	c.want(t, out.Failed, []string{"already exists: name a new file"}, append(args, "--output-file", file)...)
	if got := c.want(t, out.OK, nil, append(args, "--user", "nobody-at-all")...); got.stdout != "key,start_time,user.name\n" {
		t.Errorf("without sessions, the output is %q", got.stdout)
	}
}

// TestCSVUsage checks that wrong uses of -o csv are refused before a request is sent.
func TestCSVUsage(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	c := reach(t, a)
	for _, test := range []struct{ args, want string }{
		{"sessions search", "-o csv needs --field: name the columns"},
		{"sessions search --field user.name --limit 3", "-o csv excludes --limit"},
		{"sessions search --checkpoint x --field user.name", "excludes"},
		{"sessions search --field user.name --host a --host b", "-o csv works on one appliance at a time, and 2 are named"},
		{"sessions follow", "sps sessions follow does not support -o csv: only sps sessions search does"},
		{"info", "sps info does not support -o csv"},
		{"trust a", "is not a format"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			c.want(t, out.Failed, []string{test.want}, append([]string{"-o", "csv"}, strings.Fields(test.args)...)...)
		})
	}
	t.Cleanup(func() {
		if n := len(a.Journal()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

// TestVisible checks that the characters that could control a terminal are removed, even if a
// character is split between two calls of Write.
func TestVisible(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := &visible{w: &b}
	for _, part := range []string{"a\x1b[2J,\xc2", "\x9bü\nb", "\n"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != "a[2J,ü\nb\n" {
		t.Errorf("%q", b.String())
	}
}
