package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/cli"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

var program = clitest.Program{Main: run}

// written returns the keys of the sessions in a file.
func written(t *testing.T, name string) (keys []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var session struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal(lines.Bytes(), &session); err != nil || session.Key == "" {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		keys = append(keys, session.Key)
	}
	slices.Sort(keys)
	return keys
}

// ended are the keys of the sessions that have ended.
func ended(a *spstest.Appliance) (keys []string) {
	for session := range a.AuditSessions() {
		if !session.End.IsZero() {
			keys = append(keys, session.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

func TestDemo(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "sessions.jsonl")
	got := program.Run(t, t.Context(), "-out", out)
	if got.Status != 0 || !strings.Contains(got.Stdout, "sessions were written") || got.Stderr != "" {
		t.Errorf("%+v", got)
	}
	if n := len(written(t, out)); n < 900 {
		t.Errorf("%d sessions", n)
	}
	if got := program.Run(t, t.Context(), "-h"); got.Status != 0 || !strings.Contains(got.Stdout, "-once") {
		t.Errorf("help: %+v", got)
	}
	for _, args := range [][]string{{}, {"-moon"}, {"-out", ""}, {"-out", "/nowhere/x"}, {"-appliance", "a", "-out", "b"}, {"-username", "a", "-out", "b"}} {
		if got := program.Run(t, t.Context(), args...); got.Status != 2 || got.Stderr == "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// TestCrashes kills the program wherever it is, and starts it again.
func TestCrashes(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t, spstest.WithAuditSessions(1_700))
	target := cli.Simulated(a)
	out := filepath.Join(t.TempDir(), "sessions.jsonl")
	for crash := 1; ; crash++ {
		client, err := sps.Connect(t.Context(), target.Host, target.Credential, target.Options...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		a.Inject(spstest.Fault{Path: "audit/sessions", Skip: crash % 4, MayMiss: true, Mutate: func(body []byte) []byte {
			cancel() // while a page is on its way
			return body
		}})
		_, err = export(ctx, client.Audit.Sessions, out, sps.WithOnce())
		cancel()
		a.ClearFaults()
		client.Close(context.Background())
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || crash > 20 {
			t.Fatal(err)
		}
		// What a crash leaves behind: lines that were not saved, and half of one.
		file, err := os.OpenFile(out, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("{\"key\":\"half"); err != nil {
			t.Fatal(err)
		}
		file.Close()
		a.AddAuditSession(spstest.AuditSession{Start: time.Now(), End: time.Now()})
	}
	if want, got := ended(a), written(t, out); !slices.Equal(want, got) {
		t.Errorf("%d sessions, want %d", len(got), len(want))
	}
}

// TestFiles has files that are not those of a run before.
func TestFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ out, checkpoint, want string }{
		"no checkpoint":   {"x", "", "without"},
		"torn":            {"", `{"length":0,"check`, "no checkpoint of this program"},
		"shorter":         {"x", `{"length":7,"checkpoint":{}}`, "shorter"},
		"negative":        {"x", `{"length":-7,"checkpoint":{}}`, "no checkpoint"},
		"without its own": {"x", `{"length":1,"checkpoint":{}}`, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			for file, text := range map[string]string{out: test.out, out + ".checkpoint": test.checkpoint} {
				if text != "" && os.WriteFile(file, []byte(text), 0o600) != nil {
					t.Fatal(file)
				}
			}
			got := program.Run(t, t.Context(), "-out", out)
			if got.Status != 2 || !strings.Contains(got.Stderr, test.want) {
				t.Errorf("%+v, want %q", got, test.want)
			}
			if data, _ := os.ReadFile(out); string(data) != test.out {
				t.Errorf("the file has %q now", data)
			}
		})
	}
}
